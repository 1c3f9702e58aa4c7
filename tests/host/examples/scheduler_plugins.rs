//! `scheduler_plugins/…`: what a plugin of the scheduler costs per pod at 1,000 nodes.
//!
//! Time in the scheduler's guest, host functions included, from the first pod to the last
//! binding, by pod: without a plugin, and with the sample in each language, which looks at
//! all nodes with its filter and its score and is told of the node that was chosen. All
//! nodes are candidates, and each says what it costs. Nodes have no agents.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use futures::stream::{self, TryStreamExt};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{ListParams, PostParams};
use serde_json::json;
use windlass_manager::config::{ModuleEntry, PluginEntry, SourceEntry};
use windlass_tests::in_process::{InProcess, from_file};
use windlass_tests::{figures, process, wait};

const NODES: usize = 1000;
/// Before the measurement, so that all nodes are known to all.
const WARM_UP: usize = 100;
const PODS: usize = 2000;
const CREATORS: usize = 32;
/// Each of them in turn, so that what else the machine does meets all.
const ROUNDS: usize = 5;

#[tokio::main]
async fn main() -> Result<()> {
    let guests = process::repository().join("target/guests");
    let file = |language: &str| format!("node-cost-{language}.wasm");
    let is_there = |language: &&str| {
        let is_there = guests.join(file(language)).exists();
        if !is_there {
            eprintln!("skipped: {} is not built", file(language));
        }
        is_there
    };
    let languages: Vec<&str> = ["rust", "go"].into_iter().filter(is_there).collect();
    let mut without = Vec::new();
    let mut with = vec![Vec::new(); languages.len()];
    for _ in 0..ROUNDS {
        without.push(measure(&guests, None).await?);
        for (language, measured) in languages.iter().zip(&mut with) {
            measured.push(measure(&guests, Some(&file(language))).await?);
        }
    }
    let without = median(without);
    print("none", without);
    for (language, measured) in languages.iter().zip(with) {
        let with = median(measured);
        print(language, with);
        print(&format!("{language}_alone"), with.saturating_sub(without));
    }
    Ok(())
}

fn median(mut measured: Vec<Duration>) -> Duration {
    measured.sort_unstable();
    measured.get(measured.len() / 2).copied().unwrap_or_default()
}

fn print(name: &str, per_pod: Duration) {
    figures::print(
        &format!("scheduler_plugins/{name}"),
        per_pod.as_secs_f64() * 1e6,
        "µs/pod",
    );
}

fn scheduler(plugin: Option<&str>) -> ModuleEntry {
    let mut entry = from_file("scheduler", "scheduler.wasm");
    if let Some(file) = plugin {
        entry.plugins = vec![PluginEntry::new("NodeCost", SourceEntry::file(file))];
        entry.config = json!({"profiles": [{
            "schedulerName": "default-scheduler",
            "plugins": {"multiPoint": {"enabled": [{"name": "NodeCost", "weight": 2}]}}
        }]});
    }
    entry
}

/// Time in the guest by pod.
async fn measure(guests: &Path, plugin: Option<&str>) -> Result<Duration> {
    let host = InProcess::start(guests, 0, vec![scheduler(plugin)]).await?;
    let nodes = host.namespace.nodes();
    each(NODES, async |number| {
        nodes.create(&PostParams::default(), &node(number)?).await?;
        Ok(())
    })
    .await?;
    schedule(&host, 0, WARM_UP).await?;
    let usage = host.module("scheduler")?.controller.usage.clone();
    let before = usage.cpu_time();
    schedule(&host, WARM_UP, PODS).await?;
    let spent = usage.cpu_time() - before;
    host.stop().await;
    Ok(spent / u32::try_from(PODS)?)
}

async fn schedule(host: &InProcess, first: usize, count: usize) -> Result<()> {
    let pods = host.namespace.pods();
    each(count, async |number| {
        pods.create(&PostParams::default(), &pod(first + number)?).await?;
        Ok(())
    })
    .await?;
    let unbound = ListParams::default().fields("spec.nodeName=");
    let left = || async { Ok(pods.list(&unbound).await?.items.len()) };
    wait::until("all pods bound", left, |left| *left == 0).await?;
    Ok(())
}

async fn each(count: usize, create: impl AsyncFn(usize) -> Result<()>) -> Result<()> {
    stream::iter((0..count).map(Ok))
        .try_for_each_concurrent(CREATORS, |number| create(number))
        .await
}

fn node(number: usize) -> Result<Node> {
    let name = format!("node-{number}");
    let offers = json!({"cpu": "64", "memory": "256Gi", "pods": "110"});
    let node = json!({
        "metadata": {
            "name": name,
            "labels": {"kubernetes.io/hostname": name},
            "annotations": {"node-cost.windlass.dev/cost": (number % 90).to_string()}
        },
        "status": {
            "capacity": offers, "allocatable": offers,
            "conditions": [{"type": "Ready", "status": "True"}]
        }
    });
    Ok(serde_json::from_value(node)?)
}

fn pod(number: usize) -> Result<Pod> {
    let requests = json!({"requests": {"cpu": "100m", "memory": "100Mi"}});
    let pod = json!({
        "metadata": {"name": format!("pod-{number}"), "labels": {"app": "bench"}},
        "spec": {"containers": [{"name": "pause", "image": "registry.k8s.io/pause:3.10", "resources": requests}]}
    });
    Ok(serde_json::from_value(pod)?)
}
