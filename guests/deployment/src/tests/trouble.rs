//! What can go wrong.

use std::time::Duration;

use serde_json::json;
use windlass_sdk::ApiErrorKind;
use windlass_sdk::testing::api_error;

use super::*;

#[test]
fn a_rollout_that_does_not_move_misses_its_deadline_once() {
    let cluster = cluster(1);
    sync(&cluster).unwrap();
    assert_eq!(
        sync(&cluster),
        Ok(Outcome::RequeueAfter(Duration::from_secs(601)))
    );
    cluster.advance(Duration::from_secs(601));
    assert_eq!(sync(&cluster), Ok(Outcome::Done));
    assert!(conditions(&cluster).contains(&"Progressing=False ProgressDeadlineExceeded".to_owned()));
    let set = set_of(&cluster, "v1");
    assert_eq!(
        message(&cluster, "Progressing"),
        format!("ReplicaSet {:?} has timed out progressing.", name(&set))
    );

    run_pods(&cluster, name(&set));
    sync(&cluster).unwrap();
    assert!(
        conditions(&cluster).contains(&"Progressing=True NewReplicaSetAvailable".to_owned()),
        "late, but there"
    );
}

#[test]
fn every_step_forward_moves_the_deadline() {
    let cluster = cluster(2);
    sync(&cluster).unwrap();
    let set = name(&set_of(&cluster, "v1")).to_owned();
    cluster.advance(Duration::from_secs(300));
    edit_set(&cluster, &set, |set| {
        set["status"] = json!({"replicas": 2, "readyReplicas": 1, "availableReplicas": 1})
    });
    assert_eq!(
        sync(&cluster),
        Ok(Outcome::RequeueAfter(Duration::from_secs(601)))
    );
    assert!(conditions(&cluster).contains(&"Progressing=True ReplicaSetUpdated".to_owned()));
    assert_eq!(
        message(&cluster, "Progressing"),
        format!("ReplicaSet {set:?} is progressing.")
    );
}

#[test]
fn without_a_deadline_nothing_is_said_about_progress() {
    let cluster = cluster(1);
    edit(&cluster, |deployment| {
        drop(
            deployment["spec"]
                .as_object_mut()
                .unwrap()
                .remove("progressDeadlineSeconds"),
        )
    });
    settle(&cluster);
    assert_eq!(conditions(&cluster), ["Available=True MinimumReplicasAvailable"]);
}

#[test]
fn a_lost_pod_after_the_rollout_is_no_lack_of_progress() {
    let cluster = settled(2);
    cluster.advance(Duration::from_secs(10_000));
    let set = name(&set_of(&cluster, "v1")).to_owned();
    edit_set(&cluster, &set, |set| {
        set["status"]["availableReplicas"] = 1.into()
    });
    assert_eq!(sync(&cluster), Ok(Outcome::Done));
    let expected = [
        "Progressing=True NewReplicaSetAvailable",
        "Available=False MinimumReplicasUnavailable",
    ];
    assert_eq!(conditions(&cluster), expected);
    assert_eq!(
        message(&cluster, "Available"),
        "Deployment does not have minimum availability."
    );
}

#[test]
fn a_failing_create_is_said_in_an_event_and_a_condition() {
    let cluster = cluster(1);
    cluster.fail(|call| {
        call.starts_with("create")
            .then(|| api_error(ApiErrorKind::Forbidden, "no"))
    });
    assert_eq!(sync(&cluster).unwrap_err().to_string(), "no");
    let event = cluster.take_events().remove(0);
    assert!(
        event.starts_with("Warning ReplicaSetCreateError Failed to create new replica set \"web-"),
        "{event}"
    );
    assert!(event.ends_with("\": no"), "{event}");
    assert_eq!(conditions(&cluster), ["Progressing=False ReplicaSetCreateError"]);
}

