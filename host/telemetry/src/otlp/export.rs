//! From ended spans to a collector: a bounded queue, and one task that sends batches.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Method, Request, StatusCode};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::span::Record;
use super::{BATCH, OtlpConfig, encode};
use crate::http_client::{Budget, Endpoint, RequestError};
use crate::status::ExporterStatus;

/// Bytes of a collector's answer, which is an empty object or a message.
const MAX_ANSWER: usize = 64 * 1024;
/// Attempts to send one batch.
const ATTEMPTS: u32 = 4;
/// Wait after the first failed attempt; doubled with each.
const BACK_OFF: Duration = Duration::from_secs(1);

/// Why spans cannot be sent at all.
#[derive(Debug, thiserror::Error)]
pub enum OtlpError {
    /// The endpoint is no URL that can be asked.
    #[error("cannot send traces: {0}")]
    Endpoint(#[from] RequestError),
    /// A header cannot be sent.
    #[error("cannot send traces: {name:?} with its value is no HTTP header")]
    Header {
        /// Its name.
        name: String,
    },
}

/// Where ended spans wait.
#[derive(Debug)]
pub(super) struct Outbox {
    queue: mpsc::Sender<Record>,
    exported: AtomicU64,
    queue_full: AtomicU64,
    refused: AtomicU64,
    unreachable: AtomicU64,
    last_error: Mutex<Option<String>>,
}

impl Outbox {
    pub(super) fn new(room: usize) -> (Self, mpsc::Receiver<Record>) {
        let (queue, spans) = mpsc::channel(room);
        let outbox = Self {
            queue,
            exported: AtomicU64::new(0),
            queue_full: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            unreachable: AtomicU64::new(0),
            last_error: Mutex::new(None),
        };
        (outbox, spans)
    }

