//! Whole syncs against the fake cluster.

use std::time::Duration;

use serde_json::{Value, json};
use windlass_sdk::testing::{Cluster, api_error};
use windlass_sdk::{ApiErrorKind, Error, Outcome};

use crate::ReplicaSetController;

fn replica_set(replicas: usize) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {"namespace": "default", "name": "web", "uid": "rs"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}, "annotations": {"note": "x"}},
                "spec": {"containers": [{"name": "c", "image": "i"}]}}}})
}

fn pod(name: &str, owner: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"namespace": "default", "name": name, "uid": name, "labels": {"app": "web"},
            "ownerReferences": [{"kind": "ReplicaSet", "uid": owner, "controller": true}]},
        "spec": {"nodeName": "n"}, "status": {"phase": "Running"}})
}

fn ready_since(time: &str) -> Value {
    json!([{"type": "Ready", "status": "True", "lastTransitionTime": time}])
}

fn cluster(replicas: usize, pods: &[&str]) -> Cluster {
    let cluster = Cluster::new::<ReplicaSetController>();
    cluster.put(&replica_set(replicas));
    for name in pods {
        cluster.put(&pod(name, "rs"));
    }
    cluster
}

fn sync(cluster: &Cluster) -> Result<Outcome, Error> {
    cluster.sync(&ReplicaSetController, "default/web")
}

fn status(cluster: &Cluster) -> Value {
    cluster.get("replicasets", "default/web")["status"].clone()
}

#[test]
fn what_is_missing_is_created_from_the_template() {
    let cluster = cluster(1, &[]);
    assert_eq!(sync(&cluster), Ok(Outcome::Done));
    let (call, body) = cluster.take_bodies().remove(0);
    assert_eq!(call, "create pods default/");
    let expected = json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"generateName": "web-", "labels": {"app": "web"}, "annotations": {"note": "x"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "rs",
                "controller": true, "blockOwnerDeletion": true}]},
        "spec": {"containers": [{"name": "c", "image": "i"}]}});
    assert_eq!(body, expected);
    let name = cluster.list("pods")[0]["metadata"]["name"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        cluster.take_events(),
        [format!("Normal SuccessfulCreate Created pod: {name}")]
    );
}

#[test]
fn the_status_counts_what_was_there_and_follows_with_the_next_sync() {
    let cluster = cluster(3, &[]);
    sync(&cluster).unwrap();
    assert_eq!(
        status(&cluster),
        json!({"replicas": 0, "terminatingReplicas": 0, "observedGeneration": 1})
    );
    assert_eq!(sync(&cluster), Ok(Outcome::Done));
    let expected =
        json!({"replicas": 3, "fullyLabeledReplicas": 3, "terminatingReplicas": 0, "observedGeneration": 1});
    assert_eq!(status(&cluster), expected);
    let _ = cluster.take_calls();
    sync(&cluster).unwrap();
    assert!(
        cluster.take_calls().is_empty(),
        "nothing changed, so nothing is written"
    );
}

#[test]
fn no_more_than_five_hundred_are_created_at_once() {
    let cluster = cluster(600, &[]);
    sync(&cluster).unwrap();
    assert_eq!(cluster.list("pods").len(), 500);
    sync(&cluster).unwrap();
    assert_eq!(cluster.list("pods").len(), 600);
}

#[test]
fn a_failing_create_stops_after_its_batch_and_shows_in_the_status() {
    let cluster = cluster(10, &[]);
    cluster.fail(|call| {
        call.starts_with("create")
            .then(|| api_error(ApiErrorKind::Forbidden, "quota exceeded"))
    });
    assert_eq!(sync(&cluster).unwrap_err().to_string(), "quota exceeded");
    assert_eq!(
        cluster.take_calls(),
        ["create pods default/", "update replicasets/status default/web"]
    );
    assert_eq!(
        cluster.take_events(),
        ["Warning FailedCreate Error creating: quota exceeded"]
    );
    let condition = &status(&cluster)["conditions"][0];
    let expected = json!({"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate",
        "message": "quota exceeded", "lastTransitionTime": "2026-01-01T00:00:00Z"});
    assert_eq!(*condition, expected);

    cluster.fail(|_| None);
    sync(&cluster).unwrap();
    assert_eq!(status(&cluster)["conditions"], Value::Null);
}

#[test]
fn a_namespace_that_is_going_is_no_failure() {
    let cluster = cluster(2, &[]);
    cluster.fail(|call| {
        call.starts_with("create")
            .then(|| api_error(ApiErrorKind::NamespaceTerminating, "going"))
    });
    assert_eq!(sync(&cluster), Ok(Outcome::Done));
    assert!(cluster.take_events().is_empty());
    assert_eq!(status(&cluster)["conditions"], Value::Null);
}

#[test]
fn a_template_without_labels_makes_no_pods() {
    let cluster = cluster(1, &[]);
    cluster.edit("replicasets", "default/web", |set| {
        set["spec"]["template"]["metadata"] = json!({})
    });
    assert_eq!(
        sync(&cluster).unwrap_err().to_string(),
        "unable to create pods, no labels"
    );
}

#[test]
fn what_is_too_much_is_deleted_in_rank_order() {
    let cluster = cluster(1, &["a", "b", "c"]);
    cluster.edit("pods", "default/b", |pod| {
        pod["status"]["conditions"] = ready_since("2025-12-01T00:00:00Z")
    });
    assert_eq!(sync(&cluster), Ok(Outcome::Done));
    assert_eq!(
        cluster.take_calls(),
        [
            "delete pods default/a",
            "delete pods default/c",
            "update replicasets/status default/web"
        ]
    );
    assert_eq!(
        cluster.take_events(),
        [
            "Normal SuccessfulDelete Deleted pod: a",
            "Normal SuccessfulDelete Deleted pod: c"
        ]
    );
}

