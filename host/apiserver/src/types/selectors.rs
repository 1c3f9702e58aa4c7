//! Label and field selectors as list and watch requests and workloads carry them.
//!
//! Parsing is strict and its messages are the API's own; matching never fails.

mod field;
mod label;

pub use field::{FieldSelector, Fields, fields, supported};
pub use label::LabelSelector;

/// A selector that cannot be used; the message is the one for the client (400).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SelectorError(pub String);
