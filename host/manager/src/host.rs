//! All modules of a host, started and stopped in order.
//!
//! [`Platform`] is what everything of one process shares at one API server: the client,
//! discovery, the shared informers, the event recorder. [`Host`] runs the modules on it.
//! Start: platform, then the modules, each of which waits for its caches. Stop, in
//! reverse: the modules drain within the grace period, then the recorder flushes, then
//! the informers end. Every task is owned and awaited here.

use std::sync::Arc;
use std::time::Duration;

use smol_str::SmolStr;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use windlass_cluster::client::ApiClient;
use windlass_cluster::discovery::DiscoveryCache;
use windlass_cluster::recorder::EventRecorder;
use windlass_cluster::reflector::ReflectorConfig;
use windlass_cluster::registry::InformerRegistry;
use windlass_core::api_error::ApiError;

use crate::calls::CallTap;
use crate::controller::Controller;
use crate::module::Module;
use crate::supervisor::{ModuleState, SetupError, Supervisor, Surroundings};

/// Why a host could not start, or ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// Discovery did not answer.
    #[error("cannot discover the API server's resources: {0}")]
    Discovery(#[from] ApiError),
    /// A module cannot be set up.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// A supervisor ended without being told to.
    #[error("the supervisor of a module ended unexpectedly: {0}")]
    Lost(String),
}

/// One module as others see it.
#[derive(Clone)]
pub struct ModuleHandle {
    /// Its name.
    pub name: SmolStr,
    /// Its queue and counters.
    pub controller: Arc<Controller>,
    /// Where it stands.
    pub state: watch::Receiver<ModuleState>,
    restart: Arc<Notify>,
}

impl ModuleHandle {
    /// Ends the module's instance at once, whatever it is doing, and lets its supervisor
    /// start another, as after a trap.
    pub fn restart(&self) {
        self.restart.notify_one();
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
        let recorder = EventRecorder::start(&client, instance);
        Ok(Self {
            client,
            discovery,
            informers,
            recorder,
        })
    }

    /// Sends what events are left, for at most `grace`, and ends the informers.
    pub async fn stop(self, grace: Duration) {
        self.recorder.shut_down(grace).await;
        self.informers.shut_down().await;
    }
}

/// A running host. Dropping it aborts everything; [`Host::stop`] ends it in order.
pub struct Host {
    modules: Vec<ModuleHandle>,
    supervisors: JoinSet<Result<(), SetupError>>,
    stop: CancellationToken,
}

impl Host {
    /// Starts every module. `grace` is what each gets for its last syncs when stopping.
    ///
    /// # Errors
    /// When a module cannot be set up; nothing is left running then.
    pub fn start(
        platform: &Platform,
        modules: Vec<Module>,
        grace: Duration,
        tap: Option<Arc<dyn CallTap>>,
    ) -> Result<Self, HostError> {
        let surroundings = Surroundings {
            client: platform.client.clone(),
            informers: platform.informers.clone(),
            discovery: platform.discovery.clone(),
            tap,
        };
        let mut host = Self {
            modules: Vec::new(),
            supervisors: JoinSet::new(),
            stop: CancellationToken::new(),
        };
        for module in modules {
            let events = platform.recorder.sink(&module.guest.manifest.name);
            let supervisor = Supervisor::new(module, &surroundings, events)?;
            let controller = supervisor.controller();
            host.modules.push(ModuleHandle {
                name: controller.name.clone(),
                controller,
                state: supervisor.state(),
                restart: supervisor.restart(),
            });
            host.supervisors.spawn(supervisor.run(grace, host.stop.clone()));
        }
        Ok(host)
    }

    /// Its modules.
    #[must_use]
    pub fn modules(&self) -> &[ModuleHandle] {
        &self.modules
    }

    /// Waits until every module serves.
    pub async fn wait_until_running(&mut self) {
        for module in &mut self.modules {
            // An error means that the supervisor has ended; `watch` reports that.
            let _ = module
                .state
                .wait_for(|state| *state == ModuleState::Running)
                .await;
        }
    }

    /// Waits for a module's supervisor to end by itself, which is never in order.
    pub async fn failed(&mut self) -> HostError {
        match self.supervisors.join_next().await {
            Some(Ok(Err(error))) => error.into(),
            Some(Ok(Ok(()))) => HostError::Lost("it stopped".to_owned()),
            Some(Err(error)) => HostError::Lost(error.to_string()),
            None => std::future::pending().await,
        }
    }

    /// Lets every module drain and stop.
    pub async fn stop(mut self) {
        self.stop.cancel();
        while let Some(ended) = self.supervisors.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "supervisor ended badly");
            }
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
