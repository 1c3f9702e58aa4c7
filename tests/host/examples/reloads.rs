//! `reload/p99_ratio`: how much later syncs end while the guests that do them are replaced
//! without a pause. 1,000 pods are rolled again and again, in turn quietly and under
//! replacements of all four stock guests.

use std::time::Duration;

use anyhow::{Context, Result};
use futures::future::try_join_all;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tokio::time::sleep;
use windlass_manager::supervisor::ModuleStatus;
use windlass_telemetry::histogram::Histogram;
use windlass_tests::builds::{Build, Builds};
use windlass_tests::figures;
use windlass_tests::in_process::{InProcess, STOCK, stock};

const DEPLOYMENTS: usize = 20;
const REPLICAS: usize = 50;
const ROUNDS: usize = 5;
/// Of each guest in a round.
const REPLACEMENTS: usize = 50;
/// Builds that follow each other; half of an operator's changes that go wrong are enough.
const ORDER: [Build; 5] = [
    Build::New(1),
    Build::Truncated,
    Build::New(2),
    Build::Original,
    Build::NoHandler,
];

#[tokio::main]
async fn main() -> Result<()> {
    tokio::spawn(measure()).await?
}

async fn measure() -> Result<()> {
    let builds = Builds::of(&STOCK)?;
    let cluster = InProcess::start(builds.path(), 100, stock()).await?;
    // Compiles every build, as the reload before would have.
    try_join_all(STOCK.map(|name| replace(&cluster, &builds, name, ORDER.len()))).await?;
    let names: Vec<String> = (0..DEPLOYMENTS).map(|number| format!("web-{number}")).collect();
    let strategy = json!({"rollingUpdate": {"maxSurge": 2, "maxUnavailable": 1}});
    let spec = json!({"replicas": REPLICAS, "strategy": strategy});
    let namespace = &cluster.namespace;
    try_join_all(
        names
            .iter()
            .map(|name| namespace.create_deployment(name, spec.clone())),
    )
    .await?;
    for name in &names {
        namespace.wait_complete(name).await?;
    }
    let (mut quiet, mut reloading) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let start = latencies(&cluster);
        roll(&cluster, &names, &format!("pause:quiet-{round}")).await?;
        quiet.extend(since(&cluster, &start));
        let start = latencies(&cluster);
        let image = format!("pause:reloading-{round}");
        let rolling = roll(&cluster, &names, &image);
        let replacing = try_join_all(STOCK.map(|name| replace(&cluster, &builds, name, REPLACEMENTS)));
        tokio::try_join!(rolling, replacing)?;
        reloading.extend(since(&cluster, &start));
        // The last replacement comes to rest.
        sleep(Duration::from_millis(500)).await;
    }
    let (quiet, during) = (p99_micros(&quiet)?, p99_micros(&reloading)?);
    figures::print("reload/quiet_p99", quiet, "us");
    figures::print("reload/p99", during, "us");
    figures::print("reload/p99_ratio", during / quiet, "ratio");
    cluster.stop().await;
    Ok(())
}

async fn roll(cluster: &InProcess, names: &[String], image: &str) -> Result<()> {
    let deployments = cluster.namespace.deployments();
    try_join_all(names.iter().map(|name| {
        let container = json!({"name": "web", "image": image});
        let change = json!({"spec": {"template": {"spec": {"containers": [container]}}}});
        let deployments = deployments.clone();
        async move {
            let patch = Patch::Strategic(&change);
            deployments.patch(name, &PatchParams::default(), &patch).await
        }
    }))
    .await?;
    for name in names {
        cluster.namespace.wait_complete(name).await?;
    }
    Ok(())
}

/// Replaces a guest so many times, each when the change before has been dealt with.
async fn replace(cluster: &InProcess, builds: &Builds, name: &str, times: usize) -> Result<()> {
    let changes = |status: &ModuleStatus| status.reloads_applied + status.reloads_rejected;
    let mut status = cluster.module(name)?.status;
    for build in ORDER.into_iter().cycle().take(times) {
        let before = changes(&status.borrow());
        builds.replace(name, build)?;
        status.wait_for(|status| changes(status) > before).await?;
    }
    Ok(())
}

fn latencies(cluster: &InProcess) -> Vec<Histogram> {
    let modules = cluster.host.modules();
    let latencies = modules
        .iter()
        .map(|module| module.controller.syncs.snapshot().due_to_done);
    latencies.collect()
}

fn since(cluster: &InProcess, start: &[Histogram]) -> Vec<Histogram> {
    let now = latencies(cluster);
    now.iter()
        .zip(start)
        .map(|(now, start)| now.since(start))
        .collect()
}

/// Of all observations together.
fn p99_micros(histograms: &[Histogram]) -> Result<f64> {
    let mut all = Histogram::default();
    for one in histograms {
        if all.counts.is_empty() {
            all = one.clone();
        } else {
            let counts = all.counts.iter_mut().zip(&one.counts);
            counts.for_each(|(sum, count)| *sum += count);
        }
    }
    Ok(all.quantile(0.99).context("no syncs")? * 1e6)
}