#[test]
fn a_namespace_that_is_going_is_no_failure() {
    let cluster = cluster(1);
    cluster.fail(|call| {
        call.starts_with("create")
            .then(|| api_error(ApiErrorKind::NamespaceTerminating, "going"))
    });
    assert_eq!(sync(&cluster), Ok(Outcome::Done));
    assert!(cluster.take_events().is_empty());
}

#[test]
fn a_taken_hash_leads_to_another() {
    let cluster = cluster(1);
    sync(&cluster).unwrap();
    let first = name(&set_of(&cluster, "v1")).to_owned();
    edit_set(&cluster, &first, |set| {
        set["metadata"]["ownerReferences"] = json!([{"uid": "another", "controller": true}]);
    });
    assert!(matches!(sync(&cluster), Err(Error::Api(error)) if error.is_already_exists()));
    assert_eq!(get(&cluster)["status"]["collisionCount"], 1);
    sync(&cluster).unwrap();
    assert_eq!(cluster.list("replicasets").len(), 2);
}

#[test]
fn a_replica_sets_failure_shows_on_the_deployment_and_goes_with_it() {
    let cluster = settled(1);
    let set = name(&set_of(&cluster, "v1")).to_owned();
    edit_set(&cluster, &set, |set| {
        set["status"]["conditions"] = json!([{"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate",
            "message": "quota", "lastTransitionTime": "2026-01-01T00:00:00Z"}]);
    });
    sync(&cluster).unwrap();
    assert_eq!(conditions(&cluster)[2], "ReplicaFailure=True FailedCreate");
    run_pods(&cluster, &set);
    sync(&cluster).unwrap();
    assert_eq!(conditions(&cluster).len(), 2);
}

#[test]
fn a_selector_that_matches_everything_is_refused() {
    let cluster = cluster(1);
    edit(&cluster, |deployment| deployment["spec"]["selector"] = json!({}));
    sync(&cluster).unwrap();
    let message = "This deployment is selecting all pods. A non-empty selector is required.";
    assert_eq!(cluster.take_events(), [format!("Warning SelectingAll {message}")]);
    assert_eq!(get(&cluster)["status"]["observedGeneration"], 2);
    assert!(cluster.list("replicasets").is_empty());
}

#[test]
fn a_deployment_that_is_being_deleted_only_reports() {
    let cluster = settled(2);
    edit(&cluster, |deployment| {
        deployment["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        deployment["spec"]["replicas"] = 7.into();
    });
    sync(&cluster).unwrap();
    assert_eq!(cluster.take_calls(), ["update deployments/status default/web"]);
    assert_eq!(size_of(&cluster, "v1"), 2);
}

#[test]
fn an_unknown_strategy_is_an_error() {
    let cluster = cluster(1);
    edit(&cluster, |deployment| {
        deployment["spec"]["strategy"] = json!({"type": "Magic"})
    });
    assert_eq!(
        sync(&cluster).unwrap_err().to_string(),
        "unexpected deployment strategy type: Magic"
    );
}

#[test]
fn a_matching_orphan_is_adopted() {
    let cluster = settled(1);
    let set = name(&set_of(&cluster, "v1")).to_owned();
    edit_set(&cluster, &set, |set| {
        set["metadata"]["ownerReferences"] = json!([])
    });
    sync(&cluster).unwrap();
    assert_eq!(
        cluster.take_calls(),
        [
            "get deployments default/web".to_owned(),
            format!("patch replicasets default/{set}")
        ]
    );
    assert_eq!(cluster.list("replicasets").len(), 1);
}

#[test]
fn a_failing_scale_down_does_not_fail_the_sync() {
    let cluster = settled(2);
    set_image(&cluster, "v2");
    sync(&cluster).unwrap();
    run_pods(&cluster, name(&set_of(&cluster, "v2")));
    cluster.fail(|call| {
        call.starts_with("update replicasets")
            .then(|| api_error(ApiErrorKind::Conflict, "changed"))
    });
    assert!(sync(&cluster).is_ok());
    assert_eq!(get(&cluster)["status"]["updatedReplicas"], 1);
}
