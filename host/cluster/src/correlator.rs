//! Which events become one: the rules of client-go's `EventCorrelator` for core `v1`, and
//! of its event series for `events.k8s.io/v1`.
//!
//! Plain state, no I/O. For each event it says whether to create an object, to patch one
//! that stands for this event already, or to say nothing.

use std::hash::Hash;
use std::time::Duration;

use hashbrown::{HashMap, HashSet};
use smol_str::SmolStr;
use tokio::time::Instant;
use windlass_core::seams::{Event, EventType, ObjectReference};

/// Events of one source about one object: this many at once, then one per refill.
const SPAM_BURST: u32 = 25;
const SPAM_REFILL: Duration = Duration::from_secs(300);
/// This many different messages of otherwise equal events become one.
const SIMILAR_MAX: usize = 10;
const SIMILAR_WINDOW: Duration = Duration::from_secs(600);
/// A series that nothing was added to for so long is over.
const SERIES_WINDOW: Duration = Duration::from_secs(360);
/// Objects and events remembered, as client-go does.
const REMEMBERED: usize = 4096;
const COMBINED: &str = "(combined from similar events): ";

/// What to do about an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Say nothing.
    Drop,
    /// Create an object for it.
    Create { message: String, memory: MemoryKey },
    /// Count it in the object that stands for it.
    Patch {
        name: String,
        count: u32,
        message: String,
        memory: MemoryKey,
    },
}

/// Names what the correlator remembers of an event.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct MemoryKey {
    about: About,
    /// Unset for combined events and for series.
    message: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct About {
    source: SmolStr,
    regarding: ObjectReference,
    event_type: EventType,
    reason: String,
    action: String,
}

#[derive(Clone)]
struct Tokens {
    left: u32,
    refilled: Instant,
}

struct Similar {
    messages: HashSet<String>,
    last: Instant,
}

/// The object that stands for an event.
struct Written {
    name: String,
    count: u32,
    /// Counted but not written, in a series.
    pending: bool,
    last: Instant,
}

/// See the module's documentation.
#[derive(Default)]
pub(crate) struct Correlator {
    tokens: Remembered<(SmolStr, ObjectReference), Tokens>,
    similar: Remembered<About, Similar>,
    written: Remembered<MemoryKey, Written>,
}

impl Correlator {
    pub(crate) fn correlate(&mut self, source: &SmolStr, event: &Event, now: Instant) -> Verdict {
        let mut regarding = event.regarding.clone();
        // Two versions of an object are one object.
        regarding.resource_version.clear();
        let about = About {
            source: source.clone(),
            regarding,
            event_type: event.event_type,
            reason: event.reason.clone(),
            action: event.action.clone(),
        };
        if event.action.is_empty() {
            self.count(about, event, now)
        } else {
            self.series(about, event, now)
        }
    }

    /// The object of this event was written under this name.
    pub(crate) fn created(&mut self, memory: MemoryKey, name: String, now: Instant) {
        self.written.insert(
            memory,
            Written {
                name,
                count: 1,
                pending: false,
                last: now,
            },
        );
    }

    /// The object of this event is there no more.
    pub(crate) fn vanished(&mut self, memory: &MemoryKey) {
        self.written.remove(memory);
    }

    /// The patches that series over for a while still need, which are then forgotten.
    pub(crate) fn finish_series(&mut self, now: Instant) -> Vec<(ObjectReference, String, u32)> {
        let mut finished = Vec::new();
        self.written.retain(|memory, written| {
            let over = memory.is_series() && now.duration_since(written.last) >= SERIES_WINDOW;
            if over && written.pending {
                finished.push((
                    memory.about.regarding.clone(),
                    written.name.clone(),
                    written.count,
                ));
            }
            !over
        });
        finished
    }

