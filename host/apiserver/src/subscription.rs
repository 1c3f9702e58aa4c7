//! The events that one watcher has not read yet.
//!
//! Writers push into a bounded queue and never wait; a watcher that lets it overflow is
//! cut off and has to list again. What a subscription is interested in is coarse: it only
//! decides whom a write wakes, the exact selectors are applied by the reader.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use smol_str::SmolStr;

use crate::history::{Event, Segment};
use crate::object::{Revision, Stored};
use crate::store::Collection;
use crate::watchers::Watchers;

/// How many events may wait beyond those replayed at the start.
const BACKLOG: usize = 16 * 1024;

/// Which objects a watcher may be interested in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Interest {
    All,
    Namespace(SmolStr),
    Name(SmolStr),
    /// The collection's trigger field has this value, such as a pod's node.
    Trigger(SmolStr),
}

impl Interest {
    /// Whether an event concerns it.
    pub(crate) fn covers(&self, event: &Event, trigger: Option<&str>) -> bool {
        match self {
            Self::All => true,
            Self::Namespace(namespace) => event.object.key().namespace == *namespace,
            Self::Name(name) => event.object.key().name == *name,
            Self::Trigger(value) => {
                let has = |object: &Stored| trigger.and_then(|field| object.field(field)) == Some(value);
                has(&event.object) || event.previous.as_deref().is_some_and(has)
            }
        }
    }
}

/// What a watcher has missed so far.
#[derive(Debug, Default)]
pub(crate) struct Replay {
    /// Only events after this revision were missed.
    pub(crate) after: Revision,
    /// The older part, unpacked when it is its turn.
    pub(crate) segments: VecDeque<Arc<Segment>>,
    pub(crate) events: VecDeque<Arc<Event>>,
}

/// The watcher did not keep up and missed events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the watcher fell behind by more than {BACKLOG} events")]
pub(crate) struct Lagged;

/// The shared end that writers push into.
#[derive(Debug)]
pub(crate) struct Queue(Mutex<QueueState>);

#[derive(Debug)]
struct QueueState {
    events: VecDeque<Arc<Event>>,
    limit: usize,
    lagged: bool,
    waker: Option<Waker>,
}

impl Queue {
    fn new(replay: VecDeque<Arc<Event>>) -> Arc<Self> {
        let limit = replay.len() + BACKLOG;
        Arc::new(Self(Mutex::new(QueueState {
            events: replay,
            limit,
            lagged: false,
            waker: None,
        })))
    }

    pub(crate) fn push(&self, event: &Arc<Event>) {
        let mut state = self.0.lock();
        if state.events.len() < state.limit {
            state.events.push_back(Arc::clone(event));
        } else {
            state.lagged = true;
        }
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn is_empty(&self) -> bool {
        let state = self.0.lock();
        state.events.is_empty() && !state.lagged
    }
}

/// The reading end. Dropping it unsubscribes.
#[derive(Debug)]
pub(crate) struct Subscription {
    collection: Arc<Collection>,
    interest: Interest,
    after: Revision,
    segments: Mutex<VecDeque<Arc<Segment>>>,
    queue: Arc<Queue>,
}

impl Subscription {
    pub(crate) fn new(collection: Arc<Collection>, interest: Interest, replay: Replay) -> Self {
        Self {
            collection,
            interest,
            after: replay.after,
            segments: Mutex::new(replay.segments),
            queue: Queue::new(replay.events),
        }
    }

    /// Has writers push into this subscription.
    pub(crate) fn join(&self, watchers: &mut Watchers) {
        watchers.add(&self.interest, Arc::clone(&self.queue));
    }

    /// The next events that had been packed already.
    fn unpacked(&self) -> Option<Vec<Arc<Event>>> {
        let mut segments = self.segments.lock();
        while let Some(segment) = segments.pop_front() {
            let mut events = segment.unpack();
            events.retain(|event| {
                event.revision() > self.after && self.interest.covers(event, self.collection.trigger())
            });
            if !events.is_empty() {
                return Some(events);
            }
        }
        None
    }

    /// The next events in order, as many as there are up to `limit`; packed ones come a
    /// segment at a time.
    pub(crate) fn poll_next(
        &self,
        cx: &mut Context<'_>,
        limit: usize,
    ) -> Poll<Result<Vec<Arc<Event>>, Lagged>> {
        if let Some(events) = self.unpacked() {
            return Poll::Ready(Ok(events));
        }
        let mut state = self.queue.0.lock();
        if state.lagged {
            return Poll::Ready(Err(Lagged));
        }
        if state.events.is_empty() {
            state.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let count = state.events.len().min(limit);
        Poll::Ready(Ok(state.events.drain(..count).collect()))
    }

    /// Waits for the next events.
    pub(crate) async fn next(&self) -> Result<Vec<Arc<Event>>, Lagged> {
        poll_fn(|cx| self.poll_next(cx, usize::MAX)).await
    }

    /// The revision up to which everything has been read, if nothing is waiting.
    pub(crate) fn caught_up_at(&self) -> Option<Revision> {
        self.collection
            .revision_if(|| self.segments.lock().is_empty() && self.queue.is_empty())
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.collection.unsubscribe(&self.interest, &self.queue);
    }
}
