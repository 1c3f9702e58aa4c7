//! Signatures of artifacts: finding them beside the artifact, checking them against a
//! policy, and adding one.
//!
//! Two layouts are read, both of cosign: the older one (a tag
//! `sha256-<hex>.sig`) and sigstore bundles that refer to the artifact. The
//! older one is written, since every cosign reads it.
//!
//! Promises: checking needs neither network nor clock service, only the policy; a
//! signature counts only for the digest that it names; one good signature suffices,
//! whatever lies beside it, and a refusal says why for each.

mod bundle;
mod cosign;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::manifest::{Descriptor, Manifest};
use crate::policy::{Identity, KeylessPolicy, Policy};
use crate::protocol;
use crate::reference::Reference;
use crate::remote::{Errand, Remote, RemoteError};
use crate::signing::SigningKey;

/// The signatures of one artifact that are looked at.
const MAX_SIGNATURES: usize = 32;
/// The longest signature of either layout; a bundle has a certificate and a log proof.
const MAX_SIGNATURE: u64 = 1024 * 1024;

/// What was found beside an artifact. It proves itself and can be kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Evidence {
    Cosign(cosign::Signature),
    /// A sigstore bundle in JSON.
    Bundle(String),
}

/// The artifact that a signature should be for.
pub(crate) struct Subject<'a> {
    pub(crate) reference: &'a Reference,
    pub(crate) digest: Digest,
    pub(crate) manifest: &'a [u8],
}

/// A policy that was satisfied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Who signed: the key, or the identity in the certificate.
    pub signer: String,
}

/// An artifact that must not be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// There are no signatures.
    #[error(
        "{reference} ({digest}) is not signed, and the policy demands a signature {policy}: sign it with \
         `windlass push --sign-key` or `cosign sign`"
    )]
    Unsigned {
        /// The artifact.
        reference: String,
        /// The digest of its manifest.
        digest: Digest,
        /// What the policy demands.
        policy: String,
    },
    /// There are signatures, and none satisfies the policy.
    #[error("no signature of {reference} ({digest}) satisfies the policy, which demands one {policy}: {}", numbered(.refusals))]
    Rejected {
        /// The artifact.
        reference: String,
        /// The digest of its manifest.
        digest: Digest,
        /// What the policy demands.
        policy: String,
        /// What is wrong with each signature.
        refusals: Vec<Refusal>,
    },
}

/// What is wrong with a signature.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not in the form that its layout demands.
    #[error("it is malformed: {0}")]
    Malformed(String),
    /// Another key, or what was signed has changed.
    #[error("it was not made with that key")]
    WrongKey,
    /// It belongs to another artifact.
    #[error("it is for {0}")]
    OtherDigest(String),
    /// A statement about the artifact that is no signature, such as a scan report.
    #[error("it attests `{0}` and is not a signature")]
    NotASignature(String),
    /// Made with a key, where the policy demands an identity.
    #[error("it has no certificate, so it says nothing about who made it")]
    NoCertificate,
    /// Nothing says when it was made.
    #[error("it has no entry of a transparency log, so nothing says when it was made")]
    NotLogged,
    /// Somebody else.
    #[error("it was made by {0}")]
    OtherIdentity(String),
    /// Certificate, log entry or time do not hold.
    #[error("{0}")]
    Untrusted(String),
}

fn numbered(refusals: &[Refusal]) -> String {
    let numbered = refusals
        .iter()
        .zip(1..)
        .map(|(refusal, number)| format!("signature {number}: {refusal}"));
    numbered.collect::<Vec<_>>().join("; ")
}

