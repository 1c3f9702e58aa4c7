//! What a guest may call, one file per interface of the contract.
//!
//! Promises of each host function: it never panics on what a guest passes, never blocks,
//! and holds no reference into the guest. How much a guest may pass in one call is
//! limited by the store ([`Limits::result_bytes`](crate::limits::Limits::result_bytes))
//! before any of these functions runs.

mod clientset;
mod clock;
mod discovery;
mod lister;
pub(crate) mod logging;
mod metrics;
mod module_config;
mod plugins;
mod random;
mod recorder;
pub(crate) mod wasi;
mod workqueue;

use wasmtime::component::{HasSelf, Linker};

use crate::bindings::scheduling::windlass::scheduler as scheduling;
use crate::bindings::windlass::controller as wit;
use crate::host::HostState;

/// Links everything that a guest may import.
pub(crate) fn linker(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<HostState>> {
    type Own = HasSelf<HostState>;
    let mut linker = Linker::new(engine);
    lister::add_to_linker(&mut linker)?;
    wit::types::add_to_linker::<_, Own>(&mut linker, |state| state)?;
    wit::manifest::add_to_linker::<_, Own>(&mut linker, |state| state)?;
    wit::clientset::add_to_linker::<_, Own>(&mut linker, |state| state)?;
    wit::blocking_clientset::add_to_linker::<_, Own>(&mut linker, |state| state)?;
    wit::discovery::add_to_linker::<_, Own>(&mut linker, |state| state)?;
    wit::workqueue::add_to_linker::<_, Own>(&mut linker, |state| state)?;
    wit::recorder::add_to_linker::<_, Own>(&mut linker, |state| state)?;
    wit::logging::add_to_linker::<_, Own>(&mut linker, |state| state)?;
    wit::metrics::add_to_linker::<_, Own>(&mut linker, |state| state)?;
    wit::clock::add_to_linker::<_, Own>(&mut linker, |state| state)?;
    wit::random::add_to_linker::<_, Own>(&mut linker, |state| state)?;
    wit::module_config::add_to_linker::<_, Own>(&mut linker, |state| state)?;
    scheduling::plugins::add_to_linker::<_, Own>(&mut linker, |state| state)?;
    scheduling::types::add_to_linker::<_, Own>(&mut linker, |state| state)?;
    Ok(linker)
}

// Interfaces of types only, which have no functions to implement.
impl wit::types::Host for HostState {}
impl wit::manifest::Host for HostState {}
impl scheduling::types::Host for HostState {}
