//! From an engine's error to the one [`GuestFailure`] that names its cause.

use std::time::Duration;

use wasmtime::{Trap, WasmBacktrace};
use windlass_core::outcome::GuestFailure;

use crate::limits::{Limits, MemoryExceeded};
use crate::meter::CpuExceeded;

/// wasmtime keeps the type of this error to itself.
const TRANSFER_LIMIT_TEXT: &str = "fuel allocated for hostcalls has been exhausted";

/// A host function refuses what the guest asked for.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct ContractBreach(pub(crate) String);

/// The guest asked for the end of its process.
#[derive(Debug, thiserror::Error)]
#[error("called exit{}", if *success { "" } else { " with a failure" })]
pub(crate) struct GuestExit {
    pub(crate) success: bool,
}

/// `start` took longer than it may, waiting included.
#[derive(Debug, thiserror::Error)]
#[error("did not finish within {0:?}")]
pub(crate) struct StartExceeded(pub(crate) Duration);

/// How far an instance has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Instantiating,
    Running,
}

/// What the classification needs besides the error.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Circumstances<'a> {
    pub(crate) stage: Stage,
    pub(crate) limits: &'a Limits,
    pub(crate) stack_bytes: usize,
    /// What the guest's panic hook said, if it ran, or what its runtime wrote last on the
    /// error stream.
    pub(crate) panic: Option<&'a str>,
}

/// Names the cause of an error that ended an instance.
pub(crate) fn classify(error: &wasmtime::Error, circumstances: Circumstances<'_>) -> GuestFailure {
    let limits = circumstances.limits;
    if error.is::<MemoryExceeded>() {
        return GuestFailure::Memory {
            limit_bytes: limits.memory_bytes,
        };
    }
    if error.is::<CpuExceeded>() {
        return GuestFailure::Cpu {
            budget: limits.cpu_budget,
        };
    }
    if let Some(late) = error.downcast_ref::<StartExceeded>() {
        return GuestFailure::Start(late.to_string());
    }
    if let Some(exit) = error.downcast_ref::<GuestExit>() {
        let because = circumstances.panic.map(|panic| format!(": {panic}"));
        return GuestFailure::Trap(format!("{exit}{}", because.unwrap_or_default()));
    }
    if let Some(breach) = error.downcast_ref::<ContractBreach>() {
        return GuestFailure::Contract(breach.0.clone());
    }
    match (error.downcast_ref::<Trap>(), circumstances.panic) {
        (Some(Trap::StackOverflow), _) => GuestFailure::Stack {
            limit_bytes: circumstances.stack_bytes,
        },
        (Some(Trap::UnreachableCodeReached), Some(panic)) => GuestFailure::Trap(panic.to_owned()),
        (Some(trap), _) => GuestFailure::Trap(trap.to_string()),
        (None, _) if circumstances.stage == Stage::Instantiating => {
            GuestFailure::Instantiation(format!("{error:#}"))
        }
        (None, _) => GuestFailure::Contract(breach_text(error, limits)),
    }
}

/// Errors that are neither a trap nor ours come from lifting and lowering: what the
/// guest handed over is not what the contract says.
fn breach_text(error: &wasmtime::Error, limits: &Limits) -> String {
    let cause = error.root_cause().to_string();
    if cause.contains(TRANSFER_LIMIT_TEXT) {
        return format!(
            "passed more than {} bytes to the host in one call",
            limits.result_bytes
        );
    }
    cause
}

/// The guest's call stack, innermost frame first, one frame per line, with demangled
/// names; empty if unknown. wasmtime keeps twenty frames.
pub(crate) fn backtrace(error: &wasmtime::Error) -> String {
    let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else {
        return String::new();
    };
    // Its first line is a heading.
    let text = backtrace.to_string();
    text.lines().skip(1).collect::<Vec<_>>().join("\n")
}
