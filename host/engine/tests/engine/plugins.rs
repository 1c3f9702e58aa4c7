//! Plugins of the scheduler, called by the scheduler that ships: what they decide, what they
//! may not be, and that whatever they do costs neither its instance nor its CPU budget.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use windlass_core::key::{ObjectKey, Resource, ResourceInfo};
use windlass_core::manifest::WatchId;
use windlass_core::object::Object;
use windlass_core::seams::{ApiVerb, Delta, DeltaBatch, DeltaKind, Guest, ObjectReader, ReadError};
use windlass_engine::limits::Limits;
use windlass_engine::load::LoadError;
use windlass_engine::plugin::LoadedPlugin;

use crate::support::{FakeCluster, Running, engine, fixture, instantiate, key};

const PODS: WatchId = 0;
const NODES: WatchId = 1;
const CONFIG: &str = r#"{"profiles":[{"schedulerName":"default-scheduler",
    "plugins":{"multiPoint":{"enabled":[{"name":"Plugin","weight":10}]}}}]}"#;

/// The caches, as a scheduler sees them.
struct Objects(BTreeMap<(WatchId, ObjectKey), Arc<Object>>);

impl Objects {
    fn of(nodes: usize, pods: &[&str]) -> Self {
        let node = |number: usize| {
            format!(
                r#"{{"metadata":{{"name":"n{number}","annotations":{{"node-cost.windlass.dev/cost":"{}",
                    "node-cost.windlass.dev/maintenance":"{}"}}}},
                    "status":{{"allocatable":{{"cpu":"8","memory":"8Gi","pods":"110"}}}}}}"#,
                if number + 2 < nodes { 100 } else { 1 },
                number + 1 == nodes
            )
        };
        let pod = |name: &&str| {
            format!(
                r#"{{"metadata":{{"namespace":"default","name":"{name}","uid":"{name}","generation":1,
                    "labels":{{"misdeed":"{name}"}}}},"spec":{{"containers":[{{"name":"c"}}]}}}}"#
            )
        };
        let nodes = (0..nodes).map(|number| (NODES, node(number)));
        let pods = pods.iter().map(|name| (PODS, pod(name)));
        let objects = nodes.chain(pods).map(|(watch, body)| {
            let object = Arc::new(Object::parse(body.into()).unwrap());
            ((watch, object.key().clone()), object)
        });
        Self(objects.collect())
    }

    fn batch(&self, watch: WatchId, plural: &str) -> DeltaBatch {
        let deltas = self.0.iter().filter(|((of, _), _)| *of == watch);
        let delta = |object: &Arc<Object>| Delta {
            kind: DeltaKind::Added,
            object: Arc::clone(object),
            old: None,
            initial: true,
        };
        DeltaBatch {
            watch,
            source: Arc::new(ResourceInfo {
                resource: Resource::new("", "v1", plural),
                kind: plural.into(),
                namespaced: watch == PODS,
            }),
            deltas: deltas.map(|(_, object)| delta(object)).collect(),
            old_bodies: false,
        }
    }
}

impl ObjectReader for Objects {
    fn get(&self, watch: WatchId, key: &ObjectKey) -> Result<Option<Arc<Object>>, ReadError> {
        Ok(self.0.get(&(watch, key.clone())).cloned())
    }

    fn list(&self, watch: WatchId, _: Option<&str>, _: &str) -> Result<Vec<Arc<Object>>, ReadError> {
        Err(ReadError::UnknownWatch(watch))
    }

    fn by_index(&self, watch: WatchId, _: &str, _: &str) -> Result<Vec<Arc<Object>>, ReadError> {
        Err(ReadError::UnknownWatch(watch))
    }

    fn by_owner(&self, watch: WatchId, _: &str) -> Result<Vec<Arc<Object>>, ReadError> {
        Err(ReadError::UnknownWatch(watch))
    }

    fn orphans(&self, watch: WatchId, _: &str) -> Result<Vec<Arc<Object>>, ReadError> {
        Err(ReadError::UnknownWatch(watch))
    }
}

/// A component that `make guests` or `xtask languages` built.
fn component(name: &str) -> Option<Bytes> {
    let guests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/guests");
    let bytes = std::fs::read(guests.join(format!("{name}.wasm")));
    bytes.ok().map(Bytes::from)
}

async fn load(bytes: Bytes, limits: &Limits) -> Result<LoadedPlugin, LoadError> {
    engine().load_plugin("scheduler", "Plugin", bytes, limits).await
}

