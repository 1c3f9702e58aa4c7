//! The revisioned store: one collection of objects per resource, one sequence of
//! revisions over all of them.
//!
//! Promises: every write takes a fresh revision while its collection is locked, so the
//! events of a collection are strictly ordered and a list names a revision from which a
//! watch misses nothing and repeats nothing. Writes compare and swap on the revision
//! they were computed from. Content lives in memory; whoever makes it durable replaces
//! this file and nothing else.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::history::{Change, Event, History, Segment, TooOld};
use crate::object::{Draft, Key, Revision, Stored};
use crate::subscription::{Interest, Queue, Replay, Subscription};
use crate::watchers::Watchers;

/// The store.
#[derive(Debug, Default)]
pub(crate) struct Store {
    revision: Arc<AtomicU64>,
    checkpoints: Mutex<VecDeque<(Instant, Revision)>>,
    collections: Mutex<Vec<Weak<Collection>>>,
    /// Some collection has old events to pack.
    ripe: Arc<Notify>,
}

impl Store {
    /// A new collection. `trigger` names the selectable field by which watchers of
    /// single values are woken selectively.
    pub(crate) fn collection(&self, trigger: Option<&'static str>) -> Arc<Collection> {
        let collection = Arc::new(Collection {
            revision: Arc::clone(&self.revision),
            trigger,
            ripe: Arc::clone(&self.ripe),
            state: RwLock::new(State::new()),
        });
        let mut collections = self.collections.lock();
        collections.retain(|other| other.strong_count() > 0);
        collections.push(Arc::downgrade(&collection));
        collection
    }

    /// Waits until there are old events to pack, and packs them.
    pub(crate) async fn pack(&self) {
        self.ripe.notified().await;
        let collections: Vec<_> = self.collections.lock().iter().filter_map(Weak::upgrade).collect();
        for collection in collections {
            collection.pack();
        }
    }

    /// The newest revision.
    pub(crate) fn revision(&self) -> Revision {
        self.revision.load(Ordering::Acquire)
    }

    /// Remembers how far the store is now, so that ages can be told later.
    pub(crate) fn checkpoint(&self, keep: Duration) {
        let now = Instant::now();
        let mut checkpoints = self.checkpoints.lock();
        checkpoints.push_back((now, self.revision()));
        // One checkpoint beyond the age is needed to answer for the age itself.
        while checkpoints
            .get(1)
            .is_some_and(|(at, _)| now.duration_since(*at) >= keep)
        {
            checkpoints.pop_front();
        }
    }

    /// The newest revision known to be at least this old; 0 if none is.
    pub(crate) fn revision_before(&self, age: Duration) -> Revision {
        let now = Instant::now();
        let checkpoints = self.checkpoints.lock();
        checkpoints
            .iter()
            .rev()
            .find(|(at, _)| now.duration_since(*at) >= age)
            .map_or(0, |(_, revision)| *revision)
    }
}

/// A write that lost against another one, or whose object is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the object changed meanwhile")]
pub(crate) struct Raced;

/// A create whose key is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key is taken")]
pub(crate) struct Occupied;

/// Part of a collection at one revision.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) items: Vec<Arc<Stored>>,
    pub(crate) revision: Revision,
    /// Whether there are objects after the last one read, and how many if it was counted.
    pub(crate) more: bool,
    pub(crate) remaining: u64,
}

/// Which part of a collection to read.
#[derive(Clone, Copy)]
pub(crate) struct PageQuery<'a> {
    /// `None` for all namespaces.
    pub(crate) namespace: Option<&'a str>,
    /// Begin after this key.
    pub(crate) after: Option<&'a Key>,
    /// Stop after this many matches.
    pub(crate) limit: usize,
    /// Read the past instead of now.
    pub(crate) at: Option<Revision>,
    /// What to keep.
    pub(crate) filter: &'a dyn Fn(&Stored) -> bool,
}

/// The objects of one resource.
#[derive(Debug)]
pub(crate) struct Collection {
    revision: Arc<AtomicU64>,
    trigger: Option<&'static str>,
    ripe: Arc<Notify>,
    state: RwLock<State>,
}

