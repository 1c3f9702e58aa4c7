//! Whether an object is as an assertion says: it has at least all of that.
//!
//! Objects must have every key that is expected, lists exactly as many items, each of them
//! matching; anything else must be equal. As kuttl's assertions match.

use serde_json::Value;

/// The first difference, and where it is: `None` if the object matches.
pub(super) fn difference(expected: &Value, found: &Value) -> Option<String> {
    differs(expected, found, &mut String::new())
}

fn differs(expected: &Value, found: &Value, path: &mut String) -> Option<String> {
    let length = path.len();
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            for (key, expected) in expected {
                push_key(path, key);
                let Some(found) = found.get(key) else {
                    return Some(format!("{path}: expected {expected}, found nothing"));
                };
                let difference = differs(expected, found, path);
                if difference.is_some() {
                    return difference;
                }
                path.truncate(length);
            }
            None
        }
        (Value::Array(expected), Value::Array(found)) => {
            if expected.len() != found.len() {
                let (expected, found) = (expected.len(), found.len());
                return Some(format!("{path}: expected {expected} items, found {found}"));
            }
            for (index, (expected, found)) in expected.iter().zip(found).enumerate() {
                path.push_str(&format!("[{index}]"));
                let difference = differs(expected, found, path);
                if difference.is_some() {
                    return difference;
                }
                path.truncate(length);
            }
            None
        }
        (expected, found) if expected == found => None,
        (expected, found) => Some(format!("{path}: expected {expected}, found {found}")),
    }
}

/// `.data`, or `["example.com/key"]` if it could be misread.
fn push_key(path: &mut String, key: &str) {
    let is_plain = key
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    if is_plain {
        path.push('.');
        path.push_str(key);
    } else {
        path.push_str(&format!("[{key:?}]"));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_expected_does_not_matter() {
        let found = json!({"spec": {"replicas": 3, "paused": false}, "status": {}});
        assert_eq!(difference(&json!({"spec": {"replicas": 3}}), &found), None);
        assert_eq!(difference(&json!({}), &found), None);
    }

    #[test]
    fn the_first_difference_is_told_with_its_place() {
        for (expected, found, told) in [
            (
                json!({"a": {"b": 1}}),
                json!({"a": {"b": 2}}),
                ".a.b: expected 1, found 2",
            ),
            (
                json!({"a": {"b": 1}}),
                json!({"a": {}}),
                ".a.b: expected 1, found nothing",
            ),
            (
                json!({"a": {"b": 1}}),
                json!({"a": null}),
                r#".a: expected {"b":1}, found null"#,
            ),
            (
                json!({"a": [1, 2]}),
                json!({"a": [1]}),
                ".a: expected 2 items, found 1",
            ),
            (
                json!({"a": [{"b": 1}]}),
                json!({"a": [{"b": "1"}]}),
                r#".a[0].b: expected 1, found "1""#,
            ),
            (
                json!({"example.com/a": ""}),
                json!({}),
                r#"["example.com/a"]: expected "", found nothing"#,
            ),
        ] {
            assert_eq!(difference(&expected, &found).as_deref(), Some(told));
        }
    }

    #[test]
    fn items_of_lists_match_one_by_one() {
        let found = json!({"a": [{"b": 1, "c": 2}, {"b": 3}]});
        assert_eq!(difference(&json!({"a": [{"b": 1}, {}]}), &found), None);
        assert!(difference(&json!({"a": [{}, {"b": 1}]}), &found).is_some());
    }
}
