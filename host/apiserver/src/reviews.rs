//! Questions about users and permissions: answered, never stored.
//!
//! There is no authoriser: who is authenticated may do everything, and the answers say so.

use http::StatusCode;
use serde_json::{Value, json};

use crate::api::Api;
use crate::decode;
use crate::request::Request;
use crate::respond::{self, Response};
use crate::status::Status;

/// Which question a resource asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Review {
    /// Who am I?
    SelfSubject,
    /// Whose token is this?
    Token,
    /// May a user do this?
    Access,
    /// What may I do here?
    Rules,
}

/// Answers a review.
pub(crate) fn create(api: &Api, request: &Request<'_>, review: Review) -> Result<Response, Status> {
    let mut object = decode::object(request)?;
    let status = match review {
        Review::SelfSubject => json!({"userInfo": request.user.to_value()}),
        Review::Token => token(api, &object),
        Review::Access => json!({"allowed": true, "reason": "authenticated users may do everything"}),
        Review::Rules => json!({
            "incomplete": false,
            "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
        }),
    };
    object["status"] = status;
    Ok(respond::unstored(StatusCode::CREATED, &request.resource, object))
}

fn token(api: &Api, review: &Value) -> Value {
    let token = review
        .pointer("/spec/token")
        .and_then(Value::as_str)
        .unwrap_or_default();
    match api.authenticator.review(token) {
        Some(user) => json!({"authenticated": true, "user": user.to_value()}),
        None => json!({"user": {}}),
    }
}
