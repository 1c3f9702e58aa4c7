//! Sends Kubernetes events in the background.
//!
//! Promises: recording never blocks and never fails its caller; what cannot be kept is
//! dropped and counted; what is queued at shutdown is tried once more. Events about one
//! object are sent in order; different objects share a few workers by hash.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http::header::CONTENT_TYPE;
use jiff::Timestamp;
use serde_json::{Value, json};
use smol_str::SmolStr;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};
use windlass_core::api_error::{ApiError, ApiErrorKind};
use windlass_core::key::{ObjectKey, Resource};
use windlass_core::seams::{Event, EventSink, EventType, ObjectReference, PatchType};

use crate::call_budget::Seat;
use crate::client::ApiClient;
use crate::correlator::{Correlator, MemoryKey, Verdict};
use crate::url::{self, Name};

/// Events waiting, over all workers.
const QUEUE: usize = 1000;
const WORKERS: usize = 4;
/// client-go's figures: tries and the pause between them.
const TRIES: u32 = 12;
const PAUSE: Duration = Duration::from_secs(10);
const SERIES_PERIOD: Duration = Duration::from_secs(60);
/// Longest message of an event, in bytes.
const MAX_MESSAGE: usize = 1024;
/// Longest name of an object, in bytes.
const MAX_NAME: usize = 253;

/// The workers that send events.
pub struct EventRecorder {
    queues: Arc<Queues>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// Makes a recorder's sinks. Cheap to clone; events that come after the recorder has shut
/// down are dropped.
#[derive(Clone)]
pub struct EventSinks(Arc<Queues>);

impl EventSinks {
    /// Where a controller records its events.
    #[must_use]
    pub fn of(&self, controller: &str) -> Arc<dyn EventSink> {
        Arc::new(Source {
            name: controller.into(),
            queues: Arc::clone(&self.0),
        })
    }
}

struct Queues {
    senders: Vec<mpsc::Sender<Recorded>>,
    dropped: AtomicU64,
}

struct Recorded {
    source: SmolStr,
    event: Event,
}

/// The events of one controller.
struct Source {
    name: SmolStr,
    queues: Arc<Queues>,
}

impl EventRecorder {
    /// Starts the workers. `instance` names this process in `events.k8s.io/v1`, usually
    /// the host's name; `seat` is the place of all events in the budget of calls.
    #[must_use]
    pub fn start(client: &ApiClient, instance: &str, seat: Seat) -> Self {
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let start_worker = |_| {
            let (sender, receiver) = mpsc::channel(QUEUE / WORKERS);
            let worker = Worker {
                client: client.clone(),
                seat: seat.clone(),
                instance: instance.to_owned(),
                correlator: Correlator::default(),
                stop: stop.clone(),
            };
            tasks.spawn(worker.run(receiver));
            sender
        };
        let senders = (0..WORKERS).map(start_worker).collect();
        tasks.close();
        Self {
            queues: Arc::new(Queues {
                senders,
                dropped: AtomicU64::new(0),
            }),
            tasks,
            stop,
        }
    }

    /// Where a controller records its events.
    #[must_use]
    pub fn sink(&self, controller: &str) -> Arc<dyn EventSink> {
        self.sinks().of(controller)
    }

    /// Makes sinks for controllers that come later.
    #[must_use]
    pub fn sinks(&self) -> EventSinks {
        EventSinks(Arc::clone(&self.queues))
    }

    /// How many events were dropped because too many were waiting.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.queues.dropped.load(Ordering::Relaxed)
    }

    /// Sends what is queued, each once and together for at most `grace`, and ends the
    /// workers. What is recorded afterwards is dropped.
    pub async fn shut_down(&self, grace: Duration) {
        self.stop.cancel();
        if tokio::time::timeout(grace, self.tasks.wait()).await.is_err() {
            warn!(?grace, "events were still queued at shutdown");
        }
    }
}

