//! A heap of keys with the time at which each wants attention.
//!
//! Entries that were superseded stay until their time comes: being called too often is
//! harmless, being forgotten is not.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::time::Time;

/// Keys by time.
#[derive(Debug)]
pub struct Timers<K> {
    heap: BinaryHeap<Reverse<(Time, K)>>,
}

impl<K: Ord> Default for Timers<K> {
    fn default() -> Self {
        Self {
            heap: BinaryHeap::new(),
        }
    }
}

impl<K: Ord> Timers<K> {
    /// Adds an entry.
    pub fn add(&mut self, due: Time, key: K) {
        self.heap.push(Reverse((due, key)));
    }

    /// When the first entry is due.
    #[must_use]
    pub fn next_due(&self) -> Option<Time> {
        self.heap.peek().map(|Reverse((due, _))| *due)
    }

    /// Takes an entry that is due.
    pub fn pop(&mut self, now: Time) -> Option<(Time, K)> {
        if self.next_due()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_when_they_are_due_and_in_order() {
        let at = Time::from_millis;
        let mut timers = Timers::default();
        for (due, key) in [(30, 'c'), (10, 'a'), (20, 'b')] {
            timers.add(at(due), key);
        }
        assert_eq!(timers.next_due(), Some(at(10)));
        assert_eq!(
            [timers.pop(at(20)), timers.pop(at(20)), timers.pop(at(20))],
            [Some((at(10), 'a')), Some((at(20), 'b')), None]
        );
    }
}
