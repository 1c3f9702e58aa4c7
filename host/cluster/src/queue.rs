//! The changes that wait for one subscriber.
//!
//! A change is a few pointers into caches, so what waits costs little. Past a limit the
//! changes of one object are merged, so that a subscriber that has stopped taking them
//! costs as much as there are objects, and finds the newest state when it goes on.

use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::HashMap;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use windlass_core::key::ObjectKey;
use windlass_core::manifest::WatchId;
use windlass_core::seams::{Delta, DeltaBatch, DeltaKind};

use crate::informer::Informer;
use crate::store::Stored;

/// Changes delivered at once, as client-go's batches.
const BATCH: usize = 1000;
/// From this many waiting changes on they are merged.
const MERGE_FROM: usize = 20_000;

/// One change of one object.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) kind: DeltaKind,
    pub(crate) new: Arc<Stored>,
    /// What was cached before. Of deletions it serves selectors alone.
    pub(crate) old: Option<Arc<Stored>>,
    pub(crate) initial: bool,
}

impl Change {
    pub(crate) fn new(kind: DeltaKind, object: Arc<Stored>) -> Self {
        Self {
            kind,
            new: object,
            old: None,
            initial: false,
        }
    }
}

enum Item {
    Change {
        watch: WatchId,
        old_bodies: bool,
        informer: Arc<Informer>,
        change: Change,
    },
    /// The initial content of one watch of one resource is above.
    Synced,
}

#[derive(Default)]
struct State {
    items: VecDeque<Item>,
    merge_at: usize,
    /// Initial contents not taken yet.
    unsynced: usize,
    synced: bool,
}

/// See the module's documentation.
pub(crate) struct Queue {
    state: Mutex<State>,
    wake: Notify,
    progressed: watch::Sender<u64>,
}

impl Default for Queue {
    fn default() -> Self {
        let state = State {
            merge_at: MERGE_FROM,
            ..State::default()
        };
        Self {
            state: Mutex::new(state),
            wake: Notify::new(),
            progressed: watch::Sender::new(0),
        }
    }
}

impl Queue {
    /// One more initial content to wait for.
    pub(crate) fn expect_sync(&self) {
        self.state.lock().unsynced += 1;
    }

    /// There is no initial content at all, so nothing will say that it has been taken.
    pub(crate) fn expect_nothing(&self) {
        self.state.lock().synced = true;
    }

    pub(crate) fn push_synced(&self) {
        self.state.lock().items.push_back(Item::Synced);
        self.wake.notify_one();
    }

    pub(crate) fn push(
        &self,
        watch: WatchId,
        old_bodies: bool,
        informer: &Arc<Informer>,
        changes: impl Iterator<Item = Change>,
    ) {
        let mut state = self.state.lock();
        state.items.extend(changes.map(|change| Item::Change {
            watch,
            old_bodies,
            informer: Arc::clone(informer),
            change,
        }));
        if state.items.len() >= state.merge_at {
            let items = std::mem::take(&mut state.items);
            state.items = merge(items);
            state.merge_at = MERGE_FROM.max(state.items.len() * 2);
        }
        drop(state);
        self.wake.notify_one();
    }

    /// Tells waiters that a cache moved on.
    pub(crate) fn tick(&self) {
        self.progressed.send_modify(|ticks| *ticks += 1);
    }

    pub(crate) fn progressed(&self) -> watch::Receiver<u64> {
        self.progressed.subscribe()
    }

    /// Whether the initial content of every watch has been taken.
    pub(crate) fn has_synced(&self) -> bool {
        self.state.lock().synced
    }

    pub(crate) fn len(&self) -> usize {
        self.state.lock().items.len()
    }

    /// The next changes, in order. Nothing is lost when the future is dropped.
    pub(crate) async fn next(&self) -> Vec<DeltaBatch> {
        loop {
            if let Some(batches) = self.take() {
                return batches;
            }
            self.wake.notified().await;
        }
    }

