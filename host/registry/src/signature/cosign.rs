//! Cosign's older layout: a manifest under the tag `sha256-<hex>.sig`, a layer for each
//! signature, whose content is what was signed and whose annotations are the signature,
//! the certificate and the log entry
//! (`sigstore/cosign/specs/SIGNATURE_SPEC.md`).

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sigstore_verify::types::{Bundle, SignatureBytes};

use super::{Refusal, Subject, check_identity};
use crate::digest::Digest;
use crate::manifest::{self, Descriptor, MANIFEST_TYPE, Manifest};
use crate::policy::{KeyPolicy, KeylessPolicy};
use crate::reference::Repository;
use crate::signing::SigningKey;

const PAYLOAD_TYPE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
const CERTIFICATE: &str = "dev.sigstore.cosign/certificate";
const CHAIN: &str = "dev.sigstore.cosign/chain";
const LOG_ENTRY: &str = "dev.sigstore.cosign/bundle";
const TIME_STAMP: &str = "dev.sigstore.cosign/rfc3161timestamp";
const SIGNATURE_KIND: &str = "cosign container image signature";

/// A signature, as found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Signature {
    /// What was signed, to the byte.
    payload: String,
    /// In Base64.
    signature: String,
    certificate: Option<String>,
    chain: Option<String>,
    log_entry: Option<String>,
    time_stamp: Option<String>,
}

/// What is signed: a statement in the "simple signing" format of the Atomic project.
#[derive(Serialize, Deserialize)]
struct Payload {
    critical: Critical,
    optional: Option<Value>,
}

#[derive(Serialize, Deserialize)]
struct Critical {
    identity: BTreeMap<String, String>,
    image: Image,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Serialize, Deserialize)]
struct Image {
    #[serde(rename = "docker-manifest-digest")]
    digest: String,
}

/// The log's promise to enter the signature, and the entry.
#[derive(Deserialize)]
struct LogEntry {
    #[serde(rename = "SignedEntryTimestamp")]
    promise: String,
    #[serde(rename = "Payload")]
    payload: LogPayload,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogPayload {
    body: String,
    integrated_time: i64,
    log_index: i64,
    #[serde(rename = "logID")]
    log_id: String,
}

#[derive(Deserialize)]
struct LogBody {
    kind: String,
    #[serde(rename = "apiVersion")]
    version: String,
}

/// A new signature and the manifest that it is listed in.
pub(super) struct Signed {
    pub(super) payload: Bytes,
    pub(super) config: Bytes,
    pub(super) manifest: Bytes,
}

/// Where the signatures of a manifest lie.
pub(super) fn tag(digest: Digest) -> String {
    format!("sha256-{}.sig", digest.hex())
}

pub(super) fn is_signature(layer: &Descriptor) -> bool {
    layer.media_type == PAYLOAD_TYPE && layer.annotations.contains_key(SIGNATURE)
}

impl Signature {
    /// Takes a layer and its content.
    pub(super) fn new(layer: &Descriptor, payload: &[u8]) -> Option<Self> {
        let annotation = |name: &str| {
            layer
                .annotations
                .get(name)
                .filter(|value| !value.is_empty())
                .cloned()
        };
        Some(Self {
            payload: std::str::from_utf8(payload).ok()?.to_owned(),
            signature: annotation(SIGNATURE)?,
            certificate: annotation(CERTIFICATE),
            chain: annotation(CHAIN),
            log_entry: annotation(LOG_ENTRY),
            time_stamp: annotation(TIME_STAMP),
        })
    }

    pub(super) fn check_key(
        &self,
        policy: &KeyPolicy,
        subject: &Subject<'_>,
    ) -> Result<Option<String>, Refusal> {
        let signature = SignatureBytes::new(decode("signature", &self.signature)?);
        policy
            .key
            .verify(self.payload.as_bytes(), &signature)
            .map_err(|_| Refusal::WrongKey)?;
        self.check_payload(subject)?;
        Ok(None)
    }

    pub(super) fn check_keyless(
        &self,
        policy: &KeylessPolicy,
        subject: &Subject<'_>,
    ) -> Result<Option<String>, Refusal> {
        let bundle = serde_json::from_value::<Bundle>(self.as_bundle()?)
            .map_err(|error| Refusal::Malformed(error.to_string()))?;
        let signer = check_identity(policy, &bundle, self.payload.as_bytes())?;
        self.check_payload(subject)?;
        Ok(signer)
    }

    /// Whether what was signed, which is known to be genuine, is this artifact.
    fn check_payload(&self, subject: &Subject<'_>) -> Result<(), Refusal> {
        let payload: Payload = serde_json::from_str(&self.payload)
            .map_err(|_| Refusal::Malformed("what was signed is not a simple signing payload".to_owned()))?;
        if payload.critical.kind != SIGNATURE_KIND {
            return Err(Refusal::NotASignature(payload.critical.kind));
        }
        if payload.critical.image.digest != subject.digest.to_string() {
            return Err(Refusal::OtherDigest(payload.critical.image.digest));
        }
        Ok(())
    }

