//! What the `windlass` binary puts together, in the test's own process, with a handle on
//! each module.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use futures::future::try_join_all;
use kube::config::{KubeConfigOptions, Kubeconfig};
use tempfile::TempDir;
use windlass_apiserver::{Scheme, ServerConfig, ServerHandle};
use windlass_cluster::client::ApiClient;
use windlass_cluster::connect::ConnectOptions;
use windlass_engine::engine::{Engine, EngineConfig};
use windlass_kubelet::agent::{AgentHandle, NodeAgent};
use windlass_kubelet::config::AgentConfig;
use windlass_manager::config::{ModuleEntry, SourceEntry};
use windlass_manager::folder::Folder;
use windlass_manager::host::{Host, HostOptions, ModuleHandle, Platform};
use windlass_manager::loader::Workshop;
use windlass_manager::record::Recorder;
use windlass_manager::sources::Sources;
use windlass_manager::supervisor::{ModuleState, ModuleStatus};
use windlass_registry::cache::Cache;
use windlass_telemetry::otlp::Tracer;

use crate::builds::{Build, Builds};
use crate::cluster::Namespace;
use crate::wait;

/// How long everything gets to stop.
pub const GRACE: Duration = Duration::from_secs(5);

/// The names of the stock guests.
pub const STOCK: [&str; 4] = ["deployment", "replicaset", "scheduler", "garbage-collector"];

/// Who else learns of what a host does; nobody by default.
#[derive(Default)]
pub struct Followers {
    /// Records instances.
    pub recorder: Option<Arc<Recorder>>,
    /// Makes spans.
    pub tracer: Tracer,
}

/// An API server, nodes and a host.
pub struct InProcess {
    /// The API server.
    pub server: ServerHandle,
    /// What modules share.
    pub platform: Platform,
    /// The modules.
    pub host: Host,
    /// Loads them.
    pub workshop: Workshop,
    /// The namespace that tests work in.
    pub namespace: Namespace,
    agent: AgentHandle,
    /// What was pulled from registries.
    _cache: TempDir,
}

impl InProcess {
    /// Starts everything. The modules' files are read from `folder`.
    pub async fn start(folder: &Path, nodes: u32, modules: Vec<ModuleEntry>) -> Result<Self> {
        Self::start_followed(folder, nodes, modules, Followers::default()).await
    }

    /// The same, with somebody who follows it.
    pub async fn start_followed(
        folder: &Path,
        nodes: u32,
        modules: Vec<ModuleEntry>,
        followers: Followers,
    ) -> Result<Self> {
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
        let mut agent = AgentConfig::with_nodes(nodes);
        agent.latencies.creating_to_running = Duration::from_millis(50);
        let agent = NodeAgent::start(&platform.client, &platform.informers, None, agent).await?;
        let cache = tempfile::tempdir()?;
        let workshop = workshop(folder, cache.path())?;
        workshop.sources.attach(platform.client.clone());
        let loading = modules.into_iter().map(Arc::new).map(|entry| {
            let workshop = workshop.clone();
            async move { workshop.load(&entry).await }
        });
        let options = HostOptions {
            workshop: workshop.clone(),
            grace: GRACE,
            tap: None,
            replicas: None,
            recorder: followers.recorder,
            tracer: followers.tracer,
        };
        let host = Host::start(&platform, options, try_join_all(loading).await?);
        host.wait_until_running().await;
        let namespace = Namespace {
            client: kube::Client::try_from(config)?,
            name: "default".to_owned(),
        };
        Ok(Self {
            server,
            platform,
            host,
            workshop,
            namespace,
            agent,
            _cache: cache,
        })
    }

    /// One module.
    pub fn module(&self, name: &str) -> Result<ModuleHandle> {
        let modules = self.host.modules();
        let found = modules.into_iter().find(|module| module.name == name);
        found.with_context(|| format!("no module {name}"))
    }

    /// Waits until the status of a module is as it should be.
    pub async fn wait_for(
        &self,
        name: &str,
        what: &str,
        holds: impl Fn(&ModuleStatus) -> bool,
    ) -> Result<ModuleStatus> {
        let mut status = self.module(name)?.status;
        match tokio::time::timeout(wait::LIMIT, status.wait_for(&holds)).await {
            Ok(status) => Ok(status?.clone()),
            Err(_) => anyhow::bail!(
                "{name}: waited for {what}; now {:?}",
                self.module(name)?.status.borrow()
            ),
        }
    }

