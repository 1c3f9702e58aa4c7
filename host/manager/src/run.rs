//! The loop that feeds one guest: an instance, or several that share the keys.
//!
//! One task that owns all bookkeeping of the guest: it takes deltas, tells the
//! observer, turns them into keys, takes keys from the controller's queue, holds back
//! those whose writes the caches have not seen, calls the guest and acts on how each sync
//! ended.
//!
//! A run has three phases. *Starting*: the present content is delivered and the guest's
//! `start` called. *Waiting*: deltas go on, no key is touched; [`Orders::go`] ends it, at
//! once for a first instance, and when the moment has come for one that replaces another.
//! *Serving*: first every key that the content led to is queued, then keys are synced.
//!
//! Promises: one key, one sync; an observer sees a delta before any sync that could
//! depend on it, and whatever earlier instances wrote before its first sync; whatever ends
//! the loop, no key in flight is forgotten.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use windlass_core::enqueue;
use windlass_core::gate::{CacheProgress, Verdict};
use windlass_core::key::ObjectKey;
use windlass_core::manifest::{EnqueueRule, EventKinds, Manifest, WatchId, WatchSpec};
use windlass_core::outcome::{GuestFailure, Outcome, SyncError};
use windlass_core::seams::{Delta, DeltaBatch, DeltaKind, Guest, ObjectReader, SyncId};
use windlass_telemetry::otlp::{ModuleTracer, SyncStart};
use windlass_telemetry::status::SyncResult;
use windlass_telemetry::sync_recorder::SyncEnd;

use crate::controller::{Controller, InFlight, RunId};
use crate::grace::Grace;
use crate::lanes::{Concurrency, Lanes};
use crate::mandate::Authority;
use crate::suspects::Treatment;

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
    /// How many changes wait to be taken.
    fn waiting(&self) -> usize;
}

/// The caches as the gate and the enqueue rules see them.
#[derive(Clone)]
pub struct Caches {
    /// Reads by watch.
    pub reader: Arc<dyn ObjectReader>,
    /// How far they are.
    pub progress: Arc<dyn CacheProgress>,
    /// Ticks after they changed.
    pub progressed: watch::Receiver<u64>,
}

/// Limits in time of one run.
#[derive(Clone, Debug)]
pub struct Timing {
    /// For the guest's `start`. Filling the caches has no limit: the server may be away.
    pub start_timeout: Duration,
    /// From told to stop to stopped.
    pub grace: Grace,
}

/// What a run is told from outside.
#[derive(Clone, Debug, Default)]
pub struct Orders {
    /// Begin to sync keys.
    pub go: CancellationToken,
    /// Take no more keys, and end when those in flight have.
    pub drain: CancellationToken,
}

/// Why the loop ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoopEnd {
    /// It was told to stop and the syncs in flight have ended, or the grace period has.
    Stopped,
    /// The instance is gone.
    Failed(GuestFailure),
}

/// One instance and what it is run with.
pub struct Engagement<'a> {
    /// Names the run.
    pub id: RunId,
    /// What outlives it.
    pub controller: &'a Controller,
    /// The instance.
    pub guest: &'a dyn Guest,
    /// What it declared.
    pub manifest: &'a Manifest,
    /// What it reads.
    pub caches: &'a Caches,
    /// Which keys it may sync.
    pub authority: &'a Authority,
    /// Syncs in flight.
    pub concurrency: Concurrency,
    /// Limits in time.
    pub timing: Timing,
    /// Makes spans of its syncs, if somebody wants them.
    pub tracer: Option<&'a ModuleTracer>,
}

impl Engagement<'_> {
    /// Runs the instance until it fails or is told to drain, then waits at most the grace
    /// period for syncs in flight. Calls `started` when it could serve. Keys that are
    /// still in flight at its end stay so until [`Controller::requeue_in_flight`].
    pub async fn run(
        &self,
        source: &mut impl DeltaSource,
        started: impl FnOnce(),
        orders: &Orders,
    ) -> LoopEnd {
        let mut run = Run {
            job: self,
            phase: Phase::Waiting,
            held: Vec::new(),
            syncs: FuturesUnordered::new(),
            parked: FuturesUnordered::new(),
            observes: FuturesUnordered::new(),
            maps: FuturesUnordered::new(),
            queued: VecDeque::new(),
            lanes: Lanes::new(self.concurrency),
            alone: false,
        };
        let starting = tokio::select! {
            () = orders.drain.cancelled() => return LoopEnd::Stopped,
            starting = run.start(source) => starting,
        };
        match starting {
            Ok(()) => {
                started();
                run.serve(source, orders).await
            }
            Err(failure) => LoopEnd::Failed(failure),
        }
    }

    fn observes(&self) -> bool {
        self.manifest.watches.iter().any(|watch| watch.observe)
    }
}

