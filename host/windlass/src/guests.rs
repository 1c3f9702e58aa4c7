//! From what a user names (stock guests, a configuration) to loaded modules, and from
//! there to a host that follows the configuration.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use cap_std::ambient_authority;
use cap_std::fs::{Dir, DirBuilder};
use windlass_cluster::call_budget::CallBudget;
use windlass_engine::engine::{Engine, EngineConfig};
use windlass_manager::calls::CallTap;
use windlass_manager::config::{HostConfiguration, ModuleEntry};
use windlass_manager::controller_modules::ControllerModules;
use windlass_manager::controller_modules::status::Reporter;
use windlass_manager::host::{Host, HostOptions, Platform};
use windlass_manager::loader::Workshop;
use windlass_manager::mandate::Replicas;
use windlass_manager::module::Module;
use windlass_manager::record::Recorder;
use windlass_manager::sources::Sources;
use windlass_manager::status::HostView;
use windlass_registry::cache::Cache;
use windlass_telemetry::server::{self, Listening, ServerConfig, ServerHandle, StartError};

use crate::args::HostArgs;
use crate::configuration::Followed;
use crate::logging::Logging;
use crate::settings::Settings;
use crate::signals::Hangups;
use crate::stock;
use crate::telemetry::Telemetry;

/// How long loading may take before the user is told what takes so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);
/// How much of what was pulled is kept.
const REGISTRY_CACHE_BYTES: u64 = 1 << 30;

/// Modules that are loaded and wait for a cluster.
pub(crate) struct Setup {
    workshop: Workshop,
    modules: Vec<Module>,
    settings: Settings,
    /// Taken before anything runs, so that a port in use costs nobody a lease.
    status: Option<Listening>,
    identity: String,
    followed: Option<Followed>,
}

/// A host, what shows it, and the configuration that it follows.
pub(crate) struct Hosting {
    pub(crate) host: Host,
    pub(crate) status: Option<ServerHandle>,
    /// To be stopped last, so that it learns of everything and delays nobody.
    pub(crate) telemetry: Telemetry,
    workshop: Workshop,
    budget: CallBudget,
    settings: Settings,
    followed: Option<Followed>,
    /// Modules from objects, where a configuration says whether there are any.
    objects: Option<ControllerModules>,
}

impl Setup {
    /// The modules of a configuration file, and what it says of the host.
    pub(crate) async fn configured(args: &HostArgs, logging: &Logging, file: &Path) -> anyhow::Result<Self> {
        let mut followed = Followed::read(file).await?;
        let settings = Settings::adopt(args, logging, followed.configuration())?;
        followed.expand().await;
        let workshop = workshop(args.cache_dir.as_deref(), Some(&followed))?;
        // What is here is right from the start or an error. Registries and clusters may
        // not answer yet, and one file of many must not keep the others from starting.
        let here = |entry: &&ModuleEntry| {
            entry.enabled && (entry.source.stock.is_some() || entry.source.file.is_some())
        };
        let entries = followed.configuration().modules.iter().filter(here);
        let modules = load(&workshop, entries.cloned().map(Arc::new).collect()).await?;
        Ok(Self {
            workshop,
            modules,
            settings,
            status: listen(args.status_address(followed.configuration())).await?,
            identity: identity(),
            followed: Some(followed),
        })
    }

    /// Every stock guest: what `windlass up` runs without a configuration. Their calls are
    /// not limited, because nobody else needs the embedded API server's time.
    pub(crate) async fn all_stock(args: &HostArgs, logging: &Logging) -> anyhow::Result<Self> {
        let unlimited = |name| {
            let mut entry = ModuleEntry::stock(name);
            entry.limits.api_qps = Some(0);
            Arc::new(entry)
        };
        let workshop = workshop(args.cache_dir.as_deref(), None)?;
        let modules = load(&workshop, stock::names().map(unlimited).collect()).await?;
        Ok(Self {
            workshop,
            modules,
            settings: Settings::defaults(args, logging),
            status: listen(args.status_address(&HostConfiguration::default())).await?,
            identity: identity(),
            followed: None,
        })
    }

    /// No modules.
    pub(crate) async fn empty(args: &HostArgs, logging: &Logging) -> anyhow::Result<Self> {
        Ok(Self {
            workshop: workshop(args.cache_dir.as_deref(), None)?,
            modules: Vec::new(),
            settings: Settings::defaults(args, logging),
            status: listen(args.status_address(&HostConfiguration::default())).await?,
            identity: identity(),
            followed: None,
        })
    }

    /// What the configuration file says, if there is one.
    pub(crate) fn configuration(&self) -> Option<&HostConfiguration> {
        self.followed.as_ref().map(Followed::configuration)
    }

    /// Starts them, and what shows them.
    pub(crate) async fn start(
        self,
        platform: &Platform,
        tap: Option<Arc<dyn CallTap>>,
        replicas: Option<Replicas>,
    ) -> anyhow::Result<Hosting> {
        self.start_recorded(platform, tap, replicas, None).await
    }

