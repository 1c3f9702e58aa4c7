//! Rollouts that go as they should.

use std::time::Duration;

use serde_json::{Value, json};
use windlass_sdk::{MappedEvent, Mapper as _, ObjectKey, Outcome};

use super::*;

#[test]
fn a_first_sync_creates_the_replica_set_and_writes_the_status_once() {
    let cluster = cluster(3);
    assert_eq!(
        sync(&cluster),
        Ok(Outcome::RequeueAfter(Duration::from_secs(601)))
    );
    let set = cluster.list("replicasets").remove(0);
    let hash = set["metadata"]["labels"]["pod-template-hash"].as_str().unwrap();
    assert_eq!(name(&set), format!("web-{hash}"));
    let mut calls = cluster.take_bodies();
    let names: Vec<&str> = calls.iter().map(|(call, _)| call.as_str()).collect();
    assert_eq!(
        names,
        [
            "create replicasets default/",
            "update deployments/status default/web"
        ]
    );
    let labels = json!({"app": "web", "pod-template-hash": hash});
    let expected = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {"name": name(&set), "namespace": "default", "labels": labels,
            "annotations": {"note": "x", "deployment.kubernetes.io/revision": "1",
                "deployment.kubernetes.io/desired-replicas": "3", "deployment.kubernetes.io/max-replicas": "4"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "d",
                "controller": true, "blockOwnerDeletion": true}]},
        "spec": {"replicas": 3, "minReadySeconds": 0, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "v1"}]}}}});
    assert_eq!(calls.remove(0).1, expected);
    assert_eq!(
        cluster.take_events(),
        [format!(
            "Normal ScalingReplicaSet Scaled up replica set {} from 0 to 3",
            name(&set)
        )]
    );
    assert_eq!(
        get(&cluster)["metadata"]["annotations"]["deployment.kubernetes.io/revision"],
        "1"
    );
    assert_eq!(
        conditions(&cluster),
        [
            "Progressing=True NewReplicaSetCreated",
            "Available=False MinimumReplicasUnavailable"
        ]
    );
    assert_eq!(
        message(&cluster, "Progressing"),
        format!("Created new replica set {:?}", name(&set))
    );
}

#[test]
fn a_rollout_that_ended_is_complete_and_quiet() {
    let cluster = settled(3);
    let status = get(&cluster)["status"].clone();
    assert_eq!(status["availableReplicas"], 3);
    assert_eq!(status["unavailableReplicas"], Value::Null);
    assert_eq!(status["terminatingReplicas"], 0);
    assert_eq!(
        conditions(&cluster),
        [
            "Available=True MinimumReplicasAvailable",
            "Progressing=True NewReplicaSetAvailable"
        ]
    );
    let set = set_of(&cluster, "v1");
    assert_eq!(
        message(&cluster, "Progressing"),
        format!("ReplicaSet {:?} has successfully progressed.", name(&set))
    );
    assert_eq!(
        message(&cluster, "Available"),
        "Deployment has minimum availability."
    );
    assert_eq!(sync(&cluster), Ok(Outcome::Done));
    assert!(cluster.take_calls().is_empty());
}

#[test]
fn a_rolling_update_goes_up_and_down_by_turns() {
    let cluster = settled(2);
    set_image(&cluster, "v2");
    let mut sizes = Vec::new();
    for _ in 0..20 {
        sync(&cluster).unwrap();
        sizes.push((size_of(&cluster, "v1"), size_of(&cluster, "v2")));
        let sets = cluster.list("replicasets");
        sets.iter().for_each(|set| run_pods(&cluster, name(set)));
    }
    sizes.dedup();
    assert_eq!(sizes, [(2, 1), (1, 1), (1, 2), (0, 2)]);
    assert_eq!(conditions(&cluster)[1], "Progressing=True NewReplicaSetAvailable");
    assert_eq!(
        get(&cluster)["metadata"]["annotations"]["deployment.kubernetes.io/revision"],
        "2"
    );
    let (old, new) = (set_of(&cluster, "v1"), set_of(&cluster, "v2"));
    let (old, new) = (name(&old), name(&new));
    let expected = [
        format!("Normal ScalingReplicaSet Scaled up replica set {new} from 0 to 1"),
        format!("Normal ScalingReplicaSet Scaled down replica set {old} from 2 to 1"),
        format!("Normal ScalingReplicaSet Scaled up replica set {new} from 1 to 2"),
        format!("Normal ScalingReplicaSet Scaled down replica set {old} from 1 to 0"),
    ];
    assert_eq!(cluster.take_events(), expected);
}

