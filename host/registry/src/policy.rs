//! Who must have signed an artifact.
//!
//! Promises: a policy that can be made can be checked offline; keys and certificates that
//! cannot be used are found when it is made. There is no policy that anybody satisfies.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use regex::Regex;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use serde_json::{Value, json};
use sha2::Digest as _;
use sigstore_verify::crypto::VerificationKey;
use sigstore_verify::trust_root::TrustedRoot;
use sigstore_verify::types::DerPublicKey;
use sigstore_verify::{VerificationPolicy, Verifier};

use crate::crypto;

/// Who must have signed an artifact.
pub enum Policy {
    /// The holder of a key.
    Key(KeyPolicy),
    /// Somebody whom an identity provider vouched for, with a certificate from Fulcio.
    Keyless(Box<KeylessPolicy>),
}

/// See [`Policy::key`].
pub struct KeyPolicy {
    pub(crate) key: VerificationKey,
    fingerprint: String,
}

/// See [`Policy::keyless`].
pub struct KeylessPolicy {
    pub(crate) verifier: Verifier,
    pub(crate) identity: Identity,
    issuer: String,
    is_logged: bool,
    has_ct_logs: bool,
}

/// A signer's identity: an e-mail address, or the URI of a workflow.
#[derive(Clone, Debug)]
pub enum Identity {
    /// This one.
    Exact(String),
    /// One that the whole expression matches.
    Matches(Regex),
}

/// What keyless signatures are trusted by.
#[derive(Clone, Copy, Debug)]
pub enum TrustRoots<'a> {
    /// A `trusted_root.json`, as sigstore distributes it and `cosign trusted-root create`
    /// writes it.
    Json(&'a str),
    /// The parts, each in PEM.
    Pem {
        /// Certificates of the Fulcio authorities.
        fulcio: &'a str,
        /// Public keys of the Rekor logs. At least one.
        rekor: &'a str,
        /// Public keys of the certificate transparency logs. Without any, certificates
        /// need not be in one.
        ct_logs: &'a str,
    },
}

/// A policy that cannot be checked.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The public key is none, or of another kind.
    #[error(
        "the public key of the signature policy cannot be used: {0}; write a PEM block `PUBLIC KEY` \
         with an ECDSA P-256, ECDSA P-384, Ed25519 or RSA key"
    )]
    Key(String),
    /// The trust roots are incomplete or malformed.
    #[error("the trust roots of the signature policy cannot be used: {0}")]
    Roots(String),
    /// The identity or issuer is empty.
    #[error(
        "the signature policy has no {0}: a keyless policy names an identity and its issuer, since anybody can get a certificate"
    )]
    Anybody(&'static str),
    /// The expression is malformed.
    #[error("the identity of the signature policy is not a regular expression: {0}")]
    Expression(#[from] regex::Error),
}

impl Identity {
    /// An expression for identities, which must match from beginning to end.
    ///
    /// # Errors
    /// [`PolicyError::Expression`].
    pub fn matching(expression: &str) -> Result<Self, PolicyError> {
        // The expression alone first: in a group it could close the group.
        Regex::new(expression)?;
        Ok(Self::Matches(Regex::new(&format!("^(?:{expression})$"))?))
    }
}

impl Policy {
    /// Signed with the private half of this key, in PEM. A log entry is not asked for.
    ///
    /// # Errors
    /// [`PolicyError::Key`].
    pub fn key(public_key_pem: &str) -> Result<Self, PolicyError> {
        crypto::install();
        let unusable = |error: &dyn fmt::Display| PolicyError::Key(error.to_string());
        let der = DerPublicKey::from_pem(public_key_pem).map_err(|error| unusable(&error))?;
        let key = VerificationKey::from_spki(&der).map_err(|error| unusable(&error))?;
        Ok(Self::Key(KeyPolicy {
            key,
            fingerprint: crate::digest::Digest::of(der.as_bytes()).to_string(),
        }))
    }

    /// Signed with a certificate that an authority among the roots gave to this identity
    /// because this issuer (the URL of an OpenID provider) vouched for it, and entered in
    /// a log among the roots while the certificate was valid. With roots that have no
    /// logs, a time stamp from one of their authorities stands for the entry.
    ///
    /// # Errors
    /// [`PolicyError::Roots`], [`PolicyError::Anybody`].
    pub fn keyless(roots: TrustRoots<'_>, identity: Identity, issuer: &str) -> Result<Self, PolicyError> {
        crypto::install();
        if issuer.is_empty() {
            return Err(PolicyError::Anybody("issuer"));
        }
        if matches!(&identity, Identity::Exact(text) if text.is_empty()) {
            return Err(PolicyError::Anybody("identity"));
        }
        let roots = match roots {
            TrustRoots::Json(json) => json.to_owned(),
            TrustRoots::Pem {
                fulcio,
                rekor,
                ct_logs,
            } => from_pem(fulcio, rekor, ct_logs)?.to_string(),
        };
        let roots = TrustedRoot::from_json(&roots).map_err(|error| PolicyError::Roots(error.to_string()))?;
        if roots.certificate_authorities.is_empty() {
            return Err(PolicyError::Roots("there is no certificate authority".to_owned()));
        }
        if roots.tlogs.is_empty() && roots.timestamp_authorities.is_empty() {
            return Err(PolicyError::Roots(
                "there is neither a Rekor key nor a time stamp authority, so nothing says when a signature was made"
                    .to_owned(),
            ));
        }
        let verifier = Verifier::new(&roots).map_err(|error| PolicyError::Roots(error.to_string()))?;
        Ok(Self::Keyless(Box::new(KeylessPolicy {
            verifier,
            identity,
            issuer: issuer.to_owned(),
            is_logged: !roots.tlogs.is_empty(),
            has_ct_logs: !roots.ctlogs.is_empty(),
        })))
    }
}

impl KeyPolicy {
    /// What its holder is known by.
    pub(crate) fn name(&self) -> String {
        format!("the key {}", self.fingerprint)
    }
}

impl KeylessPolicy {
    /// The policy in the library's terms. An expression is left to the caller.
    pub(crate) fn rules(&self) -> VerificationPolicy {
        let mut rules = VerificationPolicy::any_identity().require_issuer(&self.issuer);
        if let Identity::Exact(identity) = &self.identity {
            rules = rules.require_identity(identity);
        }
        if !self.is_logged {
            rules = rules.skip_tlog_unsafe();
        }
        if !self.has_ct_logs {
            rules = rules.skip_sct();
        }
        rules
    }
}

/// `trusted_root.json` of parts in PEM (`sigstore/protobuf-specs/sigstore_trustroot.proto`).
fn from_pem(fulcio: &str, rekor: &str, ct_logs: &str) -> Result<Value, PolicyError> {
    let certificates = CertificateDer::pem_slice_iter(fulcio.as_bytes())
        .map(|der| der.map(|der| json!({ "rawBytes": BASE64_STANDARD.encode(der) })))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| PolicyError::Roots(format!("the Fulcio certificates: {error}")))?;
    let authorities: Vec<_> = [certificates]
        .into_iter()
        .filter(|certificates| !certificates.is_empty())
        .map(|certificates| json!({ "uri": "", "certChain": { "certificates": certificates } }))
        .collect();
    Ok(json!({
        "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
        "certificateAuthorities": authorities,
        "tlogs": logs("the Rekor keys", rekor)?,
        "ctlogs": logs("the CT log keys", ct_logs)?,
    }))
}

