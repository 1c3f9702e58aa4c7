//! Label and field selectors as list and watch requests carry them.

use serde_json::Value;
use smallvec::SmallVec;
use smol_str::SmolStr;

/// A selector that cannot be used; the message is the one for the client (400).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SelectorError(pub String);

/// The selectable fields of one object with their values.
pub type Fields = SmallVec<[(&'static str, SmolStr); 8]>;

/// A parsed label selector; the empty one matches everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LabelSelector {}

impl LabelSelector {
    /// Parses the query form (`a=b,c in (d,e),!f,g>1`).
    pub fn parse(_text: &str) -> Result<Self, SelectorError> {
        Ok(Self {})
    }

    /// Whether it matches everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        true
    }

    /// Whether the labels of an object's metadata match.
    #[must_use]
    pub fn matches(&self, _object: &Value) -> bool {
        true
    }
}

/// A parsed field selector; the empty one matches everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldSelector {}

impl FieldSelector {
    /// Parses the query form (`a=b,c!=d`) for a type, refusing fields it does not offer.
    pub fn parse(_group: &str, _kind: &str, _text: &str) -> Result<Self, SelectorError> {
        Ok(Self {})
    }

    /// Whether it matches everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        true
    }

    /// The value that a field is required to equal, such as `metadata.name`.
    #[must_use]
    pub fn required(&self, _field: &str) -> Option<&str> {
        None
    }

    /// Whether an object's fields (see [`fields`]) match.
    #[must_use]
    pub fn matches(&self, _fields: &Fields) -> bool {
        true
    }
}

/// The selectable fields of an object.
#[must_use]
pub fn fields(_group: &str, _kind: &str, _object: &Value) -> Fields {
    SmallVec::new()
}

/// The names of a type's selectable fields.
#[must_use]
pub fn supported(_group: &str, _kind: &str) -> &'static [&'static str] {
    &["metadata.name", "metadata.namespace"]
}
