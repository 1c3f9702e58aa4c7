//! What recording costs: CPU time of a host per sync of the stock guests, while Deployments
//! are created and deleted, with every instance recorded and with none (`record/off`,
//! `record/on`, `record/overhead`). In turn, so that whatever else the machine does
//! troubles both. The API server and the nodes are another process.

use anyhow::{Context, Result};
use futures::future::try_join_all;
use serde_json::json;
use windlass_telemetry::client::fetch_status;
use windlass_telemetry::status::{HostStatus, ModulePhase};
use windlass_tests::cluster::{Cluster, Namespace, STOCK_CONFIGURATION};
use windlass_tests::figures;
use windlass_tests::process::{Process, free_address};
use windlass_tests::wait;

const ROUNDS: usize = 5;
const DEPLOYMENTS: usize = 20;
const REPLICAS: usize = 25;

#[tokio::main]
async fn main() -> Result<()> {
    let cluster = Cluster::up(&["--nodes", "20", "--no-modules"]).await?;
    let configuration = format!("{STOCK_CONFIGURATION}leaderElection: {{enabled: false}}\n");
    std::fs::write(cluster.folder.path().join("host.yaml"), configuration)?;
    // The first compiles.
    microseconds_per_sync(&cluster, &["run"]).await?;
    let (mut off, mut on) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let output = cluster.folder.path().join(format!("recordings-{round}"));
        let record = ["record", "--output", &*output.to_string_lossy()];
        let (without, with) = (
            microseconds_per_sync(&cluster, &["run"]).await?,
            microseconds_per_sync(&cluster, &record).await?,
        );
        eprintln!("{without:.1} us, recorded {with:.1} us");
        off.push(without);
        on.push(with);
    }
    let (off, on) = (median(off)?, median(on)?);
    figures::print("record/off", off, "us");
    figures::print("record/on", on, "us");
    figures::print("record/overhead", on - off, "us");
    Ok(())
}

fn median(mut values: Vec<f64>) -> Result<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().context("there are rounds")
}

async fn microseconds_per_sync(cluster: &Cluster, command: &[&str]) -> Result<f64> {
    let folder = cluster.folder.path();
    let address = free_address()?;
    let (config, kubeconfig) = (folder.join("host.yaml"), cluster.kubeconfig());
    let (config, kubeconfig) = (config.to_string_lossy(), kubeconfig.to_string_lossy());
    let rest = [
        "--config",
        &config,
        "--kubeconfig",
        &kubeconfig,
        "--status-address",
        &address,
    ];
    let mut process = Process::start(&[command, &rest].concat(), &folder.join("host.log"))?;
    let status = || async { Ok(fetch_status(&address).await?) };
    let all_run = |status: &HostStatus| {
        let mut modules = status.modules.iter();
        !status.modules.is_empty() && modules.all(|module| module.state.phase == ModulePhase::Running)
    };
    let before = wait::until("the stock modules", status, all_run).await?;
    let cpu = figures::cpu_time(process.id())?;
    work(&cluster.namespace("default").await?).await?;
    let used = figures::cpu_time(process.id())? - cpu;
    let made = syncs(&fetch_status(&address).await?) - syncs(&before);
    process.signal("TERM")?;
    process.wait(wait::LIMIT)?;
    Ok(used.as_secs_f64() * 1e6 / made as f64)
}

fn syncs(status: &HostStatus) -> u64 {
    let modules = status.modules.iter();
    modules.map(|module| module.syncs.total()).sum()
}

async fn work(namespace: &Namespace) -> Result<()> {
    let names: Vec<String> = (0..DEPLOYMENTS).map(|number| format!("web-{number}")).collect();
    try_join_all(names.iter().map(async |name| {
        namespace
            .create_deployment(name, json!({"replicas": REPLICAS}))
            .await?;
        namespace.wait_complete(name).await?;
        namespace.deployments().delete(name, &Default::default()).await?;
        namespace.wait_pods(&format!("app={name}"), 0).await
    }))
    .await?;
    Ok(())
}
