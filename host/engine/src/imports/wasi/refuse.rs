//! How a function of WASI says no: with an error of its own if it has one that fits,
//! otherwise by ending the instance.

use wasmtime::component::types::{ComponentFunc, Type};
use wasmtime::component::{LinkerInstance, Val};

use crate::failure::ContractBreach;
use crate::host::HostState;

/// Errors that say no, by preference.
const REFUSALS: [&str; 4] = ["access-denied", "not-permitted", "access", "closed"];

pub(super) fn function(
    linker: &mut LinkerInstance<'_, HostState>,
    interface: &str,
    name: &str,
) -> wasmtime::Result<()> {
    let called = format!("wasi:{interface}#{name}");
    linker.func_new(name, move |_, ty, _, results| {
        match (refusal(&ty), results) {
            (Some(refusal), [result]) => *result = refusal,
            _ => return Err(ContractBreach(format!("called {called}, which is not for guests")).into()),
        }
        Ok(())
    })
}

fn refusal(function: &ComponentFunc) -> Option<Val> {
    let Type::Result(result) = function.results().next()? else {
        return None;
    };
    let error = match result.err()? {
        Type::Enum(error) => {
            let names: Vec<&str> = error.names().collect();
            let name = REFUSALS.into_iter().find(|refusal| names.contains(refusal))?;
            Val::Enum(name.to_owned())
        }
        Type::Variant(error) => {
            let name = REFUSALS.into_iter().find(|refusal| {
                error
                    .cases()
                    .any(|case| case.name == *refusal && case.ty.is_none())
            })?;
            Val::Variant(name.to_owned(), None)
        }
        _ => return None,
    };
    Some(Val::Result(Err(Some(Box::new(error)))))
}
