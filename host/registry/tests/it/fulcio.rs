//! A throw-away sigstore: an authority that certifies identities, and a log.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PublicKeyData as _, SanType,
    SigningKey as _, date_time_ymd,
};
use serde_json::{Value, json};
use windlass_registry::digest::Digest;
use windlass_registry::policy::{Identity, Policy, PolicyError, TrustRoots};

use crate::http;

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
pub(crate) const IN_TOTO: &str = "application/vnd.in-toto+json";
pub(crate) const SIGNS: &str = "https://sigstore.dev/cosign/sign/v1";
pub(crate) const ISSUER: &str = "https://accounts.example";
/// Within the day for which certificates are valid: 1 January 2025, noon.
pub(crate) const NOON: i64 = 1_735_732_800;

/// The authority and the log.
pub(crate) struct Sigstore {
    /// Certifies signers, and is certified by the root.
    authority: Issuer<'static, KeyPair>,
    authority_pem: String,
    root_pem: String,
    log: KeyPair,
}

/// A certificate for an identity, and its key.
pub(crate) struct Signer {
    key: KeyPair,
    certificate: Vec<u8>,
    certificate_pem: String,
}

/// An entry in the log.
pub(crate) struct Entry {
    pub(crate) body: String,
    pub(crate) time: i64,
    promise: String,
}

pub(crate) fn base64(bytes: impl AsRef<[u8]>) -> String {
    BASE64_STANDARD.encode(bytes)
}

impl Sigstore {
    pub(crate) fn new() -> Self {
        // As Fulcio's own: P-384 above P-256.
        let authority = |name: &str| {
            let mut parameters = CertificateParams::default();
            parameters.distinguished_name.push(DnType::CommonName, name);
            parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
            parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
            (
                parameters,
                KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap(),
            )
        };
        let (root, root_key) = authority("root");
        let root_pem = root.self_signed(&root_key).unwrap().pem();
        let (parameters, key) = authority("intermediate");
        let certificate = parameters.signed_by(&key, &Issuer::new(root, root_key)).unwrap();
        Self {
            authority: Issuer::new(parameters, key),
            authority_pem: certificate.pem(),
            root_pem,
            log: KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap(),
        }
    }

    /// The certificates above a signer's.
    pub(crate) fn chain(&self) -> String {
        format!("{}{}", self.authority_pem, self.root_pem)
    }

    /// A policy that knows the root alone.
    pub(crate) fn policy_of_root(&self, identity: Identity, issuer: &str) -> Policy {
        let rekor = self.log.public_key_pem();
        let roots = TrustRoots::Pem {
            fulcio: &self.root_pem,
            rekor: &rekor,
            ct_logs: "",
        };
        Policy::keyless(roots, identity, issuer).unwrap()
    }

    pub(crate) fn policy(&self, identity: Identity, issuer: &str) -> Policy {
        self.policy_with(identity, issuer, "").unwrap()
    }

    pub(crate) fn policy_with(
        &self,
        identity: Identity,
        issuer: &str,
        ct_logs: &str,
    ) -> Result<Policy, PolicyError> {
        let (rekor, fulcio) = (self.log.public_key_pem(), self.chain());
        let roots = TrustRoots::Pem {
            fulcio: &fulcio,
            rekor: &rekor,
            ct_logs,
        };
        Policy::keyless(roots, identity, issuer)
    }

    /// Certifies a new key for an e-mail address, for one day.
    pub(crate) fn certify(&self, email: &str) -> Signer {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        parameters.not_before = date_time_ymd(2025, 1, 1);
        parameters.not_after = date_time_ymd(2025, 1, 2);
        parameters.subject_alt_names = vec![SanType::Rfc822Name(email.try_into().unwrap())];
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        let issuer = [&[0x0c, u8::try_from(ISSUER.len()).unwrap()], ISSUER.as_bytes()].concat();
        let issuer = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 57264, 1, 8], issuer);
        parameters.custom_extensions = vec![issuer];
        let certificate = parameters.signed_by(&key, &self.authority).unwrap();
        Signer {
            key,
            certificate: certificate.der().to_vec(),
            certificate_pem: certificate.pem(),
        }
    }

    /// Enters a body in the log at a time.
    pub(crate) fn enter(&self, body: &Value, time: i64) -> Entry {
        let body = base64(body.to_string());
        let log = self.log_id().hex();
        let signed = format!(r#"{{"body":"{body}","integratedTime":{time},"logID":"{log}","logIndex":0}}"#);
        Entry {
            promise: base64(self.log.sign(signed.as_bytes()).unwrap()),
            body,
            time,
        }
    }

    /// The annotation that holds an entry in cosign's older layout.
    pub(crate) fn annotation(&self, entry: &Entry) -> String {
        json!({
            "SignedEntryTimestamp": entry.promise,
            "Payload": {
                "body": entry.body, "integratedTime": entry.time, "logIndex": 0, "logID": self.log_id().hex(),
            },
        })
        .to_string()
    }

    /// An entry in a bundle, with the proof that it is the only one of the log.
    pub(crate) fn bundled(&self, entry: &Entry) -> Value {
        let leaf = [&[0], BASE64_STANDARD.decode(&entry.body).unwrap().as_slice()].concat();
        let root = base64(bytes(Digest::of(&leaf)));
        let checkpoint = format!("log.example\n1\n{root}\n");
        let hint = &bytes(self.log_id())[..4];
        let signature = base64([hint, &self.log.sign(checkpoint.as_bytes()).unwrap()].concat());
        json!({
            "logIndex": "0",
            "logId": { "keyId": base64(bytes(self.log_id())) },
            "kindVersion": { "kind": "dsse", "version": "0.0.1" },
            "integratedTime": entry.time.to_string(),
            "inclusionPromise": { "signedEntryTimestamp": entry.promise },
            "inclusionProof": {
                "logIndex": "0", "treeSize": "1", "rootHash": root, "hashes": [],
                "checkpoint": { "envelope": format!("{checkpoint}\n— log.example {signature}\n") },
            },
            "canonicalizedBody": entry.body,
        })
    }

    /// A bundle with a statement, signed and entered in the log.
    pub(crate) fn bundle(&self, signer: &Signer, statement: &str, time: i64) -> Value {
        let signature = base64(signer.sign(&pae(statement)));
        let body = json!({
            "apiVersion": "0.0.1",
            "kind": "dsse",
            "spec": {
                "envelopeHash": { "algorithm": "sha256", "value": Digest::of(b"").hex() },
                "payloadHash": { "algorithm": "sha256", "value": Digest::of(statement.as_bytes()).hex() },
                "signatures": [{ "signature": signature, "verifier": base64(&signer.certificate_pem) }],
            },
        });
        json!({
            "mediaType": BUNDLE,
            "verificationMaterial": {
                "certificate": { "rawBytes": base64(&signer.certificate) },
                "tlogEntries": [self.bundled(&self.enter(&body, time))],
            },
            "dsseEnvelope": {
                "payload": base64(statement), "payloadType": IN_TOTO, "signatures": [{ "sig": signature }],
            },
        })
    }

    fn log_id(&self) -> Digest {
        Digest::of(&self.log.subject_public_key_info())
    }
}

