//! `up/first_pod_running`: from starting `windlass up` to the first pod Running, with
//! compiled guests in the cache. The client creates its pod as soon as the API answers.

use std::time::{Duration, Instant};

use anyhow::Result;
use k8s_openapi::api::core::v1::Pod;
use serde_json::json;
use windlass_tests::cluster::Cluster;
use windlass_tests::figures;

const RUNS: usize = 7;

#[tokio::main]
async fn main() -> Result<()> {
    // Fills the cache of compiled guests.
    run().await?;
    let mut times = Vec::new();
    for _ in 0..RUNS {
        times.push(run().await?);
    }
    times.sort();
    eprintln!("first pod running: {times:?}");
    figures::print(
        "up/first_pod_running",
        times[RUNS / 2].as_secs_f64() * 1000.0,
        "ms",
    );
    Ok(())
}

async fn run() -> Result<Duration> {
    let started = Instant::now();
    let cluster = Cluster::up(&["--nodes", "1"]).await?;
    let pods = cluster.namespace("default").await?.pods();
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": "first"}, "spec": {"containers": [{"name": "c", "image": "registry.k8s.io/pause:3.10"}]}
    }))?;
    pods.create(&Default::default(), &pod).await?;
    loop {
        let status = pods.get("first").await?.status;
        if status.and_then(|status| status.phase).as_deref() == Some("Running") {
            return Ok(started.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
