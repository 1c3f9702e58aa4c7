//! WATCH: a response body that turns events into JSON lines.
//!
//! No task of its own: the connection polls the body, which drains its subscription into
//! chunks, so a reader that is behind gets many events at once and a slow one is bounded
//! by the subscription.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use futures::FutureExt;
use http::StatusCode;
use rand::Rng;
use serde_json::{Value, json};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::WaitForCancellationFutureOwned;

use crate::api::Api;
use crate::body::{Body, CHUNK};
use crate::history::{Change, Event};
use crate::list::{self, Selection};
use crate::object::{Revision, Stored};
use crate::request::Request;
use crate::resource::Resource;
use crate::respond::{self, Representation, Response};
use crate::status::Status;
use crate::subscription::{Interest, Subscription};
use crate::types::table::IncludeObject;

/// Watches that name no timeout end after between this long and twice this long.
const MIN_TIMEOUT: Duration = Duration::from_secs(1800);
/// A year: whoever asks for longer means for ever, and clocks do not reach that far.
const MAX_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 3600);
const BOOKMARK_PERIOD: Duration = Duration::from_secs(60);
/// How long before the end the last bookmark comes.
const LAST_BOOKMARK: Duration = Duration::from_secs(2);
/// How many events are taken from the subscription at once.
const BATCH: usize = 256;

/// The options of a watch.
struct Options {
    version: Option<Revision>,
    bookmarks: bool,
    initial_events: Option<bool>,
    timeout: Duration,
}

/// WATCH.
pub(crate) async fn handle(api: &Api, request: &Request<'_>) -> Result<Response, Status> {
    let options = options(request)?;
    let selection = Selection::of(request)?;
    let representation = respond::negotiate(request.headers, request.query)?;
    let collection = request
        .resource
        .collection()
        .ok_or_else(Status::method_not_allowed)?;
    let interest = interest(request, &selection, collection.trigger());
    let from_now = options.initial_events.unwrap_or(options.version.is_none());
    let version = options.version.filter(|_| !from_now);
    let mut frames = Frames::new(
        Arc::clone(&request.resource),
        selection,
        request.scope(),
        representation,
    );
    let subscription = match version {
        Some(version) => match collection.watch_from(interest, version) {
            Ok(subscription) => subscription,
            Err(too_old) => return Ok(refusal(&Status::too_old_for_watch(version, too_old.oldest))),
        },
        None if options.initial_events == Some(false) => collection.watch_now(interest),
        None => {
            if let Some(version) = options.version {
                list::wait_for(api, version).await?;
            }
            let (items, revision, subscription) = collection.list_and_watch(interest, request.scope());
            items.iter().for_each(|item| frames.initial(item));
            if options.initial_events == Some(true) && options.bookmarks {
                frames.bookmark(revision, Bookmark::InitialEventsEnd);
            }
            subscription
        }
    };
    Ok(respond::json_body(
        StatusCode::OK,
        Body::watch(WatchBody::new(api, &options, subscription, frames)),
    ))
}

fn options(request: &Request<'_>) -> Result<Options, Status> {
    let query = request.query;
    let initial_events = query
        .get("sendInitialEvents")
        .map(|_| query.flag("sendInitialEvents"));
    match (initial_events, query.get("resourceVersionMatch").as_deref()) {
        (None, None) | (Some(_), Some("NotOlderThan")) => {}
        (Some(_), _) => {
            let why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
            return Err(Status::invalid_options("resourceVersionMatch", why));
        }
        (None, Some(_)) => {
            let why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
            return Err(Status::invalid_options("resourceVersionMatch", why));
        }
    }
    let version = match query.get("resourceVersion").as_deref() {
        None | Some("0") => None,
        Some(text) => Some(text.parse().map_err(|_| {
            Status::bad_request(format!("Invalid value: \"{text}\": not a resource version"))
        })?),
    };
    let seconds = query
        .get("timeoutSeconds")
        .and_then(|text| text.parse().ok())
        .filter(|seconds| *seconds > 0);
    let timeout = seconds.map_or_else(
        || MIN_TIMEOUT.mul_f64(rand::rng().random_range(1.0..2.0)),
        |seconds| Duration::from_secs(seconds).min(MAX_TIMEOUT),
    );
    Ok(Options {
        version,
        bookmarks: query.flag("allowWatchBookmarks"),
        initial_events,
        timeout,
    })
}

