//! Guests that die in mid-rollout, in a host of the test's own process: whenever an
//! instance goes, the end is the declared state, and no pod too many was ever created.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, Result};
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use futures::future::try_join_all;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PropagationPolicy};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::json;
use windlass_apiserver::{Scheme, ServerConfig, ServerHandle};
use windlass_cluster::client::ApiClient;
use windlass_cluster::connect::ConnectOptions;
use windlass_core::key::ObjectKey;
use windlass_engine::engine::{Engine, EngineConfig};
use windlass_kubelet::agent::{AgentHandle, NodeAgent};
use windlass_kubelet::config::AgentConfig;
use windlass_manager::config::{Bytes, ModuleEntry, Span};
use windlass_manager::host::{Host, ModuleHandle, Platform};
use windlass_manager::module::Module;
use windlass_manager::supervisor::ModuleState;
use windlass_tests::census::PodCensus;
use windlass_tests::cluster::Namespace;
use windlass_tests::{process, wait};

const STOCK: [&str; 4] = ["deployment", "replicaset", "scheduler", "garbage-collector"];
const HOSTILE: &str = "windlass-fixture-hostile";
const GRACE: Duration = Duration::from_secs(5);
const REPLICAS: usize = 20;

/// What the `windlass` binary puts together, with a handle on each module.
struct InProcess {
    server: ServerHandle,
    platform: Platform,
    agent: AgentHandle,
    host: Host,
    namespace: Namespace,
}

impl InProcess {
    async fn start(modules: Vec<ModuleEntry>) -> Result<Self> {
        let server = windlass_apiserver::start(ServerConfig::default()).await?;
        let kubeconfig = server
            .kubeconfig(Scheme::Http)
            .context("the server listens for HTTP")?;
        let config = kube::Config::from_custom_kubeconfig(
            Kubeconfig::from_yaml(&kubeconfig)?,
            &KubeConfigOptions::default(),
        )
        .await?;
        let client = ApiClient::from_config(&config, &ConnectOptions::default())?;
        let platform = Platform::start(client, "test").await?;
        let mut nodes = AgentConfig::with_nodes(5);
        nodes.latencies.creating_to_running = Duration::from_millis(50);
        let agent = NodeAgent::start(&platform.client, &platform.informers, None, nodes).await?;
        let mut host = Host::start(&platform, load(&modules).await?, GRACE, None)?;
        host.wait_until_running().await;
        let namespace = Namespace {
            client: kube::Client::try_from(config)?,
            name: "default".to_owned(),
        };
        Ok(Self {
            server,
            platform,
            agent,
            host,
            namespace,
        })
    }

    fn module(&self, name: &str) -> Result<&ModuleHandle> {
        self.host
            .modules()
            .iter()
            .find(|module| module.name == name)
            .with_context(|| format!("no module {name}"))
    }

    fn restarts(&self, name: &str) -> Result<u64> {
        Ok(self
            .module(name)?
            .controller
            .stats
            .restarts
            .load(Ordering::Relaxed))
    }

    /// Drops the running instance of a module and returns once its supervisor has noticed.
    async fn restart(&self, name: &str) -> Result<()> {
        let module = self.module(name)?;
        module
            .state
            .clone()
            .wait_for(|state| *state == ModuleState::Running)
            .await?;
        let before = self.restarts(name)?;
        module.restart();
        let restarts = || async { self.restarts(name) };
        wait::until(&format!("{name} to restart"), restarts, |restarts| {
            *restarts > before
        })
        .await?;
        Ok(())
    }

    /// Creates `web` and waits for its pods, each step of whose rollout will be small.
    async fn with_web(&self) -> Result<PodCensus> {
        let census = PodCensus::start(self.namespace.pods(), "app=web").await?;
        let strategy = json!({"rollingUpdate": {"maxSurge": 2, "maxUnavailable": 1}});
        self.namespace
            .create_deployment("web", json!({"replicas": REPLICAS, "strategy": strategy}))
            .await?;
        self.namespace.wait_complete("web").await?;
        wait::until(
            "every pod counted",
            || async { Ok(census.count()) },
            |count| *count == REPLICAS,
        )
        .await?;
        Ok(census)
    }

