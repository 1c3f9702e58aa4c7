//! Durations counted in buckets: an atomic one that hot paths feed, and the plain one
//! that a look at it gives.
//!
//! Promises: [`AtomicHistogram::observe`] takes no lock and allocates nothing.
//! Deliberately not here: which bounds fit which metric; see [`SYNC_BOUNDS`] and
//! [`REQUEST_BOUNDS`] for the two that live instruments use.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use windlass_core::workqueue::{BUCKETS, DurationHistogram};

/// Bounds in seconds for syncs: those of `controller_runtime_reconcile_time_seconds`
/// from 5 ms on, and finer ones below, where the syncs of a guest are.
pub const SYNC_BOUNDS: [f64; 48] = [
    1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3,
    0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 6.0,
    7.0, 8.0, 9.0, 10.0, 15.0, 20.0, 25.0, 30.0, 40.0, 50.0, 60.0,
];

/// Bounds in seconds of client-go's `rest_client_request_duration_seconds`.
pub const REQUEST_BOUNDS: [f64; 12] = [0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0];

/// One look at durations counted in buckets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Histogram {
    /// Upper bounds in seconds, ascending.
    pub bounds: Vec<f64>,
    /// Observations per bound (not cumulative), then those beyond the last.
    pub counts: Vec<u64>,
    /// All observations together, in seconds.
    pub sum: f64,
}

impl Histogram {
    /// How many observations there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// How many observations were at most `bound`, which must be one of the bounds.
    #[must_use]
    pub fn at_most(&self, bound: f64) -> u64 {
        let buckets = self.bounds.iter().zip(&self.counts);
        buckets
            .take_while(|(upper, _)| **upper <= bound)
            .map(|(_, count)| count)
            .sum()
    }

    /// The duration in seconds that this share of the observations did not exceed, taken
    /// as evenly spread within its bucket; the last bound for those beyond it.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let total = self.count();
        if total == 0 {
            return None;
        }
        let rank = share.clamp(0.0, 1.0) * total as f64;
        let (mut below, mut lower) = (0.0, 0.0);
        for (upper, count) in self.bounds.iter().zip(&self.counts) {
            let count = *count as f64;
            if count > 0.0 && below + count >= rank {
                return Some(lower + (upper - lower) * ((rank - below) / count).max(0.0));
            }
            below += count;
            lower = *upper;
        }
        Some(lower)
    }

    /// What was observed after `earlier`; everything if that is of other bounds or from
    /// before a restart.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let continues = earlier.bounds == self.bounds
            && earlier.counts.len() == self.counts.len()
            && earlier
                .counts
                .iter()
                .zip(&self.counts)
                .all(|(old, new)| old <= new);
        if !continues {
            return self.clone();
        }
        let pairs = self.counts.iter().zip(&earlier.counts);
        Self {
            bounds: self.bounds.clone(),
            counts: pairs.map(|(new, old)| new - old).collect(),
            sum: (self.sum - earlier.sum).max(0.0),
        }
    }

    /// Adds the observations of another. One of other bounds is not added.
    pub fn merge(&mut self, other: &Self) {
        if self.counts.is_empty() {
            *self = other.clone();
        } else if self.bounds == other.bounds {
            for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
                *mine += theirs;
            }
            self.sum += other.sum;
        }
    }
}

impl From<&DurationHistogram> for Histogram {
    fn from(histogram: &DurationHistogram) -> Self {
        Self {
            bounds: BUCKETS.to_vec(),
            counts: histogram.counts.to_vec(),
            sum: histogram.sum.as_secs_f64(),
        }
    }
}

/// Durations counted in buckets while they happen.
#[derive(Debug)]
pub struct AtomicHistogram {
    bounds: &'static [f64],
    counts: Box<[AtomicU64]>,
    sum_nanos: AtomicU64,
}

impl AtomicHistogram {
    /// An empty one with ascending bounds in seconds.
    #[must_use]
    pub fn new(bounds: &'static [f64]) -> Self {
        Self {
            bounds,
            counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            sum_nanos: AtomicU64::new(0),
        }
    }

    /// Counts one duration.
    pub fn observe(&self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let bucket = self.bounds.partition_point(|bound| *bound < seconds);
        if let Some(count) = self.counts.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.sum_nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// One look. Observations that come meanwhile may be in the counts and not yet in
    /// the sum.
    #[must_use]
    pub fn snapshot(&self) -> Histogram {
        let nanos = self.sum_nanos.load(Ordering::Relaxed);
        Histogram {
            bounds: self.bounds.to_vec(),
            counts: self
                .counts
                .iter()
                .map(|count| count.load(Ordering::Relaxed))
                .collect(),
            sum: Duration::from_nanos(nanos).as_secs_f64(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn observed(durations: &[Duration]) -> Histogram {
        let histogram = AtomicHistogram::new(&SYNC_BOUNDS);
        for duration in durations {
            histogram.observe(*duration);
        }
        histogram.snapshot()
    }

    #[test]
    fn a_bound_belongs_to_its_own_bucket() {
        let histogram = observed(&[Duration::from_millis(5), Duration::from_micros(5001)]);
        assert_eq!(histogram.at_most(0.005), 1);
        assert_eq!(histogram.at_most(0.01), 2);
    }

    #[test]
    fn what_is_beyond_the_last_bound_is_counted() {
        let histogram = observed(&[Duration::from_secs(3600)]);
        assert_eq!(histogram.counts.last(), Some(&1));
        assert_eq!(histogram.quantile(0.99), Some(60.0));
    }

    #[test]
    fn nothing_observed_has_no_quantile() {
        assert_eq!(observed(&[]).quantile(0.5), None);
    }

    #[test]
    fn a_restart_counts_from_zero() {
        let before = observed(&[Duration::from_millis(1); 3]);
        let after = observed(&[Duration::from_millis(1)]);
        assert_eq!(after.since(&before), after);
        assert_eq!(before.since(&after).count(), 2);
    }

    proptest! {
        #[test]
        fn a_quantile_is_within_the_bucket_of_the_observation_it_names(
            micros in prop::collection::vec(1_u64..50_000_000, 1..50), share in 0.0_f64..=1.0,
        ) {
            let mut durations: Vec<_> = micros.into_iter().map(Duration::from_micros).collect();
            let quantile = observed(&durations).quantile(share).expect("something was observed");
            durations.sort();
            let rank = (share * durations.len() as f64).ceil().max(1.0) as usize;
            let exact = durations[rank - 1].as_secs_f64();
            let upper = SYNC_BOUNDS.partition_point(|bound| *bound < exact);
            let lower = if upper == 0 { 0.0 } else { SYNC_BOUNDS[upper - 1] };
            prop_assert!(quantile >= lower - 1e-9 && quantile <= SYNC_BOUNDS[upper] + 1e-9);
        }
    }
}
