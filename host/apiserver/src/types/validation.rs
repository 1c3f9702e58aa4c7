//! Validation of built-in types, with the texts of `pkg/apis/*/validation`.

use serde_json::Value;
use std::fmt;

/// The kind of a field error, as a Status cause names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldErrorReason {
    /// A value is missing.
    Required,
    /// A value is not acceptable.
    Invalid,
    /// A value that must be unique is not.
    Duplicate,
    /// A value may not be set, or not be changed.
    Forbidden,
    /// A value is none of the known ones.
    NotSupported,
    /// A value refers to something that is not there.
    NotFound,
    /// A string or map is too long.
    TooLong,
    /// A list has too many items.
    TooMany,
    /// A value has the wrong JSON type.
    TypeInvalid,
}

impl FieldErrorReason {
    /// The cause's `reason` on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Required => "FieldValueRequired",
            Self::Invalid => "FieldValueInvalid",
            Self::Duplicate => "FieldValueDuplicate",
            Self::Forbidden => "FieldValueForbidden",
            Self::NotSupported => "FieldValueNotSupported",
            Self::NotFound => "FieldValueNotFound",
            Self::TooLong => "FieldValueTooLong",
            Self::TooMany => "FieldValueTooMany",
            Self::TypeInvalid => "FieldValueTypeInvalid",
        }
    }
}

/// One thing wrong with an object. `Display` gives `field: message`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// What kind of error it is.
    pub reason: FieldErrorReason,
    /// The path of the field, such as `spec.containers[0].name`.
    pub field: String,
    /// The text for the cause, such as `Required value`.
    pub message: String,
}

impl fmt::Display for FieldError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.field, self.message)
    }
}

/// Everything wrong with a new object.
#[must_use]
pub fn create(_group: &str, _kind: &str, _object: &Value) -> Vec<FieldError> {
    Vec::new()
}

/// Everything wrong with a changed object, or with the change.
#[must_use]
pub fn update(_group: &str, _kind: &str, _new: &Value, _old: &Value) -> Vec<FieldError> {
    Vec::new()
}

/// The message of the 422 Status: `Deployment.apps "x" is invalid: spec.a: Required value`.
#[must_use]
pub fn status_message(_group: &str, _kind: &str, _name: &str, _errors: &[FieldError]) -> String {
    String::new()
}
