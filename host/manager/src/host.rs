//! All modules of a host, started, changed and stopped in order.
//!
//! [`Platform`] is what everything of one process shares at one API server: the client,
//! discovery, the shared informers, the event recorder. [`Host`] runs the modules on it
//! and follows what the configuration says.
//! Start: platform, then the modules, each of which waits for its caches. Stop, in
//! reverse: the modules drain within the grace period, then the recorder flushes, then
//! the informers end. Every task is owned and awaited here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use futures::future::join_all;
use smol_str::SmolStr;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use windlass_cluster::call_budget::{CallBudget, Seat};
use windlass_cluster::client::ApiClient;
use windlass_cluster::discovery::DiscoveryCache;
use windlass_cluster::recorder::{EventRecorder, EventSinks};
use windlass_cluster::reflector::ReflectorConfig;
use windlass_cluster::registry::InformerRegistry;
use windlass_core::api_error::ApiError;
use windlass_core::seams::Discovery;
use windlass_core::workqueue::Workqueue;
use windlass_telemetry::otlp::Tracer;

use crate::calls::CallTap;
use crate::config::ModuleEntry;
use crate::controller::Controller;
use crate::grace::Grace;
use crate::loader::{Loader, Workshop};
use crate::mandate::{Mandate, MandateView, Replicas};
use crate::module::Module;
use crate::record::Recorder;
use crate::record::shadow::{ShadowView, Shadows};
use crate::supervisor::{Command, ModuleState, ModuleStatus, Supervisor};

/// Why a host could not start, or ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// Discovery did not answer.
    #[error("cannot discover the API server's resources: {0}")]
    Discovery(#[from] ApiError),
}

/// One module as others see it.
#[derive(Clone)]
pub struct ModuleHandle {
    /// Its name.
    pub name: SmolStr,
    /// Its queue and counters.
    pub controller: Arc<Controller>,
    /// Where it stands.
    pub status: watch::Receiver<ModuleStatus>,
    shadows: Shadows,
    /// Empty until the module may take part among the replicas.
    mandate: Arc<ArcSwapOption<MandateView>>,
    commands: mpsc::UnboundedSender<Command>,
}

impl ModuleHandle {
    /// How it shares its work with other replicas, if it does.
    pub(crate) fn mandate(&self) -> Option<Arc<MandateView>> {
        self.mandate.load_full()
    }

    /// What runs in its shadow, if anything does.
    #[must_use]
    pub fn shadow(&self) -> Option<ShadowView> {
        self.shadows.beside(&self.name)
    }

    /// Ends the module's instance at once, whatever it is doing, and lets its supervisor
    /// start another, as after a trap.
    pub fn restart(&self) {
        // A supervisor that is gone has nothing to restart.
        drop(self.commands.send(Command::Restart));
    }
}

/// What everything of one process shares at one API server.
pub struct Platform {
    /// The API server.
    pub client: ApiClient,
    /// Kinds to resources.
    pub discovery: Arc<DiscoveryCache>,
    /// Shared informers.
    pub informers: InformerRegistry,
    /// Where events go.
    pub recorder: EventRecorder,
    /// Calls over all modules; not limited at first.
    pub budget: CallBudget,
}

impl Platform {
    /// Discovers the server's resources and sets the rest up. `instance` names this
    /// process in events.
    ///
    /// # Errors
    /// When discovery fails.
    pub async fn start(client: ApiClient, instance: &str) -> Result<Self, HostError> {
        let discovery = Arc::new(DiscoveryCache::new(client.clone()));
        discovery.refresh().await?;
        let informers =
            InformerRegistry::new(client.clone(), Arc::clone(&discovery), ReflectorConfig::default());
        let budget = CallBudget::default();
        let recorder = EventRecorder::start(&client, instance, budget.seat());
        Ok(Self {
            client,
            discovery,
            informers,
            recorder,
            budget,
        })
    }

    /// Sends what events are left, for at most `grace`, and ends the informers.
    pub async fn stop(self, grace: Duration) {
        self.recorder.shut_down(grace).await;
        self.informers.shut_down().await;
    }
}

/// What a module is given by the host.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub(crate) client: ApiClient,
    /// The module's place in the budget of calls.
    pub(crate) seat: Seat,
    pub(crate) informers: InformerRegistry,
    pub(crate) discovery: Arc<dyn Discovery>,
    pub(crate) events: EventSinks,
    pub(crate) tap: Option<Arc<dyn CallTap>>,
    pub(crate) recorder: Option<Arc<Recorder>>,
    pub(crate) shadows: Shadows,
    pub(crate) tracer: Tracer,
}

