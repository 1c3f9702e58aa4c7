use serde_json::json;

use crate::client::{CONFIG_MAPS, Cluster, PODS, config_map, pod};

#[tokio::test]
async fn each_kind_of_patch_applies() {
    let cluster = Cluster::start().await;
    cluster.post(PODS, pod("a")).await.ok();
    let path = format!("{PODS}/a");
    let json_patch = json!([{"op": "add", "path": "/metadata/annotations", "value": {"x": "1"}}]);
    let object = cluster.patch(&path, "json-patch", json_patch).await.ok();
    assert_eq!(object["metadata"]["annotations"]["x"], "1");
    let object = cluster
        .patch(
            &path,
            "merge-patch",
            json!({"metadata": {"annotations": {"x": null, "y": "2"}}}),
        )
        .await
        .ok();
    assert_eq!(object["metadata"]["annotations"], json!({"y": "2"}));
    let image = json!({"spec": {"containers": [{"name": "main", "image": "other"}]}});
    let object = cluster.patch(&path, "strategic-merge-patch", image).await.ok();
    assert_eq!(object["spec"]["containers"][0]["image"], "other");
    assert_eq!(
        object["spec"]["containers"][0]["terminationMessagePath"], "/dev/termination-log",
        "merged by name"
    );
}

#[tokio::test]
async fn owners_are_removed_by_uid() {
    let cluster = Cluster::start().await;
    let owner = |uid: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": uid});
    let mut object = config_map("a");
    object["metadata"]["ownerReferences"] = json!([owner("1"), owner("2")]);
    let created = cluster.post(CONFIG_MAPS, object).await.ok();
    let uid = created["metadata"]["uid"].as_str().unwrap();
    let patch = json!({"metadata": {"uid": uid, "ownerReferences": [{"$patch": "delete", "uid": "1"}]}});
    let path = format!("{CONFIG_MAPS}/a");
    let patched = cluster.patch(&path, "strategic-merge-patch", patch).await.ok();
    assert_eq!(patched["metadata"]["ownerReferences"], json!([owner("2")]));

    let (code, reason, _) = cluster
        .patch(&path, "merge-patch", json!({"metadata": {"uid": "stale"}}))
        .await
        .refusal();
    assert_eq!((code, reason.as_str()), (409, "Conflict"));
}

#[tokio::test]
async fn a_patch_conflicts_only_on_the_version_it_names() {
    let cluster = Cluster::start().await;
    let created = cluster.post(CONFIG_MAPS, config_map("a")).await.ok();
    let path = format!("{CONFIG_MAPS}/a");
    cluster
        .patch(&path, "merge-patch", json!({"data": {"x": "1"}}))
        .await
        .ok();
    let locked =
        json!({"metadata": {"resourceVersion": created["metadata"]["resourceVersion"]}, "data": {"x": "2"}});
    assert_eq!(cluster.patch(&path, "merge-patch", locked).await.refusal().0, 409);
}

#[tokio::test]
async fn what_cannot_be_applied_is_refused() {
    let cluster = Cluster::start().await;
    cluster.post(CONFIG_MAPS, config_map("a")).await.ok();
    let path = format!("{CONFIG_MAPS}/a");
    assert_eq!(
        cluster
            .patch(&format!("{CONFIG_MAPS}/none"), "merge-patch", json!({}))
            .await
            .refusal()
            .0,
        404
    );
    assert_eq!(cluster.patch(&path, "unknown", json!({})).await.refusal().0, 415);
    assert_eq!(
        cluster
            .patch(&path, "json-patch", json!({"not": "a list"}))
            .await
            .refusal()
            .0,
        400
    );
    let test = json!([{"op": "test", "path": "/data/key", "value": "other"}]);
    assert_eq!(cluster.patch(&path, "json-patch", test).await.refusal().0, 422);
    assert_eq!(
        cluster
            .patch(&path, "merge-patch", json!({"metadata": {"name": "b"}}))
            .await
            .refusal()
            .0,
        422
    );
}
