//! The crate against a scripted API server: every request arrives in the test, which
//! decides what comes back. Time is paused, so that back-off and limits cost nothing.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod caches;
mod connect;
mod discovered;
mod discovery;
mod informer;
mod lease;
mod lease_server;
mod module_client;
mod object_watch;
mod recorder;
mod server;
mod trouble;
