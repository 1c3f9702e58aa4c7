//! Who makes a request: the holder of the administrator's token, or nobody.
//!
//! There is one credential, and whoever has it may do everything. Impersonation headers
//! are honoured for what reviews report, not enforced: there is no authoriser.

use std::sync::Arc;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use serde_json::{Value, json};

use crate::status::Status;

/// An authenticated user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User(Arc<UserInfo>);

#[derive(Debug, PartialEq, Eq)]
struct UserInfo {
    name: String,
    groups: Vec<String>,
}

impl User {
    fn new(name: &str, groups: &[&str]) -> Self {
        let groups = groups.iter().map(|group| (*group).to_owned()).collect();
        Self(Arc::new(UserInfo {
            name: name.to_owned(),
            groups,
        }))
    }

    /// `userInfo` of reviews.
    pub(crate) fn to_value(&self) -> Value {
        json!({"username": self.0.name, "groups": self.0.groups})
    }
}

/// Knows the token.
#[derive(Debug)]
pub(crate) struct Authenticator {
    token: String,
    administrator: User,
}

impl Authenticator {
    pub(crate) fn new(token: String) -> Self {
        Self {
            token,
            administrator: User::new("kubernetes-admin", &["system:masters", "system:authenticated"]),
        }
    }

    /// The user of a request.
    pub(crate) fn authenticate(&self, headers: &HeaderMap) -> Result<User, Status> {
        let given = headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let token = given
            .strip_prefix("Bearer ")
            .or_else(|| given.strip_prefix("bearer "))
            .unwrap_or_default()
            .trim();
        if !self.accepts(token) {
            return Err(Status::unauthorized());
        }
        Ok(impersonated(headers).unwrap_or_else(|| self.administrator.clone()))
    }

    /// The user of a bare token, as token reviews ask.
    pub(crate) fn review(&self, token: &str) -> Option<User> {
        self.accepts(token).then(|| self.administrator.clone())
    }

    /// Compares in constant time, so that the token cannot be guessed byte by byte.
    fn accepts(&self, token: &str) -> bool {
        let (given, expected) = (token.as_bytes(), self.token.as_bytes());
        let difference = given
            .iter()
            .zip(expected)
            .fold(0, |difference, (left, right)| difference | (left ^ right));
        given.len() == expected.len() && difference == 0
    }
}

fn impersonated(headers: &HeaderMap) -> Option<User> {
    let name = headers.get("impersonate-user")?.to_str().ok()?;
    let groups = headers
        .get_all("impersonate-group")
        .iter()
        .filter_map(|value| value.to_str().ok());
    let mut groups: Vec<&str> = groups.collect();
    groups.push("system:authenticated");
    Some(User::new(name, &groups))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(authorization: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(AUTHORIZATION, http::HeaderValue::from_static(authorization))])
    }

    #[test]
    fn only_the_token_is_accepted() {
        let authenticator = Authenticator::new("secret".to_owned());
        assert!(authenticator.authenticate(&headers("Bearer secret")).is_ok());
        for wrong in [
            "Bearer secre",
            "Bearer secrets",
            "Bearer ",
            "secret",
            "Basic secret",
        ] {
            assert_eq!(
                authenticator.authenticate(&headers(wrong)).unwrap_err().code(),
                401,
                "{wrong}"
            );
        }
        assert!(authenticator.authenticate(&HeaderMap::new()).is_err());
    }
}
