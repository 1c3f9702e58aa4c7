//! Signatures by identities, in both layouts, at a real registry.

use serde_json::{Value, json};
use windlass_registry::client::Client;
use windlass_registry::digest::Digest;
use windlass_registry::policy::{Identity, Policy};
use windlass_registry::reference::Reference;

use crate::docker_registry::DockerRegistry;
use crate::fulcio::{self, ISSUER, NOON, SIGNS, Signer, Sigstore, base64, payload, statement};
use crate::support::{client, component, push_options, reference, signer};

const ME: &str = "me@example.com";
const DAY: i64 = 86_400;

/// An unsigned component in a registry, and a sigstore to sign it with.
struct Scene {
    registry: DockerRegistry,
    client: Client,
    tagged: Reference,
    digest: Digest,
    sigstore: Sigstore,
}

impl Scene {
    async fn set() -> Option<Self> {
        let registry = DockerRegistry::start().await?;
        let client = client(&registry.host);
        let tagged = reference(&registry.host, "gc:v1");
        let pushed = client
            .push(&tagged, component("a"), &push_options(None))
            .await
            .unwrap();
        Some(Self {
            client,
            tagged,
            digest: pushed.digest,
            sigstore: Sigstore::new(),
            registry,
        })
    }

    /// Attaches a bundle in the place of those before.
    async fn bundle(&self, bundle: &Value) {
        fulcio::attach(&self.registry.host, "gc", self.digest, &[bundle.to_string()]).await;
    }

    /// Attaches a signature in the older layout, in the place of those before.
    async fn annotate(&self, payload: &str, annotations: &Value) {
        fulcio::attach_signature(&self.registry.host, "gc", self.digest, payload, annotations).await;
    }

    /// A signature in the older layout, entered in the log.
    fn annotations(&self, signer: &Signer, payload: &str, time: i64) -> Value {
        let mut annotations = signer.annotations(payload);
        let signature = annotations["dev.cosignproject.cosign/signature"]
            .as_str()
            .unwrap();
        let entry = self
            .sigstore
            .enter(&signer.hashed_record(payload, signature), time);
        annotations["dev.sigstore.cosign/bundle"] = self.sigstore.annotation(&entry).into();
        annotations
    }

    fn me(&self) -> Policy {
        self.sigstore.policy(Identity::Exact(ME.to_owned()), ISSUER)
    }

    async fn signer(&self, policy: &Policy) -> Result<String, String> {
        signer(&self.client, &self.tagged, policy).await
    }

    async fn refusal(&self, policy: &Policy) -> String {
        let error = self.signer(policy).await.unwrap_err();
        assert!(
            error.contains(&self.tagged.to_string()) && error.contains(&self.digest.to_string()),
            "{error}"
        );
        error
            .split_once("signature 1: ")
            .expect("one signature")
            .1
            .to_owned()
    }
}

/// Checks who is let in by a component that `ME` signed.
async fn check_who(scene: &Scene) {
    let policy = |identity: Identity, issuer: &str| scene.sigstore.policy(identity, issuer);
    let matching = |expression: &str| Identity::matching(expression).unwrap();
    assert_eq!(scene.signer(&scene.me()).await, Ok(ME.to_owned()));
    assert_eq!(
        scene.signer(&policy(matching(".*@example\\.com"), ISSUER)).await,
        Ok(ME.to_owned())
    );

    let other = policy(matching(".*@example\\.org"), ISSUER);
    assert_eq!(scene.refusal(&other).await, format!("it was made by {ME}"));
    let other = policy(Identity::Exact("you@example.com".to_owned()), ISSUER);
    assert!(scene.refusal(&other).await.contains(ME));
    let other = policy(Identity::Exact(ME.to_owned()), "https://elsewhere.example");
    assert!(scene.refusal(&other).await.contains(ISSUER));
    let stranger = Sigstore::new().policy(Identity::Exact(ME.to_owned()), ISSUER);
    scene.refusal(&stranger).await;
}

#[tokio::test]
async fn a_bundle_lets_in_the_identity_that_the_policy_names() {
    let Some(scene) = Scene::set().await else { return };
    let signer = scene.sigstore.certify(ME);
    let statement = statement(scene.digest, SIGNS);
    scene
        .bundle(&scene.sigstore.bundle(&signer, &statement, NOON))
        .await;
    check_who(&scene).await;
}

#[tokio::test]
async fn the_older_layout_lets_in_the_identity_that_the_policy_names() {
    let Some(scene) = Scene::set().await else { return };
    let signer = scene.sigstore.certify(ME);
    let payload = payload(scene.digest);
    scene
        .annotate(&payload, &scene.annotations(&signer, &payload, NOON))
        .await;
    check_who(&scene).await;
}

#[tokio::test]
async fn a_signature_brings_the_certificates_between_its_own_and_the_root() {
    let Some(scene) = Scene::set().await else { return };
    let signer = scene.sigstore.certify(ME);
    let policy = scene
        .sigstore
        .policy_of_root(Identity::Exact(ME.to_owned()), ISSUER);
    let payload = payload(scene.digest);
    let mut annotations = scene.annotations(&signer, &payload, NOON);
    scene.annotate(&payload, &annotations).await;
    scene.refusal(&policy).await;
    annotations["dev.sigstore.cosign/chain"] = scene.sigstore.chain().into();
    scene.annotate(&payload, &annotations).await;
    assert_eq!(scene.signer(&policy).await, Ok(ME.to_owned()));
}

