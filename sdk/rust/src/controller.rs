//! What an author writes: a [`Controller`], and where it needs them an [`Observer`] and
//! a [`Mapper`].

use std::fmt;
use std::time::Duration;

use crate::api_error::ApiError;
use crate::client::{Client, SyncContext};
use crate::manifest::Manifest;
use crate::object::{Object, ObjectKey};

pub use crate::bindings::observer::exports::windlass::controller::observer::{Batch, Delta, DeltaKind};

/// A controller. Make it a component with [`export!`](crate::export).
///
/// Between two `await`s nothing else runs in the instance, so state in `Cell`s and
/// `RefCell`s needs no lock; do not hold a borrow across an `await`.
#[allow(
    async_fn_in_trait,
    reason = "an instance is single-threaded, so no bound is missing"
)]
pub trait Controller: Sized + 'static {
    /// What it watches and needs. Must not depend on anything but the module's configuration.
    fn manifest() -> Manifest;

    /// The instance's state, made before the first call that needs it.
    fn new() -> Self;

    /// Called once, after the caches have synced and the initial content was observed.
    /// An error is a failed start: back-off, then a new instance.
    async fn start(&self) -> Result<(), String> {
        Ok(())
    }

    /// One level-triggered pass for one key. The object may be gone. Syncs of different
    /// keys overlap, syncs of one key never do.
    async fn sync_handler(&self, sync: &SyncContext, key: ObjectKey) -> Result<Outcome, Error>;
}

/// A controller that keeps a model of its own, fed by the watches with `observe`.
pub trait Observer: Controller {
    /// Every delta in order, the initial content first, and before any sync that could
    /// depend on it.
    fn observe(&self, batches: Vec<Batch>);
}

/// A controller some of whose watches become keys in a way the host cannot derive.
pub trait Mapper: Controller {
    /// The keys that this event concerns. May read listers.
    fn keys_for(&self, event: MappedEvent) -> Vec<ObjectKey>;
}

/// An event on a watch with the enqueue rule `mapper`.
#[derive(Clone, Debug)]
pub struct MappedEvent {
    /// Position of the watch in the manifest.
    pub watch: u32,
    /// The object's key.
    pub key: ObjectKey,
    /// The object; of a deleted one its last known state.
    pub body: Vec<u8>,
    /// The previous body, if the watch asks for it.
    pub old: Option<Vec<u8>>,
}

/// How a sync ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing more to do until something changes.
    Done,
    /// Sync again after this long, unless an event comes first.
    RequeueAfter(Duration),
}

/// How a sync failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// Try again, with exponential back-off.
    Retry(String),
    /// Trying again is pointless: log it and wait for the next change.
    Terminal(String),
    /// An API call failed; tried again with back-off unless the guest says otherwise.
    Api(ApiError),
}

impl Error {
    /// Joins what several steps reported, as Kubernetes' aggregate errors print: one
    /// alone, several in brackets.
    #[must_use]
    pub fn aggregate(mut errors: Vec<Self>) -> Option<Self> {
        if errors.len() < 2 {
            return errors.pop();
        }
        let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
        Some(Self::Retry(format!("[{}]", texts.join(", "))))
    }

    /// Whether the namespace is going, so that nothing can be created in it.
    #[must_use]
    pub fn is_namespace_terminating(&self) -> bool {
        matches!(self, Self::Api(error) if error.is_namespace_terminating())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Retry(message) | Self::Terminal(message) => f.write_str(message),
            Self::Api(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

impl From<ApiError> for Error {
    fn from(error: ApiError) -> Self {
        Self::Api(error)
    }
}

impl SyncContext {
    /// API calls on this kind of object, on behalf of this sync.
    #[must_use]
    pub fn client<T: Object>(&self) -> Client<T> {
        Client::new(self)
    }
}