#[test]
fn unavailable_old_pods_go_before_available_ones() {
    let cluster = settled(4);
    edit(&cluster, |deployment| {
        deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] = 1.into()
    });
    let old = name(&set_of(&cluster, "v1")).to_owned();
    edit_set(&cluster, &old, |set| {
        set["status"]["availableReplicas"] = 2.into()
    });
    set_image(&cluster, "v2");
    sync(&cluster).unwrap();
    assert_eq!(size_of(&cluster, "v2"), 1);
    sync(&cluster).unwrap();
    // 5 wanted, 3 must be available, the new one is not: 1 may go, an unavailable one.
    assert_eq!(size_of(&cluster, "v1"), 3);
}

#[test]
fn going_back_to_an_old_template_reuses_its_replica_set() {
    let cluster = settled(1);
    set_image(&cluster, "v2");
    settle(&cluster);
    set_image(&cluster, "v1");
    settle(&cluster);
    assert_eq!(cluster.list("replicasets").len(), 2);
    let annotations = &set_of(&cluster, "v1")["metadata"]["annotations"];
    assert_eq!(annotations["deployment.kubernetes.io/revision"], "3");
    assert_eq!(annotations["deployment.kubernetes.io/revision-history"], "1");
    assert_eq!(
        get(&cluster)["metadata"]["annotations"]["deployment.kubernetes.io/revision"],
        "3"
    );
}

#[test]
fn recreate_waits_for_the_last_old_pod() {
    let cluster = settled(2);
    edit(&cluster, |deployment| {
        deployment["spec"]["strategy"] = json!({"type": "Recreate"})
    });
    let old = set_of(&cluster, "v1");
    cluster.put(&json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"namespace": "default", "name": "p", "uid": "p", "labels": {"app": "web"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": name(&old), "uid": old["metadata"]["uid"], "controller": true}]},
        "status": {"phase": "Running"}}));
    set_image(&cluster, "v2");
    sync(&cluster).unwrap();
    assert_eq!(size_of(&cluster, "v1"), 0);
    sync(&cluster).unwrap();
    assert_eq!(
        cluster.list("replicasets").len(),
        1,
        "the old set still reports pods"
    );
    run_pods(&cluster, name(&old));
    sync(&cluster).unwrap();
    assert_eq!(cluster.list("replicasets").len(), 1, "a pod is still there");

    let gone = cluster.get("pods", "default/p");
    cluster.remove("pods", "default/p");
    let event = MappedEvent {
        watch: 2,
        key: ObjectKey::new("default", "p"),
        body: gone.to_string().into_bytes(),
        old: None,
    };
    assert_eq!(
        DeploymentController.keys_for(event),
        [ObjectKey::new("default", "web")]
    );
    settle(&cluster);
    assert_eq!(size_of(&cluster, "v2"), 2);
}