fn interest(request: &Request<'_>, selection: &Selection, trigger: Option<&str>) -> Interest {
    let required = |field: &str| selection.fields.required(field).filter(|value| !value.is_empty());
    if let Some(value) = trigger.and_then(required) {
        return Interest::Trigger(value.into());
    }
    let named = (!request.path.name.is_empty()).then_some(request.path.name.as_ref());
    match (named.or_else(|| required("metadata.name")), request.scope()) {
        (Some(name), _) => Interest::Name(name.into()),
        (None, Some(namespace)) => Interest::Namespace(namespace.into()),
        (None, None) => Interest::All,
    }
}

/// A watch that ends with its first frame, an error.
fn refusal(status: &Status) -> Response {
    let frame = json!({"type": "ERROR", "object": status.to_value()});
    respond::json_bytes(StatusCode::OK, format!("{frame}\n").into())
}

/// Which bookmark.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bookmark {
    Progress,
    InitialEventsEnd,
}

/// Writes events as frames.
#[derive(Debug)]
struct Frames {
    resource: Arc<Resource>,
    selection: Selection,
    namespace: Option<String>,
    representation: Representation,
    /// Tables name their columns once.
    columns_sent: bool,
    /// What is not sent yet.
    out: BytesMut,
}

impl Frames {
    fn new(
        resource: Arc<Resource>,
        selection: Selection,
        namespace: Option<&str>,
        representation: Representation,
    ) -> Self {
        let namespace = namespace.map(str::to_owned);
        Self {
            resource,
            selection,
            namespace,
            representation,
            columns_sent: false,
            out: BytesMut::new(),
        }
    }

    fn selects(&self, stored: &Stored) -> bool {
        self.namespace
            .as_deref()
            .is_none_or(|namespace| stored.key().namespace == namespace)
            && self.selection.matches(stored)
    }

    fn initial(&mut self, stored: &Stored) {
        if self.selects(stored) {
            self.write("ADDED", stored);
        }
    }

    /// Writes an event as this watcher sees it: entering the selection is an addition,
    /// leaving it a deletion of what was selected.
    fn event(&mut self, event: &Event) {
        let before = event
            .previous
            .as_deref()
            .is_some_and(|object| self.selects(object));
        let now = event.change != Change::Deleted && self.selects(&event.object);
        match (before, now) {
            (false, true) => self.write("ADDED", &event.object),
            (true, true) => self.write("MODIFIED", &event.object),
            (true, false) if event.change == Change::Deleted => self.write("DELETED", &event.object),
            (true, false) => {
                if let Some(previous) = &event.previous {
                    self.write("DELETED", &previous.at(event.revision()));
                }
            }
            (false, false) => {}
        }
    }

    fn write(&mut self, kind: &str, stored: &Stored) {
        match self.representation {
            Representation::Whole => {
                let body = self.resource.body(stored);
                self.frame(kind, &body);
            }
            Representation::Partial => {
                let body = respond::represent(&self.resource, stored, self.representation);
                self.frame(kind, &body);
            }
            Representation::Table(include) => {
                let table = self.table(stored, include);
                self.frame(kind, table.to_string().as_bytes());
            }
        }
    }

    fn table(&mut self, stored: &Stored, include: IncludeObject) -> Value {
        let value = self.resource.value(stored);
        let mut table = respond::render(&self.resource, &[&value], include);
        table["metadata"] = json!({"resourceVersion": stored.revision().to_string()});
        if std::mem::replace(&mut self.columns_sent, true) {
            table["columnDefinitions"] = Value::Null;
        }
        table
    }

