//! What a Lease of `coordination.k8s.io/v1` says, as far as elections care.

use std::collections::BTreeMap;
use std::time::Duration;

use smol_str::SmolStr;

/// Microseconds since 1970: the precision of `MicroTime`. For people and other programs;
/// no decision is made on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct MicroTime(pub i64);

/// The `spec` of a Lease.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeaseRecord {
    /// Empty when nobody holds it.
    pub holder: SmolStr,
    /// How long an observer waits after it saw the last change.
    pub duration_seconds: i32,
    /// When the holder got it.
    pub acquire_time: Option<MicroTime>,
    /// When the holder last wrote it.
    pub renew_time: Option<MicroTime>,
    /// How often it went to another holder.
    pub transitions: i32,
}

impl LeaseRecord {
    /// The record's duration; at least a second, so that nonsense is not "expired at once".
    #[must_use]
    pub fn duration(&self) -> Duration {
        Duration::from_secs(u64::try_from(self.duration_seconds).unwrap_or_default().max(1))
    }
}

/// A Lease as it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObservedLease {
    /// Its name.
    pub name: SmolStr,
    /// Its version; compared for equality only.
    pub resource_version: SmolStr,
    /// Its spec.
    pub record: LeaseRecord,
    /// Its labels, kept as they are by whoever writes it.
    pub labels: BTreeMap<String, String>,
    /// Its annotations, likewise.
    pub annotations: BTreeMap<String, String>,
}