#[test]
fn a_pod_of_a_rolling_deployment_or_one_of_several_wakes_nobody() {
    let cluster = settled(2);
    let set = set_of(&cluster, "v1");
    let pod = |name: &str, uid: &str| {
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "default", "name": name, "uid": uid,
            "ownerReferences": [{"kind": "ReplicaSet", "name": set["metadata"]["name"], "uid": set["metadata"]["uid"],
                "controller": true}]}})
    };
    let keys = |gone: Value| {
        let body = gone.to_string().into_bytes();
        DeploymentController.keys_for(MappedEvent {
            watch: 2,
            key: ObjectKey::new("default", "a"),
            body,
            old: None,
        })
    };
    assert!(keys(pod("a", "a")).is_empty(), "rolling");
    edit(&cluster, |deployment| {
        deployment["spec"]["strategy"] = json!({"type": "Recreate"})
    });
    cluster.put(&pod("b", "b"));
    assert!(keys(pod("a", "a")).is_empty(), "another is left");
    cluster.remove("pods", "default/b");
    assert_eq!(keys(pod("a", "a")), [ObjectKey::new("default", "web")]);
}

#[test]
fn history_keeps_the_limit_and_what_still_has_pods() {
    let cluster = settled(1);
    edit(&cluster, |deployment| {
        deployment["spec"]["revisionHistoryLimit"] = 1.into()
    });
    set_image(&cluster, "v2");
    settle(&cluster);
    assert_eq!(cluster.list("replicasets").len(), 2);
    set_image(&cluster, "v3");
    settle(&cluster);
    let images: Vec<Value> = cluster
        .list("replicasets")
        .iter()
        .map(|set| set["spec"]["template"]["spec"]["containers"][0]["image"].clone())
        .collect();
    assert_eq!(images.len(), 2);
    assert!(!images.contains(&"v1".into()), "the lowest revision goes");
}

#[test]
fn a_rollback_request_takes_template_and_annotations_over() {
    let cluster = settled(1);
    set_image(&cluster, "v2");
    edit(&cluster, |deployment| {
        deployment["metadata"]["annotations"] = json!({"note": "y", "deployment.kubernetes.io/revision": "1"})
    });
    settle(&cluster);
    let _ = cluster.take_events();
    edit(&cluster, |deployment| {
        deployment["metadata"]["annotations"]["deprecated.deployment.rollback.to"] = "1".into()
    });
    sync(&cluster).unwrap();
    let deployment = get(&cluster);
    assert_eq!(
        deployment["spec"]["template"]["spec"]["containers"][0]["image"],
        "v1"
    );
    assert_eq!(
        deployment["spec"]["template"]["metadata"]["labels"],
        json!({"app": "web"})
    );
    assert_eq!(
        deployment["metadata"]["annotations"],
        json!({"note": "x", "deployment.kubernetes.io/revision": "2"})
    );
    assert_eq!(
        cluster.take_events(),
        [r#"Normal DeploymentRollback Rolled back deployment "web" to revision 1"#]
    );
}

#[test]
fn a_rollback_that_cannot_be_is_said_and_forgotten() {
    let cluster = settled(1);
    let ask = |revision: &str| {
        let revision = Value::from(revision);
        edit(&cluster, |deployment| {
            deployment["metadata"]["annotations"]["deprecated.deployment.rollback.to"] = revision
        });
        sync(&cluster).unwrap();
        assert_eq!(
            get(&cluster)["metadata"]["annotations"].get("deprecated.deployment.rollback.to"),
            None
        );
        cluster.take_events().remove(0)
    };
    assert_eq!(
        ask("0"),
        "Warning DeploymentRollbackRevisionNotFound Unable to find last revision."
    );
    assert_eq!(
        ask("7"),
        "Warning DeploymentRollbackRevisionNotFound Unable to find the revision to rollback to."
    );
    assert_eq!(
        ask("1"),
        r#"Warning DeploymentRollbackTemplateUnchanged The rollback revision contains the same template as current deployment "web""#
    );
}

#[test]
fn a_change_of_min_ready_seconds_reaches_the_replica_set() {
    let cluster = settled(1);
    edit(&cluster, |deployment| {
        deployment["spec"]["minReadySeconds"] = 5.into()
    });
    sync(&cluster).unwrap();
    assert_eq!(set_of(&cluster, "v1")["spec"]["minReadySeconds"], 5);
}