    fn take(&self) -> Option<Vec<DeltaBatch>> {
        let items: Vec<Item> = {
            let mut state = self.state.lock();
            let count = state.items.len().min(BATCH);
            let items: Vec<Item> = state.items.drain(..count).collect();
            if state.items.is_empty() {
                state.merge_at = MERGE_FROM;
                // Initial contents are large and do not come back.
                state.items.shrink_to(BATCH);
            }
            let done = items.iter().filter(|item| matches!(item, Item::Synced)).count();
            state.unsynced = state.unsynced.saturating_sub(done);
            state.synced |= done > 0 && state.unsynced == 0;
            items
        };
        if items.is_empty() {
            None
        } else {
            Some(batches(items))
        }
    }
}

/// Joins consecutive changes of one watch and one resource.
fn batches(items: Vec<Item>) -> Vec<DeltaBatch> {
    let mut batches: Vec<DeltaBatch> = Vec::new();
    let mut current: Option<(WatchId, Arc<Informer>, Arc<[u8]>)> = None;
    for item in items {
        let Item::Change {
            watch,
            old_bodies,
            informer,
            change,
        } = item
        else {
            continue;
        };
        let same = matches!(&current, Some((last, of, _)) if *last == watch && Arc::ptr_eq(of, &informer));
        if !same {
            batches.push(DeltaBatch {
                watch,
                source: informer.source(),
                deltas: Vec::new(),
                old_bodies,
            });
            let dictionary = informer.cache().dictionary();
            current = Some((watch, informer, dictionary));
        }
        if let (Some(batch), Some((_, _, dictionary))) = (batches.last_mut(), &current) {
            let updated = change.kind == DeltaKind::Updated;
            batch.deltas.push(Delta {
                kind: change.kind,
                object: change.new.object(dictionary),
                old: change.old.filter(|_| updated).map(|old| old.object(dictionary)),
                initial: change.initial,
            });
        }
    }
    batches
}

/// Leaves at most a deletion and an addition of each object in each watch.
fn merge(items: VecDeque<Item>) -> VecDeque<Item> {
    let mut merged: Vec<Option<Item>> = Vec::with_capacity(items.len());
    let mut last: HashMap<(WatchId, *const Informer, ObjectKey), usize> = HashMap::new();
    for item in items {
        let Item::Change {
            watch,
            ref informer,
            ref change,
            ..
        } = item
        else {
            merged.push(Some(item));
            continue;
        };
        let name = (watch, Arc::as_ptr(informer), change.new.meta.key.clone());
        let earlier = last
            .get(&name)
            .copied()
            .and_then(|position| merged.get_mut(position));
        let joined = match earlier {
            Some(Some(Item::Change { change: earlier, .. })) => join(earlier, change),
            _ => Joined::Apart,
        };
        match joined {
            Joined::Into => {}
            Joined::Nothing => {
                if let Some(place) = last.remove(&name).and_then(|position| merged.get_mut(position)) {
                    *place = None;
                }
            }
            Joined::Apart => {
                last.insert(name, merged.len());
                merged.push(Some(item));
            }
        }
    }
    merged.into_iter().flatten().collect()
}

enum Joined {
    /// The earlier change now says both.
    Into,
    /// The two cancel out.
    Nothing,
    /// They stay two.
    Apart,
}

fn join(earlier: &mut Change, later: &Change) -> Joined {
    match (earlier.kind, later.kind) {
        (DeltaKind::Added | DeltaKind::Updated, DeltaKind::Updated) => {
            earlier.new = Arc::clone(&later.new);
            earlier.initial &= later.initial;
            Joined::Into
        }
        (DeltaKind::Updated, DeltaKind::Deleted) => {
            *earlier = later.clone();
            Joined::Into
        }
        (DeltaKind::Added, DeltaKind::Deleted) => Joined::Nothing,
        _ => Joined::Apart,
    }
}
