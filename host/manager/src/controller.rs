//! One controller: what outlives the guest instances of a module.
//!
//! Its queue, its gate, the keys in flight and the keys that are under suspicion. The
//! loop that feeds one instance from here is [`crate::run`]; while a module is replaced,
//! two of them share one controller, and the queue sees to it that no key is in both.

use std::collections::{BTreeMap, HashMap};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use smol_str::SmolStr;
use tokio::sync::Notify;
use windlass_core::gate::{Gate, Write};
use windlass_core::key::ObjectKey;
use windlass_core::outcome::{GuestFailure, SyncError};
use windlass_core::seams::{QueueItem, QueueSink, SyncId};
use windlass_core::workqueue::Workqueue;
use windlass_engine::usage::Usage;
use windlass_telemetry::api_calls::ApiCallRecorder;
use windlass_telemetry::otlp::{Parent, SyncSpan};
use windlass_telemetry::status::SyncResult;
use windlass_telemetry::sync_recorder::{SyncEnd, SyncRecorder};

use crate::calls::Outstanding;
use crate::suspects::{SetAside, Suspects, Treatment};

/// A guest that floods its queue is complained of no more often.
const COMPLAINT_PERIOD: Duration = Duration::from_secs(60);

/// Names one run of one instance within its controller.
pub type RunId = u64;

pub(crate) struct InFlight {
    pub(crate) key: ObjectKey,
    run: RunId,
    /// Nothing before the guest is called, nor if the sync is not traced.
    pub(crate) span: SyncSpan,
}

/// What the runs of a module share with the guest's imports and the API client.
pub struct Controller {
    /// The module's name.
    pub name: SmolStr,
    /// Its keys.
    pub queue: Workqueue<ObjectKey>,
    /// What its syncs wrote and the caches have not shown yet.
    pub gate: Gate,
    /// How its syncs went.
    pub syncs: SyncRecorder,
    /// Its calls to the API server.
    pub calls: ApiCallRecorder,
    /// What its instances use.
    pub usage: Arc<Usage>,
    /// Its writes that have no answer yet.
    pub outstanding: Arc<Outstanding>,
    /// Instances that ended by themselves, by [`GuestFailure::label`].
    failures: Mutex<BTreeMap<&'static str, u64>>,
    sync_ended: Notify,
    /// Syncs that a guest is busy with.
    running: AtomicUsize,
    in_flight: Mutex<HashMap<SyncId, InFlight>>,
    suspects: Mutex<Suspects>,
    refusals: Mutex<Refusals>,
    next_sync: AtomicU64,
    next_run: AtomicU64,
}

impl Controller {
    /// A controller of an empty queue.
    #[must_use]
    pub fn new(name: SmolStr, queue: Workqueue<ObjectKey>) -> Self {
        Self {
            name,
            queue,
            gate: Gate::new(),
            failures: Mutex::default(),
            syncs: SyncRecorder::default(),
            calls: ApiCallRecorder::default(),
            usage: Arc::default(),
            outstanding: Arc::default(),
            sync_ended: Notify::new(),
            running: AtomicUsize::new(0),
            in_flight: Mutex::new(HashMap::new()),
            suspects: Mutex::default(),
            refusals: Mutex::default(),
            next_sync: AtomicU64::new(1),
            next_run: AtomicU64::new(1),
        }
    }

    /// A name for a run that is about to begin.
    pub fn next_run(&self) -> RunId {
        self.next_run.fetch_add(1, Ordering::Relaxed)
    }

    /// The key that a running sync is about; nothing once it has ended.
    #[must_use]
    pub fn key_of(&self, sync: SyncId) -> Option<ObjectKey> {
        self.in_flight.lock().get(&sync).map(|sync| sync.key.clone())
    }

    pub(crate) fn begin(&self, run: RunId, key: ObjectKey) -> SyncId {
        let sync = self.next_sync.fetch_add(1, Ordering::Relaxed);
        let span = SyncSpan::default();
        self.in_flight.lock().insert(sync, InFlight { key, run, span });
        sync
    }

    /// The guest is called for a sync that is traced.
    pub(crate) fn follow(&self, sync: SyncId, span: SyncSpan) {
        if let Some(in_flight) = self.in_flight.lock().get_mut(&sync) {
            in_flight.span = span;
        }
    }