#[test]
fn pods_of_sibling_sets_crowd_a_node_too() {
    let cluster = cluster(1, &["a", "b"]);
    let deployment = json!([{"kind": "Deployment", "uid": "d", "controller": true}]);
    cluster.edit("replicasets", "default/web", |set| {
        set["metadata"]["ownerReferences"] = deployment.clone()
    });
    cluster.put(&json!({"apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {"namespace": "default", "name": "old", "uid": "old", "ownerReferences": deployment},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "old"}}}}));
    cluster.put(&pod("sibling", "old"));
    cluster.edit("pods", "default/sibling", |pod| {
        pod["metadata"]["labels"] = json!({"app": "old"});
        pod["spec"]["nodeName"] = "crowded".into();
    });
    cluster.edit("pods", "default/b", |pod| {
        pod["spec"]["nodeName"] = "crowded".into()
    });
    sync(&cluster).unwrap();
    assert_eq!(cluster.take_calls()[0], "delete pods default/b");
}

#[test]
fn a_failing_delete_is_reported_and_a_missing_pod_is_not() {
    let cluster = cluster(0, &["a", "b"]);
    cluster.fail(|call| match call {
        "delete pods default/a" => Some(api_error(ApiErrorKind::NotFound, "gone")),
        "delete pods default/b" => Some(api_error(ApiErrorKind::Unavailable, "down")),
        _ => None,
    });
    assert_eq!(
        sync(&cluster).unwrap_err().to_string(),
        "unable to delete pods: down"
    );
    assert_eq!(
        cluster.take_events(),
        ["Warning FailedDelete Error deleting: down"]
    );
    assert_eq!(status(&cluster)["conditions"][0]["reason"], "FailedDelete");
}

#[test]
fn finished_and_terminating_pods_are_replaced() {
    let cluster = cluster(2, &["done", "going"]);
    cluster.edit("pods", "default/done", |pod| {
        pod["status"]["phase"] = "Failed".into()
    });
    cluster.edit("pods", "default/going", |pod| {
        pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into()
    });
    sync(&cluster).unwrap();
    assert_eq!(cluster.list("pods").len(), 4);
    assert_eq!(status(&cluster)["terminatingReplicas"], 1);
}

#[test]
fn a_matching_orphan_is_adopted_instead_of_creating_another() {
    let cluster = cluster(1, &["orphan"]);
    cluster.edit("pods", "default/orphan", |pod| {
        pod["metadata"]["ownerReferences"] = json!([])
    });
    sync(&cluster).unwrap();
    let calls = cluster.take_calls();
    assert_eq!(
        calls,
        [
            "get replicasets default/web",
            "patch pods default/orphan",
            "update replicasets/status default/web"
        ]
    );
    assert_eq!(
        cluster.get("pods", "default/orphan")["metadata"]["ownerReferences"][0]["uid"],
        "rs"
    );
}

#[test]
fn a_set_that_is_being_deleted_neither_creates_nor_deletes() {
    let cluster = cluster(3, &["a"]);
    cluster.edit("replicasets", "default/web", |set| {
        set["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into()
    });
    sync(&cluster).unwrap();
    assert_eq!(cluster.take_calls(), ["update replicasets/status default/web"]);
}

#[test]
fn a_set_that_is_gone_is_done() {
    let cluster = Cluster::new::<ReplicaSetController>();
    assert_eq!(sync(&cluster), Ok(Outcome::Done));
}

#[test]
fn a_ready_pod_becomes_available_by_the_clock() {
    let cluster = cluster(2, &["a", "b"]);
    cluster.edit("replicasets", "default/web", |set| {
        set["spec"]["minReadySeconds"] = 30.into()
    });
    cluster.edit("pods", "default/a", |pod| {
        pod["status"]["conditions"] = ready_since("2025-12-31T23:59:40Z")
    });
    cluster.edit("pods", "default/b", |pod| {
        pod["status"]["conditions"] = ready_since("2025-12-31T23:59:50Z")
    });
    assert_eq!(sync(&cluster), Ok(Outcome::RequeueAfter(Duration::from_secs(10))));
    assert_eq!(status(&cluster)["readyReplicas"], 2);
    cluster.advance(Duration::from_secs(10));
    assert_eq!(sync(&cluster), Ok(Outcome::RequeueAfter(Duration::from_secs(10))));
    assert_eq!(status(&cluster)["availableReplicas"], 1);
    cluster.advance(Duration::from_secs(10));
    assert_eq!(sync(&cluster), Ok(Outcome::Done));
    assert_eq!(status(&cluster)["availableReplicas"], 2);
}

#[test]
fn a_conflict_on_the_status_is_tried_again_on_the_live_object() {
    let cluster = cluster(0, &[]);
    let tries = std::cell::Cell::new(0);
    cluster.fail(move |call| {
        tries.set(tries.get() + i32::from(call.starts_with("update")));
        (call.starts_with("update") && tries.get() == 1).then(|| api_error(ApiErrorKind::Conflict, "changed"))
    });
    assert_eq!(sync(&cluster), Ok(Outcome::Done));
    let update = "update replicasets/status default/web";
    assert_eq!(
        cluster.take_calls(),
        [update, "get replicasets default/web", update]
    );
}

#[test]
fn unknown_fields_survive_a_status_update() {
    let cluster = cluster(0, &[]);
    cluster.edit("replicasets", "default/web", |set| {
        set["spec"]["fromTheFuture"] = json!({"a": 1})
    });
    sync(&cluster).unwrap();
    let (_, body) = cluster.take_bodies().remove(0);
    assert_eq!(body["spec"]["fromTheFuture"], json!({"a": 1}));
}