/// A sync that has begun for the queue and not yet for the guest.
struct Due {
    sync: SyncId,
    key: ObjectKey,
    taken: Instant,
    /// Whether it has to run alone.
    alone: bool,
}

struct Ended {
    sync: SyncId,
    /// The instance.
    lane: usize,
    taken: Instant,
    since: Instant,
    result: Result<Result<Outcome, SyncError>, GuestFailure>,
}

struct Mapped {
    initial: bool,
    keys: Result<Vec<ObjectKey>, GuestFailure>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// For the order to go.
    Waiting,
    /// For the caches to show what earlier instances wrote.
    Settling,
    /// For the observer to know it.
    Settled,
    /// Keys are synced.
    Serving,
}

/// One instance's run: the futures in flight.
struct Run<'a> {
    job: &'a Engagement<'a>,
    phase: Phase,
    /// Keys that the content led to before the run serves; whether they are initial.
    held: Vec<(ObjectKey, bool)>,
    syncs: FuturesUnordered<BoxFuture<'a, Ended>>,
    parked: FuturesUnordered<BoxFuture<'a, Due>>,
    observes: FuturesUnordered<BoxFuture<'a, Result<(), GuestFailure>>>,
    maps: FuturesUnordered<BoxFuture<'a, Mapped>>,
    /// Syncs that wait because a suspect runs, or has to run, alone.
    queued: VecDeque<Due>,
    /// Syncs that run, and those that wait for their instance.
    lanes: Lanes<Due>,
    /// The one sync in flight is a suspect's.
    alone: bool,
}

/// Everything that can wake the loop.
enum Cause {
    Deltas(Vec<DeltaBatch>),
    Key(Option<ObjectKey>),
    Released(Due),
    Ended(Ended),
    Observed(Result<(), GuestFailure>),
    Mapped(Mapped),
    Closed(GuestFailure),
    Go,
    Settled,
    Sweep,
}

impl<'a> Run<'a> {
    /// Delivers the initial content, then calls the guest's `start`.
    async fn start(&mut self, source: &mut impl DeltaSource) -> Result<(), GuestFailure> {
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
        let limit = self.job.timing.start_timeout;
        match tokio::time::timeout(limit, self.job.guest.start()).await {
            Ok(started) => started,
            Err(_) => Err(GuestFailure::Start(format!("not done within {limit:?}"))),
        }
    }

    async fn serve(&mut self, source: &mut impl DeltaSource, orders: &Orders) -> LoopEnd {
        let job = self.job;
        let queue = &job.controller.queue;
        let mut closed = job.guest.closed();
        let mut sweep = tokio::time::interval(SWEEP_PERIOD);
        let mut progressed = job.caches.progressed.clone();
        let settled = job
            .controller
            .gate
            .settled(&*job.caches.progress, &mut progressed);
        let mut settled = pin!(settled);
        loop {
            if self.phase == Phase::Settled && source.waiting() == 0 && self.observes.is_empty() {
                self.begin_to_serve();
            }
            self.dispatch_ready();
            let (has_room, waits) = (self.has_room(), self.phase == Phase::Waiting);
            let settles = self.phase == Phase::Settling;
            let takes_deltas = self.observes.len() < MAX_OBSERVES;
            let cause = tokio::select! {
                () = orders.drain.cancelled() => break,
                failure = &mut closed => Cause::Closed(failure),
                Some(ended) = self.syncs.next() => Cause::Ended(ended),
                Some(due) = self.parked.next() => Cause::Released(due),
                Some(observed) = self.observes.next() => Cause::Observed(observed),
                Some(mapped) = self.maps.next() => Cause::Mapped(mapped),
                () = orders.go.cancelled(), if waits => Cause::Go,
                () = &mut settled, if settles => Cause::Settled,
                _ = sweep.tick() => Cause::Sweep,
                deltas = source.next(), if takes_deltas => Cause::Deltas(deltas),
                key = queue.get(), if has_room => Cause::Key(key),
            };
            match self.handle(cause) {
                Ok(true) => {}
                Ok(false) => break,
                Err(failure) => {
                    self.give_back();
                    return LoopEnd::Failed(failure);
                }
            }
        }
        self.drain().await
    }

