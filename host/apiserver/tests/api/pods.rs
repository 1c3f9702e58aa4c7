use serde_json::{Value, json};

use crate::client::{Cluster, PODS, pod, version};

fn binding(name: &str, node: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": {"kind": "Node", "name": node}})
}

async fn bound(cluster: &Cluster, name: &str) {
    cluster.post(PODS, pod(name)).await.ok();
    cluster
        .post(&format!("{PODS}/{name}/binding"), binding(name, "n1"))
        .await
        .ok();
}

async fn set_status(cluster: &Cluster, name: &str, status: Value) {
    cluster
        .patch(
            &format!("{PODS}/{name}/status"),
            "strategic-merge-patch",
            json!({"status": status}),
        )
        .await
        .ok();
}

#[tokio::test]
async fn a_new_pod_is_completed() {
    let cluster = Cluster::start().await;
    let created = cluster.post(PODS, pod("a")).await.ok();
    assert_eq!(
        (&created["status"]["phase"], &created["status"]["qosClass"]),
        (&json!("Pending"), &json!("BestEffort"))
    );
    assert_eq!(
        (
            &created["spec"]["serviceAccountName"],
            &created["spec"]["priority"]
        ),
        (&json!("default"), &json!(0))
    );
    assert_eq!(created["spec"]["tolerations"].as_array().unwrap().len(), 2);
    let mut critical = pod("b");
    critical["spec"]["priorityClassName"] = "system-node-critical".into();
    assert_eq!(
        cluster.post(PODS, critical.clone()).await.ok()["spec"]["priority"],
        2_000_001_000
    );
    critical["spec"]["priorityClassName"] = "none".into();
    let (code, _, message) = cluster.post(PODS, critical).await.refusal();
    assert_eq!(
        (code, message.as_str()),
        (
            403,
            "pods \"b\" is forbidden: no PriorityClass with name none was found"
        )
    );
}

#[tokio::test]
async fn binding_assigns_a_pod_once() {
    let cluster = Cluster::start().await;
    let zone = json!({"metadata": {"name": "n1", "labels": {"topology.kubernetes.io/zone": "z"}}});
    cluster.post("/api/v1/nodes", zone).await.ok();
    let created = cluster.post(PODS, pod("a")).await.ok();
    let path = format!("{PODS}/a/binding");
    let answer = cluster.post(&path, binding("a", "n1")).await;
    assert_eq!((answer.code, &answer.json()["status"]), (201, &json!("Success")));
    let stored = cluster.get(&format!("{PODS}/a")).await.ok();
    assert_eq!(
        (
            &stored["spec"]["nodeName"],
            stored["metadata"]["labels"]["topology.kubernetes.io/zone"].as_str()
        ),
        (&json!("n1"), Some("z"))
    );
    let condition = &stored["status"]["conditions"][0];
    assert_eq!(
        (&condition["type"], &condition["status"]),
        (&json!("PodScheduled"), &json!("True"))
    );
    assert_eq!(
        stored["metadata"]["generation"],
        created["metadata"]["generation"]
    );

    let (code, reason, message) = cluster.post(&path, binding("a", "n2")).await.refusal();
    assert_eq!((code, reason.as_str()), (409, "Conflict"));
    assert_eq!(
        message,
        "Operation cannot be fulfilled on pods/binding \"a\": pod a is already assigned to node \"n1\""
    );
    assert_eq!(
        cluster
            .post(&path, json!({"metadata": {"name": "a"}, "target": {"name": ""}}))
            .await
            .refusal()
            .0,
        422
    );
    assert_eq!(
        cluster
            .post(&format!("{PODS}/none/binding"), binding("none", "n1"))
            .await
            .refusal()
            .0,
        404
    );
}

#[tokio::test]
async fn binding_respects_gates_and_preconditions() {
    let cluster = Cluster::start().await;
    let mut gated = pod("gated");
    gated["spec"]["schedulingGates"] = json!([{"name": "example.com/wait"}]);
    cluster.post(PODS, gated).await.ok();
    let (code, _, message) = cluster
        .post(&format!("{PODS}/gated/binding"), binding("gated", "n1"))
        .await
        .refusal();
    assert_eq!(code, 409);
    assert!(
        message.ends_with("pod gated has non-empty .spec.schedulingGates"),
        "{message}"
    );
    cluster.post(PODS, pod("a")).await.ok();
    let mut other = binding("a", "n1");
    other["metadata"]["uid"] = "other".into();
    assert_eq!(
        cluster
            .post(&format!("{PODS}/a/binding"), other)
            .await
            .refusal()
            .0,
        409
    );
}

#[tokio::test]
async fn a_pod_without_node_goes_at_once() {
    let cluster = Cluster::start().await;
    cluster.post(PODS, pod("a")).await.ok();
    let gone = cluster.delete(&format!("{PODS}/a"), json!({})).await.ok();
    assert_eq!(gone["kind"], "Pod", "pods are returned even when gone");
    assert_eq!(cluster.get(&format!("{PODS}/a")).await.code, 404);
    bound(&cluster, "done").await;
    set_status(&cluster, "done", json!({"phase": "Succeeded"})).await;
    cluster.delete(&format!("{PODS}/done"), json!({})).await.ok();
    assert_eq!(cluster.get(&format!("{PODS}/done")).await.code, 404);
}

