//! The work queue as a pure state machine: every transition takes `now`, nothing waits.
//!
//! A key is in any of three places at once: *dirty* (it needs a sync: ready, or waiting
//! for the running sync to end), *processing* (taken, not done) and *delayed* (becomes
//! dirty at its time). It has one entry as long as it is in one of them.

use std::collections::BTreeMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

use hashbrown::HashMap;
use hashbrown::hash_map::{Entry, EntryRef};

use super::QueueConfig;
use super::metrics::{DurationHistogram, QueueMetrics};
use crate::rate_limiter::RateLimiter;

/// The longest delay that is kept; a longer one fires after this.
pub const MAX_DELAY: Duration = Duration::from_secs(365 * 24 * 3600);

/// Whom a transition concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Wake {
    /// Nobody.
    Nobody,
    /// One getter: a key became ready.
    One,
    /// All getters: the earliest delay changed, or the queue is finished.
    All,
}

/// What a getter finds.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<K> {
    /// This key, which is now in processing.
    Key(K),
    /// Nothing, at least until then.
    Wait(Option<Instant>),
    /// Nothing ever again.
    ShutDown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Running,
    Draining,
    ShutDown,
}

/// Order in the ready queue: virtual time first, then order of arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    virtual_nanos: i64,
    sequence: u64,
}

impl Rank {
    /// A key's place: the time of its add, moved one ageing step into the past for each
    /// level of priority. Time passing ages all keys alike, so the order never changes.
    fn new(config: &QueueConfig, sequence: u64, priority: i32, since_epoch: Duration) -> Self {
        Self {
            virtual_nanos: nanos(since_epoch),
            sequence,
        }
        .raised(config, i64::from(priority))
    }

    fn raised(self, config: &QueueConfig, levels: i64) -> Self {
        let advance = nanos(config.ageing_step).saturating_mul(levels);
        Self {
            virtual_nanos: self.virtual_nanos.saturating_sub(advance),
            ..self
        }
    }
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// Order among the delayed keys.
type Due = (Instant, u64);

#[derive(Clone, Copy, Debug)]
enum Dirty {
    Clean,
    Ready {
        rank: Rank,
        priority: i32,
        since: Instant,
    },
    AfterDone {
        priority: i32,
        since: Instant,
    },
}

/// How a key was taken out of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// How long it had been ready.
    pub waited: Duration,
    /// At which priority.
    pub priority: i32,
}

#[derive(Clone, Copy, Debug)]
struct Processing {
    since: Instant,
    taken: Taken,
}

#[derive(Debug)]
struct KeyState {
    dirty: Dirty,
    processing: Option<Processing>,
    delayed: Option<(Due, i32)>,
    /// It counts against the limit.
    limited: bool,
}

impl KeyState {
    const IDLE: Self = Self {
        dirty: Dirty::Clean,
        processing: None,
        delayed: None,
        limited: false,
    };

    fn is_idle(&self) -> bool {
        matches!(self.dirty, Dirty::Clean) && self.processing.is_none() && self.delayed.is_none()
    }
}

#[derive(Debug, Default)]
struct Counters {
    adds: u64,
    retries: u64,
    dropped: u64,
    queue_duration: DurationHistogram,
    work_duration: DurationHistogram,
}

/// The queue without its waiting.
#[derive(Debug)]
pub struct QueueState<K> {
    config: QueueConfig,
    epoch: Instant,
    keys: HashMap<K, KeyState>,
    ready: BTreeMap<Rank, K>,
    delayed: BTreeMap<Due, K>,
    processing: usize,
    /// Keys that count against the limit.
    limited: usize,
    sequence: u64,
    phase: Phase,
    limiter: RateLimiter<K>,
    counters: Counters,
}

impl<K: Clone + Eq + Hash> QueueState<K> {
    /// An empty queue.
    #[must_use]
    pub fn new(config: QueueConfig, now: Instant) -> Self {
        Self {
            limiter: RateLimiter::new(config.rate_limiter),
            config,
            epoch: now,
            keys: HashMap::new(),
            ready: BTreeMap::new(),
            delayed: BTreeMap::new(),
            processing: 0,
            limited: 0,
            sequence: 0,
            phase: Phase::Running,
            counters: Counters::default(),
        }
    }

    /// Adds a key, now or later. Ignored once the queue shuts down.
    pub fn add(&mut self, key: K, priority: i32, after: Duration, now: Instant) -> Wake {
        if self.phase != Phase::Running {
            return Wake::Nobody;
        }
        if after.is_zero() {
            return self.mark_dirty(key, priority, now);
        }
        self.counters.retries += 1;
        let due = now.checked_add(after.min(MAX_DELAY)).unwrap_or(now);
        self.delay(key, priority, due)
    }