    /// The same, recorded.
    pub(crate) async fn start_recorded(
        self,
        platform: &Platform,
        tap: Option<Arc<dyn CallTap>>,
        replicas: Option<Replicas>,
        recorder: Option<Arc<Recorder>>,
    ) -> anyhow::Result<Hosting> {
        let mut telemetry = Telemetry::start(self.configuration(), &self.identity)?;
        let objects = match &self.followed {
            Some(followed) => {
                let reporter = reporter(followed.configuration(), replicas.as_ref(), &self.identity);
                Some(ControllerModules::start(platform, reporter, replicas.clone())?)
            }
            None => None,
        };
        let options = HostOptions {
            workshop: self.workshop.clone(),
            grace: self.settings.shutdown_grace(self.configuration()),
            tap,
            replicas: replicas.clone(),
            recorder,
            tracer: telemetry.tracer(),
        };
        self.workshop.sources.attach(platform.client.clone());
        self.settings.limit(&platform.budget);
        if let Some(followed) = &self.followed {
            platform.informers.limit_caches(followed.cache_limit());
        }
        let host = Host::start(platform, options, self.modules);
        let view = HostView::new(&self.identity, platform, replicas, host.roster());
        let view = Arc::new(view.with_tracer(telemetry.tracer()));
        telemetry.send_metrics(view.clone())?;
        let mut hosting = Hosting {
            host,
            status: None,
            telemetry,
            workshop: self.workshop,
            budget: platform.budget.clone(),
            settings: self.settings,
            followed: self.followed,
            objects,
        };
        // Those that are disabled or not loaded yet, too.
        hosting.apply();
        hosting.status = self.status.map(|listening| {
            let server = server::serve(listening, &ServerConfig::default(), view);
            tracing::info!(address = %server.address(), "serving status, health and metrics");
            server
        });
        Ok(hosting)
    }
}

async fn listen(address: Option<SocketAddr>) -> Result<Option<Listening>, StartError> {
    match address {
        Some(address) => Ok(Some(server::listen(address).await?)),
        None => Ok(None),
    }
}

/// What ControllerModules call this replica.
fn reporter(configuration: &HostConfiguration, replicas: Option<&Replicas>, identity: &str) -> Reporter {
    Reporter {
        host: configuration.leader_election.group.clone(),
        replica: replicas.map_or_else(|| identity.into(), |replicas| replicas.identity.clone()),
    }
}

impl Hosting {
    /// How long running syncs get to end at this moment.
    pub(crate) fn shutdown_grace(&self) -> Duration {
        let configuration = self.followed.as_ref().map(Followed::configuration);
        self.settings.shutdown_grace(configuration)
    }

    /// Stops in order: readiness, the modules, what shows them. What is left to send is
    /// the caller's to stop.
    pub(crate) async fn stop(self) -> Telemetry {
        if let Some(status) = &self.status {
            status.set_stopping();
        }
        if let Some(objects) = self.objects {
            objects.stop().await;
        }
        self.host.stop().await;
        if let Some(status) = self.status {
            status.shutdown().await;
        }
        self.telemetry
    }

    /// Follows the configuration file and the objects that it lets be modules; a hangup
    /// signal has everything looked at again. Never ends. What is wrong is logged, and the
    /// last good configuration goes on.
    pub(crate) async fn follow(&mut self, hangups: &mut Hangups) {
        let mut changes = self.followed.as_ref().map(|followed| followed.changes());
        loop {
            let changed = async {
                let told = match &mut changes {
                    Some(changes) => changes.changed().await.is_ok(),
                    None => false,
                };
                if !told {
                    std::future::pending::<()>().await;
                }
            };
            let objects = async {
                match &mut self.objects {
                    Some(objects) => objects.changed().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = hangups.next() => {
                    tracing::info!("hangup signal, looking at every source again");
                    self.workshop.sources.refresh();
                }
                () = changed => {}
                () = objects => {
                    self.apply();
                    continue;
                }
            }
            self.take_up().await;
        }
    }

    async fn take_up(&mut self) {
        let Some(followed) = &mut self.followed else {
            return;
        };
        if followed.look_again().await {
            tracing::info!(modules = followed.modules().len(), "configuration changed");
            self.settings
                .follow(followed.configuration(), &self.host, &self.budget);
            self.workshop.sources.configure(followed.configuration());
            self.host.limit_caches(followed.cache_limit());
            self.apply();
        }
    }

    /// Runs the modules of the configuration and of the objects beside it.
    fn apply(&mut self) {
        let Some(followed) = &self.followed else {
            return;
        };
        match &mut self.objects {
            Some(objects) => {
                let modules = objects.join(followed.configuration(), followed.modules());
                self.host.apply(modules);
                objects.report(&self.host);
            }
            None => self.host.apply(followed.modules().to_vec()),
        }
    }
}

/// Names this process in events and leases: the machine's name, or the pod's inside a cluster.
pub(crate) fn identity() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    if name.trim().is_empty() {
        "windlass".to_owned()
    } else {
        name.trim().to_owned()
    }
}

