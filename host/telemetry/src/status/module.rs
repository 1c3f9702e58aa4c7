//! One module in [`super::HostStatus`].

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use windlass_core::workqueue::QueueMetrics;

use crate::histogram::Histogram;

/// One module.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ModuleStatus {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub state: ModuleState,
    /// The guest that it runs.
    pub guest: GuestIdentity,
    /// Its reloads.
    pub reload: ReloadStatus,
    /// Its part among the replicas; `None` if it always runs here.
    pub leadership: Option<LeadershipStatus>,
    /// Its workers.
    pub workers: WorkerStatus,
    /// Its queue.
    pub queue: QueueStatus,
    /// Its syncs.
    pub syncs: SyncStatus,
    /// What its instances use.
    pub usage: UsageStatus,
    /// Its calls to the API server.
    pub api: ApiStatus,
    /// Calls of the host's imports, by `interface.function`.
    pub imports: BTreeMap<String, u64>,
    /// What its guest counts itself.
    pub custom: CustomStatus,
    /// The version that runs in its shadow, if one does.
    pub shadow: Option<ShadowStatus>,
    /// Keys that are set aside because their syncs kill the guest.
    pub poison_keys: Vec<PoisonKey>,
}

/// Where a module stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ModulePhase {
    /// Waiting for its caches, or its guest is starting.
    #[default]
    Starting,
    /// It syncs.
    Running,
    /// Its guest failed; another attempt follows.
    BackOff,
    /// It cannot run until something is changed.
    Failed,
    /// Another replica leads.
    Standby,
    /// Switched off by the operator.
    Disabled,
    /// It has stopped.
    Stopped,
}

impl ModulePhase {
    /// Every phase.
    pub const ALL: [Self; 7] = [
        Self::Starting,
        Self::Running,
        Self::BackOff,
        Self::Failed,
        Self::Standby,
        Self::Disabled,
        Self::Stopped,
    ];

    /// Its label in metrics and tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "Starting",
            Self::Running => "Running",
            Self::BackOff => "BackOff",
            Self::Failed => "Failed",
            Self::Standby => "Standby",
            Self::Disabled => "Disabled",
            Self::Stopped => "Stopped",
        }
    }
}

/// A phase, since when, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ModuleState {
    /// The phase.
    pub phase: ModulePhase,
    /// Since when.
    pub since: Timestamp,
    /// Why, where there is something to say.
    pub reason: Option<String>,
}

impl Default for ModuleState {
    /// Starting, since ever.
    fn default() -> Self {
        Self {
            phase: ModulePhase::default(),
            since: Timestamp::UNIX_EPOCH,
            reason: None,
        }
    }
}

/// Which guest a module runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GuestIdentity {
    /// What the guest calls itself.
    pub name: String,
    /// The version that it states.
    pub version: String,
    /// `sha256:` and the component's digest.
    pub digest: String,
    /// Where it came from: a file, an image, `stock`.
    pub origin: String,
}

/// How an attempt to reload ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ReloadResult {
    /// The new version serves.
    Swapped,
    /// It could not be had, was no valid guest, or was not granted what it needs.
    Refused,
    /// Its instance failed before it could serve.
    NotStarted,
    /// It was fetched again and was the same.
    Unchanged,
}

impl ReloadResult {
    /// Every result.
    pub const ALL: [Self; 4] = [Self::Swapped, Self::Refused, Self::NotStarted, Self::Unchanged];

    /// Its label in metrics and tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Swapped => "swapped",
            Self::Refused => "refused",
            Self::NotStarted => "notStarted",
            Self::Unchanged => "unchanged",
        }
    }
}

/// The reloads of a module.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ReloadStatus {
    /// How many versions have served, the first included.
    pub generation: u64,
    /// Attempts by result.
    pub totals: BTreeMap<ReloadResult, u64>,
    /// The latest attempt that brought something new.
    pub last: Option<ReloadAttempt>,
}

/// One attempt to reload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReloadAttempt {
    /// How it ended.
    pub result: ReloadResult,
    /// When.
    pub at: Timestamp,
    /// The version that was tried, by digest.
    #[serde(default)]
    pub digest: String,
    /// Why it did not succeed.
    #[serde(default)]
    pub reason: Option<String>,
}

