//! Plays the host to a guest, from a log.
//!
//! The log is cut into segments: one thing that the recorded guest was told, and what it
//! did until it came to rest. The replayed guest is told the same, at rest as well, and
//! asks meanwhile; [`moment`] answers what it reads, [`calls`] what it asks the API server.
//! Whatever it does otherwise goes to [`Findings`].

mod calls;
mod effects;
mod invent;
mod moment;

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Poll, Waker};

use futures::FutureExt;
use futures::future::BoxFuture;
use futures::task::AtomicWaker;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use windlass_core::key::ObjectKey;
use windlass_core::manifest::{Manifest, WatchId};
use windlass_core::object::Object;
use windlass_core::outcome::{GuestFailure, Outcome};
use windlass_core::seams::{Delta, DeltaBatch, Guest, Services, SyncId};
use windlass_engine::instance::Instance;
use windlass_engine::load::OptionalExports;

use self::calls::{Calls, SyncResult};
use self::effects::{Effects, Side};
use self::moment::{Memory, Moment};
use super::entry::{Batch, CallId, Change, Entry};
use super::format::{RecordedWatch, watches};
use super::report::{Difference, DifferenceKind, Findings};
use super::turns::Conductor;

mod services;

/// One thing that a guest was told, and what it did then.
#[derive(Debug, Default)]
pub(crate) struct Segment {
    /// Nothing for what it did before it was told anything, and for results that came late.
    pub(crate) told: Option<Entry>,
    /// In order.
    pub(crate) done: Vec<Entry>,
}

impl Segment {
    /// Cuts a log.
    pub(crate) fn cut(entries: impl IntoIterator<Item = Entry>) -> Vec<Self> {
        let mut segments = vec![Self::default()];
        for entry in entries {
            if entry.is_told() {
                segments.push(Self {
                    told: Some(entry),
                    done: Vec::new(),
                });
            } else if let Some(segment) = segments.last_mut() {
                segment.done.push(entry);
            }
        }
        segments
    }
}

/// The watches of the replayed guest beside those of the recorded one.
struct Watches {
    /// By position of the replayed guest.
    recorded: Vec<Option<WatchId>>,
    /// By position of the recorded guest.
    replayed: Vec<Option<WatchId>>,
}

impl Watches {
    fn new(recorded: &[RecordedWatch], manifest: &Manifest) -> Self {
        let own = watches(manifest);
        let find = |all: &[RecordedWatch], watch: &RecordedWatch| {
            let same =
                |other: &RecordedWatch| (&other.target, &other.selector) == (&watch.target, &watch.selector);
            let position = all.iter().position(same)?;
            WatchId::try_from(position).ok()
        };
        Self {
            recorded: own.iter().map(|watch| find(recorded, watch)).collect(),
            replayed: recorded.iter().map(|watch| find(&own, watch)).collect(),
        }
    }

    fn recorded(&self, watch: WatchId) -> Option<WatchId> {
        *self.recorded.get(watch as usize)?
    }

    fn replayed(&self, watch: WatchId) -> Option<WatchId> {
        *self.replayed.get(watch as usize)?
    }
}

/// A call into the replayed guest, under way.
pub(crate) type InFlight = BoxFuture<'static, Returned>;

/// What a call into the replayed guest returned.
pub(crate) enum Returned {
    Started(Result<(), GuestFailure>),
    Synced(SyncId, Result<SyncResult, GuestFailure>),
    Observed,
    Mapped(CallId, Result<Vec<ObjectKey>, GuestFailure>),
}

/// The replayed guest, once it lives.
struct Stage {
    instance: Arc<Instance>,
    in_flight: mpsc::UnboundedSender<InFlight>,
}

struct State {
    upcoming: VecDeque<Segment>,
    /// No segment follows.
    complete: bool,
    /// Nothing is left to tell.
    over: bool,
    moment: Moment,
    calls: Calls,
    effects: Effects,
    stage: Option<Stage>,
    recorded_failure: Option<String>,
}

