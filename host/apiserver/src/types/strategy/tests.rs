//! Generations, statuses and classes as the registry's own tests check them.

use super::*;

#[test]
fn a_new_pod_is_pending_with_its_class() {
    let mut pod = json!({"metadata": {"name": "a"}, "status": {"phase": "Running"},
        "spec": {"containers": [{"name": "c"}], "schedulingGates": [{"name": "g"}]}});
    prepare_for_create("", "Pod", &mut pod);
    assert_eq!(pod["metadata"]["generation"], 1);
    assert_eq!(
        pod["status"],
        json!({"phase": "Pending", "qosClass": "BestEffort", "conditions": [{
            "type": "PodScheduled", "status": "False", "reason": "SchedulingGated",
            "message": "Scheduling is blocked due to non-empty scheduling gates"}]})
    );
}

#[test]
fn classes_follow_requests_and_limits() {
    let class = |resources: Value| qos_class(&json!({"containers": [{"name": "c", "resources": resources}]}));
    let full = json!({"cpu": "1", "memory": "1Gi"});
    assert_eq!(class(json!({})), "BestEffort");
    assert_eq!(class(json!({"requests": {"example.com/gpu": "1"}})), "BestEffort");
    assert_eq!(
        class(json!({"requests": full, "limits": {"cpu": "1000m", "memory": "1024Mi"}})),
        "Guaranteed"
    );
    assert_eq!(
        class(json!({"requests": {"cpu": "1"}, "limits": {"cpu": "1"}})),
        "Burstable"
    );
    assert_eq!(
        class(json!({"requests": {"cpu": "1", "memory": "1"}, "limits": full})),
        "Burstable"
    );
    let two = json!({"containers": [{"resources": {"requests": full, "limits": full}}, {}]});
    assert_eq!(qos_class(&two), "Burstable");
}

#[test]
fn a_node_keeps_the_status_it_registers_with_and_others_lose_theirs() {
    let mut node = json!({"metadata": {}, "status": {"capacity": {"cpu": "1"}}});
    prepare_for_create("", "Node", &mut node);
    assert_eq!(node["status"]["capacity"]["cpu"], "1");
    let mut replica_set = json!({"metadata": {"generation": 9}, "status": {"replicas": 5}});
    prepare_for_create("apps", "ReplicaSet", &mut replica_set);
    assert_eq!(
        replica_set,
        json!({"metadata": {"generation": 1}, "status": {"replicas": 0}})
    );
    let mut config = json!({"metadata": {"generation": 3}, "data": {}});
    prepare_for_create("", "ConfigMap", &mut config);
    assert_eq!(config, json!({"metadata": {}, "data": {}}));
}

fn updated(group: &str, kind: &str, mut new: Value, old: &Value) -> Value {
    prepare_for_update(group, kind, &mut new, old);
    new
}

#[test]
fn a_deployment_advances_on_spec_and_annotations_only() {
    let old = json!({"metadata": {"generation": 4, "labels": {"a": "b"}}, "spec": {"replicas": 1}, "status": {"replicas": 1}});
    let labelled =
        json!({"metadata": {"labels": {"x": "y"}}, "spec": {"replicas": 1}, "status": {"replicas": 7}});
    let kept = updated("apps", "Deployment", labelled, &old);
    assert_eq!(kept["metadata"]["generation"], 4);
    assert_eq!(kept["status"]["replicas"], 1);
    let annotated = json!({"metadata": {"annotations": {"x": "y"}}, "spec": {"replicas": 1}});
    assert_eq!(
        updated("apps", "Deployment", annotated.clone(), &old)["metadata"]["generation"],
        5
    );
    assert_eq!(
        updated("apps", "ReplicaSet", annotated, &old)["metadata"]["generation"],
        4
    );
    let scaled = json!({"metadata": {}, "spec": {"replicas": 2}});
    assert_eq!(
        updated("apps", "Deployment", scaled, &old)["metadata"]["generation"],
        5
    );
}

