//! WASI 0.2, for guests whose toolchain insists on it: every function is there and
//! nothing is behind it.
//!
//! Promises: no files, no sockets, no names to resolve, no environment, no arguments, no
//! input, and no waiting. What a runtime needs to start is answered: the clocks and
//! random numbers from the host's own [`Ambient`], so that a recording holds them, and
//! standard output and error, which go to the log line by line ([`streams`]). Everything
//! else is refused by the type of its result ([`refuse`]).
//!
//! Deliberately not here: any call to the operating system.

mod clocks;
mod poll;
mod random;
mod refuse;
mod streams;

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker, LinkerInstance, Resource, ResourceType};

use crate::host::HostState;

pub(crate) use streams::Streams;

const PACKAGES: &str = "wasi:";
/// Any version with this beginning has the same interfaces, with more or fewer functions.
const VERSION: &str = "0.2.";

/// Interfaces that are answered or refused, without `wasi:`.
const INTERFACES: [&str; 28] = [
    "cli/environment",
    "cli/exit",
    "cli/stderr",
    "cli/stdin",
    "cli/stdout",
    "cli/terminal-input",
    "cli/terminal-output",
    "cli/terminal-stderr",
    "cli/terminal-stdin",
    "cli/terminal-stdout",
    "clocks/monotonic-clock",
    "clocks/timezone",
    "clocks/wall-clock",
    "filesystem/preopens",
    "filesystem/types",
    "io/error",
    "io/poll",
    "io/streams",
    "random/insecure",
    "random/insecure-seed",
    "random/random",
    "sockets/instance-network",
    "sockets/ip-name-lookup",
    "sockets/network",
    "sockets/tcp",
    "sockets/tcp-create-socket",
    "sockets/udp",
    "sockets/udp-create-socket",
];

/// Resources that nobody ever gets hold of.
enum Nothing {}

/// The interface of WASI that an import names, if a guest may import it.
pub(crate) fn interface(import: &str) -> Option<&'static str> {
    let (name, version) = import.strip_prefix(PACKAGES)?.split_once('@')?;
    let known = INTERFACES.into_iter().find(|interface| *interface == name)?;
    version.starts_with(VERSION).then_some(known)
}

/// The linker with whatever a component imports of WASI added to it, or `None` when it
/// imports nothing of it.
pub(crate) fn extend(
    linker: &Linker<HostState>,
    engine: &wasmtime::Engine,
    component: &Component,
) -> wasmtime::Result<Option<Linker<HostState>>> {
    let mut extended = None;
    for (name, import) in component.component_type().imports(engine) {
        let (Some(interface), ComponentItem::ComponentInstance(instance)) = (interface(name), import.ty)
        else {
            continue;
        };
        let linker = extended.get_or_insert_with(|| linker.clone());
        let mut target = linker.instance(name)?;
        for (item, definition) in instance.exports(engine) {
            match definition.ty {
                ComponentItem::ComponentFunc(_) => function(&mut target, interface, item)?,
                ComponentItem::Resource(_) => resource(&mut target, item)?,
                // A type, which needs no implementation.
                _ => {}
            }
        }
    }
    Ok(extended)
}

fn function(linker: &mut LinkerInstance<'_, HostState>, interface: &str, name: &str) -> wasmtime::Result<()> {
    match (interface, name) {
        ("cli/environment", "get-environment") => {
            linker.func_wrap(name, |_, ()| Ok((Vec::<(String, String)>::new(),)))
        }
        ("cli/environment", "get-arguments") => linker.func_wrap(name, |_, ()| Ok((Vec::<String>::new(),))),
        ("cli/environment", "initial-cwd") => linker.func_wrap(name, |_, ()| Ok((None::<String>,))),
        ("cli/exit", "exit") => linker.func_wrap(name, |context, (result,)| streams::exit(context, result)),
        ("cli/terminal-stdin", _) => linker.func_wrap(name, |_, ()| Ok((None::<Resource<Nothing>>,))),
        ("cli/terminal-stdout" | "cli/terminal-stderr", _) => {
            linker.func_wrap(name, |_, ()| Ok((None::<Resource<Nothing>>,)))
        }
        ("filesystem/preopens", "get-directories") => {
            linker.func_wrap(name, |_, ()| Ok((Vec::<(Resource<Nothing>, String)>::new(),)))
        }
        ("cli/stdin" | "cli/stdout" | "cli/stderr" | "io/streams", _) => {
            streams::function(linker, interface, name)
        }
        ("clocks/monotonic-clock" | "clocks/wall-clock", _) => clocks::function(linker, interface, name),
        ("io/poll", _) => poll::function(linker, name),
        ("random/random" | "random/insecure" | "random/insecure-seed", _) => {
            random::function(linker, interface, name)
        }
        _ => refuse::function(linker, interface, name),
    }
}

/// Interfaces show each other's resources under the same name.
fn resource(linker: &mut LinkerInstance<'_, HostState>, name: &str) -> wasmtime::Result<()> {
    let of = match name {
        "pollable" => ResourceType::host::<poll::Pollable>(),
        "output-stream" => ResourceType::host::<streams::Output>(),
        "input-stream" => ResourceType::host::<streams::Input>(),
        _ => ResourceType::host::<Nothing>(),
    };
    // Handles are numbers without anything behind them, so there is nothing to free.
    linker.resource(name, of, |_, _| Ok(()))
}
