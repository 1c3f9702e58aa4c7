//! What a guest costs in each language: the `ttl` controller on the embedded cluster, with
//! 10,000 objects that have expired (`languages/NAME/…`). Languages whose guest is not
//! built are left out.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures::stream::{self, StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use kube::api::{Api, ListParams, PostParams};
use serde_json::json;
use windlass_tests::builds::Builds;
use windlass_tests::figures;
use windlass_tests::in_process::{InProcess, from_file};
use windlass_tests::process::repository;
use windlass_tests::wait;

const LANGUAGES: [&str; 5] = ["rust", "c", "go", "javascript", "python"];
const OBJECTS: usize = 10_000;
const EXPIRED: &str = "2020-01-01T00:00:00Z";

#[tokio::main]
async fn main() -> Result<()> {
    tokio::spawn(async {
        for language in LANGUAGES {
            measure(language).await?;
        }
        anyhow::Ok(())
    })
    .await?
}

async fn measure(language: &str) -> Result<()> {
    let name = format!("ttl-{language}");
    let component = repository().join(format!("target/guests/{name}.wasm"));
    let Ok(metadata) = std::fs::metadata(&component) else {
        eprintln!("{name} is not built; run `cargo xtask languages`");
        return Ok(());
    };
    let print = |figure: &str, value: f64, unit: &str| {
        figures::print(&format!("languages/{language}/{figure}"), value, unit);
    };
    print("component", metadata.len() as f64 / 1024.0, "KiB");
    let builds = Builds::of(&[&name])?;
    let module = || vec![from_file(&name, &format!("{name}.wasm"))];
    let mut cluster = InProcess::start(builds.path(), 1, Vec::new()).await?;
    // The first compiles.
    cluster.host.apply(module());
    cluster.host.wait_until_running().await;
    cluster.host.apply(Vec::new());
    let modules = || async { Ok(cluster.host.modules().len()) };
    wait::until("the module to be gone", modules, |count| *count == 0).await?;
    let maps: Api<ConfigMap> = Api::namespaced(cluster.namespace.client.clone(), "default");
    let creating = stream::iter(0..OBJECTS).map(|number| {
        let maps = &maps;
        async move {
            let annotations = json!({"ttl.windlass.dev/expires": EXPIRED});
            let map = json!({"metadata": {"name": format!("many-{number}"), "annotations": annotations}});
            maps.create(&PostParams::default(), &serde_json::from_value(map)?)
                .await?;
            anyhow::Ok(())
        }
    });
    creating.buffer_unordered(32).try_collect::<Vec<()>>().await?;

    let began = Instant::now();
    cluster.host.apply(module());
    cluster.host.wait_until_running().await;
    print("start", began.elapsed().as_secs_f64() * 1000.0, "ms");
    let handle = cluster.module(&name)?;
    let left = || async {
        let maps = maps.list_metadata(&ListParams::default().limit(50)).await?.items;
        anyhow::Ok(maps.iter().any(|map| map.name_any().starts_with("many-")))
    };
    while left().await? {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    print(
        "throughput",
        OBJECTS as f64 / began.elapsed().as_secs_f64(),
        "objects/s",
    );
    let syncs = handle.controller.syncs.snapshot();
    let cpu = handle.controller.usage.cpu_time();
    print(
        "cpu_per_sync",
        cpu.as_secs_f64() * 1e6 / syncs.total() as f64,
        "us",
    );
    let median = syncs.latency.quantile(0.5).context("there were syncs")?;
    print("sync_p50", median * 1e6, "us");
    print(
        "memory",
        handle.controller.usage.memory_bytes() as f64 / 1024.0,
        "KiB",
    );
    cluster.stop().await;
    Ok(())
}
