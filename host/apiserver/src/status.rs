//! Failures as Kubernetes reports them: a `v1.Status` with the right code, reason,
//! message and details.
//!
//! Texts follow `apimachinery/pkg/api/errors`. One constructor per reason, so that a
//! handler cannot pair a code with a foreign reason.

use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use serde::Serialize;
use serde_json::{Value, json};

use crate::body::Body;
use crate::resource::ResourceSpec;
use crate::types::validation::{self, FieldError};

/// One entry of `details.causes`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Cause {
    pub(crate) reason: String,
    pub(crate) message: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) field: String,
}

/// A failed request.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}", .0.message)]
pub(crate) struct Status(Box<Content>);

#[derive(Clone, Debug, Default)]
struct Content {
    code: u16,
    reason: &'static str,
    message: String,
    name: String,
    group: String,
    kind: String,
    causes: Vec<Cause>,
    retry_after: Option<u32>,
    continue_token: Option<String>,
}

impl Status {
    fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self(Box::new(Content {
            code,
            reason,
            message: message.into(),
            ..Content::default()
        }))
    }

    fn about(mut self, spec: &ResourceSpec, name: &str) -> Self {
        self.0.name = name.to_owned();
        self.0.group = spec.group.to_string();
        self.0.kind = spec.plural.to_string();
        self
    }

    fn retry_after(mut self, seconds: u32) -> Self {
        self.0.retry_after = Some(seconds);
        self
    }

    pub(crate) fn with_cause(mut self, reason: &str, field: &str, message: impl Into<String>) -> Self {
        self.0.causes.push(Cause {
            reason: reason.to_owned(),
            message: message.into(),
            field: field.to_owned(),
        });
        self
    }

    /// 400.
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// 401.
    pub(crate) fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    /// 403 for one object.
    pub(crate) fn forbidden(spec: &ResourceSpec, name: &str, why: &str) -> Self {
        let message = format!("{} \"{name}\" is forbidden: {why}", spec.group_resource());
        Self::new(403, "Forbidden", message).about(spec, name)
    }

    /// 403 from a disruption budget that cannot be right.
    pub(crate) fn budget_forbids(name: &str, why: &str) -> Self {
        Self::new(
            403,
            "Forbidden",
            format!("poddisruptionbudgets.policy \"{name}\" is forbidden: {why}"),
        )
    }

    /// 404 for one object.
    pub(crate) fn not_found(spec: &ResourceSpec, name: &str) -> Self {
        Self::new(
            404,
            "NotFound",
            format!("{} \"{name}\" not found", spec.group_resource()),
        )
        .about(spec, name)
    }

    /// 404 for a path that nothing serves.
    pub(crate) fn unknown_route() -> Self {
        Self::new(
            404,
            "NotFound",
            "the server could not find the requested resource",
        )
    }

    /// 405.
    pub(crate) fn method_not_allowed() -> Self {
        Self::new(
            405,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
        )
    }

    /// 406.
    pub(crate) fn not_acceptable(accepted: &str) -> Self {
        let message = format!("only the following media types are accepted: {accepted}");
        Self::new(406, "NotAcceptable", message)
    }

    /// 409: the name is taken.
    pub(crate) fn already_exists(spec: &ResourceSpec, name: &str) -> Self {
        Self::new(
            409,
            "AlreadyExists",
            format!("{} \"{name}\" already exists", spec.group_resource()),
        )
        .about(spec, name)
    }

    /// 409: eight generated names were all taken.
    pub(crate) fn generated_name_conflict(spec: &ResourceSpec, name: &str) -> Self {
        Self::already_exists(spec, name).retry_after(1)
    }

    /// 409: something stands in the way.
    pub(crate) fn conflict(spec: &ResourceSpec, name: &str, why: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} \"{name}\": {why}",
            spec.group_resource()
        );
        Self::new(409, "Conflict", message).about(spec, name)
    }

    /// 409 on a subresource that is named differently from its resource.
    pub(crate) fn conflict_on(named: &str, spec: &ResourceSpec, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {named} \"{name}\": {why}");
        let mut status = Self::new(409, "Conflict", message).about(spec, name);
        status.0.kind = named.to_owned();
        status
    }

    /// 409: the resource version is not the stored one.
    pub(crate) fn modified(spec: &ResourceSpec, name: &str) -> Self {
        let why =
            "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(spec, name, why)
    }

    /// 409 that nothing but a test asked for.
    pub(crate) fn injected_conflict() -> Self {
        Self::new(
            409,
            "Conflict",
            "injected fault: please apply your changes to the latest version and try again",
        )
    }

    /// 410 for a list or page at a revision that is gone.
    pub(crate) fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    /// The token with which an expired list may go on inconsistently.
    pub(crate) fn with_continue(mut self, token: String) -> Self {
        self.0.continue_token = Some(token);
        self
    }

    /// 413.
    pub(crate) fn too_large(limit: usize) -> Self {
        Self::new(
            413,
            "RequestEntityTooLarge",
            format!("Request entity too large: limit is {limit}"),
        )
    }

    /// 415.
    pub(crate) fn unsupported_media_type(accepted: &str) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {accepted}"
        );
        Self::new(415, "UnsupportedMediaType", message)
    }

    /// 422 with one cause per field.
    pub(crate) fn invalid(spec: &ResourceSpec, name: &str, errors: &[FieldError]) -> Self {
        let message = validation::status_message(&spec.group, &spec.kind, name, errors);
        let mut status = Self::new(422, "Invalid", message).about(spec, name);
        status.0.kind = spec.kind.to_string();
        status.0.causes = errors
            .iter()
            .map(|error| Cause {
                reason: error.reason.as_str().to_owned(),
                message: error.message.clone(),
                field: error.field.clone(),
            })
            .collect();
        status
    }

    /// 422 for one field, without a kind in `types::validation`.
    pub(crate) fn invalid_field(
        spec: &ResourceSpec,
        name: &str,
        cause: &str,
        field: &str,
        message: &str,
    ) -> Self {
        Self::invalid_named(&spec.group, &spec.kind, name, cause, field, message)
    }

    /// 422 for one field of an object that is not the resource's own.
    pub(crate) fn invalid_named(
        group: &str,
        kind: &str,
        name: &str,
        cause: &str,
        field: &str,
        message: &str,
    ) -> Self {
        let dot = if group.is_empty() { "" } else { "." };
        let text = format!("{kind}{dot}{group} \"{name}\" is invalid: {field}: {message}");
        let mut status = Self::new(422, "Invalid", text);
        (status.0.name, status.0.group, status.0.kind) = (name.to_owned(), group.to_owned(), kind.to_owned());
        status.with_cause(cause, field, message)
    }

    /// 422 for list options that contradict each other.
    pub(crate) fn invalid_options(field: &str, why: &str) -> Self {
        let message = format!("ListOptions.meta.k8s.io \"\" is invalid: {field}: Forbidden: {why}");
        let mut status = Self::new(422, "Invalid", message);
        status.0.group = "meta.k8s.io".to_owned();
        status.0.kind = "ListOptions".to_owned();
        status.with_cause("FieldValueForbidden", field, format!("Forbidden: {why}"))
    }

    /// What a patch that does not apply is answered with.
    pub(crate) fn patch_failed(code: u16, message: String) -> Self {
        match code {
            413 => Self::new(413, "RequestEntityTooLarge", message),
            422 => Self::new(422, "Invalid", message),
            _ => Self::bad_request(message),
        }
    }

    /// 429.
    pub(crate) fn too_many_requests(message: &str, seconds: u32) -> Self {
        let status = Self::new(429, "TooManyRequests", message);
        if seconds == 0 {
            status
        } else {
            status.retry_after(seconds)
        }
    }

    /// 500.
    pub(crate) fn internal(why: impl std::fmt::Display) -> Self {
        let message = format!("Internal error occurred: {why}");
        Self::new(500, "InternalError", message)
    }

    /// 500 with a text of its own and no reason worth retrying for.
    pub(crate) fn failure(message: &str) -> Self {
        Self::new(500, "", message)
    }

    /// 503.
    pub(crate) fn unavailable(message: &str) -> Self {
        Self::new(503, "ServiceUnavailable", message).retry_after(1)
    }

    /// 504: the body did not arrive in time.
    pub(crate) fn timeout() -> Self {
        Self::new(
            504,
            "Timeout",
            "Timeout: request did not complete within the allotted timeout",
        )
    }

    /// 504: the revision asked for lies in the future.
    pub(crate) fn resource_version_too_large(wanted: u64, current: u64) -> Self {
        let message = format!("Too large resource version: {wanted}, current: {current}");
        Self::new(504, "Timeout", format!("Timeout: {message}"))
            .retry_after(1)
            .with_cause("ResourceVersionTooLarge", "", "Too large resource version")
    }

    /// 410 as the last frame of a watch.
    pub(crate) fn too_old_for_watch(wanted: u64, oldest: u64) -> Self {
        Self::new(
            410,
            "Expired",
            format!("too old resource version: {wanted} ({oldest})"),
        )
    }

    pub(crate) fn code(&self) -> u16 {
        self.0.code
    }

    /// The `v1.Status` object.
    pub(crate) fn to_value(&self) -> Value {
        let content = &self.0;
        let mut metadata = serde_json::Map::new();
        if let Some(token) = &content.continue_token {
            metadata.insert("continue".to_owned(), token.as_str().into());
        }
        let mut object = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": metadata, "status": "Failure",
            "message": content.message, "code": content.code,
        });
        if !content.reason.is_empty() {
            object["reason"] = content.reason.into();
        }
        let details = self.details();
        if !details.is_empty() {
            object["details"] = Value::Object(details);
        }
        object
    }

    fn details(&self) -> serde_json::Map<String, Value> {
        let content = &self.0;
        let mut details = serde_json::Map::new();
        for (key, text) in [
            ("name", &content.name),
            ("group", &content.group),
            ("kind", &content.kind),
        ] {
            if !text.is_empty() {
                details.insert(key.to_owned(), text.as_str().into());
            }
        }
        if !content.causes.is_empty() {
            details.insert("causes".to_owned(), json!(content.causes));
        }
        if let Some(seconds) = content.retry_after {
            details.insert("retryAfterSeconds".to_owned(), seconds.into());
        }
        details
    }

    /// The HTTP response.
    pub(crate) fn into_response(self) -> http::Response<Body> {
        let mut response = http::Response::new(Body::full(Bytes::from(self.to_value().to_string())));
        *response.status_mut() =
            StatusCode::from_u16(self.0.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(seconds) = self.0.retry_after {
            response
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
