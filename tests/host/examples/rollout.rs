//! `rollout/*`: 20 Deployments of 50 replicas on 100 simulated nodes are created, updated
//! and deleted on the embedded cluster. CPU and memory are those of the whole process:
//! API server, nodes, host and guests.

use std::time::{Duration, Instant};

use anyhow::Result;
use futures::future::try_join_all;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use serde_json::json;
use windlass_tests::cluster::{Cluster, Namespace, complete};
use windlass_tests::figures;

const DEPLOYMENTS: usize = 20;
const REPLICAS: usize = 50;
const POLL: Duration = Duration::from_millis(20);

#[tokio::main]
async fn main() -> Result<()> {
    let cluster = Cluster::up(&["--nodes", "100"]).await?;
    let namespace = cluster.namespace("default").await?;
    let process = cluster.process.id();
    let before = figures::cpu_time(process)?;
    figures::print("rollout/create", create(&namespace).await?.as_secs_f64(), "s");
    figures::print("rollout/update", update(&namespace).await?.as_secs_f64(), "s");
    figures::print("rollout/delete", delete(&namespace).await?.as_secs_f64(), "s");
    figures::print(
        "rollout/cpu",
        (figures::cpu_time(process)? - before).as_secs_f64(),
        "s",
    );
    figures::print("rollout/peak_rss", figures::peak_rss_mb(process)?, "MB");
    Ok(())
}

fn names() -> impl Iterator<Item = String> {
    (0..DEPLOYMENTS).map(|number| format!("load-{number}"))
}

async fn create(namespace: &Namespace) -> Result<Duration> {
    let started = Instant::now();
    try_join_all(names().map(|name| async move {
        namespace
            .create_deployment(&name, json!({"replicas": REPLICAS}))
            .await
    }))
    .await?;
    wait_complete(namespace).await?;
    Ok(started.elapsed())
}

async fn update(namespace: &Namespace) -> Result<Duration> {
    let patch = json!({"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "registry.k8s.io/pause:3.11"}]}}}});
    let started = Instant::now();
    let deployments = namespace.deployments();
    let (params, patch) = (PatchParams::default(), Patch::Strategic(&patch));
    try_join_all(names().map(|name| {
        let (deployments, params, patch) = (&deployments, &params, &patch);
        async move { deployments.patch(&name, params, patch).await }
    }))
    .await?;
    wait_complete(namespace).await?;
    Ok(started.elapsed())
}

async fn delete(namespace: &Namespace) -> Result<Duration> {
    let started = Instant::now();
    let deployments = namespace.deployments();
    try_join_all(names().map(|name| {
        let deployments = &deployments;
        async move { deployments.delete(&name, &DeleteParams::background()).await }
    }))
    .await?;
    // One page of one object tells whether anything is left.
    let any = ListParams::default().limit(1);
    while !(namespace.pods().list_metadata(&any).await?.items.is_empty()
        && namespace
            .replica_sets()
            .list_metadata(&any)
            .await?
            .items
            .is_empty())
    {
        tokio::time::sleep(POLL).await;
    }
    Ok(started.elapsed())
}

async fn wait_complete(namespace: &Namespace) -> Result<()> {
    loop {
        let deployments = namespace.deployments().list(&ListParams::default()).await?;
        if deployments.items.len() == DEPLOYMENTS && deployments.items.iter().all(complete) {
            return Ok(());
        }
        tokio::time::sleep(POLL).await;
    }
}