    /// Waits until the latest change of a module was refused for a reason with this in it.
    pub async fn wait_refused(&self, name: &str, reason: &str) -> Result<ModuleStatus> {
        let rejected =
            |status: &ModuleStatus| status.reload.as_ref().and_then(|reload| reload.rejected.clone());
        // The reason is told first, the state that follows from it after that.
        let refused = |status: &ModuleStatus| {
            status.state != ModuleState::Starting
                && rejected(status).is_some_and(|text| text.contains(reason))
        };
        self.wait_for(name, &format!("refusal: {reason}"), refused).await
    }

    /// Waits until a module serves a component of this digest.
    pub async fn wait_serving(&self, name: &str, digest: &str) -> Result<ModuleStatus> {
        let serves = |status: &ModuleStatus| {
            let serving = status.serving.as_ref();
            status.state == ModuleState::Running
                && serving.is_some_and(|module| module.guest.digest == digest)
        };
        self.wait_for(name, &format!("component {digest}"), serves).await
    }

    /// Replaces the guest of a module so many times, by new, old and broken builds, each
    /// when the change before has been dealt with. It has to serve all the time.
    pub async fn replace(&self, builds: &Builds, name: &str, times: usize) -> Result<()> {
        let changes = |status: &ModuleStatus| status.reloads_applied + status.reloads_rejected;
        for build in Build::SUCCESSION.into_iter().cycle().take(times) {
            let before = changes(&self.module(name)?.status.borrow());
            builds.replace(name, build)?;
            let changed = |status: &ModuleStatus| changes(status) > before;
            let status = self.wait_for(name, "the change", changed).await?;
            let rejected = status.reload.and_then(|reload| reload.rejected);
            ensure!(
                rejected.is_none() == build.is_good(),
                "{name} {build:?}: {rejected:?}"
            );
            ensure!(
                status.state == ModuleState::Running,
                "{name} {build:?}: {:?}",
                status.state
            );
        }
        Ok(())
    }

    /// How often a module's instance failed.
    pub fn restarts(&self, name: &str) -> Result<u64> {
        Ok(self.module(name)?.controller.failures().values().sum())
    }

    /// Drops the running instance of a module and returns once its supervisor has noticed.
    pub async fn restart(&self, name: &str) -> Result<()> {
        let mut module = self.module(name)?;
        module
            .status
            .wait_for(|status| status.state == ModuleState::Running)
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

    /// Ends everything, clients of the server first.
    pub async fn stop(self) {
        self.host.stop().await;
        self.agent.stop().await;
        self.platform.stop(GRACE).await;
        self.server.shutdown().await;
    }
}

/// A module from a file, its needs granted and its calls not limited.
#[must_use]
pub fn from_file(name: &str, file: &str) -> ModuleEntry {
    let mut entry = ModuleEntry::stock(name);
    entry.source = SourceEntry::file(file);
    entry.grant_declared = Some(true);
    entry.limits.api_qps = Some(0);
    entry
}

/// A module from anywhere, its needs granted and its calls not limited.
#[must_use]
pub fn from_source(name: &str, source: SourceEntry) -> ModuleEntry {
    ModuleEntry {
        source,
        ..from_file(name, "")
    }
}

/// The stock guests, from the files that they were built to.
#[must_use]
pub fn stock() -> Vec<ModuleEntry> {
    let entry = |name: &&str| from_file(name, &format!("{name}.wasm"));
    STOCK.iter().map(entry).collect()
}

/// Compiled code is kept for the next test.
fn workshop(folder: &Path, pulled: &Path) -> Result<Workshop> {
    let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tmp/guest-cache");
    std::fs::create_dir_all(&cache)?;
    let cache_dir = Some(Dir::open_ambient_dir(&cache, ambient_authority())?);
    let engine = Engine::new(EngineConfig {
        cache_dir,
        ..EngineConfig::default()
    })?;
    let folder =
        Folder::open(folder).with_context(|| format!("{}: run `make guests` first", folder.display()))?;
    let pulled = Cache::open(Dir::open_ambient_dir(pulled, ambient_authority())?, 1 << 30)?;
    let sources = Sources::new(|_| None, Vec::new(), Some(Arc::new(folder))).with_registry_cache(pulled);
    Ok(Workshop::new(engine, Arc::new(sources)))
}
