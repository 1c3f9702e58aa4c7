//! Building blocks for reading API objects: borrowed strings, borrowed maps, tolerated nulls.

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use crate::labels::{Labels, Requirement, Selector};

/// A string that borrows from the body unless it has escapes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Str<'a>(pub(crate) Cow<'a, str>);

impl std::ops::Deref for Str<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Str<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct StrVisitor;
        impl<'de> Visitor<'de> for StrVisitor {
            type Value = Str<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a string")
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Str<'de>, E> {
                Ok(Str(Cow::Borrowed(text)))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Str<'de>, E> {
                Ok(Str(Cow::Owned(text.to_owned())))
            }

            fn visit_unit<E: de::Error>(self) -> Result<Str<'de>, E> {
                Ok(Str::default())
            }
        }
        deserializer.deserialize_any(StrVisitor)
    }
}

/// A JSON object as a list of pairs; null is empty.
#[derive(Clone, Debug)]
pub(crate) struct Pairs<'a, V>(pub(crate) Vec<(Str<'a>, V)>);

impl<V> Default for Pairs<'_, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'a, V> Pairs<'a, V> {
    /// The value of a key.
    pub(crate) fn get(&self, key: &str) -> Option<&V> {
        self.0
            .iter()
            .find(|(candidate, _)| &**candidate == key)
            .map(|(_, value)| value)
    }
}

impl<'a> Pairs<'a, Str<'a>> {
    /// As string slices.
    pub(crate) fn strs(&self) -> Vec<(&str, &str)> {
        self.0.iter().map(|(key, value)| (&**key, &**value)).collect()
    }

    /// As a label set.
    pub(crate) fn labels(&self) -> Labels {
        Labels::new(self.0.iter().map(|(key, value)| (&**key, &**value)))
    }
}

impl<'de: 'a, 'a, V: Deserialize<'de>> Deserialize<'de> for Pairs<'a, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PairsVisitor<V>(PhantomData<V>);
        impl<'de, V: Deserialize<'de>> Visitor<'de> for PairsVisitor<V> {
            type Value = Pairs<'de, V>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::with_capacity(map.size_hint().unwrap_or(4));
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }

            fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
                Ok(Pairs::default())
            }
        }
        deserializer.deserialize_any(PairsVisitor(PhantomData))
    }
}

/// Reads null as the default, which is what Go's decoder does.
pub(crate) fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Whether a field is there at all, whatever it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Present(pub(crate) bool);

impl<'de> Deserialize<'de> for Present {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(
            Option::<de::IgnoredAny>::deserialize(deserializer)?.is_some(),
        ))
    }
}

/// `metav1.LabelSelector`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
pub(crate) struct LabelSelectorJson<'a> {
    #[serde(default)]
    match_labels: Pairs<'a, Str<'a>>,
    #[serde(default, deserialize_with = "nullable")]
    match_expressions: Vec<RequirementJson<'a>>,
}

impl LabelSelectorJson<'_> {
    /// The parsed selector.
    pub(crate) fn parse(&self) -> Selector {
        let labels = self
            .match_labels
            .0
            .iter()
            .map(|(key, value)| Requirement::equals(key, value));
        Selector::All(
            labels
                .chain(self.match_expressions.iter().map(RequirementJson::parse))
                .collect(),
        )
    }
}

/// What an optional selector means: absent matches nothing.
pub(crate) fn selector(json: Option<&LabelSelectorJson<'_>>) -> Selector {
    json.map_or(Selector::Nothing, LabelSelectorJson::parse)
}

/// One requirement of a label or node selector.
#[derive(Debug, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub(crate) struct RequirementJson<'a> {
    key: Str<'a>,
    operator: Str<'a>,
    #[serde(default, deserialize_with = "nullable")]
    values: Vec<Str<'a>>,
}

impl RequirementJson<'_> {
    /// The parsed requirement.
    pub(crate) fn parse(&self) -> Requirement {
        let values = self.values.iter().map(|value| (**value).into()).collect();
        Requirement::new(&self.key, &self.operator, values)
    }
}

/// Reads a body, naming the object in the error.
pub(crate) fn read<'a, T: Deserialize<'a>>(kind: &str, name: &str, body: &'a [u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| format!("cannot read {kind} {name:?}: {error}"))
}

/// An object of which only the labels matter.
#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub(crate) struct LabelsOnly<'a> {
    metadata: LabelsMetadata<'a>,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct LabelsMetadata<'a> {
    #[serde(default)]
    labels: Pairs<'a, Str<'a>>,
}

impl LabelsOnly<'_> {
    /// The object's labels.
    pub(crate) fn labels(&self) -> Labels {
        self.metadata.labels.labels()
    }
}
