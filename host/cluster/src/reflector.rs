//! Keeps one informer's cache equal to what the API server has, by list and watch.
//!
//! Does the I/O that `Steps` decides on. Promises: pages are taken apart as they come, so
//! that a list costs one page of memory and the difference it makes; no silence lasts
//! longer than the idle limit; every failure is logged, counted and retried with back-off.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use tokio::time::{Instant, Interval, MissedTickBehavior};
use tracing::{debug, info, warn};
use windlass_core::api_error::{ApiError, ApiErrorKind};

use crate::client::{ApiClient, ByteStream};
use crate::discovery::DiscoveryCache;
use crate::frame::{Frame, FrameError, Lines, Page};
use crate::informer::{Filling, Informer};
use crate::prune::{PruneError, Pruner};
use crate::steps::{Listing, Step, Steps, WatchEnd};
use crate::store::SameVersion;
use crate::url::push_query;

/// Lists slower than this are logged with their steps, as client-go does.
const SLOW_LIST: Duration = Duration::from_millis(500);
/// Between two looks for a resource that the server does not serve.
const UNSERVED_PERIOD: Duration = Duration::from_secs(5);
const METADATA_LIST: &str =
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";
const METADATA_WATCH: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";
const JSON: &str = "application/json";

/// How reflectors behave.
#[derive(Clone, Debug)]
pub struct ReflectorConfig {
    /// How often everything cached is delivered anew; unset: never.
    pub resync: Option<Duration>,
    /// How long a watch may be silent. API servers send bookmarks about once a minute.
    pub idle_limit: Duration,
}

impl Default for ReflectorConfig {
    fn default() -> Self {
        Self {
            resync: None,
            idle_limit: Duration::from_secs(150),
        }
    }
}

/// See the module's documentation.
pub(crate) struct Reflector {
    informer: Arc<Informer>,
    client: ApiClient,
    discovery: Arc<DiscoveryCache>,
    config: ReflectorConfig,
    steps: Steps,
    body: Vec<u8>,
    listing: Option<ListInProgress>,
}

/// A list between its first page and its last.
struct ListInProgress {
    pruner: Pruner,
    filling: Filling,
    started: Instant,
    steps: Vec<PageTime>,
}

#[derive(Debug)]
#[expect(dead_code, reason = "read by the log through Debug")]
struct PageTime {
    items: usize,
    fetched: Duration,
    applied: Duration,
}

/// Why a frame or a page ended a watch or a list.
#[derive(Debug, thiserror::Error)]
enum Unreadable {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Object(#[from] PruneError),
}

impl Reflector {
    pub(crate) fn new(
        informer: Arc<Informer>,
        client: ApiClient,
        discovery: Arc<DiscoveryCache>,
        config: ReflectorConfig,
    ) -> Self {
        Self {
            informer,
            client,
            discovery,
            config,
            steps: Steps::default(),
            body: Vec::new(),
            listing: None,
        }
    }

    /// Runs until dropped.
    pub(crate) async fn run(mut self) {
        self.resolve().await;
        let mut pruner = None;
        loop {
            match self.steps.next() {
                Step::Pause(pause) => tokio::time::sleep(pause).await,
                Step::List {
                    continue_token,
                    limit,
                } => {
                    if let Some(done) = self.list_page(&continue_token, limit).await {
                        pruner = Some(done);
                    }
                }
                Step::Watch { revision, timeout } => {
                    let pruner = pruner.as_ref().expect("a watch follows a list");
                    let end = self.watch(pruner, revision, timeout).await;
                    self.log_end(&end);
                    self.steps.watch_ended(&end, Instant::now());
                }
            }
        }
    }

    /// Waits until the server serves the resource, to learn the kind of its objects.
    async fn resolve(&self) {
        loop {
            match self.discovery.find(self.informer.resource()).await {
                Ok(Some(source)) => return self.informer.set_source(source),
                Ok(None) => {
                    let resource = self.informer.resource();
                    self.failed(&format!(
                        "the API server does not serve {} {resource}",
                        resource.api_version()
                    ));
                }
                Err(error) => self.failed(&error.message),
            }
            tokio::time::sleep(UNSERVED_PERIOD).await;
        }
    }

    fn failed(&self, error: &str) {
        warn!(resource = %self.informer.resource(), error, "list or watch failed");
        self.informer.failed(error);
    }