    /// Like [`QueueState::add`], but a new key counts against the limit, and is refused at it.
    ///
    /// # Errors
    /// When the key was dropped.
    pub fn try_add(
        &mut self,
        key: K,
        priority: i32,
        after: Duration,
        now: Instant,
    ) -> Result<Wake, QueueFull> {
        if self.phase == Phase::Running && !self.keys.contains_key(&key) {
            if let Some(limit) = self.config.limit.filter(|limit| self.limited >= *limit) {
                self.counters.dropped += 1;
                return Err(QueueFull { limit });
            }
            let limited = KeyState {
                limited: true,
                ..KeyState::IDLE
            };
            self.keys.insert(key.clone(), limited);
            self.limited += 1;
        }
        Ok(self.add(key, priority, after, now))
    }

    /// Changes [`QueueConfig::limit`]. What is in the queue stays.
    pub fn set_limit(&mut self, limit: Option<usize>) {
        self.config.limit = limit;
    }

    /// Adds a key after a delay, at the priority at which it is being processed.
    pub fn add_after(&mut self, key: K, after: Duration, now: Instant) -> Wake {
        let processing = self.keys.get(&key).and_then(|state| state.processing);
        self.add(
            key,
            processing.map_or(0, |processing| processing.taken.priority),
            after,
            now,
        )
    }

    /// Counts a failure and adds the key after the delay that follows from it.
    pub fn add_rate_limited(&mut self, key: K, now: Instant) -> Wake {
        if self.phase != Phase::Running {
            return Wake::Nobody;
        }
        let after = self.limiter.when(&key, now);
        self.add_after(key, after, now)
    }

    /// Clears the failures of a key.
    pub fn forget(&mut self, key: &K) {
        self.limiter.forget(key);
    }

    /// How often a key was added rate-limited since it was last forgotten.
    #[must_use]
    pub fn num_requeues(&self, key: &K) -> u32 {
        self.limiter.num_requeues(key)
    }

    /// Takes the next key, if there is one.
    pub fn next(&mut self, now: Instant) -> Next<K> {
        self.promote(now);
        if let Some((_, key)) = self.ready.pop_first() {
            self.start_processing(&key, now);
            return Next::Key(key);
        }
        if self.is_finished() {
            return Next::ShutDown;
        }
        Next::Wait(self.delayed.first_key_value().map(|((due, _), _)| *due))
    }

    /// How a key in processing was taken; nothing of any other.
    #[must_use]
    pub fn taken(&self, key: &K) -> Option<Taken> {
        let processing = self.keys.get(key)?.processing?;
        Some(processing.taken)
    }

    /// Ends the processing of a key; if it was added meanwhile it becomes ready again.
    /// A key that is not in processing is ignored.
    pub fn done(&mut self, key: &K, now: Instant) -> Wake {
        let EntryRef::Occupied(mut entry) = self.keys.entry_ref(key) else {
            return Wake::Nobody;
        };
        let state = entry.get_mut();
        let Some(processing) = state.processing.take() else {
            return Wake::Nobody;
        };
        self.processing -= 1;
        self.counters
            .work_duration
            .observe(now.saturating_duration_since(processing.since));
        if let Dirty::AfterDone { priority, since } = state.dirty {
            self.sequence += 1;
            let rank = Rank::new(
                &self.config,
                self.sequence,
                priority,
                now.saturating_duration_since(self.epoch),
            );
            state.dirty = Dirty::Ready {
                rank,
                priority,
                since,
            };
            let key = entry.key().clone();
            self.ready.insert(rank, key);
            return Wake::One;
        }
        if state.is_idle() {
            self.limited -= usize::from(state.limited);
            entry.remove();
        }
        if self.phase != Phase::Running && self.is_finished() {
            Wake::All
        } else {
            Wake::Nobody
        }
    }

    /// No more adds; what is ready can still be taken. Delayed keys are dropped.
    /// Ends a drain, too.
    pub fn shut_down(&mut self) {
        self.stop(Phase::ShutDown);
    }

    /// Like [`QueueState::shut_down`], but getters are also served what is added again
    /// by a key still in processing.
    pub fn drain(&mut self) {
        if self.phase == Phase::Running {
            self.stop(Phase::Draining);
        }
    }

