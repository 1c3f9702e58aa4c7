//! The recent events of one resource: what watches resume from and what pages at a
//! past revision are reconstructed from.
//!
//! The window adapts as the upstream watch cache does
//! (`staging/src/k8s.io/apiserver/pkg/storage/cacher/watch_cache.go`): it grows while its
//! oldest event is younger than 75 s and shrinks when even its newest quarter is older.
//! Beyond that it is bounded in bytes. The newest events are kept as they are; those
//! before them are packed into [`Segment`]s, not by the writer but by whoever calls
//! [`History::ripe`] and [`History::settle`].

mod segment;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

pub(crate) use segment::Segment;

use crate::object::{Key, Revision, Stored};

/// The window never holds fewer events than this, if there are as many.
const MIN_CAPACITY: usize = 100;
/// The window never holds more events than this, but for a segment.
const MAX_CAPACITY: usize = 102_400;
/// How long an event should stay in the window.
const FRESH: Duration = Duration::from_secs(75);
/// The window never takes more memory than this, but for its newest events.
const MAX_WEIGHT: usize = 32 * 1024 * 1024;
/// As many bytes of the newest events stay unpacked.
const PLAIN: usize = 512 * 1024;
/// How many bytes are packed together.
const SEGMENT: usize = 256 * 1024;

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

    /// The memory it adds. What was before is the object of an earlier event.
    fn weight(&self) -> usize {
        self.object.body().len() + size_of::<Stored>() + size_of::<Self>()
    }
}

/// A revision older than the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("revision is older than {oldest}")]
pub(crate) struct TooOld {
    /// The oldest revision that still works.
    pub(crate) oldest: Revision,
}

/// Events after a revision, in order: the segments come first.
pub(crate) struct Since<'a> {
    /// The first of them may begin with events up to the revision.
    pub(crate) segments: std::collections::vec_deque::Iter<'a, Arc<Segment>>,
    pub(crate) events: std::collections::vec_deque::Iter<'a, Arc<Event>>,
}

/// The window of events.
#[derive(Debug)]
pub(crate) struct History {
    segments: VecDeque<Arc<Segment>>,
    /// Newer than all segments.
    events: VecDeque<Arc<Event>>,
    /// How many events the segments hold.
    packed: usize,
    segments_weight: usize,
    events_weight: usize,
    capacity: usize,
    /// The revision of the newest event that was dropped.
    dropped: Revision,
}

impl History {
    pub(crate) fn new() -> Self {
        Self {
            segments: VecDeque::new(),
            events: VecDeque::new(),
            packed: 0,
            segments_weight: 0,
            events_weight: 0,
            capacity: MIN_CAPACITY,
            dropped: 0,
        }
    }

    fn len(&self) -> usize {
        self.packed + self.events.len()
    }

    /// Adds an event; whether there is something to pack since then.
    pub(crate) fn push(&mut self, event: Arc<Event>) -> bool {
        if self.len() >= self.capacity {
            self.adapt(event.at);
        }
        self.make_room();
        let ripe = self.is_ripe();
        self.events_weight += event.weight();
        self.events.push_back(event);
        self.is_ripe() && !ripe
    }

    fn adapt(&mut self, now: Instant) {
        let age = |index: usize| {
            self.time(index)
                .map_or(Duration::ZERO, |at| now.duration_since(at))
        };
        let newest_quarter = self.len().saturating_sub(self.capacity / 4);
        if age(0) < FRESH {
            self.capacity = (self.capacity * 2).min(MAX_CAPACITY);
        } else if age(newest_quarter) > FRESH {
            self.capacity = (self.capacity / 2).max(MIN_CAPACITY);
        }
    }

    /// When an event was, for packed ones as exactly as their segment knows.
    fn time(&self, index: usize) -> Option<Instant> {
        if let Some(index) = index.checked_sub(self.packed) {
            return self.events.get(index).map(|event| event.at);
        }
        let mut end = 0;
        let ends = self.segments.iter().map(|segment| {
            end += segment.len();
            (end, segment)
        });
        let mut after = ends.skip_while(|(end, _)| *end <= index);
        after.next().map(|(_, segment)| segment.at())
    }

    /// Makes room for one more event. A segment goes as a whole, and stays while the
    /// window would be too small without it.
    fn make_room(&mut self) {
        while let Some(segment) = self.segments.front() {
            let left = self.len() - segment.len();
            let heavy = self.segments_weight + self.events_weight > MAX_WEIGHT;
            if left < self.capacity && !heavy {
                return;
            }
            self.dropped = segment.newest();
            self.packed -= segment.len();
            self.segments_weight -= segment.weight();
            self.segments.pop_front();
        }
        while self.events.len() >= self.capacity {
            if let Some(oldest) = self.events.pop_front() {
                self.dropped = oldest.revision();
                self.events_weight -= oldest.weight();
            }
        }
    }

    fn is_ripe(&self) -> bool {
        self.events_weight >= PLAIN + SEGMENT
    }

