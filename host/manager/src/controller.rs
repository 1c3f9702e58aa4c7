//! One controller: its queue, its gate, and the loop that feeds one guest instance.
//!
//! The loop is one task that owns all bookkeeping: it takes deltas, tells the observer,
//! turns them into keys, takes keys from the queue, holds back those whose writes the
//! caches have not seen, calls the guest and acts on how each sync ended.
//!
//! Promises: one key, one sync; an observer sees a delta before any sync that could
//! depend on it; whatever ends the loop, no key in flight is forgotten.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use parking_lot::Mutex;
use smol_str::SmolStr;
use tokio_util::sync::CancellationToken;
use windlass_core::enqueue;
use windlass_core::gate::{CacheProgress, Gate, Verdict, Write};
use windlass_core::key::ObjectKey;
use windlass_core::manifest::{EnqueueRule, Manifest, WatchId};
use windlass_core::outcome::{GuestFailure, Outcome, SyncError};
use windlass_core::seams::{Delta, DeltaBatch, DeltaKind, Guest, ObjectReader, QueueItem, QueueSink, SyncId};
use windlass_core::workqueue::Workqueue;

/// Priority of keys from initial lists and resyncs: after live changes.
pub const INITIAL_PRIORITY: i32 = -100;
/// Calls into an observer that may be outstanding before the loop stops taking deltas.
const MAX_OBSERVES: usize = 64;

/// How often the gate forgets what keys wrote that nobody syncs any more.
const SWEEP_PERIOD: Duration = Duration::from_secs(30);

/// Where deltas come from.
pub trait DeltaSource: Send {
    /// The next deltas, in order. Cancelling loses nothing.
    fn next(&mut self) -> impl Future<Output = Vec<DeltaBatch>> + Send;
    /// Whether everything that was there at the beginning has been returned by `next`.
    fn has_synced(&self) -> bool;
}

/// Counters of one controller, for status and summaries.
#[derive(Debug, Default)]
pub struct ControllerStats {
    /// Syncs that ended, whatever way.
    pub syncs: AtomicU64,
    /// Of them, those that returned an error.
    pub sync_errors: AtomicU64,
    /// Time spent in syncs, waiting included.
    pub sync_nanos: AtomicU64,
    /// Guest instances that failed.
    pub restarts: AtomicU64,
}

/// The caches as the gate and the enqueue rules see them.
#[derive(Clone)]
pub struct Caches {
    /// Reads by watch.
    pub reader: Arc<dyn ObjectReader>,
    /// How far they are.
    pub progress: Arc<dyn CacheProgress>,
    /// Ticks after they changed.
    pub progressed: tokio::sync::watch::Receiver<u64>,
}

/// What a controller's loop shares with the guest's imports and the API client.
pub struct Controller {
    /// The module's name.
    pub name: SmolStr,
    /// What the guest declared.
    pub manifest: Arc<Manifest>,
    /// Its keys.
    pub queue: Workqueue<ObjectKey>,
    /// What its syncs wrote and the caches have not shown yet.
    pub gate: Arc<Gate>,
    /// Counters.
    pub stats: ControllerStats,
    workers: usize,
    in_flight: Mutex<HashMap<SyncId, ObjectKey>>,
    next_sync: AtomicU64,
}

/// Why the loop ended.
#[derive(Debug, PartialEq, Eq)]
pub enum LoopEnd {
    /// It was told to stop and the syncs in flight have ended, or the grace period has.
    Stopped,
    /// The instance is gone.
    Failed(GuestFailure),
}

impl Controller {
    /// A controller with an empty queue. `workers` bounds the syncs in flight.
    #[must_use]
    pub fn new(
        name: SmolStr,
        manifest: Arc<Manifest>,
        queue: Workqueue<ObjectKey>,
        gate: Arc<Gate>,
        workers: usize,
    ) -> Self {
        Self {
            name,
            manifest,
            queue,
            gate,
            stats: ControllerStats::default(),
            workers: workers.max(1),
            in_flight: Mutex::new(HashMap::new()),
            next_sync: AtomicU64::new(1),
        }
    }