/// A scheduler with one plugin that has seen these objects.
async fn scheduler(plugin: Bytes, limits: &Limits, objects: Objects) -> (Running, Arc<FakeCluster>) {
    let engine = engine();
    let plugin = engine
        .load_plugin("scheduler", "Plugin", plugin, limits)
        .await
        .unwrap();
    let scheduler = component("scheduler").expect("run `make guests`");
    let config = Bytes::from_static(CONFIG.as_bytes());
    let plugins = std::iter::once(plugin).collect();
    let own = Limits::default();
    let guest = engine.load_with("scheduler", scheduler, config, &own, plugins);
    let guest = guest.await.unwrap();
    let cluster = Arc::new(FakeCluster::default());
    cluster.answer();
    let batches = vec![objects.batch(NODES, "nodes"), objects.batch(PODS, "pods")];
    let mut services = cluster.services(CONFIG);
    services.reader = Arc::new(objects);
    let running = instantiate(&guest, services, Limits::default()).await.unwrap();
    running.observe(batches).await.unwrap();
    running.start().await.unwrap();
    (running, cluster)
}

/// What the scheduler wrote of a pod: the body of its binding, or of a change of its status.
async fn written(running: &Running, cluster: &FakeCluster, pod: &str) -> String {
    let before = cluster.requests.lock().len();
    running.sync(1, key(pod)).await.unwrap().unwrap();
    let requests = cluster.requests.lock();
    let bodies = requests
        .iter()
        .skip(before)
        .map(|(_, request)| match &request.verb {
            ApiVerb::Create(body) | ApiVerb::Patch(_, body) => String::from_utf8_lossy(body).into_owned(),
            verb => panic!("{verb:?}"),
        });
    bodies.collect()
}

#[tokio::test]
async fn the_sample_decides_in_each_language() {
    for language in ["rust", "go"] {
        let Some(plugin) = component(&format!("node-cost-{language}")) else {
            println!("skipped: node-cost-{language} is not built");
            continue;
        };
        let names: Vec<String> = (0..50).map(|number| format!("p{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let (running, cluster) = scheduler(plugin, &Limits::default(), Objects::of(1000, &names)).await;
        let mut best = Duration::MAX;
        for name in &names {
            let started = Instant::now();
            let binding = written(&running, &cluster, name).await;
            best = best.min(started.elapsed());
            // Two are cheap, and the last is under maintenance.
            assert!(binding.contains(r#""name":"n998""#), "{language}: {binding}");
        }
        println!("{language}: {best:?} for a sync at 1,000 nodes");
    }
}

#[tokio::test]
async fn hostile_plugins_cost_the_attempt_and_their_own_instance() {
    let misdeeds = [
        ("few-verdicts", "it answered for 2 nodes and was asked about 3"),
        ("many-scores", "it scored 4 nodes and was asked about 3"),
        ("high-score", "returns an invalid score 101"),
        ("no-reason", "it gave no reason number 7"),
        ("fail-filter", r#"running \"Plugin\" filter plugin: out of luck"#),
        ("trap", r#"running plugin \"Plugin\": evaluate: trapped: "#),
        (
            "loop",
            "evaluate: exceeded its CPU budget of 50ms without waiting",
        ),
        ("grow", "evaluate: exceeded its memory limit of 67108864 bytes"),
        (
            "trap-in-reserve",
            r#"running Reserve plugin \"Plugin\": trapped: "#,
        ),
        (
            "object",
            "0/1 nodes are available: 1 node(s) were too good for it.",
        ),
    ];
    for (misdeed, message) in misdeeds {
        let limits = Limits {
            // Short where it is to be used up, and else more than a busy machine needs.
            cpu_budget: Duration::from_millis(if misdeed == "loop" { 50 } else { 5_000 }),
            ..Limits::default()
        };
        let objects = Objects::of(3, &[misdeed, "good"]);
        let (running, cluster) = scheduler(fixture("hostile-plugin"), &limits, objects).await;
        let status = written(&running, &cluster, misdeed).await;
        assert!(status.contains(message), "{misdeed}: {status}");
        // The back-off of an instance that ended.
        tokio::time::sleep(Duration::from_millis(150)).await;
        let binding = written(&running, &cluster, "good").await;
        assert!(binding.contains(r#""kind":"Binding""#), "{misdeed}: {binding}");
    }
}

#[tokio::test]
async fn a_plugin_that_is_none_is_refused() {
    let refused = async |bytes: Bytes| load(bytes, &Limits::default()).await.unwrap_err().to_string();
    let error = refused(fixture("no-handler")).await;
    assert!(
        error.starts_with("does not export windlass:scheduler/plugin"),
        "{error}"
    );
    let error = refused(component("scheduler").expect("run `make guests`")).await;
    assert!(
        error.ends_with("which a plugin of the scheduler does not get"),
        "{error}"
    );
}
