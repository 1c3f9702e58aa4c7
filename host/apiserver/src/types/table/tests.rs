//! Rows as `kubectl get` prints them.

use super::*;

const CREATED: &str = "2026-01-01T00:00:00Z";

fn now() -> Timestamp {
    "2026-01-01T00:05:00Z".parse().unwrap()
}

#[track_caller]
fn cells(group: &str, kind: &str, mut object: Value) -> Vec<Value> {
    object["metadata"]["name"] = "x".into();
    object["metadata"]["creationTimestamp"] = CREATED.into();
    let row = row(group, kind, &object, IncludeObject::None, now());
    let cells = row["cells"].as_array().unwrap().clone();
    assert_eq!(cells.len(), columns(group, kind).as_array().unwrap().len());
    cells
}

/// Ready, status and restarts of a pod.
#[track_caller]
fn pod(pod: Value, ready: &str, status: &str, restarts: &str) {
    let cells = cells("", "Pod", pod);
    assert_eq!(cells[1..4], [json!(ready), json!(status), json!(restarts)]);
}

#[test]
fn durations_have_two_units_at_most() {
    for (seconds, expected) in [
        (-5, "<invalid>"),
        (-1, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (125, "2m5s"),
        (600, "10m"),
        (10_799, "179m"),
        (10_800, "3h"),
        (11_100, "3h5m"),
        (28_800, "8h"),
        (172_799, "47h"),
        (172_800, "2d"),
        (180_000, "2d2h"),
        (691_200, "8d"),
        (63_072_000, "2y"),
        (63_158_400, "2y1d"),
        (252_288_000, "8y"),
    ] {
        assert_eq!(human_duration(seconds), expected, "{seconds}");
    }
}

#[test]
fn a_running_pod_shows_ready_containers_and_the_last_restart() {
    pod(
        json!({"spec": {"containers": [{}, {}]}, "status": {"phase": "Running", "containerStatuses": [
            {"ready": true, "restartCount": 2, "state": {"running": {}}, "lastState": {"terminated": {"finishedAt": "2026-01-01T00:00:00Z"}}},
            {"ready": false, "restartCount": 0, "state": {"running": {}}}]}}),
        "1/2",
        "Running",
        "2 (5m ago)",
    );
}

#[test]
fn waiting_and_terminated_reasons_show() {
    let with_state = |state: Value| {
        json!({"spec": {"containers": [{}]},
        "status": {"phase": "Pending", "containerStatuses": [{"restartCount": 0, "state": state}]}})
    };
    pod(
        with_state(json!({"waiting": {"reason": "ImagePullBackOff"}})),
        "0/1",
        "ImagePullBackOff",
        "0",
    );
    pod(
        with_state(json!({"terminated": {"reason": "Completed", "exitCode": 0}})),
        "0/1",
        "Completed",
        "0",
    );
    pod(
        with_state(json!({"terminated": {"exitCode": 3}})),
        "0/1",
        "ExitCode:3",
        "0",
    );
    pod(
        with_state(json!({"terminated": {"exitCode": 137, "signal": 9}})),
        "0/1",
        "Signal:9",
        "0",
    );
    pod(
        json!({"spec": {"containers": [{}]}, "status": {"phase": "Pending"}}),
        "0/1",
        "Pending",
        "0",
    );
    pod(
        json!({"spec": {"containers": [{}]}, "status": {"phase": "Failed", "reason": "Evicted"}}),
        "0/1",
        "Evicted",
        "0",
    );
}

#[test]
fn init_containers_show_their_progress() {
    let with = |statuses: Value| {
        json!({"spec": {"containers": [{}], "initContainers": [{"name": "a"}, {"name": "b"}]},
        "status": {"phase": "Pending", "initContainerStatuses": statuses}})
    };
    let done = json!({"name": "a", "restartCount": 0, "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}});
    pod(
        with(json!([done, {"name": "b", "state": {"running": {}}}])),
        "0/1",
        "Init:1/2",
        "0",
    );
    pod(
        with(json!([{"name": "a", "restartCount": 3, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}])),
        "0/1",
        "Init:CrashLoopBackOff",
        "3",
    );
    pod(
        with(json!([{"name": "a", "state": {"terminated": {"exitCode": 1}}}])),
        "0/1",
        "Init:ExitCode:1",
        "0",
    );
}

#[test]
fn sidecars_count_as_containers() {
    pod(
        json!({"spec": {"containers": [{}], "initContainers": [{"name": "s", "restartPolicy": "Always"}]},
            "status": {"phase": "Running",
                "initContainerStatuses": [{"name": "s", "started": true, "ready": true, "restartCount": 1, "state": {"running": {}}}],
                "containerStatuses": [{"ready": true, "restartCount": 1, "state": {"running": {}}}]}}),
        "2/2",
        "Running",
        "2",
    );
}

#[test]
fn deleting_and_gated_pods_say_so() {
    let deleting = |phase: &str| json!({"metadata": {"deletionTimestamp": CREATED}, "spec": {"containers": [{}]}, "status": {"phase": phase}});
    pod(deleting("Running"), "0/1", "Terminating", "0");
    pod(deleting("Succeeded"), "0/1", "Succeeded", "0");
    pod(
        json!({"spec": {"containers": [{}]}, "status": {"phase": "Pending",
        "conditions": [{"type": "PodScheduled", "reason": "SchedulingGated"}]}}),
        "0/1",
        "SchedulingGated",
        "0",
    );
}

#[test]
fn pod_rows_are_wide_and_marked_when_finished() {
    let object = json!({"metadata": {"name": "x"}, "status": {"phase": "Succeeded", "podIPs": [{"ip": "1.2.3.4"}]},
        "spec": {"nodeName": "n", "containers": []}});
    let row = row("", "Pod", &object, IncludeObject::Metadata, now());
    assert_eq!(
        row["cells"],
        json!([
            "x",
            "0/0",
            "Succeeded",
            "0",
            "<unknown>",
            "1.2.3.4",
            "n",
            "<none>",
            "<none>"
        ])
    );
    assert_eq!(
        row["object"],
        json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": {"name": "x"}})
    );
    assert_eq!(
        row["conditions"][0]["message"],
        "The pod has completed successfully."
    );
}

#[test]
fn workloads_show_their_replicas() {
    let template =
        json!({"spec": {"containers": [{"name": "c", "image": "i"}, {"name": "d", "image": "j"}]}});
    assert_eq!(
        cells(
            "apps",
            "Deployment",
            json!({"spec": {"replicas": 3, "template": template, "selector": {"matchLabels": {"a": "b"}}},
            "status": {"readyReplicas": 2, "updatedReplicas": 3, "availableReplicas": 1}})
        ),
        [
            json!("x"),
            json!("2/3"),
            json!(3),
            json!(1),
            json!("5m"),
            json!("c,d"),
            json!("i,j"),
            json!("a=b")
        ]
    );
    assert_eq!(
        cells(
            "batch",
            "Job",
            json!({"spec": {"completions": 2}, "status": {"succeeded": 1, "startTime": CREATED}})
        ),
        [
            json!("x"),
            json!("Running"),
            json!("1/2"),
            json!("5m"),
            json!("5m"),
            json!(""),
            json!(""),
            json!("<none>")
        ]
    );
    assert_eq!(
        cells(
            "batch",
            "CronJob",
            json!({"spec": {"schedule": "* * * * *", "suspend": false}})
        )[1..6],
        [
            json!("* * * * *"),
            json!("<none>"),
            json!("False"),
            json!(0),
            json!("<none>")
        ]
    );
    assert_eq!(
        cells(
            "autoscaling",
            "HorizontalPodAutoscaler",
            json!({"spec": {"maxReplicas": 5, "scaleTargetRef": {"kind": "Deployment", "name": "d"},
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"averageUtilization": 50}}}]}})
        )[1..5],
        [
            json!("Deployment/d"),
            json!("cpu: <unknown>/50%"),
            json!("<unset>"),
            json!(5)
        ]
    );
}

