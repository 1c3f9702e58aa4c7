use serde_json::json;

use crate::client::{CONFIG_MAPS, Cluster, PODS, config_map, event, pod, version};

#[tokio::test]
async fn a_watch_from_a_list_misses_nothing_and_repeats_nothing() {
    let cluster = Cluster::start().await;
    cluster.post(CONFIG_MAPS, config_map("before")).await.ok();
    let list = cluster.get(CONFIG_MAPS).await.ok();
    let mut watch = cluster
        .watch(&format!(
            "{CONFIG_MAPS}?watch=true&resourceVersion={}",
            version(&list)
        ))
        .await;
    let added = cluster.post(CONFIG_MAPS, config_map("after")).await.ok();
    let path = format!("{CONFIG_MAPS}/after");
    let modified = cluster
        .patch(&path, "merge-patch", json!({"data": {"key": "other"}}))
        .await
        .ok();
    cluster.delete(&path, json!({})).await.ok();

    assert_eq!(
        watch.event().await,
        ("ADDED".to_owned(), "after".to_owned(), version(&added))
    );
    assert_eq!(
        watch.event().await,
        ("MODIFIED".to_owned(), "after".to_owned(), version(&modified))
    );
    let deleted = watch.next().await.unwrap();
    assert_eq!(deleted["type"], "DELETED");
    assert_eq!(
        deleted["object"]["data"]["key"], "other",
        "a deletion carries the last state"
    );
    assert!(
        version(&deleted["object"]) > version(&modified),
        "under the revision of the deletion"
    );
}

#[tokio::test]
async fn a_watch_without_a_version_begins_with_what_is_there() {
    let cluster = Cluster::start().await;
    cluster.post(PODS, pod("a")).await.ok();
    for query in ["watch=true", "watch=1&resourceVersion=0"] {
        let mut watch = cluster.watch(&format!("{PODS}?{query}")).await;
        assert_eq!(watch.kind().await, event("ADDED", "a"));
    }
}

#[tokio::test]
async fn a_no_op_update_writes_nothing() {
    let cluster = Cluster::start().await;
    let created = cluster.post(CONFIG_MAPS, config_map("a")).await.ok();
    let path = format!("{CONFIG_MAPS}/a");
    let mut watch = cluster
        .watch(&format!(
            "{CONFIG_MAPS}?watch=true&resourceVersion={}",
            version(&created)
        ))
        .await;
    let same = cluster.put(&path, created.clone()).await.ok();
    assert_eq!(version(&same), version(&created));
    let same = cluster
        .patch(&path, "merge-patch", json!({"data": {"key": "value"}}))
        .await
        .ok();
    assert_eq!(version(&same), version(&created));
    cluster.post(CONFIG_MAPS, config_map("b")).await.ok();
    assert_eq!(
        watch.kind().await,
        event("ADDED", "b"),
        "the no-op writes made no event"
    );
}

#[tokio::test]
async fn objects_enter_and_leave_a_selection() {
    let cluster = Cluster::start().await;
    let mut watch = cluster
        .watch(&format!("{PODS}?watch=true&labelSelector=tier%3Dfront"))
        .await;
    cluster.post(PODS, pod("a")).await.ok();
    let path = format!("{PODS}/a");
    let label = |value| json!({"metadata": {"labels": {"tier": value}}});
    cluster.patch(&path, "merge-patch", label("front")).await.ok();
    cluster
        .patch(
            &path,
            "merge-patch",
            json!({"metadata": {"annotations": {"x": "y"}}}),
        )
        .await
        .ok();
    let left = cluster.patch(&path, "merge-patch", label("back")).await.ok();
    for kind in ["ADDED", "MODIFIED"] {
        assert_eq!(watch.kind().await, event(kind, "a"));
    }
    let frame = watch.next().await.unwrap();
    assert_eq!(
        (frame["type"].as_str(), version(&frame["object"])),
        (Some("DELETED"), version(&left))
    );
    assert_eq!(
        frame["object"]["metadata"]["labels"]["tier"], "front",
        "as it was while selected"
    );
}

