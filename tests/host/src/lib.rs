//! Support for tests across processes: starts the real `windlass` binary, talks to it
//! with a client that is not ours (kube-rs), waits for states, and ends what it started.
//!
//! The binary is the release build, because that is what users run and because a debug
//! build of the Wasm compiler takes seconds per guest.

pub mod book;
pub mod builds;
pub mod census;
pub mod cluster;
pub mod docker_registry;
pub mod figures;
pub mod fleet;
pub mod helm;
pub mod in_process;
pub mod kubectl;
pub mod ledger;
pub mod link;
pub mod log;
pub mod process;
pub mod status;
pub mod terminal;
pub mod wait;
pub mod wall_clock;