/// See the module.
pub(crate) struct Script {
    state: Mutex<State>,
    findings: Arc<Findings>,
    watches: Watches,
    exports: OptionalExports,
    /// Answers what the log does not; nothing offline.
    live: Option<Services>,
    more: AtomicWaker,
    over: AtomicWaker,
}

impl Script {
    /// A script for a guest of this manifest. `live` is asked what the log does not answer.
    pub(crate) fn new(
        recorded: &[RecordedWatch],
        manifest: &Manifest,
        exports: OptionalExports,
        live: Option<Services>,
        findings: Arc<Findings>,
    ) -> Self {
        let memory = match live {
            Some(_) => Memory::Moment,
            None => Memory::Everything,
        };
        Self {
            state: Mutex::new(State {
                upcoming: VecDeque::new(),
                complete: false,
                over: false,
                moment: Moment::new(memory),
                calls: Calls::new(Arc::clone(&findings)),
                effects: Effects::default(),
                stage: None,
                recorded_failure: None,
            }),
            watches: Watches::new(recorded, manifest),
            findings,
            exports,
            live,
            more: AtomicWaker::new(),
            over: AtomicWaker::new(),
        }
    }

    /// More of the log.
    pub(crate) fn push(&self, segment: Segment) {
        self.state.lock().upcoming.push_back(segment);
        self.more.wake();
    }

    /// The log is complete.
    pub(crate) fn complete(&self) {
        self.state.lock().complete = true;
        self.more.wake();
    }

    /// Loads what the recorded guest did before it was told anything, which the replayed
    /// one does before it can be told anything.
    pub(crate) fn open(&self) {
        let mut state = self.state.lock();
        while state
            .upcoming
            .front()
            .is_some_and(|segment| segment.told.is_none())
        {
            if let Some(segment) = state.upcoming.pop_front() {
                state.load(segment.done);
            }
        }
    }

    /// From here on the guest can be told. The calls into it are the caller's to await.
    pub(crate) fn stage(&self, instance: Arc<Instance>) -> mpsc::UnboundedReceiver<InFlight> {
        let (in_flight, calls) = mpsc::unbounded_channel();
        self.state.lock().stage = Some(Stage { instance, in_flight });
        calls
    }

    /// A call into the guest came back. Failures are the driver's to report.
    pub(crate) fn returned(&self, returned: Returned) {
        let mut state = self.state.lock();
        match returned {
            Returned::Started(Ok(())) => state.calls.replayed_end(0, Ok(Outcome::Done)),
            Returned::Synced(sync, Ok(result)) => state.calls.replayed_end(sync, result),
            Returned::Mapped(call, Ok(keys)) => state.effects.mapped(Side::Replayed, call, &keys),
            Returned::Started(Err(_))
            | Returned::Synced(_, Err(_))
            | Returned::Observed
            | Returned::Mapped(_, Err(_)) => {}
        }
        drop(state);
        // It may have made calls ready.
        self.more.wake();
    }