    /// False ends the loop in peace.
    fn handle(&mut self, cause: Cause) -> Result<bool, GuestFailure> {
        match cause {
            Cause::Key(None) => return Ok(false),
            Cause::Deltas(batches) => self.take_deltas(batches),
            Cause::Key(Some(key)) => self.take_key(key),
            Cause::Released(due) => self.call(due),
            Cause::Ended(ended) => {
                let lane = ended.lane;
                self.finish(ended)?;
                if let Some((lane, due)) = self.lanes.leave(lane) {
                    self.begin(lane, due);
                }
            }
            Cause::Observed(observed) => observed?,
            Cause::Mapped(Mapped { initial, keys }) => {
                for key in keys? {
                    self.enqueue(key, initial);
                }
            }
            Cause::Closed(failure) => return Err(failure),
            Cause::Go if self.job.observes() => self.phase = Phase::Settling,
            Cause::Go | Cause::Settled => self.phase = Phase::Settled,
            Cause::Sweep => {
                let gate = &self.job.controller.gate;
                gate.sweep(&*self.job.caches.progress, Instant::now());
            }
        }
        Ok(true)
    }

    fn begin_to_serve(&mut self) {
        self.phase = Phase::Serving;
        for (key, initial) in std::mem::take(&mut self.held) {
            self.enqueue(key, initial);
        }
    }

    fn has_room(&self) -> bool {
        self.phase == Phase::Serving && !self.alone && self.queued.is_empty() && self.lanes.has_room()
    }

    /// Takes as many keys as there is room for without going back to the scheduler.
    fn dispatch_ready(&mut self) {
        self.alone &= !self.syncs.is_empty();
        while !self.alone {
            let may_go = |due: &Due| !due.alone || self.syncs.is_empty();
            if !self.queued.front().is_some_and(may_go) {
                break;
            }
            let Some(due) = self.queued.pop_front() else { break };
            self.alone = due.alone;
            self.send(due);
        }
        while self.has_room() {
            let Some(key) = self.job.controller.queue.try_get() else {
                return;
            };
            self.take_key(key);
        }
    }

    fn take_key(&mut self, key: ObjectKey) {
        let controller = self.job.controller;
        let alone = match controller.suspicion(&key) {
            Treatment::Free => false,
            Treatment::Alone => true,
            Treatment::SetAside(pause) => {
                controller.queue.add_with(key.clone(), INITIAL_PRIORITY, pause);
                controller.queue.done(&key);
                return;
            }
        };
        let sync = controller.begin(self.job.id, key.clone());
        let (caches, taken) = (self.job.caches, Instant::now());
        let due = Due {
            sync,
            key,
            taken,
            alone,
        };
        match controller.gate.check(&due.key, &*caches.progress, taken) {
            Verdict::Open => self.call(due),
            Verdict::Expired { missing } => {
                controller.report_expired(&due.key, &missing);
                self.call(due);
            }
            Verdict::Closed { .. } => self.parked.push(Box::pin(async move {
                let mut progressed = caches.progressed.clone();
                let verdict = controller
                    .gate
                    .ready(&due.key, &*caches.progress, &mut progressed)
                    .await;
                if let Verdict::Expired { missing } = verdict {
                    controller.report_expired(&due.key, &missing);
                }
                due
            })),
        }
    }

    fn call(&mut self, due: Due) {
        if due.alone || self.alone || !self.queued.is_empty() {
            self.queued.push_back(due);
        } else {
            self.send(due);
        }
    }

    /// Runs it, as soon as its instance has room.
    fn send(&mut self, due: Due) {
        let lane = self.job.concurrency.instance_of(&due.key);
        if let Some(due) = self.lanes.enter(lane, due) {
            self.begin(lane, due);
        }
    }

    /// Runs it, or whatever may run in its place if it is not ours any more.
    fn begin(&mut self, lane: usize, due: Due) {
        let mut next = Some((lane, due));
        while let Some((lane, due)) = next {
            if self.job.authority.owns(&due.key) {
                return self.sync(lane, due);
            }
            // Another replica syncs it; should it come back, so does the whole content.
            let controller = self.job.controller;
            controller.end(due.sync);
            controller.queue.forget(&due.key);
            controller.queue.done(&due.key);
            next = self.lanes.leave(lane);
        }
    }

    fn sync(&mut self, lane: usize, due: Due) {
        let Due { sync, key, taken, .. } = due;
        let controller = self.job.controller;
        let since = Instant::now();
        if let Some(tracer) = self.job.tracer {
            let queued = controller.queue.taken(&key);
            let start = SyncStart {
                id: sync,
                key: &key,
                queued: queued.map(|queued| queued.waited).unwrap_or_default(),
                held: since - taken,
            };
            controller.follow(sync, tracer.sync(start));
        }
        let syncing = self.job.guest.sync(sync, key);
        let running = controller.run_sync();
        self.syncs.push(Box::pin(async move {
            let _running = running;
            Ended {
                sync,
                lane,
                taken,
                since,
                result: syncing.await,
            }
        }));
    }

