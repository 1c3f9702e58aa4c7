//! Validation of built-in types, with the texts of `pkg/apis/*/validation`.
//!
//! Objects arrive defaulted. What is checked is what clients and controllers
//! rely on being refused: metadata, names and keys, pod specs, selectors,
//! numbers in range, and fields that may not change. Admission, quota and the
//! existence of referenced objects are not looked at, and unknown kinds have
//! their metadata checked alone.

mod config;
mod definition;
mod definition_schema;
mod metadata;
mod names;
mod network;
mod pod;
mod pod_update;
mod report;
mod resources;
mod workloads;

use report::{Path, Report};
use serde_json::Value;
use std::fmt;

pub use names::{is_label_value, is_qualified_name, is_subdomain};

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
pub fn create(group: &str, kind: &str, object: &Value) -> Vec<FieldError> {
    let mut report = Report::default();
    metadata::validate(group, kind, object, &mut report);
    content(group, kind, object, None, &mut report);
    report.errors
}

/// Everything wrong with a changed object, or with the change.
#[must_use]
pub fn update(group: &str, kind: &str, new: &Value, old: &Value) -> Vec<FieldError> {
    let mut report = Report::default();
    metadata::validate(group, kind, new, &mut report);
    metadata::validate_update(new, old, &mut report);
    content(group, kind, new, Some(old), &mut report);
    report.errors
}

/// The message of the 422 Status: `Deployment.apps "x" is invalid: spec.a: Required value`.
#[must_use]
pub fn status_message(group: &str, kind: &str, name: &str, errors: &[FieldError]) -> String {
    let dot = if group.is_empty() { "" } else { "." };
    let details = match errors {
        [one] => one.to_string(),
        several => {
            let texts: Vec<String> = several.iter().map(FieldError::to_string).collect();
            format!("[{}]", texts.join(", "))
        }
    };
    format!("{kind}{dot}{group} {name:?} is invalid: {details}")
}

/// What a type requires of everything but its metadata.
fn content(group: &str, kind: &str, new: &Value, old: Option<&Value>, report: &mut Report) {
    let root = Path::root();
    match (group, kind) {
        ("", "Pod") => match old {
            // A spec that is there has been validated; what may change is checked by itself.
            Some(old) => pod_update::validate(new, old, report),
            None => pod::validate(new, report),
        },
        ("", "ReplicationController") | ("apps" | "batch", _) => workloads::validate(kind, new, old, report),
        ("", "Service") => network::service(new, old, report),
        _ => config::validate(group, kind, &root, new, old, report),
    }
}

#[cfg(test)]
mod tests;
