//! `wasi:clocks`: the same clocks that the contract's own interface shows.

use wasmtime::component::{ComponentType, LinkerInstance, Lower};

use super::{poll, refuse};
use crate::host::HostState;

#[derive(ComponentType, Lower)]
#[component(record)]
struct Datetime {
    seconds: u64,
    nanoseconds: u32,
}

pub(super) fn function(
    linker: &mut LinkerInstance<'_, HostState>,
    interface: &str,
    name: &str,
) -> wasmtime::Result<()> {
    match (interface, name) {
        ("clocks/wall-clock", "now") => linker.func_wrap(name, |context, ()| {
            let now = context.data().ambient.now();
            let now = Datetime {
                seconds: now.as_secs(),
                nanoseconds: now.subsec_nanos(),
            };
            Ok((now,))
        }),
        ("clocks/wall-clock", "resolution") => linker.func_wrap(name, |_, ()| {
            Ok((Datetime {
                seconds: 0,
                nanoseconds: 1,
            },))
        }),
        ("clocks/monotonic-clock", "now") => linker.func_wrap(name, |context, ()| {
            Ok((context.data().ambient.monotonic_nanos(),))
        }),
        ("clocks/monotonic-clock", "resolution") => linker.func_wrap(name, |_, ()| Ok((1_u64,))),
        ("clocks/monotonic-clock", "subscribe-duration") => {
            linker.func_wrap(name, |_, (nanos,): (u64,)| Ok((poll::after(nanos),)))
        }
        ("clocks/monotonic-clock", "subscribe-instant") => {
            linker.func_wrap(name, |context, (instant,): (u64,)| {
                let now = context.data().ambient.monotonic_nanos();
                Ok((poll::after(instant.saturating_sub(now)),))
            })
        }
        _ => refuse::function(linker, interface, name),
    }
}
