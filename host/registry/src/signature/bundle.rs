//! Sigstore bundles that refer to an artifact, as cosign 3 attaches them
//! (`sigstore/cosign/specs/BUNDLE_SPEC.md`, `sigstore/protobuf-specs/sigstore_bundle.proto`).
//!
//! Most hold an in-toto statement whose subject is the artifact. Other statements than
//! signatures come in the same form; a vulnerability report by the right person is no
//! consent to run what it reports on.

use serde::Deserialize;
use sigstore_verify::types::{Bundle, DsseEnvelope, SignatureContent};

use super::{Refusal, Subject, check_identity};
use crate::policy::{KeyPolicy, KeylessPolicy};

/// The type of the artifacts and of their layers.
pub(super) const TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
const STATEMENT_TYPE: &str = "application/vnd.in-toto+json";
const SIGNATURE_PREDICATE: &str = "https://sigstore.dev/cosign/sign/v1";

/// An in-toto statement.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statement {
    subject: Vec<StatementSubject>,
    predicate_type: String,
}

#[derive(Deserialize)]
struct StatementSubject {
    digest: StatementDigest,
}

#[derive(Deserialize)]
struct StatementDigest {
    #[serde(default)]
    sha256: String,
}

pub(super) fn check_key(
    json: &str,
    policy: &KeyPolicy,
    subject: &Subject<'_>,
) -> Result<Option<String>, Refusal> {
    let bundle = parse(json)?;
    let (message, signature) = match &bundle.content {
        SignatureContent::DsseEnvelope(envelope) => (envelope.pae(), &envelope.signature.sig),
        SignatureContent::MessageSignature(message) => (subject.manifest.to_vec(), &message.signature),
        _ => return Err(Refusal::Malformed("its content is unknown".to_owned())),
    };
    policy
        .key
        .verify(&message, signature)
        .map_err(|_| Refusal::WrongKey)?;
    check_content(&bundle, subject)?;
    Ok(None)
}

pub(super) fn check_keyless(
    json: &str,
    policy: &KeylessPolicy,
    subject: &Subject<'_>,
) -> Result<Option<String>, Refusal> {
    let bundle = parse(json)?;
    if bundle.signing_certificate().is_none() {
        return Err(Refusal::NoCertificate);
    }
    check_content(&bundle, subject)?;
    check_identity(policy, &bundle, subject.manifest)
}

fn parse(json: &str) -> Result<Bundle, Refusal> {
    Bundle::from_json(json).map_err(|error| Refusal::Malformed(error.to_string()))
}

/// Whether what was signed says that it is a signature of this artifact. A signature of
/// the manifest's own bytes says so by being valid.
fn check_content(bundle: &Bundle, subject: &Subject<'_>) -> Result<(), Refusal> {
    match &bundle.content {
        SignatureContent::DsseEnvelope(envelope) => check_statement(envelope, subject),
        _ => Ok(()),
    }
}

fn check_statement(envelope: &DsseEnvelope, subject: &Subject<'_>) -> Result<(), Refusal> {
    if envelope.payload_type != STATEMENT_TYPE {
        return Err(Refusal::NotASignature(envelope.payload_type.clone()));
    }
    let statement: Statement = serde_json::from_slice(envelope.payload.as_bytes())
        .map_err(|error| Refusal::Malformed(format!("the statement: {error}")))?;
    if statement.predicate_type != SIGNATURE_PREDICATE {
        return Err(Refusal::NotASignature(statement.predicate_type));
    }
    let expected = subject.digest.hex();
    if statement
        .subject
        .iter()
        .any(|subject| subject.digest.sha256 == expected)
    {
        return Ok(());
    }
    let others: Vec<_> = statement
        .subject
        .iter()
        .take(3)
        .map(|subject| format!("sha256:{}", subject.digest.sha256))
        .collect();
    Err(Refusal::OtherDigest(others.join(" and ")))
}