    /// Reads one page; after the last one gives what watches prune by.
    async fn list_page(&mut self, continue_token: &str, limit: Option<u32>) -> Option<Pruner> {
        let mut list = match self.listing.take() {
            Some(list) if !continue_token.is_empty() => list,
            _ => self.begin_list(),
        };
        if self.informer.is_wider_than_wanted(list.pruner.projection()) {
            self.steps.list_abandoned();
            return None;
        }
        let started = Instant::now();
        let accept = if list.pruner.projection().is_metadata() {
            METADATA_LIST
        } else {
            JSON
        };
        let page = match self
            .client
            .get(&self.list_path(continue_token, limit), accept)
            .await
        {
            Ok(page) => page,
            Err(error) => {
                self.failed(&error.message);
                self.steps.list_failed(&error, Instant::now());
                return None;
            }
        };
        let fetched = started.elapsed();
        match self.apply_page(&mut list, &page, fetched).await {
            Ok(Listing::Complete) => Some(list.pruner),
            Ok(Listing::More) => {
                self.listing = Some(list);
                None
            }
            Ok(Listing::Abandoned) => None,
            Err(error) => {
                self.failed(&error.to_string());
                self.steps.page_unreadable(Instant::now());
                None
            }
        }
    }

    fn begin_list(&self) -> ListInProgress {
        let (projection, filling) = self.informer.begin_list();
        ListInProgress {
            filling,
            pruner: Pruner::new(&self.informer.source(), projection),
            started: Instant::now(),
            steps: Vec::new(),
        }
    }

    fn list_path(&self, continue_token: &str, limit: Option<u32>) -> String {
        let mut path = self.informer.resource().path("");
        if let Some(limit) = limit {
            push_query(&mut path, "limit", &limit.to_string());
        }
        push_query(&mut path, "continue", continue_token);
        path
    }

    async fn apply_page(
        &mut self,
        list: &mut ListInProgress,
        bytes: &Bytes,
        fetched: Duration,
    ) -> Result<Listing, Unreadable> {
        let started = Instant::now();
        let page = Page::parse(bytes)?;
        for (position, item) in page.items.iter().enumerate() {
            let (pruner, Filling { same_version, is_new }) = (&list.pruner, list.filling);
            let meta = pruner.prune(item, &mut self.body)?;
            let grew = self.informer.store(meta, &self.body, same_version, true);
            // Before the list ends, too: who waits for it is who has to go.
            if grew && is_new && !self.informer.room(pruner.projection()).await {
                return Ok(self.steps.list_abandoned());
            }
            // A list that came in one piece must not keep a thread to itself.
            if position % 500 == 499 {
                tokio::task::yield_now().await;
            }
        }
        list.steps.push(PageTime {
            items: page.items.len(),
            fetched,
            applied: started.elapsed(),
        });
        let listing = self.steps.page_read(&page.continue_token, page.resource_version);
        if listing == Listing::Complete {
            self.end_list(list, page.resource_version);
        }
        Ok(listing)
    }

    fn end_list(&self, list: &ListInProgress, revision: u64) {
        self.informer.end_list(list.pruner.projection(), revision);
        self.informer.count(|counters| {
            counters.lists += 1;
            counters.last_error = None;
        });
        let (resource, took) = (self.informer.resource(), list.started.elapsed());
        if took > SLOW_LIST {
            info!(%resource, ?took, steps = ?list.steps, "slow list");
        } else {
            debug!(%resource, ?took, objects = self.informer.cache().len(), "listed");
        }
    }

    async fn watch(&mut self, pruner: &Pruner, revision: u64, timeout: Duration) -> WatchEnd {
        let mut path = self.informer.resource().path("");
        push_query(&mut path, "watch", "true");
        push_query(&mut path, "allowWatchBookmarks", "true");
        push_query(&mut path, "resourceVersion", &revision.to_string());
        push_query(&mut path, "timeoutSeconds", &timeout.as_secs().to_string());
        let accept = if pruner.projection().is_metadata() {
            METADATA_WATCH
        } else {
            JSON
        };
        let informer = Arc::clone(&self.informer);
        let stream = tokio::select! {
            stream = self.client.stream(&path, accept) => stream,
            () = informer.view_changed() => return WatchEnd::ViewChanged,
        };
        match stream {
            Ok(stream) => {
                self.informer.count(|counters| {
                    counters.watches += 1;
                    counters.last_error = None;
                });
                self.follow(pruner, stream).await
            }
            Err(error) => WatchEnd::Failed(error),
        }
    }

