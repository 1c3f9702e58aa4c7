//! Scaling and pausing.

use serde_json::Value;

use super::*;

#[test]
fn a_single_replica_set_follows_the_wanted_number() {
    let cluster = settled(2);
    edit(&cluster, |deployment| deployment["spec"]["replicas"] = 5.into());
    sync(&cluster).unwrap();
    let set = set_of(&cluster, "v1");
    assert_eq!(set["spec"]["replicas"], 5);
    assert_eq!(
        set["metadata"]["annotations"]["deployment.kubernetes.io/desired-replicas"],
        "5"
    );
    assert_eq!(
        set["metadata"]["annotations"]["deployment.kubernetes.io/max-replicas"],
        "6"
    );
    assert_eq!(
        cluster.take_events(),
        [format!(
            "Normal ScalingReplicaSet Scaled up replica set {} from 2 to 5",
            name(&set)
        )]
    );
}

/// Ten pods, of which five run the new image, and one more may.
fn halfway() -> Cluster {
    let cluster = settled(10);
    set_image(&cluster, "v2");
    sync(&cluster).unwrap();
    for (image, size) in [("v1", 6), ("v2", 5)] {
        let set = name(&set_of(&cluster, image)).to_owned();
        edit_set(&cluster, &set, |set| {
            set["spec"]["replicas"] = size.into();
            set["metadata"]["annotations"]["deployment.kubernetes.io/max-replicas"] = "11".into();
        });
        run_pods(&cluster, &set);
    }
    cluster
}

#[test]
fn a_change_during_a_rollout_is_shared_in_proportion() {
    let cluster = halfway();
    edit(&cluster, |deployment| deployment["spec"]["replicas"] = 20.into());
    sync(&cluster).unwrap();
    // 21 in all: 6 * 21 / 11 = 11.45 and 5 * 21 / 11 = 9.55.
    assert_eq!((size_of(&cluster, "v1"), size_of(&cluster, "v2")), (11, 10));

    let cluster = halfway();
    edit(&cluster, |deployment| deployment["spec"]["replicas"] = 4.into());
    sync(&cluster).unwrap();
    // 5 in all: 6 * 5 / 11 = 2.7 and 5 * 5 / 11 = 2.3.
    assert_eq!((size_of(&cluster, "v1"), size_of(&cluster, "v2")), (3, 2));
    for image in ["v1", "v2"] {
        assert_eq!(
            set_of(&cluster, image)["metadata"]["annotations"]["deployment.kubernetes.io/desired-replicas"],
            "4"
        );
    }
}

#[test]
fn what_rounding_leaves_goes_to_the_largest() {
    let cluster = halfway();
    let (old, new) = (
        name(&set_of(&cluster, "v1")).to_owned(),
        name(&set_of(&cluster, "v2")).to_owned(),
    );
    // Sizes that were never in proportion: the sum decides.
    edit_set(&cluster, &old, |set| set["spec"]["replicas"] = 4.into());
    edit_set(&cluster, &new, |set| set["spec"]["replicas"] = 4.into());
    edit(&cluster, |deployment| deployment["spec"]["replicas"] = 12.into());
    sync(&cluster).unwrap();
    // 13 - 8 = 5 to add; each share is round(4 * 13 / 11) - 4 = 1, the newer of equals takes 3 more.
    assert_eq!((size_of(&cluster, "v1"), size_of(&cluster, "v2")), (5, 8));
}

#[test]
fn scaling_to_zero_during_a_rollout_empties_all() {
    let cluster = halfway();
    edit(&cluster, |deployment| deployment["spec"]["replicas"] = 0.into());
    sync(&cluster).unwrap();
    assert_eq!((size_of(&cluster, "v1"), size_of(&cluster, "v2")), (0, 0));
}

#[test]
fn a_saturated_new_set_lets_the_old_ones_go() {
    let cluster = halfway();
    edit(&cluster, |deployment| deployment["spec"]["paused"] = true.into());
    let new = name(&set_of(&cluster, "v2")).to_owned();
    edit_set(&cluster, &new, |set| set["spec"]["replicas"] = 10.into());
    run_pods(&cluster, &new);
    sync(&cluster).unwrap();
    assert_eq!((size_of(&cluster, "v1"), size_of(&cluster, "v2")), (0, 10));
}

#[test]
fn a_paused_deployment_scales_but_does_not_roll() {
    let cluster = settled(2);
    edit(&cluster, |deployment| {
        deployment["spec"]["paused"] = true.into();
        deployment["spec"]["replicas"] = 3.into();
        deployment["spec"]["template"]["spec"]["containers"][0]["image"] = "v2".into();
    });
    settle(&cluster);
    assert_eq!(cluster.list("replicasets").len(), 1);
    assert_eq!(size_of(&cluster, "v1"), 3);
    assert!(conditions(&cluster).contains(&"Progressing=Unknown DeploymentPaused".to_owned()));
    assert_eq!(message(&cluster, "Progressing"), "Deployment is paused");
    assert_eq!(get(&cluster)["status"]["updatedReplicas"], Value::Null);

    edit(&cluster, |deployment| deployment["spec"]["paused"] = false.into());
    settle(&cluster);
    assert_eq!((size_of(&cluster, "v1"), size_of(&cluster, "v2")), (0, 3));
    assert!(conditions(&cluster).contains(&"Progressing=True NewReplicaSetAvailable".to_owned()));
}

#[test]
fn a_resumed_deployment_says_so_until_it_moves() {
    let cluster = settled(1);
    edit(&cluster, |deployment| deployment["spec"]["paused"] = true.into());
    settle(&cluster);
    edit(&cluster, |deployment| {
        deployment["spec"]["paused"] = false.into();
        deployment["spec"]["replicas"] = 2.into();
    });
    sync(&cluster).unwrap();
    assert!(conditions(&cluster).contains(&"Progressing=Unknown DeploymentResumed".to_owned()));
    assert_eq!(message(&cluster, "Progressing"), "Deployment is resumed");
}
