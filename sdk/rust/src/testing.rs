//! A fake cluster for native tests of a controller.
//!
//! A [`Cluster`] answers everything that a controller may ask of the host, at once and
//! from one store: caches are never behind, names and UIDs are counted, time stands
//! still until [`advance`](Cluster::advance)d. It knows what controllers rely on
//! (resource versions, conflicts, preconditions, generations, status as a part of its own,
//! finalizers and those that propagation policies stand for) and validates nothing. The plural of a kind is its name in lower case with an `s`.
//!
//! ```
//! # use windlass_sdk::{*, testing::Cluster};
//! # struct Nothing;
//! # impl Controller for Nothing {
//! #     fn manifest() -> Manifest { Manifest::new("nothing", "1") }
//! #     fn new() -> Self { Self }
//! #     async fn sync_handler(&self, _: &SyncContext, _: ObjectKey) -> Result<Outcome, Error> { Ok(Outcome::Done) }
//! # }
//! let cluster = Cluster::new::<Nothing>();
//! cluster.put(&serde_json::json!({
//!     "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "default", "name": "a"}}));
//! assert_eq!(cluster.sync(&Nothing, "default/a"), Ok(Outcome::Done));
//! assert!(cluster.take_calls().is_empty());
//! ```

mod patch;
pub(crate) mod state;

use std::cell::RefCell;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use serde_json::Value;

use crate::api_error::{ApiError, ApiErrorKind};
use crate::client::SyncContext;
use crate::controller::{Controller, Error, Outcome};
use crate::manifest::Manifest;
use crate::object::{Object, ObjectKey};
use crate::recorder::EventType;
use crate::services::Item;
use crate::time::Timestamp;
use state::State;

/// A fake cluster, and the host of whatever controller this thread runs while it lives.
#[derive(Debug)]
pub struct Cluster {
    state: Rc<RefCell<State>>,
}

impl Cluster {
    /// An empty cluster that serves the watches of this controller. Replaces the
    /// thread's previous one.
    #[must_use]
    pub fn new<C: Controller>() -> Self {
        let state = Rc::new(RefCell::new(State::new(C::manifest())));
        state::install(Rc::clone(&state));
        Self { state }
    }

    /// What a [plugin](crate::plugin) of the scheduler has around it: the log and metrics.
    /// Replaces the thread's previous one.
    #[must_use]
    pub fn of_plugin() -> Self {
        let state = Rc::new(RefCell::new(State::new(Manifest::new("plugin", "0"))));
        state::install(Rc::clone(&state));
        Self { state }
    }

    /// Creates or replaces an object, status included, as anybody else in the cluster
    /// might. What the server would fill in is filled in. Returns what is stored.
    #[expect(clippy::must_use_candidate, reason = "most tests put what they know")]
    pub fn put(&self, object: &Value) -> Value {
        self.state.borrow_mut().put(object.clone())
    }

    /// Removes an object without asking its finalizers.
    pub fn remove(&self, plural: &str, key: &str) {
        self.state.borrow_mut().remove(plural, &parse_key(key));
    }

    /// Changes a stored object by hand.
    pub fn edit(&self, plural: &str, key: &str, edit: impl FnOnce(&mut Value)) {
        let mut object = self.get(plural, key);
        edit(&mut object);
        self.put(&object);
    }

    /// A stored object.
    ///
    /// # Panics
    /// If it does not exist.
    #[must_use]
    #[expect(clippy::panic, reason = "a test ends where its expectations end")]
    pub fn get(&self, plural: &str, key: &str) -> Value {
        match self.state.borrow().find(plural, &parse_key(key)) {
            Some(object) => object.clone(),
            None => panic!("there is no {key} in {plural}"),
        }
    }

    /// A stored object as its author sees it.
    ///
    /// # Panics
    /// If it does not exist, or does not parse.
    #[must_use]
    pub fn read<T: Object>(&self, key: &str) -> T {
        serde_json::from_value(self.get(T::RESOURCE.plural, key)).expect("a stored object parses")
    }

    /// All objects of a collection, by key.
    #[must_use]
    pub fn list(&self, plural: &str) -> Vec<Value> {
        self.state
            .borrow()
            .collection(plural)
            .map(|(_, object)| object.clone())
            .collect()
    }

