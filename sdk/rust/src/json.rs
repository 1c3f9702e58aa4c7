//! JSON that a controller copies or compares without knowing its fields, such as a pod
//! template.

use std::borrow::Cow;
use std::hash::Hasher;

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// A JSON object being edited at a few places.
///
/// Only the levels on the way to an edit are taken apart; everything else is copied as
/// text. Fields keep their order, unknown ones their value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document(String);

impl Document {
    /// Starts from this JSON object.
    #[must_use]
    pub fn new(json: &str) -> Self {
        Self(json.to_owned())
    }

    /// Sets the field at `path`, making the objects on the way if need be.
    pub fn set(&mut self, path: &[&str], value: &impl Serialize) -> Result<(), serde_json::Error> {
        let value = serde_json::value::to_raw_value(value)?;
        self.0 = replace(&self.0, path, Some(&value))?;
        Ok(())
    }

    /// Removes the field at `path`, if it is there.
    pub fn remove(&mut self, path: &[&str]) -> Result<(), serde_json::Error> {
        self.0 = replace(&self.0, path, None)?;
        Ok(())
    }

    /// The text.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0.into_bytes()
    }
}

/// The top-level fields of an object, in order.
struct Fields<'a>(Vec<(String, Cow<'a, RawValue>)>);

impl<'de: 'a, 'a> serde::Deserialize<'de> for Fields<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Fields(Vec::new()))
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, &'de RawValue>()? {
                    fields.push((name, Cow::Borrowed(value)));
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl Serialize for Fields<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, &**value)))
    }
}

fn replace(json: &str, path: &[&str], value: Option<&RawValue>) -> Result<String, serde_json::Error> {
    let Some((field, rest)) = path.split_first() else {
        return Ok(value.map_or_else(|| "null".to_owned(), |value| value.get().to_owned()));
    };
    let mut fields: Fields<'_> = serde_json::from_slice(json.as_bytes())?;
    let position = fields.0.iter().position(|(name, _)| name == field);
    match (position, value) {
        (Some(position), None) if rest.is_empty() => drop(fields.0.remove(position)),
        (None, None) => {}
        _ => {
            let old = position
                .and_then(|position| fields.0.get(position))
                .map_or("{}", |(_, old)| old.get());
            let new = Cow::Owned(RawValue::from_string(replace(old, rest, value)?)?);
            match position.and_then(|position| fields.0.get_mut(position)) {
                Some((_, old)) => *old = new,
                None => fields.0.push(((*field).to_owned(), new)),
            }
        }
    }
    serde_json::to_string(&fields)
}

/// Fields whose empty object means the same as none: structures and maps that are not
/// behind a pointer in Kubernetes' types. Elsewhere `{}` says something, as in `emptyDir: {}`.
const EMPTY_IS_ABSENT: &[&str] = &[
    "annotations",
    "labels",
    "limits",
    "matchLabels",
    "metadata",
    "nodeSelector",
    "requests",
    "resources",
    "strategy",
];

/// Equality as Kubernetes' `Semantic.DeepEqual` means it: `null`, an empty list and an
/// absent field are the same, and so is an empty object where it says nothing.
#[must_use]
pub fn semantically_equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Object(left), Value::Object(right)) => {
            left.iter()
                .all(|(name, value)| fields_equal(name, value, right.get(name)))
                && right
                    .iter()
                    .all(|(name, value)| left.contains_key(name) || says_nothing(name, value))
        }
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .zip(right)
                    .all(|(left, right)| semantically_equal(left, right))
        }
        (left, right) => left == right,
    }
}

fn fields_equal(name: &str, left: &Value, right: Option<&Value>) -> bool {
    match right {
        Some(right) => {
            semantically_equal(left, right) || (says_nothing(name, left) && says_nothing(name, right))
        }
        None => says_nothing(name, left),
    }
}

fn says_nothing(name: &str, value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => {
            EMPTY_IS_ABSENT.contains(&name) && fields.iter().all(|(name, value)| says_nothing(name, value))
        }
        _ => false,
    }
}

/// A 32-bit FNV-1a hash that does not depend on the order of fields, nor on what
/// [`semantically_equal`] ignores.
#[must_use]
pub fn stable_hash(value: &Value) -> Fnv32 {
    let mut hasher = Fnv32::default();
    hash_value(value, &mut hasher);
    hasher
}

fn hash_value(value: &Value, hasher: &mut Fnv32) {
    match value {
        Value::Object(fields) => hash_fields(fields, hasher),
        Value::Array(items) => {
            hasher.write(b"[");
            items.iter().for_each(|item| hash_value(item, hasher));
            hasher.write(b"]");
        }
        scalar => hasher.write(scalar.to_string().as_bytes()),
    }
}

fn hash_fields(fields: &Map<String, Value>, hasher: &mut Fnv32) {
    let mut sorted: Vec<_> = fields
        .iter()
        .filter(|(name, value)| !says_nothing(name, value))
        .collect();
    sorted.sort_unstable_by_key(|(name, _)| *name);
    hasher.write(b"{");
    for (name, value) in sorted {
        hasher.write(name.as_bytes());
        hasher.write(b":");
        hash_value(value, hasher);
        hasher.write(b",");
    }
    hasher.write(b"}");
}

/// FNV-1a with 32 bits.
#[derive(Clone, Copy, Debug)]
pub struct Fnv32(u32);

impl Default for Fnv32 {
    fn default() -> Self {
        Self(0x811c_9dc5)
    }
}

impl Fnv32 {
    /// The hash so far.
    #[must_use]
    pub fn finish32(self) -> u32 {
        self.0
    }
}

impl Hasher for Fnv32 {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
        }
    }

    fn finish(&self) -> u64 {
        u64::from(self.0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_edit_keeps_the_order_and_what_it_does_not_know() {
        let mut document = Document::new(r#"{"z":{"b":1.50,"a":[ 1 ]},"status":{},"a":null}"#);
        document.set(&["z", "a"], &2).unwrap();
        document.set(&["a", "new", "deep"], &"x").unwrap();
        document.remove(&["status"]).unwrap();
        document.remove(&["nothing", "here"]).unwrap();
        assert_eq!(document.0, r#"{"z":{"b":1.50,"a":2},"a":{"new":{"deep":"x"}}}"#);
    }

    #[test]
    fn nothing_said_in_different_ways_is_equal() {
        let plain = json!({"spec": {"containers": [{"name": "a"}]}});
        let wordy = json!({"metadata": {"creationTimestamp": null, "labels": {}},
            "spec": {"containers": [{"name": "a", "resources": {}, "env": [], "tty": null}]}});
        assert!(semantically_equal(&plain, &wordy));
        assert!(semantically_equal(&wordy, &plain));
        assert_eq!(stable_hash(&plain).finish32(), stable_hash(&wordy).finish32());
    }

    #[test]
    fn an_empty_object_that_says_something_differs_from_none() {
        let directory = json!({"volumes": [{"name": "a", "emptyDir": {}}]});
        let other = json!({"volumes": [{"name": "a"}]});
        assert!(!semantically_equal(&directory, &other));
        assert!(!semantically_equal(&other, &directory));
        assert_ne!(stable_hash(&directory).finish32(), stable_hash(&other).finish32());
    }

    #[test]
    fn fnv_matches_its_published_vectors() {
        for (text, hash) in [("", 0x811c_9dc5), ("a", 0xe40c_292c), ("foobar", 0xbf9c_f968_u32)] {
            let mut hasher = Fnv32::default();
            hasher.write(text.as_bytes());
            assert_eq!(hasher.finish32(), hash);
        }
    }
}
