//! The work queue between events and syncs, with the promises of client-go's `workqueue`:
//!
//! - **Deduplicating.** A key that is added many times before it is taken is taken once.
//! - **Never twice at once.** A key that is added while it is processed becomes ready
//!   again when it is done, not before.
//! - **Delayed adds.** One per key, the earliest time wins; an ordinary add meanwhile does
//!   not cancel it. Rate-limited adds take their delay from the limiter.
//! - **Fair.** First in, first out within a priority, higher priorities first. Waiting
//!   raises a key by one level per [`QueueConfig::ageing_step`], so a key with priority
//!   `p` is overtaken only by what is added less than `(q - p)` steps later with
//!   priority `q`, and nothing starves. Adding a queued key again with a higher priority
//!   raises it; with a lower one changes nothing.
//! - **Shutdown** lets getters finish what is ready; a drain also waits for what is being
//!   processed and for what it causes to run again.
//!
//! [`QueueState`] is the queue as pure bookkeeping, [`Workqueue`] the handle that waits.
//! The queue does not run syncs, decide about retries, or know what a key means.

mod metrics;
mod state;
#[cfg(test)]
mod tests;

use std::fmt;
use std::hash::Hash;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

pub use self::metrics::{BUCKETS, DurationHistogram, QueueMetrics};
pub use self::state::{MAX_DELAY, Next, QueueFull, QueueState, Taken, Wake};
use crate::key::ObjectKey;
use crate::rate_limiter::RateLimiterConfig;

/// Settings of a queue.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QueueConfig {
    /// Most keys that came by [`Workqueue::try_add`] and are in the queue (ready, delayed
    /// and processing together) before it refuses new ones. Ordinary adds are neither
    /// limited nor counted: they come from caches, which have limits of their own, and
    /// dropping one would lose it.
    pub limit: Option<usize>,
    /// How long a key has to wait for one more level of priority.
    pub ageing_step: Duration,
    /// Delays of rate-limited adds.
    pub rate_limiter: RateLimiterConfig,
}

impl Default for QueueConfig {
    fn default() -> Self {
        Self {
            limit: None,
            ageing_step: Duration::from_secs(1),
            rate_limiter: RateLimiterConfig::default(),
        }
    }
}

/// A cloneable handle to a work queue. All handles see the same queue.
pub struct Workqueue<K = ObjectKey> {
    shared: Arc<Shared<K>>,
}

struct Shared<K> {
    state: Mutex<QueueState<K>>,
    /// Getters wait here. Every waiting getter has a timer for the earliest delayed key,
    /// so an earlier one wakes all of them.
    getters: Notify,
    /// Drains wait here.
    drained: Notify,
}

impl<K> Clone for Workqueue<K> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<K: Clone + Eq + Hash> Default for Workqueue<K> {
    fn default() -> Self {
        Self::new(QueueConfig::default())
    }
}

impl<K> fmt::Debug for Workqueue<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workqueue").finish_non_exhaustive()
    }
}

impl<K: Clone + Eq + Hash> Workqueue<K> {
    /// An empty queue.
    #[must_use]
    pub fn new(config: QueueConfig) -> Self {
        let state = Mutex::new(QueueState::new(config, now()));
        Self {
            shared: Arc::new(Shared {
                state,
                getters: Notify::new(),
                drained: Notify::new(),
            }),
        }
    }

    /// Adds a key with priority 0. Does nothing once the queue shuts down, like every add.
    pub fn add(&self, key: K) {
        self.add_with(key, 0, Duration::ZERO);
    }

    /// Adds a key with a priority, after a delay (zero: now).
    pub fn add_with(&self, key: K, priority: i32, after: Duration) {
        let wake = self.lock().add(key, priority, after, now());
        self.wake(wake);
    }

    /// Like [`Workqueue::add_with`] under the queue's limit: refuses, and counts, a key
    /// that is not in the queue when as many are that were added like this.
    ///
    /// # Errors
    /// When the key was refused.
    pub fn try_add(&self, key: K, priority: i32, after: Duration) -> Result<(), QueueFull> {
        let wake = self.lock().try_add(key, priority, after, now())?;
        self.wake(wake);
        Ok(())
    }

    /// Changes [`QueueConfig::limit`]. What is in the queue stays.
    pub fn set_limit(&self, limit: Option<usize>) {
        self.lock().set_limit(limit);
    }

    /// Adds a key after a delay. A key in processing keeps the priority it was taken with.
    pub fn add_after(&self, key: K, after: Duration) {
        let wake = self.lock().add_after(key, after, now());
        self.wake(wake);
    }

    /// Counts a failure of the key and adds it when the rate limiter says so. A key in
    /// processing keeps the priority it was taken with.
    pub fn add_rate_limited(&self, key: K) {
        let wake = self.lock().add_rate_limited(key, now());
        self.wake(wake);
    }

    /// Clears the failures of a key. Does not take it out of the queue.
    pub fn forget(&self, key: &K) {
        self.lock().forget(key);
    }

