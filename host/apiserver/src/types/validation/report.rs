//! Field paths and the list of what is wrong.
//!
//! A path lives on the stack and becomes text only when there is an error, so
//! that a valid object costs no allocation.

use super::{FieldError, FieldErrorReason};
use serde_json::Value;
use std::fmt;

/// The path of a field, from its parent's.
#[derive(Clone, Copy)]
pub(super) struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    segment: Segment<'a>,
}

#[derive(Clone, Copy)]
enum Segment<'a> {
    Root,
    Field(&'a str),
    Index(usize),
    Key(&'a str),
}

impl<'a> Path<'a> {
    pub(super) const fn root() -> Self {
        Self {
            parent: None,
            segment: Segment::Root,
        }
    }

    pub(super) const fn field(&'a self, name: &'a str) -> Path<'a> {
        Path {
            parent: Some(self),
            segment: Segment::Field(name),
        }
    }

    pub(super) const fn index(&'a self, index: usize) -> Path<'a> {
        Path {
            parent: Some(self),
            segment: Segment::Index(index),
        }
    }

    pub(super) const fn key(&'a self, key: &'a str) -> Path<'a> {
        Path {
            parent: Some(self),
            segment: Segment::Key(key),
        }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let below_root = self
            .parent
            .is_none_or(|parent| matches!(parent.segment, Segment::Root));
        if let Some(parent) = self.parent {
            parent.fmt(formatter)?;
        }
        match self.segment {
            Segment::Root => Ok(()),
            Segment::Field(name) if below_root => formatter.write_str(name),
            Segment::Field(name) => write!(formatter, ".{name}"),
            Segment::Index(index) => write!(formatter, "[{index}]"),
            Segment::Key(key) => write!(formatter, "[{key}]"),
        }
    }
}

/// The errors found so far.
#[derive(Default)]
pub(super) struct Report {
    pub(super) errors: Vec<FieldError>,
}

impl Report {
    fn add(&mut self, reason: FieldErrorReason, path: &Path<'_>, message: String) {
        self.errors.push(FieldError {
            reason,
            field: path.to_string(),
            message,
        });
    }

    pub(super) fn required(&mut self, path: &Path<'_>, detail: &str) {
        let colon = if detail.is_empty() { "" } else { ": " };
        self.add(
            FieldErrorReason::Required,
            path,
            format!("Required value{colon}{detail}"),
        );
    }

    pub(super) fn invalid(&mut self, path: &Path<'_>, value: impl Into<Shown>, detail: &str) {
        let Shown(value) = value.into();
        self.add(
            FieldErrorReason::Invalid,
            path,
            format!("Invalid value: {value}: {detail}"),
        );
    }

    pub(super) fn duplicate(&mut self, path: &Path<'_>, value: impl Into<Shown>) {
        let Shown(value) = value.into();
        self.add(
            FieldErrorReason::Duplicate,
            path,
            format!("Duplicate value: {value}"),
        );
    }

    pub(super) fn not_found(&mut self, path: &Path<'_>, value: &str) {
        self.add(FieldErrorReason::NotFound, path, format!("Not found: {value:?}"));
    }

    pub(super) fn forbidden(&mut self, path: &Path<'_>, detail: &str) {
        self.add(FieldErrorReason::Forbidden, path, format!("Forbidden: {detail}"));
    }

    pub(super) fn too_long(&mut self, path: &Path<'_>, limit: usize) {
        self.add(
            FieldErrorReason::TooLong,
            path,
            format!("Too long: may not be more than {limit} bytes"),
        );
    }

    /// Refuses a value that is none of the supported ones.
    pub(super) fn supported(&mut self, path: &Path<'_>, value: &str, supported: &[&str]) {
        if !supported.contains(&value) {
            let quoted: Vec<String> = supported.iter().map(|value| format!("{value:?}")).collect();
            let message = format!(
                "Unsupported value: {value:?}: supported values: {}",
                quoted.join(", ")
            );
            self.add(FieldErrorReason::NotSupported, path, message);
        }
    }

    /// Refuses a number below 0; absent is fine.
    pub(super) fn not_negative(&mut self, path: &Path<'_>, number: Option<i64>) {
        if let Some(number) = number.filter(|number| *number < 0) {
            self.invalid(path, number, "must be greater than or equal to 0");
        }
    }

    /// Adds every message of a check as one invalid value.
    pub(super) fn check(&mut self, path: &Path<'_>, value: &str, messages: impl IntoIterator<Item = String>) {
        for message in messages {
            self.invalid(path, value, &message);
        }
    }
}

/// A value as error messages show it.
pub(super) struct Shown(String);

impl From<&str> for Shown {
    fn from(text: &str) -> Self {
        Self(format!("{text:?}"))
    }
}

impl From<i64> for Shown {
    fn from(number: i64) -> Self {
        Self(number.to_string())
    }
}

impl From<&Value> for Shown {
    fn from(value: &Value) -> Self {
        Self(value.to_string())
    }
}
