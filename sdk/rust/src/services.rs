//! The small services of the host: the controller's own queue, discovery, its
//! configuration, randomness, and a clock that never goes back.

use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::host;
use crate::manifest::milliseconds;
use crate::object::ObjectKey;

pub use crate::bindings::controller::windlass::controller::discovery::Mapping;
pub use crate::bindings::controller::windlass::controller::workqueue::Item;

/// Adds keys to the controller's own queue.
pub fn enqueue(items: &[Item]) {
    host::enqueue(items);
}

/// Adds one key, to be synced at once.
pub fn enqueue_key(key: ObjectKey) {
    enqueue_after(key, Duration::ZERO);
}

/// Adds one key, to be synced after a while.
pub fn enqueue_after(key: ObjectKey, after: Duration) {
    enqueue(&[Item {
        key,
        after_ms: milliseconds(after),
        priority: 0,
    }]);
}

/// The resource that serves a kind, or nothing when discovery does not know it.
#[must_use]
pub fn resolve(group: &str, version: &str, kind: &str) -> Option<Mapping> {
    host::resolve(group, version, kind)
}

/// The module's configuration as the operator wrote it.
pub fn config<T: DeserializeOwned>() -> Result<T, String> {
    serde_json::from_slice(&host::config())
        .map_err(|error| format!("the module's configuration does not parse: {error}"))
}

/// 64 bits, good enough for names and jitter, not for secrets.
#[must_use]
pub fn random() -> u64 {
    host::random()
}

/// Time since an arbitrary start; never goes back.
#[must_use]
pub fn monotonic() -> Duration {
    Duration::from_nanos(host::monotonic())
}
