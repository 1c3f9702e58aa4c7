//! Modules as the operator sees them: configuration, permissions, supervision, reload.
//!
//! - [`config`] reads a `HostConfiguration`, [`config_file`] a file of one;
//! - [`controller_modules`] follows modules that are objects of the cluster;
//! - [`sources`] fetches components and tells when they change ([`folder`]: files);
//! - [`loader`] brings a module from its entry to a loaded guest, each time one changes;
//! - [`permissions`] is what guests need, held against what they get, and [`rbac`] what
//!   that needs at the API server;
//! - [`access`] asks an API server whether it allows that;
//! - [`module`] is a loaded guest with its grants and budgets;
//! - [`mandate`] says whether a module may act in this replica, and for which keys;
//! - [`supervisor`] keeps one module at work and replaces its versions;
//! - [`run`] is the loop between a guest, its caches and its queue; [`lanes`] says how many
//!   syncs it runs at once when the guest has several instances;
//! - [`controller`] is what outlives the instances, [`suspects`] the keys that end them;
//! - [`calls`] sees a module's API calls to their end;
//! - `traces` follows syncs and API calls for a collector, [`status`] shows the modules;
//! - [`record`] records guests, replays them, and runs versions in the shadow of others;
//! - [`host`] starts, changes and stops all of them, in order.

pub mod access;
pub mod calls;
pub mod config;
pub mod config_file;
pub mod controller;
pub mod controller_modules;
mod events;
pub mod folder;
pub mod grace;
pub mod host;
mod instances;
pub mod lanes;
pub mod loader;
pub mod mandate;
pub mod module;
pub mod permissions;
pub mod rbac;
pub mod record;
pub mod run;
pub mod sources;
pub mod status;
pub mod supervisor;
pub mod suspects;
mod traces;
mod version;
