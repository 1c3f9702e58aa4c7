//! A shadow among replicas of the host: it follows the version that serves on each replica,
//! and on those alone, wherever that goes.

use std::path::PathBuf;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::Api;
use windlass_telemetry::client::fetch_status;
use windlass_telemetry::status::{HostStatus, ModulePhase, ModuleStatus};
use windlass_tests::cluster::Cluster;
use windlass_tests::ledger::Ledger;
use windlass_tests::process::{Process, free_address, repository};
use windlass_tests::wait;

const KEYS: usize = 10;
const HOSTS: usize = 2;
const GUEST: &str = "windlass-fixture-ledger.wasm";

fn configuration(mode: &str) -> String {
    let module = format!(
        "  source: {{file: {GUEST}}}\n  grantDeclared: true\n  leadership: {{mode: {mode}}}\n  limits: {{apiQps: 0}}\n"
    );
    format!(
        "apiVersion: windlass.dev/v1alpha1\nkind: HostConfiguration\n\
         leaderElection: {{leaseDuration: 4s, renewDeadline: 3s, retryPeriod: 1s}}\n\
         modules:\n- name: ledger\n{module}- name: next\n{module}  shadow: true\n"
    )
}

struct Replica {
    process: Process,
    address: String,
}

impl Replica {
    fn start(cluster: &Cluster, number: usize) -> Result<Self> {
        let address = free_address()?;
        let folder = cluster.folder.path();
        let log: PathBuf = folder.join(format!("host-{number}.log"));
        let (config, kubeconfig) = (folder.join("host.yaml"), cluster.kubeconfig());
        let (config, kubeconfig) = (config.to_string_lossy(), kubeconfig.to_string_lossy());
        let run = ["run", "--config", &config, "--kubeconfig", &kubeconfig];
        let process = Process::start(&[&run[..], &["--status-address", &address]].concat(), &log)?;
        Ok(Self { process, address })
    }

    async fn module(&self, name: &str) -> Result<ModuleStatus> {
        let status: HostStatus = fetch_status(&self.address).await?;
        let found = status.modules.into_iter().find(|module| module.name == name);
        found.with_context(|| format!("no module {name}"))
    }

    /// How many syncs of the module here its shadow has compared, all of them alike.
    async fn compared(&self) -> Result<u64> {
        let Some(shadow) = self.module("ledger").await?.shadow else {
            return Ok(0);
        };
        assert_eq!((shadow.different, shadow.recent), (0, Vec::new()));
        Ok(shadow.same)
    }

    async fn wait_for_comparisons(&self) -> Result<()> {
        let before = self.compared().await?;
        let compared = || self.compared();
        wait::until("syncs in the shadow", compared, |same| *same > before + 10).await?;
        Ok(())
    }

    /// The shadow itself has sent nothing.
    async fn assert_silent(&self) -> Result<()> {
        let next = self.module("next").await?;
        assert_eq!(next.state.phase, ModulePhase::Running, "{:?}", next.state.reason);
        assert_eq!(next.api.total(), 0);
        Ok(())
    }
}

/// Ends in this order.
struct Setting {
    ledger: Ledger,
    replicas: Vec<Replica>,
    _cluster: Cluster,
}

async fn set_up(mode: &str) -> Result<Setting> {
    let cluster = Cluster::up(&["--nodes", "1", "--no-modules"]).await?;
    let folder = cluster.folder.path();
    std::fs::write(folder.join("host.yaml"), configuration(mode))?;
    std::fs::copy(repository().join("target/guests").join(GUEST), folder.join(GUEST))?;
    let objects: Api<ConfigMap> = Api::namespaced(cluster.client().await?, "default");
    let ledger = Ledger::start(objects, KEYS).await?;
    let mut replicas = Vec::new();
    for number in 0..HOSTS {
        replicas.push(Replica::start(&cluster, number)?);
    }
    ledger.wait_for_syncs_of_all().await?;
    Ok(Setting {
        ledger,
        replicas,
        _cluster: cluster,
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shadow_follows_the_replica_that_leads() -> Result<()> {
    let mut setting = set_up("Lease").await?;
    let phases = async |replica: &Replica| anyhow::Ok(replica.module("ledger").await?.state.phase);
    let mut leads = Vec::new();
    for replica in &setting.replicas {
        leads.push(phases(replica).await? == ModulePhase::Running);
    }
    let leader = leads.iter().position(|leads| *leads).context("one leads")?;
    let mut first = setting.replicas.remove(leader);
    let second = setting.replicas.remove(0);
    first.wait_for_comparisons().await?;
    assert_eq!(second.compared().await?, 0, "nothing serves there");
    for replica in [&first, &second] {
        replica.assert_silent().await?;
    }
    first.process.kill();
    setting.ledger.wait_for_syncs_of_all().await?;
    second.wait_for_comparisons().await?;
    second.assert_silent().await?;
    // A shadow that wrote would be another sync within each.
    assert_eq!(setting.ledger.overlaps(), Vec::<String>::new());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shadow_follows_each_replica_in_its_share_of_the_keys() -> Result<()> {
    let mut setting = set_up("Sharded").await?;
    for replica in &setting.replicas {
        replica.wait_for_comparisons().await?;
        replica.assert_silent().await?;
    }
    let mut killed = setting.replicas.remove(0);
    killed.process.kill();
    setting.ledger.wait_for_syncs_of_all().await?;
    for replica in &setting.replicas {
        replica.wait_for_comparisons().await?;
        replica.assert_silent().await?;
    }
    assert_eq!(setting.ledger.overlaps(), Vec::<String>::new());
    Ok(())
}
