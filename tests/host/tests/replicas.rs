//! Three hosts in processes of their own share one module: whatever happens to them, no
//! two sync one key at once, and none stays unsynced.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use futures::future::try_join_all;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::Api;
use kube::config::Kubeconfig;
use serde_json::{Value, json};
use windlass_core::shard::SLOTS;
use windlass_tests::cluster::Cluster;
use windlass_tests::ledger::Ledger;
use windlass_tests::link::Link;
use windlass_tests::process::{Process, repository};
use windlass_tests::{status, wait};

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
            "127.0.0.1:0",
        ];
        Process::start(&arguments, &Self::log(cluster, number, starts))
    }

    /// What it says of itself: its name, its part in the module, the module's lease, and
    /// the metric of that.
    async fn shown(&self) -> Result<Shown> {
        let address = status::address_of(&self.process).await?;
        let look = status::status(address).await?;
        let held = status::metric(address, "leader_election_master_status").await?;
        let slow_paths = status::metric(address, "leader_election_slowpath_total").await?;
        slow_paths.context("a counter of slow paths")?;
        Ok(Shown {
            identity: look["identity"].as_str().unwrap_or_default().to_owned(),
            leadership: look["modules"][0]["leadership"].clone(),
            lease: look["leases"][0].clone(),
            held: held.context("a gauge of the lease")?,
        })
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

/// How one replica shows its part.
#[derive(Clone, Debug)]
struct Shown {
    identity: String,
    leadership: Value,
    lease: Value,
    held: f64,
}

impl Shown {
    fn names_holder(&self, holder: &str) -> bool {
        self.lease["name"] == "kube-system/windlass-ledger"
            && self.lease["modules"] == json!(["ledger"])
            && self.lease["durationSeconds"] == 4
            && self.lease["renewed"].is_string()
            && self.lease["holder"] == holder
            && self.leadership["holder"] == holder
    }

    fn slots(&self) -> u64 {
        self.leadership["share"]["slots"].as_u64().unwrap_or_default()
    }
}

/// Whether all agree on who holds the lease, that one alone says that it does, and each
/// syncs what it should: the holder everything, or all of them their shares.
fn agree(shown: &[Shown], mode: &str) -> bool {
    let holders: Vec<&Shown> = shown.iter().filter(|shown| shown.held > 0.0).collect();
    let [holder] = holders.as_slice() else {
        return false;
    };
    let acts = |shown: &Shown| shown.leadership["role"] == "leader";
    let parts = match mode {
        "Sharded" => {
            shown.iter().all(acts)
                && shown.iter().map(Shown::slots).sum::<u64>() == u64::from(SLOTS)
                && shown
                    .iter()
                    .all(|shown| shown.leadership["share"]["of"] == u64::from(SLOTS))
        }
        _ => shown
            .iter()
            .all(|shown| acts(shown) == (shown.held > 0.0) && shown.leadership["share"].is_null()),
    };
    parts
        && shown.iter().all(|shown| shown.names_holder(&holder.identity))
        && shown.iter().all(|one| one.lease["held"] == json!(one.held > 0.0))
}

/// Waits until all replicas show the same. Returns how often the lease has changed hands.
async fn wait_until_shown(replicas: &[Replica], mode: &str) -> Result<u64> {
    let look = || try_join_all(replicas.iter().map(Replica::shown));
    let shown = wait::until("replicas that agree", look, |shown: &Vec<Shown>| {
        agree(shown, mode)
    })
    .await?;
    shown[0].lease["transitions"].as_u64().context("a number")
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
    let changes = wait_until_shown(&replicas, mode).await?;

    let killed = leader(&leases, &mut replicas).await?;
    killed.process.kill();
    ledger.wait_for_syncs_of_all().await?;
    killed.start_again(&cluster, &config)?;
    assert!(
        wait_until_shown(&replicas, mode).await? > changes,
        "somebody else took over"
    );

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
