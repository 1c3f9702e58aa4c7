//! Which syncs of a module may run at this moment, and which wait for one of its instances.
//!
//! A lane is an instance: each has room for so many syncs, and there is room for so many in
//! all of them. A key that was taken from the queue and finds its lane full waits here, so
//! that the other lanes get theirs meanwhile; how many may wait is bounded, because what
//! waits here is no longer in the order of the queue. Nothing here does I/O or takes time.

use std::collections::VecDeque;

use windlass_core::key::ObjectKey;
use windlass_core::shard::hash::hash;

/// How many keys may wait for each sync that may run.
const WAITING: usize = 4;

/// How many syncs may run at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Concurrency {
    /// Instances that share the keys.
    pub instances: usize,
    /// Syncs in each of them.
    pub in_each: usize,
    /// Syncs in all of them together.
    pub in_all: usize,
}

impl Concurrency {
    /// So many syncs in one instance.
    #[must_use]
    pub fn of_one(workers: usize) -> Self {
        Self {
            instances: 1,
            in_each: workers,
            in_all: workers,
        }
    }

    /// Which instance syncs a key: always the same, as long as there are as many.
    #[must_use]
    pub fn instance_of(&self, key: &ObjectKey) -> usize {
        instance_of(key, self.instances)
    }
}

/// Which of so many instances a key belongs to. Not the hash that shards keys over
/// replicas, or one replica's keys could all be one instance's.
pub(crate) fn instance_of(key: &ObjectKey, instances: usize) -> usize {
    if instances <= 1 {
        return 0;
    }
    let hash = hash(&[b"instance", key.namespace.as_bytes(), key.name.as_bytes()]);
    usize::try_from(hash % instances as u64).unwrap_or_default()
}

/// See the module.
pub(crate) struct Lanes<T> {
    limits: Concurrency,
    lanes: Vec<Lane<T>>,
    running: usize,
    waiting: usize,
}

struct Lane<T> {
    running: usize,
    waiting: VecDeque<T>,
}

impl<T> Lanes<T> {
    pub(crate) fn new(limits: Concurrency) -> Self {
        let lane = || Lane {
            running: 0,
            waiting: VecDeque::new(),
        };
        Self {
            limits,
            lanes: std::iter::repeat_with(lane)
                .take(limits.instances.max(1))
                .collect(),
            running: 0,
            waiting: 0,
        }
    }

    /// Whether there is use for another sync.
    pub(crate) fn has_room(&self) -> bool {
        self.running < self.limits.in_all && self.waiting < self.limits.in_all * WAITING
    }

    /// Takes a sync in. Gives it back if it may run now, and counts it as running.
    pub(crate) fn enter(&mut self, lane: usize, sync: T) -> Option<T> {
        let is_full = self.running >= self.limits.in_all;
        let lane = self.lanes.get_mut(lane)?;
        if is_full || lane.running >= self.limits.in_each {
            lane.waiting.push_back(sync);
            self.waiting += 1;
            return None;
        }
        lane.running += 1;
        self.running += 1;
        Some(sync)
    }

    /// A sync of this lane no longer runs. Gives out the one that may run in its place, and
    /// in which lane, and counts it as running.
    pub(crate) fn leave(&mut self, left: usize) -> Option<(usize, T)> {
        self.lanes.get_mut(left)?.running -= 1;
        self.running -= 1;
        let count = self.lanes.len();
        // The lane after it first, so that one whose syncs are short does not keep the place.
        (1..=count).find_map(|step| {
            let next = (left + step) % count;
            let lane = self.lanes.get_mut(next)?;
            if lane.running >= self.limits.in_each {
                return None;
            }
            let sync = lane.waiting.pop_front()?;
            lane.running += 1;
            self.running += 1;
            self.waiting -= 1;
            Some((next, sync))
        })
    }