    /// The oldest events that are not packed yet, as many as make a segment; none while
    /// there are few.
    pub(crate) fn ripe(&self) -> Vec<Arc<Event>> {
        if !self.is_ripe() {
            return Vec::new();
        }
        let mut weight = 0;
        let ripe = self.events.iter().take_while(|event| {
            let begun = weight < SEGMENT;
            weight += event.weight();
            begun
        });
        ripe.cloned().collect()
    }

    /// Puts a segment into the place of its events, if those are still the oldest.
    pub(crate) fn settle(&mut self, segment: Segment) {
        if self.events.front().map(|event| event.revision()) != Some(segment.oldest()) {
            return;
        }
        for event in self.events.drain(..segment.len().min(self.events.len())) {
            self.events_weight -= event.weight();
        }
        self.packed += segment.len();
        self.segments_weight += segment.weight();
        self.segments.push_back(Arc::new(segment));
    }

    /// Events after a revision.
    pub(crate) fn since(&self, revision: Revision) -> Result<Since<'_>, TooOld> {
        if revision < self.dropped {
            return Err(TooOld { oldest: self.dropped });
        }
        let segments = self
            .segments
            .partition_point(|segment| segment.newest() <= revision);
        let events = self.events.partition_point(|event| event.revision() <= revision);
        Ok(Since {
            segments: self.segments.range(segments..),
            events: self.events.range(events..),
        })
    }

    /// What differed at a past revision from now: the objects as they were, `None` for
    /// those that did not exist yet.
    pub(crate) fn undo(&self, to: Revision) -> Result<BTreeMap<Key, Option<Arc<Stored>>>, TooOld> {
        let mut past = BTreeMap::new();
        let since = self.since(to)?;
        let unpacked = since.segments.flat_map(|segment| segment.unpack());
        for event in unpacked.chain(since.events.cloned()) {
            if event.revision() > to {
                past.entry(event.object.key().clone())
                    .or_insert_with(|| event.previous.clone());
            }
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

    fn count(history: &History, since: Revision) -> usize {
        let since = history.since(since).unwrap();
        since.segments.map(|segment| segment.len()).sum::<usize>() + since.events.count()
    }

    #[test]
    fn a_busy_window_grows_and_a_quiet_one_forgets() {
        let start = Instant::now();
        let mut history = History::new();
        for revision in 1..=500 {
            history.push(event(revision, start));
        }
        assert_eq!(count(&history, 0), 500, "nothing fresh is dropped");

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
            history.since(oldest).unwrap().events.next().unwrap().revision(),
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

    /// An event of an object that fills its body.
    fn large(revision: Revision, previous: Option<&Arc<Event>>) -> Arc<Event> {
        let text = format!("{revision}").repeat(200);
        let object = serde_json::json!({"metadata": {"uid": "u"}, "spec": {"text": text}});
        let draft = Draft::encode(&Head::new("v1", "Pod"), &object, Fields::new());
        let previous = previous.map(|event| Arc::clone(&event.object));
        let object = match &previous {
            Some(previous) => draft.after(previous, revision),
            None => draft.at(Key::new("n", "a"), revision),
        };
        Arc::new(Event::new(
            Change::Modified,
            Arc::new(object),
            previous,
            Instant::now(),
        ))
    }

    /// Events that follow each other, with everything packed that should be.
    fn packed(count: Revision) -> (History, Vec<Arc<Event>>) {
        let (mut history, mut events) = (History::new(), Vec::new());
        for revision in 1..=count {
            let event = large(revision, events.last());
            events.push(Arc::clone(&event));
            if history.push(event) {
                while let Some(segment) = Segment::pack(&history.ripe()) {
                    history.settle(segment);
                }
            }
        }
        (history, events)
    }

    fn text(event: &Event) -> (Revision, Vec<u8>, Option<Vec<u8>>) {
        let body = |stored: &Stored| stored.body().to_vec();
        (
            event.revision(),
            body(&event.object),
            event.previous.as_deref().map(body),
        )
    }

    #[test]
    fn packed_events_come_back_as_they_were() {
        let (history, events) = packed(3000);
        assert!(history.packed > 1000, "{} are packed", history.packed);
        let since = history.since(0).unwrap();
        let back = since.segments.flat_map(|segment| segment.unpack());
        let back: Vec<_> = back
            .chain(since.events.cloned())
            .map(|event| text(&event))
            .collect();
        let expected: Vec<_> = events.iter().map(|event| text(event)).collect();
        assert_eq!(back, expected);
    }

    #[test]
    fn the_past_is_found_in_packed_events_too() {
        let (history, events) = packed(3000);
        for at in [1_u64, 500, 2999] {
            let past = history.undo(at).unwrap();
            let object = past[&Key::new("n", "a")].as_ref().unwrap();
            assert_eq!(object.revision(), at);
            assert_eq!(object.body(), events[at as usize - 1].object.body());
        }
    }

    #[test]
    fn the_newest_events_stay_plain() {
        let (history, events) = packed(3000);
        assert!(history.events_weight >= PLAIN && history.events_weight < PLAIN + 2 * SEGMENT);
        let plain = history.since(2900).unwrap();
        assert_eq!(plain.segments.count(), 0);
        assert!(Arc::ptr_eq(plain.events.last().unwrap(), events.last().unwrap()));
    }
}
