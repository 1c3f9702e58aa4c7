//! Strategic merge patch, as `apimachinery/pkg/util/strategicpatch` applies it.
//!
//! Lists merge by the keys of [`merge_keys`](super::merge_keys); the directives
//! `$patch`, `$deleteFromPrimitiveList/`, `$setElementOrder/` and `$retainKeys`
//! steer it. Items that a patch adds come before those only the server has,
//! unless both are in the document already, which is upstream's order too.

use super::PatchError;
use super::merge_keys::{ListRule, list_rule, map_is_replaced};
use serde_json::{Map, Value};

const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_FROM: &str = "$deleteFromPrimitiveList/";
const SET_ORDER: &str = "$setElementOrder/";

type Members = Map<String, Value>;

/// Applies a patch to a document of a built-in kind.
pub(super) fn apply(group: &str, kind: &str, doc: &mut Value, patch: Members) -> Result<(), PatchError> {
    let Some(members) = doc.as_object_mut() else {
        return Err(PatchError::malformed("invalid JSON document"));
    };
    Merger { group, kind }.map(members, patch, "")
}

struct Merger<'a> {
    group: &'a str,
    kind: &'a str,
}

impl Merger<'_> {
    /// Merges the members of one map that is the value (or a list item) of the property `parent`.
    fn map(&self, doc: &mut Members, mut patch: Members, parent: &str) -> Result<(), PatchError> {
        match patch.remove(DIRECTIVE).as_ref().map(Value::as_str) {
            None => {}
            Some(Some("replace")) => {
                *doc = patch;
                return Ok(());
            }
            Some(Some("delete")) => {
                doc.clear();
                return Ok(());
            }
            Some(other) => return Err(unknown_directive(other)),
        }
        retain_keys(doc, &mut patch)?;
        self.ordered_lists(doc, &mut patch, parent)?;
        for (key, value) in patch {
            self.member(doc, key, value, parent)?;
        }
        Ok(())
    }

    fn member(&self, doc: &mut Members, key: String, value: Value, parent: &str) -> Result<(), PatchError> {
        if let Some(property) = key.strip_prefix(DELETE_FROM) {
            return delete_scalars(doc, property, &value);
        }
        if value.is_null() {
            doc.remove(&key);
            return Ok(());
        }
        match (doc.get_mut(&key), value) {
            (Some(Value::Object(current)), Value::Object(patch))
                if !map_is_replaced(self.kind, parent, &key) =>
            {
                self.map(current, patch, &key)
            }
            (Some(Value::Array(current)), Value::Array(patch)) => {
                let rule = list_rule(self.group, self.kind, parent, &key);
                *current = self.list(std::mem::take(current), patch, rule, &key)?;
                Ok(())
            }
            (_, mut value) => {
                if strip_directives(&mut value) {
                    doc.insert(key, value);
                }
                Ok(())
            }
        }
    }

    /// Merges one list and puts it in the order of the patch.
    fn list(
        &self,
        current: Vec<Value>,
        patch: Vec<Value>,
        rule: ListRule,
        property: &str,
    ) -> Result<Vec<Value>, PatchError> {
        match rule {
            ListRule::Atomic => Ok(stripped(patch)),
            ListRule::Set => {
                let order = current.clone();
                let mut merged = current;
                for value in &patch {
                    if !merged.contains(value) {
                        merged.push(value.clone());
                    }
                }
                Ok(in_order(merged, &patch, &order, ""))
            }
            ListRule::Map(key) => self.keyed_list(current, patch, key, property),
        }
    }

    fn keyed_list(
        &self,
        mut current: Vec<Value>,
        patch: Vec<Value>,
        key: &str,
        property: &str,
    ) -> Result<Vec<Value>, PatchError> {
        let mut items = Vec::with_capacity(patch.len());
        let mut replace = false;
        for item in patch {
            match item.get(DIRECTIVE).map(Value::as_str) {
                None => items.push(item),
                Some(Some("replace")) => replace = true,
                Some(Some("delete")) => {
                    let wanted = key_of(&item, key)?;
                    current.retain(|item| item.get(key) != Some(wanted));
                }
                Some(Some("merge")) => {
                    return Err(PatchError::unprocessable(
                        "merging lists cannot yet be specified in the patch",
                    ));
                }
                Some(other) => return Err(unknown_directive(other)),
            }
        }
        if replace {
            return Ok(stripped(items));
        }
        let server_order = identities(&current, key);
        let patch_order = identities(&items, key);
        for mut item in items {
            let wanted = key_of(&item, key)?;
            match current
                .iter_mut()
                .find(|item| item.get(key) == Some(wanted))
                .and_then(Value::as_object_mut)
            {
                Some(existing) => self.map(existing, into_members(item)?, property)?,
                None => {
                    strip_directives(&mut item);
                    current.push(item);
                }
            }
        }
        Ok(in_order(current, &patch_order, &server_order, key))
    }

    /// Merges the lists that come with an order, and removes them from the patch.
    fn ordered_lists(&self, doc: &mut Members, patch: &mut Members, parent: &str) -> Result<(), PatchError> {
        let directives: Vec<String> = patch
            .keys()
            .filter(|key| key.starts_with(SET_ORDER))
            .cloned()
            .collect();
        for directive in directives {
            let (Some(order), Some(property)) = (patch.remove(&directive), directive.strip_prefix(SET_ORDER))
            else {
                continue;
            };
            let Value::Array(order) = order else {
                return Err(bad_order_format());
            };
            let rule = list_rule(self.group, self.kind, parent, property);
            let changes = match patch.remove(property) {
                None => None,
                Some(Value::Array(changes)) => Some(changes),
                // The list goes away altogether, whatever its order was to be.
                Some(Value::Null) => {
                    doc.remove(property);
                    continue;
                }
                Some(_) => return Err(bad_order_format()),
            };
            check_order(changes.as_deref().unwrap_or_default(), &order, rule.key())?;
            let current = doc
                .get_mut(property)
                .and_then(Value::as_array_mut)
                .map(std::mem::take);
            if current.is_none() && changes.is_none() {
                continue;
            }
            let server_order = identities(current.as_deref().unwrap_or_default(), rule.key());
            let merged = match (current, changes) {
                (Some(current), Some(changes)) => self.list(current, changes, rule, property)?,
                (Some(list), None) => list,
                (None, changes) => stripped(changes.unwrap_or_default()),
            };
            doc.insert(
                property.to_owned(),
                Value::Array(in_order(merged, &order, &server_order, rule.key())),
            );
        }
        Ok(())
    }
}