    fn frame(&mut self, kind: &str, object: &[u8]) {
        self.out.reserve(kind.len() + object.len() + 24);
        self.out.put_slice(br#"{"type":""#);
        self.out.put_slice(kind.as_bytes());
        self.out.put_slice(br#"","object":"#);
        self.out.put_slice(object);
        self.out.put_slice(b"}\n");
    }

    fn bookmark(&mut self, revision: Revision, which: Bookmark) {
        let spec = &self.resource.spec;
        let mut metadata = json!({"resourceVersion": revision.to_string(), "creationTimestamp": null});
        if which == Bookmark::InitialEventsEnd {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let object = match self.representation {
            Representation::Whole => {
                json!({"kind": spec.kind.as_str(), "apiVersion": spec.api_version().as_str(), "metadata": metadata})
            }
            Representation::Partial => {
                json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata})
            }
            Representation::Table(_) => json!({
                "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {"resourceVersion": revision.to_string()},
                "columnDefinitions": null, "rows": [{"cells": [], "object": {
                    "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
                }}],
            }),
        };
        self.frame("BOOKMARK", object.to_string().as_bytes());
    }

    fn error(&mut self, status: &Status) {
        self.frame("ERROR", status.to_value().to_string().as_bytes());
    }

    fn take(&mut self) -> Option<Bytes> {
        (!self.out.is_empty()).then(|| self.out.split().freeze())
    }
}

/// The body of a watch.
#[derive(Debug)]
pub(crate) struct WatchBody {
    frames: Frames,
    subscription: Subscription,
    /// `None` if the client wants no bookmarks.
    bookmark: Option<Pin<Box<Sleep>>>,
    last_bookmark: Instant,
    deadline: Pin<Box<Sleep>>,
    draining: Pin<Box<WaitForCancellationFutureOwned>>,
    ended: bool,
}

impl WatchBody {
    fn new(api: &Api, options: &Options, subscription: Subscription, frames: Frames) -> Self {
        let deadline = Instant::now() + options.timeout;
        let last_bookmark = deadline.checked_sub(LAST_BOOKMARK).unwrap_or(deadline);
        let first = (Instant::now() + BOOKMARK_PERIOD).min(last_bookmark);
        Self {
            frames,
            subscription,
            bookmark: options
                .bookmarks
                .then(|| Box::pin(tokio::time::sleep_until(first))),
            last_bookmark,
            deadline: Box::pin(tokio::time::sleep_until(deadline)),
            draining: Box::pin(api.draining.clone().cancelled_owned()),
            ended: false,
        }
    }

    /// The next chunk; `None` at the end of the watch.
    pub(crate) fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        self.gather(cx);
        self.poll_bookmark(cx);
        if let Some(chunk) = self.frames.take() {
            return Poll::Ready(Some(chunk));
        }
        let over =
            self.ended || self.deadline.poll_unpin(cx).is_ready() || self.draining.poll_unpin(cx).is_ready();
        if over { Poll::Ready(None) } else { Poll::Pending }
    }

    /// Turns waiting events into frames until there are no more or the chunk is large.
    fn gather(&mut self, cx: &mut Context<'_>) {
        while !self.ended && self.frames.out.len() < CHUNK {
            match self.subscription.poll_next(cx, BATCH) {
                Poll::Ready(Ok(events)) => events.iter().for_each(|event| self.frames.event(event)),
                Poll::Ready(Err(lagged)) => {
                    self.frames.error(&Status::expired(lagged.to_string()));
                    self.ended = true;
                }
                Poll::Pending => return,
            }
        }
    }

    fn poll_bookmark(&mut self, cx: &mut Context<'_>) {
        let Some(timer) = &mut self.bookmark else { return };
        while timer.poll_unpin(cx).is_ready() {
            if let Some(revision) = self.subscription.caught_up_at() {
                self.frames.bookmark(revision, Bookmark::Progress);
            }
            let now = Instant::now();
            if now >= self.last_bookmark {
                self.bookmark = None;
                return;
            }
            timer
                .as_mut()
                .reset((now + BOOKMARK_PERIOD).min(self.last_bookmark));
        }
    }
}
