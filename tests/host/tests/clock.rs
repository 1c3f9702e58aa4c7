//! Three hosts whose wall clocks jump by hours, forwards and backwards, while they lead and
//! while they stand by: none loses or gains anything by it, no two sync one key at once,
//! and none stays unsynced.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, ListParams};
use windlass_tests::cluster::Cluster;
use windlass_tests::ledger::Ledger;
use windlass_tests::process::{Process, repository};
use windlass_tests::wait;
use windlass_tests::wall_clock::WallClock;

const KEYS: usize = 20;
const HOSTS: usize = 3;
const GUEST: &str = "windlass-fixture-ledger.wasm";
/// How many hours each host is fast, the one that leads first. Each row is a jump from the
/// one above it.
const JUMPS: [[i64; HOSTS]; 4] = [[5, -7, 11], [-9, 13, -5], [-9, -13, 0], [0, 30, -30]];

/// The leases have their usual times, so that only a clock can move them.
fn configuration(mode: &str) -> String {
    format!(
        "apiVersion: windlass.dev/v1alpha1\nkind: HostConfiguration\nmodules:\n- name: ledger\n  \
         source: {{file: {GUEST}}}\n  grantDeclared: true\n  leadership: {{mode: {mode}}}\n  \
         limits: {{apiQps: 0}}\n"
    )
}

struct Replica {
    config: PathBuf,
    kubeconfig: PathBuf,
    log: PathBuf,
    clock: WallClock,
    process: Process,
}

impl Replica {
    /// Nothing without a way to set its clock.
    fn start(cluster: &Cluster, number: usize) -> Result<Option<Self>> {
        let folder = cluster.folder.path();
        let Some(clock) = WallClock::new(&folder.join(format!("clock-{number}")))? else {
            return Ok(None);
        };
        let config = folder.join("host.yaml");
        let kubeconfig = cluster.kubeconfig();
        let log = folder.join(format!("host-{number}.log"));
        let process = Self::spawn(&config, &kubeconfig, &log, &clock)?;
        Ok(Some(Self {
            config,
            kubeconfig,
            log,
            clock,
            process,
        }))
    }

    fn spawn(config: &Path, kubeconfig: &Path, log: &Path, clock: &WallClock) -> Result<Process> {
        let config = config.to_string_lossy();
        let kubeconfig = kubeconfig.to_string_lossy();
        let run = ["run", "--config", &*config, "--kubeconfig", &*kubeconfig];
        let arguments = [&run[..], &["--status-address", "none"]].concat();
        Process::start_within(&clock.environment()?, &arguments, log)
    }

    /// Another process with the same clock.
    fn start_again(&mut self) -> Result<()> {
        self.process = Self::spawn(&self.config, &self.kubeconfig, &self.log, &self.clock)?;
        Ok(())
    }

    /// Whether it calls itself by this name.
    fn is(&self, identity: &str) -> bool {
        !identity.is_empty() && self.process.output().contains(identity)
    }
}

/// What the API server knows of the replicas.
struct Leases(Api<Lease>);

impl Leases {
    async fn module(&self) -> Result<LeaseSpec> {
        let lease = self.0.get("windlass-ledger").await?;
        lease.spec.context("the module's lease has a spec")
    }

    async fn transitions(&self) -> Result<i32> {
        Ok(self.module().await?.lease_transitions.unwrap_or_default())
    }

    /// Puts the replica that leads first.
    async fn sort(&self, replicas: &mut [Replica]) -> Result<()> {
        let holder = || async { Ok(self.module().await?.holder_identity.unwrap_or_default()) };
        let known = |holder: &String| replicas.iter().any(|replica| replica.is(holder));
        let holder = wait::until("a leader", holder, known).await?;
        replicas.sort_by_key(|replica| !replica.is(&holder));
        Ok(())
    }

    /// Waits until all replicas share the work; those that are gone say nothing any more.
    async fn wait_for_members(&self) -> Result<()> {
        let members = || async { Ok(self.memberships().await?.len()) };
        wait::until("all memberships", members, |members| *members == HOSTS).await?;
        Ok(())
    }

