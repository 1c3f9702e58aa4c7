//! The part of JSONPath that custom resource definitions use for columns, scale and
//! selectable fields: members, indexes, and filters by equality
//! (`.status.conditions[?(@.type=="Ready")].status`).

use serde_json::{Map, Value};

/// One step of a path.
#[derive(Debug, PartialEq, Eq)]
enum Step<'a> {
    Member(&'a str),
    Index(usize),
    Where { member: &'a str, equals: &'a str },
    All,
}

/// The first value at a path.
pub(crate) fn first<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    steps(path).try_fold(value, |value, step| match step {
        Step::Member(name) => value.get(name),
        Step::Index(index) => value.get(index),
        Step::All => value.as_array()?.first(),
        Step::Where { member, equals } => value
            .as_array()?
            .iter()
            .find(|item| item.get(member).and_then(Value::as_str) == Some(equals)),
    })
}

/// Sets a member at a path of members, creating objects on the way.
pub(crate) fn set(value: &mut Value, path: &str, new: Value) {
    let mut slot = value;
    for step in steps(path) {
        let Step::Member(name) = step else { return };
        if slot.is_null() {
            *slot = Value::Object(Map::new());
        }
        let Some(members) = slot.as_object_mut() else {
            return;
        };
        slot = members.entry(name).or_insert(Value::Null);
    }
    *slot = new;
}

fn steps(path: &str) -> impl Iterator<Item = Step<'_>> {
    let mut rest = path.strip_prefix('$').unwrap_or(path);
    std::iter::from_fn(move || {
        rest = rest.strip_prefix('.').unwrap_or(rest);
        if rest.is_empty() {
            return None;
        }
        let (step, after) = match rest.strip_prefix('[') {
            Some(bracket) => {
                let end = bracket.find(']').unwrap_or(bracket.len());
                let (inner, after) = bracket.split_at(end);
                (bracket_step(inner), after.strip_prefix(']').unwrap_or(after))
            }
            None => {
                let end = rest.find(['.', '[']).unwrap_or(rest.len());
                let (name, after) = rest.split_at(end);
                (Step::Member(name), after)
            }
        };
        rest = after;
        Some(step)
    })
}

fn bracket_step(inner: &str) -> Step<'_> {
    if inner == "*" {
        return Step::All;
    }
    if let Ok(index) = inner.parse() {
        return Step::Index(index);
    }
    let filter = inner
        .strip_prefix("?(@.")
        .and_then(|filter| filter.strip_suffix(')'));
    match filter.and_then(|filter| filter.split_once("==")) {
        Some((member, equals)) => Step::Where {
            member: member.trim(),
            equals: unquote(equals.trim()),
        },
        None => Step::Member(unquote(inner)),
    }
}

fn unquote(text: &str) -> &str {
    text.trim_matches(|quote| quote == '"' || quote == '\'')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_find_members_items_and_matches() {
        let object = json!({
            "spec": {"a-b": [1, 2]}, "metadata": {"labels": {"x.y/z": "v"}},
            "status": {"conditions": [{"type": "A", "status": "False"}, {"type": "Ready", "status": "True"}]},
        });
        assert_eq!(first(&object, ".spec.a-b[1]"), Some(&json!(2)));
        assert_eq!(
            first(&object, ".status.conditions[?(@.type==\"Ready\")].status"),
            Some(&json!("True"))
        );
        assert_eq!(first(&object, ".metadata.labels['x.y/z']"), Some(&json!("v")));
        assert_eq!(first(&object, ".spec.none.deeper"), None);
    }

    #[test]
    fn setting_creates_what_is_missing() {
        let mut object = json!({});
        set(&mut object, ".spec.replicas", 3.into());
        assert_eq!(object, json!({"spec": {"replicas": 3}}));
    }
}
