//! The labels of one object, borrowed from its body.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Labels in the order in which the object has them. Most objects have few, so a lookup
/// is a walk.
#[derive(Clone, Debug, Default)]
pub struct Labels<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Labels<'a> {
    /// Reads `metadata.labels` of an object. A body without any, or one that is not an
    /// object, has no labels.
    #[must_use]
    pub fn of_body(body: &'a [u8]) -> Self {
        let mut labels = Self::default();
        // Whether the walk ends in an error does not matter: it ends in one on success.
        let _ =
            serde_json::Deserializer::from_slice(body).deserialize_map(BodyVisitor { found: &mut labels });
        labels
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

/// A string that is borrowed where it has no escapes. `Cow` on its own always copies.
#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Deserialize)]
struct Metadata<'a> {
    #[serde(borrow)]
    labels: Option<Labels<'a>>,
}

/// Walks an object up to its metadata. Serde knows no way to stop early but an error.
struct BodyVisitor<'o, 'de> {
    found: &'o mut Labels<'de>,
}

impl<'de> Visitor<'de> for BodyVisitor<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an API object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Text(key)) = map.next_key()? {
            if key == "metadata" {
                *self.found = map.next_value::<Metadata<'de>>()?.labels.unwrap_or_default();
                return Err(A::Error::custom("found"));
            }
            map.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Labels<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(LabelsVisitor)
    }
}

struct LabelsVisitor;

impl<'de> Visitor<'de> for LabelsVisitor {
    type Value = Labels<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of labels")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut labels = Labels::default();
        while let Some((Text(key), Text(value))) = map.next_entry()? {
            labels.0.push((key, value));
        }
        Ok(labels)
    }
}
