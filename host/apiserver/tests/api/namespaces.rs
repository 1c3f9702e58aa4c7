use serde_json::{Value, json};

use crate::client::{Cluster, config_map, event, pod, version};

#[tokio::test]
async fn a_namespace_comes_furnished() {
    let cluster = Cluster::start().await;
    let created = cluster
        .post("/api/v1/namespaces", json!({"metadata": {"name": "x"}}))
        .await
        .ok();
    assert_eq!(
        (&created["spec"]["finalizers"], &created["status"]["phase"]),
        (&json!(["kubernetes"]), &json!("Active"))
    );
    assert_eq!(created["metadata"]["labels"]["kubernetes.io/metadata.name"], "x");
    cluster
        .get("/api/v1/namespaces/x/serviceaccounts/default")
        .await
        .ok();
    let map = cluster
        .get("/api/v1/namespaces/x/configmaps/kube-root-ca.crt")
        .await
        .ok();
    assert_eq!(map["data"]["ca.crt"], cluster.server.ca_pem());
}

#[tokio::test]
async fn what_every_namespace_has_is_restored() {
    let cluster = Cluster::start().await;
    let path = "/api/v1/namespaces/default/configmaps/kube-root-ca.crt";
    let list = cluster.get("/api/v1/namespaces/default/configmaps").await.ok();
    let query = format!("watch=true&resourceVersion={}", version(&list));
    let mut watch = cluster
        .watch(&format!("/api/v1/namespaces/default/configmaps?{query}"))
        .await;
    cluster
        .patch(path, "merge-patch", json!({"data": {"ca.crt": "spoilt"}}))
        .await
        .ok();
    for _ in 0..2 {
        assert_eq!(watch.kind().await, event("MODIFIED", "kube-root-ca.crt"));
    }
    assert_eq!(
        cluster.get(path).await.ok()["data"]["ca.crt"],
        cluster.server.ca_pem()
    );
    cluster.delete(path, json!({})).await.ok();
    assert_eq!(watch.kind().await, event("DELETED", "kube-root-ca.crt"));
    assert_eq!(watch.kind().await, event("ADDED", "kube-root-ca.crt"));
}

#[tokio::test]
async fn a_namespace_is_emptied_pods_first_and_then_goes() {
    let cluster = Cluster::start().await;
    cluster
        .post("/api/v1/namespaces", json!({"metadata": {"name": "x"}}))
        .await
        .ok();
    cluster.post("/api/v1/namespaces/x/pods", pod("p")).await.ok();
    let binding = json!({"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}});
    cluster
        .post("/api/v1/namespaces/x/pods/p/binding", binding)
        .await
        .ok();
    cluster
        .post("/api/v1/namespaces/x/configmaps", config_map("c"))
        .await
        .ok();
    let mut watch = cluster
        .watch("/api/v1/namespaces?watch=true&fieldSelector=metadata.name%3Dx")
        .await;
    watch.next().await.unwrap();

    let marked = cluster.delete("/api/v1/namespaces/x", json!({})).await.ok();
    assert_eq!(marked["status"]["phase"], "Terminating");
    let refused = cluster
        .post("/api/v1/namespaces/x/configmaps", config_map("late"))
        .await;
    let (code, reason, message) = refused.refusal();
    assert_eq!((code, reason.as_str()), (403, "Forbidden"));
    assert!(
        message.ends_with("unable to create new content in namespace x because it is being terminated"),
        "{message}"
    );
    assert_eq!(
        refused.json()["details"]["causes"][0]["reason"],
        "NamespaceTerminating"
    );

    let waiting = loop {
        let frame = watch.next().await.unwrap();
        if let Some(conditions) = frame["object"]["status"]["conditions"].as_array() {
            break conditions.clone();
        }
    };
    let remaining: Vec<&Value> = waiting
        .iter()
        .filter(|condition| condition["type"] == "NamespaceContentRemaining")
        .collect();
    assert_eq!(
        remaining[0]["message"],
        "Some resources are remaining: pods. has 1 resource instances"
    );
    cluster.get("/api/v1/namespaces/x/configmaps/c").await.ok();

    cluster
        .delete("/api/v1/namespaces/x/pods/p", json!({"gracePeriodSeconds": 0}))
        .await
        .ok();
    while watch.kind().await != event("DELETED", "x") {}
    assert_eq!(cluster.get("/api/v1/namespaces/x").await.code, 404);
    assert_eq!(cluster.get("/api/v1/namespaces/x/configmaps/c").await.code, 404);
    cluster
        .post("/api/v1/namespaces", json!({"metadata": {"name": "x"}}))
        .await
        .ok();
}

#[tokio::test]
async fn only_finalize_changes_the_finalizers_of_the_spec() {
    let cluster = Cluster::start().await;
    let mut created = cluster
        .post("/api/v1/namespaces", json!({"metadata": {"name": "x"}}))
        .await
        .ok();
    created["spec"]["finalizers"] = json!(["kubernetes", "example.com/hold"]);
    let updated = cluster.put("/api/v1/namespaces/x", created.clone()).await.ok();
    assert_eq!(updated["spec"]["finalizers"], json!(["kubernetes"]));
    created["metadata"]
        .as_object_mut()
        .unwrap()
        .remove("resourceVersion");
    let finalized = cluster.put("/api/v1/namespaces/x/finalize", created).await.ok();
    assert_eq!(
        finalized["spec"]["finalizers"],
        json!(["kubernetes", "example.com/hold"])
    );
}

#[tokio::test]
async fn system_namespaces_stay() {
    let cluster = Cluster::start().await;
    let (code, _, message) = cluster
        .delete("/api/v1/namespaces/default", json!({}))
        .await
        .refusal();
    assert_eq!(
        (code, message.as_str()),
        (
            403,
            "namespaces \"default\" is forbidden: this namespace may not be deleted"
        )
    );
}
