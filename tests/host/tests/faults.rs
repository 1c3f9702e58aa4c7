//! What goes wrong around a rollout: an API server that fails at random, a host that dies.
//! The end is always the declared state, and no pod too many was ever created.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use windlass_tests::census::PodCensus;
use windlass_tests::cluster::{Cluster, Namespace};
use windlass_tests::process::Process;
use windlass_tests::wait;

/// How long the API server misbehaves.
const TROUBLE: Duration = Duration::from_secs(60);

async fn set_faults(namespace: &Namespace, policy: serde_json::Value) -> Result<()> {
    let request = http::Request::put("/debug/windlass/faults").header("content-type", "application/json");
    namespace
        .client
        .request_text(request.body(policy.to_string().into_bytes())?)
        .await?;
    Ok(())
}

async fn set_image(namespace: &Namespace, tag: &str) -> Result<()> {
    let patch = json!({"spec": {"template": {"spec": {"containers": [{"name": "web", "image": format!("pause:{tag}")}]}}}});
    namespace
        .deployments()
        .patch("web", &PatchParams::default(), &Patch::Strategic(patch))
        .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_survives_an_api_server_that_fails_at_random() -> Result<()> {
    let cluster = Cluster::up(&["--nodes", "5"]).await?;
    let namespace = cluster.namespace("default").await?;
    let census = PodCensus::start(namespace.pods(), "app=web").await?;
    namespace
        .create_deployment("web", json!({"replicas": 10}))
        .await?;
    namespace.wait_complete("web").await?;
    let kinds = [
        "internal-error",
        "unavailable",
        "too-many-requests",
        "conflict",
        "drop",
    ];
    let rules: Vec<_> = kinds
        .iter()
        .map(|kind| json!({"kind": kind, "probability": 0.04}))
        .collect();
    set_faults(&namespace, json!({"seed": 7, "rules": rules})).await?;
    let started = Instant::now();
    let mut rollouts = 0;
    while started.elapsed() < TROUBLE {
        rollouts += 1;
        let tag = format!("v{rollouts}");
        // The client meets the faults too.
        wait::until("the image to be set", || set_image(&namespace, &tag), |()| true).await?;
        namespace.wait_complete("web").await?;
    }
    set_faults(&namespace, json!({"rules": []})).await?;
    namespace.wait_complete("web").await?;
    namespace.wait_pods("app=web", 10).await?;
    assert_eq!(
        census.count(),
        10 * (rollouts + 1),
        "each rollout replaces each pod exactly once"
    );
    Ok(())
}

/// Waits until a rollout is in the middle: some new pods, some old ones.
async fn wait_mid_rollout(namespace: &Namespace, replicas: i32) -> Result<()> {
    let updated = || async {
        let status = namespace
            .deployments()
            .get("web")
            .await?
            .status
            .unwrap_or_default();
        Ok(status.updated_replicas.unwrap_or(0))
    };
    wait::until("the middle of the rollout", updated, |updated| {
        (1..replicas).contains(updated)
    })
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_killed_in_mid_rollout_finishes_it_after_a_restart() -> Result<()> {
    let cluster = Cluster::up(&["--nodes", "5", "--no-modules", "--pod-start-latency", "150ms"]).await?;
    let namespace = cluster.namespace("default").await?;
    let config = cluster.folder.path().join("host.yaml");
    std::fs::write(&config, windlass_tests::cluster::STOCK_CONFIGURATION)?;
    let start = |log: &str| run_host(&cluster, &config, log);
    let mut host = start("host-1.log")?;
    let census = PodCensus::start(namespace.pods(), "app=web").await?;
    namespace
        .create_deployment("web", json!({"replicas": 12}))
        .await?;
    namespace.wait_complete("web").await?;
    assert_eq!(census.count(), 12);

    set_image(&namespace, "v2").await?;
    wait_mid_rollout(&namespace, 12).await?;
    host.kill();
    let mut host = start("host-2.log")?;
    namespace.wait_complete("web").await?;
    namespace.wait_pods("app=web", 12).await?;
    assert_eq!(census.count(), 24, "twelve before, twelve after, none too many");

    host.signal("TERM")?;
    assert_eq!(host.wait(Duration::from_secs(20))?, Some(0), "an orderly stop");
    Ok(())
}

fn run_host(cluster: &Cluster, config: &Path, log: &str) -> Result<Process> {
    let (config, kubeconfig) = (config.to_string_lossy(), cluster.kubeconfig());
    let arguments = [
        "run",
        "--config",
        &*config,
        "--kubeconfig",
        &*kubeconfig.to_string_lossy(),
        "--status-address",
        "none",
    ];
    Process::start(&arguments, &cluster.folder.path().join(log))
}
