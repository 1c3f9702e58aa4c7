//! From ended spans to a collector, in batches, and metrics beside them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::delivery::{Attempt, Delivery, Trouble};
use super::outbox::{Loss, Outbox};
use super::span::Record;
use super::tracer::{Sampler, Tracer};
use super::{OtlpConfig, OtlpError, encode, metrics};
use crate::status::{ExporterStatus, StatusSource};

/// Spans that wait to be sent.
const QUEUE: usize = 4096;
/// Spans in one request.
const BATCH: usize = 512;
/// Attempts to send one batch.
const ATTEMPTS: u32 = 4;
/// Wait after the first failed attempt; doubled with each.
const BACK_OFF: Duration = Duration::from_secs(1);

/// The tasks that send. Dropping it loses what waits; [`Exporter::shut_down`] sends it.
#[derive(Debug)]
pub struct Exporter {
    config: Arc<OtlpConfig>,
    outbox: Arc<Outbox>,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Exporter {
    /// Starts sending spans to a collector, which need not be there yet. Must be called
    /// within a Tokio runtime.
    ///
    /// # Errors
    /// When the configuration names nothing that can be asked.
    pub fn start(config: OtlpConfig) -> Result<Self, OtlpError> {
        let delivery = Delivery::of(&config, "traces")?;
        let sampler = Sampler::new(config.sample_ratio);
        let (outbox, spans) = Outbox::new(QUEUE, delivery.endpoint(), sampler);
        let (config, outbox) = (Arc::new(config), Arc::new(outbox));
        let stop = CancellationToken::new();
        let sender = Sender {
            config: Arc::clone(&config),
            trouble: Trouble::of("traces", &delivery),
            delivery,
            outbox: Arc::clone(&outbox),
            without_room: 0,
            spans,
            stop: stop.clone(),
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(sender.run());
        Ok(Self {
            config,
            outbox,
            stop,
            tasks,
        })
    }

    /// What makes the spans that it sends.
    #[must_use]
    pub fn tracer(&self) -> Tracer {
        Tracer::to(&self.outbox)
    }

    /// Sends metrics from now on, too, if the configuration asks for it.
    ///
    /// # Errors
    /// As [`Exporter::start`].
    pub fn send_metrics(&mut self, source: Arc<dyn StatusSource>) -> Result<(), OtlpError> {
        if let Some(interval) = self.config.metrics_interval {
            let sender = metrics::Sender::new(&self.config, source, interval, self.stop.clone())?;
            self.tasks.spawn(sender.run());
        }
        Ok(())
    }

    /// How the sending of spans goes.
    #[must_use]
    pub fn status(&self) -> ExporterStatus {
        self.outbox.status()
    }

    /// Sends what waits, and the metrics as they are at the end, for at most `grace`.
    /// Spans that end later are lost.
    pub async fn shut_down(mut self, grace: Duration) {
        self.stop.cancel();
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(grace, ended).await.is_err() {
            tracing::warn!("the collector did not take the last telemetry in time, it is lost");
        }
    }
}

/// Sends spans.
struct Sender {
    config: Arc<OtlpConfig>,
    delivery: Delivery,
    outbox: Arc<Outbox>,
    trouble: Trouble,
    /// Spans that had found no room when that was last looked at.
    without_room: u64,
    spans: mpsc::Receiver<Record>,
    stop: CancellationToken,
}

impl Sender {
    async fn run(mut self) {
        while let Some(batch) = self.batch().await {
            let body = Bytes::from(encode::spans(&self.config, &batch));
            self.deliver(body, batch.len() as u64).await;
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

    async fn deliver(&mut self, body: Bytes, spans: u64) {
        for attempt in 1..=ATTEMPTS {
            let message = match self.delivery.attempt(body.clone()).await {
                Attempt::Taken { rejected, message } => return self.taken(spans, rejected, &message),
                Attempt::Refused(message) => return self.give_up(spans, Loss::Refused, &message),
                Attempt::Later(message) => message,
            };
            // A process that stops does not wait for a collector to come back.
            if attempt == ATTEMPTS || self.stop.is_cancelled() {
                return self.give_up(spans, Loss::Unreachable, &message);
            }
            self.outbox.failed(&message);
            tokio::select! {
                () = tokio::time::sleep(BACK_OFF * 2_u32.pow(attempt - 1)) => {}
                () = self.stop.cancelled() => {}
            }
        }
    }

    fn taken(&mut self, spans: u64, rejected: u64, message: &str) {
        self.outbox.taken(spans.saturating_sub(rejected));
        let without_room = self.outbox.queue_full();
        if rejected > 0 {
            self.give_up(rejected, Loss::Refused, &format!("it left some out: {message}"));
        } else if without_room > self.without_room {
            self.trouble.begins("it takes spans slower than they are made");
        } else {
            self.trouble.ends(self.outbox.all_lost());
        }
        self.without_room = without_room;
    }

    fn give_up(&mut self, spans: u64, loss: Loss, error: &str) {
        self.outbox.lost(spans, loss);
        self.outbox.failed(error);
        self.trouble.begins(error);
    }
}
