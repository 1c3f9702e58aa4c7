//! Measures what the host adds to a guest: from taking a key out of the work queue to
//! putting it back done, through a `sync-handler` that does nothing; for comparison the
//! same call through wasmtime alone, without queue, task or limits; and the memory of an
//! instance. Prints one JSON line per figure. Needs the fixtures (`make guests`).

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use wasmtime::component::{Component, ComponentType, Lift, Linker, Lower, TypedFunc};
use wasmtime::{Config, Store};
use windlass_core::api_error::{ApiError, ApiErrorKind};
use windlass_core::key::{ObjectKey, ResourceInfo};
use windlass_core::manifest::WatchId;
use windlass_core::object::Object;
use windlass_core::outcome::Outcome;
use windlass_core::seams::{
    ApiRequest, Discovery, Event, EventSink, Guest, ObjectReader, ObjectWriter, QueueItem, QueueSink,
    ReadError, Services, SyncId,
};
use windlass_core::workqueue::Workqueue;
use windlass_engine::ambient::SystemAmbient;
use windlass_engine::engine::{Engine, EngineConfig};
use windlass_engine::instance::Instance;
use windlass_engine::limits::Limits;
use windlass_engine::load::LoadedGuest;

const KEYS: usize = 100_000;
const ROUNDS: usize = 7;
const INSTANCES: usize = 500;

#[tokio::main]
async fn main() -> Result<()> {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/guests/windlass-fixture-counter.wasm");
    let component = std::fs::read(&path).with_context(|| format!("{}: run `make guests`", path.display()))?;
    let engine = Engine::new(EngineConfig::default())?;
    let guest = engine
        .load(
            "counter",
            component.clone().into(),
            Bytes::new(),
            &Limits::default(),
        )
        .await?;
    let (instance, mut driver) = guest
        .instantiate(no_services(), Limits::default(), Arc::default())
        .await?;
    for (name, workers) in [("dispatch/empty_sync", 1), ("dispatch/empty_sync_8_workers", 8)] {
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            let work = work_off(&instance, workers);
            rounds.push(tokio::select! {
                micros = work => micros?,
                failure = &mut driver => bail!("the guest {failure}"),
            });
        }
        print(name, rounds);
    }
    print("dispatch/empty_sync_bare_wasmtime", bare(&component).await?);
    println!(
        r#"{{"name":"engine/idle_instance","value":{:.0},"unit":"KiB"}}"#,
        idle_instance(&guest).await?
    );
    Ok(())
}

/// Resident KiB of an instance that did one sync, averaged over many.
async fn idle_instance(guest: &LoadedGuest) -> Result<f64> {
    let before = resident_kib()?;
    let mut instances = Vec::new();
    for _ in 0..INSTANCES {
        let (instance, mut driver) = guest
            .instantiate(no_services(), Limits::default(), Arc::default())
            .await?;
        let outcome = tokio::select! {
            outcome = instance.sync(1, ObjectKey::new("default", "object")) => outcome?,
            failure = &mut driver => bail!("the guest {failure}"),
        };
        ensure!(outcome == Ok(Outcome::Done), "unexpected outcome {outcome:?}");
        instances.push((instance, driver));
    }
    Ok((resident_kib()? - before) / INSTANCES as f64)
}

fn resident_kib() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

