//! The host's own settings: flags come before the configuration, and changes count while
//! it runs where they can.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use kube::api::{Api, ListParams};
use serde_json::Value;
use windlass_tests::cluster::Cluster;
use windlass_tests::ledger::Ledger;
use windlass_tests::process::{Process, repository};
use windlass_tests::{status, wait};

/// Makes API calls without end.
const GUEST: &str = "windlass-fixture-ledger.wasm";

/// A host in a process of its own.
struct Host {
    cluster: Cluster,
    config: PathBuf,
    process: Process,
}

/// Without leader election, unless the settings speak of it.
fn configuration(settings: &str) -> String {
    let election = if settings.contains("leaderElection") {
        ""
    } else {
        "leaderElection: {enabled: false}\n"
    };
    format!("apiVersion: windlass.dev/v1alpha1\nkind: HostConfiguration\n{election}{settings}")
}

impl Host {
    async fn start(settings: &str, flags: &[&str]) -> Result<Self> {
        let cluster = Cluster::up(&["--no-modules"]).await?;
        let config = cluster.folder.path().join("host.yaml");
        std::fs::write(&config, configuration(settings))?;
        std::fs::copy(
            repository().join("target/guests").join(GUEST),
            cluster.folder.path().join(GUEST),
        )?;
        let (path, kubeconfig) = (config.to_string_lossy(), cluster.kubeconfig());
        let kubeconfig = kubeconfig.to_string_lossy();
        let mut arguments = vec!["run", "--config", &path, "--kubeconfig", &kubeconfig];
        arguments.extend(flags);
        let process = Process::start(&arguments, &cluster.folder.path().join("host.log"))?;
        Ok(Self {
            config: config.clone(),
            cluster,
            process,
        })
    }

    /// Replaces the file, as editors do.
    fn configure(&self, settings: &str) -> Result<()> {
        let next = self.cluster.folder.path().join("next.yaml");
        std::fs::write(&next, configuration(settings))?;
        Ok(std::fs::rename(&next, &self.config)?)
    }

    async fn wait_for(&self, text: &str) -> Result<()> {
        let output = || async { Ok(self.process.output()) };
        wait::until(text, output, |output| output.contains(text)).await?;
        Ok(())
    }

    async fn stop(&mut self) -> Result<String> {
        self.process.signal("TERM")?;
        assert_eq!(self.process.wait(Duration::from_secs(30))?, Some(0));
        Ok(self.process.output())
    }
}

#[tokio::test]
async fn what_the_configuration_says_of_the_log_and_the_grace_counts() -> Result<()> {
    let settings = "log: {level: info, format: json}\nshutdownGrace: 3s\nstatusAddress: 127.0.0.1:0\n";
    let mut host = Host::start(settings, &[]).await?;
    host.wait_for("serving status").await?;
    let output = host.stop().await?;
    let lines: Vec<Value> = output
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    let stopping = lines.iter().find(|line| line["message"] == "stopping");
    assert_eq!(
        stopping.map(|line| line["grace"].clone()),
        Some("3s".into()),
        "{output}"
    );
    Ok(())
}

#[tokio::test]
async fn flags_come_before_the_configuration() -> Result<()> {
    let settings = "log: {level: \"off\", format: json}\nshutdownGrace: 3s\n";
    let flags = [
        "--log=info",
        "--log-format=text",
        "--shutdown-grace=4s",
        "--status-address=127.0.0.1:0",
    ];
    let mut host = Host::start(settings, &flags).await?;
    status::address_of(&host.process).await?;
    host.configure("log: {level: error}\nshutdownGrace: 5s\nstatusAddress: 127.0.0.1:1\n")?;
    host.wait_for("configuration changed").await?;
    let output = host.stop().await?;
    assert!(output.contains("stopping grace=4s"), "{output}");
    assert!(
        !output.contains("restart"),
        "nothing that counts has changed: {output}"
    );
    Ok(())
}

#[tokio::test]
async fn changes_count_at_once_or_are_told_to_wait_for_a_restart_once() -> Result<()> {
    let mut host = Host::start("statusAddress: 127.0.0.1:0\nshutdownGrace: 3s\n", &[]).await?;
    host.wait_for("serving status").await?;
    host.configure(
        "statusAddress: null\nlog: {level: warn, format: json}\notlp: {endpoint: \"http://127.0.0.1:1\"}\n",
    )?;
    let told = "restart of the host keys=\"statusAddress, otlp, log.format\"";
    host.wait_for(told).await?;
    // Not logged any more.
    host.process.signal("HUP")?;
    host.configure(
        "statusAddress: null\nlog: {level: warn, format: json}\notlp: {endpoint: \"http://127.0.0.1:2\"}\n\
         cacheDir: elsewhere\n",
    )?;
    host.wait_for("keys=\"statusAddress, otlp, log.format, cacheDir\"")
        .await?;
    assert!(
        !host.process.output().contains("hangup signal"),
        "{}",
        host.process.output()
    );

    host.configure("statusAddress: 127.0.0.1:0\nlog: {level: info}\nshutdownGrace: 6s\n")?;
    host.wait_for("no change waits for a restart any more").await?;
    host.process.signal("HUP")?;
    host.wait_for("hangup signal").await?;
    let output = host.stop().await?;
    assert!(output.contains("stopping grace=6s"), "{output}");
    assert_eq!(output.matches(told).count(), 1, "{output}");
    Ok(())
}

