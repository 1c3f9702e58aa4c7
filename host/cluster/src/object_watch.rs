//! Follows one object of a collection, and nothing else of it.
//!
//! Lists and watches with `metadata.name` as the field selector, so that `list` and `watch`
//! on that one name are all the rights it takes and that one object all it holds. Promises:
//! each content that the API server has for long enough is published, whatever happens to
//! connections and versions in between; what was seen last stays while the server cannot
//! be asked. Deliberately not here: sharing, and what the object means.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use tokio::sync::watch;
use tokio::time::Instant;
use windlass_core::api_error::ApiError;
use windlass_core::key::{ObjectKey, Resource};

use crate::client::{ApiClient, ByteStream};
use crate::frame::{Frame, FrameError, Lines, Page, object_version};
use crate::steps::{Step, Steps, WatchEnd};
use crate::url::{self, Name, push_query};

const JSON: &str = "application/json";
/// How long a watch may be silent. API servers send bookmarks about once a minute.
const IDLE_LIMIT: Duration = Duration::from_secs(150);

/// What is known of the object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observed {
    /// The API server has not answered yet.
    Unknown,
    /// It could not be asked, never so far. Why.
    Unreachable(String),
    /// There is no such object.
    Absent,
    /// The object, in JSON.
    Present(Bytes),
}

/// See the module's documentation.
pub struct ObjectWatch {
    client: ApiClient,
    collection: String,
    key: ObjectKey,
    steps: Steps,
    observed: watch::Sender<Observed>,
}

impl ObjectWatch {
    /// Follows this object once [`ObjectWatch::run`] is polled.
    ///
    /// # Errors
    /// When the names cannot be those of an object.
    pub fn new(client: ApiClient, resource: &Resource, key: ObjectKey) -> Result<Self, ApiError> {
        // For the check of the name alone, which the collection's path does without.
        url::path(resource, &key, "", Name::Required)?;
        let mut collection = url::path(resource, &key, "", Name::Forbidden)?;
        push_query(
            &mut collection,
            "fieldSelector",
            &format!("metadata.name={}", key.name),
        );
        let (observed, _) = watch::channel(Observed::Unknown);
        Ok(Self {
            client,
            collection,
            key,
            steps: Steps::default(),
            observed,
        })
    }

    /// Where it is published.
    #[must_use]
    pub fn observed(&self) -> watch::Receiver<Observed> {
        self.observed.subscribe()
    }

    /// Runs until dropped.
    pub async fn run(mut self) {
        loop {
            match self.steps.next() {
                Step::Pause(pause) => tokio::time::sleep(pause).await,
                Step::List {
                    continue_token,
                    limit,
                } => self.list(&continue_token, limit).await,
                Step::Watch { revision, timeout } => {
                    let end = self.watch(revision, timeout).await;
                    if let WatchEnd::Failed(error) = &end {
                        tracing::debug!(object = %self.key, error = %error.message, "watch of one object ended");
                    }
                    self.steps.watch_ended(&end, Instant::now());
                }
            }
        }
    }

    async fn list(&mut self, continue_token: &str, limit: Option<u32>) {
        let mut path = self.collection.clone();
        if let Some(limit) = limit {
            push_query(&mut path, "limit", &limit.to_string());
        }
        push_query(&mut path, "continue", continue_token);
        let page = match self.client.get(&path, JSON).await {
            Ok(page) => page,
            Err(error) => {
                self.failed(&error.message);
                return self.steps.list_failed(&error, Instant::now());
            }
        };
        match Page::parse(&page) {
            Ok(page) => {
                self.publish(match page.items.first() {
                    Some(object) => Observed::Present(Bytes::copy_from_slice(object)),
                    None => Observed::Absent,
                });
                self.steps.page_read(&page.continue_token, page.resource_version);
            }
            Err(error) => {
                self.failed(&error.to_string());
                self.steps.page_unreadable(Instant::now());
            }
        }
    }

    async fn watch(&mut self, revision: u64, timeout: Duration) -> WatchEnd {
        let mut path = self.collection.clone();
        push_query(&mut path, "watch", "true");
        push_query(&mut path, "allowWatchBookmarks", "true");
        push_query(&mut path, "resourceVersion", &revision.to_string());
        push_query(&mut path, "timeoutSeconds", &timeout.as_secs().to_string());
        match self.client.stream(&path, JSON).await {
            Ok(stream) => self.follow(stream).await,
            Err(error) => WatchEnd::Failed(error),
        }
    }

    async fn follow(&mut self, mut stream: ByteStream) -> WatchEnd {
        let (started, mut heard, mut lines) = (Instant::now(), false, Lines::default());
        loop {
            let chunk = match tokio::time::timeout(IDLE_LIMIT, stream.next()).await {
                Err(_) => return WatchEnd::Silent,
                Ok(Some(Err(error))) => return WatchEnd::Failed(error),
                Ok(None) => {
                    return WatchEnd::Closed {
                        heard,
                        lasted: started.elapsed(),
                    };
                }
                Ok(Some(Ok(chunk))) => chunk,
            };
            heard = true;
            if lines.push(&chunk).is_err() {
                return WatchEnd::Unreadable;
            }
            while let Some(line) = lines.next() {
                match self.frame(&line) {
                    Ok(None) => {}
                    Ok(Some(error)) => return WatchEnd::Failed(error),
                    Err(_) => return WatchEnd::Unreadable,
                }
            }
        }
    }

    /// Applies one frame; an error is the server's last word.
    fn frame(&mut self, line: &[u8]) -> Result<Option<ApiError>, FrameError> {
        match Frame::parse(line)? {
            Frame::Error(error) => return Ok(Some(error)),
            Frame::Bookmark(revision) => self.steps.advanced(revision),
            Frame::Stored(object) => {
                self.steps.advanced(object_version(object)?);
                self.publish(Observed::Present(Bytes::copy_from_slice(object)));
            }
            Frame::Deleted(object) => {
                self.steps.advanced(object_version(object)?);
                self.publish(Observed::Absent);
            }
        }
        Ok(None)
    }

    fn publish(&self, now: Observed) {
        self.observed.send_if_modified(|observed| {
            let changed = *observed != now;
            *observed = now;
            changed
        });
    }

    fn failed(&self, error: &str) {
        tracing::warn!(object = %self.key, error, "cannot look at an object, will try again");
        if matches!(
            *self.observed.borrow(),
            Observed::Unknown | Observed::Unreachable(_)
        ) {
            self.publish(Observed::Unreachable(error.to_owned()));
        }
    }
}