/// Logs are known by the hashes of their keys.
fn logs(what: &str, pem: &str) -> Result<Vec<Value>, PolicyError> {
    let log = |der: SubjectPublicKeyInfoDer<'_>| {
        json!({
            "baseUrl": "",
            "hashAlgorithm": "SHA2_256",
            "publicKey": { "rawBytes": BASE64_STANDARD.encode(&der), "keyDetails": "" },
            "logId": { "keyId": BASE64_STANDARD.encode(sha2::Sha256::digest(&der)) },
        })
    };
    SubjectPublicKeyInfoDer::pem_slice_iter(pem.as_bytes())
        .map(|der| der.map(log))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| PolicyError::Roots(format!("{what}: {error}")))
}

/// What the policy demands, to follow "a signature".
impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(policy) => write!(f, "with {}", policy.name()),
            Self::Keyless(policy) => match &policy.identity {
                Identity::Exact(identity) => write!(f, "by {identity}, vouched for by {}", policy.issuer),
                Identity::Matches(expression) => write!(
                    f,
                    "by an identity that matches {expression}, vouched for by {}",
                    policy.issuer
                ),
            },
        }
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Policy({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> rcgen::KeyPair {
        rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap()
    }

    fn refusal(roots: TrustRoots<'_>, identity: &str, issuer: &str) -> String {
        Policy::keyless(roots, Identity::Exact(identity.to_owned()), issuer)
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn a_policy_says_what_it_demands() {
        let policy = Policy::key(&key().public_key_pem()).unwrap();
        assert!(policy.to_string().starts_with("with the key sha256:"));
        let error = Policy::key("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----").unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("the public key of the signature policy cannot be used: ")
        );
    }

    #[test]
    fn a_keyless_policy_names_somebody() {
        let roots = TrustRoots::Json("{}");
        assert!(refusal(roots, "", "https://issuer").starts_with("the signature policy has no identity"));
        assert!(refusal(roots, "me@example.com", "").starts_with("the signature policy has no issuer"));
    }

    #[test]
    fn roots_that_cannot_verify_anything_are_refused() {
        let pem = |fulcio, rekor| TrustRoots::Pem {
            fulcio,
            rekor,
            ct_logs: "",
        };
        let rekor = key().public_key_pem();
        assert!(refusal(pem("", &rekor), "me", "issuer").ends_with("there is no certificate authority"));
        let ca = rcgen::CertificateParams::default()
            .self_signed(&key())
            .unwrap()
            .pem();
        assert!(
            refusal(pem(&ca, ""), "me", "issuer").contains("neither a Rekor key nor a time stamp authority")
        );
    }

    #[test]
    fn an_expression_matches_the_whole_identity() {
        let Identity::Matches(expression) = Identity::matching(".*@example\\.com|bot").unwrap() else {
            panic!("not an expression");
        };
        assert!(expression.is_match("me@example.com") && expression.is_match("bot"));
        assert!(!expression.is_match("me@example.com.evil.org") && !expression.is_match("robot"));
        assert!(Identity::matching("a)|(b").is_err());
    }
}