    /// The key that a running sync is about; nothing once it has ended.
    #[must_use]
    pub fn key_of(&self, sync: SyncId) -> Option<ObjectKey> {
        self.in_flight.lock().get(&sync).cloned()
    }

    /// Runs one guest instance until it fails or `stop` is cancelled, then waits at most
    /// the grace period for syncs in flight. Calls `started` once it serves. Keys that are
    /// still in flight at its end stay so until [`Controller::requeue_in_flight`].
    pub async fn run(
        &self,
        guest: &dyn Guest,
        source: &mut impl DeltaSource,
        caches: &Caches,
        timing: Timing,
        started: impl FnOnce(),
        stop: &CancellationToken,
    ) -> LoopEnd {
        let mut run = Run {
            controller: self,
            guest,
            caches,
            syncs: FuturesUnordered::new(),
            parked: FuturesUnordered::new(),
            observes: FuturesUnordered::new(),
            maps: FuturesUnordered::new(),
        };
        let starting = tokio::select! {
            () = stop.cancelled() => return LoopEnd::Stopped,
            starting = run.start(source, timing.start_timeout) => starting,
        };
        match starting {
            Ok(()) => {
                started();
                run.serve(source, timing, stop).await
            }
            Err(failure) => LoopEnd::Failed(failure),
        }
    }

    fn begin(&self, key: &ObjectKey) -> SyncId {
        let sync = self.next_sync.fetch_add(1, Ordering::Relaxed);
        self.in_flight.lock().insert(sync, key.clone());
        sync
    }

    fn end(&self, sync: SyncId) -> Option<ObjectKey> {
        self.in_flight.lock().remove(&sync)
    }

    /// Puts every key that is being processed back, so that the next instance syncs it.
    /// For the time between two runs.
    pub fn requeue_in_flight(&self) {
        let keys: Vec<ObjectKey> = self.in_flight.lock().drain().map(|(_, key)| key).collect();
        for key in keys {
            self.queue.add(key.clone());
            self.queue.done(&key);
        }
    }
}

/// Limits in time of one run.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// For the guest's `start`. Filling the caches has no limit: the server may be away.
    pub start_timeout: Duration,
    /// From told to stop to stopped.
    pub grace: Duration,
}

struct Ended {
    sync: SyncId,
    since: Instant,
    result: Result<Result<Outcome, SyncError>, GuestFailure>,
}

struct Mapped {
    initial: bool,
    keys: Result<Vec<ObjectKey>, GuestFailure>,
}

/// One instance's run: the futures in flight.
struct Run<'a> {
    controller: &'a Controller,
    guest: &'a dyn Guest,
    caches: &'a Caches,
    syncs: FuturesUnordered<BoxFuture<'a, Ended>>,
    parked: FuturesUnordered<BoxFuture<'a, SyncId>>,
    observes: FuturesUnordered<BoxFuture<'a, Result<(), GuestFailure>>>,
    maps: FuturesUnordered<BoxFuture<'a, Mapped>>,
}

/// Everything that can wake the loop.
enum Cause {
    Deltas(Vec<DeltaBatch>),
    Key(Option<ObjectKey>),
    Released(SyncId),
    Ended(Ended),
    Observed(Result<(), GuestFailure>),
    Mapped(Mapped),
    Closed(GuestFailure),
    Sweep,
}

impl<'a> Run<'a> {
    /// Delivers the initial content, then calls the guest's `start`.
    async fn start(&mut self, source: &mut impl DeltaSource, limit: Duration) -> Result<(), GuestFailure> {
        while !source.has_synced() {
            let batches = source.next().await;
            self.take_deltas(batches);
            while self.observes.len() >= MAX_OBSERVES {
                self.observes.next().await.unwrap_or(Ok(()))?;
            }
        }
        while let Some(observed) = self.observes.next().await {
            observed?;
        }
        match tokio::time::timeout(limit, self.guest.start()).await {
            Ok(started) => started,
            Err(_) => Err(GuestFailure::Start(format!("not done within {limit:?}"))),
        }
    }