/// How many calls were made, and for how many seconds they waited for the host's budget.
async fn calls_and_waits(address: SocketAddr) -> Result<(f64, f64)> {
    let count = status::metric(address, "windlass_api_budget_wait_seconds_count").await?;
    let sum = status::metric(address, "windlass_api_budget_wait_seconds_sum").await?;
    Ok((count.unwrap_or_default(), sum.unwrap_or_default()))
}

#[tokio::test]
async fn the_budget_of_all_modules_bounds_their_calls_and_follows_the_configuration() -> Result<()> {
    let with_budget = |budget: &str| {
        format!(
            "statusAddress: 127.0.0.1:0\napiServer: {{{budget}}}\nmodules:\n- name: ledger\n  \
             source: {{file: {GUEST}}}\n  grantDeclared: true\n  limits: {{apiQps: 0}}\n"
        )
    };
    let host = Host::start(&with_budget("qps: 20, burst: 1"), &[]).await?;
    let objects: Api<ConfigMap> = Api::namespaced(host.cluster.client().await?, "default");
    let ledger = Ledger::start(objects, 10).await?;
    let address = status::address_of(&host.process).await?;
    let waited = || calls_and_waits(address);
    wait::until("calls that wait", waited, |(_, waits)| *waits > 0.0).await?;

    host.configure(&with_budget("qps: 0"))?;
    let rounds = || async {
        let before = calls_and_waits(address).await?;
        ledger.wait_for_syncs_of_all().await?;
        Ok((before, calls_and_waits(address).await?))
    };
    wait::until(
        "calls that do not wait",
        rounds,
        |((calls, waits), (more, same))| more > calls && same == waits,
    )
    .await?;
    Ok(())
}

#[tokio::test]
async fn the_first_signal_drains_and_the_second_aborts() -> Result<()> {
    let modules = format!(
        "shutdownGrace: 10m\nstatusAddress: 127.0.0.1:0\nmodules:\n- name: ledger\n  source: {{file: {GUEST}}}\n  \
         grantDeclared: true\n"
    );
    let mut host = Host::start(&modules, &[]).await?;
    let objects: Api<ConfigMap> = Api::namespaced(host.cluster.client().await?, "default");
    let ledger = Ledger::start(objects, 10).await?;
    ledger.wait_for_syncs_of_all().await?;
    let address = status::address_of(&host.process).await?;
    assert!(status::get(address, "/readyz").await.is_ok(), "it serves");
    // The calls that are under way are not answered, so nothing drains.
    host.cluster.process.signal("STOP")?;
    host.process.signal("TERM")?;
    host.wait_for("stopping grace=600s").await?;
    assert!(!host.process.has_ended(), "it waits for what is under way");
    let unready = status::get(address, "/readyz")
        .await
        .err()
        .map(|error| error.to_string());
    assert!(
        unready.as_ref().is_some_and(|answer| answer.contains("500")),
        "{unready:?}"
    );
    assert!(status::get(address, "/livez").await.is_ok(), "it lives");
    host.process.signal("INT")?;
    assert_eq!(host.process.wait(Duration::from_secs(10))?, Some(130));
    let output = host.process.output();
    assert!(output.contains("second signal, aborting"), "{output}");
    host.cluster.process.signal("CONT")
}

/// Leases are renewed over a connection of their own, past every limit.
#[tokio::test]
async fn a_module_that_floods_the_api_server_costs_nobody_a_lease() -> Result<()> {
    let settings = format!(
        "leaderElection: {{leaseDuration: 4s, renewDeadline: 3s, retryPeriod: 1s}}\nstatusAddress: 127.0.0.1:0\n\
         modules:\n- name: ledger\n  source: {{file: {GUEST}}}\n  grantDeclared: true\n  limits: {{apiQps: 0}}\n"
    );
    let mut host = Host::start(&settings, &[]).await?;
    let client = host.cluster.client().await?;
    let objects: Api<ConfigMap> = Api::namespaced(client.clone(), "default");
    let leases: Api<Lease> = Api::namespaced(client, "kube-system");
    let ledger = Ledger::start(objects, 500).await?;
    ledger.wait_for_syncs_of_all().await?;
    let led = || async {
        let leases = leases.list(&ListParams::default()).await?.items;
        let mut of_module = leases
            .into_iter()
            .filter(|lease| lease.name_any().contains("ledger"));
        of_module
            .next()
            .and_then(|lease| lease.spec)
            .context("the module has no Lease yet")
    };
    let first = wait::until("the module to be led", led, |lease| {
        lease.holder_identity.is_some()
    })
    .await?;
    // More than a lease lasts, so that it would have gone.
    let renewed = first
        .renew_time
        .clone()
        .map(|time| time.0 + Duration::from_secs(10));
    let last = wait::until("renewals", led, |lease| {
        lease.renew_time.clone().map(|time| time.0) > renewed
    })
    .await?;
    assert_eq!(last.holder_identity, first.holder_identity);
    assert_eq!(last.lease_transitions, first.lease_transitions);
    let output = host.stop().await?;
    assert!(!output.contains("lost"), "{output}");
    Ok(())
}