    /// Waits until the membership that a replica renews shows that its clock is so many
    /// hours fast: without that, nothing would have jumped.
    async fn wait_for_clock(&self, replica: &Replica, hours: i64) -> Result<()> {
        let fast = || async {
            let memberships = self.memberships().await?;
            let own = memberships
                .into_iter()
                .find(|spec| replica.is(spec.holder_identity.as_deref().unwrap_or_default()));
            let renewed = own.and_then(|spec| spec.renew_time).context("not renewed yet")?;
            let seconds = renewed.0.duration_since(Timestamp::now()).as_secs_f64();
            Ok(seconds / 3600.0)
        };
        // A renewal is seconds old, and the clocks are hours apart.
        let holds = |fast: &f64| (fast - hours as f64).abs() < 0.5;
        wait::until(&format!("a clock {hours:+} h"), fast, holds).await?;
        Ok(())
    }

    async fn memberships(&self) -> Result<Vec<LeaseSpec>> {
        let members = ListParams::default().labels("windlass.dev/lease=member");
        let leases = self.0.list(&members).await?.items;
        let specs = leases.into_iter().filter_map(|lease| lease.spec);
        let held = |spec: &LeaseSpec| {
            spec.holder_identity
                .as_ref()
                .is_some_and(|holder| !holder.is_empty())
        };
        Ok(specs.filter(held).collect())
    }
}

async fn jump_about(mode: &str) -> Result<()> {
    let cluster = Cluster::up(&["--nodes", "1", "--no-modules"]).await?;
    let folder = cluster.folder.path();
    std::fs::write(folder.join("host.yaml"), configuration(mode))?;
    std::fs::copy(repository().join("target/guests").join(GUEST), folder.join(GUEST))?;
    let client = cluster.client().await?;
    let leases = Leases(Api::namespaced(client.clone(), "kube-system"));
    let objects: Api<ConfigMap> = Api::namespaced(client, "default");
    let ledger = Ledger::start(objects, KEYS).await?;
    let mut replicas = Vec::new();
    for number in 0..HOSTS {
        let Some(replica) = Replica::start(&cluster, number)? else {
            return Ok(());
        };
        replicas.push(replica);
    }
    leases.wait_for_members().await?;
    ledger.wait_for_syncs_of_all().await?;

    leases.sort(&mut replicas).await?;
    let transitions = leases.transitions().await?;
    for jump in JUMPS {
        for (replica, hours) in replicas.iter().zip(jump) {
            replica.clock.jump(hours)?;
        }
        for (replica, hours) in replicas.iter().zip(jump) {
            leases.wait_for_clock(replica, hours).await?;
        }
        ledger.wait_for_syncs_of_all().await?;
        assert_eq!(leases.transitions().await?, transitions, "after {jump:?}");
    }

    // Clocks that are days apart do not keep others from taking over.
    let leader = replicas.first_mut().context("there are replicas")?;
    leader.process.kill();
    ledger.wait_for_syncs_of_all().await?;
    leader.start_again()?;
    leases.sort(&mut replicas).await?;
    let leader = replicas.first_mut().context("there are replicas")?;
    leader.clock.jump(48)?;
    leases.wait_for_clock(leader, 48).await?;
    leader.process.signal("TERM")?;
    let code = leader.process.wait(Duration::from_secs(30))?;
    assert_eq!(code, Some(0), "{}", leader.process.output());
    ledger.wait_for_syncs_of_all().await?;

    let (syncs, gap) = ledger.syncs_and_longest_gap();
    eprintln!("{mode}: {syncs} syncs of {KEYS} keys in {HOSTS} replicas, longest gap {gap:.1?}");
    assert_eq!(ledger.overlaps(), Vec::<String>::new());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_jumps_moves_no_lease_and_lets_no_two_sync_one_key() -> Result<()> {
    jump_about("Lease").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_jumps_moves_no_key_and_lets_no_two_sync_one_key() -> Result<()> {
    jump_about("Sharded").await
}