/// How a host runs its modules.
pub struct HostOptions {
    /// Loads them.
    pub workshop: Workshop,
    /// What each gets for its last syncs when it stops or is replaced.
    pub grace: Duration,
    /// Told of every call of every module.
    pub tap: Option<Arc<dyn CallTap>>,
    /// How modules are shared with other replicas, if there may be any.
    pub replicas: Option<Replicas>,
    /// Records instances.
    pub recorder: Option<Arc<Recorder>>,
    /// Makes spans of syncs and API calls.
    pub tracer: Tracer,
}

/// A running host. Dropping it aborts everything; [`Host::stop`] ends it in order.
pub struct Host {
    surroundings: Surroundings,
    workshop: Workshop,
    grace: Grace,
    replicas: Option<Replicas>,
    budget: CallBudget,
    modules: BTreeMap<SmolStr, Hosted>,
    roster: Roster,
    /// Modules that were removed and drain.
    leaving: Vec<JoinHandle<()>>,
    stop: CancellationToken,
}

/// The modules that a host has at the moment, by name. Cheap to clone; clones show the same.
#[derive(Clone, Default)]
pub struct Roster(Arc<ArcSwap<Vec<ModuleHandle>>>);

impl Roster {
    /// The modules.
    #[must_use]
    pub fn modules(&self) -> Arc<Vec<ModuleHandle>> {
        self.0.load_full()
    }
}

