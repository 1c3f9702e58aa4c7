//! On whose behalf a module's requests are made.

use http::header::{HeaderMap, HeaderName, HeaderValue, InvalidHeaderValue};

const USER: HeaderName = HeaderName::from_static("impersonate-user");
const GROUP: HeaderName = HeaderName::from_static("impersonate-group");

/// A user to impersonate, so that the cluster's own RBAC applies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Impersonation {
    /// The user's name.
    pub user: String,
    /// The user's groups. API servers add `system:authenticated`.
    pub groups: Vec<String>,
}

impl Impersonation {
    /// A ServiceAccount. Its groups are left to the API server, which adds
    /// `system:serviceaccounts`, `system:serviceaccounts:<namespace>` and
    /// `system:authenticated` to a ServiceAccount that comes without any
    /// (`apiserver/pkg/endpoints/filters/impersonation`): naming them would need the right
    /// to impersonate those groups besides the account.
    #[must_use]
    pub fn service_account(namespace: &str, name: &str) -> Self {
        Self {
            user: format!("system:serviceaccount:{namespace}:{name}"),
            groups: Vec::new(),
        }
    }

    /// The headers that ask for it.
    ///
    /// # Errors
    /// When a name cannot be in a header.
    pub fn headers(&self) -> Result<HeaderMap, InvalidHeaderValue> {
        let mut headers = HeaderMap::new();
        headers.insert(USER, HeaderValue::from_str(&self.user)?);
        for group in &self.groups {
            headers.append(GROUP, HeaderValue::from_str(group)?);
        }
        Ok(headers)
    }
}
