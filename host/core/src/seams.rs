//! The traits at which the crates meet.
//!
//! `engine` implements [`Guest`] and calls the services; `cluster` implements
//! [`ObjectReader`], [`ObjectWriter`], [`EventSink`] and [`Discovery`]; `manager` joins them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::api_error::ApiError;
use crate::key::{ObjectKey, Resource, ResourceInfo};
use crate::manifest::WatchId;
use crate::object::Object;
use crate::outcome::{GuestFailure, Outcome, SyncError};

/// Names one running sync; 0 stands for none.
pub type SyncId = u64;

/// Why a read from the caches was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum ReadError {
    /// The manifest has no such watch, or it cannot be read: a breach of the contract.
    #[error("watch {0} is not one the lister can read")]
    UnknownWatch(WatchId),
    /// The question itself is wrong, such as a selector that does not parse.
    #[error("{0}")]
    Invalid(String),
}

/// Reads from the shared caches. Never blocks.
pub trait ObjectReader: Send + Sync {
    /// One object.
    fn get(&self, watch: WatchId, key: &ObjectKey) -> Result<Option<Arc<Object>>, ReadError>;
    /// Objects of a namespace, or of all, that match a label selector (empty: all).
    fn list(
        &self,
        watch: WatchId,
        namespace: Option<&str>,
        selector: &str,
    ) -> Result<Vec<Arc<Object>>, ReadError>;
    /// Objects under a declared index.
    fn by_index(&self, watch: WatchId, index: &str, value: &str) -> Result<Vec<Arc<Object>>, ReadError>;
    /// Objects controlled by this UID.
    fn by_owner(&self, watch: WatchId, uid: &str) -> Result<Vec<Arc<Object>>, ReadError>;
    /// Objects of a namespace that nobody controls.
    fn orphans(&self, watch: WatchId, namespace: &str) -> Result<Vec<Arc<Object>>, ReadError>;
}

/// How a patch is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PatchType {
    /// RFC 6902.
    Json,
    /// RFC 7386.
    Merge,
    /// Kubernetes' own, for built-in types.
    StrategicMerge,
}

impl PatchType {
    /// The request's media type.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json-patch+json",
            Self::Merge => "application/merge-patch+json",
            Self::StrategicMerge => "application/strategic-merge-patch+json",
        }
    }
}

/// Options of a live list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListOptions {
    /// Label selector, may be empty.
    pub label_selector: String,
    /// Field selector, may be empty.
    pub field_selector: String,
    /// Page size; 0 for all.
    pub limit: u32,
    /// Token of the previous page, may be empty.
    pub continue_token: String,
}

/// What becomes of dependents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PropagationPolicy {
    /// The garbage collector deletes them afterwards.
    Background,
    /// They go first.
    Foreground,
    /// They stay.
    Orphan,
}

/// Options of a delete.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteOptions {
    /// Unset: the resource's default.
    pub propagation_policy: Option<PropagationPolicy>,
    /// Unset: the object's own.
    pub grace_period_seconds: Option<u32>,
    /// Only if the object still has this UID.
    pub precondition_uid: Option<String>,
    /// Only if the object is still at this version.
    pub precondition_resource_version: Option<String>,
}

/// The verb of an API call with what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApiVerb {
    /// Live read of one object.
    Get,
    /// Live list of the key's namespace (empty: all).
    List(ListOptions),
    /// POST.
    Create(Bytes),
    /// PUT.
    Update(Bytes),
    /// PATCH.
    Patch(PatchType, Bytes),
    /// DELETE.
    Delete(DeleteOptions),
}

impl ApiVerb {
    /// The verb as RBAC knows it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List(_) => "list",
            Self::Create(_) => "create",
            Self::Update(_) => "update",
            Self::Patch(..) => "patch",
            Self::Delete(_) => "delete",
        }
    }
}

/// One API call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiRequest {
    /// The collection.
    pub resource: Resource,
    /// The object; the name is empty for lists and most creates.
    pub key: ObjectKey,
    /// `status`, `scale`, `binding`, …; empty for the object itself.
    pub subresource: SmolStr,
    /// What to do.
    pub verb: ApiVerb,
}

/// Talks to the API server on behalf of one module: checks its permissions, keeps its
/// budget, and remembers what each sync wrote.
pub trait ObjectWriter: Send + Sync {
    /// Makes one call. The answer is the response body.
    fn call(&self, sync: SyncId, request: ApiRequest) -> BoxFuture<'static, Result<Bytes, ApiError>>;
}

/// The object an event is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ObjectReference {
    /// Such as `apps/v1`.
    pub api_version: String,
    /// Such as `Deployment`.
    pub kind: String,
    /// Empty for cluster-scoped objects.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// UID.
    pub uid: String,
    /// May be empty.
    pub resource_version: String,
}

