//! Takes the content out of Secrets, so that a recording can be handed on.
//!
//! Masked are the values of `data` and `stringData`, and the annotation in which `kubectl`
//! keeps a copy of them, of whatever goes to or comes from the resource `secrets`, items
//! of a list included. What a guest copied out of a Secret into another object is not
//! recognised. A guest that acts on the content acts otherwise in a replay.

use bytes::Bytes;
use serde_json::{Map, Value};
use windlass_core::key::Resource;

/// Base64 of `masked`, because a reader may decode it.
const MASK: &str = "bWFza2Vk";
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Whether objects of a resource are masked.
pub(crate) fn is_secret(resource: &Resource) -> bool {
    resource.group.is_empty() && resource.plural == "secrets"
}

/// A body without what is secret in it. One that is not understood is left out altogether.
pub(crate) fn mask(body: &[u8]) -> Bytes {
    let masked = match serde_json::from_slice(body) {
        Ok(Value::Object(mut object)) => {
            mask_object(&mut object);
            Value::Object(object)
        }
        // A JSON patch.
        Ok(Value::Array(mut operations)) => {
            for operation in operations.iter_mut().filter_map(Value::as_object_mut) {
                if operation.contains_key("value") {
                    operation.insert("value".to_owned(), Value::from(MASK));
                }
            }
            Value::Array(operations)
        }
        Ok(_) | Err(_) => Value::from(MASK),
    };
    masked.to_string().into()
}

fn mask_object(object: &mut Map<String, Value>) {
    for field in ["data", "stringData"] {
        let data = object.get_mut(field).and_then(Value::as_object_mut);
        for value in data.into_iter().flat_map(Map::values_mut) {
            *value = Value::from(MASK);
        }
    }
    let annotations = object
        .get_mut("metadata")
        .and_then(|metadata| metadata.get_mut("annotations"));
    if let Some(last_applied) = annotations.and_then(|all| all.get_mut(LAST_APPLIED)) {
        *last_applied = Value::from(MASK);
    }
    let items = object.get_mut("items").and_then(Value::as_array_mut);
    for item in items.into_iter().flatten().filter_map(Value::as_object_mut) {
        mask_object(item);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn masked(body: &Value) -> Value {
        serde_json::from_slice(&mask(body.to_string().as_bytes())).unwrap()
    }

    #[test]
    fn the_content_of_a_secret_goes_and_the_rest_stays() {
        let secret = json!({
            "metadata": {"name": "s", "annotations": {LAST_APPLIED: "{\"data\":{\"a\":\"c2VjcmV0\"}}", "b": "c"}},
            "type": "Opaque", "data": {"a": "c2VjcmV0"}, "stringData": {"x": "secret"},
        });
        let expected = json!({
            "metadata": {"name": "s", "annotations": {LAST_APPLIED: MASK, "b": "c"}},
            "type": "Opaque", "data": {"a": MASK}, "stringData": {"x": MASK},
        });
        assert_eq!(masked(&secret), expected);
        assert_eq!(masked(&json!({"items": [secret]})), json!({"items": [expected]}));
    }

    #[test]
    fn patches_and_what_is_no_json_give_nothing_away() {
        let patch = json!([{"op": "replace", "path": "/data/a", "value": "c2VjcmV0"}]);
        assert_eq!(
            masked(&patch),
            json!([{"op": "replace", "path": "/data/a", "value": MASK}])
        );
        assert_eq!(mask(b"secret").as_ref(), b"\"bWFza2Vk\"");
    }
}
