//! Why an API call failed.

use std::fmt;

pub use crate::bindings::controller::windlass::controller::types::{ApiErrorKind, StatusCause};

/// An API call's failure, as the host classified it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// What kind of failure.
    pub kind: ApiErrorKind,
    /// HTTP status, or 0 when there was no answer.
    pub code: u16,
    /// `Status.reason`, may be empty.
    pub reason: String,
    /// For people and for event messages.
    pub message: String,
    /// `Status.details.causes`.
    pub causes: Vec<StatusCause>,
    /// How long to back off, when the server said so.
    pub retry_after_ms: Option<u64>,
}

impl ApiError {
    /// The object does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.kind == ApiErrorKind::NotFound
    }

    /// An object of this name exists already.
    #[must_use]
    pub fn is_already_exists(&self) -> bool {
        self.kind == ApiErrorKind::AlreadyExists
    }

    /// The object changed since it was read.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.kind == ApiErrorKind::Conflict
    }

    /// The server refused what was written.
    #[must_use]
    pub fn is_invalid(&self) -> bool {
        self.kind == ApiErrorKind::Invalid
    }

    /// Nothing can be created in this namespace any more.
    #[must_use]
    pub fn is_namespace_terminating(&self) -> bool {
        self.kind == ApiErrorKind::NamespaceTerminating
    }

    /// The answer was not what its type promises.
    pub(crate) fn undecodable(error: &serde_json::Error) -> Self {
        Self {
            kind: ApiErrorKind::Other,
            code: 0,
            reason: String::new(),
            message: format!("the server's answer does not parse: {error}"),
            causes: Vec::new(),
            retry_after_ms: None,
        }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ApiError {}