    async fn roll(&self) -> Result<()> {
        let image =
            json!({"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "pause:v2"}]}}}});
        let deployments = self.namespace.deployments();
        deployments
            .patch("web", &PatchParams::default(), &Patch::Strategic(image))
            .await?;
        Ok(())
    }

    /// Waits for the end of the rollout and holds it against what was asked for.
    async fn rolled(&self, census: &PodCensus) -> Result<()> {
        self.namespace.wait_complete("web").await?;
        let pods = self.namespace.wait_pods("app=web", REPLICAS).await?;
        let image =
            |pod: &k8s_openapi::api::core::v1::Pod| pod.spec.as_ref()?.containers.first()?.image.clone();
        assert!(
            pods.iter().all(|pod| image(pod).as_deref() == Some("pause:v2")),
            "only the new version"
        );
        assert_eq!(census.count(), 2 * REPLICAS, "each pod replaced exactly once");
        Ok(())
    }

    /// Ends everything, clients of the server first.
    async fn stop(self) {
        self.host.stop().await;
        self.agent.stop().await;
        self.platform.stop(GRACE).await;
        self.server.shutdown().await;
    }
}

/// Loads modules from the built guests. What is compiled is kept for the next run.
async fn load(entries: &[ModuleEntry]) -> Result<Vec<Module>> {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("guest-cache");
    std::fs::create_dir_all(&cache)?;
    let cache_dir = Some(Dir::open_ambient_dir(&cache, ambient_authority())?);
    let engine = Engine::new(EngineConfig {
        cache_dir,
        ..EngineConfig::default()
    })?;
    let loading = entries.iter().map(|entry| async {
        let file = process::repository().join(format!("target/guests/{}.wasm", entry.name));
        let bytes = std::fs::read(&file)
            .with_context(|| format!("cannot read {}; run `make guests` first", file.display()))?;
        anyhow::Ok(Module::load(&engine, entry, file.display().to_string(), bytes.into(), true).await?)
    });
    try_join_all(loading).await
}

/// The stock guests, their calls not limited.
fn stock() -> Vec<ModuleEntry> {
    let unlimited = |name: &str| {
        let mut entry = ModuleEntry::stock(name);
        entry.limits.api_qps = Some(0);
        entry
    };
    STOCK.into_iter().map(unlimited).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn guests_killed_in_mid_rollout_finish_it_without_a_pod_too_many() -> Result<()> {
    let cluster = InProcess::start(stock()).await?;
    let census = cluster.with_web().await?;
    cluster.roll().await?;
    // Each guest dies at least twice, each time at another point of the rollout.
    for (created, name) in (1..)
        .step_by(2)
        .zip(STOCK.into_iter().cycle())
        .take_while(|(created, _)| *created < REPLICAS)
    {
        let count = || async { Ok(census.count()) };
        wait::until("the next new pods", count, |count| *count >= REPLICAS + created).await?;
        cluster.restart(name).await?;
    }
    cluster.rolled(&census).await?;
    cluster.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_garbage_collector_killed_in_mid_deletion_leaves_nothing_behind() -> Result<()> {
    let cluster = InProcess::start(stock()).await?;
    let _census = cluster.with_web().await?;
    let background = DeleteParams {
        propagation_policy: Some(PropagationPolicy::Background),
        ..DeleteParams::default()
    };
    cluster.namespace.deployments().delete("web", &background).await?;
    for _ in 0..3 {
        cluster.restart("garbage-collector").await?;
    }
    cluster.namespace.wait_pods("app=web", 0).await?;
    let sets = || async {
        Ok(cluster
            .namespace
            .replica_sets()
            .list(&ListParams::default())
            .await?
            .items
            .len())
    };
    wait::until("no ReplicaSet", sets, |count| *count == 0).await?;
    cluster.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hostile_guest_disturbs_no_other() -> Result<()> {
    let mut hostile = ModuleEntry::stock(HOSTILE);
    hostile.limits.cpu_budget = Some(Span(Duration::from_millis(50)));
    hostile.limits.memory = Some(Bytes(16 << 20));
    let cluster = InProcess::start(stock().into_iter().chain([hostile]).collect()).await?;
    let census = cluster.with_web().await?;
    // The name of a key is what the guest does wrong with it; a key that failed comes again.
    for misdeed in [
        "panic",
        "loop",
        "memory-bomb",
        "stack-overflow",
        "trap",
        "huge-result",
        "yield-loop",
    ] {
        cluster
            .module(HOSTILE)?
            .controller
            .queue
            .add(ObjectKey::new("default", misdeed));
    }
    cluster.roll().await?;
    cluster.rolled(&census).await?;
    let restarts = || async { cluster.restarts(HOSTILE) };
    wait::until("the hostile guest to restart", restarts, |restarts| *restarts > 1).await?;
    for name in STOCK {
        assert_eq!(cluster.restarts(name)?, 0, "{name} was disturbed");
    }
    cluster.stop().await;
    Ok(())
}
