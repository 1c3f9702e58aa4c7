//! Guests that die in mid-rollout, in a host of the test's own process: whenever an
//! instance goes, the end is the declared state, and no pod too many was ever created.

use std::time::Duration;

use anyhow::Result;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PropagationPolicy};
use serde_json::json;
use windlass_core::key::ObjectKey;
use windlass_manager::config::{Bytes, ModuleEntry, Span};
use windlass_tests::census::PodCensus;
use windlass_tests::in_process::{InProcess, STOCK, from_file, stock};
use windlass_tests::{process, wait};

const HOSTILE: &str = "windlass-fixture-hostile";
const REPLICAS: usize = 20;

struct Rollout(InProcess);

impl Rollout {
    async fn start(modules: Vec<ModuleEntry>) -> Result<Self> {
        let guests = process::repository().join("target/guests");
        Ok(Self(InProcess::start(&guests, 5, modules).await?))
    }

    /// Creates `web` and waits for its pods, each step of whose rollout will be small.
    async fn with_web(&self) -> Result<PodCensus> {
        let census = PodCensus::start(self.0.namespace.pods(), "app=web").await?;
        let strategy = json!({"rollingUpdate": {"maxSurge": 2, "maxUnavailable": 1}});
        self.0
            .namespace
            .create_deployment("web", json!({"replicas": REPLICAS, "strategy": strategy}))
            .await?;
        self.0.namespace.wait_complete("web").await?;
        wait::until(
            "every pod counted",
            || async { Ok(census.count()) },
            |count| *count == REPLICAS,
        )
        .await?;
        Ok(census)
    }

    async fn roll(&self) -> Result<()> {
        let image =
            json!({"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "pause:v2"}]}}}});
        let deployments = self.0.namespace.deployments();
        deployments
            .patch("web", &PatchParams::default(), &Patch::Strategic(image))
            .await?;
        Ok(())
    }

    /// Waits for the end of the rollout and holds it against what was asked for.
    async fn rolled(&self, census: &PodCensus) -> Result<()> {
        self.0.namespace.wait_complete("web").await?;
        let pods = self.0.namespace.wait_pods("app=web", REPLICAS).await?;
        let image =
            |pod: &k8s_openapi::api::core::v1::Pod| pod.spec.as_ref()?.containers.first()?.image.clone();
        assert!(
            pods.iter().all(|pod| image(pod).as_deref() == Some("pause:v2")),
            "only the new version"
        );
        assert_eq!(census.count(), 2 * REPLICAS, "each pod replaced exactly once");
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn guests_killed_in_mid_rollout_finish_it_without_a_pod_too_many() -> Result<()> {
    let cluster = Rollout::start(stock()).await?;
    let census = cluster.with_web().await?;
    cluster.roll().await?;
    // Each guest dies at least twice, each time at another point of the rollout.
    for (created, name) in (1..)
        .step_by(2)
        .zip(STOCK.into_iter().cycle())
        .take_while(|(created, _)| *created < REPLICAS)
    {
        let count = || async { Ok(census.count()) };
        wait::until("the next new pods", count, |count| *count >= REPLICAS + created).await?;
        cluster.0.restart(name).await?;
    }
    cluster.rolled(&census).await?;
    cluster.0.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_garbage_collector_killed_in_mid_deletion_leaves_nothing_behind() -> Result<()> {
    let cluster = Rollout::start(stock()).await?;
    let _census = cluster.with_web().await?;
    let background = DeleteParams {
        propagation_policy: Some(PropagationPolicy::Background),
        ..DeleteParams::default()
    };
    cluster
        .0
        .namespace
        .deployments()
        .delete("web", &background)
        .await?;
    for _ in 0..3 {
        cluster.0.restart("garbage-collector").await?;
    }
    cluster.0.namespace.wait_pods("app=web", 0).await?;
    let sets = || async {
        Ok(cluster
            .0
            .namespace
            .replica_sets()
            .list(&ListParams::default())
            .await?
            .items
            .len())
    };
    wait::until("no ReplicaSet", sets, |count| *count == 0).await?;
    cluster.0.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hostile_guest_disturbs_no_other() -> Result<()> {
    let mut hostile = from_file(HOSTILE, "windlass-fixture-hostile.wasm");
    hostile.limits.cpu_budget = Span(Duration::from_millis(50));
    hostile.limits.memory = Bytes(16 << 20);
    let cluster = Rollout::start(stock().into_iter().chain([hostile]).collect()).await?;
    let census = cluster.with_web().await?;
    // The name of a key is what the guest does wrong with it; a key that failed comes again.
    for misdeed in [
        "panic",
        "loop",
        "memory-bomb",
        "stack-overflow",
        "trap",
        "huge-result",
        "yield-loop",
    ] {
        cluster
            .0
            .module(HOSTILE)?
            .controller
            .queue
            .add(ObjectKey::new("default", misdeed));
    }
    cluster.roll().await?;
    cluster.rolled(&census).await?;
    let restarts = || async { cluster.0.restarts(HOSTILE) };
    wait::until("the hostile guest to restart", restarts, |restarts| *restarts > 1).await?;
    for name in STOCK {
        assert_eq!(cluster.0.restarts(name)?, 0, "{name} was disturbed");
    }
    cluster.0.stop().await;
    Ok(())
}