/// Applies `$retainKeys`: members that it does not name are cleared.
fn retain_keys(doc: &mut Members, patch: &mut Members) -> Result<(), PatchError> {
    let keys = match patch.remove(RETAIN_KEYS) {
        None => return Ok(()),
        Some(Value::Array(keys)) => keys,
        Some(_) => return Err(bad_retain_keys()),
    };
    let retained = |key: &str| keys.iter().any(|retained| retained.as_str() == Some(key));
    let exempt = |key: &str, value: &Value| {
        value.is_null() || key.starts_with(DELETE_FROM) || key.starts_with(SET_ORDER) || retained(key)
    };
    if !patch.iter().all(|(key, value)| exempt(key, value)) {
        return Err(bad_retain_keys());
    }
    doc.retain(|key, _| retained(key));
    Ok(())
}

fn delete_scalars(doc: &mut Members, property: &str, values: &Value) -> Result<(), PatchError> {
    let Some(values) = values.as_array() else {
        return Err(PatchError::malformed("invalid patch format of primitive list"));
    };
    if let Some(current) = doc.get_mut(property).and_then(Value::as_array_mut) {
        current.retain(|value| !values.contains(value));
    }
    Ok(())
}

/// The part of an item that identifies it: its key member, or all of a scalar.
fn identity<'a>(item: &'a Value, key: &str) -> &'a Value {
    if key.is_empty() {
        item
    } else {
        item.get(key).unwrap_or(item)
    }
}

fn identities(items: &[Value], key: &str) -> Vec<Value> {
    items.iter().map(|item| identity(item, key).clone()).collect()
}