#[test]
fn services_and_endpoints_show_addresses() {
    assert_eq!(
        cells(
            "",
            "Service",
            json!({"spec": {"type": "NodePort", "clusterIPs": ["10.0.0.1"],
            "ports": [{"port": 80, "nodePort": 30000, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}]}})
        ),
        [
            json!("x"),
            json!("NodePort"),
            json!("10.0.0.1"),
            json!("<none>"),
            json!("80:30000/TCP,53/UDP"),
            json!("5m"),
            json!("<none>")
        ]
    );
    assert_eq!(
        cells("", "Service", json!({"spec": {"type": "LoadBalancer"}}))[3],
        "<pending>"
    );
    assert_eq!(
        cells(
            "",
            "Endpoints",
            json!({"subsets": [{"ports": [{"port": 80}],
            "addresses": [{"ip": "1"}, {"ip": "2"}, {"ip": "3"}, {"ip": "4"}]}]})
        )[1],
        "1:80,2:80,3:80 + 1 more..."
    );
    assert_eq!(
        cells(
            "discovery.k8s.io",
            "EndpointSlice",
            json!({"addressType": "IPv4"})
        )[1..4],
        [json!("IPv4"), json!("<unset>"), json!("<unset>")]
    );
}

#[test]
fn nodes_show_status_roles_and_addresses() {
    let cells = cells(
        "",
        "Node",
        json!({"metadata": {"labels": {"node-role.kubernetes.io/control-plane": ""}},
        "spec": {"unschedulable": true},
        "status": {"conditions": [{"type": "Ready", "status": "True"}], "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
            "nodeInfo": {"kubeletVersion": "v1.36.0"}}}),
    );
    assert_eq!(
        cells[1..7],
        [
            json!("Ready,SchedulingDisabled"),
            json!("control-plane"),
            json!("5m"),
            json!("v1.36.0"),
            json!("10.0.0.1"),
            json!("<none>")
        ]
    );
}

