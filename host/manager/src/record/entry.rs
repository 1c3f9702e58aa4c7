//! What a recording consists of: everything one guest instance was told, what it asked and
//! was answered, and what it returned, in the order in which the guest saw it.
//!
//! Bodies are a parameter of the types: bytes in memory, positions in a table in a file,
//! because most bodies occur many times. The encoding of these types is the file format: a
//! change of one of them, or of a type of `windlass-core` within, needs a new
//! [`FORMAT_VERSION`](super::format::FORMAT_VERSION).

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use windlass_core::api_error::ApiError;
use windlass_core::key::{ObjectKey, Resource, ResourceInfo};
use windlass_core::manifest::WatchId;
use windlass_core::outcome::{Outcome, SyncError};
use windlass_core::seams::{
    self, ApiRequest, ApiVerb, DeleteOptions, DeltaKind, Event, ListOptions, LogLevel, PatchType, QueueItem,
    ReadError, SyncId,
};

/// Names one API call, or one call of the mapper, within a recording.
pub type CallId = u64;

/// One thing that happened between the host and a guest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Entry<B = Bytes> {
    /// Told: `start`.
    Start,
    /// Told: sync this key.
    Sync {
        /// Names the sync.
        sync: SyncId,
        /// Its key.
        key: ObjectKey,
    },
    /// Told: these objects changed.
    Observe(Vec<Batch<B>>),
    /// Told: which keys does this change concern?
    Map {
        /// Names the question.
        call: CallId,
        /// Position in the manifest.
        watch: WatchId,
        /// The change.
        change: Change<B>,
    },
    /// Told: what the API server answered.
    Answer {
        /// The call that it answers.
        call: CallId,
        /// The response's body, or why there is none.
        answer: Result<B, ApiError>,
    },
    /// Asked of the API server.
    Request {
        /// Names the call.
        call: CallId,
        /// The sync on whose behalf.
        sync: SyncId,
        /// The call.
        request: Request<B>,
    },
    /// Asked of the caches, with the answer.
    Read {
        /// What was asked.
        question: Question,
        /// Bodies; at most one for [`Question::Get`].
        answer: Result<Vec<B>, ReadError>,
    },
    /// Asked of discovery, with the answer.
    Resolve {
        /// API group.
        group: String,
        /// API version.
        version: String,
        /// Kind.
        kind: String,
        /// The resource, if there is one.
        answer: Option<ResourceInfo>,
    },
    /// Read the wall clock: time since 1970.
    Now(Duration),
    /// Read the monotonic clock.
    Monotonic(u64),
    /// Drew a random number.
    Random(u64),
    /// Asked whether the log keeps a level, and was told.
    Logs(LogLevel, bool),
    /// Recorded a Kubernetes event.
    Event(Event),
    /// Added keys to its queue.
    Queue(Vec<QueueItem>),
    /// Returned from `start`.
    Started,
    /// Returned from a sync.
    Synced {
        /// Which.
        sync: SyncId,
        /// With what.
        result: Result<Outcome, SyncError>,
    },
    /// Returned from the mapper.
    Mapped {
        /// Which question.
        call: CallId,
        /// With which keys.
        keys: Vec<ObjectKey>,
    },
    /// The instance failed.
    Failed {
        /// [`GuestFailure::label`](windlass_core::outcome::GuestFailure::label).
        label: String,
        /// For people.
        message: String,
    },
    /// The recording is over.
    End(EndReason),
}

/// Why a recording ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EndReason {
    /// The instance did.
    Instance,
    /// The time to record was over.
    Window,
    /// The limit in bytes was reached.
    Size,
    /// The disk did not keep up with the guest.
    Overrun,
}

/// A call to the API server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request<B = Bytes> {
    /// The collection.
    pub resource: Resource,
    /// The object.
    pub key: ObjectKey,
    /// Part of the object; empty for all of it.
    pub subresource: String,
    /// What to do.
    pub verb: Verb<B>,
}

/// What an API call does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Verb<B = Bytes> {
    /// Live read.
    Get,
    /// Live list.
    List(ListOptions),
    /// POST.
    Create(B),
    /// PUT.
    Update(B),
    /// PATCH.
    Patch(PatchType, B),
    /// DELETE.
    Delete(DeleteOptions),
}