    pub(super) fn push(&self, record: Record) {
        if self.queue.try_send(record).is_err() {
            self.queue_full.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn status(&self, endpoint: &str) -> ExporterStatus {
        let dropped = [
            ("queueFull", &self.queue_full),
            ("refused", &self.refused),
            ("unreachable", &self.unreachable),
        ];
        ExporterStatus {
            endpoint: endpoint.to_owned(),
            exported: self.exported.load(Ordering::Relaxed),
            dropped: BTreeMap::from(
                dropped.map(|(reason, count)| (reason.to_owned(), count.load(Ordering::Relaxed))),
            ),
            last_error: self.last_error.lock().clone(),
        }
    }
}

/// The task that sends. Dropping it loses what waits; [`Exporter::shut_down`] sends it.
#[derive(Debug)]
pub struct Exporter {
    outbox: Arc<Outbox>,
    endpoint: String,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Exporter {
    pub(super) fn spawn(
        endpoint: Endpoint,
        config: OtlpConfig,
        outbox: Arc<Outbox>,
        spans: mpsc::Receiver<Record>,
    ) -> Result<Self, OtlpError> {
        let headers = config
            .headers
            .iter()
            .map(|(name, value)| header(name, value))
            .collect::<Result<_, _>>()?;
        let stop = CancellationToken::new();
        let shown = endpoint.to_string();
        let sender = Sender {
            endpoint,
            headers,
            config,
            outbox: Arc::clone(&outbox),
            spans,
            stop: stop.clone(),
        };
        Ok(Self {
            outbox,
            endpoint: shown,
            stop,
            task: tokio::spawn(sender.run()),
        })
    }

    /// One look.
    #[must_use]
    pub fn status(&self) -> ExporterStatus {
        self.outbox.status(&self.endpoint)
    }

    /// Sends what waits, for at most `grace`, and ends. Spans that end later are lost.
    pub async fn shut_down(mut self, grace: Duration) {
        self.stop.cancel();
        if tokio::time::timeout(grace, &mut self.task).await.is_err() {
            tracing::warn!("some spans could not be sent in time and are lost");
        }
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), OtlpError> {
    match (HeaderName::try_from(name), HeaderValue::try_from(value)) {
        (Ok(name), Ok(value)) => Ok((name, value)),
        _ => Err(OtlpError::Header {
            name: name.to_owned(),
        }),
    }
}

struct Sender {
    endpoint: Endpoint,
    headers: Vec<(HeaderName, HeaderValue)>,
    config: OtlpConfig,
    outbox: Arc<Outbox>,
    spans: mpsc::Receiver<Record>,
    stop: CancellationToken,
}

/// What became of one attempt.
enum Attempt {
    Taken,
    /// Worth another one.
    Later(String),
    Refused(String),
}

impl Sender {
    async fn run(mut self) {
        while let Some(batch) = self.batch().await {
            self.deliver(&batch).await;
        }
    }

    /// Waits for a span, then for others until there are enough or the period is over.
    async fn batch(&mut self) -> Option<Vec<Record>> {
        let first = tokio::select! {
            biased;
            first = self.spans.recv() => first?,
            () = self.stop.cancelled() => self.spans.try_recv().ok()?,
        };
        let mut batch = vec![first];
        let deadline = Instant::now() + self.config.period;
        while batch.len() < BATCH {
            let room = BATCH - batch.len();
            let stop = self.stop.clone();
            let received = tokio::select! {
                biased;
                received = timeout_at(deadline, self.spans.recv_many(&mut batch, room)) => received,
                () = stop.cancelled() => Ok(0),
            };
            if !matches!(received, Ok(1..)) {
                break;
            }
        }
        Some(batch)
    }

    async fn deliver(&self, batch: &[Record]) {
        let spans = batch.len() as u64;
        let version = self
            .config
            .resource
            .iter()
            .find(|(key, _)| key == "service.version");
        let version = version.map_or("", |(_, version)| version.as_str());
        let body = Bytes::from(encode::request(&self.config.resource, version, batch).to_string());
        for attempt in 1..=ATTEMPTS {
            let (counter, message) = match self.attempt(body.clone()).await {
                Attempt::Taken => {
                    self.outbox.exported.fetch_add(spans, Ordering::Relaxed);
                    *self.outbox.last_error.lock() = None;
                    return;
                }
                Attempt::Later(message) => (&self.outbox.unreachable, message),
                Attempt::Refused(message) => {
                    self.give_up(&self.outbox.refused, spans, message);
                    return;
                }
            };
            // A process that stops does not wait for a collector to come back.
            if attempt == ATTEMPTS || self.stop.is_cancelled() {
                self.give_up(counter, spans, message);
                return;
            }
            *self.outbox.last_error.lock() = Some(message);
            tokio::select! {
                () = tokio::time::sleep(BACK_OFF * 2_u32.pow(attempt - 1)) => {}
                () = self.stop.cancelled() => {}
            }
        }
    }

    fn give_up(&self, counter: &AtomicU64, spans: u64, message: String) {
        counter.fetch_add(spans, Ordering::Relaxed);
        tracing::warn!(spans, error = message, "spans could not be sent and are lost");
        *self.outbox.last_error.lock() = Some(message);
    }

    async fn attempt(&self, body: Bytes) -> Attempt {
        let mut request = Request::builder()
            .method(Method::POST)
            .header(CONTENT_TYPE, "application/json");
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let budget = Budget {
            time: self.config.timeout,
            bytes: MAX_ANSWER,
        };
        match self.endpoint.send(request, body, budget).await {
            Ok((code, _)) if code.is_success() => Attempt::Taken,
            Ok((code, answer)) => {
                let answer: String = String::from_utf8_lossy(&answer).chars().take(200).collect();
                let message = format!("{} answered {code}: {answer}", self.endpoint);
                if is_passing(code) {
                    Attempt::Later(message)
                } else {
                    Attempt::Refused(message)
                }
            }
            Err(error) => Attempt::Later(error.to_string()),
        }
    }
}

/// The answers after which the protocol has clients try again.
fn is_passing(code: StatusCode) -> bool {
    matches!(
        code,
        StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    )
}
