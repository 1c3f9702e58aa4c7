//! Samples for live charts: taken once per period whether anybody watches or not, so
//! that the page begins with the last minutes, and sent to whoever watches.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::Stream;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::samples::Sampler;
use crate::status::StatusSource;

/// Streams at once.
const MAX_STREAMS: usize = 32;
/// Samples that a stream may fall behind before it skips.
const BACKLOG: usize = 16;

/// The latest samples, and those to come.
#[derive(Debug)]
pub(crate) struct Live {
    sampler: Mutex<Sampler>,
    events: broadcast::Sender<Bytes>,
    room: Arc<Semaphore>,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            sampler: Mutex::default(),
            events: broadcast::Sender::new(BACKLOG),
            room: Arc::new(Semaphore::new(MAX_STREAMS)),
        }
    }
}

impl Live {
    fn observe(&self, source: &dyn StatusSource) {
        let status = source.status();
        // Sent under the lock: a stream that begins now gets it in its history or as an
        // event, never twice.
        let mut sampler = self.sampler.lock();
        if let Some(sample) = sampler.observe(Instant::now(), &status) {
            // Nobody may be watching.
            let _ = self.events.send(event("sample", &sample));
        }
    }

    /// A stream of server-sent events: the history, then samples until `closing`; `None`
    /// when there are too many already.
    pub(crate) fn watch(&self, closing: CancellationToken) -> Option<impl Stream<Item = Bytes> + use<>> {
        let permit = Arc::clone(&self.room).try_acquire_owned().ok()?;
        let sampler = self.sampler.lock();
        let watching = Watching {
            history: Some(event("history", sampler.history())),
            events: self.events.subscribe(),
            closing,
            _permit: permit,
        };
        drop(sampler);
        Some(futures::stream::unfold(watching, Watching::next))
    }
}

struct Watching {
    history: Option<Bytes>,
    events: broadcast::Receiver<Bytes>,
    closing: CancellationToken,
    _permit: OwnedSemaphorePermit,
}

impl Watching {
    async fn next(mut self) -> Option<(Bytes, Self)> {
        if let Some(history) = self.history.take() {
            return Some((history, self));
        }
        loop {
            let received = tokio::select! {
                () = self.closing.cancelled() => return None,
                received = self.events.recv() => received,
            };
            match received {
                Ok(event) => return Some((event, self)),
                // It reads too slowly; charts can do without a few samples.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

/// One server-sent event. JSON has no line breaks.
fn event(name: &str, data: &impl Serialize) -> Bytes {
    let data = serde_json::to_string(data).unwrap_or_else(|_| "null".to_owned());
    Bytes::from(format!("event: {name}\ndata: {data}\n\n"))
}

/// Takes samples until `closing`.
pub(crate) async fn sample(
    source: Arc<dyn StatusSource>,
    live: Arc<Live>,
    period: Duration,
    closing: CancellationToken,
) {
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = closing.cancelled() => return,
            _ = ticks.tick() => live.observe(&*source),
        }
    }
}
