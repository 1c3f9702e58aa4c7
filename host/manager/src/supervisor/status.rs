//! What a module's supervisor tells of it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use smol_str::SmolStr;
use windlass_core::outcome::GuestFailure;
use windlass_telemetry::status::ReloadResult;

use crate::config::ModuleEntry;
use crate::module::Module;

/// Where a module stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModuleState {
    /// Its component is being loaded, or its caches are filling.
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
    /// Nothing of it can run until something about it changes.
    Failed {
        /// Why.
        reason: String,
    },
    /// Ready to run, while another replica does.
    Standby {
        /// Which, as far as is known.
        holder: Option<SmolStr>,
    },
    /// Its configuration says that it does not run.
    Disabled,
    /// Told to stop, and stopped.
    Stopped,
}

impl ModuleState {
    /// A constant name for status and metrics.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Starting => "Starting",
            Self::Running => "Running",
            Self::BackOff { .. } => "BackOff",
            Self::Failed { .. } => "Failed",
            Self::Standby { .. } => "Standby",
            Self::Disabled => "Disabled",
            Self::Stopped => "Stopped",
        }
    }
}

/// How the latest attempt to change a module ended.
#[derive(Clone, Debug)]
pub struct Reload {
    /// In a word.
    pub result: ReloadResult,
    /// What was asked for.
    pub entry: Arc<ModuleEntry>,
    /// Nothing: it took over. Otherwise why it did not.
    pub rejected: Option<String>,
    /// The component's digest, if it got that far.
    pub digest: Option<String>,
    /// When.
    pub at: SystemTime,
}

impl Reload {
    /// The module is as it was asked for.
    pub(super) fn new(result: ReloadResult, module: &Module) -> Self {
        Self {
            result,
            entry: Arc::clone(&module.entry),
            rejected: None,
            digest: Some(module.guest.digest.clone()),
            at: SystemTime::now(),
        }
    }
}

/// A module as its supervisor sees it.
#[derive(Clone, Debug)]
pub struct ModuleStatus {
    /// Where it stands.
    pub state: ModuleState,
    /// Whether this replica acts for it, alone or with others.
    pub acts: bool,
    /// Since when.
    pub since: SystemTime,
    /// The version that serves, or served last.
    pub serving: Option<Arc<Module>>,
    /// The latest change.
    pub reload: Option<Reload>,
    /// Changes that took over.
    pub reloads_applied: u64,
    /// Changes that were rejected before anything of them ran.
    pub reloads_rejected: u64,
    /// Changes whose instance failed before it could serve.
    pub reloads_not_started: u64,
    /// Components that were fetched again and were the same.
    pub reloads_unchanged: u64,
}

impl ModuleStatus {
    /// Of one that nothing is known of yet.
    pub(super) fn starting() -> Self {
        Self {
            state: ModuleState::Starting,
            acts: false,
            since: SystemTime::now(),
            serving: None,
            reload: None,
            reloads_applied: 0,
            reloads_rejected: 0,
            reloads_not_started: 0,
            reloads_unchanged: 0,
        }
    }
}
