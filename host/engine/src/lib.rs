//! Everything that knows wasmtime: loading, limits, the functions a guest may import,
//! and the tasks that own live instances.
//!
//! - [`engine`] holds what all guests share and loads components;
//! - [`load`] says why a file is not a guest, or what it is ([`load::LoadedGuest`]);
//! - [`instance`] is a live guest behind [`windlass_core::seams::Guest`];
//! - [`plugin`] is a plugin of the scheduler, which a guest calls and nobody else.
//!
//! Promises: a guest reaches only what [`windlass_core::seams::Services`] gives it, plus
//! the log, the time and random numbers; whatever it does costs one instance, its own,
//! and ends in one [`windlass_core::outcome::GuestFailure`]. Nothing in here knows the
//! API server, and nothing restarts a guest: that is the manager's business.

pub mod ambient;
pub mod custom_metrics;
pub mod engine;
#[doc(hidden)]
pub mod fuzzing;
pub mod instance;
pub mod limits;
pub mod load;
pub mod manifest;
pub mod plugin;
pub mod usage;

mod actor;
mod bindings;
mod cache;
mod exports;
mod failure;
mod host;
mod imports;
mod inspect;
mod log_budget;
mod meter;
mod open_plugins;
mod redact;
mod slow_lane;
mod ticker;
