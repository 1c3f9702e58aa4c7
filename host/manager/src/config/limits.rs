//! What one module may use.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use windlass_engine::limits::Limits;

use super::checks::{Checked, ensure};
use super::units::{Bytes, Span};

/// More would not find as many cores, and each takes memory.
const MAX_INSTANCES: u32 = 256;

/// A key takes some 200 bytes of the host.
const QUEUE_LENGTH: usize = 100_000;

/// Budgets of one module. Going over memory, CPU, result size or start-up time costs the
/// instance, which is started again after a back-off; calls over their rate wait; lines and
/// keys over their number are dropped and counted; a module whose watches need more cache
/// than it may have is stopped until its configuration changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(rename = "Limits")]
pub struct LimitsEntry {
    /// Memory of one instance, tables included.
    pub memory: Bytes,
    /// CPU time of a sync: the longest computation without waiting for anything.
    pub cpu_budget: Span,
    /// Syncs in flight over all instances; null: as many as `workers` and `instances` allow.
    pub syncs_in_flight: Option<u32>,
    /// Instances that share the module's keys, each key always going to the same one; for
    /// guests that compute much, or do one thing at a time. What is said per instance each of
    /// them gets; they start and fail together.
    pub instances: u32,
    /// Most API calls per second; 0 is unlimited. A guest gets what its manifest asks for, up
    /// to this; if it asks for nothing it gets this, and if this is null 20, or as a stock
    /// guest as many as it wants.
    pub api_qps: Option<u32>,
    /// Most API calls at once after a pause; null is what the guest's manifest asks for, or
    /// half as many again as it may make in a second.
    pub api_burst: Option<u32>,
    /// Bytes of cached objects that the module's watches may need, shared ones included,
    /// names and indexes not; null is unlimited. Looked at ten times a second.
    pub cached_bytes: Option<Bytes>,
    /// Largest value that passes between guest and host: a result, a body, a log line.
    pub result: Bytes,
    /// How long `start` may take.
    pub start_timeout: Span,
    /// Keys in the queue that the guest added itself; null is unlimited. Keys from watches
    /// are bounded by the caches.
    pub queue_length: Option<usize>,
    /// Log lines per second.
    pub log_lines_per_second: u32,
}

impl Default for LimitsEntry {
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            memory: Bytes(limits.memory_bytes),
            cpu_budget: Span(limits.cpu_budget),
            syncs_in_flight: None,
            instances: 1,
            api_qps: None,
            api_burst: None,
            cached_bytes: None,
            result: Bytes(limits.result_bytes),
            start_timeout: Span(limits.start_timeout),
            queue_length: Some(QUEUE_LENGTH),
            log_lines_per_second: limits.log_lines_per_second,
        }
    }
}

impl LimitsEntry {
    pub(super) fn validate(&self, at: &str) -> Checked {
        let at_least_one = |key: &str, number: Option<u32>| {
            ensure(
                number != Some(0),
                || format!("{at}.{key}"),
                || "must be at least 1".to_owned(),
            )
        };
        at_least_one("instances", Some(self.instances))?;
        at_least_one("syncsInFlight", self.syncs_in_flight)?;
        ensure(
            self.instances <= MAX_INSTANCES,
            || format!("{at}.instances"),
            || format!("{} is too many; write at most {MAX_INSTANCES}", self.instances),
        )?;
        for (key, span) in [
            ("cpuBudget", self.cpu_budget),
            ("startTimeout", self.start_timeout),
        ] {
            ensure(
                span.0 > Duration::ZERO,
                || format!("{at}.{key}"),
                || "must be longer than 0s".to_owned(),
            )?;
        }
        let burst_alone = self.api_qps.is_some_and(|qps| qps > 0) && self.api_burst == Some(0);
        ensure(
            !burst_alone,
            || format!("{at}.apiBurst"),
            || "0 would let no call through; write at least 1".to_owned(),
        )
    }
}
