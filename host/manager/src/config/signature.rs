//! Who must have signed a module's component.
//!
//! Only artifacts in registries carry signatures. The keys and roots are files beside the
//! configuration, so that a policy can be reviewed and rotated without touching it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::checks::{Checked, ensure, exactly_one, not_empty, refuse};

/// Signature policies that modules refer to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(rename = "Signatures")]
pub struct SignaturesEntry {
    /// The policy that every component from a registry must satisfy whose module names no
    /// other; null: none.
    pub default: Option<SmolStr>,
    /// Policies by name.
    pub policies: BTreeMap<SmolStr, PolicyEntry>,
}

/// Who must have signed one module's component; exactly one key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Signature")]
pub struct SignatureEntry {
    /// The name of a policy among the host's `signatures`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<SmolStr>,
    /// The holder of a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyEntry>,
    /// Somebody whom an identity provider vouched for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keyless: Option<KeylessEntry>,
}

/// Who must have signed; exactly one key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "SignaturePolicy")]
pub struct PolicyEntry {
    /// The holder of a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyEntry>,
    /// Somebody whom an identity provider vouched for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keyless: Option<KeylessEntry>,
}

/// A public key; exactly one key of `file` and `pem`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "SignatureKey")]
pub struct KeyEntry {
    /// A PEM file, relative to the configuration's folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The PEM block itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pem: Option<String>,
}

/// A keyless signature, by a certificate that Fulcio gave to an identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Keyless")]
pub struct KeylessEntry {
    /// The signer, an e-mail address or the URI of a workflow; this or `identityMatches`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// A regular expression that the whole identity matches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity_matches: Option<String>,
    /// The URL of the OpenID provider that vouches for the identity.
    pub issuer: String,
    /// What the certificates and log entries are trusted by.
    pub roots: TrustRootsEntry,
}

/// Trust roots, as files relative to the configuration's folder: `trustedRoot`, or `fulcio`
/// with `rekor`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "TrustRoots")]
pub struct TrustRootsEntry {
    /// A `trusted_root.json`, as sigstore distributes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trusted_root: Option<String>,
    /// PEM certificates of the Fulcio authorities.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fulcio: Option<String>,
    /// PEM public keys of the Rekor logs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rekor: Option<String>,
    /// PEM public keys of the certificate transparency logs; without any, certificates need
    /// not be in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ct_logs: Option<String>,
}

impl SignaturesEntry {
    pub(super) fn validate(&self, at: &str) -> Checked {
        for (name, policy) in &self.policies {
            policy.validate(&format!("{at}.policies.{name}"))?;
        }
        match &self.default {
            Some(name) => self.known(&format!("{at}.default"), name),
            None => Ok(()),
        }
    }

    fn known(&self, at: &str, name: &SmolStr) -> Checked {
        if self.policies.contains_key(name) {
            return Ok(());
        }
        let known: Vec<&str> = self.policies.keys().map(SmolStr::as_str).collect();
        let known = if known.is_empty() {
            "there are none under `signatures.policies`".to_owned()
        } else {
            format!("`signatures.policies` has {}", known.join(", "))
        };
        Err(refuse(at, format!("there is no policy {name:?}; {known}")))
    }
}

impl SignatureEntry {
    /// The policy it stands for.
    #[must_use]
    pub fn resolve<'a>(&'a self, host: &'a SignaturesEntry) -> Option<PolicyEntry> {
        match &self.policy {
            Some(name) => host.policies.get(name).cloned(),
            None => Some(PolicyEntry {
                key: self.key.clone(),
                keyless: self.keyless.clone(),
            }),
        }
    }

    pub(super) fn validate(&self, at: &str, host: &SignaturesEntry) -> Checked {
        let keys = [
            ("policy", self.policy.is_some()),
            ("key", self.key.is_some()),
            ("keyless", self.keyless.is_some()),
        ];
        exactly_one(at, &keys)?;
        match &self.policy {
            Some(name) => host.known(&format!("{at}.policy"), name),
            None => check_parts(at, self.key.as_ref(), self.keyless.as_ref()),
        }
    }
}

impl PolicyEntry {
    fn validate(&self, at: &str) -> Checked {
        exactly_one(
            at,
            &[("key", self.key.is_some()), ("keyless", self.keyless.is_some())],
        )?;
        check_parts(at, self.key.as_ref(), self.keyless.as_ref())
    }
}

fn check_parts(at: &str, key: Option<&KeyEntry>, keyless: Option<&KeylessEntry>) -> Checked {
    if let Some(key) = key {
        let keys = [("file", key.file.is_some()), ("pem", key.pem.is_some())];
        exactly_one(&format!("{at}.key"), &keys)?;
    }
    keyless.map_or(Ok(()), |keyless| keyless.validate(&format!("{at}.keyless")))
}

impl KeylessEntry {
    fn validate(&self, at: &str) -> Checked {
        let keys = [
            ("identity", self.identity.is_some()),
            ("identityMatches", self.identity_matches.is_some()),
        ];
        exactly_one(at, &keys)?;
        for identity in self.identity.iter().chain(&self.identity_matches) {
            not_empty(at, identity)?;
        }
        not_empty(&format!("{at}.issuer"), &self.issuer)?;
        let roots = &self.roots;
        let at = format!("{at}.roots");
        let keys = [
            ("trustedRoot", roots.trusted_root.is_some()),
            ("fulcio", roots.fulcio.is_some()),
        ];
        exactly_one(&at, &keys)?;
        ensure(
            roots.fulcio.is_some() == roots.rekor.is_some(),
            || at.clone(),
            || "`fulcio` and `rekor` belong together".to_owned(),
        )?;
        ensure(
            roots.ct_logs.is_none() || roots.fulcio.is_some(),
            || at.clone(),
            || "`ctLogs` belongs to `fulcio`; a trusted root has its own".to_owned(),
        )
    }
}