#[derive(Debug)]
struct State {
    objects: BTreeMap<Key, Arc<Stored>>,
    history: History,
    watchers: Watchers,
}

impl State {
    fn new() -> Self {
        Self {
            objects: BTreeMap::new(),
            history: History::new(),
            watchers: Watchers::default(),
        }
    }
}

impl Collection {
    /// The field by which watchers of single values are woken selectively.
    pub(crate) fn trigger(&self) -> Option<&'static str> {
        self.trigger
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Arc<Stored>> {
        self.state.read().objects.get(key).cloned()
    }

    /// How many objects there are.
    pub(crate) fn len(&self) -> usize {
        self.state.read().objects.len()
    }

    /// All objects of a namespace (`None`: of all) that pass, and the revision they are from.
    pub(crate) fn list(
        &self,
        namespace: Option<&str>,
        filter: &dyn Fn(&Stored) -> bool,
    ) -> (Vec<Arc<Stored>>, Revision) {
        let state = self.state.read();
        let items = scope(&state.objects, namespace, None)
            .filter(|object| filter(object))
            .cloned()
            .collect();
        (items, self.newest())
    }

    /// A page, now or as of a past revision.
    pub(crate) fn page(&self, query: PageQuery<'_>) -> Result<Page, TooOld> {
        let state = self.state.read();
        let Some(revision) = query.at else {
            return Ok(cut(
                scope(&state.objects, query.namespace, query.after),
                self.newest(),
                query,
            ));
        };
        let past = state.history.undo(revision)?;
        if past.is_empty() {
            return Ok(cut(
                scope(&state.objects, query.namespace, query.after),
                revision,
                query,
            ));
        }
        let mut objects = BTreeMap::new();
        for object in scope(&state.objects, query.namespace, query.after) {
            objects.insert(object.key().clone(), Arc::clone(object));
        }
        for (key, object) in past {
            match object {
                Some(object) => objects.insert(key, object),
                None => objects.remove(&key),
            };
        }
        Ok(cut(
            scope(&objects, query.namespace, query.after),
            revision,
            query,
        ))
    }

    /// Adds an object.
    pub(crate) fn insert(&self, key: Key, draft: &Draft) -> Result<Arc<Stored>, Occupied> {
        let mut state = self.state.write();
        if state.objects.contains_key(&key) {
            return Err(Occupied);
        }
        let object = Arc::new(draft.at(key.clone(), self.advance()));
        state.objects.insert(key, Arc::clone(&object));
        self.publish(&mut state, Change::Added, Arc::clone(&object), None);
        Ok(object)
    }

    /// Replaces an object that is still at the expected revision.
    pub(crate) fn replace(&self, key: &Key, expected: Revision, draft: &Draft) -> Result<Arc<Stored>, Raced> {
        let mut state = self.state.write();
        let slot = state
            .objects
            .get_mut(key)
            .filter(|object| object.revision() == expected)
            .ok_or(Raced)?;
        let object = Arc::new(draft.after(slot, self.advance()));
        let previous = std::mem::replace(slot, Arc::clone(&object));
        self.publish(&mut state, Change::Modified, Arc::clone(&object), Some(previous));
        Ok(object)
    }

    /// Removes an object that is still at the expected revision; gives its last state
    /// under the revision of the removal.
    pub(crate) fn remove(&self, key: &Key, expected: Revision) -> Result<Arc<Stored>, Raced> {
        let mut state = self.state.write();
        if state
            .objects
            .get(key)
            .is_none_or(|object| object.revision() != expected)
        {
            return Err(Raced);
        }
        let previous = state.objects.remove(key).ok_or(Raced)?;
        let object = Arc::new(previous.at(self.advance()));
        self.publish(&mut state, Change::Deleted, Arc::clone(&object), Some(previous));
        Ok(object)
    }

