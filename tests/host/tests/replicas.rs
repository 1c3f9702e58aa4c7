//! Three hosts in processes of their own share one module: whatever happens to them, no
//! two sync one key at once, and none stays unsynced.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::Api;
use kube::config::Kubeconfig;
use windlass_tests::cluster::Cluster;
use windlass_tests::ledger::Ledger;
use windlass_tests::link::Link;
use windlass_tests::process::{Process, repository};
use windlass_tests::wait;

const KEYS: usize = 20;
const HOSTS: usize = 3;
/// Long enough that all others have noticed a lease that is not renewed.
const PAST_THE_LEASE: Duration = Duration::from_secs(8);

/// The usual times would make the test five times as long.
fn configuration(mode: &str) -> String {
    format!(
        "apiVersion: windlass.dev/v1alpha1\nkind: HostConfiguration\n\
         leaderElection: {{leaseDuration: 4s, renewDeadline: 3s, retryPeriod: 1s}}\n\
         modules:\n- name: ledger\n  source: {{file: windlass-fixture-ledger.wasm}}\n  grantDeclared: true\n  \
         leadership: {{mode: {mode}}}\n  limits: {{apiQps: 0}}\n"
    )
}

struct Replica {
    number: usize,
    starts: usize,
    link: Link,
    process: Process,
}

impl Replica {
    fn log(cluster: &Cluster, number: usize, starts: usize) -> std::path::PathBuf {
        cluster.folder.path().join(format!("host-{number}-{starts}.log"))
    }

    async fn start(cluster: &Cluster, config: &Path, number: usize) -> Result<Self> {
        let kubeconfig = Kubeconfig::read_from(cluster.kubeconfig())?;
        let server = kubeconfig
            .clusters
            .first()
            .and_then(|cluster| cluster.cluster.as_ref()?.server.clone());
        let server = server.context("the kubeconfig names a server")?;
        let target: SocketAddr = server.trim_start_matches("https://").parse()?;
        let link = Link::to(target).await?;
        let text = std::fs::read_to_string(cluster.kubeconfig())?;
        let own = cluster.folder.path().join(format!("kubeconfig-{number}"));
        std::fs::write(&own, text.replace(&server, &format!("https://{}", link.address)))?;
        let process = Self::spawn(cluster, config, number, 0)?;
        Ok(Self {
            number,
            starts: 0,
            link,
            process,
        })
    }

    fn spawn(cluster: &Cluster, config: &Path, number: usize, starts: usize) -> Result<Process> {
        let kubeconfig = cluster.folder.path().join(format!("kubeconfig-{number}"));
        let arguments = [
            "run",
            "--config",
            &*config.to_string_lossy(),
            "--kubeconfig",
            &*kubeconfig.to_string_lossy(),
            "--status-address",
            "none",
        ];
        Process::start(&arguments, &Self::log(cluster, number, starts))
    }

    fn start_again(&mut self, cluster: &Cluster, config: &Path) -> Result<()> {
        self.starts += 1;
        self.process = Self::spawn(cluster, config, self.number, self.starts)?;
        Ok(())
    }

    /// Whether it calls itself by this name.
    fn is(&self, identity: &str) -> bool {
        !identity.is_empty() && self.process.output().contains(identity)
    }
}

/// The replica that holds the module's lease.
async fn leader<'a>(leases: &Api<Lease>, replicas: &'a mut [Replica]) -> Result<&'a mut Replica> {
    let holder = || async {
        let lease = leases.get("windlass-ledger").await?;
        let holder = lease
            .spec
            .and_then(|spec| spec.holder_identity)
            .unwrap_or_default();
        Ok(holder)
    };
    let known = |holder: &String| replicas.iter().any(|replica| replica.is(holder));
    let holder = wait::until("a leader", holder, known).await?;
    let found = replicas.iter_mut().find(|replica| replica.is(&holder));
    found.context("the leader is one of the replicas")
}

async fn go_through_everything(mode: &str) -> Result<()> {
    let cluster = Cluster::up(&["--nodes", "1", "--no-modules"]).await?;
    let config = cluster.folder.path().join("host.yaml");
    std::fs::write(&config, configuration(mode))?;
    let guest = "windlass-fixture-ledger.wasm";
    std::fs::copy(
        repository().join("target/guests").join(guest),
        cluster.folder.path().join(guest),
    )?;
    let client = cluster.client().await?;
    let leases: Api<Lease> = Api::namespaced(client.clone(), "kube-system");
    let objects: Api<ConfigMap> = Api::namespaced(client, "default");
    let ledger = Ledger::start(objects, KEYS).await?;
    let mut replicas = Vec::new();
    for number in 0..HOSTS {
        replicas.push(Replica::start(&cluster, &config, number).await?);
    }
    ledger.wait_for_syncs_of_all().await?;

    let killed = leader(&leases, &mut replicas).await?;
    killed.process.kill();
    ledger.wait_for_syncs_of_all().await?;
    killed.start_again(&cluster, &config)?;

    let stopped = leader(&leases, &mut replicas).await?;
    stopped.process.signal("STOP")?;
    tokio::time::sleep(PAST_THE_LEASE).await;
    stopped.process.signal("CONT")?;
    ledger.wait_for_syncs_of_all().await?;

    let parted = leader(&leases, &mut replicas).await?;
    parted.link.cut();
    tokio::time::sleep(PAST_THE_LEASE).await;
    parted.link.mend();
    ledger.wait_for_syncs_of_all().await?;

    for replica in &mut replicas {
        replica.process.signal("TERM")?;
        assert_eq!(
            replica.process.wait(Duration::from_secs(30))?,
            Some(0),
            "{}",
            replica.process.output()
        );
        replica.start_again(&cluster, &config)?;
        ledger.wait_for_syncs_of_all().await?;
    }

    let (syncs, gap) = ledger.syncs_and_longest_gap();
    eprintln!("{mode}: {syncs} syncs of {KEYS} keys in {HOSTS} replicas, longest gap {gap:.1?}");
    assert_eq!(ledger.overlaps(), Vec::<String>::new());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_that_lead_in_turn_never_sync_one_key_at_once() -> Result<()> {
    go_through_everything("Lease").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_that_share_the_keys_never_sync_one_key_at_once() -> Result<()> {
    go_through_everything("Sharded").await
}