    async fn follow(&mut self, pruner: &Pruner, mut stream: ByteStream) -> WatchEnd {
        let (started, mut heard, mut lines) = (Instant::now(), false, Lines::default());
        let informer = Arc::clone(&self.informer);
        let mut resync = self.config.resync.map(resync_timer);
        loop {
            let chunk = tokio::select! {
                chunk = tokio::time::timeout(self.config.idle_limit, stream.next()) => chunk,
                () = informer.view_changed() => return WatchEnd::ViewChanged,
                () = tick(&mut resync) => {
                    informer.resync();
                    continue;
                }
            };
            match chunk {
                Err(_) => return WatchEnd::Silent,
                Ok(Some(Err(error))) => return WatchEnd::Failed(error),
                Ok(None) if lines.has_rest() => return cut_off(),
                Ok(None) => {
                    return WatchEnd::Closed {
                        heard,
                        lasted: started.elapsed(),
                    };
                }
                Ok(Some(Ok(chunk))) => {
                    heard = true;
                    if let Err(end) = self.frames(pruner, &mut lines, &chunk) {
                        return end;
                    }
                }
            }
        }
    }

    /// Applies the frames that a chunk completes.
    fn frames(&mut self, pruner: &Pruner, lines: &mut Lines, chunk: &[u8]) -> Result<(), WatchEnd> {
        let unreadable = |informer: &Arc<Informer>, error: Unreadable| {
            informer.count(|counters| counters.last_error = Some(error.to_string()));
            WatchEnd::Unreadable
        };
        lines
            .push(chunk)
            .map_err(|error| unreadable(&self.informer, error.into()))?;
        while let Some(line) = lines.next() {
            match self.frame(pruner, &line) {
                Ok(None) => {}
                Ok(Some(error)) => return Err(WatchEnd::Failed(error)),
                Err(error) => return Err(unreadable(&self.informer, error)),
            }
        }
        Ok(())
    }

    /// Applies one frame; an error is the server's last word.
    fn frame(&mut self, pruner: &Pruner, line: &[u8]) -> Result<Option<ApiError>, Unreadable> {
        let (object, deleted) = match Frame::parse(line)? {
            Frame::Error(error) => return Ok(Some(error)),
            Frame::Bookmark(revision) => {
                self.advanced(revision);
                return Ok(None);
            }
            Frame::Stored(object) => (object, false),
            Frame::Deleted(object) => (object, true),
        };
        let meta = pruner.prune(object, &mut self.body)?;
        let revision = meta.resource_version;
        // Events of a resource come in the order of their versions: an older one is an echo.
        if self.steps.revision().is_some_and(|seen| revision < seen) {
            return Ok(None);
        }
        if deleted {
            self.informer.delete(meta, &self.body);
        } else {
            self.informer.store(meta, &self.body, SameVersion::Keep, false);
        }
        self.advanced(revision);
        Ok(None)
    }

    fn advanced(&mut self, revision: u64) {
        self.steps.advanced(revision);
        self.informer.advance(revision);
    }

    fn log_end(&self, end: &WatchEnd) {
        let resource = self.informer.resource();
        match end {
            WatchEnd::Failed(error) if error.kind == ApiErrorKind::Gone => {
                info!(%resource, error = %error.message, "watch expired, listing anew");
            }
            WatchEnd::Failed(error) => self.failed(&error.message),
            WatchEnd::Unreadable => warn!(%resource, "watch sent a frame that cannot be read"),
            WatchEnd::Silent => {
                info!(%resource, limit = ?self.config.idle_limit, "watch silent, opening another")
            }
            WatchEnd::Closed { heard: false, lasted } if lasted.as_secs() == 0 => {
                warn!(%resource, "very short watch: it ended within a second, without events");
            }
            WatchEnd::Closed { .. } | WatchEnd::ViewChanged => debug!(%resource, ?end, "watch ended"),
        }
    }
}

/// The connection ended within a frame.
fn cut_off() -> WatchEnd {
    WatchEnd::Failed(ApiError::local(
        ApiErrorKind::Unavailable,
        "watch ended within a frame",
    ))
}

fn resync_timer(period: Duration) -> Interval {
    let mut interval = tokio::time::interval_at(Instant::now() + period, period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

async fn tick(interval: &mut Option<Interval>) {
    match interval {
        Some(interval) => _ = interval.tick().await,
        None => std::future::pending().await,
    }
}