    /// Whether a drain, if there was one, has nothing left to wait for.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.phase == Phase::ShutDown || (self.ready.is_empty() && self.processing == 0)
    }

    /// Whether the queue was told to shut down.
    #[must_use]
    pub fn is_shutting_down(&self) -> bool {
        self.phase != Phase::Running
    }

    /// Keys ready to be taken.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ready.len()
    }

    /// Whether no key is ready.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ready.is_empty()
    }

    /// Keys taken and not done.
    #[must_use]
    pub fn processing(&self) -> usize {
        self.processing
    }

    /// Keys waiting for their time.
    #[must_use]
    pub fn delayed(&self) -> usize {
        self.delayed.len()
    }

    /// What the queue counted. Walks the keys it holds.
    #[must_use]
    pub fn metrics(&self, now: Instant) -> QueueMetrics {
        let ages = || {
            let running = self.keys.values().filter_map(|state| state.processing);
            running.map(|processing| now.saturating_duration_since(processing.since))
        };
        QueueMetrics {
            depth: self.ready.len(),
            delayed: self.delayed.len(),
            processing: self.processing,
            adds: self.counters.adds,
            retries: self.counters.retries,
            dropped: self.counters.dropped,
            queue_duration: self.counters.queue_duration.clone(),
            work_duration: self.counters.work_duration.clone(),
            longest_running: ages().max().unwrap_or_default(),
            unfinished_work: ages().fold(Duration::ZERO, Duration::saturating_add),
        }
    }

    fn mark_dirty(&mut self, key: K, priority: i32, since: Instant) -> Wake {
        let mut entry = match self.keys.entry(key) {
            Entry::Occupied(entry) => entry,
            Entry::Vacant(entry) => entry.insert_entry(KeyState::IDLE),
        };
        let state = entry.get_mut();
        match &mut state.dirty {
            Dirty::AfterDone {
                priority: present, ..
            } => {
                *present = priority.max(*present);
                Wake::Nobody
            }
            Dirty::Ready {
                rank: present_rank,
                priority: present,
                ..
            } => {
                if priority > *present {
                    let levels = i64::from(priority) - i64::from(*present);
                    let raised = present_rank.raised(&self.config, levels);
                    if let Some(key) = self.ready.remove(present_rank) {
                        self.ready.insert(raised, key);
                    }
                    (*present_rank, *present) = (raised, priority);
                }
                Wake::Nobody
            }
            Dirty::Clean => {
                self.counters.adds += 1;
                if state.processing.is_some() {
                    state.dirty = Dirty::AfterDone { priority, since };
                    return Wake::Nobody;
                }
                self.sequence += 1;
                let since_epoch = since.saturating_duration_since(self.epoch);
                let rank = Rank::new(&self.config, self.sequence, priority, since_epoch);
                state.dirty = Dirty::Ready {
                    rank,
                    priority,
                    since,
                };
                self.ready.insert(rank, entry.key().clone());
                Wake::One
            }
        }
    }

    fn delay(&mut self, key: K, priority: i32, due: Instant) -> Wake {
        let mut entry = match self.keys.entry(key) {
            Entry::Occupied(entry) => entry,
            Entry::Vacant(entry) => entry.insert_entry(KeyState::IDLE),
        };
        let earliest = self.delayed.first_key_value().map(|((due, _), _)| *due);
        let (key, priority) = match entry.get().delayed {
            Some((present, priority_present)) if present.0 <= due => {
                entry.get_mut().delayed = Some((present, priority.max(priority_present)));
                return Wake::Nobody;
            }
            Some((present, priority_present)) => {
                let key = self.delayed.remove(&present);
                (
                    key.unwrap_or_else(|| entry.key().clone()),
                    priority.max(priority_present),
                )
            }
            None => (entry.key().clone(), priority),
        };
        self.sequence += 1;
        let position = (due, self.sequence);
        entry.get_mut().delayed = Some((position, priority));
        self.delayed.insert(position, key);
        if earliest.is_none_or(|earliest| due < earliest) {
            Wake::All
        } else {
            Wake::Nobody
        }
    }

    /// Makes every key dirty whose time has come, as of that time, so that a late look
    /// at the queue does not cost a key its place.
    fn promote(&mut self, now: Instant) {
        while let Some(first) = self.delayed.first_entry().filter(|first| first.key().0 <= now) {
            let ((due, _), key) = first.remove_entry();
            let delayed = self.keys.get_mut(&key).and_then(|state| state.delayed.take());
            let priority = delayed.map_or(0, |(_, priority)| priority);
            let _: Wake = self.mark_dirty(key, priority, due);
        }
    }

    fn start_processing(&mut self, key: &K, now: Instant) {
        let Some(state) = self.keys.get_mut(key) else {
            return;
        };
        let Dirty::Ready { priority, since, .. } = state.dirty else {
            return;
        };
        let waited = now.saturating_duration_since(since);
        state.dirty = Dirty::Clean;
        state.processing = Some(Processing {
            since: now,
            taken: Taken { waited, priority },
        });
        self.processing += 1;
        self.counters.queue_duration.observe(waited);
    }

    fn is_finished(&self) -> bool {
        match self.phase {
            Phase::Running => false,
            Phase::Draining => self.ready.is_empty() && self.processing == 0,
            Phase::ShutDown => self.ready.is_empty(),
        }
    }

    fn stop(&mut self, phase: Phase) {
        self.phase = phase;
        for key in std::mem::take(&mut self.delayed).into_values() {
            let EntryRef::Occupied(mut entry) = self.keys.entry_ref(&key) else {
                continue;
            };
            entry.get_mut().delayed = None;
            if entry.get().is_idle() {
                self.limited -= usize::from(entry.get().limited);
                entry.remove();
            }
        }
    }
}

/// The queue is at its limit, and the key was not in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the work queue is at its limit of {limit} keys that the guest added")]
pub struct QueueFull {
    /// The limit.
    pub limit: usize,
}
