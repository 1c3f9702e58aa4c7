//! What many modules cost, and how fast one changes: `reload/change_to_sync`,
//! `startup/200_guests`, `guests/idle_bytes`, `dispatch/event_…_modules`. A host in this
//! process, guests from files, their compiled code in the cache.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;
use windlass_manager::config::ModuleEntry;
use windlass_tests::builds::{Build, Builds};
use windlass_tests::figures;
use windlass_tests::in_process::{InProcess, from_file};

const MINIMAL: &str = "windlass-fixture-minimal";
const GUESTS: usize = 200;
const RELOADS: usize = 20;
const EVENTS: usize = 2000;

#[tokio::main]
async fn main() -> Result<()> {
    reloads().await?;
    startup().await?;
    for interested in [1, 10, 100] {
        events(interested).await?;
    }
    Ok(())
}

fn modules(count: usize) -> Vec<ModuleEntry> {
    (0..count)
        .map(|number| from_file(&format!("minimal-{number}"), &format!("{MINIMAL}.wasm")))
        .collect()
}

fn config_maps(cluster: &InProcess) -> Api<ConfigMap> {
    Api::default_namespaced(cluster.namespace.client.clone())
}

async fn create(cluster: &InProcess, name: &str) -> Result<()> {
    let object = serde_json::from_value(json!({"metadata": {"name": name}, "data": {"a": "b"}}))?;
    config_maps(cluster)
        .create(&PostParams::default(), &object)
        .await?;
    Ok(())
}

fn syncs(cluster: &InProcess) -> u64 {
    let modules = cluster.host.modules();
    modules.iter().map(|module| module.controller.syncs.total()).sum()
}

async fn until_synced(cluster: &InProcess, expected: u64) -> Result<()> {
    let limit = Instant::now() + Duration::from_secs(60);
    while syncs(cluster) < expected {
        ensure!(Instant::now() < limit, "{} of {expected} syncs", syncs(cluster));
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    Ok(())
}

/// From a file that is replaced to the first sync of the new version.
async fn reloads() -> Result<()> {
    let builds = Builds::of(&[MINIMAL])?;
    let cluster = InProcess::start(builds.path(), 1, modules(1)).await?;
    create(&cluster, "a").await?;
    until_synced(&cluster, 1).await?;
    let mut times = Vec::new();
    for number in 0..RELOADS + 2 {
        // Until the reload before has come to rest: two that follow each other at once are one.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let before = syncs(&cluster);
        let began = Instant::now();
        builds.replace(MINIMAL, [Build::New(1), Build::Original][number % 2])?;
        until_synced(&cluster, before + 1).await?;
        times.push(began.elapsed());
    }
    // The first of each build was compiled.
    let mut times = times.split_off(2);
    times.sort();
    let applied = cluster.module("minimal-0")?.status.borrow().reloads_applied;
    eprintln!(
        "reloads: {times:?}, {applied} versions served, {} syncs",
        syncs(&cluster)
    );
    figures::print(
        "reload/change_to_sync",
        times[RELOADS / 2].as_secs_f64() * 1000.0,
        "ms",
    );
    cluster.stop().await;
    Ok(())
}

/// Many idle guests: how long they take to start and what they hold.
async fn startup() -> Result<()> {
    let builds = Builds::of(&[MINIMAL])?;
    let mut cluster = InProcess::start(builds.path(), 1, modules(1)).await?;
    let before = resident_bytes()?;
    let began = Instant::now();
    cluster.host.apply(modules(GUESTS + 1));
    cluster.host.wait_until_running().await;
    figures::print("startup/200_guests", began.elapsed().as_secs_f64(), "s");
    figures::print(
        "guests/idle_bytes",
        (resident_bytes()? - before) / GUESTS as f64,
        "bytes",
    );
    let watches = cluster.platform.informers.status().len();
    eprintln!("informers with {} guests: {watches}", GUESTS + 1);
    cluster.stop().await;
    Ok(())
}

/// CPU time of this process for one event, with so many modules that want it and a
/// hundred in all.
async fn events(interested: usize) -> Result<()> {
    const MODULES: usize = 100;
    let builds = Builds::of(&[MINIMAL, "windlass-fixture-hostile"])?;
    let mut entries = modules(interested);
    // They watch nothing.
    let others = (interested..MODULES)
        .map(|number| from_file(&format!("other-{number}"), "windlass-fixture-hostile.wasm"));
    entries.extend(others);
    let cluster = InProcess::start(builds.path(), 1, entries).await?;
    create(&cluster, "a").await?;
    until_synced(&cluster, interested as u64).await?;
    let objects = config_maps(&cluster);
    let change = |number: usize| Patch::Merge(json!({"data": {"a": number.to_string()}}));
    let before = syncs(&cluster);
    let cpu = figures::cpu_time(std::process::id())?;
    for number in 0..EVENTS {
        objects
            .patch("a", &PatchParams::default(), &change(number))
            .await?;
        until_synced(&cluster, before + ((number + 1) * interested) as u64).await?;
    }
    let used = figures::cpu_time(std::process::id())? - cpu;
    let name = match interested {
        1 => "dispatch/event_1_module".to_owned(),
        _ => format!("dispatch/event_{interested}_modules"),
    };
    figures::print(&name, used.as_secs_f64() * 1e6 / EVENTS as f64, "us");
    cluster.stop().await;
    Ok(())
}

fn resident_bytes() -> Result<f64> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages: f64 = statm.split_whitespace().nth(1).unwrap_or("0").parse()?;
    Ok(pages * 4096.0)
}
