//! The three ways to patch a document: JSON patch, merge patch, strategic merge patch.

use serde_json::Value;

/// Why a patch could not be applied, with the HTTP status to answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PatchError {
    /// HTTP status code: 400 when the patch is not one, 422 when it does not fit the document, 413 when too large.
    pub code: u16,
    /// What was wrong.
    pub message: String,
}

/// Applies an RFC 6902 patch of at most 10,000 operations.
pub fn json(_doc: &mut Value, _patch: &[u8]) -> Result<(), PatchError> {
    Ok(())
}

/// Applies an RFC 7386 patch.
pub fn merge(_doc: &mut Value, _patch: &[u8]) -> Result<(), PatchError> {
    Ok(())
}

/// Applies a strategic merge patch to a built-in type.
pub fn strategic(_group: &str, _kind: &str, _doc: &mut Value, _patch: &[u8]) -> Result<(), PatchError> {
    Ok(())
}
