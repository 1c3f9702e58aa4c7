//! Keeps one module running: subscribes, instantiates, runs the loop, and after a failure
//! starts over with a back-off.
//!
//! Promises: a failure costs one instance; the queue and its keys outlive it; a new
//! instance sees the whole present content again before its first sync.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use smol_str::SmolStr;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use windlass_cluster::client::ApiClient;
use windlass_cluster::module_client::{ModuleClient, ModuleClientConfig, ModuleClientError, WriteObserver};
use windlass_cluster::registry::{InformerRegistry, SubscribeError};
use windlass_cluster::subscription::Subscription;
use windlass_core::gate::{Gate, Write};
use windlass_core::outcome::GuestFailure;
use windlass_core::rate_limiter::{Backoff, BackoffConfig};
use windlass_core::seams::{DeltaBatch, Discovery, EventSink, Services, SyncId};
use windlass_core::workqueue::{QueueConfig, Workqueue};

use crate::calls::{CallTap, Calls};
use crate::controller::{Caches, Controller, DeltaSource, LoopEnd, Timing};
use crate::module::Module;

/// Where a module stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModuleState {
    /// Instantiated, or about to be; its caches are filling.
    Starting,
    /// Serving.
    Running,
    /// Its last instance failed; the next one starts later.
    BackOff {
        /// Why.
        failure: GuestFailure,
        /// How long from the failure.
        delay: Duration,
    },
    /// Told to stop, and stopped.
    Stopped,
}

/// What a module is given by the host.
#[derive(Clone)]
pub struct Surroundings {
    /// The API server.
    pub client: ApiClient,
    /// Shared informers.
    pub informers: InformerRegistry,
    /// Kinds to resources.
    pub discovery: Arc<dyn Discovery>,
    /// Told of every call of every module.
    pub tap: Option<Arc<dyn CallTap>>,
}

/// A module under supervision.
pub struct Supervisor {
    module: Module,
    controller: Arc<Controller>,
    informers: InformerRegistry,
    services: ServicesTemplate,
    state: watch::Sender<ModuleState>,
    restart: Arc<Notify>,
}

/// Everything of [`Services`] but the reader, which changes with the subscription.
struct ServicesTemplate {
    calls: Calls,
    events: Arc<dyn EventSink>,
    discovery: Arc<dyn Discovery>,
    config: Bytes,
}

/// A module cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// Its client cannot be made.
    #[error(transparent)]
    Client(#[from] ModuleClientError),
    /// Its watches cannot be served.
    #[error("module {module}: {source}")]
    Watches {
        /// The module.
        module: SmolStr,
        /// Why.
        source: SubscribeError,
    },
}

impl Supervisor {
    /// Sets a module up without starting it.
    ///
    /// # Errors
    /// See [`SetupError`].
    pub fn new(
        module: Module,
        surroundings: &Surroundings,
        events: Arc<dyn EventSink>,
    ) -> Result<Self, SetupError> {
        let config = QueueConfig {
            limit: module.queue_length,
            ..QueueConfig::default()
        };
        let controller = Arc::new(Controller::new(
            module.name.clone(),
            Arc::clone(&module.guest.manifest),
            Workqueue::new(config),
            Arc::new(Gate::new()),
            module.workers,
        ));
        let observer = Arc::new(Writes(Arc::clone(&controller)));
        let client_config = ModuleClientConfig {
            module: module.name.clone(),
            grants: module.grants.clone(),
            qps: module.api_qps,
            burst: module.api_burst,
            max_in_flight: module.api_in_flight,
            impersonate: None,
        };
        let writer = ModuleClient::new(surroundings.client.clone(), client_config, Some(observer))?;
        let services = ServicesTemplate {
            calls: Calls::new(module.name.clone(), Arc::new(writer), surroundings.tap.clone()),
            events,
            discovery: Arc::clone(&surroundings.discovery),
            config: module.config.clone(),
        };
        let (state, _) = watch::channel(ModuleState::Starting);
        let restart = Arc::new(Notify::new());
        Ok(Self {
            module,
            controller,
            informers: surroundings.informers.clone(),
            services,
            state,
            restart,
        })
    }