    /// The same signature as a sigstore bundle, which says the same in another order.
    fn as_bundle(&self) -> Result<Value, Refusal> {
        let certificate = self.certificate.as_deref().ok_or(Refusal::NoCertificate)?;
        let pem = format!("{certificate}\n{}", self.chain.as_deref().unwrap_or_default());
        let certificates = CertificateDer::pem_slice_iter(pem.as_bytes())
            .map(|der| der.map(|der| json!({ "rawBytes": BASE64_STANDARD.encode(der) })))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| Refusal::Malformed(format!("the certificates: {error}")))?;
        let entries = match &self.log_entry {
            Some(entry) => vec![log_entry(entry)?],
            None => Vec::new(),
        };
        let version = if entries.is_empty() { "0.2" } else { "0.1" };
        let stamps: Vec<_> = self
            .time_stamp
            .iter()
            .map(|stamp| time_stamp(stamp))
            .collect::<Result<_, _>>()?;
        if entries.is_empty() && stamps.is_empty() {
            return Err(Refusal::NotLogged);
        }
        Ok(json!({
            "mediaType": format!("application/vnd.dev.sigstore.bundle+json;version={version}"),
            "verificationMaterial": {
                "x509CertificateChain": { "certificates": certificates },
                "tlogEntries": entries,
                "timestampVerificationData": { "rfc3161Timestamps": stamps },
            },
            "messageSignature": {
                "messageDigest": {
                    "algorithm": "SHA2_256",
                    "digest": BASE64_STANDARD.encode(sha256(self.payload.as_bytes())),
                },
                "signature": self.signature,
            },
        }))
    }
}

fn sha256(content: &[u8]) -> [u8; 32] {
    use sha2::Digest as _;

    sha2::Sha256::digest(content).into()
}

fn decode(what: &str, base64: &str) -> Result<Vec<u8>, Refusal> {
    BASE64_STANDARD
        .decode(base64)
        .map_err(|error| Refusal::Malformed(format!("the {what}: {error}")))
}

fn log_entry(entry: &str) -> Result<Value, Refusal> {
    let malformed = |error: serde_json::Error| Refusal::Malformed(format!("the log entry: {error}"));
    let entry: LogEntry = serde_json::from_str(entry).map_err(malformed)?;
    let body: LogBody =
        serde_json::from_slice(&decode("log entry", &entry.payload.body)?).map_err(malformed)?;
    let log_id: Digest = format!("sha256:{}", entry.payload.log_id)
        .parse()
        .map_err(|_| Refusal::Malformed("the log entry: its log is not named by a hash".to_owned()))?;
    Ok(json!({
        "logIndex": entry.payload.log_index.to_string(),
        "logId": { "keyId": BASE64_STANDARD.encode(log_id.bytes()) },
        "kindVersion": { "kind": body.kind, "version": body.version },
        "integratedTime": entry.payload.integrated_time.to_string(),
        "inclusionPromise": { "signedEntryTimestamp": entry.promise },
        "canonicalizedBody": entry.payload.body,
    }))
}

fn time_stamp(annotation: &str) -> Result<Value, Refusal> {
    #[derive(Deserialize)]
    struct TimeStamp {
        #[serde(rename = "SignedRFC3161Timestamp")]
        signed: String,
    }

    let stamp: TimeStamp = serde_json::from_str(annotation)
        .map_err(|error| Refusal::Malformed(format!("the time stamp: {error}")))?;
    Ok(json!({ "signedTimestamp": stamp.signed }))
}

/// Signs, and lists the signature behind those that are there.
pub(super) fn sign(
    key: &SigningKey,
    repository: &Repository,
    digest: Digest,
    before: Option<Vec<Descriptor>>,
) -> Signed {
    let payload = manifest::json(&Payload {
        critical: Critical {
            identity: BTreeMap::from([("docker-reference".to_owned(), repository.to_string())]),
            image: Image {
                digest: digest.to_string(),
            },
            kind: SIGNATURE_KIND.to_owned(),
        },
        optional: None,
    });
    let mut layers = before.unwrap_or_default();
    layers.push(Descriptor {
        annotations: BTreeMap::from([(SIGNATURE.to_owned(), BASE64_STANDARD.encode(key.sign(&payload)))]),
        ..descriptor(PAYLOAD_TYPE, &payload)
    });
    let contents: Vec<_> = layers.iter().map(|layer| layer.digest).collect();
    let config = manifest::json(&json!({
        "architecture": "",
        "config": {},
        "os": "",
        "rootfs": { "type": "layers", "diff_ids": contents },
    }));
    let manifest = manifest::json(&Manifest {
        schema_version: 2,
        media_type: Some(MANIFEST_TYPE.to_owned()),
        config: descriptor(CONFIG_TYPE, &config),
        layers,
        annotations: BTreeMap::new(),
    });
    Signed {
        payload,
        config,
        manifest,
    }
}

fn descriptor(media_type: &str, content: &[u8]) -> Descriptor {
    Descriptor {
        media_type: media_type.to_owned(),
        artifact_type: None,
        digest: Digest::of(content),
        size: content.len() as u64,
        annotations: BTreeMap::new(),
    }
}
