//! `wasi:io/poll`: what is ready is ready at once, and nothing else ever happens.
//!
//! A moment is over at once: runtimes yield that way, and the CPU budget ends those that do
//! nothing else. A guest cannot wait for more time to pass, because a sync that sleeps holds its instance
//! and its key; returning `requeue-after` is the way to do that.

use wasmtime::component::{LinkerInstance, Resource};

use super::refuse;
use crate::failure::{ContractBreach, GuestExit};
use crate::host::HostState;

/// A handle to something that can be waited for.
pub(super) struct Pollable;

/// The longest wait that is taken for a yield.
const MOMENT_NANOS: u64 = 10_000_000;
const READY: u32 = 0;
const LATER: u32 = 1;

/// Ready at once.
pub(super) fn ready() -> Resource<Pollable> {
    Resource::new_own(READY)
}

/// Ready when this many nanoseconds have passed: in a moment, or not in this call.
pub(super) fn after(nanos: u64) -> Resource<Pollable> {
    Resource::new_own(if nanos <= MOMENT_NANOS { READY } else { LATER })
}

pub(super) fn function(linker: &mut LinkerInstance<'_, HostState>, name: &str) -> wasmtime::Result<()> {
    match name {
        "[method]pollable.ready" => linker.func_wrap(name, |_, (pollable,): (Resource<Pollable>,)| {
            Ok((pollable.rep() == READY,))
        }),
        "[method]pollable.block" => linker.func_wrap(name, |context, (pollable,): (Resource<Pollable>,)| {
            if pollable.rep() == READY {
                Ok(())
            } else {
                Err(sleeps(context.data()))
            }
        }),
        "poll" => linker.func_wrap(name, |context, (pollables,): (Vec<Resource<Pollable>>,)| {
            let ready: Vec<u32> = (0_u32..)
                .zip(&pollables)
                .filter(|(_, pollable)| pollable.rep() == READY)
                .map(|(position, _)| position)
                .collect();
            if ready.is_empty() {
                Err(sleeps(context.data()))
            } else {
                Ok((ready,))
            }
        }),
        _ => refuse::function(linker, "io/poll", name),
    }
}

fn sleeps(state: &HostState) -> wasmtime::Error {
    // A runtime that has given up may wait for the end of its process.
    if state.streams.has_given_up() {
        return GuestExit { success: false }.into();
    }
    ContractBreach("waits for time to pass: return `requeue-after` instead of sleeping".to_owned()).into()
}
