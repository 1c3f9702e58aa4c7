//! Everything that talks to an API server: the client, discovery, reflectors, caches,
//! shared informers, the event recorder and the Leases of replicas.
//!
//! Promises: any number of subscribers share one list and watch per resource; every
//! change reaches them in order, deletes in a watch gap included; an object is kept
//! once, without `managedFields`; no call of a guest is retried behind its back.
//! Deliberately not here: queues, what follows from leadership, and anything that knows a
//! Wasm engine.

pub mod cache;
pub mod call_budget;
pub mod client;
pub mod connect;
pub mod discovery;
pub mod footprint;
#[doc(hidden)]
pub mod fuzzing;
pub mod impersonation;
pub mod informer;
pub mod lease;
pub mod lister;
pub mod module_client;
pub mod object_watch;
pub mod permits;
pub mod recorder;
pub mod reflector;
pub mod registry;
pub mod subscription;
pub mod tenants;

mod backoff;
mod body;
mod budget;
mod correlator;
mod discovered;
mod frame;
mod index;
mod json;
mod pack;
mod prune;
mod queue;
mod steps;
mod store;
mod token_bucket;
mod url;