/// Who syncs a module's keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Role {
    /// This process.
    Leader,
    /// Another one.
    #[default]
    Follower,
}

/// A module's part among the replicas.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LeadershipStatus {
    /// Whether this process syncs keys of it; where keys are sharded, whether it has a share.
    pub role: Role,
    /// Who holds its lease; where keys are sharded, who says which share is whose.
    pub holder: String,
    /// This process's share, where keys are sharded.
    pub share: Option<ShareStatus>,
}

/// How much of a module's keys is a process's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ShareStatus {
    /// Slots whose keys this process syncs.
    pub slots: u64,
    /// Slots that there are.
    pub of: u64,
}

/// The workers of a module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WorkerStatus {
    /// Most syncs at once.
    pub limit: u64,
    /// Syncs now.
    pub active: u64,
}

/// The queue of a module, under the meanings of client-go's `workqueue_*`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct QueueStatus {
    /// Keys ready to be taken.
    pub depth: u64,
    /// Keys waiting for their time.
    pub delayed: u64,
    /// Keys taken and not done.
    pub processing: u64,
    /// Adds that were not merged into an earlier one.
    pub adds: u64,
    /// Delayed and rate-limited adds.
    pub retries: u64,
    /// New keys refused because the queue was at its limit.
    pub dropped: u64,
    /// Age in seconds of the oldest key in processing.
    pub longest_running: f64,
    /// Ages in seconds of all keys in processing together.
    pub unfinished_work: f64,
    /// From add to get.
    pub wait: Histogram,
    /// From get to done.
    pub work: Histogram,
}

impl From<&QueueMetrics> for QueueStatus {
    fn from(metrics: &QueueMetrics) -> Self {
        Self {
            depth: metrics.depth as u64,
            delayed: metrics.delayed as u64,
            processing: metrics.processing as u64,
            adds: metrics.adds,
            retries: metrics.retries,
            dropped: metrics.dropped,
            longest_running: metrics.longest_running.as_secs_f64(),
            unfinished_work: metrics.unfinished_work.as_secs_f64(),
            wait: Histogram::from(&metrics.queue_duration),
            work: Histogram::from(&metrics.work_duration),
        }
    }
}

/// How a sync ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SyncResult {
    /// Done until something changes.
    #[default]
    Success,
    /// Done, and again after a while.
    RequeueAfter,
    /// An error; tried again with back-off.
    Retry,
    /// An error that is not tried again.
    Terminal,
    /// The guest instance failed.
    Failed,
}

impl SyncResult {
    /// Every result.
    pub const ALL: [Self; 5] = [
        Self::Success,
        Self::RequeueAfter,
        Self::Retry,
        Self::Terminal,
        Self::Failed,
    ];

    /// As people read it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::RequeueAfter => "requeue after",
            Self::Retry => "error, retried",
            Self::Terminal => "error, not retried",
            Self::Failed => "guest failed",
        }
    }

    /// Whether an operator would call it an error.
    #[must_use]
    pub fn is_error(self) -> bool {
        !matches!(self, Self::Success | Self::RequeueAfter)
    }
}

/// The syncs of a module.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SyncStatus {
    /// Ended syncs by result.
    pub results: BTreeMap<SyncResult, u64>,
    /// How long they took.
    pub latency: Histogram,
    /// From the moment when their keys were due to their ends, but for keys of initial lists
    /// and resyncs, which let all live changes pass.
    pub due_to_done: Histogram,
    /// Half took at most this many seconds.
    pub p50: Option<f64>,
    /// All but one in a hundred took at most this many seconds.
    pub p99: Option<f64>,
    /// The latest syncs, newest first.
    pub recent: Vec<RecentSync>,
    /// The latest syncs that were errors, newest first.
    pub errors: Vec<RecentSync>,
}

