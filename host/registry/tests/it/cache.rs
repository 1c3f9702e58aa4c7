//! What works without the registry once it was pulled, and what does not.

use tempfile::tempdir;
use windlass_registry::client::Origin;
use windlass_registry::digest::Digest;

use crate::docker_registry::DockerRegistry;
use crate::script::{Script, answer, status};
use crate::support::{cached_client, component, pull, pull_error, push_options, reference};

#[tokio::test]
async fn a_pulled_component_stays_available_while_the_registry_is_down() {
    let Some(mut registry) = DockerRegistry::start().await else {
        return;
    };
    let folder = tempdir().unwrap();
    let client = cached_client(&registry.host, &folder);
    let tagged = reference(&registry.host, "gc:v1");
    let digest = client
        .push(&tagged, component("a"), &push_options(None))
        .await
        .unwrap()
        .digest;
    assert_eq!(pull(&client, &tagged).await.origin, Origin::Registry);
    assert_eq!(pull(&client, &tagged).await.origin, Origin::Cache);

    registry.take_down().await;
    let stale = pull(&client, &tagged).await;
    assert_eq!((stale.bytes, stale.digest), (component("a"), digest));
    let Origin::StaleTag { reason } = stale.origin else {
        panic!("the tag is not stale");
    };
    assert!(
        reason.starts_with(&format!("cannot reach registry {}: ", registry.host)),
        "{reason}"
    );
    assert!(client.resolve(&tagged).await.unwrap().stale.is_some());
    // A digest cannot become stale, and another process finds the same files.
    let pinned = tagged.with_digest(digest);
    assert_eq!(pull(&client, &pinned).await.origin, Origin::Cache);
    assert_eq!(
        pull(&cached_client(&registry.host, &folder), &pinned)
            .await
            .origin,
        Origin::Cache
    );

    registry.bring_up().await;
    let back = pull(&client, &tagged).await;
    assert_eq!(back.origin, Origin::Cache);
    let moved = client
        .push(&tagged, component("b"), &push_options(None))
        .await
        .unwrap()
        .digest;
    assert_eq!(pull(&client, &tagged).await.digest, moved);
}

#[tokio::test]
async fn what_was_never_pulled_is_not_available_while_the_registry_is_down() {
    let Some(mut registry) = DockerRegistry::start().await else {
        return;
    };
    let folder = tempdir().unwrap();
    let client = cached_client(&registry.host, &folder);
    let tagged = reference(&registry.host, "gc:v1");
    let digest = client
        .push(&tagged, component("a"), &push_options(None))
        .await
        .unwrap()
        .digest;
    client.resolve(&tagged).await.unwrap();
    registry.take_down().await;
    for absent in [
        tagged.clone(),
        reference(&registry.host, "gc:v2"),
        tagged.with_digest(digest),
    ] {
        let error = pull_error(&client, &absent).await;
        assert!(
            error.contains(&format!("cannot reach registry {}", registry.host)),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_damaged_cache_costs_a_download() {
    let Some(registry) = DockerRegistry::start().await else {
        return;
    };
    let folder = tempdir().unwrap();
    let client = cached_client(&registry.host, &folder);
    let tagged = reference(&registry.host, "gc:v1");
    client
        .push(&tagged, component("a"), &push_options(None))
        .await
        .unwrap();
    pull(&client, &tagged).await;
    let file = folder
        .path()
        .join("blobs/sha256")
        .join(Digest::of(&component("a")).hex());
    std::fs::write(&file, "rubbish").unwrap();
    let pulled = pull(&client, &tagged).await;
    assert_eq!((pulled.bytes, pulled.origin), (component("a"), Origin::Registry));
    assert_eq!(std::fs::read(file).unwrap(), component("a"));
}

#[tokio::test]
async fn a_registry_that_says_that_a_tag_is_gone_is_believed() {
    let mut answers = 0;
    let digest = Digest::of(b"x");
    let script = Script::start(move |_| {
        answers += 1;
        match answers {
            1 => answer("200 OK", &format!("Docker-Content-Digest: {digest}\r\n"), b""),
            2 => status("404 Not Found"),
            _ => status("503 Service Unavailable"),
        }
    })
    .await;
    let folder = tempdir().unwrap();
    let client = cached_client(&script.host, &folder);
    let tagged = reference(&script.host, "gc:v1");
    assert_eq!(client.resolve(&tagged).await.unwrap().digest, digest);
    assert!(
        client
            .resolve(&tagged)
            .await
            .unwrap_err()
            .to_string()
            .contains("404 Not Found")
    );
    // Out of order is another matter than gone.
    assert_eq!(client.resolve(&tagged).await.unwrap().digest, digest);
}
