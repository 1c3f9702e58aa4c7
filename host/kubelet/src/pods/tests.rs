use serde_json::{Value, json};
use windlass_core::api_error::ApiErrorKind;

use super::*;
use crate::node::NodeFacts;

struct Bench {
    pods: Pods,
    nodes: NodeTable,
    config: AgentConfig,
}

fn at(seconds: u64) -> Time {
    Time::EPOCH.plus(Duration::from_secs(seconds))
}

fn facts() -> NodeFacts {
    let allocatable = [("cpu".into(), 4_000), ("pods".into(), 110_000)].into();
    NodeFacts {
        name: "node-0".into(),
        allocatable,
        ready: true,
        ..NodeFacts::default()
    }
}

fn pod(name: &str, revision: u64, spec: Value) -> Object {
    let mut body = json!({
        "metadata": {
            "namespace": "ns", "name": name, "uid": format!("uid-{name}"),
            "resourceVersion": revision.to_string(), "generation": 1,
        },
        "spec": { "nodeName": "node-0", "containers": [{ "name": "c", "image": "nginx" }] },
        "status": { "phase": "Pending" },
    });
    if let (Some(target), Value::Object(spec)) = (body["spec"].as_object_mut(), spec) {
        target.extend(spec);
    }
    Object::parse(body.to_string().into()).unwrap()
}

impl Bench {
    fn new() -> Self {
        let config = AgentConfig::with_nodes(1);
        let mut nodes = NodeTable::new(&config).unwrap();
        nodes.found(0, facts());
        Self {
            pods: Pods::new(),
            nodes,
            config,
        }
    }

    fn observe(&mut self, object: &Object, now: Time) {
        self.pods.observe(object, &mut self.nodes, &self.config, now);
    }

    fn next(&mut self, now: Time) -> Option<PodWrite> {
        self.pods.next_write(&self.nodes, &self.config, now)
    }

    fn complete(&mut self, write: &PodWrite, result: Result<u64, ApiError>, now: Time) {
        self.pods
            .complete(write, result, &mut self.nodes, &self.config, now);
    }

    /// Makes the next write succeed and returns the status it reports.
    fn report(&mut self, revision: u64, now: Time) -> Option<Value> {
        let write = self.next(now)?;
        self.complete(&write, Ok(revision), now);
        match write.write {
            Write::Report(patch) => Some(serde_json::from_slice::<Value>(&patch).unwrap()["status"].clone()),
            Write::Delete => Some(Value::Null),
        }
    }
}

fn unavailable() -> ApiError {
    ApiError::local(ApiErrorKind::Unavailable, "no")
}

#[test]
fn pods_of_other_nodes_and_of_none_are_left_alone() {
    let mut bench = Bench::new();
    bench.observe(&pod("a", 1, json!({ "nodeName": "elsewhere" })), at(0));
    bench.observe(&pod("b", 1, json!({ "nodeName": null })), at(0));
    assert_eq!(bench.report(2, at(0)), None);
    bench.observe(&pod("b", 2, json!({})), at(1));
    assert_eq!(bench.report(3, at(1)).unwrap()["phase"], "Running");
}

#[test]
fn the_agents_own_writes_come_back_without_effect() {
    let mut bench = Bench::new();
    bench.observe(&pod("a", 1, json!({})), at(0));
    bench.report(5, at(0)).unwrap();
    // Older than what was written: says Pending, but must not be taken for an overwrite.
    bench.observe(&pod("a", 4, json!({})), at(0));
    assert_eq!(bench.report(6, at(0)), None);
    bench.observe(&pod("a", 6, json!({})), at(0));
    assert_eq!(bench.report(7, at(0)).unwrap()["phase"], "Running");
}

#[test]
fn a_failed_write_is_tried_again_later_and_later() {
    let mut bench = Bench::new();
    bench.observe(&pod("a", 1, json!({})), at(0));
    let mut now = at(0);
    let mut waits = Vec::new();
    for _ in 0..8 {
        let write = bench.next(now).unwrap();
        bench.complete(&write, Err(unavailable()), now);
        let due = bench.pods.next_due().unwrap();
        waits.push(due.since(now).as_millis());
        now = due;
        bench.pods.fire_timers(&mut bench.nodes, &bench.config, now);
    }
    assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 6400, 7000]);
}

#[test]
fn a_write_to_a_pod_that_is_gone_is_not_tried_again() {
    let mut bench = Bench::new();
    bench.observe(&pod("a", 1, json!({})), at(0));
    let write = bench.next(at(0)).unwrap();
    bench.complete(
        &write,
        Err(ApiError::local(ApiErrorKind::NotFound, "gone")),
        at(0),
    );
    assert_eq!(
        (bench.next(at(100)).is_none(), bench.pods.next_due()),
        (true, None)
    );
}

#[test]
fn the_answer_to_a_write_for_a_replaced_pod_is_ignored() {
    let mut bench = Bench::new();
    bench.observe(&pod("a", 1, json!({})), at(0));
    let stale = bench.next(at(0)).unwrap();
    let replacement = json!({
        "metadata": { "namespace": "ns", "name": "a", "uid": "other", "resourceVersion": "2" },
        "spec": { "nodeName": "node-0", "containers": [{ "name": "c", "image": "nginx" }] },
    });
    bench.observe(&Object::parse(replacement.to_string().into()).unwrap(), at(0));
    bench.complete(&stale, Ok(9), at(0));
    let write = bench.next(at(0)).unwrap();
    assert_eq!(write.uid, "other");
}

#[test]
fn a_pod_that_does_not_fit_is_rejected_and_room_is_found_once_another_left() {
    let mut bench = Bench::new();
    let large = || json!({ "containers": [{ "name": "c", "image": "nginx", "resources": { "requests": { "cpu": "3" } } }] });
    bench.observe(&pod("a", 1, large()), at(0));
    bench.report(2, at(0)).unwrap();
    bench.observe(&pod("b", 3, large()), at(0));
    let status = bench.report(4, at(0)).unwrap();
    assert_eq!(
        (&status["phase"], &status["reason"]),
        (&json!("Failed"), &json!("OutOfcpu"))
    );
    assert_eq!(bench.pods.take_events().last().unwrap().reason, "OutOfcpu");
    bench.pods.forget(&ObjectKey::new("ns", "a"), &mut bench.nodes);
    bench.observe(&pod("c", 5, large()), at(0));
    assert_eq!(bench.report(6, at(0)).unwrap()["phase"], "Running");
}

#[test]
fn pods_stand_still_while_their_node_is_gone() {
    let mut bench = Bench::new();
    bench.nodes.lost(0);
    bench.observe(&pod("a", 1, json!({})), at(0));
    assert_eq!(bench.report(2, at(0)), None);
    bench.nodes.found(0, facts());
    bench.pods.resume(0, &mut bench.nodes, &bench.config, at(5));
    assert_eq!(bench.report(3, at(5)).unwrap()["phase"], "Running");
}

#[test]
fn a_timer_wakes_the_pod_it_was_set_for() {
    let mut bench = Bench::new();
    bench.config.latencies.creating_to_running = Duration::from_secs(3);
    bench.observe(&pod("a", 1, json!({})), at(0));
    assert_eq!(bench.report(2, at(0)).unwrap()["phase"], "Pending");
    assert_eq!(bench.pods.next_due(), Some(at(3)));
    bench.pods.fire_timers(&mut bench.nodes, &bench.config, at(3));
    assert_eq!(bench.report(3, at(3)).unwrap()["phase"], "Running");
    assert_eq!(bench.pods.next_due(), None);
}
