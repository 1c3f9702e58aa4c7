//! Push, pull and resolve at a real registry.

use std::error::Error as _;

use windlass_registry::client::{Client, Error, Options, Origin, PullOptions};
use windlass_registry::credentials::{Credential, Credentials};
use windlass_registry::digest::Digest;
use windlass_registry::remote::RemoteError;
use windlass_registry::secret::Secret;

use crate::docker_registry::{Access, DockerRegistry};
use crate::http;
use crate::support::{client, component, options, pull, pull_error, push_options, reference};

#[tokio::test]
async fn a_component_is_pulled_as_it_was_pushed_by_tag_and_by_digest() {
    let Some(registry) = DockerRegistry::start().await else {
        return;
    };
    let client = client(&registry.host);
    let tagged = reference(&registry.host, "acme/guests/gc:v1");
    let pushed = client
        .push(&tagged, component("a"), &push_options(None))
        .await
        .unwrap();
    assert_eq!(pushed.signature, None);

    let by_tag = pull(&client, &tagged).await;
    assert_eq!((by_tag.bytes, by_tag.digest), (component("a"), pushed.digest));
    assert_eq!(by_tag.origin, Origin::Registry);
    let by_digest = pull(&client, &tagged.with_digest(pushed.digest)).await;
    assert_eq!(by_digest.bytes, component("a"));
    let resolved = client.resolve(&tagged).await.unwrap();
    assert_eq!((resolved.digest, resolved.stale), (pushed.digest, None));
}

#[tokio::test]
async fn pushing_the_same_again_gives_the_same_digest() {
    let Some(registry) = DockerRegistry::start().await else {
        return;
    };
    let client = client(&registry.host);
    let tagged = reference(&registry.host, "gc:v1");
    let first = client
        .push(&tagged, component("a"), &push_options(None))
        .await
        .unwrap();
    assert_eq!(
        client
            .push(&tagged, component("a"), &push_options(None))
            .await
            .unwrap(),
        first
    );
}

#[tokio::test]
async fn a_moved_tag_is_noticed_and_the_old_digest_remains() {
    let Some(registry) = DockerRegistry::start().await else {
        return;
    };
    let client = client(&registry.host);
    let tagged = reference(&registry.host, "gc:latest");
    let old = client
        .push(&tagged, component("old"), &push_options(None))
        .await
        .unwrap();
    let new = client
        .push(&tagged, component("new"), &push_options(None))
        .await
        .unwrap();
    assert_ne!(old.digest, new.digest);
    assert_eq!(pull(&client, &tagged).await.bytes, component("new"));
    assert_eq!(
        pull(&client, &tagged.with_digest(old.digest)).await.bytes,
        component("old")
    );
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let Some(registry) = DockerRegistry::start().await else {
        return;
    };
    let client = client(&registry.host);
    let host = &registry.host;
    assert_eq!(
        pull_error(&client, &reference(host, "gc:v9")).await,
        format!("cannot pull {host}/gc:v9: {host}/gc does not have this (404 Not Found)")
    );
    let absent = Digest::of(b"nothing");
    assert_eq!(
        pull_error(&client, &reference(host, &format!("gc@{absent}"))).await,
        format!(
            "cannot pull {host}/gc@{absent}: {host}/gc does not have this (404 Not Found, MANIFEST_UNKNOWN)"
        )
    );
}

#[tokio::test]
async fn a_push_to_a_digest_is_refused() {
    let client = client("127.0.0.1:1");
    let pinned = reference("127.0.0.1:1", "gc:v1").with_digest(Digest::of(b""));
    let error = client
        .push(&pinned, component("a"), &push_options(None))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::PushToDigest { .. }));
}

#[tokio::test]
async fn corrupted_content_is_refused_whatever_its_length() {
    let Some(registry) = DockerRegistry::start().await else {
        return;
    };
    let client = client(&registry.host);
    let tagged = reference(&registry.host, "gc:v1");
    client
        .push(&tagged, component("genuine"), &push_options(None))
        .await
        .unwrap();
    let expected = Digest::of(&component("genuine"));
    let file = registry.blob_file(expected);
    for corrupted in [
        component("tampered").slice(..component("genuine").len()),
        component("short"),
    ] {
        std::fs::write(&file, &corrupted).unwrap();
        let error = client.pull(&tagged, PullOptions::default()).await.unwrap_err();
        let Error::Remote {
            source:
                RemoteError::WrongDigest {
                    expected: e,
                    actual: a,
                    ..
                },
            ..
        } = &error
        else {
            panic!("{error}");
        };
        assert_eq!((*e, *a), (expected, Digest::of(&corrupted)));
        assert!(error.source().is_some());
    }
    std::fs::write(&file, [component("genuine"), component("more")].concat()).unwrap();
    let error = pull_error(&client, &tagged).await;
    let allowed = component("genuine").len();
    assert!(
        error.ends_with(&format!("sent more than the {allowed} bytes that are allowed")),
        "{error}"
    );
}

#[tokio::test]
async fn a_component_beyond_the_limit_is_not_downloaded() {
    let Some(registry) = DockerRegistry::start().await else {
        return;
    };
    let tagged = reference(&registry.host, "gc:v1");
    client(&registry.host)
        .push(&tagged, component("large"), &push_options(None))
        .await
        .unwrap();
    let small = Client::new(Options {
        max_component: 10,
        ..options(&registry.host)
    })
    .unwrap();
    std::fs::remove_file(registry.blob_file(Digest::of(&component("large")))).unwrap();
    assert_eq!(
        pull_error(&small, &tagged).await,
        format!(
            "cannot pull {tagged}: it has {} bytes, more than the 10 that are allowed",
            component("large").len()
        )
    );
}

#[tokio::test]
async fn another_kind_of_artifact_is_refused() {
    let Some(registry) = DockerRegistry::start().await else {
        return;
    };
    let host = &registry.host;
    let layer = http::put_blob(host, "image", b"layer").await;
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{layer}","size":5}},"layers":[{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{layer}","size":5}}]}}"#
    );
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    http::put_manifest(host, "image", "v1", media_type, manifest.as_bytes()).await;
    let error = pull_error(&client(host), &reference(host, "image:v1")).await;
    assert!(
        error.contains("it is not a Wasm artifact but has a layer of type application/vnd.oci.image.layer"),
        "{error}"
    );
}

#[tokio::test]
async fn credentials_decide_over_access_and_are_not_shown() {
    let Some(registry) = DockerRegistry::start_for(Access::Alice).await else {
        return;
    };
    let host = &registry.host;
    let tagged = reference(host, "gc:v1");
    let with = |password: &str| {
        let password = Secret::new(password);
        let alice = Credential::Basic {
            username: "alice".to_owned(),
            password,
        };
        Client::new(Options {
            credentials: Credentials::anonymous().with(host, alice),
            ..options(host)
        })
        .unwrap()
    };
    let pushed = with("wonder")
        .push(&tagged, component("a"), &push_options(None))
        .await
        .unwrap();
    assert_eq!(pull(&with("wonder"), &tagged).await.digest, pushed.digest);
    assert_eq!(
        pull_error(&client(host), &tagged).await,
        format!(
            "cannot pull {tagged}: {host}/gc asks for credentials and none are configured for registry {host}: log in \
             with `docker login {host}`, or add the registry to the pull secret"
        )
    );
    let error = with("hunter2")
        .pull(&tagged, PullOptions::default())
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "cannot pull {tagged}: registry {host} refuses the credentials configured for {host}/gc: check user name \
             and password, and whether the token has expired"
        )
    );
    assert!(!format!("{error:?}").contains("hunter2"));
}
