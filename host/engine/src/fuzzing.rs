//! Ways for fuzzers to what takes values from a guest. Not for anybody else.

pub use crate::bindings::windlass::controller::manifest as contract;
pub use crate::bindings::windlass::controller::types;
use crate::imports::logging;
use crate::inspect;
use crate::load::{LoadError, OptionalExports};
use crate::manifest::{ManifestError, from_guest};
use crate::redact::Redactor;

/// Looks at a component as loading does before it compiles it.
///
/// # Errors
/// Why it is no guest.
pub fn inspect(bytes: &[u8]) -> Result<(), LoadError> {
    inspect::check_contract(&inspect::border(bytes)?)
}

/// Checks and converts what `describe` returned.
///
/// # Errors
/// What is wrong with it.
pub fn manifest(
    manifest: contract::Manifest,
    exports: OptionalExports,
) -> Result<windlass_core::manifest::Manifest, ManifestError> {
    from_guest(manifest, exports)
}

/// A log line of a guest that was shown a Secret: its message and its fields.
#[must_use]
pub fn log_line(secret: &[u8], message: String, fields: Vec<(String, String)>) -> (String, String) {
    let mut redactor = Redactor::default();
    redactor.note(secret);
    logging::line(&mut redactor, message, fields)
}
