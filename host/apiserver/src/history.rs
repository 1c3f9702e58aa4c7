//! The recent events of one resource: what watches resume from and what pages at a
//! past revision are reconstructed from.
//!
//! The window adapts as the upstream watch cache does
//! (`staging/src/k8s.io/apiserver/pkg/storage/cacher/watch_cache.go`): it grows while its
//! oldest event is younger than 75 s and shrinks when even its newest quarter is older.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::object::{Key, Revision, Stored};

/// The window never holds fewer events than this, if there are as many.
const MIN_CAPACITY: usize = 100;
/// The window never holds more events than this.
const MAX_CAPACITY: usize = 102_400;
/// How long an event should stay in the window.
const FRESH: Duration = Duration::from_secs(75);

/// What a write did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Added,
    Modified,
    Deleted,
}

/// One write, as watchers are told of it.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) change: Change,
    /// After the write; the last state under the deleting revision if deleted.
    pub(crate) object: Arc<Stored>,
    /// Before the write.
    pub(crate) previous: Option<Arc<Stored>>,
    at: Instant,
}

impl Event {
    pub(crate) fn new(
        change: Change,
        object: Arc<Stored>,
        previous: Option<Arc<Stored>>,
        at: Instant,
    ) -> Self {
        Self {
            change,
            object,
            previous,
            at,
        }
    }

    pub(crate) fn revision(&self) -> Revision {
        self.object.revision()
    }
}

/// A revision older than the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("revision is older than {oldest}")]
pub(crate) struct TooOld {
    /// The oldest revision that still works.
    pub(crate) oldest: Revision,
}

/// The window of events.
#[derive(Debug)]
pub(crate) struct History {
    events: VecDeque<Arc<Event>>,
    capacity: usize,
    /// The revision of the newest event that was dropped.
    dropped: Revision,
}

impl History {
    pub(crate) fn new() -> Self {
        Self {
            events: VecDeque::new(),
            capacity: MIN_CAPACITY,
            dropped: 0,
        }
    }

    pub(crate) fn push(&mut self, event: Arc<Event>) {
        if self.events.len() >= self.capacity {
            self.adapt(event.at);
        }
        while self.events.len() >= self.capacity {
            if let Some(oldest) = self.events.pop_front() {
                self.dropped = oldest.revision();
            }
        }
        self.events.push_back(event);
    }

    fn adapt(&mut self, now: Instant) {
        let age = |index: usize| {
            self.events
                .get(index)
                .map_or(Duration::ZERO, |event| now.duration_since(event.at))
        };
        let newest_quarter = self.events.len().saturating_sub(self.capacity / 4);
        if age(0) < FRESH {
            self.capacity = (self.capacity * 2).min(MAX_CAPACITY);
        } else if age(newest_quarter) > FRESH {
            self.capacity = (self.capacity / 2).max(MIN_CAPACITY);
        }
    }

    /// Events after a revision.
    pub(crate) fn since(&self, revision: Revision) -> Result<impl Iterator<Item = &Arc<Event>>, TooOld> {
        if revision < self.dropped {
            return Err(TooOld { oldest: self.dropped });
        }
        let start = self.events.partition_point(|event| event.revision() <= revision);
        Ok(self.events.range(start..))
    }

    /// What differed at a past revision from now: the objects as they were, `None` for
    /// those that did not exist yet.
    pub(crate) fn undo(&self, to: Revision) -> Result<BTreeMap<Key, Option<Arc<Stored>>>, TooOld> {
        let mut past = BTreeMap::new();
        for event in self.since(to)? {
            past.entry(event.object.key().clone())
                .or_insert_with(|| event.previous.clone());
        }
        Ok(past)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::{Draft, Head};
    use crate::types::selectors::Fields;

    fn event(revision: Revision, at: Instant) -> Arc<Event> {
        let draft = Draft::encode(
            &Head::new("v1", "Pod"),
            &serde_json::json!({"metadata": {}}),
            Fields::new(),
        );
        Arc::new(Event::new(
            Change::Added,
            Arc::new(draft.at(Key::new("", "a"), revision)),
            None,
            at,
        ))
    }

    #[test]
    fn a_busy_window_grows_and_a_quiet_one_forgets() {
        let start = Instant::now();
        let mut history = History::new();
        for revision in 1..=500 {
            history.push(event(revision, start));
        }
        assert_eq!(history.since(0).unwrap().count(), 500, "nothing fresh is dropped");

        for revision in 501..=2000 {
            history.push(event(
                revision,
                start + FRESH * 2 * u32::try_from(revision).unwrap(),
            ));
        }
        assert!(
            history.events.len() <= 200,
            "a quiet window shrinks, has {}",
            history.events.len()
        );
        assert!(history.since(0).is_err());
        let oldest = history.since(0).err().unwrap().oldest;
        assert_eq!(
            history.since(oldest).unwrap().next().unwrap().revision(),
            oldest + 1
        );
    }

    #[test]
    fn the_window_is_bounded_however_busy() {
        let now = Instant::now();
        let mut history = History::new();
        for revision in 1..=(MAX_CAPACITY as u64 + 10) {
            history.push(event(revision, now));
        }
        assert_eq!(history.events.len(), MAX_CAPACITY);
        assert_eq!(history.since(0).err(), Some(TooOld { oldest: 10 }));
    }
}
