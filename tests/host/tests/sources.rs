//! Modules from ConfigMaps and from folders of files, in a host of the test's own process.

use anyhow::Result;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;
use std::sync::Arc;
use windlass_manager::config::source::ConfigMapSource;
use windlass_manager::config::{ModuleEntry, SourceEntry};
use windlass_manager::folder::Folder;
use windlass_manager::sources::directory::Directories;
use windlass_manager::supervisor::{ModuleState, ModuleStatus};
use windlass_registry::digest::Digest;
use windlass_tests::builds::{Build, Builds};
use windlass_tests::in_process::{InProcess, from_source};

const COUNTER: &str = "windlass-fixture-counter";
const MODULE: &str = "counter";
const ITEM: &str = "guest.wasm";

fn from_config_map() -> ModuleEntry {
    let source = SourceEntry {
        config_map: Some(ConfigMapSource {
            namespace: "default".into(),
            name: "guests".into(),
            key: ITEM.to_owned(),
        }),
        ..SourceEntry::default()
    };
    from_source(MODULE, source)
}

fn config_map(content: Vec<u8>) -> ConfigMap {
    let mut object = ConfigMap::default();
    object.metadata.name = Some("guests".to_owned());
    object.binary_data = Some([(ITEM.to_owned(), ByteString(content))].into());
    object
}

fn hex(content: &[u8]) -> String {
    Digest::of(content).hex()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_config_map_is_followed_from_creation_to_deletion_and_beyond() -> Result<()> {
    let builds = Builds::of(&[])?;
    let mut cluster = InProcess::start(builds.path(), 1, Vec::new()).await?;
    let config_maps: Api<ConfigMap> = Api::namespaced(cluster.namespace.client.clone(), "default");
    cluster.host.apply(vec![from_config_map()]);
    let status = cluster
        .wait_refused(MODULE, "there is no ConfigMap default/guests")
        .await?;
    assert!(matches!(status.state, ModuleState::Failed { .. }));

    let first = builds.bytes(COUNTER, Build::Original)?;
    config_maps
        .create(&PostParams::default(), &config_map(first.clone()))
        .await?;
    let status = cluster.wait_serving(MODULE, &hex(&first)).await?;
    let serving = status.serving.expect("it serves");
    assert_eq!(serving.origin, "ConfigMap default/guests, guest.wasm");

    let change = |content: &[u8]| {
        let content = BASE64_STANDARD.encode(content);
        let patch = Patch::Merge(json!({"binaryData": {ITEM: content}}));
        let config_maps = config_maps.clone();
        async move { config_maps.patch("guests", &PatchParams::default(), &patch).await }
    };
    let second = builds.bytes(COUNTER, Build::New(1))?;
    change(&second).await?;
    cluster.wait_serving(MODULE, &hex(&second)).await?;
    change(&builds.bytes(COUNTER, Build::Truncated)?).await?;
    let status = cluster.wait_refused(MODULE, "the component is cut off").await?;
    assert_eq!(
        status.state,
        ModuleState::Running,
        "the last good version goes on"
    );
    change(&first).await?;
    cluster.wait_serving(MODULE, &hex(&first)).await?;

    config_maps.delete("guests", &DeleteParams::default()).await?;
    let status = cluster
        .wait_refused(MODULE, "there is no ConfigMap default/guests")
        .await?;
    assert_eq!(
        status.state,
        ModuleState::Running,
        "the last good version goes on"
    );
    config_maps
        .create(&PostParams::default(), &config_map(second.clone()))
        .await?;
    cluster.wait_serving(MODULE, &hex(&second)).await?;
    assert_eq!(cluster.restarts(MODULE)?, 0);
    cluster.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_component_of_another_digest_is_refused_by_name_wherever_it_comes_from() -> Result<()> {
    let builds = Builds::of(&[])?;
    let mut cluster = InProcess::start(builds.path(), 1, Vec::new()).await?;
    let config_maps: Api<ConfigMap> = Api::namespaced(cluster.namespace.client.clone(), "default");
    let (right, wrong) = (
        builds.bytes(COUNTER, Build::Original)?,
        builds.bytes(COUNTER, Build::New(1))?,
    );
    config_maps
        .create(&PostParams::default(), &config_map(wrong.clone()))
        .await?;
    let mut entry = from_config_map();
    entry.digest = Some(Digest::of(&right));
    cluster.host.apply(vec![entry]);
    let refusal = format!(
        "ConfigMap default/guests, guest.wasm is {}, and the configuration pins {}",
        Digest::of(&wrong),
        Digest::of(&right)
    );
    cluster.wait_refused(MODULE, &refusal).await?;
    config_maps
        .replace("guests", &PostParams::default(), &config_map(right.clone()))
        .await?;
    cluster.wait_serving(MODULE, &hex(&right)).await?;
    cluster.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn modules_come_and_go_with_the_files_of_a_folder() -> Result<()> {
    let builds = Builds::of(&[])?;
    let mut cluster = InProcess::start(builds.path(), 1, Vec::new()).await?;
    let source = SourceEntry {
        directory: Some("guests".to_owned()),
        ..SourceEntry::default()
    };
    let entries = [from_source("team", source)];
    let folder = Arc::new(Folder::open(builds.path())?);
    let mut directories = Directories::new(Arc::clone(&folder));
    let mut changes = folder.changes();
    builds.put("guests/a.wasm", COUNTER, Build::Original)?;
    builds.put("guests/b.wasm", COUNTER, Build::NoHandler)?;
    // As the binary does: whenever something in the folder changes.
    let mut wait_for = async |cluster: &mut InProcess, names: &[&str]| {
        loop {
            let expanded = directories.expand(&entries).await;
            let same = expanded
                .modules
                .iter()
                .map(|module| module.name.as_str())
                .eq(names.iter().copied());
            cluster.host.apply(expanded.modules);
            if same {
                return anyhow::Ok(());
            }
            changes.changed().await?;
        }
    };
    wait_for(&mut cluster, &["team-a", "team-b"]).await?;
    let running = |status: &ModuleStatus| status.state == ModuleState::Running;
    cluster.wait_for("team-a", "running", running).await?;
    cluster
        .wait_refused(
            "team-b",
            "exports neither windlass:controller/handler nor blocking-handler",
        )
        .await?;

    builds.put("guests/b.wasm", COUNTER, Build::New(1))?;
    cluster.wait_for("team-b", "running", running).await?;
    std::fs::remove_file(builds.path().join("guests/a.wasm"))?;
    wait_for(&mut cluster, &["team-b"]).await?;
    builds.put("guests/c.wasm", COUNTER, Build::New(2))?;
    wait_for(&mut cluster, &["team-b", "team-c"]).await?;
    cluster.wait_for("team-c", "running", running).await?;
    assert_eq!(cluster.restarts("team-b")?, 0);
    cluster.stop().await;
    Ok(())
}