    /// Notifying it drops the running instance as it stands, as a trap would.
    #[must_use]
    pub fn restart(&self) -> Arc<Notify> {
        Arc::clone(&self.restart)
    }

    /// The module's controller.
    #[must_use]
    pub fn controller(&self) -> Arc<Controller> {
        Arc::clone(&self.controller)
    }

    /// Where the module stands.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<ModuleState> {
        self.state.subscribe()
    }

    /// Runs the module until `stop` is cancelled, then drains within `grace`.
    ///
    /// # Errors
    /// When its watches cannot be served at all.
    pub async fn run(self, grace: Duration, stop: CancellationToken) -> Result<(), SetupError> {
        let mut backoff = Backoff::new(BackoffConfig::GUEST);
        // Held until the next subscription exists, so that the informers go on in between.
        let mut previous: Option<Subscription> = None;
        while !stop.is_cancelled() {
            self.state.send_replace(ModuleState::Starting);
            let mut subscription = self.subscribe()?;
            drop(previous.take());
            let end = tokio::select! {
                end = self.run_instance(&mut subscription, grace, &stop) => end,
                () = self.restart.notified() => LoopEnd::Failed(GuestFailure::Stopped),
            };
            // In this order: an answer that comes late belongs to a key that is still in flight.
            self.services.calls.idle().await;
            self.controller.requeue_in_flight();
            let LoopEnd::Failed(failure) = end else { break };
            self.controller.stats.restarts.fetch_add(1, Ordering::Relaxed);
            let delay = backoff.next_delay(Instant::now());
            tracing::error!(controller = %self.module.name, reason = failure.label(), error = %failure, ?delay, "guest failed, will start again");
            self.state.send_replace(ModuleState::BackOff { failure, delay });
            previous = Some(subscription);
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                () = stop.cancelled() => {}
            }
        }
        self.controller.queue.shut_down();
        self.state.send_replace(ModuleState::Stopped);
        Ok(())
    }

    fn subscribe(&self) -> Result<Subscription, SetupError> {
        self.informers
            .subscribe(&self.module.guest.manifest.watches)
            .map_err(|source| SetupError::Watches {
                module: self.module.name.clone(),
                source,
            })
    }

    async fn run_instance(
        &self,
        subscription: &mut Subscription,
        grace: Duration,
        stop: &CancellationToken,
    ) -> LoopEnd {
        let lister = subscription.lister();
        let services = Services {
            reader: lister.clone(),
            writer: Arc::new(self.services.calls.clone()),
            events: Arc::clone(&self.services.events),
            queue: self.controller.clone(),
            discovery: Arc::clone(&self.services.discovery),
            config: self.services.config.clone(),
        };
        let (guest, driver) = match self
            .module
            .guest
            .instantiate(services, self.module.limits.clone())
            .await
        {
            Ok(instance) => instance,
            Err(failure) => return LoopEnd::Failed(failure),
        };
        let caches = Caches {
            reader: lister.clone(),
            progress: lister,
            progressed: subscription.progressed(),
        };
        let timing = Timing {
            start_timeout: self.module.start_timeout(),
            grace,
        };
        let started = || {
            tracing::info!(controller = %self.module.name, "controller started");
            self.state.send_replace(ModuleState::Running);
        };
        // Both in this task, so that a call into the guest costs no switch of threads.
        tokio::select! {
            biased;
            end = self.controller.run(&guest, subscription, &caches, timing, started, stop) => end,
            failure = driver => LoopEnd::Failed(failure),
        }
    }
}

impl DeltaSource for Subscription {
    async fn next(&mut self) -> Vec<DeltaBatch> {
        Self::next(self).await
    }

    fn has_synced(&self) -> bool {
        Self::has_synced(self)
    }
}

/// Joins a module's writes to the syncs that made them.
struct Writes(Arc<Controller>);

impl WriteObserver for Writes {
    fn wrote(&self, sync: SyncId, write: Write) {
        if let Some(key) = self.0.key_of(sync) {
            self.0.gate.record(&key, write, Instant::now());
        }
    }
}
