//! Fixture guests, and services that record what guests ask of them.

use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use windlass_core::api_error::ApiError;
use windlass_core::key::{ObjectKey, Resource, ResourceInfo};
use windlass_core::manifest::WatchId;
use windlass_core::object::Object;
use windlass_core::outcome::{GuestFailure, Outcome, SyncError};
use windlass_core::seams::{
    ApiRequest, Delta, DeltaBatch, DeltaKind, Discovery, Event, EventSink, Guest, ObjectReader, ObjectWriter,
    QueueItem, QueueSink, ReadError, Services, SyncId,
};
use windlass_engine::ambient::SystemAmbient;
use windlass_engine::engine::{Engine, EngineConfig};
use windlass_engine::instance::Instance;
use windlass_engine::limits::Limits;
use windlass_engine::load::{LoadError, LoadedGuest};

/// The component of a fixture.
pub(crate) fn fixture(name: &str) -> Bytes {
    let guests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/guests");
    let path = guests.join(format!("windlass-fixture-{name}.wasm"));
    std::fs::read(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; run `make guests`", path.display()))
        .into()
}

/// An engine that shares compiled code with the other tests, because an unoptimised
/// compiler takes its time.
pub(crate) fn engine() -> Engine {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled-guests");
    std::fs::create_dir_all(&path).unwrap();
    let cache_dir = Dir::open_ambient_dir(path, ambient_authority()).unwrap();
    Engine::new(EngineConfig {
        cache_dir: Some(cache_dir),
        ..EngineConfig::default()
    })
    .unwrap()
}

pub(crate) async fn try_load(
    engine: &Engine,
    bytes: Bytes,
    config: &'static str,
) -> Result<LoadedGuest, LoadError> {
    engine
        .load(
            "fixture",
            bytes,
            Bytes::from_static(config.as_bytes()),
            &Limits::default(),
        )
        .await
}

pub(crate) async fn load(engine: &Engine, name: &str) -> LoadedGuest {
    try_load(engine, fixture(name), "").await.unwrap()
}

/// An instance with services of its own.
pub(crate) async fn instance(engine: &Engine, name: &str) -> (Running, Arc<FakeCluster>) {
    let cluster = Arc::new(FakeCluster::default());
    let guest = load(engine, name).await;
    let instance = instantiate(&guest, cluster.services(""), Limits::default()).await;
    (instance.unwrap(), cluster)
}

/// An instance whose driver has a task of its own, and goes with it.
#[derive(Debug)]
pub(crate) struct Running {
    instance: Instance,
    driver: JoinHandle<GuestFailure>,
}

impl Deref for Running {
    type Target = Instance;

    fn deref(&self) -> &Instance {
        &self.instance
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

pub(crate) async fn instantiate(
    guest: &LoadedGuest,
    services: Services,
    limits: Limits,
) -> Result<Running, GuestFailure> {
    let (instance, driver) = guest.instantiate(services, limits, Arc::default()).await?;
    let driver = tokio::spawn(driver);
    Ok(Running { instance, driver })
}

pub(crate) fn key(name: &str) -> ObjectKey {
    ObjectKey::new("default", name)
}

/// One sync, without a name.
pub(crate) async fn sync(guest: &Instance, name: &str) -> Result<Result<Outcome, SyncError>, GuestFailure> {
    guest.sync(1, key(name)).await
}

/// What a fixture reports as a terminal error.
pub(crate) async fn report(guest: &Instance, name: &str) -> String {
    match sync(guest, name).await {
        Ok(Err(SyncError::Terminal(text))) => text,
        other => panic!("no report: {other:?}"),
    }
}

pub(crate) fn config_map(name: &str, data: &str) -> Arc<Object> {
    let body =
        format!(r#"{{"metadata":{{"namespace":"default","name":"{name}"}},"data":{{"value":"{data}"}}}}"#);
    Arc::new(Object::parse(body.into()).unwrap())
}

pub(crate) fn updated(name: &str) -> Delta {
    Delta {
        kind: DeltaKind::Updated,
        object: config_map(name, "new"),
        old: Some(config_map(name, "old")),
        initial: false,
    }
}

pub(crate) fn batch(names: &[&str], old_bodies: bool) -> DeltaBatch {
    let source = ResourceInfo {
        resource: Resource::new("", "v1", "configmaps"),
        kind: "ConfigMap".into(),
        namespaced: true,
    };
    DeltaBatch {
        watch: 0,
        source: Arc::new(source),
        deltas: names.iter().map(|name| updated(name)).collect(),
        old_bodies,
    }
}

/// All services in one. API calls do not answer before [`FakeCluster::answer`].
#[derive(Default)]
pub(crate) struct FakeCluster {
    pub(crate) requests: Mutex<Vec<(SyncId, ApiRequest)>>,
    pub(crate) refusal: Mutex<Option<ApiError>>,
    /// Answers calls before they are sent, as a missing permission does.
    pub(crate) refusal_at_once: Mutex<Option<ApiError>>,
    waiting: watch::Sender<usize>,
    answering: watch::Sender<bool>,
}

impl FakeCluster {
    pub(crate) fn services(self: &Arc<Self>, config: &'static str) -> Services {
        Services {
            reader: Arc::<Self>::clone(self),
            writer: Arc::<Self>::clone(self),
            events: Arc::<Self>::clone(self),
            queue: Arc::<Self>::clone(self),
            discovery: Arc::<Self>::clone(self),
            ambient: Arc::new(SystemAmbient),
            config: Bytes::from_static(config.as_bytes()),
        }
    }

    /// Waits until this many API calls wait for an answer.
    pub(crate) async fn until_waiting(&self, calls: usize) {
        self.waiting
            .subscribe()
            .wait_for(|waiting| *waiting == calls)
            .await
            .unwrap();
    }

    /// Answers all API calls, now and from now on.
    pub(crate) fn answer(&self) {
        self.answering.send_replace(true);
    }
}

impl ObjectWriter for FakeCluster {
    fn call(&self, sync: SyncId, request: ApiRequest) -> BoxFuture<'static, Result<Bytes, ApiError>> {
        if let Some(refusal) = self.refusal_at_once.lock().clone() {
            return futures::future::ready(Err(refusal)).boxed();
        }
        self.requests.lock().push((sync, request));
        self.waiting.send_modify(|waiting| *waiting += 1);
        let mut answering = self.answering.subscribe();
        let refusal = self.refusal.lock().clone();
        async move {
            // Fails only when the cluster is gone, and the instance with it.
            answering.wait_for(|answering| *answering).await.unwrap();
            refusal.map_or(Ok(Bytes::from_static(b"{}")), Err)
        }
        .boxed()
    }
}

impl ObjectReader for FakeCluster {
    fn get(&self, watch: WatchId, key: &ObjectKey) -> Result<Option<Arc<Object>>, ReadError> {
        Ok(self
            .orphans(watch, &key.namespace)?
            .into_iter()
            .find(|object| object.key() == key))
    }

    fn list(
        &self,
        watch: WatchId,
        namespace: Option<&str>,
        selector: &str,
    ) -> Result<Vec<Arc<Object>>, ReadError> {
        if selector == "===" {
            return Err(ReadError::Invalid("not a selector: ===".to_owned()));
        }
        self.orphans(watch, namespace.unwrap_or_default())
    }

    fn by_index(&self, watch: WatchId, _index: &str, _value: &str) -> Result<Vec<Arc<Object>>, ReadError> {
        self.orphans(watch, "")
    }

    fn by_owner(&self, watch: WatchId, _uid: &str) -> Result<Vec<Arc<Object>>, ReadError> {
        self.orphans(watch, "")
    }

    fn orphans(&self, watch: WatchId, _namespace: &str) -> Result<Vec<Arc<Object>>, ReadError> {
        if watch == 0 {
            Ok(vec![config_map("a", "x")])
        } else {
            Err(ReadError::UnknownWatch(watch))
        }
    }
}

impl EventSink for FakeCluster {
    fn record(&self, _event: Event) {}
}

impl QueueSink for FakeCluster {
    fn add(&self, _items: Vec<QueueItem>) {}
}

impl Discovery for FakeCluster {
    fn resolve(&self, _group: &str, _version: &str, _kind: &str) -> Option<ResourceInfo> {
        None
    }
}
