//! Where the entries of one recorded instance go.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::entry::{CallId, Entry};

/// Takes entries in order. Dropping it ends the recording.
pub(crate) trait Sink: Send {
    /// One entry. Must not block.
    fn append(&mut self, entry: &Entry);
    /// The guest waits and has nothing to do: a good moment to write what is buffered.
    fn at_rest(&mut self);
}

/// The log of one instance.
pub(crate) struct Log {
    sinks: Mutex<Vec<Box<dyn Sink>>>,
    calls: AtomicU64,
}

impl Log {
    pub(crate) fn new(sinks: Vec<Box<dyn Sink>>) -> Self {
        Self {
            sinks: Mutex::new(sinks),
            calls: AtomicU64::new(1),
        }
    }

    pub(crate) fn append(&self, entry: &Entry) {
        for sink in &mut *self.sinks.lock() {
            sink.append(entry);
        }
    }

    pub(crate) fn at_rest(&self) {
        for sink in &mut *self.sinks.lock() {
            sink.at_rest();
        }
    }

    /// A name for a call.
    pub(crate) fn next_call(&self) -> CallId {
        self.calls.fetch_add(1, Ordering::Relaxed)
    }
}
