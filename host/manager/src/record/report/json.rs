//! Where two JSON documents differ.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

/// More are not listed.
const MAX_CHANGES: usize = 20;

/// One field that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FieldChange {
    /// Such as `spec.replicas` or `spec.containers[0].image`; empty for the whole document.
    pub path: String,
    /// JSON as recorded; nothing if it was not there.
    pub recorded: Option<String>,
    /// JSON as replayed; nothing if it is not there.
    pub replayed: Option<String>,
}

impl fmt::Display for FieldChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
        let path = if self.path.is_empty() { "body" } else { &self.path };
        write!(f, "{path}: {} → {}", shown(&self.recorded), shown(&self.replayed))
    }
}

/// The fields in which two bodies differ, at most 20 of them.
pub(crate) fn changes(recorded: &[u8], replayed: &[u8]) -> Vec<FieldChange> {
    let mut changes = Vec::new();
    let parse = |bytes| serde_json::from_slice::<Value>(bytes).ok();
    match (parse(recorded), parse(replayed)) {
        (Some(recorded), Some(replayed)) => {
            compare(String::new(), Some(&recorded), Some(&replayed), &mut changes);
        }
        _ if recorded == replayed => {}
        _ => changes.push(FieldChange {
            path: String::new(),
            recorded: Some(String::from_utf8_lossy(recorded).into_owned()),
            replayed: Some(String::from_utf8_lossy(replayed).into_owned()),
        }),
    }
    changes
}

fn compare(path: String, recorded: Option<&Value>, replayed: Option<&Value>, changes: &mut Vec<FieldChange>) {
    if recorded == replayed || changes.len() >= MAX_CHANGES {
        return;
    }
    match (recorded, replayed) {
        (Some(Value::Object(recorded)), Some(Value::Object(replayed))) => {
            let new = replayed.keys().filter(|field| !recorded.contains_key(*field));
            for field in recorded.keys().chain(new) {
                let separator = if path.is_empty() { "" } else { "." };
                let path = format!("{path}{separator}{field}");
                compare(path, recorded.get(field), replayed.get(field), changes);
            }
        }
        (Some(Value::Array(recorded)), Some(Value::Array(replayed))) => {
            for index in 0..recorded.len().max(replayed.len()) {
                let path = format!("{path}[{index}]");
                compare(path, recorded.get(index), replayed.get(index), changes);
            }
        }
        _ => changes.push(FieldChange {
            path,
            recorded: recorded.map(Value::to_string),
            replayed: replayed.map(Value::to_string),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differing_fields_are_named_by_path() {
        let recorded = br#"{"spec":{"replicas":2,"list":[{"a":1}],"same":true}}"#;
        let replayed = br#"{"spec":{"replicas":3,"list":[{"a":1},{"b":2}],"same":true},"new":null}"#;
        let lines: Vec<String> = changes(recorded, replayed)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            lines,
            [
                "spec.list[1]: nothing → {\"b\":2}",
                "spec.replicas: 2 → 3",
                "new: nothing → null"
            ]
        );
    }

    #[test]
    fn the_spelling_of_json_is_no_field() {
        assert_eq!(changes(b"{\"a\":1}", b"{ \"a\": 1 }"), []);
        assert_eq!(changes(b"x", b"y").len(), 1);
    }
}
