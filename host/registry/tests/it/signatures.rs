//! Signatures made with keys, in both layouts, at a real registry.

use std::collections::HashMap;

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, SigningKey as _};
use serde_json::json;
use tempfile::tempdir;
use windlass_registry::client::Client;
use windlass_registry::digest::Digest;
use windlass_registry::policy::Policy;
use windlass_registry::reference::Reference;
use windlass_registry::signing::SigningKey;

use crate::docker_registry::DockerRegistry;
use crate::fulcio::{self, base64, statement};
use crate::http;
use crate::script::{Script, answer, status};
use crate::support::{cached_client, client, component, push_options, reference, signer};

struct Key {
    pair: KeyPair,
    signing: SigningKey,
    policy: Policy,
}

impl Key {
    fn new() -> Self {
        Self::of(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap())
    }

    /// As the policy demands it: a signature "with" this.
    fn name(&self) -> String {
        let demand = self.policy.to_string();
        demand.strip_prefix("with ").unwrap().to_owned()
    }

    fn of(pair: KeyPair) -> Self {
        Self {
            signing: SigningKey::from_pem(&pair.serialize_pem()).unwrap(),
            policy: Policy::key(&pair.public_key_pem()).unwrap(),
            pair,
        }
    }
}

async fn push(client: &Client, tagged: &Reference, content: &str, key: Option<&Key>) -> Digest {
    let options = push_options(key.map(|key| &key.signing));
    client
        .push(tagged, component(content), &options)
        .await
        .unwrap()
        .digest
}

#[tokio::test]
async fn a_signed_component_satisfies_the_policy_of_its_key_alone() {
    let Some(registry) = DockerRegistry::start().await else {
        return;
    };
    let client = client(&registry.host);
    let tagged = reference(&registry.host, "gc:v1");
    for pair in [&PKCS_ECDSA_P256_SHA256, &PKCS_ED25519] {
        let (key, other) = (Key::of(KeyPair::generate_for(pair).unwrap()), Key::new());
        let digest = push(&client, &tagged, &format!("{pair:?}"), Some(&key)).await;
        assert_eq!(signer(&client, &tagged, &key.policy).await, Ok(key.name()));
        assert_eq!(
            signer(&client, &tagged, &other.policy).await.unwrap_err(),
            format!(
                "no signature of {tagged} ({digest}) satisfies the policy, which demands one {}: signature 1: it was \
                 not made with that key",
                other.policy
            )
        );
        client.verify(&tagged, &key.policy).await.unwrap();
    }
}

#[tokio::test]
async fn an_unsigned_component_is_refused() {
    let Some(registry) = DockerRegistry::start().await else {
        return;
    };
    let client = client(&registry.host);
    let tagged = reference(&registry.host, "gc:v1");
    let digest = push(&client, &tagged, "a", None).await;
    let key = Key::new();
    assert_eq!(
        signer(&client, &tagged, &key.policy).await.unwrap_err(),
        format!(
            "{tagged} ({digest}) is not signed, and the policy demands a signature {}: sign it with `windlass push \
             --sign-key` or `cosign sign`",
            key.policy
        )
    );
}

#[tokio::test]
async fn signatures_are_added_to_those_that_are_there() {
    let Some(registry) = DockerRegistry::start().await else {
        return;
    };
    let client = client(&registry.host);
    let tagged = reference(&registry.host, "gc:v1");
    let (first, second) = (Key::new(), Key::new());
    push(&client, &tagged, "a", Some(&first)).await;
    push(&client, &tagged, "a", Some(&second)).await;
    for key in [first, second] {
        assert_eq!(signer(&client, &tagged, &key.policy).await, Ok(key.name()));
    }
}

#[tokio::test]
async fn a_signature_of_another_component_does_not_count() {
    let Some(registry) = DockerRegistry::start().await else {
        return;
    };
    let host = &registry.host;
    let client = client(host);
    let key = Key::new();
    let tagged = reference(host, "gc:v1");
    let signed = push(&client, &tagged, "signed", Some(&key)).await;
    let signature = http::get_manifest(host, "gc", &format!("sha256-{}.sig", signed.hex())).await;
    let unsigned = push(&client, &tagged, "unsigned", None).await;
    let tag = format!("sha256-{}.sig", unsigned.hex());
    http::put_manifest(host, "gc", &tag, fulcio::MANIFEST, &signature).await;
    let error = signer(&client, &tagged, &key.policy).await.unwrap_err();
    assert!(
        error.ends_with(&format!("signature 1: it is for {signed}")),
        "{error}"
    );
}

#[tokio::test]
async fn a_verified_component_is_verified_again_while_the_registry_is_down() {
    let Some(mut registry) = DockerRegistry::start().await else {
        return;
    };
    let folder = tempdir().unwrap();
    let client = cached_client(&registry.host, &folder);
    let (key, other) = (Key::new(), Key::new());
    let tagged = reference(&registry.host, "gc:v1");
    push(&client, &tagged, "a", Some(&key)).await;
    signer(&client, &tagged, &key.policy).await.unwrap();
    registry.take_down().await;
    assert_eq!(signer(&client, &tagged, &key.policy).await, Ok(key.name()));
    // The cache does not lend its verdict to another policy.
    let error = signer(&client, &tagged, &other.policy).await.unwrap_err();
    assert!(error.contains("cannot reach registry"), "{error}");
}

/// A bundle with a statement, signed with a key.
fn bundle(key: &Key, statement: &str) -> String {
    let signature = key.pair.sign(&fulcio::pae(statement)).unwrap();
    json!({
        "mediaType": fulcio::BUNDLE,
        "verificationMaterial": { "publicKey": { "hint": "" }, "tlogEntries": [] },
        "dsseEnvelope": {
            "payload": base64(statement), "payloadType": fulcio::IN_TOTO, "signatures": [{ "sig": base64(signature) }],
        },
    })
    .to_string()
}