    /// Core `v1`: similar events are combined, equal ones counted, a flood is cut.
    fn count(&mut self, about: About, event: &Event, now: Instant) -> Verdict {
        let combined = self.is_combined(&about, &event.message, now);
        let message = if combined {
            format!("{COMBINED}{}", event.message)
        } else {
            event.message.clone()
        };
        let memory = MemoryKey {
            about,
            message: (!combined).then(|| event.message.clone()),
        };
        if !self.has_token(&memory.about, now) {
            return Verdict::Drop;
        }
        match self.written.get(&memory) {
            None => Verdict::Create { message, memory },
            Some(written) => {
                written.count += 1;
                written.last = now;
                Verdict::Patch {
                    name: written.name.clone(),
                    count: written.count,
                    message,
                    memory,
                }
            }
        }
    }

    /// `events.k8s.io/v1`: the second event starts a series, later ones only count until
    /// it is over.
    fn series(&mut self, about: About, event: &Event, now: Instant) -> Verdict {
        let memory = MemoryKey { about, message: None };
        let Some(written) = self.written.get(&memory) else {
            return Verdict::Create {
                message: event.message.clone(),
                memory,
            };
        };
        written.count += 1;
        written.last = now;
        if written.count > 2 {
            written.pending = true;
            return Verdict::Drop;
        }
        Verdict::Patch {
            name: written.name.clone(),
            count: written.count,
            message: event.message.clone(),
            memory,
        }
    }

    fn is_combined(&mut self, about: &About, message: &str, now: Instant) -> bool {
        let fresh = || Similar {
            messages: HashSet::new(),
            last: now,
        };
        let similar = self.similar.get_or_insert_with(about, fresh);
        if now.duration_since(similar.last) > SIMILAR_WINDOW {
            similar.messages.clear();
        }
        similar.last = now;
        similar.messages.insert(message.to_owned());
        if similar.messages.len() < SIMILAR_MAX {
            return false;
        }
        // Makes room, so that the set stays at its limit.
        if let Some(any) = similar.messages.iter().next().cloned() {
            similar.messages.remove(&any);
        }
        true
    }

    fn has_token(&mut self, about: &About, now: Instant) -> bool {
        let key = (about.source.clone(), about.regarding.clone());
        let tokens = self.tokens.get_or_insert_with(&key, || Tokens {
            left: SPAM_BURST,
            refilled: now,
        });
        let refills = now.duration_since(tokens.refilled).as_secs() / SPAM_REFILL.as_secs();
        let refills = u32::try_from(refills).unwrap_or(u32::MAX);
        tokens.refilled += SPAM_REFILL.saturating_mul(refills);
        tokens.left = tokens.left.saturating_add(refills).min(SPAM_BURST);
        let has = tokens.left > 0;
        tokens.left = tokens.left.saturating_sub(1);
        has
    }
}

impl MemoryKey {
    fn is_series(&self) -> bool {
        !self.about.action.is_empty()
    }
}

/// A map that forgets what was not used for a while: entries live in a young half, move
/// there when used, and go with the old half when the young one is full.
struct Remembered<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K, V> Default for Remembered<K, V> {
    fn default() -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
        }
    }
}

impl<K: Hash + Eq + Clone, V> Remembered<K, V> {
    fn get(&mut self, key: &K) -> Option<&mut V> {
        if let Some(value) = self.old.remove(key) {
            self.insert(key.clone(), value);
        }
        self.young.get_mut(key)
    }

