//! Random interleavings against a queue so naive that it is obviously right.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Add { key: u32, priority: i32, after_ms: u64 },
    Get,
    Done { nth: usize },
    Advance { ms: u64 },
    ShutDown,
    Drain,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let priority = prop_oneof![4 => Just(0), 1 => Just(-100), 2 => -3..4_i32];
    let after_ms = prop_oneof![3 => Just(0), 1 => 1..3000_u64];
    let step = prop_oneof![
        400 => (0..12_u32, priority, after_ms).prop_map(|(key, priority, after_ms)| Step::Add { key, priority, after_ms }),
        300 => Just(Step::Get),
        200 => (0..12_usize).prop_map(|nth| Step::Done { nth }),
        100 => (0..2500_u64).prop_map(|ms| Step::Advance { ms }),
        1 => Just(Step::ShutDown),
        1 => Just(Step::Drain),
    ];
    prop::collection::vec(step, 0..200)
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    key: u32,
    priority: i32,
    since_ms: u64,
}

/// Lists, walked from end to end.
#[derive(Debug, Default)]
struct Naive {
    /// In order of arrival.
    ready: Vec<Waiting>,
    after_done: BTreeMap<u32, i32>,
    processing: BTreeSet<u32>,
    /// In order of arrival.
    delayed: Vec<(u64, u32, i32)>,
    stopped: bool,
}

impl Naive {
    fn add(&mut self, key: u32, priority: i32, after_ms: u64, now_ms: u64) {
        if self.stopped {
            return;
        }
        if after_ms == 0 {
            return self.dirty(key, priority, now_ms);
        }
        let due = now_ms + after_ms;
        match self.delayed.iter().position(|(_, present, _)| *present == key) {
            Some(at) if self.delayed[at].0 <= due => self.delayed[at].2 = self.delayed[at].2.max(priority),
            Some(at) => {
                let (_, _, present) = self.delayed.remove(at);
                self.delayed.push((due, key, present.max(priority)));
            }
            None => self.delayed.push((due, key, priority)),
        }
    }

    fn dirty(&mut self, key: u32, priority: i32, since_ms: u64) {
        if let Some(waiting) = self.ready.iter_mut().find(|waiting| waiting.key == key) {
            waiting.priority = waiting.priority.max(priority);
        } else if self.processing.contains(&key) {
            let present = self.after_done.entry(key).or_insert(priority);
            *present = priority.max(*present);
        } else {
            self.ready.push(Waiting {
                key,
                priority,
                since_ms,
            });
        }
    }

    fn get(&mut self, now_ms: u64) -> Option<u32> {
        self.delayed.sort_by_key(|(due, ..)| *due);
        while self.delayed.first().is_some_and(|(due, ..)| *due <= now_ms) {
            let (due, key, priority) = self.delayed.remove(0);
            self.dirty(key, priority, due);
        }
        // Effective priority: one level per second waited. The first of equals wins.
        let urgency = |waiting: &Waiting| i64::from(waiting.priority) * 1000 - waiting.since_ms as i64;
        let best = self.ready.iter().map(urgency).max()?;
        let at = self.ready.iter().position(|waiting| urgency(waiting) == best)?;
        let key = self.ready.remove(at).key;
        assert!(self.processing.insert(key), "{key} is processed twice at once");
        Some(key)
    }

    fn done(&mut self, key: u32, now_ms: u64) {
        if self.processing.remove(&key) {
            if let Some(priority) = self.after_done.remove(&key) {
                self.dirty(key, priority, now_ms);
            }
        }
    }

    fn stop(&mut self) {
        self.stopped = true;
        self.delayed.clear();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn the_queue_behaves_as_the_model_whatever_the_interleaving(steps in steps()) {
        let (mut queue, start) = state(None);
        let mut naive = Naive::default();
        let mut now_ms = 0;
        for step in steps {
            let now = start + Duration::from_millis(now_ms);
            match step {
                Step::Add { key, priority, after_ms } => {
                    add(&mut queue, key, priority, Duration::from_millis(after_ms), now);
                    naive.add(key, priority, after_ms, now_ms);
                }
                Step::Get => {
                    let got = match queue.next(now) { Next::Key(key) => Some(key), _ => None };
                    prop_assert_eq!(got, naive.get(now_ms));
                }
                Step::Done { nth } => {
                    // Some key in processing, or one that is not.
                    let key = naive.processing.iter().nth(nth).copied().unwrap_or(nth as u32);
                    let _: Wake = queue.done(&key, now);
                    naive.done(key, now_ms);
                }
                Step::Advance { ms } => now_ms += ms,
                Step::ShutDown => { queue.shut_down(); naive.stop(); }
                Step::Drain => { queue.drain(); naive.stop(); }
            }
            prop_assert_eq!(queue.len(), naive.ready.len());
            prop_assert_eq!(queue.processing(), naive.processing.len());
            prop_assert_eq!(queue.delayed(), naive.delayed.len());
        }
    }

    #[test]
    fn every_add_is_followed_by_a_get_of_its_key(steps in steps()) {
        let (mut queue, mut now) = state(None);
        let mut owed = BTreeSet::new();
        let mut processing = BTreeSet::new();
        let get = |queue: &mut QueueState<u32>, now, owed: &mut BTreeSet<u32>, processing: &mut BTreeSet<u32>| {
            let Next::Key(key) = queue.next(now) else { return false };
            owed.remove(&key);
            assert!(processing.insert(key), "{key} is processed twice at once");
            true
        };
        for step in steps {
            match step {
                Step::Add { key, priority, after_ms } => {
                    add(&mut queue, key, priority, Duration::from_millis(after_ms), now);
                    owed.insert(key);
                }
                Step::Get => _ = get(&mut queue, now, &mut owed, &mut processing),
                Step::Done { nth } => {
                    if let Some(key) = processing.iter().nth(nth).copied() {
                        processing.remove(&key);
                        let _: Wake = queue.done(&key, now);
                    }
                }
                Step::Advance { ms } => now += Duration::from_millis(ms),
                Step::ShutDown | Step::Drain => {}
            }
        }
        now += 10 * SECOND;
        loop {
            for key in std::mem::take(&mut processing) {
                let _: Wake = queue.done(&key, now);
            }
            if !get(&mut queue, now, &mut owed, &mut processing) {
                break;
            }
        }
        prop_assert!(owed.is_empty(), "lost {owed:?}");
        prop_assert_eq!(queue.next(now), Next::Wait(None));
    }
}