#[tokio::test]
async fn pods_of_one_node_are_watched_by_field() {
    let cluster = Cluster::start().await;
    let mut watch = cluster
        .watch("/api/v1/pods?watch=true&fieldSelector=spec.nodeName%3Dn1")
        .await;
    for (name, node) in [("a", "n2"), ("b", "n1")] {
        cluster.post(PODS, pod(name)).await.ok();
        let binding = json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": {"kind": "Node", "name": node}});
        cluster
            .post(&format!("{PODS}/{name}/binding"), binding)
            .await
            .ok();
    }
    assert_eq!(watch.kind().await, event("ADDED", "b"));
}

#[tokio::test]
async fn a_version_that_is_forgotten_is_an_error_in_the_stream() {
    let cluster = Cluster::start().await;
    let first = cluster.post(CONFIG_MAPS, config_map("a")).await.ok();
    let mut watch = cluster
        .watch(&format!(
            "{CONFIG_MAPS}?watch=true&resourceVersion={}",
            version(&first) + 1_000_000
        ))
        .await;
    let path = format!("{CONFIG_MAPS}/a");
    cluster
        .patch(&path, "merge-patch", json!({"data": {"key": "1"}}))
        .await
        .ok();
    assert_eq!(
        watch.kind().await,
        event("MODIFIED", "a"),
        "a version of the future is no error"
    );
}

#[tokio::test]
async fn initial_events_end_with_a_bookmark() {
    let cluster = Cluster::start().await;
    let created = cluster.post(PODS, pod("a")).await.ok();
    let query =
        "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut watch = cluster.watch(&format!("{PODS}?{query}")).await;
    assert_eq!(watch.kind().await, event("ADDED", "a"));
    let bookmark = watch.next().await.unwrap();
    assert_eq!(bookmark["type"], "BOOKMARK");
    assert_eq!(bookmark["object"]["kind"], "Pod");
    assert_eq!(
        bookmark["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"],
        "true"
    );
    assert!(version(&bookmark["object"]) >= version(&created));

    let refused = cluster
        .get(&format!("{PODS}?watch=true&sendInitialEvents=true"))
        .await;
    assert_eq!(refused.refusal().0, 422);
}

#[tokio::test]
async fn a_watch_with_bookmarks_ends_with_one_at_its_timeout() {
    let cluster = Cluster::start().await;
    let list = cluster.get(PODS).await.ok();
    let query = format!(
        "watch=true&timeoutSeconds=1&allowWatchBookmarks=true&resourceVersion={}",
        version(&list)
    );
    let mut watch = cluster.watch(&format!("{PODS}?{query}")).await;
    let created = cluster.post(CONFIG_MAPS, config_map("elsewhere")).await.ok();
    let bookmark = watch.next().await.unwrap();
    assert_eq!(bookmark["type"], "BOOKMARK");
    assert!(version(&bookmark["object"]) <= version(&created));
    assert_eq!(watch.next().await, None, "the stream ends cleanly");
}

#[tokio::test]
async fn metadata_and_tables_can_be_watched() {
    let cluster = Cluster::start().await;
    cluster.post(PODS, pod("a")).await.ok();
    let get = |accept: &'static str| {
        cluster
            .request("GET", &format!("{PODS}?watch=true&timeoutSeconds=1"))
            .header("accept", accept)
    };
    let partial = cluster
        .answer(
            get("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"),
            "",
        )
        .await;
    let frame: serde_json::Value = serde_json::from_str(partial.text.lines().next().unwrap()).unwrap();
    assert_eq!(frame["object"]["kind"], "PartialObjectMetadata");
    assert_eq!(frame["object"]["metadata"]["labels"]["app"], "a");
    assert_eq!(frame["object"].get("spec"), None);
    let table = cluster
        .answer(
            get("application/json;as=Table;v=v1;g=meta.k8s.io,application/json"),
            "",
        )
        .await;
    let frame: serde_json::Value = serde_json::from_str(table.text.lines().next().unwrap()).unwrap();
    assert_eq!(frame["object"]["rows"][0]["cells"][0], "a");
}
