//! `meta.k8s.io/v1` Tables as `kubectl get` shows them.

use jiff::Timestamp;
use serde_json::Value;

/// What of each object a table row carries (`?includeObject=`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum IncludeObject {
    /// Nothing.
    None,
    /// A `PartialObjectMetadata`.
    #[default]
    Metadata,
    /// The whole object.
    Object,
}

/// The column definitions of a type, as the JSON list of a Table.
#[must_use]
pub fn columns(_group: &str, _kind: &str) -> Value {
    Value::Null
}

/// One object as a table row.
#[must_use]
pub fn row(_group: &str, _kind: &str, _object: &Value, _include: IncludeObject, _now: Timestamp) -> Value {
    Value::Null
}

/// A whole Table, its list metadata empty for the caller to fill.
#[must_use]
pub fn render(
    _group: &str,
    _kind: &str,
    _objects: &[&Value],
    _include: IncludeObject,
    _now: Timestamp,
) -> Value {
    Value::Null
}
