//! The pure part of the host: keys, objects, the work queue, back-off, the
//! read-your-own-writes gate, manifests, permissions, leadership and shards, and the traits
//! at which the other crates meet.
//!
//! Promises: nothing in here does I/O, knows an HTTP client or a Wasm engine, or
//! spawns a task. Everything can be tested with a paused clock.

pub mod api_error;
pub mod enqueue;
pub mod gate;
pub mod key;
pub mod lease;
pub mod manifest;
pub mod object;
pub mod outcome;
pub mod permission;
pub mod rate_limiter;
pub mod seams;
pub mod selector;
pub mod shard;
pub mod workqueue;

/// The version of the `windlass:controller` contract that this host serves.
pub const CONTRACT_VERSION: &str = "0.1.0";

/// The version of the `windlass:scheduler` contract that this host serves.
pub const SCHEDULER_VERSION: &str = "0.1.0";
