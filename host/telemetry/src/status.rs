//! The host as others see it: one plain, versioned structure that the status page, the
//! terminal and the metrics are all made from.
//!
//! Promises: it serialises to camelCase JSON; fields are only ever added within
//! [`STATUS_VERSION`], and what is missing reads as empty, so that an older `windlass
//! status` understands a newer host. Deliberately not here: how the numbers come about.

mod module;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use module::*;

/// The version of [`HostStatus`].
pub const STATUS_VERSION: &str = "status.windlass.dev/v1";

/// Looks at the running host.
pub trait StatusSource: Send + Sync {
    /// One look. Called for each request and once per second, on the server's own tasks:
    /// must not block on anything that may take long.
    fn status(&self) -> HostStatus;
}

impl<F: Fn() -> HostStatus + Send + Sync> StatusSource for F {
    fn status(&self) -> HostStatus {
        self()
    }
}

/// Everything there is to see of a host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HostStatus {
    /// [`STATUS_VERSION`].
    pub api_version: String,
    /// What this process is called in leases and events.
    pub identity: String,
    /// Version of Windlass.
    pub version: String,
    /// When the process started.
    pub started: Timestamp,
    /// When this look was taken.
    pub at: Timestamp,
    /// URL of the API server.
    pub api_server: String,
    /// What `/livez` and `/readyz` ask.
    pub checks: Vec<Check>,
    /// The modules, in the order of the configuration.
    pub modules: Vec<ModuleStatus>,
    /// The shared caches.
    pub caches: Vec<CacheStatus>,
    /// What all shared caches hold together.
    pub cache_use: CacheUseStatus,
    /// The leases that this process knows.
    pub leases: Vec<LeaseStatus>,
    /// The exporter of traces, if there is one.
    pub tracing: Option<ExporterStatus>,
}

impl Default for HostStatus {
    /// A host with nothing in it.
    fn default() -> Self {
        Self {
            api_version: STATUS_VERSION.to_owned(),
            identity: String::new(),
            version: String::new(),
            started: Timestamp::UNIX_EPOCH,
            at: Timestamp::UNIX_EPOCH,
            api_server: String::new(),
            checks: Vec::new(),
            modules: Vec::new(),
            caches: Vec::new(),
            cache_use: CacheUseStatus::default(),
            leases: Vec::new(),
            tracing: None,
        }
    }
}

impl HostStatus {
    /// Whether every check passes.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.checks.iter().all(|check| check.passes)
    }

    /// Why it is not ready: `name: reason` of each check that fails.
    #[must_use]
    pub fn reasons(&self) -> Vec<String> {
        let failing = self.checks.iter().filter(|check| !check.passes);
        failing
            .map(|check| match &check.reason {
                Some(reason) => format!("{}: {reason}", check.name),
                None => check.name.clone(),
            })
            .collect()
    }
}

/// Which endpoints ask a check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CheckScope {
    /// `/livez`, `/healthz` and `/readyz`: when it fails, only a restart helps.
    Live,
    /// `/readyz` only.
    #[default]
    Ready,
}

/// One condition of health.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Check {
    /// Such as `informer-sync` or `module/deployment`.
    pub name: String,
    /// Which endpoints ask it.
    pub scope: CheckScope,
    /// Whether it passes.
    pub passes: bool,
    /// Why not.
    pub reason: Option<String>,
}

/// Where the watch of a cache stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum WatchState {
    /// Listing for the first time, or again.
    #[default]
    Listing,
    /// Watching.
    Watching,
    /// Waiting before the next attempt.
    BackOff,
    /// Nobody wants it any more.
    Stopped,
}

impl WatchState {
    /// As people read it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Listing => "listing",
            Self::Watching => "watching",
            Self::BackOff => "backing off",
            Self::Stopped => "stopped",
        }
    }
}

/// One shared cache.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CacheStatus {
    /// Such as `deployments.apps`.
    pub resource: String,
    /// API version within the group, such as `v1`.
    pub version: String,
    /// How much of each object it keeps: `full`, `metadata`, or the fields.
    pub view: String,
    /// Objects held.
    pub objects: u64,
    /// Bytes held.
    pub bytes: u64,
    /// How many modules read it.
    pub subscribers: u64,
    /// Where its watch stands.
    pub watch: WatchState,
    /// Why it is not watching.
    pub reason: Option<String>,
    /// Whether it has had everything once.
    pub synced: bool,
    /// Lists after the first.
    pub relists: u64,
    /// The latest resource version it has seen.
    pub resource_version: u64,
}

/// What all shared caches hold together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CacheUseStatus {
    /// Bytes held.
    pub bytes: u64,
    /// What they may be; `None`: anything.
    pub limit_bytes: Option<u64>,
    /// What of it is charged to each module. The one with the largest share stops when the
    /// limit is exceeded.
    pub shares: BTreeMap<String, u64>,
}

/// One lease.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LeaseStatus {
    /// `namespace/name`.
    pub name: String,
    /// The modules that it gates.
    pub modules: Vec<String>,
    /// Who holds it; empty if nobody does.
    pub holder: String,
    /// Whether that is this process.
    pub held: bool,
    /// When its holder last renewed it, by the holder's clock.
    pub renewed: Option<Timestamp>,
    /// How long it holds without renewal, in seconds.
    pub duration_seconds: u64,
    /// How often it changed hands.
    pub transitions: u64,
    /// Writes that met another version than they expected (`leader_election_slowpath_total`).
    pub slow_paths: u64,
}

/// The exporter of traces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ExporterStatus {
    /// Where spans go.
    pub endpoint: String,
    /// Spans that the collector took.
    pub exported: u64,
    /// Spans lost, by reason: `queueFull`, `refused`, `unreachable`.
    pub dropped: BTreeMap<String, u64>,
    /// The latest failure.
    pub last_error: Option<String>,
}