    /// What the API calls of a sync hang under.
    pub(crate) fn span_of(&self, sync: SyncId) -> Parent {
        match self.in_flight.lock().get(&sync) {
            Some(sync) => sync.span.context().map_or(Parent::Untraced, Parent::Span),
            None => Parent::None,
        }
    }

    pub(crate) fn end(&self, sync: SyncId) -> Option<InFlight> {
        let ended = self.in_flight.lock().remove(&sync);
        self.sync_ended.notify_waiters();
        ended
    }

    /// Writes down how a sync ended.
    pub(crate) fn record(&self, end: SyncEnd<'_>) {
        self.syncs.record(end);
        self.sync_ended.notify_waiters();
    }

    /// Waits until so many syncs have ended since the beginning.
    pub async fn synced(&self, total: u64) {
        loop {
            let mut ended = pin!(self.sync_ended.notified());
            ended.as_mut().enable();
            if self.syncs.total() >= total {
                return;
            }
            ended.await;
        }
    }

    /// Counts a sync that a guest is called with, for as long as the value lives.
    pub(crate) fn run_sync(&self) -> Running<'_> {
        self.running.fetch_add(1, Ordering::Relaxed);
        Running(&self.running)
    }

    /// How many syncs guests are busy with. Keys that were taken and wait for the caches, or
    /// for their instance, are not among them.
    #[must_use]
    pub fn running_syncs(&self) -> usize {
        self.running.load(Ordering::Relaxed)
    }

    /// Waits until no sync is running of a key that `holds` is true of, and no write of
    /// such a sync is outstanding.
    pub(crate) async fn finished(&self, holds: impl Fn(&ObjectKey) -> bool) {
        loop {
            let mut ended = pin!(self.sync_ended.notified());
            ended.as_mut().enable();
            if !self.in_flight.lock().values().any(|sync| holds(&sync.key)) {
                break;
            }
            ended.await;
        }
        self.outstanding.settled().await;
    }

    /// Puts every key that a run left unfinished back, so that another one syncs it. For
    /// after the run, when no write of it can be outstanding any more.
    pub fn requeue_in_flight(&self, run: RunId) {
        for key in self.unfinished(run) {
            self.queue.add(key.clone());
            self.queue.done(&key);
        }
        self.sync_ended.notify_waiters();
    }

    fn unfinished(&self, run: RunId) -> Vec<ObjectKey> {
        let mut in_flight = self.in_flight.lock();
        let left = in_flight.extract_if(|_, sync| sync.run == run);
        left.map(|(_, sync)| sync.key).collect()
    }

    /// Holds the keys in flight of a run responsible for its end. To be called before
    /// [`Controller::requeue_in_flight`].
    pub fn blame(&self, run: RunId, failure: &GuestFailure) {
        self.end_spans(run, failure);
        if !is_deed_of_a_sync(failure) {
            return;
        }
        let keys: Vec<ObjectKey> = {
            let in_flight = self.in_flight.lock();
            let of_run = in_flight.values().filter(|sync| sync.run == run);
            of_run.map(|sync| sync.key.clone()).collect()
        };
        let reason = failure.to_string();
        for key in &keys {
            self.syncs.record(SyncEnd {
                id: 0,
                key,
                waited: None,
                duration: Duration::ZERO,
                result: SyncResult::Failed,
                error: Some(&reason),
            });
        }
        let set_aside = self.suspects.lock().blame(&keys, &reason, Instant::now());
        if let Some(SetAside { key, pause, .. }) = set_aside {
            tracing::error!(
                controller = %self.name, object.r#ref = %key, failure = failure.label(), error = reason, ?pause,
                "this key ended the guest again and again; it is set aside"
            );
        }
    }

    fn end_spans(&self, run: RunId, failure: &GuestFailure) {
        let spans: Vec<SyncSpan> = {
            let mut in_flight = self.in_flight.lock();
            let of_run = in_flight.values_mut().filter(|sync| sync.run == run);
            of_run.map(|sync| std::mem::take(&mut sync.span)).collect()
        };
        let traced = spans.into_iter().filter(|span| span.context().is_some());
        traced.for_each(|span| span.fail(failure.label(), &failure.to_string()));
    }

    /// Counts an instance that ended by itself, by [`GuestFailure::label`].
    pub(crate) fn count_failure(&self, label: &'static str) {
        *self.failures.lock().entry(label).or_default() += 1;
    }

    /// Instances that ended by themselves, by [`GuestFailure::label`].
    #[must_use]
    pub fn failures(&self) -> BTreeMap<&'static str, u64> {
        self.failures.lock().clone()
    }

    /// How to treat a key that is about to be synced.
    pub(crate) fn suspicion(&self, key: &ObjectKey) -> Treatment {
        self.suspects.lock().treatment(key, Instant::now())
    }

    pub(crate) fn clear_suspicion(&self, key: &ObjectKey) {
        self.suspects.lock().clear(key);
    }

    /// Forgets all suspicions: other code deserves another chance.
    pub fn pardon(&self) {
        let set_aside = self.suspects.lock().pardon();
        for key in set_aside {
            self.queue.add(key);
        }
    }

    /// The keys that are set aside.
    #[must_use]
    pub fn set_aside(&self) -> Vec<SetAside> {
        self.suspects.lock().set_aside(Instant::now())
    }

    pub(crate) fn report_expired(&self, key: &ObjectKey, missing: &Write) {
        tracing::warn!(
            controller = %self.name, object.r#ref = %key, missing.resource = %missing.resource, missing.object = %missing.key,
            "the cache never showed an earlier write; syncing on what it shows"
        );
    }

    pub(crate) fn report(&self, key: &ObjectKey, error: &SyncError) {
        match error {
            SyncError::Retry(message) => {
                let retries = self.queue.num_requeues(key);
                tracing::info!(controller = %self.name, object.r#ref = %key, retries, error = %message, "sync failed, will retry");
            }
            SyncError::Terminal(message) => {
                tracing::error!(controller = %self.name, object.r#ref = %key, error = %message, "sync failed for good");
            }
        }
    }
}

/// One sync that a guest is busy with.
pub(crate) struct Running<'a>(&'a AtomicUsize);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether a sync may have brought the instance down.
fn is_deed_of_a_sync(failure: &GuestFailure) -> bool {
    match failure {
        GuestFailure::Trap(_)
        | GuestFailure::Cpu { .. }
        | GuestFailure::Memory { .. }
        | GuestFailure::Stack { .. }
        | GuestFailure::Contract(_) => true,
        GuestFailure::Instantiation(_)
        | GuestFailure::Start(_)
        | GuestFailure::CachedBytes { .. }
        | GuestFailure::CachesFull { .. }
        | GuestFailure::Stopped => false,
    }
}

