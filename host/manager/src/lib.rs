//! Modules as the operator sees them: configuration, permissions, supervision.
//!
//! - [`config`] reads a `HostConfiguration`;
//! - [`module`] turns an entry into a loaded guest with its grants and budgets;
//! - [`controller`] is the loop between one guest instance, its caches and its queue;
//! - [`supervisor`] keeps one module's instance alive;
//! - [`calls`] sees a module's API calls to their end;
//! - [`host`] starts and stops all of them, in order.

pub mod calls;
pub mod config;
pub mod controller;
pub mod host;
pub mod module;
pub mod permissions;
pub mod supervisor;
