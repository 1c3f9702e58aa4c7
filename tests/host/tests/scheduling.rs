//! Pods that do not fit, pods that fit later, nodes that go.

use anyhow::Result;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;
use windlass_tests::cluster::Cluster;
use windlass_tests::wait;

fn scheduled(pod: &Pod) -> Option<(String, String, String)> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let condition = conditions
        .iter()
        .find(|condition| condition.type_ == "PodScheduled")?;
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    Some((
        condition.status.clone(),
        text(&condition.reason),
        text(&condition.message),
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_fits_nowhere_says_why_and_is_scheduled_when_a_node_fits() -> Result<()> {
    let cluster = Cluster::up(&["--nodes", "2"]).await?;
    let namespace = cluster.namespace("default").await?;
    let template = json!({"spec": {"nodeSelector": {"disk": "fast"}}});
    namespace
        .create_deployment("web", json!({"replicas": 2, "template": template}))
        .await?;
    let told = |pods: &Vec<Pod>| {
        pods.len() == 2
            && pods
                .iter()
                .all(|pod| scheduled(pod).is_some_and(|(status, ..)| status == "False"))
    };
    let pods = wait::until("both pods unschedulable", || namespace.pods_with("app=web"), told).await?;
    let message = "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector.";
    for pod in &pods {
        assert_eq!(
            scheduled(pod),
            Some(("False".into(), "Unschedulable".into(), message.into()))
        );
    }
    let events = || async { Ok(namespace.events().list(&Default::default()).await?.items) };
    wait::until("a FailedScheduling event", events, |events| {
        events.iter().any(|event| {
            event.reason.as_deref() == Some("FailedScheduling") && event.message.as_deref() == Some(message)
        })
    })
    .await?;

    let label = json!({"metadata": {"labels": {"disk": "fast"}}});
    namespace
        .nodes()
        .patch("node-1", &PatchParams::default(), &Patch::Merge(label))
        .await?;
    namespace.wait_complete("web").await?;
    for pod in namespace.pods_with("app=web").await? {
        assert_eq!(
            pod.spec.and_then(|spec| spec.node_name).as_deref(),
            Some("node-1")
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gated_pod_waits_for_its_gates() -> Result<()> {
    let cluster = Cluster::up(&["--nodes", "1"]).await?;
    let namespace = cluster.namespace("default").await?;
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": "gated"},
        "spec": {"schedulingGates": [{"name": "example.com/wait"}], "containers": [{"name": "c", "image": "pause"}]}
    }))?;
    let created = namespace.pods().create(&Default::default(), &pod).await?;
    assert_eq!(
        scheduled(&created).map(|(status, reason, _)| (status, reason)),
        Some(("False".into(), "SchedulingGated".into()))
    );
    namespace
        .pods()
        .patch(
            "gated",
            &PatchParams::default(),
            &Patch::Merge(json!({"spec": {"schedulingGates": []}})),
        )
        .await?;
    let running =
        |pod: &Pod| pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Running");
    wait::until(
        "the pod runs",
        || async { Ok(namespace.pods().get("gated").await?) },
        running,
    )
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_of_a_deleted_node_are_replaced_elsewhere() -> Result<()> {
    let cluster = Cluster::up(&["--nodes", "3", "--pod-gc-quarantine", "500ms"]).await?;
    let namespace = cluster.namespace("default").await?;
    namespace.create_deployment("web", json!({"replicas": 6})).await?;
    namespace.wait_complete("web").await?;
    namespace
        .nodes()
        .delete("node-1", &DeleteParams::default())
        .await?;
    let elsewhere = |pods: &Vec<Pod>| {
        let node = |pod: &Pod| pod.spec.as_ref().and_then(|spec| spec.node_name.clone());
        pods.len() == 6
            && pods
                .iter()
                .all(|pod| node(pod).is_some_and(|node| node != "node-1"))
    };
    wait::until(
        "six pods on the other nodes",
        || namespace.pods_with("app=web"),
        elsewhere,
    )
    .await?;
    namespace.wait_complete("web").await?;
    Ok(())
}
