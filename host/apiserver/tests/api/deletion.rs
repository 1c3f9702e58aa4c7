use serde_json::{Value, json};

use crate::client::{CONFIG_MAPS, Cluster, PODS, config_map, deployment, event, pod, version};

const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";

fn finalizers(object: &Value) -> Vec<&str> {
    object["metadata"]["finalizers"]
        .as_array()
        .map(|list| list.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default()
}

#[tokio::test]
async fn propagation_policies_become_finalizers() {
    let cluster = Cluster::start().await;
    for (policy, expected) in [("Orphan", "orphan"), ("Foreground", "foregroundDeletion")] {
        let path = format!("{DEPLOYMENTS}/{}", policy.to_lowercase());
        let created = cluster
            .post(DEPLOYMENTS, deployment(&policy.to_lowercase()))
            .await
            .ok();
        let answer = cluster.delete(&path, json!({"propagationPolicy": policy})).await;
        assert_eq!(answer.code, 200);
        let object = answer.ok();
        assert_eq!(finalizers(&object), [expected]);
        assert!(object["metadata"]["deletionTimestamp"].is_string());
        assert_eq!(object["metadata"]["deletionGracePeriodSeconds"], 0);
        assert_eq!(
            object["metadata"]["generation"],
            created["metadata"]["generation"].as_i64().unwrap() + 1
        );
        let again = cluster.delete(&path, json!({})).await.ok();
        assert_eq!(
            version(&again),
            version(&object),
            "deleting again changes nothing"
        );
    }
    cluster.post(DEPLOYMENTS, deployment("b")).await.ok();
    let gone = cluster
        .delete(
            &format!("{DEPLOYMENTS}/b"),
            json!({"propagationPolicy": "Background"}),
        )
        .await
        .ok();
    assert_eq!(
        (&gone["kind"], &gone["status"]),
        (&json!("Status"), &json!("Success"))
    );
    assert_eq!(
        (&gone["details"]["kind"], &gone["details"]["group"]),
        (&json!("deployments"), &json!("apps"))
    );
}

#[tokio::test]
async fn old_workloads_orphan_by_default() {
    let cluster = Cluster::start().await;
    let collection = "/api/v1/namespaces/default/replicationcontrollers";
    let template =
        json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let controller =
        json!({"metadata": {"name": "rc"}, "spec": {"selector": {"a": "b"}, "template": template}});
    cluster.post(collection, controller).await.ok();
    let object = cluster.delete(&format!("{collection}/rc"), json!({})).await.ok();
    assert_eq!(finalizers(&object), ["orphan"]);
}

#[tokio::test]
async fn the_deprecated_way_not_to_orphan_is_accepted() {
    let cluster = Cluster::start().await;
    let mut object = config_map("a");
    object["metadata"]["finalizers"] = json!(["example.com/hold"]);
    cluster.post(CONFIG_MAPS, object).await.ok();
    let path = format!("{CONFIG_MAPS}/a");
    let both = json!({"orphanDependents": false, "propagationPolicy": "Background"});
    assert_eq!(cluster.delete(&path, both).await.refusal().0, 422);
    assert_eq!(
        cluster
            .delete(&path, json!({"orphanDependents": false}))
            .await
            .code,
        202
    );
}

#[tokio::test]
async fn the_last_finalizer_lets_an_object_go() {
    let cluster = Cluster::start().await;
    let mut object = config_map("a");
    object["metadata"]["finalizers"] = json!(["example.com/hold"]);
    let created = cluster.post(CONFIG_MAPS, object).await.ok();
    let path = format!("{CONFIG_MAPS}/a");
    let mut watch = cluster
        .watch(&format!(
            "{CONFIG_MAPS}?watch=true&resourceVersion={}",
            version(&created)
        ))
        .await;
    cluster.delete(&path, json!({})).await.ok();
    assert_eq!(watch.kind().await, event("MODIFIED", "a"));
    let added = json!({"metadata": {"finalizers": ["example.com/hold", "example.com/more"]}});
    assert_eq!(
        cluster.patch(&path, "merge-patch", added).await.refusal().0,
        422,
        "no new finalizers while deleting"
    );
    let freed = cluster
        .patch(&path, "merge-patch", json!({"metadata": {"finalizers": null}}))
        .await;
    assert_eq!(freed.code, 200);
    assert_eq!(watch.kind().await, event("DELETED", "a"));
    assert_eq!(cluster.get(&path).await.code, 404);
}

#[tokio::test]
async fn preconditions_must_hold() {
    let cluster = Cluster::start().await;
    let created = cluster.post(CONFIG_MAPS, config_map("a")).await.ok();
    let path = format!("{CONFIG_MAPS}/a");
    let (code, _, message) = cluster
        .delete(&path, json!({"preconditions": {"uid": "other"}}))
        .await
        .refusal();
    assert_eq!(code, 409);
    assert!(
        message.contains("the UID in the precondition (other) does not match the UID in record ("),
        "{message}"
    );
    assert_eq!(
        cluster
            .delete(&path, json!({"preconditions": {"resourceVersion": "1"}}))
            .await
            .refusal()
            .0,
        409
    );
    let right = json!({"preconditions": {"uid": created["metadata"]["uid"], "resourceVersion": created["metadata"]["resourceVersion"]}});
    cluster.delete(&path, right).await.ok();
}

#[tokio::test]
async fn a_collection_is_deleted_by_selector() {
    let cluster = Cluster::start().await;
    for name in ["a", "b"] {
        cluster.post(PODS, pod(name)).await.ok();
    }
    let deleted = cluster
        .delete(&format!("{PODS}?labelSelector=app%3Da"), json!({}))
        .await
        .ok();
    assert_eq!(
        (&deleted["kind"], deleted["items"].as_array().unwrap().len()),
        (&json!("PodList"), 1)
    );
    assert_eq!(cluster.get(PODS).await.ok()["items"][0]["metadata"]["name"], "b");
}
