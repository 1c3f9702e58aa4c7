//! The crate against registries: Debian's `docker-registry` where the protocol is in
//! question, a scripted server where faults are.
//!
//! `cargo xtask tools docker-registry` installs the registry. Tests that need it say so
//! and succeed where it is missing.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod cache;
mod credentials;
mod docker_registry;
mod faults;
mod fulcio;
mod http;
mod keyless;
mod layout;
mod pull;
mod script;
mod signatures;
mod support;