/// Severity of a Kubernetes event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EventType {
    /// For information.
    Normal,
    /// Something may be wrong.
    Warning,
}

/// A Kubernetes event to record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// What it is about.
    pub regarding: ObjectReference,
    /// Severity.
    pub event_type: EventType,
    /// CamelCase.
    pub reason: String,
    /// For people.
    pub message: String,
    /// When not empty the event goes through `events.k8s.io/v1`, otherwise through core `v1`.
    pub action: String,
}

/// Takes events, never blocks, may drop.
pub trait EventSink: Send + Sync {
    /// Records one event.
    fn record(&self, event: Event);
}

/// One key for a queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueItem {
    /// The key.
    pub key: ObjectKey,
    /// Not before this long from now.
    pub after: Duration,
    /// Higher first.
    pub priority: i32,
}

/// The controller's own queue, as its guest sees it.
pub trait QueueSink: Send + Sync {
    /// Adds keys.
    fn add(&self, items: Vec<QueueItem>);
}

/// What discovery knows.
pub trait Discovery: Send + Sync {
    /// The resource that serves a kind.
    fn resolve(&self, group: &str, version: &str, kind: &str) -> Option<ResourceInfo>;
}

/// Severity of a log line, the most severe first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum LogLevel {
    /// An operator is needed.
    Error,
    /// Degraded, but coping.
    Warn,
    /// Lifecycle.
    Info,
    /// One line per sync.
    Debug,
    /// Payloads.
    Trace,
}

/// What a guest learns without asking the cluster. Behind a seam, so that a recorded guest
/// can be told the same again.
pub trait Ambient: Send + Sync {
    /// The wall clock, as time since 1970-01-01T00:00:00Z; zero if it stands before.
    fn now(&self) -> Duration;
    /// Nanoseconds since an arbitrary start, never fewer than before.
    fn monotonic_nanos(&self) -> u64;
    /// A random number, good enough for names and jitter.
    fn random(&self) -> u64;
    /// Whether the log keeps lines of this level.
    fn logs(&self, level: LogLevel) -> bool;
}

/// Everything a guest instance may call.
#[derive(Clone)]
pub struct Services {
    /// Caches.
    pub reader: Arc<dyn ObjectReader>,
    /// API server.
    pub writer: Arc<dyn ObjectWriter>,
    /// Events.
    pub events: Arc<dyn EventSink>,
    /// Its queue.
    pub queue: Arc<dyn QueueSink>,
    /// Kinds to resources.
    pub discovery: Arc<dyn Discovery>,
    /// Time, chance and the log.
    pub ambient: Arc<dyn Ambient>,
    /// The module's configuration, JSON.
    pub config: Bytes,
}

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeltaKind {
    /// It appeared.
    Added,
    /// It changed.
    Updated,
    /// It went; the object is its last known state.
    Deleted,
}

/// One change of one object.
#[derive(Clone, Debug)]
pub struct Delta {
    /// What happened.
    pub kind: DeltaKind,
    /// The object after the change (before it, if deleted).
    pub object: Arc<Object>,
    /// The object before an update.
    pub old: Option<Arc<Object>>,
    /// Part of initial content, a relist or a resync.
    pub initial: bool,
}

/// Consecutive deltas of one resource for one watch.
#[derive(Clone, Debug)]
pub struct DeltaBatch {
    /// Position in the manifest.
    pub watch: WatchId,
    /// Where they come from.
    pub source: Arc<ResourceInfo>,
    /// In order.
    pub deltas: Vec<Delta>,
    /// Whether the guest's manifest asks for old bodies.
    pub old_bodies: bool,
}

/// A live guest instance. Calls may be made concurrently; they are delivered in the
/// order in which these functions are *called* (not polled), so an `observe` made before
/// a `sync` is seen before it.
///
/// Once any call ended in a [`GuestFailure`], the instance is gone and every other call,
/// in flight or later, fails too.
pub trait Guest: Send + Sync {
    /// Runs the guest's `start`.
    fn start(&self) -> BoxFuture<'static, Result<(), GuestFailure>>;
    /// One sync.
    fn sync(
        &self,
        id: SyncId,
        key: ObjectKey,
    ) -> BoxFuture<'static, Result<Result<Outcome, SyncError>, GuestFailure>>;
    /// Delivers deltas. Only for guests with an observer.
    fn observe(&self, batches: Vec<DeltaBatch>) -> BoxFuture<'static, Result<(), GuestFailure>>;
    /// Asks the mapper. Only for guests with one.
    fn map(&self, watch: WatchId, delta: Delta) -> BoxFuture<'static, Result<Vec<ObjectKey>, GuestFailure>>;
    /// Resolves when the instance is gone, with the reason.
    fn closed(&self) -> BoxFuture<'static, GuestFailure>;
}
