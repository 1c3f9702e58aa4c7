//! `fairness/p99_ratio`: how much slower a module gets from an event to the end of its
//! sync while another one misbehaves, the worst of four disturbances against quiet.

use std::time::{Duration, Instant};

use anyhow::Result;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;
use windlass_core::key::ObjectKey;
use windlass_manager::host::ModuleHandle;
use windlass_tests::builds::Builds;
use windlass_tests::figures;
use windlass_tests::in_process::{InProcess, from_file};

const MINIMAL: &str = "windlass-fixture-minimal";
const HOSTILE: &str = "windlass-fixture-hostile";
const ROUNDS: usize = 5;
/// In each round.
const SAMPLES: usize = 1000;

/// What the other module does, and the names of the keys that make it do so.
const DISTURBANCES: [(&str, &str); 4] = [
    ("loop", "loop"),
    ("queue_flood", "queue-flood"),
    ("api_flood", "api-flood"),
    ("memory_leak", "memory-bomb"),
];

#[tokio::main]
async fn main() -> Result<()> {
    // On a thread of the pool, as everything in the binary is. The main thread would be one
    // more that competes for the cores.
    tokio::spawn(measure()).await?
}

async fn measure() -> Result<()> {
    let mut quiet = Vec::new();
    let mut disturbed: [Vec<Duration>; DISTURBANCES.len()] = Default::default();
    // In turn, so that what else the machine does meets all of them.
    for _ in 0..ROUNDS {
        quiet.extend(latencies(None).await?);
        for ((_, misdeed), times) in DISTURBANCES.iter().zip(&mut disturbed) {
            times.extend(latencies(Some(misdeed)).await?);
        }
    }
    let quiet = p99_micros(quiet);
    figures::print("fairness/quiet_p99", quiet, "us");
    let mut worst = 0.0_f64;
    for ((name, _), times) in DISTURBANCES.iter().zip(disturbed) {
        let disturbed = p99_micros(times);
        figures::print(&format!("fairness/{name}_p99"), disturbed, "us");
        worst = worst.max(disturbed / quiet);
    }
    figures::print("fairness/p99_ratio", worst, "ratio");
    Ok(())
}

fn p99_micros(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() * 99 / 100].as_secs_f64() * 1e6
}

/// From the request that changes an object to the end of the sync that follows, again and again.
async fn latencies(misdeed: Option<&str>) -> Result<Vec<Duration>> {
    let builds = Builds::of(&[MINIMAL, HOSTILE])?;
    let mut hostile = from_file("hostile", &format!("{HOSTILE}.wasm"));
    // The default budget of a module that does not say how much it needs.
    hostile.limits.api_qps = None;
    let modules = vec![from_file("minimal", &format!("{MINIMAL}.wasm")), hostile];
    let cluster = InProcess::start(builds.path(), 1, modules).await?;
    let objects: Api<ConfigMap> = Api::default_namespaced(cluster.namespace.client.clone());
    let object = serde_json::from_value(json!({"metadata": {"name": "a"}}))?;
    objects.create(&PostParams::default(), &object).await?;
    let minimal = cluster.module("minimal")?;
    minimal.controller.synced(1).await;
    let disturbing =
        misdeed.map(|misdeed| tokio::spawn(disturb(cluster.module("hostile"), misdeed.to_owned())));
    let mut times = Vec::with_capacity(SAMPLES);
    for number in 0..SAMPLES {
        let before = minimal.controller.syncs.total();
        let change = Patch::Merge(json!({"data": {"a": number.to_string()}}));
        let began = Instant::now();
        objects.patch("a", &PatchParams::default(), &change).await?;
        minimal.controller.synced(before + 1).await;
        times.push(began.elapsed());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    if let Some(disturbing) = disturbing {
        disturbing.abort();
    }
    cluster.stop().await;
    Ok(times)
}

/// Keeps the other module at it. A key that ends its guest again and again is set aside,
/// so there is always a new one.
async fn disturb(hostile: Result<ModuleHandle>, misdeed: String) -> Result<()> {
    let hostile = hostile?;
    for number in 0.. {
        let key = ObjectKey::new(&format!("ns-{number}"), &misdeed);
        hostile.controller.queue.add(key);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}