/// Consecutive changes of one resource.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Batch<B = Bytes> {
    /// Position in the manifest.
    pub watch: WatchId,
    /// Whose changes.
    pub source: ResourceInfo,
    /// Whether old bodies come along.
    pub old_bodies: bool,
    /// In order.
    pub changes: Vec<Change<B>>,
}

/// One change of one object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change<B = Bytes> {
    /// What happened.
    pub kind: DeltaKind,
    /// Part of initial content, a relist or a resync.
    pub initial: bool,
    /// The object.
    pub body: B,
    /// The object before.
    pub old: Option<B>,
}

/// A read from the caches.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Question {
    /// One object.
    Get(WatchId, ObjectKey),
    /// By namespace (none: all) and label selector.
    List(WatchId, Option<String>, String),
    /// By a declared index: its name and the value.
    ByIndex(WatchId, String, String),
    /// By the UID of the controlling owner.
    ByOwner(WatchId, String),
    /// Of a namespace, without an owner.
    Orphans(WatchId, String),
}

impl Question {
    /// The watch that is read.
    #[must_use]
    pub fn watch(&self) -> WatchId {
        match self {
            Self::Get(watch, _)
            | Self::List(watch, ..)
            | Self::ByIndex(watch, ..)
            | Self::ByOwner(watch, _)
            | Self::Orphans(watch, _) => *watch,
        }
    }

    /// The same of another watch.
    #[must_use]
    pub fn of_watch(mut self, other: WatchId) -> Self {
        match &mut self {
            Self::Get(watch, _)
            | Self::List(watch, ..)
            | Self::ByIndex(watch, ..)
            | Self::ByOwner(watch, _)
            | Self::Orphans(watch, _) => *watch = other,
        }
        self
    }
}

/// Where a body comes from, for whoever has to decide what may be kept of it.
#[derive(Clone, Copy, Debug)]
pub enum Origin<'a> {
    /// The cache of a watch.
    Watch(WatchId),
    /// A resource.
    Resource(&'a Resource),
    /// The answer to a call.
    Call(CallId),
}

impl<B> Entry<B> {
    /// Whether the host begins something with it; the rest is the guest's own doing.
    #[must_use]
    pub fn is_told(&self) -> bool {
        matches!(
            self,
            Self::Start | Self::Sync { .. } | Self::Observe(_) | Self::Map { .. } | Self::Answer { .. }
        )
    }

    /// The same with other bodies.
    pub fn map_bodies<C>(&self, map: &mut dyn FnMut(Origin<'_>, &B) -> C) -> Entry<C> {
        match self {
            Self::Start => Entry::Start,
            Self::Sync { sync, key } => Entry::Sync {
                sync: *sync,
                key: key.clone(),
            },
            Self::Observe(batches) => {
                Entry::Observe(batches.iter().map(|batch| batch.map_bodies(map)).collect())
            }
            Self::Map { call, watch, change } => Entry::Map {
                call: *call,
                watch: *watch,
                change: change.map_bodies(&mut |body| map(Origin::Watch(*watch), body)),
            },
            Self::Answer { call, answer } => Entry::Answer {
                call: *call,
                answer: match answer {
                    Ok(body) => Ok(map(Origin::Call(*call), body)),
                    Err(error) => Err(error.clone()),
                },
            },
            Self::Request { call, sync, request } => Entry::Request {
                call: *call,
                sync: *sync,
                request: request.map_bodies(map),
            },
            Self::Read { question, answer } => Entry::Read {
                answer: match answer {
                    Ok(bodies) => {
                        let origin = Origin::Watch(question.watch());
                        Ok(bodies.iter().map(|body| map(origin, body)).collect())
                    }
                    Err(error) => Err(error.clone()),
                },
                question: question.clone(),
            },
            Self::Resolve {
                group,
                version,
                kind,
                answer,
            } => Entry::Resolve {
                group: group.clone(),
                version: version.clone(),
                kind: kind.clone(),
                answer: answer.clone(),
            },
            Self::Now(time) => Entry::Now(*time),
            Self::Monotonic(nanos) => Entry::Monotonic(*nanos),
            Self::Random(number) => Entry::Random(*number),
            Self::Logs(level, answer) => Entry::Logs(*level, *answer),
            Self::Event(event) => Entry::Event(event.clone()),
            Self::Queue(items) => Entry::Queue(items.clone()),
            Self::Started => Entry::Started,
            Self::Synced { sync, result } => Entry::Synced {
                sync: *sync,
                result: result.clone(),
            },
            Self::Mapped { call, keys } => Entry::Mapped {
                call: *call,
                keys: keys.clone(),
            },
            Self::Failed { label, message } => Entry::Failed {
                label: label.clone(),
                message: message.clone(),
            },
            Self::End(reason) => Entry::End(*reason),
        }
    }
}

impl<B> Request<B> {
    fn map_bodies<C>(&self, map: &mut dyn FnMut(Origin<'_>, &B) -> C) -> Request<C> {
        let mut map = |body| map(Origin::Resource(&self.resource), body);
        Request {
            verb: match &self.verb {
                Verb::Get => Verb::Get,
                Verb::List(options) => Verb::List(options.clone()),
                Verb::Create(body) => Verb::Create(map(body)),
                Verb::Update(body) => Verb::Update(map(body)),
                Verb::Patch(patch_type, body) => Verb::Patch(*patch_type, map(body)),
                Verb::Delete(options) => Verb::Delete(options.clone()),
            },
            resource: self.resource.clone(),
            key: self.key.clone(),
            subresource: self.subresource.clone(),
        }
    }

    /// Whether it changes anything.
    #[must_use]
    pub fn is_write(&self) -> bool {
        !matches!(self.verb, Verb::Get | Verb::List(_))
    }

    /// Whether two calls do the same kind of thing to the same object; their bodies may differ.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        self.verb.name() == other.verb.name()
            && self.resource == other.resource
            && self.key == other.key
            && self.subresource == other.subresource
    }
}

impl<B> Verb<B> {
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