    /// Events after a revision.
    pub(crate) fn watch_from(
        self: &Arc<Self>,
        interest: Interest,
        revision: Revision,
    ) -> Result<Subscription, TooOld> {
        let mut state = self.state.write();
        let since = state.history.since(revision)?;
        let events = since.events.filter(|event| interest.covers(event, self.trigger));
        let replay = Replay {
            after: revision,
            segments: since.segments.cloned().collect(),
            events: events.cloned().collect(),
        };
        Ok(self.subscribe(&mut state, interest, replay))
    }

    /// Events from now on.
    pub(crate) fn watch_now(self: &Arc<Self>, interest: Interest) -> Subscription {
        self.subscribe(&mut self.state.write(), interest, Replay::default())
    }

    /// The present content, the revision it is from, and the events after it.
    pub(crate) fn list_and_watch(
        self: &Arc<Self>,
        interest: Interest,
        namespace: Option<&str>,
    ) -> (Vec<Arc<Stored>>, Revision, Subscription) {
        let mut state = self.state.write();
        let items = scope(&state.objects, namespace, None).cloned().collect();
        let revision = self.newest();
        (
            items,
            revision,
            self.subscribe(&mut state, interest, Replay::default()),
        )
    }

    /// The newest revision, if the condition holds while no write to this collection runs.
    pub(crate) fn revision_if(&self, condition: impl FnOnce() -> bool) -> Option<Revision> {
        let _state = self.state.read();
        condition().then(|| self.newest())
    }

    /// How many watches of it are open.
    pub(crate) fn watches(&self) -> usize {
        self.state.read().watchers.len()
    }

    pub(crate) fn unsubscribe(&self, interest: &Interest, queue: &Arc<Queue>) {
        self.state.write().watchers.remove(interest, queue);
    }

    fn subscribe(self: &Arc<Self>, state: &mut State, interest: Interest, replay: Replay) -> Subscription {
        let subscription = Subscription::new(Arc::clone(self), interest, replay);
        subscription.join(&mut state.watchers);
        subscription
    }

    fn newest(&self) -> Revision {
        self.revision.load(Ordering::Acquire)
    }

    fn advance(&self) -> Revision {
        self.revision.fetch_add(1, Ordering::AcqRel) + 1
    }

    fn publish(&self, state: &mut State, change: Change, object: Arc<Stored>, previous: Option<Arc<Stored>>) {
        let event = Arc::new(Event::new(change, object, previous, Instant::now()));
        state.watchers.notify(&event, self.trigger);
        if state.history.push(event) {
            self.ripe.notify_one();
        }
    }

    /// Packs old events, a few at a time, holding up nobody for longer than it takes to
    /// swap them.
    fn pack(&self) {
        loop {
            let ripe = self.state.read().history.ripe();
            let Some(segment) = Segment::pack(&ripe) else {
                return;
            };
            self.state.write().history.settle(segment);
            // What only the history held is freed here, not under the lock.
            drop(ripe);
        }
    }
}

/// Objects of a namespace (`None`: of all) after a key, in order.
fn scope<'a>(
    objects: &'a BTreeMap<Key, Arc<Stored>>,
    namespace: Option<&'a str>,
    after: Option<&Key>,
) -> impl Iterator<Item = &'a Arc<Stored>> {
    let start = match after {
        Some(key) => Bound::Excluded(key.clone()),
        None => Bound::Included(Key::new(namespace.unwrap_or_default(), "")),
    };
    objects
        .range((start, Bound::Unbounded))
        .take_while(move |(key, _)| namespace.is_none_or(|namespace| key.namespace == namespace))
        .map(|(_, object)| object)
}

fn cut<'a>(
    mut objects: impl Iterator<Item = &'a Arc<Stored>>,
    revision: Revision,
    query: PageQuery<'_>,
) -> Page {
    let matching = objects.by_ref().filter(|object| (query.filter)(object));
    let items: Vec<_> = matching.take(query.limit).cloned().collect();
    let remaining = if items.len() == query.limit {
        objects.count() as u64
    } else {
        0
    };
    Page {
        items,
        revision,
        more: remaining > 0,
        remaining,
    }
}

#[cfg(test)]
mod tests;
