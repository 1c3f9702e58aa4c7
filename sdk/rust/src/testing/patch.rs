//! Patches, as far as controllers send them.

use serde_json::{Map, Value};

use crate::client::PatchType;

/// Applies a merge patch, or a strategic one whose only list is `ownerReferences`. False
/// for a JSON patch: the fake answers it as a server does that does not take the type.
pub(super) fn apply(target: &mut Value, patch: &Value, patch_type: PatchType) -> bool {
    match patch_type {
        PatchType::MergePatch => merge(target, patch, |_, _, _| false),
        PatchType::StrategicMergePatch => merge(target, patch, merge_owners),
        PatchType::JsonPatch => return false,
    }
    true
}

/// Takes care of a field itself, or says that it does not.
type Special = fn(&str, &mut Map<String, Value>, &Value) -> bool;

/// RFC 7386, but for what `special` takes care of.
fn merge(target: &mut Value, patch: &Value, special: Special) {
    let Value::Object(fields) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(target) = target.as_object_mut() else {
        return;
    };
    for (name, value) in fields {
        if special(name, target, value) {
            continue;
        }
        if value.is_null() {
            target.remove(name);
        } else {
            merge(target.entry(name.clone()).or_insert(Value::Null), value, special);
        }
    }
}

fn merge_owners(name: &str, metadata: &mut Map<String, Value>, patch: &Value) -> bool {
    let Some(changes) = patch.as_array().filter(|_| name == "ownerReferences") else {
        return false;
    };
    let mut owners = metadata
        .get(name)
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    for change in changes {
        owners.retain(|owner| owner["uid"] != change["uid"]);
        if change["$patch"] != "delete" {
            owners.push(change.clone());
        }
    }
    metadata.insert(name.to_owned(), Value::Array(owners));
    true
}
