//! What a store holds besides the guest: what the imports need to answer it.

use std::sync::Arc;

use bytes::Bytes;
use hashbrown::HashMap;
use smol_str::SmolStr;
use tokio::time::Instant;
use wasmtime::component::GuestTaskId;
use wasmtime::{Store, UpdateDeadline};
use windlass_core::key::{ObjectKey, Resource};
use windlass_core::manifest::{Manifest, View, WatchId, WatchSpec, WatchTarget};
use windlass_core::seams::{Ambient, Services};

use crate::ambient::SystemAmbient;
use crate::custom_metrics::DeclaredMetrics;
use crate::failure::ContractBreach;
use crate::imports::wasi::Streams;
use crate::limits::{Limits, MemoryLimiter};
use crate::log_budget::LogBudget;
use crate::meter::{CpuMeter, Tick};
use crate::open_plugins::OpenPlugins;
use crate::plugin::Plugins;
use crate::redact::Redactor;
use crate::usage::{Import, Share, Usage};

/// The host's half of one instance.
pub(crate) struct HostState {
    /// The module's name, for the log.
    pub(crate) controller: SmolStr,
    /// The module's configuration, JSON.
    pub(crate) config: Bytes,
    pub(crate) ambient: Arc<dyn Ambient>,
    pub(crate) limits: Limits,
    pub(crate) meter: Arc<CpuMeter>,
    pub(crate) log_budget: LogBudget,
    /// The text of the guest's panic, which reaches the host as a log line before the trap.
    pub(crate) panic: Option<String>,
    /// Keys of the syncs in flight, to name them in log lines.
    pub(crate) syncs: HashMap<GuestTaskId, ObjectKey>,
    /// Keeps secrets out of what the guest says.
    pub(crate) redactor: Redactor,
    /// By watch, whether it shows the values of Secrets.
    secret_watches: Vec<bool>,
    /// What the instance has declared to count.
    pub(crate) metrics: DeclaredMetrics,
    /// When `start` has to be over, while it runs.
    pub(crate) start_deadline: Option<Instant>,
    /// What it says on its standard streams.
    pub(crate) streams: Streams,
    /// The plugins that it may call, if it is a scheduler.
    pub(crate) plugins: OpenPlugins,
    /// Who waits for this guest, if it is a plugin.
    caller: Option<Arc<CpuMeter>>,
    services: Option<Services>,
    limiter: MemoryLimiter,
    usage: Arc<Usage>,
}

impl HostState {
    /// State of a live instance.
    pub(crate) fn new(
        module: SmolStr,
        manifest: &Manifest,
        services: Services,
        limits: Limits,
        usage: Arc<Usage>,
    ) -> Self {
        let config = services.config.clone();
        let ambient = Arc::clone(&services.ambient);
        Self {
            ambient,
            services: Some(services),
            secret_watches: manifest.watches.iter().map(shows_secrets).collect(),
            ..Self::without_services(module, config, limits, usage)
        }
    }

    /// State of an instance that only describes itself.
    pub(crate) fn without_services(
        module: SmolStr,
        config: Bytes,
        limits: Limits,
        usage: Arc<Usage>,
    ) -> Self {
        Self {
            controller: module,
            config,
            ambient: Arc::new(SystemAmbient),
            meter: Arc::new(CpuMeter::new(limits.cpu_budget, Arc::clone(&usage))),
            log_budget: LogBudget::new(limits.log_lines_per_second),
            panic: None,
            syncs: HashMap::new(),
            redactor: Redactor::default(),
            secret_watches: Vec::new(),
            metrics: DeclaredMetrics::new(Arc::clone(usage.custom())),
            start_deadline: None,
            streams: Streams::default(),
            plugins: OpenPlugins::default(),
            caller: None,
            services: None,
            limiter: MemoryLimiter::new(limits.memory_bytes, Share::new(Arc::clone(&usage))),
            limits,
            usage,
        }
    }

    /// State of a plugin that the guest of `caller` calls. Memory and metrics are the
    /// module's; its time is, too, because the caller runs all the while.
    pub(crate) fn of_plugin(name: SmolStr, limits: Limits, caller: Option<&Caller>) -> Self {
        let usage = caller.map(|caller| Arc::clone(&caller.usage)).unwrap_or_default();
        let limiter = MemoryLimiter::new(limits.memory_bytes, Share::of_part(Arc::clone(&usage)));
        Self {
            metrics: DeclaredMetrics::new(Arc::clone(usage.custom())),
            limiter,
            caller: caller.map(|caller| Arc::clone(&caller.meter)),
            usage,
            ..Self::without_services(name, Bytes::new(), limits, Arc::default())
        }
    }

    /// What a plugin that this guest calls needs of it.
    pub(crate) fn as_caller(&self) -> Caller {
        Caller {
            meter: Arc::clone(&self.meter),
            usage: Arc::clone(&self.usage),
        }
    }

    /// With plugins to call.
    pub(crate) fn with_plugins(mut self, plugins: Plugins) -> Self {
        self.plugins = OpenPlugins::of(plugins);
        self
    }

    /// Remembers what a watch shows the guest, if that is secret.
    pub(crate) fn note_shown<'a>(&mut self, watch: WatchId, bodies: impl IntoIterator<Item = &'a Bytes>) {
        let position = usize::try_from(watch).unwrap_or(usize::MAX);
        if self.secret_watches.get(position) == Some(&true) {
            bodies.into_iter().for_each(|body| self.redactor.note(body));
        }
    }

    /// `start` is about to run.
    pub(crate) fn start_begins(&mut self) {
        self.start_deadline = Instant::now().checked_add(self.limits.start_timeout);
    }

    /// Counts a call of an import.
    pub(crate) fn called(&self, import: Import) {
        self.usage.called(import);
    }

    /// What the guest may call.
    ///
    /// # Errors
    /// While it only describes itself, which must not depend on anything but its configuration.
    pub(crate) fn services(&self) -> wasmtime::Result<&Services> {
        let breach = || ContractBreach("`describe` called an import other than `module-config`".to_owned());
        Ok(self.services.as_ref().ok_or_else(breach)?)
    }
}

/// A guest as its plugins know it.
pub(crate) struct Caller {
    pub(crate) meter: Arc<CpuMeter>,
    usage: Arc<Usage>,
}

/// Whether a watch has values of Secrets in it. Discovered ones are of metadata alone.
fn shows_secrets(watch: &WatchSpec) -> bool {
    let of_secrets = matches!(&watch.target, WatchTarget::One(resource) if is_secrets(resource));
    of_secrets && watch.view != View::Metadata
}

/// Whether these are Secrets.
pub(crate) fn is_secrets(resource: &Resource) -> bool {
    resource.group.is_empty() && resource.plural == "secrets"
}

/// A store with every limit in place.
pub(crate) fn new_store(engine: &wasmtime::Engine, state: HostState) -> Store<HostState> {
    let result_bytes = state.limits.result_bytes;
    let mut store = Store::new(engine, state);
    store.limiter(|state| &mut state.limiter);
    store.set_hostcall_fuel(result_bytes);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|context| match context.data().meter.tick()? {
        Tick::First => Ok(UpdateDeadline::Continue(1)),
        // Tokio's own yield, because it lets sockets and timers have their turn too.
        Tick::Yield => {
            let state = context.data();
            let callers = state.caller.as_ref().map(CpuMeter::yielding);
            let yielding = (state.meter.yielding(), callers);
            Ok(UpdateDeadline::YieldCustom(
                1,
                Box::pin(async move {
                    tokio::task::yield_now().await;
                    drop(yielding);
                }),
            ))
        }
    });
    store
}