    /// How often the key was added rate-limited since it was last forgotten.
    #[must_use]
    pub fn num_requeues(&self, key: &K) -> u32 {
        self.lock().num_requeues(key)
    }

    /// Waits for the next key and takes it. `None` once the queue has shut down and is
    /// worked off. Whoever gets a key owes a [`Workqueue::done`]; [`Workqueue::guard`]
    /// pays it on drop.
    ///
    /// Cancelling the returned future loses no key.
    pub async fn get(&self) -> Option<K> {
        if let Next::Key(key) = self.next() {
            return Some(key);
        }
        loop {
            // Registered before the state is looked at, so that no add falls in between.
            let mut notified = pin!(self.shared.getters.notified());
            notified.as_mut().enable();
            match self.next() {
                Next::Key(key) => return Some(key),
                Next::ShutDown => return None,
                Next::Wait(None) => notified.await,
                // Either way there is something to look at.
                Next::Wait(Some(due)) => drop(timeout_at(Instant::from_std(due), notified).await),
            }
        }
    }

    /// Takes the next key if one is ready.
    #[must_use]
    pub fn try_get(&self) -> Option<K> {
        match self.next() {
            Next::Key(key) => Some(key),
            Next::Wait(_) | Next::ShutDown => None,
        }
    }

    /// How a key in processing was taken; nothing of any other.
    #[must_use]
    pub fn taken(&self, key: &K) -> Option<Taken> {
        self.lock().taken(key)
    }

    /// Ends the processing of a key, and says how it was taken. If it was added meanwhile
    /// it is ready again at once. Does nothing about a key that is not in processing.
    pub fn done(&self, key: &K) -> Option<Taken> {
        let (taken, wake, drained) = {
            let mut state = self.lock();
            let taken = state.taken(key);
            let wake = state.done(key, now());
            (taken, wake, state.is_shutting_down() && state.is_drained())
        };
        self.wake(wake);
        if drained {
            self.shared.drained.notify_waiters();
        }
        taken
    }

    /// Calls [`Workqueue::done`] for a key that was taken when the guard is dropped, so
    /// that a cancelled or panicking task cannot leave it in processing for ever.
    pub fn guard(&self, key: K) -> DoneGuard<K> {
        DoneGuard {
            queue: self.clone(),
            key,
        }
    }

    /// Stops taking adds and drops delayed keys. Getters receive what is ready, then
    /// `None`. Also ends a drain that is under way.
    pub fn shut_down(&self) {
        self.lock().shut_down();
        self.shared.getters.notify_waiters();
        self.shared.drained.notify_waiters();
    }

    /// Stops taking adds, drops delayed keys, and waits until getters have worked off
    /// what is ready and every key taken is done. Keys that were added while they were
    /// processed are handed out once more. Waits for ever if nobody gets or a key is never
    /// done: the caller sets the time limit, and [`Workqueue::shut_down`] ends the wait.
    pub async fn shut_down_with_drain(&self) {
        self.lock().drain();
        self.shared.getters.notify_waiters();
        loop {
            let mut notified = pin!(self.shared.drained.notified());
            notified.as_mut().enable();
            if self.lock().is_drained() {
                return;
            }
            notified.await;
        }
    }

    /// Whether the queue was told to shut down.
    #[must_use]
    pub fn is_shutting_down(&self) -> bool {
        self.lock().is_shutting_down()
    }

    /// Keys ready to be taken.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether no key is ready.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Keys taken and not done.
    #[must_use]
    pub fn processing(&self) -> usize {
        self.lock().processing()
    }

    /// Keys waiting for their time.
    #[must_use]
    pub fn delayed(&self) -> usize {
        self.lock().delayed()
    }

    /// What the queue counted, and how it stands.
    #[must_use]
    pub fn metrics(&self) -> QueueMetrics {
        self.lock().metrics(now())
    }

    fn next(&self) -> Next<K> {
        self.lock().next(now())
    }

    fn lock(&self) -> MutexGuard<'_, QueueState<K>> {
        self.shared.state.lock()
    }

    fn wake(&self, wake: Wake) {
        match wake {
            Wake::Nobody => {}
            Wake::One => self.shared.getters.notify_one(),
            Wake::All => self.shared.getters.notify_waiters(),
        }
    }
}

/// Ends the processing of its key when dropped. Made by [`Workqueue::guard`].
#[must_use = "dropping the guard ends the processing of its key"]
pub struct DoneGuard<K: Clone + Eq + Hash = ObjectKey> {
    queue: Workqueue<K>,
    key: K,
}

impl<K: Clone + Eq + Hash> DoneGuard<K> {
    /// The key in processing.
    #[must_use]
    pub fn key(&self) -> &K {
        &self.key
    }
}

impl<K: Clone + Eq + Hash> Drop for DoneGuard<K> {
    fn drop(&mut self) {
        self.queue.done(&self.key);
    }
}

/// Tokio's clock, so that tests can pause it.
fn now() -> std::time::Instant {
    Instant::now().into_std()
}
