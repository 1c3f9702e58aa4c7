//! Answers to writes that were never sent: what a server might have answered.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use serde_json::{Map, Value, json};
use windlass_core::seams::{ApiRequest, ApiVerb};

/// Makes names and UIDs differ.
static INVENTED: AtomicU64 = AtomicU64::new(1);

/// What the server might have answered to a write. A patched object is made of the patch
/// alone, because what it would have been merged into is not known.
pub(crate) fn answer(request: &ApiRequest) -> Bytes {
    let sent = match &request.verb {
        ApiVerb::Create(body) | ApiVerb::Update(body) | ApiVerb::Patch(_, body) => body.as_ref(),
        ApiVerb::Delete(_) | ApiVerb::Get | ApiVerb::List(_) => b"",
    };
    if matches!(request.verb, ApiVerb::Delete(_)) {
        let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"});
        return status.to_string().into();
    }
    let mut object = match serde_json::from_slice(sent) {
        Ok(Value::Object(object)) => object,
        // A JSON patch, or nothing that a server would take.
        Ok(_) | Err(_) => Map::new(),
    };
    complete(&mut object, request);
    Value::Object(object).to_string().into()
}

/// Fills in what only a server knows.
fn complete(object: &mut Map<String, Value>, request: &ApiRequest) {
    let number = INVENTED.fetch_add(1, Ordering::Relaxed);
    let metadata = object.entry("metadata").or_insert_with(|| json!({}));
    let Some(metadata) = metadata.as_object_mut() else {
        return;
    };
    let mut default = |field: &str, value: String| {
        if !value.is_empty()
            && metadata
                .get(field)
                .and_then(Value::as_str)
                .unwrap_or("")
                .is_empty()
        {
            metadata.insert(field.to_owned(), Value::from(value));
        }
    };
    default("name", request.key.name.to_string());
    default("namespace", request.key.namespace.to_string());
    default("uid", format!("00000000-0000-4000-8000-{number:012x}"));
    default("resourceVersion", "1".to_owned());
    default("creationTimestamp", "1970-01-01T00:00:00Z".to_owned());
    let prefix = metadata
        .get("generateName")
        .and_then(Value::as_str)
        .map(str::to_owned);
    if let Some(prefix) = prefix.filter(|_| !metadata.contains_key("name")) {
        metadata.insert("name".to_owned(), Value::from(format!("{prefix}{number:05x}")));
    }
}

#[cfg(test)]
mod tests {
    use windlass_core::key::{ObjectKey, Resource};

    use super::*;

    fn answered(verb: ApiVerb) -> Value {
        let request = ApiRequest {
            resource: Resource::new("", "v1", "pods"),
            key: ObjectKey::new("default", ""),
            subresource: "".into(),
            verb,
        };
        serde_json::from_slice(&answer(&request)).unwrap()
    }

    #[test]
    fn a_created_object_gets_what_only_a_server_knows() {
        let body = br#"{"metadata":{"generateName":"web-"},"spec":{}}"#;
        let object = answered(ApiVerb::Create(Bytes::from_static(body)));
        let metadata = &object["metadata"];
        assert!(metadata["name"].as_str().unwrap().starts_with("web-"));
        assert_eq!(metadata["namespace"], "default");
        assert!(metadata["uid"].is_string() && metadata["resourceVersion"].is_string());
    }

    #[test]
    fn a_delete_succeeds() {
        assert_eq!(answered(ApiVerb::Delete(Default::default()))["status"], "Success");
    }
}
