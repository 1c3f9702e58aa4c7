//! Modules that want more of the host than they may have.

use anyhow::Result;
use futures::future::try_join_all;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, PostParams};
use serde_json::json;
use windlass_core::key::ObjectKey;
use windlass_manager::config::units::Bytes;
use windlass_manager::config::{ModuleEntry, SourceEntry};
use windlass_manager::module::ApiRate;
use windlass_manager::supervisor::{ModuleState, ModuleStatus};
use windlass_tests::builds::Builds;
use windlass_tests::in_process::{InProcess, from_file};
use windlass_tests::wait;

const MINIMAL: &str = "windlass-fixture-minimal";
const ADVICE: &str = "and its limit is 20000; raise `limits.cachedBytes`, or watch less";
const REPLICA_SET: &str = "replicaset";
const HOSTILE: &str = "windlass-fixture-hostile";

/// An instance of the module ended, and it is not tried again.
async fn ended_once(cluster: &InProcess, module: &str) -> Result<()> {
    // The state shows first, the count follows.
    let ends = || async { cluster.restarts(module) };
    let ends = wait::until("its end to be counted", ends, |ends| *ends > 0).await?;
    assert_eq!(ends, 1, "it is not tried again");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_module_past_its_cached_bytes_stops_and_others_keep_the_cache() -> Result<()> {
    let builds = Builds::of(&[MINIMAL])?;
    let file = format!("{MINIMAL}.wasm");
    let mut modest = from_file("modest", &file);
    modest.limits.cached_bytes = Some(Bytes(20_000));
    let cluster = InProcess::start(builds.path(), 1, vec![modest, from_file("other", &file)]).await?;
    let objects: Api<ConfigMap> = Api::default_namespaced(cluster.namespace.client.clone());
    try_join_all((0..200).map(async |number| {
        let object = serde_json::from_value(json!({"metadata": {"name": format!("object-{number}")}}))?;
        anyhow::Ok(objects.create(&PostParams::default(), &object).await?)
    }))
    .await?;
    let mut status = cluster.module("modest")?.status;
    let is_failed = |state: &ModuleState| matches!(state, ModuleState::Failed { .. });
    let failed = tokio::time::timeout(wait::LIMIT, status.wait_for(|status| is_failed(&status.state)));
    let state = failed.await??.state.clone();
    assert!(
        matches!(&state, ModuleState::Failed { reason } if reason.ends_with(ADVICE)),
        "{state:?}"
    );
    ended_once(&cluster, "modest").await?;
    let other = cluster.module("other")?;
    let depth = || async { Ok(other.controller.queue.metrics().depth) };
    wait::until("the other module to sync", depth, |depth| *depth == 0).await?;
    assert_eq!(other.status.borrow().state, ModuleState::Running);
    let informers = cluster.platform.informers.status();
    let config_maps = informers
        .iter()
        .find(|informer| informer.resource.plural == "configmaps");
    assert_eq!(config_maps.map(|informer| informer.subscribers), Some(1));
    cluster.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_that_floods_its_queue_meets_the_limit() -> Result<()> {
    let builds = Builds::of(&[HOSTILE])?;
    let mut hostile = from_file("hostile", &format!("{HOSTILE}.wasm"));
    hostile.limits.queue_length = Some(1000);
    let cluster = InProcess::start(builds.path(), 1, vec![hostile]).await?;
    let queue = cluster.module("hostile")?.controller.queue.clone();
    queue.add(ObjectKey::new("default", "queue-flood"));
    let metrics = || async { Ok(queue.metrics()) };
    let full = wait::until("a refusal", metrics, |metrics| metrics.dropped > 0).await?;
    // The key that floods was not the guest's.
    assert!(
        full.depth + full.delayed + full.processing <= 1001,
        "{} keys",
        full.depth
    );
    assert_eq!(cluster.restarts("hostile")?, 0, "it costs keys, not the instance");
    cluster.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_that_says_nothing_of_its_api_calls_gets_the_usual_rate() -> Result<()> {
    let builds = Builds::of(&[HOSTILE])?;
    let mut hostile = from_file("hostile", &format!("{HOSTILE}.wasm"));
    hostile.limits.api_qps = None;
    let unlimited = from_file("unlimited", &format!("{HOSTILE}.wasm"));
    let cluster = InProcess::start(builds.path(), 1, vec![hostile, unlimited]).await?;
    let rate = |name| {
        let status = cluster.module(name)?.status.borrow().clone();
        anyhow::Ok(status.serving.map(|module| module.api_rate))
    };
    assert_eq!(rate("hostile")?, Some(ApiRate { qps: 20, burst: 30 }));
    assert_eq!(
        rate("unlimited")?.map(|rate| rate.qps),
        Some(0),
        "an operator may say so"
    );
    cluster.stop().await;
    Ok(())
}

/// Objects that the cache has to keep whole: text that has nothing in common.
async fn create_heavy(objects: &Api<ConfigMap>, count: usize) -> Result<()> {
    try_join_all((0..count).map(async |number| {
        let ballast = format!("{number:08}").repeat(1 << 10);
        let object =
            json!({"metadata": {"name": format!("object-{number}"), "annotations": {"ballast": ballast}}});
        let object = serde_json::from_value(object)?;
        anyhow::Ok(objects.create(&PostParams::default(), &object).await?)
    }))
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newcomer_that_the_caches_have_no_room_for_stops_and_starts_when_they_have() -> Result<()> {
    let builds = Builds::of(&[MINIMAL, REPLICA_SET])?;
    let old = from_file("old", &format!("{REPLICA_SET}.wasm"));
    let new = from_file("new", &format!("{MINIMAL}.wasm"));
    let mut cluster = InProcess::start(builds.path(), 1, vec![old.clone()]).await?;
    let objects: Api<ConfigMap> = Api::default_namespaced(cluster.namespace.client.clone());
    // Half a megabyte of ConfigMaps, which nobody watches yet.
    create_heavy(&objects, 60).await?;
    cluster.host.limit_caches(Some(200_000));
    cluster.host.apply(vec![old.clone(), new.clone()]);
    let is_failed = |status: &ModuleStatus| matches!(status.state, ModuleState::Failed { .. });
    let failed = cluster.wait_for("new", "failure", is_failed).await?;
    let ModuleState::Failed { reason } = failed.state else {
        anyhow::bail!("{:?}", failed.state);
    };
    assert!(
        reason.starts_with("all caches together take 20")
            && reason.contains("bytes, their limit is 200000, and of all modules that could go this one has")
            && reason.ends_with("raise `caches.limit`, or watch less"),
        "{reason}"
    );
    ended_once(&cluster, "new").await?;
    let used = || async { Ok(cluster.platform.informers.cache_use().bytes) };
    wait::until("its cache to go", used, |bytes| *bytes < 100_000).await?;
    assert_eq!(cluster.module("old")?.status.borrow().state, ModuleState::Running);
    cluster.host.limit_caches(Some(2_000_000));
    cluster
        .wait_for("new", "another start", |status| {
            status.state == ModuleState::Running
        })
        .await?;
    assert_eq!(cluster.restarts("old")?, 0);
    cluster.stop().await;
    Ok(())
}

async fn create_replica_set(cluster: &InProcess) -> Result<()> {
    let labels = json!({"app": "web"});
    let container = json!({"name": "web", "image": "pause"});
    let metadata = json!({"name": "web", "annotations": {"ballast": "12345678".repeat(1 << 10)}});
    let object = json!({"metadata": metadata, "spec": {
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
    }});
    let replica_sets = cluster.namespace.replica_sets();
    replica_sets
        .create(&PostParams::default(), &serde_json::from_value(object)?)
        .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_version_that_the_caches_have_no_room_for_is_refused_and_the_old_one_serves() -> Result<()> {
    let builds = Builds::of(&[MINIMAL, REPLICA_SET])?;
    let module = from_file("module", &format!("{MINIMAL}.wasm"));
    let mut cluster = InProcess::start(builds.path(), 1, vec![module.clone()]).await?;
    let objects: Api<ConfigMap> = Api::default_namespaced(cluster.namespace.client.clone());
    create_heavy(&objects, 10).await?;
    // All of them: the next one would be more than there is room for.
    let heavy = || async {
        let informers = cluster.platform.informers.status().into_iter();
        let mut of_maps = informers.filter(|informer| informer.resource.plural == "configmaps");
        Ok(of_maps.next().map_or(0, |informer| informer.bytes))
    };
    wait::until("ten objects in the cache", heavy, |bytes| *bytes > 10 * 8192).await?;
    // Room for what nodes report, and not for the replica set that the other guest watches.
    let used = cluster.platform.informers.cache_use().bytes;
    create_replica_set(&cluster).await?;
    cluster.host.limit_caches(Some(used + 4_000));
    let wider = ModuleEntry {
        source: SourceEntry::file(&format!("{REPLICA_SET}.wasm")),
        ..module
    };
    cluster.host.apply(vec![wider]);
    let refused = cluster.wait_refused("module", "all caches together take").await?;
    assert_eq!(refused.state, ModuleState::Running);
    let serving = refused
        .serving
        .map(|module| module.guest.manifest.name.to_string());
    assert_eq!(serving.as_deref(), Some("minimal"));
    cluster.stop().await;
    Ok(())
}