impl EventSink for Source {
    fn record(&self, mut event: Event) {
        let mut end = event.message.len().min(MAX_MESSAGE);
        while !event.message.is_char_boundary(end) {
            end -= 1;
        }
        event.message.truncate(end);
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(&event.regarding.uid);
        let position = usize::try_from(hash % WORKERS as u64).unwrap_or(0);
        let recorded = Recorded {
            source: self.name.clone(),
            event,
        };
        let sent = self
            .queues
            .senders
            .get(position)
            .is_some_and(|sender| sender.try_send(recorded).is_ok());
        if !sent {
            self.queues.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

struct Worker {
    client: ApiClient,
    seat: Seat,
    instance: String,
    correlator: Correlator,
    stop: CancellationToken,
}

impl Worker {
    async fn run(mut self, mut receiver: mpsc::Receiver<Recorded>) {
        let mut series = tokio::time::interval(SERIES_PERIOD);
        series.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let stop = self.stop.clone();
        loop {
            tokio::select! {
                recorded = receiver.recv() => match recorded {
                    Some(recorded) => self.record(&recorded).await,
                    None => return,
                },
                _ = series.tick() => self.finish_series().await,
                // What is in the queue is still received, and then nothing more.
                () = stop.cancelled(), if !receiver.is_closed() => receiver.close(),
            }
        }
    }

    async fn record(&mut self, recorded: &Recorded) {
        let Recorded { source, event } = recorded;
        match self.correlator.correlate(source, event, Instant::now()) {
            Verdict::Drop => {}
            Verdict::Create { message, memory } => self.create(recorded, &message, memory).await,
            Verdict::Patch {
                name,
                count,
                message,
                memory,
            } => {
                let patch = patch(event, count, &message);
                match self
                    .send(&event.regarding, is_series(event), Some(&name), &patch)
                    .await
                {
                    Ok(_) => {}
                    Err(error) if error.kind == ApiErrorKind::NotFound => {
                        self.correlator.vanished(&memory);
                        self.create(recorded, &message, memory).await;
                    }
                    Err(error) => log_loss(event, &error),
                }
            }
        }
    }

    async fn create(&mut self, recorded: &Recorded, message: &str, memory: MemoryKey) {
        let Recorded { source, event } = recorded;
        let name = event_name(&event.regarding.name);
        let body = object(event, source, &self.instance, &name, message);
        match self.send(&event.regarding, is_series(event), None, &body).await {
            Ok(_) => self.correlator.created(memory, name, Instant::now()),
            Err(error) => log_loss(event, &error),
        }
    }

    async fn finish_series(&mut self) {
        for (regarding, name, count) in self.correlator.finish_series(Instant::now()) {
            let patch = json!({ "series": { "count": count, "lastObservedTime": micro_time() } });
            if let Err(error) = self.send(&regarding, true, Some(&name), &patch).await {
                debug!(event = name, error = %error.message, "event series not completed");
            }
        }
    }

    /// Tries again as long as the trouble is the server's and the host goes on.
    async fn send(
        &self,
        regarding: &ObjectReference,
        series: bool,
        name: Option<&str>,
        body: &Value,
    ) -> Result<Bytes, ApiError> {
        let body = Bytes::from(body.to_string());
        let mut tries = 1;
        loop {
            self.seat.take().await;
            let error = match self
                .client
                .request(request(regarding, series, name, body.clone())?)
                .await
            {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if tries == TRIES || !is_trouble(error.kind) || self.stop.is_cancelled() {
                return Err(error);
            }
            tries += 1;
            let _ = tokio::time::timeout(PAUSE, self.stop.cancelled()).await;
        }
    }
}

fn is_trouble(kind: ApiErrorKind) -> bool {
    matches!(
        kind,
        ApiErrorKind::Unavailable | ApiErrorKind::Timeout | ApiErrorKind::TooManyRequests
    )
}

fn is_series(event: &Event) -> bool {
    !event.action.is_empty()
}

fn log_loss(event: &Event, error: &ApiError) {
    warn!(reason = event.reason, regarding = event.regarding.name, error = %error.message, "event not recorded");
}

/// Events about cluster-scoped objects live in `default`.
fn namespace(regarding: &ObjectReference) -> &str {
    if regarding.namespace.is_empty() {
        "default"
    } else {
        &regarding.namespace
    }
}

fn request(
    regarding: &ObjectReference,
    series: bool,
    name: Option<&str>,
    body: Bytes,
) -> Result<http::Request<Bytes>, ApiError> {
    let resource = Resource::new(if series { "events.k8s.io" } else { "" }, "v1", "events");
    let key = ObjectKey::new(namespace(regarding), name.unwrap_or_default());
    let (method, has_name, content_type) = match name {
        Some(_) => (
            Method::PATCH,
            Name::Required,
            PatchType::StrategicMerge.content_type(),
        ),
        None => (Method::POST, Name::Forbidden, "application/json"),
    };
    http::Request::builder()
        .method(method)
        .uri(url::path(&resource, &key, "", has_name)?)
        .header(CONTENT_TYPE, content_type)
        .body(body)
        .map_err(|error| ApiError::local(ApiErrorKind::BadRequest, error.to_string()))
}

/// `<object's name>.<nanoseconds in hexadecimal>`, as client-go names events.
fn event_name(object: &str) -> String {
    let suffix = format!(".{:x}", Timestamp::now().as_nanosecond());
    let mut end = object.len().min(MAX_NAME - suffix.len());
    while !object.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{suffix}", object.get(..end).unwrap_or_default())
}

fn time() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn micro_time() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

fn object(event: &Event, source: &str, instance: &str, name: &str, message: &str) -> Value {
    let metadata = json!({ "name": name, "namespace": namespace(&event.regarding) });
    let event_type = match event.event_type {
        EventType::Normal => "Normal",
        EventType::Warning => "Warning",
    };
    let regarding = reference(&event.regarding);
    if is_series(event) {
        return json!({
            "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": metadata,
            "eventTime": micro_time(), "reportingController": source,
            "reportingInstance": format!("{source}-{instance}"), "action": event.action,
            "reason": event.reason, "regarding": regarding, "note": message, "type": event_type,
        });
    }
    let now = time();
    json!({
        "apiVersion": "v1", "kind": "Event", "metadata": metadata,
        "involvedObject": regarding, "reason": event.reason, "message": message,
        "source": { "component": source }, "firstTimestamp": now, "lastTimestamp": now, "count": 1,
        "type": event_type, "reportingComponent": source, "reportingInstance": "",
    })
}

fn reference(regarding: &ObjectReference) -> Value {
    let fields = [
        ("apiVersion", &regarding.api_version),
        ("kind", &regarding.kind),
        ("namespace", &regarding.namespace),
        ("name", &regarding.name),
        ("uid", &regarding.uid),
        ("resourceVersion", &regarding.resource_version),
    ];
    fields
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (name.to_owned(), json!(value)))
        .collect()
}

fn patch(event: &Event, count: u32, message: &str) -> Value {
    if is_series(event) {
        json!({ "series": { "count": count, "lastObservedTime": micro_time() } })
    } else {
        json!({ "count": count, "lastTimestamp": time(), "message": message })
    }
}
