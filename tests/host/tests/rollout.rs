//! Deployments end to end: the binary with its four guests, driven by an ordinary client.

use anyhow::Result;
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use windlass_tests::census::PodCensus;
use windlass_tests::cluster::{Cluster, Namespace};
use windlass_tests::wait;

async fn patch(namespace: &Namespace, name: &str, patch: Value) -> Result<Deployment> {
    Ok(namespace
        .deployments()
        .patch(name, &PatchParams::default(), &Patch::Strategic(patch))
        .await?)
}

fn image(image: &str) -> Value {
    json!({"spec": {"template": {"spec": {"containers": [{"name": "web", "image": image}]}}}})
}

fn reason_of(deployment: &Deployment, kind: &str) -> Option<String> {
    let conditions = deployment.status.as_ref()?.conditions.as_ref()?;
    conditions
        .iter()
        .find(|condition| condition.type_ == kind)?
        .reason
        .clone()
}

async fn replicas_by_image(namespace: &Namespace, selector: &str) -> Result<Vec<(String, i32)>> {
    let list = namespace
        .replica_sets()
        .list(&kube::api::ListParams::default().labels(selector))
        .await?;
    let mut found: Vec<(String, i32)> = list
        .items
        .iter()
        .filter_map(|set| {
            let spec = set.spec.as_ref()?;
            let container = spec.template.as_ref()?.spec.as_ref()?.containers.first()?;
            Some((container.image.clone()?, spec.replicas.unwrap_or(0)))
        })
        .collect();
    found.sort();
    Ok(found)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_is_created_scaled_rolled_and_rolled_back() -> Result<()> {
    let cluster = Cluster::up(&["--nodes", "3"]).await?;
    let namespace = cluster.namespace("default").await?;
    let census = PodCensus::start(namespace.pods(), "app=web").await?;
    namespace.create_deployment("web", json!({"replicas": 5})).await?;
    let deployment = namespace.wait_complete("web").await?;
    assert_eq!(
        reason_of(&deployment, "Available").as_deref(),
        Some("MinimumReplicasAvailable")
    );
    assert_eq!(
        reason_of(&deployment, "Progressing").as_deref(),
        Some("NewReplicaSetAvailable")
    );
    assert_eq!(census.count(), 5, "exactly the pods asked for");

    patch(&namespace, "web", json!({"spec": {"replicas": 8}})).await?;
    namespace.wait_complete("web").await?;
    patch(&namespace, "web", json!({"spec": {"replicas": 4}})).await?;
    namespace.wait_complete("web").await?;
    namespace.wait_pods("app=web", 4).await?;
    assert_eq!(census.count(), 8);

    patch(&namespace, "web", image("registry.k8s.io/pause:3.11")).await?;
    let updated = namespace.wait_complete("web").await?;
    let revision = updated
        .metadata
        .annotations
        .as_ref()
        .and_then(|all| all.get("deployment.kubernetes.io/revision"));
    assert_eq!(revision.map(String::as_str), Some("2"));
    namespace.wait_pods("app=web", 4).await?;
    assert_eq!(census.count(), 12, "each of the four replaced once");

    // What `kubectl rollout undo` does: the old template again.
    patch(&namespace, "web", image("registry.k8s.io/pause:3.10")).await?;
    let undone = namespace.wait_complete("web").await?;
    let revision = undone
        .metadata
        .annotations
        .as_ref()
        .and_then(|all| all.get("deployment.kubernetes.io/revision"));
    assert_eq!(
        revision.map(String::as_str),
        Some("3"),
        "the old ReplicaSet gets a new revision"
    );
    let sets = replicas_by_image(&namespace, "app=web").await?;
    assert_eq!(
        sets,
        [
            ("registry.k8s.io/pause:3.10".to_owned(), 4),
            ("registry.k8s.io/pause:3.11".to_owned(), 0)
        ]
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn recreate_never_runs_two_versions_at_once() -> Result<()> {
    let cluster = Cluster::up(&["--nodes", "2", "--pod-stop-latency", "100ms"]).await?;
    let namespace = cluster.namespace("default").await?;
    namespace
        .create_deployment(
            "web",
            json!({"replicas": 4, "strategy": {"type": "Recreate", "rollingUpdate": null}}),
        )
        .await?;
    namespace.wait_complete("web").await?;
    patch(&namespace, "web", image("registry.k8s.io/pause:3.11")).await?;
    let images = || async {
        let pods = namespace.pods_with("app=web").await?;
        let image =
            |pod: &k8s_openapi::api::core::v1::Pod| pod.spec.as_ref()?.containers.first()?.image.clone();
        let mut images: Vec<String> = pods.iter().filter_map(image).collect();
        images.sort();
        images.dedup();
        assert!(images.len() <= 1, "both versions at once: {images:?}");
        Ok((images, pods.len()))
    };
    wait::until("only the new version", images, |(images, pods)| {
        *pods == 4 && images == &["registry.k8s.io/pause:3.11"]
    })
    .await?;
    namespace.wait_complete("web").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_deployment_scales_but_does_not_roll() -> Result<()> {
    let cluster = Cluster::up(&["--nodes", "2"]).await?;
    let namespace = cluster.namespace("default").await?;
    namespace.create_deployment("web", json!({"replicas": 3})).await?;
    namespace.wait_complete("web").await?;
    patch(&namespace, "web", json!({"spec": {"paused": true}})).await?;
    patch(&namespace, "web", image("registry.k8s.io/pause:3.11")).await?;
    patch(&namespace, "web", json!({"spec": {"replicas": 5}})).await?;
    let deployments = namespace.deployments();
    let scaled = |deployment: &Deployment| {
        reason_of(deployment, "Progressing").as_deref() == Some("DeploymentPaused")
            && deployment
                .status
                .as_ref()
                .is_some_and(|status| status.available_replicas == Some(5))
    };
    let paused = wait::until(
        "scaled while paused",
        || async { Ok(deployments.get("web").await?) },
        scaled,
    )
    .await?;
    assert_eq!(
        paused
            .status
            .and_then(|status| status.updated_replicas)
            .unwrap_or(0),
        0,
        "nothing was rolled"
    );
    patch(&namespace, "web", json!({"spec": {"paused": null}})).await?;
    namespace.wait_complete("web").await?;
    let sets = replicas_by_image(&namespace, "app=web").await?;
    assert_eq!(
        sets,
        [
            ("registry.k8s.io/pause:3.10".to_owned(), 0),
            ("registry.k8s.io/pause:3.11".to_owned(), 5)
        ]
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stuck_rollout_keeps_the_old_pods_and_misses_its_deadline() -> Result<()> {
    let cluster = Cluster::up(&["--nodes", "2"]).await?;
    let namespace = cluster.namespace("default").await?;
    namespace
        .create_deployment("web", json!({"replicas": 4, "progressDeadlineSeconds": 3}))
        .await?;
    namespace.wait_complete("web").await?;
    patch(&namespace, "web", image("registry.k8s.io/pause:nonexistent")).await?;
    let deployments = namespace.deployments();
    let late = |deployment: &Deployment| {
        reason_of(deployment, "Progressing").as_deref() == Some("ProgressDeadlineExceeded")
    };
    let stuck = wait::until(
        "the deadline to be missed",
        || async { Ok(deployments.get("web").await?) },
        late,
    )
    .await?;
    let status = stuck.status.unwrap_or_default();
    assert_eq!(
        status.available_replicas,
        Some(3),
        "25 % of 4 may be unavailable, no more"
    );
    // Proportional scaling: old and new share the growth by size, as upstream's conformance test.
    patch(&namespace, "web", json!({"spec": {"replicas": 10}})).await?;
    let shared = || replicas_by_image(&namespace, "app=web");
    wait::until("both ReplicaSets grown", shared, |sets| {
        let total: i32 = sets.iter().map(|(_, replicas)| replicas).sum();
        total == 13 && sets.iter().all(|(_, replicas)| *replicas > 2)
    })
    .await?;
    patch(&namespace, "web", image("registry.k8s.io/pause:3.10")).await?;
    namespace.wait_complete("web").await?;
    Ok(())
}