    fn get_or_insert_with(&mut self, key: &K, make: impl FnOnce() -> V) -> &mut V {
        let known = self.old.remove(key);
        if self.young.len() >= REMEMBERED / 2 && !self.young.contains_key(key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young
            .entry(key.clone())
            .or_insert_with(|| known.unwrap_or_else(make))
    }

    fn insert(&mut self, key: K, value: V) {
        if self.young.len() >= REMEMBERED / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }

    fn remove(&mut self, key: &K) {
        self.young.remove(key);
        self.old.remove(key);
    }

    fn retain(&mut self, mut keep: impl FnMut(&K, &mut V) -> bool) {
        self.young.retain(&mut keep);
        self.old.retain(&mut keep);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(message: &str, action: &str) -> Event {
        Event {
            regarding: ObjectReference {
                kind: "Pod".into(),
                name: "p".into(),
                ..ObjectReference::default()
            },
            event_type: EventType::Normal,
            reason: "Because".into(),
            message: message.into(),
            action: action.into(),
        }
    }

    struct Fixture {
        correlator: Correlator,
        now: Instant,
    }

    impl Fixture {
        fn new() -> Self {
            Self {
                correlator: Correlator::default(),
                now: Instant::now(),
            }
        }

        /// Correlates an event and pretends that what is to be created was.
        fn feed(&mut self, event: &Event) -> Verdict {
            let verdict = self.correlator.correlate(&"me".into(), event, self.now);
            if let Verdict::Create { memory, message } = &verdict {
                self.correlator
                    .created(memory.clone(), format!("name of {message}"), self.now);
            }
            verdict
        }
    }

    #[tokio::test(start_paused = true)]
    async fn equal_events_are_counted_in_one_object() {
        let mut fixture = Fixture::new();
        assert!(matches!(fixture.feed(&event("a", "")), Verdict::Create { .. }));
        let Verdict::Patch { name, count: 2, .. } = fixture.feed(&event("a", "")) else {
            panic!("not counted")
        };
        assert_eq!(name, "name of a");
        let mut newer = event("a", "");
        newer.regarding.resource_version = "7".into();
        assert!(matches!(fixture.feed(&newer), Verdict::Patch { count: 3, .. }));
    }

    #[tokio::test(start_paused = true)]
    async fn the_tenth_similar_event_stands_for_all_that_follow() {
        let mut fixture = Fixture::new();
        for number in 0..9 {
            assert!(matches!(
                fixture.feed(&event(&number.to_string(), "")),
                Verdict::Create { .. }
            ));
        }
        let Verdict::Create { message, .. } = fixture.feed(&event("9", "")) else {
            panic!("not created")
        };
        assert_eq!(message, "(combined from similar events): 9");
        let Verdict::Patch {
            message, count: 2, ..
        } = fixture.feed(&event("10", ""))
        else {
            panic!("not counted")
        };
        assert_eq!(message, "(combined from similar events): 10");
        fixture.now += Duration::from_secs(601);
        assert!(matches!(fixture.feed(&event("11", "")), Verdict::Create { message, .. } if message == "11"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_about_one_object_is_cut_after_its_burst() {
        let mut fixture = Fixture::new();
        let passed = (0..40)
            .filter(|_| fixture.feed(&event("a", "")) != Verdict::Drop)
            .count();
        assert_eq!(passed, 25);
        fixture.now += SPAM_REFILL;
        assert_ne!(fixture.feed(&event("a", "")), Verdict::Drop);
        assert_eq!(fixture.feed(&event("a", "")), Verdict::Drop);
    }

    #[tokio::test(start_paused = true)]
    async fn a_series_is_written_when_it_starts_and_when_it_is_over() {
        let mut fixture = Fixture::new();
        assert!(matches!(
            fixture.feed(&event("a", "Binding")),
            Verdict::Create { .. }
        ));
        assert!(matches!(
            fixture.feed(&event("b", "Binding")),
            Verdict::Patch { count: 2, .. }
        ));
        assert_eq!(fixture.feed(&event("c", "Binding")), Verdict::Drop);
        assert!(fixture.correlator.finish_series(fixture.now).is_empty());
        let over = fixture.correlator.finish_series(fixture.now + SERIES_WINDOW);
        assert_eq!(over.len(), 1);
        assert_eq!((over[0].1.as_str(), over[0].2), ("name of a", 3));
        assert!(matches!(
            fixture.feed(&event("d", "Binding")),
            Verdict::Create { .. }
        ));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_remembered_is_bounded_and_what_is_used_stays() {
        let mut fixture = Fixture::new();
        fixture.feed(&event("a", ""));
        for number in 0..REMEMBERED * 2 {
            let mut other = event("a", "");
            other.regarding.name = number.to_string();
            fixture.feed(&other);
            if number % 1000 == 0 {
                fixture.now += SPAM_REFILL;
                assert!(
                    matches!(fixture.feed(&event("a", "")), Verdict::Patch { .. }),
                    "{number}"
                );
            }
        }
        assert!(fixture.correlator.written.young.len() + fixture.correlator.written.old.len() <= REMEMBERED);
    }
}
