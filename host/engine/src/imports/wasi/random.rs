//! `wasi:random`: good enough for hash seeds, names and jitter, not for secrets.

use wasmtime::component::LinkerInstance;

use super::refuse;
use crate::failure::ContractBreach;
use crate::host::HostState;

/// Most random bytes in one call.
const MAX_BYTES: u64 = 64 * 1024;

pub(super) fn function(
    linker: &mut LinkerInstance<'_, HostState>,
    interface: &str,
    name: &str,
) -> wasmtime::Result<()> {
    match name {
        "get-random-bytes" | "get-insecure-random-bytes" => linker
            .func_wrap(name, |context, (length,): (u64,)| {
                Ok((bytes(context.data(), length)?,))
            }),
        "get-random-u64" | "get-insecure-random-u64" => {
            linker.func_wrap(name, |context, ()| Ok((context.data().ambient.random(),)))
        }
        "insecure-seed" | "get-insecure-seed" => linker.func_wrap(name, |context, ()| {
            let ambient = &context.data().ambient;
            Ok(((ambient.random(), ambient.random()),))
        }),
        _ => refuse::function(linker, interface, name),
    }
}

fn bytes(state: &HostState, length: u64) -> wasmtime::Result<Vec<u8>> {
    if length > MAX_BYTES {
        let problem = format!("asked for {length} random bytes, at most {MAX_BYTES} at once are possible");
        return Err(ContractBreach(problem).into());
    }
    let length = usize::try_from(length)?;
    let mut bytes = Vec::with_capacity(length.next_multiple_of(8));
    while bytes.len() < length {
        bytes.extend(state.ambient.random().to_le_bytes());
    }
    bytes.truncate(length);
    Ok(bytes)
}