    async fn serve(
        &mut self,
        source: &mut impl DeltaSource,
        timing: Timing,
        stop: &CancellationToken,
    ) -> LoopEnd {
        let mut closed = self.guest.closed();
        let mut sweep = tokio::time::interval(SWEEP_PERIOD);
        loop {
            self.dispatch_ready();
            let has_room = self.has_room();
            let takes_deltas = self.observes.len() < MAX_OBSERVES;
            let queue = &self.controller.queue;
            let cause = tokio::select! {
                () = stop.cancelled() => break,
                failure = &mut closed => Cause::Closed(failure),
                Some(ended) = self.syncs.next() => Cause::Ended(ended),
                Some(sync) = self.parked.next() => Cause::Released(sync),
                Some(observed) = self.observes.next() => Cause::Observed(observed),
                Some(mapped) = self.maps.next() => Cause::Mapped(mapped),
                _ = sweep.tick() => Cause::Sweep,
                deltas = source.next(), if takes_deltas => Cause::Deltas(deltas),
                key = queue.get(), if has_room => Cause::Key(key),
            };
            match self.handle(cause) {
                Ok(true) => {}
                Ok(false) => break,
                Err(failure) => return LoopEnd::Failed(failure),
            }
        }
        self.drain(timing.grace).await;
        LoopEnd::Stopped
    }

    /// False ends the loop in peace.
    fn handle(&mut self, cause: Cause) -> Result<bool, GuestFailure> {
        match cause {
            Cause::Key(None) => return Ok(false),
            Cause::Deltas(batches) => self.take_deltas(batches),
            Cause::Key(Some(key)) => self.take_key(key),
            Cause::Released(sync) => self.call(sync),
            Cause::Ended(ended) => self.finish(ended)?,
            Cause::Observed(observed) => observed?,
            Cause::Mapped(Mapped { initial, keys }) => {
                for key in keys? {
                    self.enqueue(key, initial);
                }
            }
            Cause::Closed(failure) => return Err(failure),
            Cause::Sweep => self.controller.gate.sweep(&*self.caches.progress, Instant::now()),
        }
        Ok(true)
    }

    fn has_room(&self) -> bool {
        self.syncs.len() < self.controller.workers
    }

    /// Takes as many keys as there is room for without going back to the scheduler.
    fn dispatch_ready(&mut self) {
        while self.has_room() {
            let Some(key) = self.controller.queue.try_get() else {
                return;
            };
            self.take_key(key);
        }
    }

    fn take_key(&mut self, key: ObjectKey) {
        let sync = self.controller.begin(&key);
        let (controller, caches) = (self.controller, self.caches);
        match controller.gate.check(&key, &*caches.progress, Instant::now()) {
            Verdict::Open => self.call(sync),
            Verdict::Expired { missing } => {
                controller.report_expired(&key, &missing);
                self.call(sync);
            }
            Verdict::Closed { .. } => self.parked.push(Box::pin(async move {
                let mut progressed = caches.progressed.clone();
                let verdict = controller
                    .gate
                    .ready(&key, &*caches.progress, &mut progressed)
                    .await;
                if let Verdict::Expired { missing } = verdict {
                    controller.report_expired(&key, &missing);
                }
                sync
            })),
        }
    }

    fn call(&mut self, sync: SyncId) {
        let Some(key) = self.controller.key_of(sync) else {
            return;
        };
        let since = Instant::now();
        let syncing = self.guest.sync(sync, key);
        self.syncs.push(Box::pin(async move {
            Ended {
                sync,
                since,
                result: syncing.await,
            }
        }));
    }