fn position(order: &[Value], item: &Value, key: &str) -> Option<usize> {
    let wanted = identity(item, key);
    order.iter().position(|entry| identity(entry, key) == wanted)
}

/// Orders a merged list: items of the patch as `patch_order` has them, others as the server had them.
///
/// Where the two interleave, a server-only item goes first only if the
/// document had it before the patch's item.
fn in_order(merged: Vec<Value>, patch_order: &[Value], server_order: &[Value], key: &str) -> Vec<Value> {
    let (mut patched, mut others): (Vec<_>, Vec<_>) = merged
        .into_iter()
        .partition(|item| position(patch_order, item, key).is_some());
    patched.sort_by_key(|item| position(patch_order, item, key));
    others.sort_by_key(|item| position(server_order, item, key));
    let mut ordered = Vec::with_capacity(patched.len() + others.len());
    let mut others = others.into_iter().peekable();
    for item in patched {
        let place = position(server_order, &item, key);
        while let Some(other) = others.next_if(|other| {
            matches!((position(server_order, other, key), place), (Some(other), Some(place)) if other < place)
        }) {
            ordered.push(other);
        }
        ordered.push(item);
    }
    ordered.extend(others);
    ordered
}

/// Refuses a patch list that does not follow its own `$setElementOrder`.
fn check_order(changes: &[Value], order: &[Value], key: &str) -> Result<(), PatchError> {
    let mut remaining = order.iter();
    for change in changes.iter().filter(|change| change.get(DIRECTIVE).is_none()) {
        let wanted = identity(change, key);
        if !remaining.any(|entry| identity(entry, key) == wanted) {
            return Err(PatchError::malformed(format!(
                "The order in patch list:\n{}\n doesn't match $setElementOrder list:\n{}\n",
                Value::Array(changes.to_vec()),
                Value::Array(order.to_vec()),
            )));
        }
    }
    Ok(())
}

/// Removes directives and nulls from a value that is taken over as it is; false if nothing is to be taken.
fn strip_directives(value: &mut Value) -> bool {
    match value {
        Value::Object(members) => {
            if members.get(DIRECTIVE).and_then(Value::as_str) == Some("delete") {
                return false;
            }
            members.retain(|key, value| {
                let directive = key == DIRECTIVE
                    || key == RETAIN_KEYS
                    || key.starts_with(SET_ORDER)
                    || key.starts_with(DELETE_FROM);
                !directive && !value.is_null() && strip_directives(value)
            });
            true
        }
        Value::Array(items) => {
            let before = items.len();
            items.retain_mut(|item| !is_bare_directive(item) && strip_directives(item));
            before == 0 || !items.is_empty()
        }
        _ => true,
    }
}

/// Whether a list item is nothing but `{"$patch": …}`, which speaks of the list.
fn is_bare_directive(item: &Value) -> bool {
    item.as_object()
        .is_some_and(|members| members.len() == 1 && members.contains_key(DIRECTIVE))
}

fn stripped(items: Vec<Value>) -> Vec<Value> {
    items
        .into_iter()
        .filter_map(|mut item| (!is_bare_directive(&item) && strip_directives(&mut item)).then_some(item))
        .collect()
}

fn key_of<'a>(item: &'a Value, key: &str) -> Result<&'a Value, PatchError> {
    item.get(key).ok_or_else(|| {
        PatchError::unprocessable(format!("map: {item} does not contain declared merge key: {key}"))
    })
}

fn into_members(item: Value) -> Result<Members, PatchError> {
    match item {
        Value::Object(members) => Ok(members),
        other => Err(PatchError::unprocessable(format!(
            "expected a map in the patch, found {other}"
        ))),
    }
}

fn unknown_directive(directive: Option<&str>) -> PatchError {
    PatchError::unprocessable(format!(
        "unknown patch type \"{}\" in map",
        directive.unwrap_or_default()
    ))
}

fn bad_retain_keys() -> PatchError {
    PatchError::malformed("invalid patch format of retainKeys")
}

fn bad_order_format() -> PatchError {
    PatchError::malformed("invalid patch format of setElementOrder list")
}
