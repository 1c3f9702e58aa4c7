//! Write Kubernetes controllers as WebAssembly components for Windlass.
//!
//! A controller says in a [`Manifest`] what it watches and how that becomes keys, and
//! implements [`Controller::sync_handler`]. The host runs informers, caches, queue,
//! back-off and clients, and starts no sync before the caches hold what earlier syncs of
//! the same key wrote.
//!
//! | for | use |
//! |---|---|
//! | reading the shared caches | [`Lister`] |
//! | talking to the API server | [`SyncContext::client`] |
//! | adopting and releasing dependents | [`Claim`] |
//! | events, log lines, figures, time | [`recorder`], [`info!`], [`metrics`], [`time`] |
//! | copying and comparing JSON without knowing it | [`json`] |
//! | plugins of the scheduler | [`plugin`] |
//! | native tests against a fake cluster | [`testing`] |
//!
//! Build a `cdylib` for `wasm32-unknown-unknown` and encode it as a component; nothing
//! of WASI is imported, so a guest reaches the host's contract and nothing else.

// The generated bindings name this crate as its users do.
extern crate self as windlass_sdk;

mod api_error;
#[doc(hidden)]
pub mod bindings;
mod claim;
mod client;
mod concurrency;
mod condition;
mod controller;
mod host;
pub mod json;
mod lister;
pub mod log;
mod manifest;
pub mod metrics;
mod object;
pub mod plugin;
pub mod recorder;
#[doc(hidden)]
pub mod runtime;
mod selector;
mod services;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
pub mod time;

pub use api_error::{ApiError, ApiErrorKind, StatusCause};
pub use claim::Claim;
pub use client::{
    Body, Client, DeleteOptions, ListOptions, PatchType, Preconditions, PropagationPolicy, SyncContext,
    default_delete,
};
pub use concurrency::{join_all, slow_start};
pub use condition::{Condition, ConditionStatus};
pub use controller::{Batch, Controller, Delta, DeltaKind, Error, MappedEvent, Mapper, Observer, Outcome};
pub use lister::{Lister, cached_body};
pub use manifest::{EventKinds, Manifest, Orphans, Watch};
pub use object::{
    ApiResource, Object, ObjectKey, ObjectMeta, OwnerReference, Snapshot, StringMap, null_as_default,
};
pub use selector::{LabelSelector, Operator, Requirement, is_subset};
pub use services::{Item, Mapping, config, enqueue, enqueue_after, enqueue_key, monotonic, random, resolve};

/// What the READMEs show compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
#[doc = include_str!("../README.md")]
struct Readme;
