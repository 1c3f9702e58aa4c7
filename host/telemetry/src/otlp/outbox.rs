//! Where ended spans wait to be sent, and what became of those before them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::span::Record;
use super::tracer::Sampler;
use crate::status::ExporterStatus;

/// A bounded queue of spans.
#[derive(Debug)]
pub(super) struct Outbox {
    pub(super) sampler: Sampler,
    endpoint: String,
    queue: mpsc::Sender<Record>,
    exported: AtomicU64,
    queue_full: AtomicU64,
    refused: AtomicU64,
    unreachable: AtomicU64,
    last_error: Mutex<Option<String>>,
}

/// Why the collector does not have some spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// It would not take them.
    Refused,
    /// It was not there for long.
    Unreachable,
}

impl Outbox {
    /// One with room for so many spans, and its other end.
    pub(super) fn new(room: usize, endpoint: String, sampler: Sampler) -> (Self, mpsc::Receiver<Record>) {
        let (queue, spans) = mpsc::channel(room);
        let outbox = Self {
            sampler,
            endpoint,
            queue,
            exported: AtomicU64::new(0),
            queue_full: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            unreachable: AtomicU64::new(0),
            last_error: Mutex::new(None),
        };
        (outbox, spans)
    }

    /// Adds a span, or counts it as lost.
    pub(super) fn push(&self, record: Record) {
        if self.queue.try_send(record).is_err() {
            self.queue_full.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The collector has taken so many.
    pub(super) fn taken(&self, spans: u64) {
        self.exported.fetch_add(spans, Ordering::Relaxed);
        *self.last_error.lock() = None;
    }

    /// So many were given up.
    pub(super) fn lost(&self, spans: u64, loss: Loss) {
        let counter = match loss {
            Loss::Refused => &self.refused,
            Loss::Unreachable => &self.unreachable,
        };
        counter.fetch_add(spans, Ordering::Relaxed);
    }

    /// An attempt failed.
    pub(super) fn failed(&self, error: &str) {
        *self.last_error.lock() = Some(error.to_owned());
    }

    /// Spans that found no room.
    pub(super) fn queue_full(&self) -> u64 {
        self.queue_full.load(Ordering::Relaxed)
    }

    /// Spans lost for whatever reason.
    pub(super) fn all_lost(&self) -> u64 {
        let counters = [&self.queue_full, &self.refused, &self.unreachable];
        counters.map(|count| count.load(Ordering::Relaxed)).iter().sum()
    }

    /// One look.
    pub(super) fn status(&self) -> ExporterStatus {
        let dropped = [
            ("queueFull", &self.queue_full),
            ("refused", &self.refused),
            ("unreachable", &self.unreachable),
        ];
        ExporterStatus {
            endpoint: self.endpoint.clone(),
            exported: self.exported.load(Ordering::Relaxed),
            dropped: BTreeMap::from(
                dropped.map(|(reason, count)| (reason.to_owned(), count.load(Ordering::Relaxed))),
            ),
            last_error: self.last_error.lock().clone(),
        }
    }
}
