//! What a work queue counts about itself, under the meanings of client-go's
//! `workqueue_*` metrics. Rendering them is the business of whoever serves metrics.

use std::time::Duration;

/// Upper bounds of [`DurationHistogram`]'s buckets in seconds, as client-go has them.
pub const BUCKETS: [f64; 10] = [1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0];

/// Durations counted in decades from 10 ns to 10 s.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DurationHistogram {
    /// Observations per bucket of [`BUCKETS`] (not cumulative), then those beyond the last.
    pub counts: [u64; BUCKETS.len() + 1],
    /// All observations together.
    pub sum: Duration,
}

impl DurationHistogram {
    /// Counts one duration.
    pub fn observe(&mut self, duration: Duration) {
        // Bucket n ends at 10^(n+1) nanoseconds times 10, so the number of digits of
        // (nanoseconds - 1) tells the bucket.
        let digits = duration
            .as_nanos()
            .saturating_sub(1)
            .checked_ilog10()
            .unwrap_or(0) as usize;
        if let Some(count) = self.counts.get_mut(digits.min(BUCKETS.len())) {
            *count += 1;
        }
        self.sum = self.sum.saturating_add(duration);
    }

    /// How many observations there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// One look at a queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueMetrics {
    /// Keys ready to be taken (`workqueue_depth`).
    pub depth: usize,
    /// Keys waiting for their time.
    pub delayed: usize,
    /// Keys taken and not done.
    pub processing: usize,
    /// Adds that were not merged into an earlier one (`workqueue_adds_total`).
    pub adds: u64,
    /// Delayed and rate-limited adds (`workqueue_retries_total`).
    pub retries: u64,
    /// New keys refused because the queue was at its limit.
    pub dropped: u64,
    /// From add to get (`workqueue_queue_duration_seconds`).
    pub queue_duration: DurationHistogram,
    /// From get to done (`workqueue_work_duration_seconds`).
    pub work_duration: DurationHistogram,
    /// Age of the oldest key in processing (`workqueue_longest_running_processor_seconds`).
    pub longest_running: Duration,
    /// Ages of all keys in processing together (`workqueue_unfinished_work_seconds`).
    pub unfinished_work: Duration,
}