    /// What is sent along.
    #[must_use]
    pub fn body(&self) -> Option<&B> {
        match self {
            Self::Create(body) | Self::Update(body) | Self::Patch(_, body) => Some(body),
            Self::Get | Self::List(_) | Self::Delete(_) => None,
        }
    }
}

impl<B> Batch<B> {
    fn map_bodies<C>(&self, map: &mut dyn FnMut(Origin<'_>, &B) -> C) -> Batch<C> {
        let mut map = |body: &B| map(Origin::Resource(&self.source.resource), body);
        Batch {
            watch: self.watch,
            source: self.source.clone(),
            old_bodies: self.old_bodies,
            changes: self
                .changes
                .iter()
                .map(|change| change.map_bodies(&mut map))
                .collect(),
        }
    }
}

impl<B> Change<B> {
    fn map_bodies<C>(&self, map: &mut dyn FnMut(&B) -> C) -> Change<C> {
        Change {
            kind: self.kind,
            initial: self.initial,
            body: map(&self.body),
            old: self.old.as_ref().map(map),
        }
    }
}

impl From<&ApiRequest> for Request {
    fn from(request: &ApiRequest) -> Self {
        Self {
            resource: request.resource.clone(),
            key: request.key.clone(),
            subresource: request.subresource.to_string(),
            verb: match &request.verb {
                ApiVerb::Get => Verb::Get,
                ApiVerb::List(options) => Verb::List(options.clone()),
                ApiVerb::Create(body) => Verb::Create(body.clone()),
                ApiVerb::Update(body) => Verb::Update(body.clone()),
                ApiVerb::Patch(patch_type, body) => Verb::Patch(*patch_type, body.clone()),
                ApiVerb::Delete(options) => Verb::Delete(options.clone()),
            },
        }
    }
}

impl From<&seams::DeltaBatch> for Batch {
    fn from(batch: &seams::DeltaBatch) -> Self {
        let change = |delta| Change::new(delta, batch.old_bodies);
        Self {
            watch: batch.watch,
            source: (*batch.source).clone(),
            old_bodies: batch.old_bodies,
            changes: batch.deltas.iter().map(change).collect(),
        }
    }
}

impl Change {
    /// What a guest is told of a delta.
    #[must_use]
    pub fn new(delta: &seams::Delta, old_body: bool) -> Self {
        let old = delta.old.as_ref().filter(|_| old_body);
        Self {
            kind: delta.kind,
            initial: delta.initial,
            body: delta.object.body().clone(),
            old: old.map(|old| old.body().clone()),
        }
    }
}