    fn finish(&mut self, ended: Ended) -> Result<(), GuestFailure> {
        // A failed instance leaves its keys in flight for `requeue_in_flight`.
        let result = ended.result?;
        let controller = self.controller;
        let Some(key) = controller.end(ended.sync) else {
            return Ok(());
        };
        let stats = &controller.stats;
        stats.syncs.fetch_add(1, Ordering::Relaxed);
        let nanos = u64::try_from(ended.since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        stats.sync_nanos.fetch_add(nanos, Ordering::Relaxed);
        let queue = &controller.queue;
        match result {
            Ok(Outcome::Done) => queue.forget(&key),
            Ok(Outcome::RequeueAfter(after)) => {
                queue.forget(&key);
                queue.add_with(key.clone(), 0, after);
            }
            Err(error) => {
                stats.sync_errors.fetch_add(1, Ordering::Relaxed);
                controller.report(&key, &error);
                match error {
                    SyncError::Retry(_) => queue.add_rate_limited(key.clone()),
                    SyncError::Terminal(_) => queue.forget(&key),
                }
            }
        }
        queue.done(&key);
        Ok(())
    }

    fn take_deltas(&mut self, batches: Vec<DeltaBatch>) {
        let mut observed: Vec<DeltaBatch> = Vec::new();
        for batch in &batches {
            if self.watch(batch.watch).is_some_and(|watch| watch.observe) {
                observed.push(batch.clone());
            }
        }
        if !observed.is_empty() {
            self.observes.push(self.guest.observe(observed));
        }
        for batch in batches {
            for delta in batch.deltas {
                self.keys_of(batch.watch, delta);
            }
        }
    }

    fn watch(&self, watch: WatchId) -> Option<&'a windlass_core::manifest::WatchSpec> {
        self.controller.manifest.watches.get(watch as usize)
    }

    fn keys_of(&mut self, watch_id: WatchId, delta: Delta) {
        let Some(watch) = self.watch(watch_id) else { return };
        let initial = delta.initial;
        if watch.enqueue == EnqueueRule::Mapper {
            if applies(watch.on, delta.kind) {
                let mapping = self.guest.map(watch_id, delta);
                self.maps.push(Box::pin(async move {
                    Mapped {
                        initial,
                        keys: mapping.await,
                    }
                }));
            }
            return;
        }
        for key in enqueue::keys(&watch.enqueue, watch.on, &delta, &*self.caches.reader) {
            self.enqueue(key, initial);
        }
    }

    fn enqueue(&self, key: ObjectKey, initial: bool) {
        self.controller
            .queue
            .add_with(key, if initial { INITIAL_PRIORITY } else { 0 }, Duration::ZERO);
    }

    /// Lets syncs in flight end, without starting new ones.
    async fn drain(&mut self, grace: Duration) {
        let deadline = tokio::time::Instant::now() + grace;
        while !self.syncs.is_empty() {
            match tokio::time::timeout_at(deadline, self.syncs.next()).await {
                Ok(Some(ended)) => {
                    if self.finish(ended).is_err() {
                        return;
                    }
                }
                Ok(None) => return,
                Err(_) => {
                    let left = self.syncs.len();
                    tracing::warn!(controller = %self.controller.name, left, "syncs did not end within the grace period");
                    return;
                }
            }
        }
    }
}

impl Controller {
    fn report_expired(&self, key: &ObjectKey, missing: &Write) {
        tracing::warn!(
            controller = %self.name, object.r#ref = %key, missing.resource = %missing.resource, missing.object = %missing.key,
            "the cache never showed an earlier write; syncing on what it shows"
        );
    }

    fn report(&self, key: &ObjectKey, error: &SyncError) {
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

impl QueueSink for Controller {
    /// Keys that guests add are the only ones that may be dropped: those from caches are
    /// bounded by the caches.
    fn add(&self, items: Vec<QueueItem>) {
        let keys = items.len();
        let refused = items
            .into_iter()
            .filter_map(|item| self.queue.try_add(item.key, item.priority, item.after).err())
            .count();
        if refused > 0 {
            tracing::warn!(controller = %self.name, refused, keys, "the queue is full, keys of the guest were dropped");
        }
    }
}

fn applies(on: windlass_core::manifest::EventKinds, kind: DeltaKind) -> bool {
    match kind {
        DeltaKind::Added => on.added,
        DeltaKind::Updated => on.updated,
        DeltaKind::Deleted => on.deleted,
    }
}