    /// Calls the controller's `start`.
    ///
    /// # Errors
    /// Whatever it says.
    pub fn start<C: Controller>(&self, controller: &C) -> Result<(), String> {
        block_on(controller.start())
    }

    /// Runs one sync to its end.
    pub fn sync<C: Controller>(&self, controller: &C, key: &str) -> Result<Outcome, Error> {
        block_on(controller.sync_handler(&SyncContext::new(1), parse_key(key)))
    }

    /// What was asked of the API server since the last time, as in
    /// `update replicasets/status default/web`.
    #[must_use]
    pub fn take_calls(&self) -> Vec<String> {
        std::mem::take(&mut self.state.borrow_mut().calls)
            .into_iter()
            .map(|(call, _)| call)
            .collect()
    }

    /// The same with what was sent.
    #[must_use]
    pub fn take_bodies(&self) -> Vec<(String, Value)> {
        std::mem::take(&mut self.state.borrow_mut().calls)
    }

    /// The events recorded since the last time, as in
    /// `Normal SuccessfulCreate Created pod: web-1`.
    #[must_use]
    pub fn take_events(&self) -> Vec<String> {
        let severity = |event_type| {
            if event_type == EventType::Normal {
                "Normal"
            } else {
                "Warning"
            }
        };
        let events = std::mem::take(&mut self.state.borrow_mut().events);
        events
            .iter()
            .map(|event| {
                format!(
                    "{} {} {}",
                    severity(event.event_type),
                    event.reason,
                    event.message
                )
            })
            .collect()
    }

    /// The keys that the controller enqueued itself since the last time.
    #[must_use]
    pub fn take_queued(&self) -> Vec<Item> {
        std::mem::take(&mut self.state.borrow_mut().queued)
    }

    /// The value of a metric for these values of its labels, if it was ever given one; of
    /// a histogram the sum of what was observed.
    #[must_use]
    pub fn metric(&self, name: &str, labels: &[&str]) -> Option<f64> {
        self.state.borrow().metric(name, labels)
    }

    /// From now on, calls for which this returns an error fail with it. A call reads as
    /// in [`take_calls`](Self::take_calls).
    pub fn fail(&self, rule: impl Fn(&str) -> Option<ApiError> + 'static) {
        self.state.borrow_mut().failure = Box::new(rule);
    }

    /// From now on discovery says of a kind whether its objects live in namespaces, or
    /// that it is not served. Until then every kind is served and lives in namespaces.
    pub fn scope(&self, of_kind: impl Fn(&str) -> Option<bool> + 'static) {
        self.state.borrow_mut().scope = Box::new(of_kind);
    }

    /// The present.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.state.borrow().now
    }

    /// Lets time pass.
    pub fn advance(&self, duration: Duration) {
        let mut state = self.state.borrow_mut();
        state.now = state.now + duration;
    }

    /// The module's configuration.
    pub fn configure(&self, config: &Value) {
        self.state.borrow_mut().config = config.to_string().into_bytes();
    }
}

/// An API failure of this kind.
#[must_use]
pub fn api_error(kind: ApiErrorKind, message: &str) -> ApiError {
    let code = match kind {
        ApiErrorKind::NotFound => 404,
        ApiErrorKind::AlreadyExists | ApiErrorKind::Conflict => 409,
        ApiErrorKind::Invalid => 422,
        ApiErrorKind::Forbidden | ApiErrorKind::NamespaceTerminating => 403,
        ApiErrorKind::Gone => 410,
        ApiErrorKind::UnsupportedMediaType => 415,
        ApiErrorKind::TooManyRequests => 429,
        ApiErrorKind::BadRequest => 400,
        ApiErrorKind::Timeout => 504,
        ApiErrorKind::Unavailable | ApiErrorKind::NotPermitted | ApiErrorKind::Other => 0,
    };
    ApiError {
        kind,
        code,
        reason: format!("{kind:?}"),
        message: message.to_owned(),
        causes: Vec::new(),
        retry_after_ms: None,
    }
}

/// Runs a future whose every wait ends by itself, as those on the fake do.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(result) = future.as_mut().poll(&mut context) {
            return result;
        }
    }
}

fn parse_key(key: &str) -> ObjectKey {
    let (namespace, name) = key.split_once('/').unwrap_or(("", key));
    ObjectKey::new(namespace, name)
}