impl SyncStatus {
    /// Ended syncs.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.results.values().sum()
    }

    /// Of them, errors.
    #[must_use]
    pub fn error_total(&self) -> u64 {
        let results = self.results.iter();
        results
            .filter(|(result, _)| result.is_error())
            .map(|(_, count)| count)
            .sum()
    }
}

/// One ended sync.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RecentSync {
    /// When it ended.
    pub at: Timestamp,
    /// Its number within the module.
    pub id: u64,
    /// `namespace/name`.
    pub key: String,
    /// How long it took, in seconds.
    pub duration: f64,
    /// How it ended.
    pub result: SyncResult,
    /// What the guest or the host said of an error.
    pub error: Option<String>,
}

impl Default for RecentSync {
    /// A sync of nothing, at the beginning of time.
    fn default() -> Self {
        Self {
            at: Timestamp::UNIX_EPOCH,
            id: 0,
            key: String::new(),
            duration: 0.0,
            result: SyncResult::default(),
            error: None,
        }
    }
}

/// What the instances of a module use.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UsageStatus {
    /// Linear memory now, all instances together.
    pub memory_bytes: u64,
    /// Most that one instance may have.
    pub memory_limit_bytes: u64,
    /// CPU seconds spent in guest code so far.
    pub cpu_seconds: f64,
    /// Live instances.
    pub instances: u64,
    /// Instances that ended by themselves, by cause.
    pub restarts: BTreeMap<String, u64>,
}

impl UsageStatus {
    /// Instances that ended by themselves.
    #[must_use]
    pub fn restart_total(&self) -> u64 {
        self.restarts.values().sum()
    }
}

/// The metrics that a guest declared.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CustomStatus {
    /// By name.
    pub metrics: Vec<CustomMetric>,
    /// Values that did not fit or made no sense.
    pub dropped: u64,
}

/// One metric of a guest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CustomMetric {
    /// As the guest named it.
    pub name: String,
    /// For people.
    pub help: String,
    /// Names of its labels.
    pub labels: Vec<String>,
    /// Values of the labels with what was counted for them.
    pub series: CustomSeries,
}

/// The series of a metric, by its type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CustomSeries {
    /// It only goes up.
    Counter(Vec<(Vec<String>, f64)>),
    /// It goes up and down.
    Gauge(Vec<(Vec<String>, f64)>),
    /// Observations by size.
    Histogram(Vec<(Vec<String>, Histogram)>),
}

/// A module's calls to the API server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ApiStatus {
    /// Answered and failed calls, by what they were.
    pub calls: Vec<ApiCallCount>,
    /// From sent to answered, by HTTP method.
    pub latency: BTreeMap<String, Histogram>,
    /// Time spent waiting for rate limits, by HTTP method.
    pub throttled: BTreeMap<String, Histogram>,
    /// How much of that was for the budget that all modules share.
    pub budget_wait: Histogram,
}

impl ApiStatus {
    /// Calls.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.calls.iter().map(|call| call.count).sum()
    }
}

/// How often one kind of call had one kind of answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ApiCallCount {
    /// The verb as RBAC knows it.
    pub verb: String,
    /// Such as `deployments.apps` or `pods/binding`.
    pub resource: String,
    /// HTTP status; `<error>` without an answer.
    pub code: String,
    /// HTTP method.
    pub method: String,
    /// How often.
    pub count: u64,
}

/// A version that runs beside the one that serves, its writes compared and not sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ShadowStatus {
    /// Which guest it is.
    pub guest: GuestIdentity,
    /// Syncs that ended alike.
    pub same: u64,
    /// Syncs that did not.
    pub different: u64,
    /// The latest differences, newest first.
    pub recent: Vec<ShadowDifference>,
}

/// One difference between a version and its shadow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ShadowDifference {
    /// When.
    pub at: Timestamp,
    /// The key that was synced.
    pub key: String,
    /// What differs, in words.
    pub summary: String,
}

/// A key that is set aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PoisonKey {
    /// `namespace/name`.
    pub key: String,
    /// How often it ended an instance.
    pub failures: u64,
    /// When it is tried again.
    #[serde(default)]
    pub retry_at: Option<Timestamp>,
    /// The latest failure.
    pub reason: String,
}
