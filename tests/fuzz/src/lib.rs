//! Fuzz targets for whatever the host reads and did not write itself.
//!
//! A target is a function of bytes that panics when a promise of the host is broken. Two
//! things run the same targets:
//!
//! - [`short::run`], in every `cargo test`: all seeds and regressions, then a fixed number
//!   of mutations of them, the same each time;
//! - the binary, built by `make fuzz` with libFuzzer and coverage counters, for as long as
//!   one likes.
//!
//! Most inputs are text (`input`), so that seeds can be read, findings understood, and
//! mutations stay close to what means something. Beside each target, in `corpus/<target>`,
//! are its seeds; in `regressions/<target>` the inputs that once broke a promise; in
//! `dictionaries/<target>.dict` the words that its inputs are made of.

#![expect(
    clippy::panic,
    reason = "a panic is how a target says that a promise is broken"
)]

mod input;
mod mutate;
mod service;
pub mod short;
mod targets;

use std::path::{Path, PathBuf};

/// One target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name of its folders.
    pub name: &'static str,
    /// Panics when a promise is broken.
    pub run: fn(&[u8]),
    /// Mutations in a short run, such that it takes a few seconds without optimisation.
    pub mutations: u32,
}

/// All targets.
pub const TARGETS: [Target; 16] = [
    targets::configuration::PARSE,
    targets::controller_module::MODULE,
    targets::selectors::PARSE,
    targets::component::INSPECT,
    targets::component::LOAD,
    targets::manifest::DESCRIBE,
    targets::guest::API_CALL,
    targets::guest::EVENTS,
    targets::guest::LOG,
    targets::guest::QUEUE,
    targets::server::LIST_AND_WATCH,
    targets::server::ANSWER,
    targets::server::DISCOVERY,
    targets::api_server::REQUESTS,
    targets::registry::READ,
    targets::recording::READ,
];

impl Target {
    /// The target of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        TARGETS.into_iter().find(|target| target.name == name)
    }

    /// Where its seeds are.
    #[must_use]
    pub fn corpus(&self) -> PathBuf {
        folder("corpus").join(self.name)
    }

    /// Where the inputs are that once broke a promise.
    #[must_use]
    pub fn regressions(&self) -> PathBuf {
        folder("regressions").join(self.name)
    }

    /// The words that its inputs are made of.
    #[must_use]
    pub fn dictionary(&self) -> PathBuf {
        folder("dictionaries").join(format!("{}.dict", self.name))
    }
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}
