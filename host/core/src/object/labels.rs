//! The labels of one object, borrowed from its body.

use std::borrow::Cow;
use std::fmt;

use serde::Deserializer;
use serde::de::{MapAccess, Visitor};
use smallvec::SmallVec;

/// Labels in the order in which the object has them. Most objects have few, so a lookup
/// is a walk.
#[derive(Clone, Debug, Default)]
pub struct Labels<'a>(SmallVec<[(Cow<'a, str>, Cow<'a, str>); 6]>);

impl<'a> Labels<'a> {
    /// Reads a JSON object of strings. Anything else has no labels.
    pub(super) fn parse(json: &'a [u8]) -> Self {
        if json.is_empty() {
            return Self::default();
        }
        serde_json::Deserializer::from_slice(json)
            .deserialize_map(LabelsVisitor)
            .unwrap_or_default()
    }

    /// The value of a label.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.iter()
            .find(|(present, _)| *present == key)
            .map(|(_, value)| value)
    }

    /// All labels.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_ref(), value.as_ref()))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether both have the same labels, in whatever order.
    #[must_use]
    pub fn same_as(&self, other: &Labels<'_>) -> bool {
        self.len() == other.len() && self.iter().all(|(key, value)| other.get(key) == Some(value))
    }
}

struct LabelsVisitor;

impl<'de> Visitor<'de> for LabelsVisitor {
    type Value = Labels<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("labels")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut labels = Labels::default();
        while let Some((Text(key), Text(value))) = map.next_entry()? {
            labels.0.push((key, value));
        }
        Ok(labels)
    }
}

/// A string that is borrowed where it has no escapes. `Cow` on its own always copies.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(transparent)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

impl Text<'_> {
    pub(super) fn is_owned(&self) -> bool {
        matches!(self.0, Cow::Owned(_))
    }
}
