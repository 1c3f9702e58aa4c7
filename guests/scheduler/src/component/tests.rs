//! The guest against a fake host: what it asks for, writes and records.

use serde_json::{Value, json};
use windlass_sdk::testing::{Cluster, api_error};
use windlass_sdk::{ApiErrorKind, Delta};

use super::*;

/// Shows the guest an object on the watch of this position.
fn show(guest: &SchedulerGuest, watch: u32, body: &Value) {
    let meta = |field: &str| body["metadata"][field].as_str().unwrap_or_default().to_owned();
    let delta = Delta {
        kind: DeltaKind::Added,
        key: ObjectKey {
            namespace: meta("namespace"),
            name: meta("name"),
        },
        initial: false,
        body: body.to_string().into_bytes(),
        old: None,
    };
    let resource = WATCHES[watch as usize].1;
    guest.observe(vec![Batch {
        watch,
        resource: windlass_sdk::bindings::controller::windlass::controller::types::ApiResource {
            group: resource.group.to_owned(),
            version: resource.version.to_owned(),
            plural: resource.plural.to_owned(),
        },
        kind: String::new(),
        namespaced: watch != 1,
        deltas: vec![delta],
    }]);
}

fn node() -> Value {
    json!({"metadata": {"name": "n"}, "status": {"allocatable": {"cpu": "1", "memory": "1Gi", "pods": "10"}}})
}

fn pod(cpu: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"namespace": "ns", "name": "p", "uid": "u", "resourceVersion": "7", "generation": 1},
        "spec": {"schedulerName": "default-scheduler", "priority": 5,
            "containers": [{"name": "c", "resources": {"requests": {"cpu": cpu}}}]}})
}

fn started() -> (Cluster, SchedulerGuest) {
    let cluster = Cluster::new::<SchedulerGuest>();
    let guest = SchedulerGuest::new();
    show(&guest, 1, &node());
    (cluster, guest)
}

#[test]
fn a_pod_is_queued_by_priority_bound_and_announced() {
    let (cluster, guest) = started();
    show(&guest, 0, &pod("1"));
    let queued = cluster.take_queued();
    assert_eq!(queued.len(), 1);
    assert_eq!((queued[0].key.name.as_str(), queued[0].priority), ("p", 5));
    cluster.put(&pod("1"));
    assert_eq!(cluster.sync(&guest, "ns/p"), Ok(Outcome::Done));
    let binding = json!({"apiVersion": "v1", "kind": "Binding",
        "metadata": {"namespace": "ns", "name": "p", "uid": "u"}, "target": {"kind": "Node", "name": "n"}});
    assert_eq!(
        cluster.take_bodies(),
        [("create pods/binding ns/p".to_owned(), binding)]
    );
    assert_eq!(
        cluster.take_events(),
        ["Normal Scheduled Successfully assigned ns/p to n"]
    );
}

#[test]
fn a_pod_that_fits_nowhere_gets_an_event_and_a_condition() {
    let (cluster, guest) = started();
    show(&guest, 0, &pod("2"));
    cluster.put(&pod("2"));
    assert_eq!(cluster.sync(&guest, "ns/p"), Ok(Outcome::Done));
    let message = "0/1 nodes are available: 1 Insufficient cpu.";
    assert_eq!(
        cluster.take_events(),
        [format!("Warning FailedScheduling {message}")]
    );
    let bodies = cluster.take_bodies();
    let [(call, body)] = bodies.as_slice() else {
        panic!("one patch, not {bodies:?}")
    };
    assert_eq!(call, "patch pods/status ns/p");
    let condition = &body["status"]["conditions"][0];
    assert_eq!(condition["type"], "PodScheduled");
    assert_eq!(condition["status"], "False");
    assert_eq!(condition["reason"], "Unschedulable");
    assert_eq!(condition["message"], message);
    assert_eq!(condition["observedGeneration"], 1);
    assert!(condition["lastTransitionTime"].is_string());
}

#[test]
fn a_refused_binding_is_reported_and_tried_again_later() {
    let (cluster, guest) = started();
    show(&guest, 0, &pod("1"));
    cluster.put(&pod("1"));
    let _ = cluster.take_queued();
    cluster.fail(|call| {
        call.contains("binding")
            .then(|| api_error(ApiErrorKind::Conflict, "already assigned"))
    });
    assert_eq!(cluster.sync(&guest, "ns/p"), Ok(Outcome::Done));
    let expected = "Warning FailedScheduling running Bind plugin \"DefaultBinder\": already assigned";
    assert_eq!(cluster.take_events(), [expected]);
    let queued = cluster.take_queued();
    assert_eq!(queued.len(), 1);
    assert!(queued[0].after_ms > 0);
}

#[test]
fn the_flush_key_comes_back_every_half_minute() {
    let (cluster, guest) = started();
    let outcome = cluster.sync(&guest, "/flush-leftovers");
    assert_eq!(outcome, Ok(Outcome::RequeueAfter(FLUSH_INTERVAL)));
}

#[test]
fn a_wrong_configuration_fails_the_start_by_name() {
    let cluster = Cluster::new::<SchedulerGuest>();
    cluster.configure(&json!({"profilez": []}));
    let guest = SchedulerGuest::new();
    let result = guest.with(|_| ()).unwrap_err().to_string();
    assert!(result.contains("unknown field `profilez`"), "{result}");
}

#[test]
fn a_long_message_is_cut_to_what_an_event_holds() {
    assert_eq!(truncated("x".repeat(1024)).len(), 1024);
    let cut = truncated("é".repeat(600));
    assert!(cut.len() <= 1024 && cut.ends_with(" ..."));
}