    /// Puts back what has not begun for the guest, so that nobody takes it for the reason
    /// of a failure, and another run need not wait for this one's syncs.
    fn give_back(&mut self) {
        let controller = self.job.controller;
        let waiting = self.lanes.take_waiting().into_iter();
        for due in waiting.chain(std::mem::take(&mut self.queued)) {
            controller.end(due.sync);
            controller.queue.add(due.key.clone());
            controller.queue.done(&due.key);
        }
    }

    fn finish(&mut self, ended: Ended) -> Result<(), GuestFailure> {
        // A failed instance leaves its keys in flight for `requeue_in_flight`.
        let result = ended.result?;
        let controller = self.job.controller;
        let Some(InFlight { key, span, .. }) = controller.end(ended.sync) else {
            return Ok(());
        };
        controller.clear_suspicion(&key);
        let (outcome, error) = match &result {
            Ok(Outcome::Done) => (SyncResult::Success, None),
            Ok(Outcome::RequeueAfter(_)) => (SyncResult::RequeueAfter, None),
            Err(SyncError::Retry(message)) => (SyncResult::Retry, Some(message.as_str())),
            Err(SyncError::Terminal(message)) => (SyncResult::Terminal, Some(message.as_str())),
        };
        let duration = ended.since.elapsed();
        span.end(outcome, error);
        let queue = &controller.queue;
        match &result {
            Ok(Outcome::Done) => queue.forget(&key),
            Ok(Outcome::RequeueAfter(after)) => {
                queue.forget(&key);
                queue.add_with(key.clone(), 0, *after);
            }
            Err(error) => {
                controller.report(&key, error);
                match error {
                    SyncError::Retry(_) => queue.add_rate_limited(key.clone()),
                    SyncError::Terminal(_) => queue.forget(&key),
                }
            }
        }
        // Keys of initial lists and resyncs let all others pass, so their waits say nothing.
        let queued = queue.done(&key).filter(|taken| taken.priority >= 0);
        controller.record(SyncEnd {
            id: ended.sync,
            key: &key,
            waited: queued.map(|taken| taken.waited + (ended.since - ended.taken)),
            duration,
            result: outcome,
            error,
        });
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
            self.observes.push(self.job.guest.observe(observed));
        }
        for batch in batches {
            for delta in batch.deltas {
                self.keys_of(batch.watch, delta);
            }
        }
    }

    fn watch(&self, watch: WatchId) -> Option<&'a WatchSpec> {
        self.job.manifest.watches.get(watch as usize)
    }

    fn keys_of(&mut self, watch_id: WatchId, delta: Delta) {
        let Some(watch) = self.watch(watch_id) else { return };
        let initial = delta.initial;
        if watch.enqueue == EnqueueRule::Mapper {
            if applies(watch.on, delta.kind) {
                let mapping = self.job.guest.map(watch_id, delta);
                self.maps.push(Box::pin(async move {
                    Mapped {
                        initial,
                        keys: mapping.await,
                    }
                }));
            }
            return;
        }
        for key in enqueue::keys(&watch.enqueue, watch.on, &delta, &*self.job.caches.reader) {
            self.enqueue(key, initial);
        }
    }

    fn enqueue(&mut self, key: ObjectKey, initial: bool) {
        if self.phase == Phase::Serving {
            let priority = if initial { INITIAL_PRIORITY } else { 0 };
            self.job.controller.queue.add_with(key, priority, Duration::ZERO);
        } else {
            // Queued now, it might go to an instance that is about to be replaced, and
            // this one would never see it.
            self.held.push((key, initial));
        }
    }

    /// Lets syncs in flight end, without starting new ones.
    async fn drain(&mut self) -> LoopEnd {
        self.give_back();
        let deadline = tokio::time::Instant::now() + self.job.timing.grace.get();
        while !self.syncs.is_empty() {
            match tokio::time::timeout_at(deadline, self.syncs.next()).await {
                Ok(Some(ended)) => {
                    if let Err(failure) = self.finish(ended) {
                        return LoopEnd::Failed(failure);
                    }
                }
                Ok(None) => break,
                Err(_) => {
                    let left = self.syncs.len();
                    tracing::warn!(controller = %self.job.controller.name, left, "syncs did not end within the grace period");
                    break;
                }
            }
        }
        LoopEnd::Stopped
    }
}

fn applies(on: EventKinds, kind: DeltaKind) -> bool {
    match kind {
        DeltaKind::Added => on.added,
        DeltaKind::Updated => on.updated,
        DeltaKind::Deleted => on.deleted,
    }
}
