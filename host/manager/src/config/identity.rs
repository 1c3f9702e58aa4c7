//! As whom a module's API calls are made.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use windlass_cluster::impersonation::Impersonation;

use super::checks::{Checked, dns_label, dns_subdomain, ensure, exactly_one, not_empty};

/// Whom the host impersonates in a module's API calls, so that the cluster's own RBAC
/// applies to them besides the module's permissions; exactly one of `serviceAccount` and
/// `user`. Reads from the shared caches are the host's own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(rename = "Impersonate")]
pub struct ImpersonateEntry {
    /// A ServiceAccount, which also gives its groups.
    pub service_account: Option<ServiceAccountReference>,
    /// A user.
    pub user: Option<String>,
    /// The user's groups.
    pub groups: Vec<String>,
}

/// A ServiceAccount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "ServiceAccount")]
pub struct ServiceAccountReference {
    /// Its namespace.
    pub namespace: SmolStr,
    /// Its name.
    pub name: SmolStr,
}

impl ImpersonateEntry {
    pub(super) fn validate(&self, at: &str) -> Checked {
        let keys = [
            ("serviceAccount", self.service_account.is_some()),
            ("user", self.user.is_some()),
        ];
        exactly_one(at, &keys)?;
        if let Some(account) = &self.service_account {
            dns_label(&format!("{at}.serviceAccount.namespace"), &account.namespace)?;
            dns_subdomain(&format!("{at}.serviceAccount.name"), &account.name)?;
        }
        if let Some(user) = &self.user {
            not_empty(&format!("{at}.user"), user)?;
        }
        ensure(
            self.groups.is_empty() || self.user.is_some(),
            || format!("{at}.groups"),
            || "belong to a `user`; a ServiceAccount brings its own".to_owned(),
        )
    }

    /// What the API client sends. Nothing for an entry that names nobody.
    #[must_use]
    pub fn resolve(&self) -> Option<Impersonation> {
        match (&self.service_account, &self.user) {
            (Some(account), _) => Some(Impersonation::service_account(&account.namespace, &account.name)),
            (None, Some(user)) => Some(Impersonation {
                user: user.clone(),
                groups: self.groups.clone(),
            }),
            (None, None) => None,
        }
    }
}
