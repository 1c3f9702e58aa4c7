//! `reload/p99_ratio`: how much later syncs end while the guests that do them are replaced
//! without a pause. 1,000 pods are rolled again and again, in turn quietly and under
//! replacements of all four stock guests.

use std::time::Duration;

use anyhow::{Context, Result};
use futures::future::try_join_all;
use tokio::time::sleep;
use windlass_telemetry::histogram::Histogram;
use windlass_tests::builds::{Build, Builds};
use windlass_tests::figures;
use windlass_tests::fleet::Fleet;
use windlass_tests::in_process::{InProcess, STOCK, stock};

const ROUNDS: usize = 5;
/// Of each guest in a round.
const REPLACEMENTS: usize = 50;

#[tokio::main]
async fn main() -> Result<()> {
    tokio::spawn(measure()).await?
}

async fn measure() -> Result<()> {
    let builds = Builds::of(&STOCK)?;
    let cluster = InProcess::start(builds.path(), 100, stock()).await?;
    // Compiles every build, as the reload before would have.
    let succession = Build::SUCCESSION.len();
    try_join_all(STOCK.map(|name| cluster.replace(&builds, name, succession))).await?;
    let fleet = Fleet::create(&cluster.namespace).await?;
    let (mut quiet, mut reloading) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let start = latencies(&cluster);
        fleet.roll(&format!("pause:quiet-{round}")).await?;
        quiet.extend(since(&cluster, &start));
        let start = latencies(&cluster);
        let image = format!("pause:reloading-{round}");
        let rolling = fleet.roll(&image);
        let replacing = try_join_all(STOCK.map(|name| cluster.replace(&builds, name, REPLACEMENTS)));
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
