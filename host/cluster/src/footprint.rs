//! How much of the shared caches one subscriber needs.
//!
//! A cache that several subscribers share counts in full for each of them: without the
//! others it would be there all the same. Looked at from outside, now and then, so that
//! storing an object costs nothing more.

use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashSet;
use tokio::time::MissedTickBehavior;
use windlass_core::key::Resource;

use crate::registry::Shared;

/// A list arrives at some hundred megabytes a second at best, so a limit is overrun by
/// some ten at most.
const PERIOD: Duration = Duration::from_millis(100);

/// What a subscription needs. Does not keep its informers running.
#[derive(Clone)]
pub struct Footprint {
    shared: Arc<Shared>,
    resources: HashSet<Resource>,
    /// Watches whose resources come and go.
    discovered: Vec<u64>,
}

impl Footprint {
    pub(crate) fn new(shared: Arc<Shared>, resources: HashSet<Resource>, discovered: Vec<u64>) -> Self {
        Self {
            shared,
            resources,
            discovered,
        }
    }

    /// Bytes of the cached objects, as the caches count them.
    #[must_use]
    pub fn bytes(&self) -> usize {
        if self.discovered.is_empty() {
            return self.shared.cached_bytes(&self.resources);
        }
        let mut resources = self.resources.clone();
        let followed = self.shared.followed_resources(&self.discovered);
        resources.extend(followed.into_iter().map(|(resource, _)| resource));
        self.shared.cached_bytes(&resources)
    }

    /// Waits until the subscription needs more than this, and returns how much. Cancelling
    /// is fine.
    pub async fn exceeds(&self, limit_bytes: usize) -> usize {
        let mut looks = tokio::time::interval(PERIOD);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            let bytes = self.bytes();
            if bytes > limit_bytes {
                return bytes;
            }
        }
    }
}