#[test]
fn status_updates_leave_spec_and_protected_metadata_alone() {
    let old = json!({"metadata": {"generation": 4, "labels": {"a": "b"}, "ownerReferences": [1]},
        "spec": {"x": 1}, "status": {"qosClass": "Burstable"}});
    let new = json!({"metadata": {"labels": {"c": "d"}, "annotations": {"e": "f"}}, "spec": {"x": 2}, "status": {"y": 1}});
    let status_of = |group, kind| {
        let mut new = new.clone();
        prepare_for_status_update(group, kind, &mut new, &old);
        new
    };
    let deployment = status_of("apps", "Deployment");
    assert_eq!(
        deployment["metadata"],
        json!({"generation": 4, "labels": {"a": "b"}, "annotations": {"e": "f"}})
    );
    assert_eq!(deployment["spec"], json!({"x": 1}));
    assert_eq!(deployment["status"], json!({"y": 1}));
    let pod = status_of("", "Pod");
    assert_eq!(pod["metadata"]["ownerReferences"], json!([1]));
    assert_eq!(pod["metadata"]["labels"], json!({"c": "d"}));
    assert_eq!(pod["status"], json!({"y": 1, "qosClass": "Burstable"}));
    let mut bare = json!({"metadata": {}});
    prepare_for_status_update("", "Pod", &mut bare, &old);
    assert_eq!(bare["spec"], json!({"x": 1}));
}

#[test]
fn a_namespace_keeps_its_finalizer() {
    let mut namespace = json!({"metadata": {"name": "a"}});
    prepare_for_create("", "Namespace", &mut namespace);
    assert_eq!(namespace["spec"]["finalizers"], json!(["kubernetes"]));
    let stripped = updated(
        "",
        "Namespace",
        json!({"metadata": {}, "spec": {"finalizers": []}}),
        &namespace,
    );
    assert_eq!(stripped["spec"]["finalizers"], json!(["kubernetes"]));
    assert_eq!(stripped["status"], json!({"phase": "Active"}));
}

#[test]
fn custom_resources_advance_on_everything_but_metadata_and_status() {
    let old = json!({"metadata": {"generation": 1, "labels": {"a": "b"}}, "spec": 1, "status": 1});
    let with = |mut new: Value, status| {
        prepare_custom_for_update(&mut new, &old, status);
        new
    };
    assert_eq!(
        with(json!({"metadata": {}, "spec": 1, "status": 2}), true)["metadata"]["generation"],
        1
    );
    assert_eq!(
        with(json!({"metadata": {}, "spec": 1, "status": 2}), true)["status"],
        1
    );
    assert_eq!(
        with(json!({"metadata": {}, "spec": 1, "status": 2}), false)["metadata"]["generation"],
        2
    );
    assert_eq!(
        with(json!({"metadata": {}, "spec": 1, "extra": 2}), true)["metadata"]["generation"],
        2
    );
    let mut status = json!({"metadata": {"labels": {}, "managedFields": [1]}, "spec": 5, "status": 6});
    prepare_custom_for_status_update(&mut status, &old);
    assert_eq!(
        status,
        json!({"metadata": {"generation": 1, "labels": {"a": "b"}, "managedFields": [1]}, "spec": 1, "status": 6})
    );
}

#[test]
fn a_job_selects_its_own_pods_unless_told_otherwise() {
    let mut job = json!({"metadata": {"name": "j", "uid": "u"}, "spec": {"template": {}}});
    prepare_for_create("batch", "Job", &mut job);
    assert_eq!(
        job["spec"]["selector"],
        json!({"matchLabels": {"batch.kubernetes.io/controller-uid": "u"}})
    );
    assert_eq!(
        job["spec"]["template"]["metadata"]["labels"],
        json!({"batch.kubernetes.io/controller-uid": "u", "batch.kubernetes.io/job-name": "j",
            "controller-uid": "u", "job-name": "j"})
    );
    let mut manual = json!({"metadata": {"name": "j", "uid": "u"}, "spec": {"manualSelector": true}});
    prepare_for_create("batch", "Job", &mut manual);
    assert_eq!(manual["spec"], json!({"manualSelector": true}));
}
