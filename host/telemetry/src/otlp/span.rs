//! Spans while they last.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::export::Outbox;
use crate::status::SyncResult;

/// Bytes kept of one error message.
const MAX_MESSAGE: usize = 1024;

/// How an API call ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpanEnd<'a> {
    /// HTTP status; 0 without an answer.
    pub code: u16,
    /// What went wrong.
    pub error: Option<&'a str>,
}

/// An ended span, ready to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) trace: u128,
    pub(super) span: u64,
    /// 0 for none.
    pub(super) parent: u64,
    pub(super) name: String,
    pub(super) kind: Kind,
    /// Nanoseconds since the epoch.
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) attributes: Vec<(&'static str, Value)>,
    pub(super) error: Option<String>,
}

/// OTLP's numbers for the kinds of span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Internal = 1,
    Client = 3,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Number(u64),
}

/// The span of a sync that is going on.
#[derive(Debug)]
pub struct SyncSpan(Option<Open>);

/// The span of an API call that is going on. It may end after its sync.
#[derive(Debug)]
pub struct ApiSpan(Option<Open>);

/// A span that is going on and where it goes when it ends.
#[derive(Debug)]
struct Open {
    outbox: Arc<Outbox>,
    record: Record,
    since: std::time::Instant,
}

impl SyncSpan {
    pub(super) fn begin(outbox: Option<Arc<Outbox>>, module: &str, key: &str, sync_id: u64) -> Self {
        Self(outbox.map(|outbox| {
            let mut open = Open::new(outbox, non_zero(), 0, format!("sync {module}"), Kind::Internal);
            open.record.attributes = vec![
                ("windlass.module", Value::Text(module.to_owned())),
                ("windlass.sync.id", Value::Number(sync_id)),
                ("k8s.object.key", Value::Text(key.to_owned())),
            ];
            open
        }))
    }

    /// The trace's identifier as 32 hexadecimal digits, for log lines; `None` if nothing
    /// is recorded.
    #[must_use]
    pub fn trace_id(&self) -> Option<String> {
        self.0.as_ref().map(|open| format!("{:032x}", open.record.trace))
    }

    /// Begins the span of an API call of this sync. `verb` is as RBAC knows it, and
    /// `resource` such as `deployments.apps` or `pods/binding`.
    #[must_use]
    pub fn api_span(&self, verb: &'static str, resource: &str, key: &str) -> ApiSpan {
        ApiSpan(self.0.as_ref().map(|sync| {
            let name = format!("{verb} {resource}");
            let (trace, parent) = (sync.record.trace, sync.record.span);
            let mut open = Open::new(Arc::clone(&sync.outbox), trace, parent, name, Kind::Client);
            open.record.attributes = vec![
                ("k8s.verb", Value::Text(verb.to_owned())),
                ("k8s.resource", Value::Text(resource.to_owned())),
                ("k8s.object.key", Value::Text(key.to_owned())),
            ];
            open
        }))
    }

    /// Ends it. Dropping it instead says that the sync never ended by itself.
    pub fn end(mut self, result: SyncResult, error: Option<&str>) {
        if let Some(mut open) = self.0.take() {
            open.record
                .attributes
                .push(("windlass.sync.result", Value::Text(result.name().to_owned())));
            open.finish(error.or(result.is_error().then_some(result.name())));
        }
    }
}

impl Drop for SyncSpan {
    fn drop(&mut self) {
        if let Some(open) = self.0.take() {
            open.finish(Some("the sync did not end"));
        }
    }
}

impl ApiSpan {
    /// Ends it. Dropping it instead says that there was no answer.
    pub fn end(mut self, end: SpanEnd<'_>) {
        if let Some(mut open) = self.0.take() {
            if end.code != 0 {
                open.record
                    .attributes
                    .push(("http.response.status_code", Value::Number(end.code.into())));
            }
            open.finish(end.error);
        }
    }
}

impl Drop for ApiSpan {
    fn drop(&mut self) {
        if let Some(open) = self.0.take() {
            open.finish(Some("the call was given up"));
        }
    }
}

impl Open {
    fn new(outbox: Arc<Outbox>, trace: u128, parent: u64, name: String, kind: Kind) -> Self {
        let record = Record {
            trace,
            span: non_zero(),
            parent,
            name,
            kind,
            start: nanos(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()),
            end: 0,
            attributes: Vec::new(),
            error: None,
        };
        Self {
            outbox,
            record,
            since: std::time::Instant::now(),
        }
    }

    fn finish(mut self, error: Option<&str>) {
        // By the monotonic clock: a span never ends before it began.
        self.record.end = self.record.start.saturating_add(nanos(self.since.elapsed()));
        self.record.error = error.map(|error| error.chars().take(MAX_MESSAGE).collect());
        self.outbox.push(self.record);
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A random identifier; all zeros would be none.
fn non_zero<T: Default + PartialEq>() -> T
where
    rand::distr::StandardUniform: rand::distr::Distribution<T>,
{
    loop {
        let identifier = rand::random();
        if identifier != T::default() {
            return identifier;
        }
    }
}