/// One module's tasks.
struct Hosted {
    handle: ModuleHandle,
    entry: watch::Sender<Arc<ModuleEntry>>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Host {
    /// Starts modules that are loaded already.
    #[must_use]
    pub fn start(platform: &Platform, options: HostOptions, modules: Vec<Module>) -> Self {
        let mut host = Self {
            surroundings: Surroundings {
                client: platform.client.clone(),
                seat: platform.budget.seat(),
                informers: platform.informers.clone(),
                discovery: platform.discovery.clone(),
                events: platform.recorder.sinks(),
                tap: options.tap,
                recorder: options.recorder,
                shadows: Shadows::default(),
                tracer: options.tracer,
            },
            workshop: options.workshop,
            grace: Grace::new(options.grace),
            replicas: options.replicas,
            budget: platform.budget.clone(),
            modules: BTreeMap::new(),
            roster: Roster::default(),
            leaving: Vec::new(),
            stop: CancellationToken::new(),
        };
        // Before any of them begins, so that no shadow misses the beginning of another.
        for module in modules.iter().filter(|module| module.entry.shadow) {
            host.surroundings.shadows.expect(&module.name);
        }
        for module in modules {
            host.add(Arc::clone(&module.entry), Some(module), None);
        }
        host.call_roll();
        host
    }

    /// Runs exactly these modules from now on: adds, changes and removes what differs.
    /// Returns at once; what was removed drains beside the rest, and what is new begins
    /// only after that, because it may be the same controller under another name.
    pub fn apply(&mut self, entries: Vec<ModuleEntry>) {
        let wanted: BTreeMap<SmolStr, Arc<ModuleEntry>> = entries
            .into_iter()
            .map(|entry| (entry.name.clone(), Arc::new(entry)))
            .collect();
        self.leaving.retain(|task| !task.is_finished());
        let removed: Vec<SmolStr> = self
            .modules
            .keys()
            .filter(|name| {
                !wanted
                    .get(*name)
                    .is_some_and(|entry| self.can_become(name, entry))
            })
            .cloned()
            .collect();
        for name in removed {
            self.remove(&name);
        }
        let drained = self.drained();
        for entry in wanted.values() {
            match entry.shadow {
                true => self.surroundings.shadows.expect(&entry.name),
                false => self.surroundings.shadows.forget(&entry.name),
            }
        }
        for (name, entry) in wanted {
            match self.modules.get(&name) {
                Some(hosted) => {
                    hosted.entry.send_if_modified(|present| {
                        let changed = **present != *entry;
                        if changed {
                            *present = entry;
                        }
                        changed
                    });
                }
                None => self.add(entry, None, drained.clone()),
            }
        }
        self.call_roll();
    }

    /// How many bytes all caches together may hold; unset: any number. Modules that had to
    /// stop because there were too many start again.
    pub fn limit_caches(&self, limit_bytes: Option<usize>) {
        let informers = &self.surroundings.informers;
        let before = informers.cache_use().limit_bytes;
        informers.limit_caches(limit_bytes);
        if limit_bytes == before {
            return;
        }
        for hosted in self.modules.values() {
            // A supervisor that is gone has nothing to start.
            drop(hosted.handle.commands.send(Command::MoreRoom));
        }
    }

    fn call_roll(&self) {
        self.roster.0.store(Arc::new(self.modules()));
    }

    /// Whether a module can go on under another entry. Its part among the replicas is for life.
    fn can_become(&self, name: &str, entry: &ModuleEntry) -> bool {
        let present = self
            .modules
            .get(name)
            .map(|hosted| hosted.entry.borrow().leadership_mode());
        present == Some(entry.leadership_mode())
    }

    fn remove(&mut self, name: &str) {
        if let Some(hosted) = self.modules.remove(name) {
            tracing::info!(controller = %name, "module removed");
            self.surroundings.shadows.forget(name);
            hosted.stop.cancel();
            self.leaving.push(hosted.task);
        }
    }

    /// Cancelled once everything that leaves now has left; nothing if nothing does.
    fn drained(&mut self) -> Option<CancellationToken> {
        if self.leaving.is_empty() {
            return None;
        }
        let drained = CancellationToken::new();
        let (leaving, done) = (std::mem::take(&mut self.leaving), drained.clone());
        self.leaving.push(tokio::spawn(async move {
            join_all(leaving).await;
            done.cancel();
        }));
        Some(drained)
    }

    fn add(&mut self, entry: Arc<ModuleEntry>, ready: Option<Module>, after: Option<CancellationToken>) {
        let name = entry.name.clone();
        let controller = Arc::new(Controller::new(name.clone(), Workqueue::default()));
        let surroundings = Surroundings {
            seat: self.budget.seat(),
            ..self.surroundings.clone()
        };
        let supervisor = Supervisor::new(Arc::clone(&controller), surroundings, self.grace.clone());
        let (commands, told) = mpsc::unbounded_channel();
        let handle = ModuleHandle {
            name: name.clone(),
            controller,
            status: supervisor.status(),
            shadows: self.surroundings.shadows.clone(),
            mandate: Arc::default(),
            commands: commands.clone(),
        };
        let seen = Arc::clone(&handle.mandate);
        let (mode, replicas) = (entry.leadership_mode(), self.replicas.clone());
        let (entry, followed) = watch::channel(entry);
        let loader = Loader::new(self.workshop.clone(), commands, ready);
        let stop = self.stop.child_token();
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            if let Some(after) = after {
                after.cancelled().await;
            }
            // Only now: a module of the same name that was removed holds the same lease till then.
            let mandate = Mandate::of(&name, mode, replicas.as_ref());
            seen.store(mandate.view().map(Arc::new));
            tokio::join!(
                loader.run(followed, stopped.clone()),
                supervisor.run(mandate, told, stopped)
            );
        });
        let hosted = Hosted {
            handle,
            entry,
            stop,
            task,
        };
        self.modules.insert(hosted.handle.name.clone(), hosted);
    }

    /// What modules get from now on for their last syncs when they stop or are replaced.
    pub fn set_grace(&self, grace: Duration) {
        self.grace.set(grace);
    }

    /// Its modules, by name.
    #[must_use]
    pub fn modules(&self) -> Vec<ModuleHandle> {
        self.modules
            .values()
            .map(|hosted| hosted.handle.clone())
            .collect()
    }

    /// Its modules, for those who want to see them come and go.
    #[must_use]
    pub fn roster(&self) -> Roster {
        self.roster.clone()
    }

    /// Waits until every module serves.
    pub async fn wait_until_running(&self) {
        for mut module in self.modules() {
            let running = |status: &ModuleStatus| status.state == ModuleState::Running;
            // An error means that the supervisor has ended, and with it the wait.
            let _ = module.status.wait_for(running).await;
        }
    }

    /// Waits until every module has got past its first start: serves, has failed or is not
    /// meant to run here.
    pub async fn wait_until_settled(&self) {
        for mut module in self.modules() {
            let settled = |status: &ModuleStatus| status.state != ModuleState::Starting;
            // An error means that the supervisor has ended, and with it the wait.
            let _ = module.status.wait_for(settled).await;
        }
    }

    /// Lets every module drain and stop.
    pub async fn stop(mut self) {
        self.stop.cancel();
        let modules = std::mem::take(&mut self.modules);
        let tasks = modules.into_values().map(|hosted| hosted.task);
        for ended in join_all(tasks.chain(std::mem::take(&mut self.leaving))).await {
            if let Err(error) = ended {
                tracing::error!(%error, "a module ended badly");
            }
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
