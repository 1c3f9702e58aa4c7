//! The crate against a scripted API server: every request arrives in the test, which
//! decides what comes back. Time is paused, so that back-off and limits cost nothing.

mod connect;
mod discovered;
mod discovery;
mod informer;
mod module_client;
mod recorder;
mod server;
mod trouble;