#[tokio::test]
async fn a_signature_after_the_certificate_has_expired_is_refused() {
    let Some(scene) = Scene::set().await else { return };
    let signer = scene.sigstore.certify(ME);
    let (statement, payload) = (statement(scene.digest, SIGNS), payload(scene.digest));
    scene
        .bundle(&scene.sigstore.bundle(&signer, &statement, NOON + DAY))
        .await;
    scene.refusal(&scene.me()).await;
    scene
        .annotate(&payload, &scene.annotations(&signer, &payload, NOON + DAY))
        .await;
    assert!(scene.refusal(&scene.me()).await.contains("signature 2: "));
}

#[tokio::test]
async fn a_log_entry_cannot_be_left_out_dated_back_or_borrowed() {
    let Some(scene) = Scene::set().await else { return };
    let signer = scene.sigstore.certify(ME);
    let payload = payload(scene.digest);
    scene.annotate(&payload, &signer.annotations(&payload)).await;
    assert_eq!(
        scene.refusal(&scene.me()).await,
        "it has no entry of a transparency log, so nothing says when it was made"
    );

    let mut late = scene.annotations(&signer, &payload, NOON + DAY);
    let entry = late["dev.sigstore.cosign/bundle"].as_str().unwrap();
    late["dev.sigstore.cosign/bundle"] = entry.replace(&(NOON + DAY).to_string(), &NOON.to_string()).into();
    scene.annotate(&payload, &late).await;
    scene.refusal(&scene.me()).await;

    let mut borrowed = signer.annotations(&payload);
    let elsewhere = scene.annotations(&signer, &fulcio::payload(Digest::of(b"elsewhere")), NOON);
    borrowed["dev.sigstore.cosign/bundle"] = elsewhere["dev.sigstore.cosign/bundle"].clone();
    scene.annotate(&payload, &borrowed).await;
    scene.refusal(&scene.me()).await;
}

#[tokio::test]
async fn a_genuine_signature_of_something_else_is_refused() {
    let Some(scene) = Scene::set().await else { return };
    let signer = scene.sigstore.certify(ME);
    let elsewhere = Digest::of(b"elsewhere");
    let expected = format!("it is for {elsewhere}");
    let other = payload(elsewhere);
    scene
        .annotate(&other, &scene.annotations(&signer, &other, NOON))
        .await;
    assert_eq!(scene.refusal(&scene.me()).await, expected);
    scene
        .bundle(&scene.sigstore.bundle(&signer, &statement(elsewhere, SIGNS), NOON))
        .await;
    assert_eq!(
        scene.refusal(&scene.me()).await,
        format!("{expected}; signature 2: {expected}")
    );
    let report = "https://cosign.sigstore.dev/attestation/vuln/v1";
    scene
        .bundle(
            &scene
                .sigstore
                .bundle(&signer, &statement(scene.digest, report), NOON),
        )
        .await;
    assert!(
        scene
            .refusal(&scene.me())
            .await
            .ends_with(&format!("it attests `{report}` and is not a signature"))
    );
}

#[tokio::test]
async fn a_statement_that_was_changed_after_signing_is_refused() {
    let Some(scene) = Scene::set().await else { return };
    let signer = scene.sigstore.certify(ME);
    let mut bundle = scene
        .sigstore
        .bundle(&signer, &statement(Digest::of(b"elsewhere"), SIGNS), NOON);
    bundle["dsseEnvelope"]["payload"] = base64(statement(scene.digest, SIGNS)).into();
    scene.bundle(&bundle).await;
    scene.refusal(&scene.me()).await;
}

#[tokio::test]
async fn with_a_certificate_log_in_the_policy_the_certificate_must_be_in_it() {
    let Some(scene) = Scene::set().await else { return };
    let signer = scene.sigstore.certify(ME);
    scene
        .bundle(
            &scene
                .sigstore
                .bundle(&signer, &statement(scene.digest, SIGNS), NOON),
        )
        .await;
    let ct_log = rcgen::KeyPair::generate().unwrap().public_key_pem();
    let policy = scene
        .sigstore
        .policy_with(Identity::Exact(ME.to_owned()), ISSUER, &ct_log)
        .unwrap();
    assert!(scene.refusal(&policy).await.to_lowercase().contains("sct"));
}

#[tokio::test]
async fn a_key_says_nothing_about_identity() {
    let Some(scene) = Scene::set().await else { return };
    let key = rcgen::KeyPair::generate().unwrap();
    let key = windlass_registry::signing::SigningKey::from_pem(&key.serialize_pem()).unwrap();
    scene
        .client
        .push(&scene.tagged, component("a"), &push_options(Some(&key)))
        .await
        .unwrap();
    assert_eq!(
        scene.refusal(&scene.me()).await,
        "it has no certificate, so it says nothing about who made it"
    );
    let bundle = json!({
        "mediaType": fulcio::BUNDLE,
        "verificationMaterial": { "publicKey": { "hint": "" }, "tlogEntries": [] },
        "messageSignature": { "signature": base64("x") },
    });
    scene.bundle(&bundle).await;
    assert!(
        scene
            .refusal(&scene.me())
            .await
            .ends_with("signature 2: it has no certificate, so it says nothing about who made it")
    );
}
