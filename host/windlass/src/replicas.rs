//! What a replica of the host needs to agree with the others: a client of its own for
//! Leases, so that no module's calls are in its way, and the task that renews them.

use anyhow::Context;
use smol_str::SmolStr;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use windlass_cluster::client::ApiClient;
use windlass_cluster::connect::ConnectOptions;
use windlass_cluster::lease::{LeaseElector, LeaseElectorConfig};
use windlass_core::lease::election::ElectionConfig;
use windlass_manager::config::leadership::LeaderElectionEntry;
use windlass_manager::mandate::Replicas;

/// A running elector.
pub(crate) struct Election {
    pub(crate) replicas: Replicas,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Election {
    /// Joins the group that a configuration names, if it asks for that. `host` names the
    /// machine; each process is another replica.
    pub(crate) async fn start(
        entry: &LeaderElectionEntry,
        host: &str,
        connect: &ConnectOptions,
    ) -> anyhow::Result<Option<Self>> {
        if !entry.enabled {
            return Ok(None);
        }
        let identity = format!("{host}_{}", uuid::Uuid::new_v4());
        let mut config = LeaseElectorConfig::new(&entry.namespace, &entry.group, &identity);
        config.election = ElectionConfig {
            lease_duration: entry.lease_duration.0,
            renew_deadline: entry.renew_deadline.0,
            retry_period: entry.retry_period.0,
            ..ElectionConfig::default()
        };
        let client = ApiClient::connect(connect).await?;
        let (elector, task) = LeaseElector::new(client, config).context("leaderElection")?;
        let stop = CancellationToken::new();
        tracing::info!(namespace = %entry.namespace, group = %entry.group, identity, "joining the replicas");
        Ok(Some(Self {
            replicas: Replicas {
                elector,
                group: SmolStr::clone(&entry.group),
                identity: identity.into(),
            },
            task: tokio::spawn(task.run(stop.clone())),
            stop,
        }))
    }

    /// Gives every lease up. For after everything has drained.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the election ended badly");
        }
    }
}
