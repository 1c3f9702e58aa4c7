//! What a module's loop writes down of each sync.
//!
//! Promises: recording costs well under a microsecond, takes one short lock and
//! allocates only for errors; memory is bounded, whatever guests say in them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use rustix::time::{ClockId, Timespec, clock_gettime};
use windlass_core::key::ObjectKey;

use crate::histogram::{AtomicHistogram, SYNC_BOUNDS};
use crate::status::{RecentSync, SyncResult, SyncStatus};

/// Syncs remembered, and as many errors besides.
const REMEMBERED: usize = 64;
/// Bytes kept of one error message.
const MAX_ERROR: usize = 1024;

/// One ended sync.
#[derive(Clone, Copy, Debug)]
pub struct SyncEnd<'a> {
    /// Its number within the module.
    pub id: u64,
    /// Its key.
    pub key: &'a ObjectKey,
    /// How long its key was due before the guest was called: in the queue, held back for
    /// the caches, and for room. Unset of a key of an initial list or a resync, which lets
    /// all live changes pass.
    pub waited: Option<Duration>,
    /// How long it took.
    pub duration: Duration,
    /// How it ended.
    pub result: SyncResult,
    /// What was said of an error.
    pub error: Option<&'a str>,
}

/// The syncs of one module.
#[derive(Debug)]
pub struct SyncRecorder {
    results: [AtomicU64; SyncResult::ALL.len()],
    latency: AtomicHistogram,
    due_to_done: AtomicHistogram,
    recent: Mutex<VecDeque<Remembered>>,
    errors: Mutex<VecDeque<Remembered>>,
}

#[derive(Clone, Debug)]
struct Remembered {
    at: Timespec,
    id: u64,
    key: ObjectKey,
    duration: Duration,
    result: SyncResult,
    error: Option<Box<str>>,
}

impl Default for SyncRecorder {
    /// One that has seen nothing.
    fn default() -> Self {
        let ring = || Mutex::new(VecDeque::with_capacity(REMEMBERED));
        Self {
            results: Default::default(),
            latency: AtomicHistogram::new(&SYNC_BOUNDS),
            due_to_done: AtomicHistogram::new(&SYNC_BOUNDS),
            recent: ring(),
            errors: ring(),
        }
    }
}

impl SyncRecorder {
    /// Writes down one ended sync.
    pub fn record(&self, sync: SyncEnd<'_>) {
        if let Some(count) = self.results.get(sync.result as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.latency.observe(sync.duration);
        if let Some(waited) = sync.waited {
            self.due_to_done.observe(waited + sync.duration);
        }
        let remembered = Remembered {
            // Some milliseconds of error are worth the time that the exact clock takes.
            at: clock_gettime(ClockId::RealtimeCoarse),
            id: sync.id,
            key: sync.key.clone(),
            duration: sync.duration,
            result: sync.result,
            error: sync.error.map(|error| shorten(error).into()),
        };
        if sync.result.is_error() {
            push(&self.errors, remembered.clone());
        }
        push(&self.recent, remembered);
    }

    /// How many syncs have ended, whatever way. Much cheaper than a look at everything.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.results
            .iter()
            .map(|count| count.load(Ordering::Relaxed))
            .sum()
    }

    /// One look.
    #[must_use]
    pub fn snapshot(&self) -> SyncStatus {
        let results = SyncResult::ALL.into_iter().zip(&self.results);
        let latency = self.latency.snapshot();
        SyncStatus {
            results: results
                .map(|(result, count)| (result, count.load(Ordering::Relaxed)))
                .collect(),
            p50: latency.quantile(0.5),
            p99: latency.quantile(0.99),
            latency,
            due_to_done: self.due_to_done.snapshot(),
            recent: newest_first(&self.recent),
            errors: newest_first(&self.errors),
        }
    }
}

fn push(ring: &Mutex<VecDeque<Remembered>>, remembered: Remembered) {
    let displaced = {
        let mut ring = ring.lock();
        let displaced = (ring.len() == REMEMBERED).then(|| ring.pop_front());
        ring.push_back(remembered);
        displaced
    };
    // Freed outside the lock.
    drop(displaced);
}

fn newest_first(ring: &Mutex<VecDeque<Remembered>>) -> Vec<RecentSync> {
    let remembered: Vec<Remembered> = ring.lock().iter().rev().cloned().collect();
    remembered.into_iter().map(RecentSync::from).collect()
}

impl From<Remembered> for RecentSync {
    fn from(remembered: Remembered) -> Self {
        Self {
            at: timestamp(remembered.at),
            id: remembered.id,
            key: remembered.key.to_string(),
            duration: remembered.duration.as_secs_f64(),
            result: remembered.result,
            error: remembered.error.map(String::from),
        }
    }
}

fn timestamp(time: Timespec) -> Timestamp {
    let nanos = i32::try_from(time.tv_nsec).unwrap_or_default();
    Timestamp::new(time.tv_sec, nanos).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// The beginning of a message that may be of any length.
fn shorten(message: &str) -> &str {
    match message.char_indices().find(|(at, _)| *at >= MAX_ERROR) {
        Some((end, _)) => message.get(..end).unwrap_or(message),
        None => message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(recorder: &SyncRecorder, id: u64, result: SyncResult, error: Option<&str>) {
        recorder.record(SyncEnd {
            id,
            key: &ObjectKey::new("default", "web"),
            waited: Some(Duration::from_millis(3)),
            duration: Duration::from_micros(120),
            result,
            error,
        });
    }

    #[test]
    fn successes_do_not_push_out_errors() {
        let recorder = SyncRecorder::default();
        record(&recorder, 0, SyncResult::Retry, Some("no"));
        for id in 1..1000 {
            record(&recorder, id, SyncResult::Success, None);
        }
        let status = recorder.snapshot();
        assert_eq!(status.recent.len(), REMEMBERED);
        assert_eq!(status.recent[0].id, 999);
        assert_eq!(status.errors.len(), 1);
        assert_eq!(status.errors[0].error.as_deref(), Some("no"));
        assert_eq!((status.total(), status.error_total()), (1000, 1));
    }

    #[test]
    fn what_a_key_waited_counts_from_due_to_done_alone() {
        let recorder = SyncRecorder::default();
        record(&recorder, 1, SyncResult::Success, None);
        let status = recorder.snapshot();
        assert_eq!((status.latency.at_most(2e-4), status.latency.count()), (1, 1));
        assert_eq!(
            (status.due_to_done.at_most(2e-3), status.due_to_done.at_most(5e-3)),
            (0, 1)
        );
    }

    #[test]
    fn long_messages_are_cut_at_a_character() {
        let recorder = SyncRecorder::default();
        record(&recorder, 1, SyncResult::Terminal, Some(&"ü".repeat(4000)));
        let kept = recorder.snapshot().errors[0].error.clone().unwrap_or_default();
        assert_eq!(kept.len(), MAX_ERROR);
    }

    #[test]
    fn every_result_is_there_at_zero() {
        assert_eq!(
            SyncRecorder::default().snapshot().results.len(),
            SyncResult::ALL.len()
        );
    }
}
