//! When which node renews its lease and repeats its status.
//!
//! All nodes of the agent take turns, evenly spread over one period, so there is one
//! timer for all of them and never a burst.

use std::collections::VecDeque;
use std::time::Duration;

use crate::time::Time;

const LEASE_PERIOD: Duration = Duration::from_secs(10);
const LEASES_PER_SECOND: u32 = 20;
const STATUS_PERIOD: Duration = Duration::from_secs(300);
const STATUSES_PER_SECOND: u32 = 10;

/// A lease lasts this many periods, as with a kubelet.
const PERIODS_PER_LEASE: u32 = 4;

/// Time between two renewals of one node's lease.
#[must_use]
pub fn lease_period(configured: Option<Duration>, nodes: usize) -> Duration {
    configured.unwrap_or_else(|| LEASE_PERIOD.max(spread(nodes, LEASES_PER_SECOND)))
}

/// For how long a lease holds that is renewed with this period.
#[must_use]
pub fn lease_duration_seconds(period: Duration) -> u64 {
    (period * PERIODS_PER_LEASE).as_secs().max(1)
}

/// Time between two status reports of one node.
#[must_use]
pub fn status_period(configured: Option<Duration>, nodes: usize) -> Duration {
    configured.unwrap_or_else(|| STATUS_PERIOD.max(spread(nodes, STATUSES_PER_SECOND)))
}

fn spread(nodes: usize, per_second: u32) -> Duration {
    Duration::from_secs(1) * u32::try_from(nodes).unwrap_or(u32::MAX) / per_second
}

/// Gives every node its turn once per period.
#[derive(Debug)]
pub struct Turns {
    period: Duration,
    queue: VecDeque<(Time, usize)>,
}

impl Turns {
    /// Turns of the nodes `0..nodes`, the first one now.
    #[must_use]
    pub fn new(nodes: usize, period: Duration, now: Time) -> Self {
        let count = u32::try_from(nodes).unwrap_or(u32::MAX).max(1);
        let turn = |node: usize| {
            (
                now.plus(period / count * u32::try_from(node).unwrap_or(u32::MAX)),
                node,
            )
        };
        Self {
            period,
            queue: (0..nodes).map(turn).collect(),
        }
    }

    /// When the next turn is.
    #[must_use]
    pub fn next_due(&self) -> Option<Time> {
        self.queue.front().map(|(due, _)| *due)
    }

    /// A node whose turn it is. Turns that were slept through are not made up for.
    pub fn pop(&mut self, now: Time) -> Option<usize> {
        let (due, node) = *self.queue.front().filter(|(due, _)| *due <= now)?;
        self.queue.pop_front();
        let next = due.plus(self.period);
        self.queue
            .push_back((if next < now { now.plus(self.period) } else { next }, node));
        Some(node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_nodes_renew_less_often_so_that_their_sum_stays_bounded() {
        assert_eq!(lease_period(None, 10), Duration::from_secs(10));
        assert_eq!(lease_period(None, 5000), Duration::from_secs(250));
        assert_eq!(lease_duration_seconds(lease_period(None, 10)), 40);
        assert_eq!(lease_period(Some(LEASE_PERIOD), 5000), LEASE_PERIOD);
        assert_eq!(status_period(None, 5000), Duration::from_secs(500));
    }

    #[test]
    fn every_node_has_one_turn_per_period() {
        let start = Time::from_millis(0);
        let mut turns = Turns::new(10, Duration::from_secs(10), start);
        let mut seen = Vec::new();
        for second in 0..20 {
            let now = start.plus(Duration::from_secs(second));
            while let Some(node) = turns.pop(now) {
                seen.push(node);
            }
        }
        assert_eq!(seen, (0..10).chain(0..10).collect::<Vec<_>>());
    }

    #[test]
    fn turns_slept_through_are_not_made_up_for() {
        let start = Time::from_millis(0);
        let mut turns = Turns::new(2, Duration::from_secs(10), start);
        let late = start.plus(Duration::from_secs(3600));
        assert_eq!(
            [turns.pop(late), turns.pop(late), turns.pop(late)],
            [Some(0), Some(1), None]
        );
    }
}
