//! How long syncs in flight get to end when an instance is told to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A grace period that may change while modules run; what stops afterwards gets the new
/// one. Cheap to clone; clones are the same.
#[derive(Clone, Debug)]
pub struct Grace(Arc<AtomicU64>);

impl Grace {
    /// This long.
    #[must_use]
    pub fn new(length: Duration) -> Self {
        Self(Arc::new(AtomicU64::new(nanoseconds(length))))
    }

    /// How long it is now.
    #[must_use]
    pub fn get(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }

    /// Makes it this long.
    pub fn set(&self, length: Duration) {
        self.0.store(nanoseconds(length), Ordering::Relaxed);
    }
}

fn nanoseconds(length: Duration) -> u64 {
    u64::try_from(length.as_nanos()).unwrap_or(u64::MAX)
}