/// Looks for one piece of evidence that satisfies the policy.
pub(crate) fn verify(
    policy: &Policy,
    subject: &Subject<'_>,
    evidence: &[Evidence],
) -> Result<Verified, VerifyError> {
    let mut refusals = Vec::new();
    for evidence in evidence {
        let checked = match (evidence, policy) {
            (Evidence::Cosign(signature), Policy::Key(policy)) => signature.check_key(policy, subject),
            (Evidence::Cosign(signature), Policy::Keyless(policy)) => {
                signature.check_keyless(policy, subject)
            }
            (Evidence::Bundle(json), Policy::Key(policy)) => bundle::check_key(json, policy, subject),
            (Evidence::Bundle(json), Policy::Keyless(policy)) => bundle::check_keyless(json, policy, subject),
        };
        match checked {
            Ok(signer) => {
                let signer = match (signer, policy) {
                    (Some(signer), _) => signer,
                    (None, Policy::Key(policy)) => policy.name(),
                    (None, Policy::Keyless(_)) => policy.to_string(),
                };
                return Ok(Verified { signer });
            }
            Err(refusal) => refusals.push(refusal),
        }
    }
    let (reference, digest, policy) = (subject.reference.to_string(), subject.digest, policy.to_string());
    Err(if refusals.is_empty() {
        VerifyError::Unsigned {
            reference,
            digest,
            policy,
        }
    } else {
        VerifyError::Rejected {
            reference,
            digest,
            policy,
            refusals,
        }
    })
}

/// Checks a bundle over an artifact, and who made it.
fn check_identity(
    policy: &KeylessPolicy,
    bundle: &sigstore_verify::types::Bundle,
    artifact: &[u8],
) -> Result<Option<String>, Refusal> {
    let result = policy
        .verifier
        .verify(artifact, bundle, &policy.rules())
        .map_err(|error| Refusal::Untrusted(error.to_string()))?;
    let identity = result
        .identity()
        .map(|identity| identity.as_str().to_owned())
        .ok_or(Refusal::NoCertificate)?;
    match &policy.identity {
        Identity::Matches(expression) if !expression.is_match(&identity) => {
            Err(Refusal::OtherIdentity(identity))
        }
        _ => Ok(Some(identity)),
    }
}

/// Finds the signatures of a manifest in its repository, of both layouts.
pub(crate) async fn find(
    remote: &Remote,
    errand: Errand<'_>,
    digest: Digest,
) -> Result<Vec<Evidence>, RemoteError> {
    let mut found = Vec::new();
    if let Some(manifest) = protocol::tagged_manifest(remote, errand, &cosign::tag(digest)).await?
        && let Ok(manifest) = Manifest::parse(&manifest)
    {
        for layer in manifest.layers.iter().filter(|layer| cosign::is_signature(layer)) {
            let payload = evidence_blob(remote, errand, layer, found.len()).await?;
            found.extend(
                payload
                    .and_then(|payload| cosign::Signature::new(layer, &payload))
                    .map(Evidence::Cosign),
            );
        }
    }
    let referrers = protocol::referrers(remote, errand, digest, bundle::TYPE).await?;
    for referrer in referrers.into_iter().take(MAX_SIGNATURES) {
        let manifest = protocol::manifest(remote, errand, referrer.digest).await?;
        let layers = Manifest::parse(&manifest)
            .map(|manifest| manifest.layers)
            .unwrap_or_default();
        for layer in layers.iter().filter(|layer| layer.media_type == bundle::TYPE) {
            let json = evidence_blob(remote, errand, layer, found.len()).await?;
            found.extend(
                json.and_then(|json| String::from_utf8(json.into()).ok())
                    .map(Evidence::Bundle),
            );
        }
    }
    Ok(found)
}

/// The content of a layer, unless there are enough or it is too long to be a signature.
async fn evidence_blob(
    remote: &Remote,
    errand: Errand<'_>,
    layer: &Descriptor,
    found: usize,
) -> Result<Option<Bytes>, RemoteError> {
    if found >= MAX_SIGNATURES || layer.size > MAX_SIGNATURE {
        return Ok(None);
    }
    protocol::blob(remote, errand, layer.digest, layer.size)
        .await
        .map(Some)
}

/// Signs a manifest and puts the signature beside those it has. The digest of the
/// manifest that holds them all.
pub(crate) async fn sign(
    remote: &Remote,
    errand: Errand<'_>,
    key: &SigningKey,
    digest: Digest,
) -> Result<Digest, RemoteError> {
    let tag = cosign::tag(digest);
    let before = protocol::tagged_manifest(remote, errand, &tag).await?;
    let before = before.and_then(|manifest| Manifest::parse(&manifest).ok());
    let signed = cosign::sign(
        key,
        errand.repository,
        digest,
        before.map(|manifest| manifest.layers),
    );
    protocol::push_blob(remote, errand, &signed.payload).await?;
    protocol::push_blob(remote, errand, &signed.config).await?;
    protocol::push_manifest(remote, errand, &tag, signed.manifest).await
}