fn print(name: &str, mut rounds: Vec<f64>) {
    rounds.sort_by(f64::total_cmp);
    let median = rounds[rounds.len() / 2];
    println!(r#"{{"name":"{name}","value":{median:.2},"unit":"us"}}"#);
}

/// Microseconds a key, over a queue full of keys. In the task that drives the instance,
/// as a controller does it.
async fn work_off(instance: &Instance, workers: usize) -> Result<f64> {
    let queue = Workqueue::<ObjectKey>::default();
    for number in 0..KEYS {
        queue.add(ObjectKey::new("default", &format!("object-{number}")));
    }
    queue.shut_down();
    let start = Instant::now();
    let mut workers: FuturesUnordered<_> = (0..workers).map(|_| worker(instance, &queue)).collect();
    while let Some(ended) = workers.next().await {
        ended?;
    }
    Ok(micros_a_key(start))
}

async fn worker(instance: &Instance, queue: &Workqueue) -> Result<()> {
    while let Some(key) = queue.get().await {
        let outcome = instance.sync(1, key.clone()).await?;
        ensure!(outcome == Ok(Outcome::Done), "unexpected outcome {outcome:?}");
        queue.done(&key);
    }
    Ok(())
}

fn micros_a_key(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e6 / KEYS as f64
}

#[derive(ComponentType, Lower)]
#[component(record)]
struct BareKey {
    namespace: String,
    name: String,
}

#[derive(ComponentType, Lift, Debug, PartialEq)]
#[component(variant)]
enum BareOutcome {
    #[component(name = "done")]
    Done,
    #[component(name = "requeue-after")]
    RequeueAfter(u64),
}

#[derive(ComponentType, Lift, Debug, PartialEq)]
#[component(variant)]
enum BareError {
    #[component(name = "retry")]
    Retry(String),
    #[component(name = "terminal")]
    Terminal(String),
}

type BareSync = TypedFunc<(u64, BareKey), (Result<BareOutcome, BareError>,)>;

/// The same calls, one after the other, through `call_async`.
async fn bare(bytes: &[u8]) -> Result<Vec<f64>> {
    let mut config = Config::new();
    config.wasm_component_model_async(true);
    let engine = wasmtime::Engine::new(&config).map_err(wasmtime_error)?;
    let component = Component::from_binary(&engine, bytes).map_err(wasmtime_error)?;
    let mut linker = Linker::new(&engine);
    linker
        .define_unknown_imports_as_traps(&component)
        .map_err(wasmtime_error)?;
    let mut store = Store::new(&engine, ());
    let instance = linker
        .instantiate_async(&mut store, &component)
        .await
        .map_err(wasmtime_error)?;
    let handler = component.get_export_index(None, "windlass:controller/handler@0.1.0");
    let index = component
        .get_export_index(handler.as_ref(), "sync-handler")
        .context("a handler")?;
    let sync: BareSync = instance
        .get_typed_func(&mut store, index)
        .map_err(wasmtime_error)?;
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for number in 0..KEYS {
            let key = BareKey {
                namespace: "default".to_owned(),
                name: format!("object-{number}"),
            };
            let (outcome,) = sync
                .call_async(&mut store, (1, key))
                .await
                .map_err(wasmtime_error)?;
            ensure!(outcome == Ok(BareOutcome::Done), "unexpected outcome {outcome:?}");
        }
        rounds.push(micros_a_key(start));
    }
    Ok(rounds)
}

fn wasmtime_error(error: wasmtime::Error) -> anyhow::Error {
    anyhow::anyhow!("{error:#}")
}

/// Services that the measured syncs never call.
struct Nothing;

fn no_services() -> Services {
    let nothing = Arc::new(Nothing);
    Services {
        reader: Arc::<Nothing>::clone(&nothing),
        writer: Arc::<Nothing>::clone(&nothing),
        events: Arc::<Nothing>::clone(&nothing),
        queue: Arc::<Nothing>::clone(&nothing),
        discovery: nothing,
        ambient: Arc::new(SystemAmbient),
        config: Bytes::new(),
    }
}

impl ObjectReader for Nothing {
    fn get(&self, watch: WatchId, _key: &ObjectKey) -> Result<Option<Arc<Object>>, ReadError> {
        Err(ReadError::UnknownWatch(watch))
    }

    fn list(
        &self,
        watch: WatchId,
        _namespace: Option<&str>,
        _selector: &str,
    ) -> Result<Vec<Arc<Object>>, ReadError> {
        Err(ReadError::UnknownWatch(watch))
    }

    fn by_index(&self, watch: WatchId, _index: &str, _value: &str) -> Result<Vec<Arc<Object>>, ReadError> {
        Err(ReadError::UnknownWatch(watch))
    }

    fn by_owner(&self, watch: WatchId, _uid: &str) -> Result<Vec<Arc<Object>>, ReadError> {
        Err(ReadError::UnknownWatch(watch))
    }

    fn orphans(&self, watch: WatchId, _namespace: &str) -> Result<Vec<Arc<Object>>, ReadError> {
        Err(ReadError::UnknownWatch(watch))
    }
}

impl ObjectWriter for Nothing {
    fn call(&self, _sync: SyncId, _request: ApiRequest) -> BoxFuture<'static, Result<Bytes, ApiError>> {
        let refusal = ApiError::local(ApiErrorKind::NotPermitted, "there is no API server here");
        futures::future::ready(Err(refusal)).boxed()
    }
}

impl EventSink for Nothing {
    fn record(&self, _event: Event) {}
}

impl QueueSink for Nothing {
    fn add(&self, _items: Vec<QueueItem>) {}
}

impl Discovery for Nothing {
    fn resolve(&self, _group: &str, _version: &str, _kind: &str) -> Option<ResourceInfo> {
        None
    }
}
