//! Spans while they last.
//!
//! Names and attributes are OpenTelemetry's where it has some: `http.*`, `url.*`,
//! `server.*`, `error.type` and `k8s.namespace.name`. What it has no word for is
//! `windlass.*`. Durations are in seconds.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use smol_str::SmolStr;

use super::outbox::Outbox;
use crate::status::SyncResult;

/// Bytes kept of one text: guests choose some of them.
const MAX_TEXT: usize = 1024;

/// What names a span to those below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanContext {
    pub(super) trace: u128,
    pub(super) span: u64,
}

impl SpanContext {
    /// As a header of W3C's Trace Context carries it.
    #[must_use]
    pub fn traceparent(&self) -> String {
        // Version 0, and the flag that says that the span is recorded.
        format!("00-{:032x}-{:016x}-01", self.trace, self.span)
    }
}

/// An ended span, ready to be written.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) context: SpanContext,
    /// 0 for none.
    pub(super) parent: u64,
    pub(super) name: String,
    pub(super) kind: Kind,
    /// Nanoseconds since the epoch.
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) attributes: Vec<(&'static str, Value)>,
    pub(super) outcome: Outcome,
}

/// Whether an operator would call a span an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Fine,
    /// With more to say of it than the attributes do, if there is.
    Error(Option<SmolStr>),
}

/// OTLP's numbers for the kinds of span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Internal = 1,
    Client = 3,
}

#[derive(Clone, Debug)]
pub(super) enum Value {
    Text(SmolStr),
    Number(u64),
    Seconds(f64),
}

impl Value {
    pub(super) fn text(text: &str) -> Self {
        Self::Text(shorten(text))
    }

    pub(super) fn seconds(duration: Duration) -> Self {
        Self::Seconds(duration.as_secs_f64())
    }
}

/// A span that is going on, and where it goes when it ends.
#[derive(Debug)]
pub(super) struct Open {
    outbox: Arc<Outbox>,
    pub(super) record: Record,
    since: Instant,
}

impl Open {
    pub(super) fn new(
        outbox: &Arc<Outbox>,
        context: SpanContext,
        parent: u64,
        name: String,
        kind: Kind,
    ) -> Box<Self> {
        let record = Record {
            context,
            parent,
            name,
            kind,
            start: nanos(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()),
            end: 0,
            attributes: Vec::new(),
            outcome: Outcome::Fine,
        };
        Box::new(Self {
            outbox: Arc::clone(outbox),
            record,
            since: Instant::now(),
        })
    }

    pub(super) fn set(&mut self, key: &'static str, value: Value) {
        self.record.attributes.push((key, value));
    }

    fn fail(mut self, cause: &str, message: Option<&str>) {
        self.set("error.type", Value::text(cause));
        self.record.outcome = Outcome::Error(message.map(shorten));
        self.finish();
    }

    fn finish(mut self) {
        // By the monotonic clock: a span never ends before it began.
        self.record.end = self.record.start.saturating_add(nanos(self.since.elapsed()));
        let Self { outbox, record, .. } = self;
        outbox.push(record);
    }
}

/// The span of a sync that is going on; nothing if the sync is not traced.
#[derive(Debug, Default)]
pub struct SyncSpan(Option<Box<Open>>);

impl SyncSpan {
    pub(super) fn new(open: Box<Open>) -> Self {
        Self(Some(open))
    }

    /// What the spans of its API calls hang under.
    #[must_use]
    pub fn context(&self) -> Option<SpanContext> {
        self.0.as_ref().map(|open| open.record.context)
    }

    /// The guest ended the sync, with an error or without.
    pub fn end(mut self, result: SyncResult, error: Option<&str>) {
        let Some(mut open) = self.0.take() else { return };
        let name = result_name(result);
        open.set("windlass.sync.result", Value::Text(SmolStr::new_static(name)));
        if result.is_error() {
            open.fail(name, error);
        } else {
            open.finish();
        }
    }

    /// The instance ended in the middle of it. `cause` is a constant.
    pub fn fail(mut self, cause: &str, message: &str) {
        let Some(mut open) = self.0.take() else { return };
        let name = result_name(SyncResult::Failed);
        open.set("windlass.sync.result", Value::Text(SmolStr::new_static(name)));
        open.fail(cause, Some(message));
    }
}

impl Drop for SyncSpan {
    /// Nobody waited for its end.
    fn drop(&mut self) {
        if let Some(open) = self.0.take() {
            open.fail("abandoned", Some("the sync did not end"));
        }
    }
}

/// As attributes name results: in words that stay.
fn result_name(result: SyncResult) -> &'static str {
    match result {
        SyncResult::Success => "success",
        SyncResult::RequeueAfter => "requeue_after",
        SyncResult::Retry => "retry",
        SyncResult::Terminal => "terminal",
        SyncResult::Failed => "failed",
    }
}

/// The span of an API call that is going on. It may end after its sync.
#[derive(Debug)]
pub struct ApiSpan {
    open: Option<Box<Open>>,
    server: SmolStr,
    /// The route, for a name that objects have no part in.
    template: String,
}

impl ApiSpan {
    pub(super) fn new(open: Box<Open>, server: SmolStr, template: String) -> Self {
        Self {
            open: Some(open),
            server,
            template,
        }
    }

    /// What the API server is told, so that its own spans hang under this one.
    #[must_use]
    pub fn traceparent(&self) -> Option<String> {
        self.open.as_ref().map(|open| open.record.context.traceparent())
    }

    /// It is sent now, after the module's limits held it back for so long.
    pub fn sent(&mut self, path_and_query: &str, throttled: Duration) {
        let Some(open) = &mut self.open else { return };
        // Only now: what is refused before may name whatever a guest came up with.
        open.record.name.push(' ');
        open.record.name.push_str(&self.template);
        open.set("url.template", Value::text(&self.template));
        let url = format!("{}{path_and_query}", self.server);
        open.set("url.full", Value::text(&url));
        open.set("windlass.api.throttled", Value::seconds(throttled));
    }

    /// The API server answered with this HTTP status, and this `reason` of a `Status`.
    /// Its message is left out: it may quote what an object holds.
    pub fn answered(mut self, code: u16, reason: &str) {
        let Some(mut open) = self.open.take() else { return };
        open.set("http.response.status_code", Value::Number(code.into()));
        if !reason.is_empty() {
            open.set("windlass.api.reason", Value::text(reason));
        }
        if code >= 400 {
            open.fail(&code.to_string(), None);
        } else {
            open.finish();
        }
    }

    /// There was no answer. `cause` is a constant.
    pub fn failed(mut self, cause: &str, message: &str) {
        if let Some(open) = self.open.take() {
            open.fail(cause, Some(message));
        }
    }
}

impl Drop for ApiSpan {
    /// Nobody waited for its answer.
    fn drop(&mut self) {
        if let Some(open) = self.open.take() {
            open.fail("abandoned", Some("the call was given up"));
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The beginning of a text that may be of any length.
fn shorten(text: &str) -> SmolStr {
    let end = text.floor_char_boundary(MAX_TEXT);
    SmolStr::new(text.get(..end).unwrap_or(text))
}
