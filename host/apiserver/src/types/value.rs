//! Reading and writing JSON the way a typed decoder would see it.
//!
//! `null` counts as absent everywhere; for strings and lists so does the empty
//! value where the typed field has no pointer.

use serde_json::{Map, Value};

/// A JSON object's members.
pub(crate) type Object = Map<String, Value>;

/// The value at a path of member names; `None` when absent or `null`.
pub(crate) fn at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    let found = path.iter().try_fold(value, |value, key| value.get(key))?;
    (!found.is_null()).then_some(found)
}

/// The string at a path, `""` when absent, as Go's zero value would be.
pub(crate) fn text<'a>(value: &'a Value, path: &[&str]) -> &'a str {
    at(value, path).and_then(Value::as_str).unwrap_or_default()
}

/// The integer at a path.
pub(crate) fn int(value: &Value, path: &[&str]) -> Option<i64> {
    at(value, path).and_then(Value::as_i64)
}

/// The boolean at a path, `false` when absent.
pub(crate) fn flag(value: &Value, path: &[&str]) -> bool {
    at(value, path).and_then(Value::as_bool).unwrap_or_default()
}

/// The list at a path, empty when absent.
pub(crate) fn list<'a>(value: &'a Value, path: &[&str]) -> &'a [Value] {
    at(value, path)
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default()
}

/// The members at a path.
pub(crate) fn object<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Object> {
    at(value, path).and_then(Value::as_object)
}

/// The string pairs of a map such as labels.
pub(crate) fn pairs<'a>(value: &'a Value, path: &[&str]) -> impl Iterator<Item = (&'a str, &'a str)> {
    object(value, path)
        .into_iter()
        .flatten()
        .map(|(key, value)| (key.as_str(), value.as_str().unwrap_or_default()))
}

/// The members of a child object, created when absent or `null`.
///
/// `None` only when the child is there and is something else than an object.
pub(crate) fn child<'a>(object: &'a mut Object, key: &str) -> Option<&'a mut Object> {
    if object.get(key).is_none_or(Value::is_null) {
        object.insert(key.to_owned(), Value::Object(Object::new()));
    }
    object.get_mut(key).and_then(Value::as_object_mut)
}

/// Whether two optional values are equal, `null` and absence being the same.
pub(crate) fn same(left: Option<&Value>, right: Option<&Value>) -> bool {
    left.filter(|value| !value.is_null()) == right.filter(|value| !value.is_null())
}

/// Sets a member unless it is there: a pointer field's default.
pub(crate) fn default_to(object: &mut Object, key: &str, value: impl Into<Value>) {
    if object.get(key).is_none_or(Value::is_null) {
        object.insert(key.to_owned(), value.into());
    }
}

/// Sets a string member unless it is there and not empty: a value field's default.
pub(crate) fn default_text(object: &mut Object, key: &str, value: &str) {
    if object.get(key).and_then(Value::as_str).is_none_or(str::is_empty) {
        object.insert(key.to_owned(), Value::from(value));
    }
}

/// Sets a numeric member unless it is there and not zero: a value field's default.
pub(crate) fn default_number(object: &mut Object, key: &str, value: i64) {
    if object
        .get(key)
        .and_then(Value::as_i64)
        .is_none_or(|number| number == 0)
    {
        object.insert(key.to_owned(), Value::from(value));
    }
}