#[tokio::test]
async fn a_bundle_that_refers_to_the_component_is_found_and_must_be_a_signature_of_it() {
    let Some(registry) = DockerRegistry::start().await else {
        return;
    };
    let host = &registry.host;
    let client = client(host);
    let (key, other) = (Key::new(), Key::new());
    let tagged = reference(host, "gc:v1");
    let digest = push(&client, &tagged, "a", None).await;
    let elsewhere = Digest::of(b"elsewhere");
    let attach = async |statement: &str| fulcio::attach(host, "gc", digest, &[bundle(&key, statement)]).await;

    attach(&statement(digest, fulcio::SIGNS)).await;
    assert_eq!(signer(&client, &tagged, &key.policy).await, Ok(key.name()));
    let error = signer(&client, &tagged, &other.policy).await.unwrap_err();
    assert!(
        error.ends_with("signature 1: it was not made with that key"),
        "{error}"
    );

    attach(&statement(elsewhere, fulcio::SIGNS)).await;
    let error = signer(&client, &tagged, &key.policy).await.unwrap_err();
    assert!(
        error.ends_with(&format!("signature 1: it is for {elsewhere}")),
        "{error}"
    );

    attach(&statement(digest, "https://slsa.dev/provenance/v1")).await;
    let error = signer(&client, &tagged, &key.policy).await.unwrap_err();
    assert!(
        error.ends_with("signature 1: it attests `https://slsa.dev/provenance/v1` and is not a signature"),
        "{error}"
    );
}

#[tokio::test]
async fn one_good_signature_among_bad_ones_suffices() {
    let Some(registry) = DockerRegistry::start().await else {
        return;
    };
    let host = &registry.host;
    let client = client(host);
    let (key, other) = (Key::new(), Key::new());
    let tagged = reference(host, "gc:v1");
    let digest = push(&client, &tagged, "a", Some(&other)).await;
    let signs = statement(digest, fulcio::SIGNS);
    fulcio::attach(host, "gc", digest, &["rubbish".to_owned(), bundle(&key, &signs)]).await;
    assert_eq!(signer(&client, &tagged, &key.policy).await, Ok(key.name()));
}

/// Debian's registry has no referrers endpoint, so one is scripted.
#[tokio::test]
async fn a_registry_that_lists_referrers_is_asked_for_the_bundles_among_them() {
    let key = Key::new();
    let layer = component("a");
    let manifest = json!({
        "schemaVersion": 2,
        "config": { "mediaType": "x", "digest": Digest::of(b""), "size": 0 },
        "layers": [{ "mediaType": "application/wasm", "digest": Digest::of(&layer), "size": layer.len() }],
    });
    let manifest = manifest.to_string();
    let digest = Digest::of(manifest.as_bytes());
    let bundle = bundle(&key, &statement(digest, fulcio::SIGNS));
    let referrer = json!({
        "schemaVersion": 2,
        "config": { "mediaType": "application/vnd.oci.empty.v1+json", "digest": Digest::of(b"{}"), "size": 2 },
        "layers": [{ "mediaType": fulcio::BUNDLE, "digest": Digest::of(bundle.as_bytes()), "size": bundle.len() }],
    });
    let referrer = referrer.to_string();
    let listed = |artifact_type: &str, digest: Digest| json!({ "mediaType": fulcio::MANIFEST, "artifactType": artifact_type, "digest": digest, "size": 1 });
    // A registry need not filter, and what is of another type is not fetched.
    let others = listed("application/spdx+json", Digest::of(b"absent"));
    let index = json!({ "manifests": [others, listed(fulcio::BUNDLE, Digest::of(referrer.as_bytes()))] });
    let query = "?artifactType=application%2Fvnd.dev.sigstore.bundle.v0.3%2Bjson";
    let pages = HashMap::from([
        (format!("/v2/gc/manifests/{digest}"), manifest.into_bytes()),
        (format!("/v2/gc/blobs/{}", Digest::of(&layer)), layer.to_vec()),
        (
            format!("/v2/gc/referrers/{digest}{query}"),
            index.to_string().into_bytes(),
        ),
        (
            format!("/v2/gc/manifests/{}", Digest::of(referrer.as_bytes())),
            referrer.into_bytes(),
        ),
        (
            format!("/v2/gc/blobs/{}", Digest::of(bundle.as_bytes())),
            bundle.into_bytes(),
        ),
    ]);
    let script = Script::start(move |asked| {
        let page = pages.get(asked.line.split(' ').nth(1).unwrap());
        let index = "Content-Type: application/vnd.oci.image.index.v1+json; charset=utf-8\r\n";
        page.map_or_else(|| status("404 Not Found"), |page| answer("200 OK", index, page))
    })
    .await;
    let pinned = reference(&script.host, "gc").with_digest(digest);
    let signer = signer(&client(&script.host), &pinned, &key.policy).await;
    assert_eq!(signer, Ok(key.name()));
}

#[tokio::test]
async fn a_web_page_in_place_of_referrers_is_not_a_list_of_them() {
    let digest = Digest::of(b"{}");
    let script = Script::start(move |asked| {
        if asked.line.contains("/referrers/") {
            answer("200 OK", "Content-Type: text/html\r\n", b"<html>")
        } else if asked.line.contains(&format!("/manifests/{digest}")) {
            answer("200 OK", "", b"{}")
        } else {
            status("404 Not Found")
        }
    })
    .await;
    let pinned = reference(&script.host, "gc").with_digest(digest);
    let error = signer(&client(&script.host), &pinned, &Key::new().policy)
        .await
        .unwrap_err();
    assert!(error.contains("is not signed"), "{error}");
}
