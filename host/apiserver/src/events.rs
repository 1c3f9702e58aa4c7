//! Core events and `events.k8s.io` events are the same objects under two shapes
//! (`pkg/apis/events/v1/conversion.go`). Core is the stored one.

use serde_json::{Map, Value};

/// Names that differ: core, `events.k8s.io`.
const RENAMED: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
];

/// An `events.k8s.io/v1` event as a core event.
pub(crate) fn to_core(event: &Value) -> Value {
    rename(event, "v1", |key| {
        RENAMED.iter().find(|(_, new)| *new == key).map(|(core, _)| *core)
    })
}

/// A core event as an `events.k8s.io/v1` event.
pub(crate) fn from_core(event: &Value) -> Value {
    rename(event, "events.k8s.io/v1", |key| {
        RENAMED.iter().find(|(core, _)| *core == key).map(|(_, new)| *new)
    })
}

fn rename(event: &Value, api_version: &str, new_name: impl Fn(&str) -> Option<&'static str>) -> Value {
    let mut renamed = Map::new();
    for (key, value) in event.as_object().into_iter().flatten() {
        renamed.insert(
            new_name(key).map_or_else(|| key.clone(), str::to_owned),
            value.clone(),
        );
    }
    renamed.insert("apiVersion".to_owned(), api_version.into());
    Value::Object(renamed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_shapes_convert_both_ways() {
        let core = json!({
            "apiVersion": "v1", "kind": "Event", "metadata": {"name": "e"}, "reason": "R",
            "involvedObject": {"name": "p"}, "message": "m", "count": 2, "reportingComponent": "c",
        });
        let new = from_core(&core);
        assert_eq!(
            (&new["regarding"]["name"], &new["note"]),
            (&json!("p"), &json!("m"))
        );
        assert_eq!(
            (&new["deprecatedCount"], &new["reportingController"]),
            (&json!(2), &json!("c"))
        );
        assert_eq!(to_core(&new), core);
    }
}