/// Keys that were refused and not logged yet.
#[derive(Default)]
struct Refusals {
    keys: u64,
    logged: Option<Instant>,
}

impl Refusals {
    /// Counts some more. Returns how many to log, if it is time to.
    fn add(&mut self, keys: u64, now: Instant) -> Option<u64> {
        self.keys += keys;
        let due = self
            .logged
            .is_none_or(|logged| now.duration_since(logged) >= COMPLAINT_PERIOD);
        due.then(|| {
            self.logged = Some(now);
            std::mem::take(&mut self.keys)
        })
    }
}

impl QueueSink for Controller {
    /// Keys that guests add are the only ones that may be dropped: those from caches are
    /// bounded by the caches.
    fn add(&self, items: Vec<QueueItem>) {
        let mut refused = 0;
        let mut reason = None;
        for item in items {
            if let Err(full) = self.queue.try_add(item.key, item.priority, item.after) {
                refused += 1;
                reason = Some(full);
            }
        }
        let Some(reason) = reason else { return };
        if let Some(refused) = self.refusals.lock().add(refused, Instant::now()) {
            tracing::warn!(controller = %self.name, refused, error = %reason, "keys that the guest added were dropped");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_logged_once_a_minute_with_what_was_dropped_since() {
        let (mut refusals, start) = (Refusals::default(), Instant::now());
        assert_eq!(refusals.add(10, start), Some(10));
        assert_eq!(refusals.add(20, start), None);
        assert_eq!(refusals.add(20, start + COMPLAINT_PERIOD / 2), None);
        assert_eq!(refusals.add(2, start + COMPLAINT_PERIOD), Some(42));
    }
}
