//! What lies in the registry is what other tools expect.

use serde_json::{Value, json};
use windlass_registry::digest::Digest;

use crate::docker_registry::DockerRegistry;
use crate::http;
use crate::support::{client, component, pull, push_options, reference};

#[tokio::test]
async fn a_push_makes_the_artifact_that_wkg_makes() {
    let Some(registry) = DockerRegistry::start().await else {
        return;
    };
    let host = &registry.host;
    let mut options = push_options(None);
    options.description.title = Some("gc.wasm".to_owned());
    let tagged = reference(host, "gc:v1");
    client(host)
        .push(&tagged, component("a"), &options)
        .await
        .unwrap();
    let manifest: Value = serde_json::from_slice(&http::get_manifest(host, "gc", "v1").await).unwrap();
    let layer = Digest::of(&component("a"));
    assert_eq!(
        manifest["layers"],
        json!([{
            "mediaType": "application/wasm",
            "digest": layer,
            "size": component("a").len(),
            "annotations": { "org.opencontainers.image.title": "gc.wasm" },
        }])
    );
    assert_eq!(
        manifest["annotations"],
        json!({ "org.opencontainers.image.version": "1.0.0" })
    );
    assert_eq!(
        manifest["config"]["mediaType"],
        "application/vnd.wasm.config.v0+json"
    );
    let config: Digest = manifest["config"]["digest"].as_str().unwrap().parse().unwrap();
    let config: Value = serde_json::from_slice(&std::fs::read(registry.blob_file(config)).unwrap()).unwrap();
    assert_eq!(config["layerDigests"], json!([layer]));
    assert_eq!(
        (&config["architecture"], &config["os"]),
        (&json!("wasm"), &json!("wasip2"))
    );
}

/// The manifest of `wkg oci push`, version 0.16, with `null` where it has nothing to say.
#[tokio::test]
async fn an_artifact_of_wkg_is_pulled() {
    let Some(registry) = DockerRegistry::start().await else {
        return;
    };
    let host = &registry.host;
    let layer = http::put_blob(host, "gc", &component("a")).await;
    let config = json!({
        "created": "2026-01-01T00:00:00.123456789Z", "author": null, "architecture": "wasm", "os": "wasip2",
        "layerDigests": [layer], "component": { "exports": [], "imports": [], "target": null },
    });
    let config = config.to_string();
    let config_digest = http::put_blob(host, "gc", config.as_bytes()).await;
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({
        "schemaVersion": 2, "mediaType": media_type,
        "config": {
            "mediaType": "application/vnd.wasm.config.v0+json", "digest": config_digest, "size": config.len(),
        },
        "layers": [{ "mediaType": "application/wasm", "digest": layer, "size": component("a").len() }],
    });
    http::put_manifest(host, "gc", "v1", media_type, manifest.to_string().as_bytes()).await;
    assert_eq!(
        pull(&client(host), &reference(host, "gc:v1")).await.bytes,
        component("a")
    );
}