#[test]
fn events_show_the_series_and_the_source() {
    let cells = cells(
        "",
        "Event",
        json!({"type": "Normal", "reason": "Started", "message": " m ", "count": 4,
        "involvedObject": {"kind": "Pod", "name": "p", "fieldPath": "spec"}, "source": {"component": "kubelet", "host": "n"},
        "firstTimestamp": CREATED, "lastTimestamp": "2026-01-01T00:04:00Z"}),
    );
    assert_eq!(
        cells,
        [
            json!("60s"),
            json!("Normal"),
            json!("Started"),
            json!("pod/p"),
            json!("spec"),
            json!("kubelet, n"),
            json!("m"),
            json!("5m"),
            json!(4),
            json!("x")
        ]
    );
}

#[test]
fn volumes_and_quotas_show_amounts() {
    assert_eq!(
        cells(
            "",
            "PersistentVolumeClaim",
            json!({"spec": {"volumeName": "v", "storageClassName": "s"},
            "status": {"phase": "Bound", "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteMany", "ReadWriteOnce"]}})
        )[1..7],
        [
            json!("Bound"),
            json!("v"),
            json!("1Gi"),
            json!("RWO,RWX"),
            json!("s"),
            json!("<unset>")
        ]
    );
    assert_eq!(
        cells(
            "",
            "ResourceQuota",
            json!({"status": {"hard": {"pods": "2", "limits.cpu": "4"}, "used": {"pods": "1"}}})
        )[1..3],
        [json!("pods: 1/2"), json!("limits.cpu: 0/4")]
    );
}

#[test]
fn other_types_show_name_and_creation() {
    assert_eq!(
        cells("example.com", "Thing", json!({})),
        [json!("x"), json!(CREATED)]
    );
    let table = render(
        "",
        "ConfigMap",
        &[&json!({"metadata": {"name": "x"}, "data": {"a": ""}})],
        IncludeObject::None,
        now(),
    );
    assert_eq!(table["kind"], "Table");
    assert_eq!(
        table["columnDefinitions"][0],
        json!({"name": "Name", "type": "string", "format": "name", "description": "", "priority": 0})
    );
    assert_eq!(
        table["rows"],
        json!([{"cells": ["x", 1, "<unknown>"], "object": null}])
    );
}
