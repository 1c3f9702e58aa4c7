use serde_json::{Value, json};

use super::*;
use crate::config::FinalReport;

const LATENCIES: Latencies = Latencies {
    schedule_to_creating: Duration::ZERO,
    creating_to_running: Duration::ZERO,
    termination: Duration::ZERO,
    run_time: Duration::ZERO,
};

fn at(seconds: u64) -> Time {
    Time::EPOCH.plus(Duration::from_secs(seconds))
}

fn rfc3339(seconds: u64) -> String {
    at(seconds).to_string()
}

/// A pod with one container; `overlay` is merged over it.
fn pod(overlay: &Value) -> Value {
    let mut pod = json!({
        "metadata": { "name": "p", "namespace": "ns", "uid": "u", "generation": 1 },
        "spec": { "nodeName": "node-0", "containers": [{ "name": "c", "image": "nginx" }] },
        "status": { "phase": "Pending" },
    });
    merge(&mut pod, overlay);
    pod
}

fn merge(target: &mut Value, overlay: &Value) {
    match (target, overlay) {
        (Value::Object(target), Value::Object(overlay)) => {
            for (key, value) in overlay {
                merge(target.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (target, overlay) => *target = overlay.clone(),
    }
}

fn placement() -> Placement {
    Placement {
        node: 0,
        host_ip: Ipv4Addr::new(172, 16, 0, 2),
        pod_ip: Ipv4Addr::new(10, 128, 0, 1),
    }
}

fn worker_with(overlay: &Value, latencies: &Latencies, now: Time) -> PodWorker {
    let pod: Pod = serde_json::from_value(pod(overlay)).unwrap();
    PodWorker::new(pod, "p_ns(u)".into(), placement(), latencies, now)
}

fn worker(overlay: &Value) -> PodWorker {
    worker_with(overlay, &LATENCIES, at(0))
}

fn head(overlay: &Value) -> PodHead {
    serde_json::from_value(pod(overlay)).unwrap()
}

/// Advances, makes the due write and says what it was: a status or `null` for a deletion.
fn write_at(worker: &mut PodWorker, now: Time) -> Option<Value> {
    worker.advance(now, &LATENCIES);
    let write = worker.next_write(now, FinalReport::WhenItMatters)?;
    assert_eq!(
        worker.next_write(now, FinalReport::WhenItMatters),
        None,
        "one write at a time"
    );
    worker.written(&write);
    Some(match write {
        Write::Report(patch) => {
            let patch: Value = serde_json::from_slice(&patch).unwrap();
            assert_eq!(patch["metadata"], json!({ "uid": "u" }));
            patch["status"].clone()
        }
        Write::Delete => Value::Null,
    })
}

fn condition<'a>(status: &'a Value, kind: &str) -> &'a Value {
    let conditions = status["conditions"].as_array().unwrap();
    conditions
        .iter()
        .find(|condition| condition["type"] == kind)
        .unwrap()
}

#[test]
fn without_latency_a_pod_is_running_and_ready_after_one_write() {
    let mut worker = worker(&json!({}));
    let status = write_at(&mut worker, at(5)).unwrap();
    assert_eq!(status["phase"], "Running");
    assert_eq!(status["observedGeneration"], 1);
    assert_eq!(status["startTime"], rfc3339(5));
    assert_eq!(status["podIPs"], json!([{ "ip": "10.128.0.1" }]));
    assert_eq!(status["hostIPs"], json!([{ "ip": "172.16.0.2" }]));
    assert_eq!(
        *condition(&status, "Ready"),
        json!({ "type": "Ready", "status": "True", "lastTransitionTime": rfc3339(5), "observedGeneration": 1 })
    );
    assert_eq!(
        status["containerStatuses"],
        json!([{
            "name": "c", "image": "nginx", "imageID": "nginx", "containerID": "windlass://u-c-0",
            "ready": true, "started": true, "restartCount": 0,
            "state": { "running": { "startedAt": rfc3339(5) } }, "lastState": {},
        }])
    );
    assert_eq!(
        write_at(&mut worker, at(500)),
        None,
        "a settled pod writes nothing"
    );
}

#[test]
fn with_latency_each_step_is_reported() {
    let latencies = Latencies {
        creating_to_running: Duration::from_secs(2),
        ..LATENCIES
    };
    let mut worker = worker_with(&json!({}), &latencies, at(0));
    worker.advance(at(0), &latencies);
    let write = worker.next_write(at(0), FinalReport::WhenItMatters).unwrap();
    worker.written(&write);
    let Write::Report(patch) = write else {
        panic!("not a report")
    };
    let status = serde_json::from_slice::<Value>(&patch).unwrap()["status"].clone();
    assert_eq!(status["phase"], "Pending");
    assert_eq!(
        status["containerStatuses"][0]["state"],
        json!({ "waiting": { "reason": "ContainerCreating" } })
    );
    assert_eq!(condition(&status, "PodReadyToStartContainers")["status"], "False");
    assert_eq!((status.get("podIP"), worker.next_due()), (None, Some(at(2))));
    let status = write_at(&mut worker, at(2)).unwrap();
    assert_eq!(
        (status["phase"].as_str(), status["startTime"].as_str()),
        (Some("Running"), Some(rfc3339(0).as_str()))
    );
    assert_eq!(
        condition(&status, "Ready")["reason"],
        Value::Null,
        "the reason for not being ready is taken back"
    );
    assert!(
        condition(&status, "Ready")
            .as_object()
            .unwrap()
            .contains_key("reason")
    );
}

#[test]
fn init_containers_run_one_by_one_before_the_others() {
    let mut worker = worker(&json!({ "spec": {
        "initContainers": [
            { "name": "first", "image": "busybox", "command": ["sleep", "5"] },
            { "name": "side", "image": "proxy", "restartPolicy": "Always" },
            { "name": "second", "image": "busybox", "command": ["sleep", "5"] },
        ],
    }}));
    let started = |status: &Value, list: &str, index: usize| status[list][index]["started"] == true;
    let status = write_at(&mut worker, at(0)).unwrap();
    assert_eq!(
        [0, 1, 2].map(|i| started(&status, "initContainerStatuses", i)),
        [true, false, false]
    );
    assert_eq!(
        status["containerStatuses"][0]["state"]["waiting"]["reason"],
        "PodInitializing"
    );
    assert_eq!(
        condition(&status, "Initialized")["message"],
        "containers with incomplete status: [first side second]"
    );
    let status = write_at(&mut worker, at(5)).unwrap();
    assert_eq!(
        [0, 1, 2].map(|i| started(&status, "initContainerStatuses", i)),
        [false, true, true]
    );
    let status = write_at(&mut worker, at(10)).unwrap();
    assert_eq!(
        (status["phase"].as_str(), started(&status, "containerStatuses", 0)),
        (Some("Running"), true)
    );
    assert_eq!(condition(&status, "Ready")["status"], "True");
}

#[test]
fn a_pod_of_a_job_ends_by_itself_and_its_sidecars_with_it() {
    let mut worker = worker(&json!({
        "metadata": { "ownerReferences": [{ "kind": "Job", "controller": true }], "finalizers": ["x"] },
        "spec": {
            "restartPolicy": "Never",
            "initContainers": [{ "name": "side", "image": "proxy", "restartPolicy": "Always" }],
        },
    }));
    let status = write_at(&mut worker, at(0)).unwrap();
    assert_eq!(status["phase"], "Succeeded");
    assert_eq!(
        status["containerStatuses"][0]["state"]["terminated"]["exitCode"],
        0
    );
    assert!(status["initContainerStatuses"][0]["state"]["terminated"].is_object());
    assert!(!worker.holds_resources());
    assert_eq!(worker.next_due(), None);
}

#[test]
fn a_failing_job_pod_fails_with_its_exit_code() {
    let mut worker = worker(&json!({ "spec": {
        "restartPolicy": "Never",
        "containers": [{ "name": "c", "image": "busybox", "command": ["sh", "-c", "exit 42"] }],
    }}));
    let status = write_at(&mut worker, at(0)).unwrap();
    assert_eq!(status["phase"], "Failed");
    let terminated = &status["containerStatuses"][0]["state"]["terminated"];
    assert_eq!(
        (&terminated["exitCode"], &terminated["reason"]),
        (&json!(42), &json!("Error"))
    );
}

#[test]
fn a_crash_loop_is_reported_as_one() {
    let mut worker = worker(&json!({ "spec": {
        "containers": [{ "name": "c", "image": "busybox", "command": ["false"] }],
    }}));
    let status = write_at(&mut worker, at(0)).unwrap();
    assert_eq!(status["phase"], "Running");
    let container = &status["containerStatuses"][0];
    assert_eq!(
        container["state"]["waiting"],
        json!({ "reason": "CrashLoopBackOff", "message": "back-off 10s restarting failed container=c pod=p_ns(u)" })
    );
    assert_eq!(
        (
            &container["restartCount"],
            &container["lastState"]["terminated"]["exitCode"]
        ),
        (&json!(1), &json!(1))
    );
    assert_eq!(worker.next_due(), Some(at(10)));
}

#[test]
fn deletion_stops_the_containers_and_then_removes_the_object() {
    let mut worker = worker(&json!({}));
    write_at(&mut worker, at(0)).unwrap();
    worker.update(
        head(&json!({ "metadata": { "deletionTimestamp": rfc3339(40) } })),
        at(10),
    );
    let log = worker.advance(at(10), &LATENCIES);
    assert_eq!(
        log.iter().map(|o| o.happening).collect::<Vec<_>>(),
        [Happening::Killing]
    );
    assert_eq!(
        write_at(&mut worker, at(10)),
        Some(Value::Null),
        "nobody needs its last status"
    );
    assert_eq!(write_at(&mut worker, at(11)), None);
}

#[test]
fn the_last_status_is_written_where_it_matters() {
    let mut worker = worker(&json!({ "metadata": { "finalizers": ["keep"] } }));
    write_at(&mut worker, at(0)).unwrap();
    let deleted = json!({ "metadata": { "deletionTimestamp": rfc3339(40), "finalizers": ["keep"] } });
    worker.update(head(&deleted), at(10));
    let status = write_at(&mut worker, at(10)).unwrap();
    assert_eq!(
        (&status["phase"], &status["containerStatuses"][0]["ready"]),
        (&json!("Succeeded"), &json!(false))
    );
    assert_eq!(condition(&status, "Ready")["reason"], "PodCompleted");
    assert_eq!(write_at(&mut worker, at(10)), Some(Value::Null));
}

#[test]
fn a_program_that_ignores_sigterm_is_killed_when_the_grace_period_ends() {
    let annotated = |rest: Value| {
        let mut all = json!({ "metadata": { "annotations": { "windlass.dev/ignore-sigterm": "true" }, "finalizers": ["x"] } });
        merge(&mut all, &rest);
        all
    };
    let mut worker = worker(&annotated(json!({})));
    write_at(&mut worker, at(0)).unwrap();
    worker.update(
        head(&annotated(
            json!({ "metadata": { "deletionTimestamp": rfc3339(40) } }),
        )),
        at(10),
    );
    write_at(&mut worker, at(10));
    assert_eq!(worker.next_due(), Some(at(40)));
    // The grace period can only become shorter.
    worker.update(
        head(&annotated(
            json!({ "metadata": { "deletionTimestamp": rfc3339(15) } }),
        )),
        at(11),
    );
    assert_eq!(worker.next_due(), Some(at(15)));
    let status = write_at(&mut worker, at(15)).unwrap();
    assert_eq!(status["phase"], "Failed");
    assert_eq!(
        status["containerStatuses"][0]["state"]["terminated"]["exitCode"],
        137
    );
}

#[test]
fn a_pod_that_never_started_goes_without_ever_running() {
    let overlay = json!({
        "metadata": { "deletionTimestamp": rfc3339(30), "finalizers": ["x"] },
        "spec": { "containers": [{ "name": "c", "image": "redis:nonexistent" }] },
    });
    let mut worker = worker(&overlay);
    let status = write_at(&mut worker, at(0)).unwrap();
    assert_eq!(status["phase"], "Failed");
    assert_eq!(
        status["containerStatuses"][0]["state"]["terminated"]["reason"],
        "ContainerStatusUnknown"
    );
    assert_eq!(write_at(&mut worker, at(0)), Some(Value::Null));
}

#[test]
fn the_active_deadline_fails_the_pod() {
    let mut worker = worker(&json!({ "spec": { "activeDeadlineSeconds": 5 } }));
    write_at(&mut worker, at(0)).unwrap();
    assert_eq!(worker.next_due(), Some(at(5)));
    let status = write_at(&mut worker, at(5)).unwrap();
    assert_eq!(
        (&status["phase"], &status["reason"]),
        (&json!("Failed"), &json!("DeadlineExceeded"))
    );
    assert_eq!(
        status["message"],
        "Pod was active on the node longer than the specified deadline"
    );
}

#[test]
fn a_phase_that_somebody_else_ended_stays_ended() {
    let mut worker = worker(&json!({}));
    write_at(&mut worker, at(0)).unwrap();
    worker.update(head(&json!({ "status": { "phase": "Failed" } })), at(1));
    let status = write_at(&mut worker, at(1)).unwrap();
    assert_eq!(status["phase"], "Failed");
    assert!(status["containerStatuses"][0]["state"]["terminated"].is_object());
    assert_eq!(write_at(&mut worker, at(100)), None);
}

#[test]
fn a_pod_found_ended_is_left_alone_until_it_is_deleted() {
    let mut worker = worker(&json!({ "status": { "phase": "Succeeded" } }));
    assert_eq!(write_at(&mut worker, at(0)), None);
    worker.update(
        head(&json!({ "metadata": { "deletionTimestamp": rfc3339(1) }, "status": { "phase": "Succeeded" } })),
        at(1),
    );
    assert_eq!(write_at(&mut worker, at(1)), Some(Value::Null));
}

#[test]
fn what_others_overwrote_is_written_again() {
    let mut worker = worker(&json!({}));
    let mut status = write_at(&mut worker, at(0)).unwrap();
    worker.update(head(&json!({ "status": status })), at(1));
    assert_eq!(write_at(&mut worker, at(1)), None);
    status["conditions"][2]["status"] = json!("False");
    worker.update(head(&json!({ "status": status })), at(2));
    let again = write_at(&mut worker, at(2)).unwrap();
    assert_eq!(condition(&again, "Ready")["status"], "True");
}

#[test]
fn an_annotation_makes_a_pod_unready_and_ready_again() {
    let mut worker = worker(&json!({}));
    let status = write_at(&mut worker, at(0)).unwrap();
    let annotated =
        json!({ "metadata": { "annotations": { "windlass.dev/ready": "false" } }, "status": status });
    worker.update(head(&annotated), at(1));
    let status = write_at(&mut worker, at(1)).unwrap();
    assert_eq!(
        (&condition(&status, "Ready")["status"], &status["phase"]),
        (&json!("False"), &json!("Running"))
    );
    worker.update(head(&json!({ "status": status })), at(2));
    assert_eq!(
        condition(&write_at(&mut worker, at(2)).unwrap(), "Ready")["status"],
        "True"
    );
}

#[test]
fn a_readiness_gate_opens_when_its_condition_does() {
    let gated = json!({ "spec": { "readinessGates": [{ "conditionType": "x/gate" }] } });
    let mut worker = worker(&gated);
    let mut status = write_at(&mut worker, at(0)).unwrap();
    assert_eq!(condition(&status, "Ready")["reason"], "ReadinessGatesNotReady");
    status["conditions"]
        .as_array_mut()
        .unwrap()
        .push(json!({ "type": "x/gate", "status": "True" }));
    worker.update(head(&json!({ "status": status })), at(1));
    assert_eq!(
        condition(&write_at(&mut worker, at(1)).unwrap(), "Ready")["status"],
        "True"
    );
}

#[test]
fn a_new_generation_is_observed() {
    let mut worker = worker(&json!({}));
    write_at(&mut worker, at(0)).unwrap();
    let spec: PodSpec =
        serde_json::from_value(json!({ "containers": [{ "name": "c", "image": "nginx:2" }] })).unwrap();
    worker.update_spec(2, &spec, at(1));
    let status = write_at(&mut worker, at(1)).unwrap();
    assert_eq!(
        (
            &status["observedGeneration"],
            &condition(&status, "Ready")["observedGeneration"]
        ),
        (&json!(2), &json!(2))
    );
    assert_eq!(
        (
            &status["containerStatuses"][0]["restartCount"],
            &status["containerStatuses"][0]["image"]
        ),
        (&json!(1), &json!("nginx:2"))
    );
}

#[test]
fn a_restarted_agent_goes_on_where_the_old_one_left_off() {
    let mut old = worker(&json!({}));
    let status = write_at(&mut old, at(0)).unwrap();
    let mut new = worker_with(&json!({ "status": status }), &LATENCIES, at(100));
    assert_eq!(
        write_at(&mut new, at(100)),
        None,
        "nothing changed, so nothing is written"
    );
    new.update(
        head(&json!({ "metadata": { "annotations": { "windlass.dev/ready": "false" } }, "status": status })),
        at(101),
    );
    let status = write_at(&mut new, at(101)).unwrap();
    assert_eq!(
        (&status["startTime"], &status["podIP"]),
        (&json!(rfc3339(0)), &json!("10.128.0.1"))
    );
    assert_eq!(
        condition(&status, "Initialized")["lastTransitionTime"],
        rfc3339(0)
    );
    assert_eq!(
        status["containerStatuses"][0]["state"]["running"]["startedAt"],
        rfc3339(0)
    );
}

#[test]
fn a_failed_write_is_made_anew_at_the_time_given() {
    let mut worker = worker(&json!({}));
    worker.advance(at(0), &LATENCIES);
    let write = worker.next_write(at(0), FinalReport::WhenItMatters).unwrap();
    worker.write_failed(&write, at(3));
    assert_eq!(
        (write_at(&mut worker, at(2)), worker.next_due()),
        (None, Some(at(3)))
    );
    assert_eq!(write_at(&mut worker, at(3)).unwrap()["phase"], "Running");
}

#[test]
fn a_rejected_pod_fails_with_the_reason_and_nothing_else() {
    let pod: Pod = serde_json::from_value(pod(&json!({}))).unwrap();
    let failure = Failure {
        reason: "NodePorts".into(),
        message: "Pod was rejected: …".to_owned(),
    };
    let mut worker = PodWorker::rejected(pod, "p_ns(u)".into(), placement(), failure, at(0));
    let status = write_at(&mut worker, at(0)).unwrap();
    assert_eq!(
        status,
        json!({ "observedGeneration": 1, "phase": "Failed", "reason": "NodePorts", "message": "Pod was rejected: …" })
    );
}
