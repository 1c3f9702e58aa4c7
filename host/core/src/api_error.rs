//! Errors of API calls, as guests and host parts see them.
//!
//! Mirrors `api-error` of the contract. Built from a Kubernetes `Status` body where
//! there is one.

use serde::{Deserialize, Serialize};

/// What kind of failure an API call met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ApiErrorKind {
    /// 404.
    NotFound,
    /// 409, reason AlreadyExists.
    AlreadyExists,
    /// 409 otherwise.
    Conflict,
    /// 422.
    Invalid,
    /// 400.
    BadRequest,
    /// 401 and 403.
    Forbidden,
    /// 403 with cause `NamespaceTerminating`.
    NamespaceTerminating,
    /// 410.
    Gone,
    /// 415.
    UnsupportedMediaType,
    /// 429.
    TooManyRequests,
    /// 504, or no answer in time.
    Timeout,
    /// 5xx, or no connection.
    Unavailable,
    /// Refused by the host: the module lacks the permission.
    NotPermitted,
    /// Everything else.
    Other,
}

/// One entry of `Status.details.causes`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct StatusCause {
    /// Machine-readable reason.
    pub reason: String,
    /// Path of the field, may be empty.
    pub field: String,
    /// For people.
    pub message: String,
}

/// Why an API call failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{message}")]
pub struct ApiError {
    /// Classification.
    pub kind: ApiErrorKind,
    /// HTTP status, 0 without an answer.
    pub code: u16,
    /// `Status.reason`, may be empty.
    pub reason: String,
    /// Never empty.
    pub message: String,
    /// `Status.details.causes`.
    pub causes: Vec<StatusCause>,
    /// How long the server asks to wait, in milliseconds.
    pub retry_after_ms: Option<u64>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct StatusBody {
    reason: Option<String>,
    message: Option<String>,
    details: Option<StatusDetails>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct StatusDetails {
    causes: Option<Vec<StatusCause>>,
    retry_after_seconds: Option<u64>,
}

impl ApiError {
    /// An error that did not come from a server.
    #[must_use]
    pub fn local(kind: ApiErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            code: 0,
            reason: String::new(),
            message: message.into(),
            causes: Vec::new(),
            retry_after_ms: None,
        }
    }

    /// Reads a failed response: its HTTP status, its body (a `Status` or anything else)
    /// and its `Retry-After` header in seconds.
    #[must_use]
    pub fn from_response(code: u16, body: &[u8], retry_after_seconds: Option<u64>) -> Self {
        let status: StatusBody = serde_json::from_slice(body).unwrap_or_default();
        let details = status.details.unwrap_or_default();
        let reason = status.reason.unwrap_or_default();
        let causes = details.causes.unwrap_or_default();
        let message = status
            .message
            .filter(|message| !message.is_empty())
            .unwrap_or_else(|| {
                let text = String::from_utf8_lossy(&body[..body.len().min(256)]);
                if text.trim().is_empty() {
                    format!("HTTP status {code}")
                } else {
                    format!("HTTP status {code}: {}", text.trim())
                }
            });
        let kind = classify(code, &reason, &causes);
        let retry_after_ms = details
            .retry_after_seconds
            .or(retry_after_seconds)
            .map(|seconds| seconds.saturating_mul(1000));
        Self {
            kind,
            code,
            reason,
            message,
            causes,
            retry_after_ms,
        }
    }
}

fn classify(code: u16, reason: &str, causes: &[StatusCause]) -> ApiErrorKind {
    match code {
        400 => ApiErrorKind::BadRequest,
        401 => ApiErrorKind::Forbidden,
        403 if causes.iter().any(|cause| cause.reason == "NamespaceTerminating") => {
            ApiErrorKind::NamespaceTerminating
        }
        403 => ApiErrorKind::Forbidden,
        404 => ApiErrorKind::NotFound,
        409 if reason == "AlreadyExists" => ApiErrorKind::AlreadyExists,
        409 => ApiErrorKind::Conflict,
        410 => ApiErrorKind::Gone,
        415 => ApiErrorKind::UnsupportedMediaType,
        422 => ApiErrorKind::Invalid,
        429 => ApiErrorKind::TooManyRequests,
        504 => ApiErrorKind::Timeout,
        500..=599 => ApiErrorKind::Unavailable,
        _ => ApiErrorKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminating_namespace_is_told_from_other_refusals() {
        let body = br#"{"reason":"Forbidden","message":"no","details":{"causes":[{"reason":"NamespaceTerminating","field":"metadata.namespace"}]}}"#;
        assert_eq!(
            ApiError::from_response(403, body, None).kind,
            ApiErrorKind::NamespaceTerminating
        );
        assert_eq!(
            ApiError::from_response(403, b"{}", None).kind,
            ApiErrorKind::Forbidden
        );
    }

    #[test]
    fn a_body_that_is_no_status_still_gives_a_message() {
        let error = ApiError::from_response(502, b"<html>bad gateway", None);
        assert_eq!(
            (error.kind, error.message.as_str()),
            (ApiErrorKind::Unavailable, "HTTP status 502: <html>bad gateway")
        );
        assert_eq!(
            ApiError::from_response(500, b"", Some(3)).retry_after_ms,
            Some(3000)
        );
    }
}