    /// Resolves when the guest was told everything and has come to rest.
    pub(crate) async fn over(&self) {
        std::future::poll_fn(|context| {
            self.over.register(context.waker());
            if self.state.lock().over {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }

    /// Nothing is told any more: what is left over on either side is a difference.
    /// `failure` is how the replayed guest failed, if it did.
    pub(crate) fn finish(&self, failure: Option<&GuestFailure>) {
        let mut state = self.state.lock();
        while let Some(segment) = state.upcoming.pop_front() {
            state.load(segment.done);
        }
        state.calls.finish();
        let recorded = state.recorded_failure.take();
        let message = match (failure, recorded) {
            (Some(failure), Some(recorded)) if failure.label() == recorded => None,
            (Some(failure), None) => Some(format!("the replayed guest {failure}; the recorded one did not")),
            (None, Some(recorded)) => Some(format!(
                "the recorded guest failed ({recorded}); the replayed one did not"
            )),
            (Some(failure), Some(recorded)) => Some(format!(
                "the recorded guest failed ({recorded}), the replayed one otherwise: it {failure}"
            )),
            (None, None) => None,
        };
        if let Some(message) = message {
            self.found(DifferenceKind::Failed { message });
        }
        for kind in state.effects.settle() {
            self.found(kind);
        }
    }

    fn found(&self, kind: DifferenceKind) {
        self.findings.found(Difference::new(0, None, kind));
    }

    /// Tells the guest what the recorded one was told. False if it is not for this guest.
    fn tell(&self, state: &mut State, told: Entry) -> bool {
        if let Entry::Answer { call, answer } = told {
            return state.calls.answered(call, answer);
        }
        let Some(Stage { instance, in_flight }) = &state.stage else {
            return false;
        };
        let call: InFlight = match told {
            Entry::Start => instance.start().map(Returned::Started).boxed(),
            Entry::Sync { sync, key } => {
                state.calls.begin(sync, key.clone());
                let call = instance.sync(sync, key);
                call.map(move |result| Returned::Synced(sync, result)).boxed()
            }
            Entry::Observe(batches) if self.exports.observer => {
                let batches: Vec<DeltaBatch> = batches.iter().filter_map(|batch| self.batch(batch)).collect();
                if batches.is_empty() {
                    return false;
                }
                instance.observe(batches).map(|_| Returned::Observed).boxed()
            }
            Entry::Map { call, watch, change } if self.exports.mapper => {
                let (Some(watch), Some(delta)) = (self.watches.replayed(watch), delta(&change)) else {
                    return false;
                };
                let mapping = instance.map(watch, delta);
                mapping.map(move |keys| Returned::Mapped(call, keys)).boxed()
            }
            _ => return false,
        };
        // Whoever awaits the calls also drives the guest, so it is there.
        drop(in_flight.send(call));
        true
    }

    fn batch(&self, batch: &Batch) -> Option<DeltaBatch> {
        Some(DeltaBatch {
            watch: self.watches.replayed(batch.watch)?,
            source: Arc::new(batch.source.clone()),
            deltas: batch.changes.iter().filter_map(delta).collect(),
            old_bodies: batch.old_bodies,
        })
    }
}

/// What the guest was told of a change. Its objects were objects when it was recorded.
fn delta(change: &Change) -> Option<Delta> {
    let object = |body: &bytes::Bytes| Object::parse(body.clone()).ok().map(Arc::new);
    Some(Delta {
        kind: change.kind,
        object: object(&change.body)?,
        old: change.old.as_ref().and_then(object),
        initial: change.initial,
    })
}

impl State {
    /// What the recorded guest did.
    fn load(&mut self, done: Vec<Entry>) {
        for entry in done {
            match entry {
                Entry::Request { call, sync, request } => self.calls.recorded(call, sync, request),
                Entry::Started => self.calls.recorded_end(0, Ok(Outcome::Done)),
                Entry::Synced { sync, result } => self.calls.recorded_end(sync, result),
                Entry::Mapped { call, keys } => self.effects.mapped(Side::Recorded, call, &keys),
                Entry::Event(event) => self.effects.event(Side::Recorded, &event),
                Entry::Queue(items) => self.effects.queue(Side::Recorded, &items),
                Entry::Failed { label, .. } => self.recorded_failure = Some(label),
                answer => self.moment.load(&answer),
            }
        }
    }
}

impl Conductor for Script {
    fn tell_next(&self) -> bool {
        let mut state = self.state.lock();
        loop {
            while let Some(ready) = state.calls.next_ready() {
                if ready.give() {
                    state.over = false;
                    return true;
                }
            }
            let Some(segment) = state.upcoming.pop_front() else {
                if self.live.is_some() && state.calls.is_quiet() {
                    for kind in state.effects.settle() {
                        self.found(kind);
                    }
                }
                state.over = state.complete;
                self.over.wake();
                return false;
            };
            if segment.told.is_some() {
                state.moment.pass();
            }
            state.load(segment.done);
            if segment.told.is_some_and(|told| self.tell(&mut state, told)) {
                state.over = false;
                return true;
            }
        }
    }

    fn wake_when_there_is(&self, waker: &Waker) {
        self.more.register(waker);
    }

    fn close(&self) {
        self.state.lock().stage = None;
    }
}