    /// Takes out all that wait.
    pub(crate) fn take_waiting(&mut self) -> Vec<T> {
        self.waiting = 0;
        let waiting = self
            .lanes
            .iter_mut()
            .map(|lane| std::mem::take(&mut lane.waiting));
        waiting.flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const LIMITS: Concurrency = Concurrency {
        instances: 3,
        in_each: 2,
        in_all: 5,
    };

    #[test]
    fn a_sync_waits_for_its_own_lane_while_others_have_room() {
        let mut lanes = Lanes::new(LIMITS);
        assert_eq!(lanes.enter(0, "a"), Some("a"));
        assert_eq!(lanes.enter(0, "b"), Some("b"));
        assert_eq!(lanes.enter(0, "c"), None);
        assert!(lanes.has_room());
        assert_eq!(lanes.enter(1, "d"), Some("d"));
        assert_eq!(lanes.leave(1), None, "the room is in another lane");
        assert_eq!(lanes.leave(0), Some((0, "c")));
    }

    #[test]
    fn what_waits_is_given_back_once() {
        let mut lanes = Lanes::new(Concurrency::of_one(1));
        assert_eq!(lanes.enter(0, "a"), Some("a"));
        assert_eq!(lanes.enter(0, "b"), None);
        assert_eq!(lanes.take_waiting(), ["b"]);
        assert_eq!(lanes.leave(0), None);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Enter(usize),
        Leave(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => (0..LIMITS.instances).prop_map(Step::Enter),
            2 => any::<usize>().prop_map(Step::Leave),
        ]
    }

    proptest! {
        #[test]
        fn no_limit_is_ever_passed_and_every_sync_runs_in_the_order_of_its_lane(
            steps in prop::collection::vec(step(), 0..200),
        ) {
            let mut lanes = Lanes::new(LIMITS);
            let (mut running, mut started) = (Vec::new(), vec![Vec::new(); LIMITS.instances]);
            let mut entered = 0;
            // At the end everything may run out.
            let rest = std::iter::repeat_n(Step::Leave(0), 200);
            for step in steps.into_iter().chain(rest) {
                let begun = match step {
                    Step::Enter(lane) if lanes.has_room() => {
                        entered += 1;
                        lanes.enter(lane, entered).map(|sync| (lane, sync))
                    }
                    Step::Leave(which) if !running.is_empty() => {
                        let left = running.swap_remove(which % running.len());
                        lanes.leave(left)
                    }
                    Step::Enter(_) | Step::Leave(_) => None,
                };
                if let Some((lane, sync)) = begun {
                    running.push(lane);
                    started[lane].push(sync);
                }
                prop_assert!(running.len() <= LIMITS.in_all);
                for lane in 0..LIMITS.instances {
                    prop_assert!(running.iter().filter(|other| **other == lane).count() <= LIMITS.in_each);
                }
            }
            prop_assert!(running.is_empty());
            prop_assert!(started.iter().all(|syncs| syncs.is_sorted()));
            prop_assert_eq!(started.iter().map(Vec::len).sum::<usize>(), entered);
        }
    }

    #[test]
    fn keys_stay_with_their_instance_and_spread_over_all() {
        let mut counts = [0; 4];
        for number in 0..4000 {
            let key = ObjectKey::new("default", &format!("web-{number}"));
            let instance = instance_of(&key, 4);
            assert_eq!(instance, instance_of(&key, 4));
            counts[instance] += 1;
        }
        // 1000 each with a deviation of 27: five deviations.
        assert!(
            counts.iter().all(|count| (865..1135).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn the_keys_of_one_slot_spread_over_all_instances() {
        let of_one_slot = (0..100_000)
            .map(|number| ObjectKey::new("default", &format!("web-{number}")))
            .filter(|key| windlass_core::shard::slot_of(key) == 0);
        let instances: BTreeSet<usize> = of_one_slot.map(|key| instance_of(&key, 4)).collect();
        assert_eq!(instances.len(), 4);
    }
}