/// The enabled modules of a configuration file, for a look at them; without one, of
/// `configuration`.
pub(crate) async fn load_entries(
    cache_dir: Option<&Path>,
    file: Option<&Path>,
    configuration: &HostConfiguration,
) -> anyhow::Result<Vec<Module>> {
    let followed = match file {
        Some(file) => Some(Followed::open(file).await?),
        None => None,
    };
    let workshop = workshop(cache_dir, followed.as_ref())?;
    let entries = followed
        .as_ref()
        .map_or(&*configuration.modules, Followed::modules);
    let enabled = entries.iter().filter(|entry| entry.enabled);
    load(&workshop, enabled.cloned().map(Arc::new).collect()).await
}

/// What loads modules, those of a configuration if one is given.
pub(crate) fn workshop(cache_dir: Option<&Path>, followed: Option<&Followed>) -> anyhow::Result<Workshop> {
    let configuration = followed.map(Followed::configuration);
    let configured = configuration.and_then(|configuration| configuration.cache_dir.as_deref());
    let cache_dir = cache_dir.or(configured.map(Path::new));
    let engine = engine(cache_dir)?;
    let folder = followed.map(Followed::folder);
    let mut sources =
        Sources::new(stock::bytes, stock::names().collect(), folder).with_docker_folder(docker_folder());
    if let Some(cache) = registry_cache(cache_dir)? {
        sources = sources.with_registry_cache(cache);
    }
    if let Some(configuration) = configuration {
        sources.configure(configuration);
    }
    Ok(Workshop::new(engine, Arc::new(sources)))
}

/// Loads modules side by side, and says so when it takes long.
async fn load(workshop: &Workshop, entries: Vec<Arc<ModuleEntry>>) -> anyhow::Result<Vec<Module>> {
    let loading = entries.iter().map(|entry| async {
        let loaded = workshop.load(entry).await;
        loaded.with_context(|| format!("module {}", entry.name))
    });
    let mut loading = pin!(futures::future::join_all(loading));
    let loaded = match tokio::time::timeout(PATIENCE, &mut loading).await {
        Ok(loaded) => loaded,
        Err(_) => {
            anstream::eprintln!("Compiling guests; the next start finds them in the cache …");
            loading.await
        }
    };
    loaded.into_iter().collect()
}

/// An engine that keeps compiled code in `cache_dir`, or in the user's cache folder.
pub(crate) fn engine(cache_dir: Option<&Path>) -> anyhow::Result<Engine> {
    let cache_dir = cache_folder(cache_dir)
        .map(|folder| open_cache(&folder))
        .transpose()?;
    Ok(Engine::new(EngineConfig {
        cache_dir,
        ..EngineConfig::default()
    })?)
}

/// What was pulled is kept in a folder of the same.
pub(crate) fn registry_cache(cache_dir: Option<&Path>) -> anyhow::Result<Option<Cache>> {
    let Some(folder) = cache_folder(cache_dir).map(|folder| folder.join("registry")) else {
        return Ok(None);
    };
    let cache = Cache::open(open_cache(&folder)?, REGISTRY_CACHE_BYTES);
    Ok(Some(cache.with_context(|| {
        format!("cannot use the cache folder {}", folder.display())
    })?))
}

/// Where everything is kept that can be made again.
pub(crate) fn cache_folder(cache_dir: Option<&Path>) -> Option<PathBuf> {
    let users = || {
        set("XDG_CACHE_HOME")
            .or_else(|| set("HOME").map(|home| home.join(".cache")))
            .map(|cache| cache.join("windlass"))
    };
    cache_dir.map(Path::to_owned).or_else(users)
}

/// Where Docker keeps its configuration.
pub(crate) fn docker_folder() -> Option<PathBuf> {
    set("DOCKER_CONFIG").or_else(|| set("HOME").map(|home| home.join(".docker")))
}

/// A path in an environment variable.
fn set(name: &str) -> Option<PathBuf> {
    std::env::var_os(name)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

fn open_cache(folder: &Path) -> anyhow::Result<Dir> {
    open_private(folder).with_context(|| {
        format!(
            "cannot use the cache folder {}; name another with --cache-dir",
            folder.display()
        )
    })
}

/// Opens a folder, creating it for its owner alone: what is found in it runs as native code.
fn open_private(folder: &Path) -> std::io::Result<Dir> {
    let parent = folder.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent)?;
    if !folder.exists() {
        use cap_std::fs::DirBuilderExt;
        let name = folder.file_name().ok_or(std::io::ErrorKind::InvalidInput)?;
        let parent = Dir::open_ambient_dir(
            if parent.as_os_str().is_empty() {
                Path::new(".")
            } else {
                parent
            },
            ambient_authority(),
        )?;
        let mut builder = DirBuilder::new();
        builder.mode(0o700);
        parent.create_dir_with(name, &builder)?;
    }
    Dir::open_ambient_dir(folder, ambient_authority())
}