impl Signer {
    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.key.sign(message).unwrap()
    }

    /// The annotations of a signature in cosign's older layout, without its log entry.
    pub(crate) fn annotations(&self, payload: &str) -> Value {
        json!({
            "dev.cosignproject.cosign/signature": base64(self.sign(payload.as_bytes())),
            "dev.sigstore.cosign/certificate": self.certificate_pem,
        })
    }

    /// What the log says of a signed payload.
    pub(crate) fn hashed_record(&self, payload: &str, signature: &str) -> Value {
        json!({
            "apiVersion": "0.0.1",
            "kind": "hashedrekord",
            "spec": {
                "data": { "hash": { "algorithm": "sha256", "value": Digest::of(payload.as_bytes()).hex() } },
                "signature": { "content": signature, "publicKey": { "content": base64(&self.certificate_pem) } },
            },
        })
    }
}

fn bytes(digest: Digest) -> Vec<u8> {
    let hex = digest.hex();
    (0..64)
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

/// An in-toto statement about a digest.
pub(crate) fn statement(digest: Digest, predicate: &str) -> String {
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "digest": { "sha256": digest.hex() } }],
        "predicateType": predicate,
        "predicate": {},
    })
    .to_string()
}

/// What is signed of a statement (`secure-systems-lab/dsse/protocol.md`).
pub(crate) fn pae(statement: &str) -> Vec<u8> {
    format!(
        "DSSEv1 {} {IN_TOTO} {} {statement}",
        IN_TOTO.len(),
        statement.len()
    )
    .into_bytes()
}

/// The payload of cosign's older layout.
pub(crate) fn payload(digest: Digest) -> String {
    format!(
        r#"{{"critical":{{"identity":{{"docker-reference":"gc"}},"image":{{"docker-manifest-digest":"{digest}"}},"type":"cosign container image signature"}},"optional":null}}"#
    )
}

/// Puts a signature beside a manifest, in cosign's older layout.
pub(crate) async fn attach_signature(
    host: &str,
    repository: &str,
    digest: Digest,
    payload: &str,
    annotations: &Value,
) {
    let config = http::put_blob(host, repository, b"{}").await;
    let layer = http::put_blob(host, repository, payload.as_bytes()).await;
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST,
        "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": 2 },
        "layers": [{
            "mediaType": "application/vnd.dev.cosign.simplesigning.v1+json",
            "digest": layer, "size": payload.len(), "annotations": annotations,
        }],
    });
    let tag = format!("sha256-{}.sig", digest.hex());
    http::put_manifest(host, repository, &tag, MANIFEST, manifest.to_string().as_bytes()).await;
}

/// Makes bundles refer to a manifest, the way for registries without referrers.
pub(crate) async fn attach(host: &str, repository: &str, digest: Digest, bundles: &[String]) {
    let config = http::put_blob(host, repository, b"{}").await;
    let mut referrers = Vec::new();
    for bundle in bundles {
        let layer = http::put_blob(host, repository, bundle.as_bytes()).await;
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": BUNDLE,
            "config": { "mediaType": "application/vnd.oci.empty.v1+json", "digest": config, "size": 2 },
            "layers": [{ "mediaType": BUNDLE, "digest": layer, "size": bundle.len() }],
            "subject": { "mediaType": MANIFEST, "digest": digest, "size": 1 },
        })
        .to_string();
        let name = Digest::of(manifest.as_bytes());
        http::put_manifest(host, repository, &name.to_string(), MANIFEST, manifest.as_bytes()).await;
        // As cosign 2.6 lists it: the type of the configuration.
        referrers.push(json!({
            "mediaType": MANIFEST, "artifactType": "application/vnd.oci.empty.v1+json", "digest": name, "size": manifest.len(),
        }));
    }
    let index = "application/vnd.oci.image.index.v1+json";
    let content = json!({ "schemaVersion": 2, "mediaType": index, "manifests": referrers }).to_string();
    http::put_manifest(
        host,
        repository,
        &format!("sha256-{}", digest.hex()),
        index,
        content.as_bytes(),
    )
    .await;
}
