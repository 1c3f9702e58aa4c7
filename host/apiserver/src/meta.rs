//! Reading and writing `metadata` of parsed objects.

use jiff::Timestamp;
use serde_json::{Map, Value};

/// Now, as Kubernetes writes times: RFC 3339 in whole seconds.
pub(crate) fn now() -> String {
    rfc3339(Timestamp::now())
}

/// A time in whole seconds.
pub(crate) fn rfc3339(time: Timestamp) -> String {
    format!("{:.0}", Timestamp::from_second(time.as_second()).unwrap_or(time))
}

/// `metadata`, if it is an object.
pub(crate) fn metadata(object: &Value) -> Option<&Map<String, Value>> {
    object.get("metadata").and_then(Value::as_object)
}

/// `metadata`, created if absent. `None` when the object or its metadata is something else.
pub(crate) fn metadata_mut(object: &mut Value) -> Option<&mut Map<String, Value>> {
    let metadata = object.as_object_mut()?.entry("metadata").or_insert(Value::Null);
    if metadata.is_null() {
        *metadata = Value::Object(Map::new());
    }
    metadata.as_object_mut()
}

/// A text in `metadata`, empty if absent.
pub(crate) fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    metadata(object)
        .and_then(|metadata| metadata.get(key))
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// A number in `metadata`.
pub(crate) fn number(object: &Value, key: &str) -> Option<i64> {
    metadata(object)
        .and_then(|metadata| metadata.get(key))
        .and_then(Value::as_i64)
}

/// Sets a member of `metadata`, or removes it with `null`.
pub(crate) fn set(object: &mut Value, key: &str, value: impl Into<Value>) {
    let Some(metadata) = metadata_mut(object) else {
        return;
    };
    match value.into() {
        Value::Null => metadata.remove(key),
        value => metadata.insert(key.to_owned(), value),
    };
}

/// Finalizers, in order.
pub(crate) fn finalizers(object: &Value) -> Vec<&str> {
    let list = metadata(object)
        .and_then(|metadata| metadata.get("finalizers"))
        .and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Whether the object has a deletion timestamp.
pub(crate) fn deleting(object: &Value) -> bool {
    !text(object, "deletionTimestamp").is_empty()
}

/// Adds one to the generation of an object that has one.
pub(crate) fn advance_generation(object: &mut Value) {
    if let Some(generation) = number(object, "generation") {
        set(object, "generation", generation + 1);
    }
}
