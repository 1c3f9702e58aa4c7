//! The three ways to patch a document: JSON patch, merge patch, strategic merge patch.
//!
//! Each function changes the document in place. When one fails, the document
//! is left partly changed: the caller patches a copy and drops it. Whether the
//! result is a valid object is not decided here.

mod merge_keys;
mod strategic;

use json_patch::{Patch, PatchOperation};
use serde_json::{Map, Value};
use std::io;

/// The most operations that a JSON patch may have.
const MAX_JSON_PATCH_OPERATIONS: usize = 10_000;

/// How many bytes the `copy` operations of one JSON patch may add to the document.
const MAX_COPIED_BYTES: usize = 3 * 1024 * 1024;

/// Why a patch could not be applied, with the HTTP status to answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PatchError {
    /// HTTP status: 400 when the patch is malformed, 422 when it does not fit the document, 413 when too large.
    pub code: u16,
    /// What was wrong.
    pub message: String,
}

impl PatchError {
    fn malformed(message: impl Into<String>) -> Self {
        Self {
            code: 400,
            message: message.into(),
        }
    }

    fn unprocessable(message: impl Into<String>) -> Self {
        Self {
            code: 422,
            message: message.into(),
        }
    }

    fn too_large(message: impl Into<String>) -> Self {
        Self {
            code: 413,
            message: message.into(),
        }
    }
}

/// Applies an RFC 6902 patch of at most 10,000 operations.
pub fn json(doc: &mut Value, patch: &[u8]) -> Result<(), PatchError> {
    let Patch(operations) = serde_json::from_slice(patch)
        .map_err(|error| PatchError::malformed(format!("error decoding patch: {error}")))?;
    if operations.len() > MAX_JSON_PATCH_OPERATIONS {
        return Err(PatchError::too_large(format!(
            "The allowed maximum operations in a JSON patch is {MAX_JSON_PATCH_OPERATIONS}, got {}",
            operations.len()
        )));
    }
    let mut copied = 0;
    for operation in &operations {
        if let PatchOperation::Copy(copy) = operation {
            copied += doc.pointer(copy.from.as_str()).map_or(0, encoded_len);
            if copied > MAX_COPIED_BYTES {
                return Err(PatchError::too_large(format!(
                    "Unable to complete the copy, the accumulated size increase of copy is {copied}, exceeding the limit {MAX_COPIED_BYTES}"
                )));
            }
        }
        json_patch::patch(doc, std::slice::from_ref(operation))
            .map_err(|error| PatchError::unprocessable(error.to_string()))?;
    }
    Ok(())
}

/// Applies an RFC 7386 patch, which has to be an object.
pub fn merge(doc: &mut Value, patch: &[u8]) -> Result<(), PatchError> {
    merge_members(doc, decode_object(patch)?);
    Ok(())
}

/// Applies a strategic merge patch to a built-in type.
pub fn strategic(group: &str, kind: &str, doc: &mut Value, patch: &[u8]) -> Result<(), PatchError> {
    let patch = decode_object(patch)?;
    strategic::apply(group, kind, doc, patch)
}

fn decode_object(patch: &[u8]) -> Result<Map<String, Value>, PatchError> {
    serde_json::from_slice(patch)
        .map_err(|error| PatchError::malformed(format!("error decoding patch: {error}")))
}

fn merge_members(doc: &mut Value, patch: Map<String, Value>) {
    if !doc.is_object() {
        *doc = Value::Object(Map::new());
    }
    let Some(members) = doc.as_object_mut() else {
        return;
    };
    for (key, value) in patch {
        match value {
            Value::Null => drop(members.remove(&key)),
            Value::Object(patch) => merge_members(members.entry(key).or_insert(Value::Null), patch),
            value => drop(members.insert(key, value)),
        }
    }
}

/// The length of a value as compact JSON, without building it.
fn encoded_len(value: &Value) -> usize {
    struct Counter(usize);
    impl io::Write for Counter {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut counter = Counter(0);
    // Neither the counter nor a JSON value can make serialisation fail.
    let _ = serde_json::to_writer(&mut counter, value);
    counter.0
}

#[cfg(test)]
mod tests;