#[tokio::test]
async fn a_running_pod_goes_in_grace() {
    let cluster = Cluster::start().await;
    bound(&cluster, "a").await;
    let path = format!("{PODS}/a");
    let first = cluster.delete(&path, json!({})).await.ok();
    assert_eq!(first["metadata"]["deletionGracePeriodSeconds"], 30);
    assert_eq!(first["metadata"]["generation"], 2);
    for longer in [json!({}), json!({"gracePeriodSeconds": 60})] {
        let pending = cluster.delete(&path, longer).await.ok();
        assert_eq!(
            version(&pending),
            version(&first),
            "a longer grace changes nothing"
        );
    }
    let shorter = cluster.delete(&path, json!({"gracePeriodSeconds": 5})).await.ok();
    assert_eq!(shorter["metadata"]["deletionGracePeriodSeconds"], 5);
    let time = |object: &Value| {
        object["metadata"]["deletionTimestamp"]
            .as_str()
            .unwrap()
            .parse::<jiff::Timestamp>()
            .unwrap()
    };
    assert_eq!(time(&first).duration_since(time(&shorter)).as_secs(), 25);
    assert_eq!(shorter["metadata"]["generation"], 2, "marked once");
    let uid = json!({"gracePeriodSeconds": 0, "preconditions": {"uid": first["metadata"]["uid"]}});
    cluster.delete(&path, uid).await.ok();
    assert_eq!(cluster.get(&path).await.code, 404);
}

#[tokio::test]
async fn a_finished_pod_with_a_finalizer_stays_until_it_is_freed() {
    let cluster = Cluster::start().await;
    let mut object = pod("a");
    object["metadata"]["finalizers"] = json!(["batch.kubernetes.io/job-tracking"]);
    cluster.post(PODS, object).await.ok();
    let path = format!("{PODS}/a");
    let marked = cluster.delete(&path, json!({})).await.ok();
    assert_eq!(marked["metadata"]["deletionGracePeriodSeconds"], 0);
    let patch =
        json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["batch.kubernetes.io/job-tracking"]}});
    cluster.patch(&path, "strategic-merge-patch", patch).await.ok();
    assert_eq!(cluster.get(&path).await.code, 404);
}

fn eviction(name: &str) -> Value {
    json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": "default"}})
}

#[tokio::test]
async fn eviction_asks_the_disruption_budget() {
    const BUDGETS: &str = "/apis/policy/v1/namespaces/default/poddisruptionbudgets";
    let cluster = Cluster::start().await;
    bound(&cluster, "a").await;
    set_status(
        &cluster,
        "a",
        json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}),
    )
    .await;
    let budget = json!({"metadata": {"name": "b"}, "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "a"}}}});
    cluster.post(BUDGETS, budget).await.ok();
    let path = format!("{PODS}/a/eviction");

    let busy = cluster.post(&path, eviction("a")).await;
    let (code, reason, message) = busy.refusal();
    assert_eq!((code, reason.as_str()), (429, "TooManyRequests"));
    assert_eq!(
        message,
        "Cannot evict pod as it would violate the pod's disruption budget."
    );
    assert_eq!(
        busy.json()["details"]["causes"][0]["message"],
        "The disruption budget b is still being processed by the server."
    );
    assert_eq!(busy.json()["details"]["retryAfterSeconds"], 10);

    let status = |allowed: i64| {
        json!({"status": {
            "observedGeneration": 1, "disruptionsAllowed": allowed, "currentHealthy": 1, "desiredHealthy": 1, "expectedPods": 1,
        }})
    };
    cluster
        .patch(&format!("{BUDGETS}/b/status"), "merge-patch", status(0))
        .await
        .ok();
    let refused = cluster.post(&path, eviction("a")).await;
    assert_eq!(refused.code, 429);
    assert_eq!(
        refused.json()["details"]["causes"][0]["message"],
        "The disruption budget b needs 1 healthy pods and has 1 currently"
    );

    cluster
        .patch(&format!("{BUDGETS}/b/status"), "merge-patch", status(1))
        .await
        .ok();
    assert_eq!(cluster.post(&path, eviction("a")).await.code, 201);
    let budget = cluster.get(&format!("{BUDGETS}/b")).await.ok();
    assert_eq!(budget["status"]["disruptionsAllowed"], 0);
    assert!(budget["status"]["disruptedPods"]["a"].is_string());
    let pod = cluster.get(&format!("{PODS}/a")).await.ok();
    assert!(pod["metadata"]["deletionTimestamp"].is_string());
    let conditions = pod["status"]["conditions"].as_array().unwrap();
    assert!(
        conditions
            .iter()
            .any(|condition| condition["type"] == "DisruptionTarget"
                && condition["reason"] == "EvictionByEvictionAPI")
    );
}

#[tokio::test]
async fn eviction_of_an_idle_pod_is_a_deletion() {
    let cluster = Cluster::start().await;
    cluster.post(PODS, pod("a")).await.ok();
    assert_eq!(
        cluster
            .post(&format!("{PODS}/a/eviction"), eviction("a"))
            .await
            .code,
        201
    );
    assert_eq!(cluster.get(&format!("{PODS}/a")).await.code, 404);
}
