//! Queueing, events and the life of a pod, through the scheduler's own interface.

use serde_json::{Value, json};

use super::*;

struct Cluster(Scheduler);

impl Cluster {
    fn new() -> Self {
        Self(Scheduler::new(Config::default()))
    }

    fn with_nodes(nodes: &[(&str, &str)]) -> Self {
        let mut cluster = Self::new();
        for (name, cpu) in nodes {
            cluster.node(name, cpu, json!({}), 0);
        }
        cluster
    }

    fn put(&mut self, resource: Resource, key: &str, body: &Value, now_ms: u64) {
        self.0
            .upsert(resource, &key_of(key), body.to_string().as_bytes(), false, now_ms)
            .unwrap();
    }

    fn node(&mut self, name: &str, cpu: &str, spec: Value, now_ms: u64) {
        let body = json!({"metadata": {"labels": {"kubernetes.io/hostname": name}}, "spec": spec,
            "status": {"allocatable": {"cpu": cpu, "memory": "8Gi", "pods": "10"}}});
        self.put(Resource::Nodes, &format!("/{name}"), &body, now_ms);
    }

    fn pod(&mut self, name: &str, body: Value, now_ms: u64) {
        self.put(Resource::Pods, &format!("ns/{name}"), &body, now_ms);
    }

    fn schedule(&mut self, name: &str, now_ms: u64) -> Decision {
        self.0.schedule(&PodKey::new("ns", name), now_ms)
    }

    fn bind(&mut self, name: &str, now_ms: u64) -> Assignment {
        match self.schedule(name, now_ms) {
            Decision::Bind(assignment) => assignment,
            other => panic!("{name} should be bound, not {other:?}"),
        }
    }

    fn failure(&mut self, name: &str, now_ms: u64) -> Failure {
        match self.schedule(name, now_ms) {
            Decision::Fail(failure) => failure,
            other => panic!("{name} should fail, not {other:?}"),
        }
    }

    /// The pods that were queued since the last call, with their delay.
    fn queued(&mut self) -> Vec<(String, u64)> {
        self.0
            .take_items()
            .into_iter()
            .map(|item| (item.key.name.to_string(), item.after_ms))
            .collect()
    }
}

fn key_of(text: &str) -> PodKey {
    let (namespace, name) = text.split_once('/').unwrap();
    PodKey::new(namespace, name)
}

fn pod(cpu: &str) -> Value {
    json!({"metadata": {"uid": "u", "generation": 1, "labels": {"app": "a"}},
        "spec": {"schedulerName": "default-scheduler", "containers": [{"name": "c", "resources": {"requests": {"cpu": cpu}}}]}})
}

fn on(mut pod: Value, node: &str) -> Value {
    pod["spec"]["nodeName"] = json!(node);
    pod
}

#[test]
fn a_pending_pod_is_queued_with_its_priority_and_goes_to_the_emptiest_node() {
    let mut cluster = Cluster::with_nodes(&[("a", "2"), ("b", "4")]);
    let mut body = pod("1");
    body["spec"]["priority"] = json!(7);
    cluster.pod("p", body, 0);
    let items = cluster.0.take_items();
    assert_eq!(
        items,
        [QueueItem {
            key: PodKey::new("ns", "p"),
            after_ms: 0,
            priority: 7
        }]
    );
    assert_eq!(&*cluster.bind("p", 0).node, "b");
    assert_eq!(cluster.schedule("p", 0), Decision::Nothing);
}

#[test]
fn an_assumed_pod_takes_room_before_the_server_confirms() {
    let mut cluster = Cluster::with_nodes(&[("a", "1")]);
    cluster.pod("p", pod("1"), 0);
    cluster.pod("q", pod("1"), 0);
    cluster.bind("p", 0);
    assert_eq!(
        cluster.failure("q", 0).message,
        "0/1 nodes are available: 1 Insufficient cpu."
    );
}

#[test]
fn equal_nodes_take_turns() {
    let mut cluster = Cluster::with_nodes(&[("a", "4"), ("b", "4"), ("c", "4")]);
    let mut chosen: Vec<String> = Vec::new();
    for name in ["p", "q", "r"] {
        cluster.pod(name, pod("1"), 0);
        chosen.push(cluster.bind(name, 0).node.to_string());
    }
    assert_eq!(chosen, ["a", "b", "c"]);
}

#[test]
fn without_nodes_a_pod_fails_and_backs_off() {
    let mut cluster = Cluster::new();
    cluster.pod("p", pod("1"), 0);
    cluster.queued();
    let failure = cluster.failure("p", 500);
    assert_eq!(failure.message, "no nodes available to schedule pods");
    assert_eq!(failure.reason, FailureReason::SchedulerError);
    assert_eq!(cluster.queued(), [("p".to_owned(), 1_500)]);
    assert_eq!(cluster.schedule("p", 1_000), Decision::Later(1_000));
}

#[test]
fn a_rejected_pod_waits_for_a_change_that_helps_and_then_for_its_back_off() {
    let mut cluster = Cluster::with_nodes(&[("a", "1")]);
    cluster.pod("p", pod("2"), 0);
    cluster.queued();
    assert_eq!(cluster.failure("p", 100).reason, FailureReason::Unschedulable);
    assert_eq!(cluster.queued(), []);
    assert_eq!(cluster.schedule("p", 200), Decision::Nothing);
    cluster.node("b", "1", json!({}), 300);
    assert_eq!(cluster.queued(), [], "a node that is too small does not help");
    cluster.node("b", "2", json!({}), 400);
    assert_eq!(cluster.queued(), [("p".to_owned(), 1_600)]);
    assert_eq!(&*cluster.bind("p", 2_000).node, "b");
}

#[test]
fn a_deleted_pod_makes_room_for_those_that_lack_it() {
    let mut cluster = Cluster::with_nodes(&[("a", "1")]);
    cluster.pod("old", on(pod("1"), "a"), 0);
    cluster.pod("p", pod("1"), 0);
    cluster.queued();
    cluster.failure("p", 0);
    cluster.0.delete(Resource::Pods, &PodKey::new("ns", "old"), 5_000);
    assert_eq!(cluster.queued(), [("p".to_owned(), 0)]);
    assert_eq!(&*cluster.bind("p", 5_000).node, "a");
}

#[test]
fn a_finished_pod_holds_nothing() {
    let mut cluster = Cluster::with_nodes(&[("a", "1")]);
    cluster.pod("old", on(pod("1"), "a"), 0);
    let mut finished = on(pod("1"), "a");
    finished["status"]["phase"] = json!("Succeeded");
    cluster.pod("old", finished, 0);
    cluster.pod("p", pod("1"), 0);
    cluster.bind("p", 0);
}

#[test]
fn an_uncordoned_or_untainted_node_helps_those_it_kept_away() {
    let mut cluster = Cluster::new();
    cluster.node("a", "1", json!({"unschedulable": true}), 0);
    cluster.node(
        "b",
        "1",
        json!({"taints": [{"key": "k", "effect": "NoSchedule"}]}),
        0,
    );
    cluster.pod("p", pod("1"), 0);
    cluster.queued();
    let expected =
        "0/2 nodes are available: 1 node(s) had untolerated taint(s), 1 node(s) were unschedulable.";
    assert_eq!(cluster.failure("p", 0).message, expected);
    cluster.node(
        "b",
        "1",
        json!({"taints": [{"key": "l", "effect": "NoSchedule"}]}),
        10_000,
    );
    assert_eq!(cluster.queued(), []);
    cluster.node("a", "1", json!({}), 10_000);
    assert_eq!(cluster.queued(), [("p".to_owned(), 0)]);
}

#[test]
fn what_nobody_helps_is_tried_again_after_five_minutes() {
    let mut cluster = Cluster::with_nodes(&[("a", "1")]);
    cluster.pod("p", pod("2"), 0);
    cluster.queued();
    cluster.failure("p", 0);
    cluster.0.flush_leftovers(299_000);
    assert_eq!(cluster.queued(), []);
    cluster.0.flush_leftovers(301_000);
    assert_eq!(cluster.queued(), [("p".to_owned(), 0)]);
}

#[test]
fn a_gated_pod_stays_out_until_its_gates_are_gone() {
    let mut cluster = Cluster::with_nodes(&[("a", "1")]);
    let mut gated = pod("1");
    gated["spec"]["schedulingGates"] = json!([{"name": "g"}]);
    cluster.pod("p", gated, 0);
    assert_eq!(cluster.queued(), []);
    assert_eq!(cluster.schedule("p", 0), Decision::Nothing);
    cluster.pod("p", pod("1"), 0);
    assert_eq!(cluster.queued(), [("p".to_owned(), 0)]);
    cluster.bind("p", 0);
}

#[test]
fn a_change_of_the_pod_itself_may_help_it() {
    let mut cluster = Cluster::with_nodes(&[("a", "1")]);
    cluster.pod("p", pod("2"), 0);
    cluster.queued();
    cluster.failure("p", 0);
    let mut annotated = pod("2");
    annotated["metadata"]["annotations"] = json!({"a": "b"});
    cluster.pod("p", annotated, 10_000);
    assert_eq!(cluster.queued(), []);
    cluster.pod("p", pod("1"), 10_000);
    assert_eq!(cluster.queued(), [("p".to_owned(), 0)]);
    cluster.bind("p", 10_000);
}

#[test]
fn a_failed_binding_frees_the_node_and_helps_others() {
    let mut cluster = Cluster::with_nodes(&[("a", "1")]);
    cluster.pod("p", pod("1"), 0);
    cluster.pod("q", pod("1"), 0);
    let assignment = cluster.bind("p", 0);
    cluster.failure("q", 0);
    cluster.queued();
    let failure = cluster.0.bind_failed(&assignment, "no such node", 5_000).unwrap();
    assert_eq!(
        failure.message,
        "running Bind plugin \"DefaultBinder\": no such node"
    );
    assert_eq!(failure.reason, FailureReason::SchedulerError);
    assert_eq!(cluster.queued(), [("q".to_owned(), 0), ("p".to_owned(), 2_000)]);
    cluster.bind("q", 5_000);
}

#[test]
fn a_binding_that_fails_after_the_pod_is_gone_or_bound_is_nobodys_business() {
    let mut cluster = Cluster::with_nodes(&[("a", "2")]);
    cluster.pod("p", pod("1"), 0);
    let assignment = cluster.bind("p", 0);
    cluster.pod("p", on(pod("1"), "a"), 0);
    assert_eq!(cluster.0.bind_failed(&assignment, "timeout", 0), None);
    cluster.0.delete(Resource::Pods, &PodKey::new("ns", "p"), 0);
    assert_eq!(cluster.0.bind_failed(&assignment, "timeout", 0), None);
}

#[test]
fn a_pod_of_another_scheduler_counts_only_once_it_is_placed() {
    let mut cluster = Cluster::with_nodes(&[("a", "1")]);
    let mut foreign = pod("1");
    foreign["spec"]["schedulerName"] = json!("other");
    cluster.pod("f", foreign.clone(), 0);
    assert_eq!(cluster.queued(), []);
    cluster.pod("f", on(foreign, "a"), 0);
    cluster.pod("p", pod("1"), 0);
    cluster.failure("p", 0);
}

#[test]
fn a_pod_that_is_being_deleted_is_not_scheduled() {
    let mut cluster = Cluster::with_nodes(&[("a", "1")]);
    let mut deleting = pod("1");
    deleting["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    cluster.pod("p", deleting, 0);
    assert!(matches!(cluster.schedule("p", 0), Decision::Deleting { .. }));
}

#[test]
fn the_condition_is_written_only_when_it_says_something_new() {
    let mut cluster = Cluster::with_nodes(&[("a", "1")]);
    cluster.pod("p", pod("2"), 0);
    let failure = cluster.failure("p", 0);
    assert_eq!(
        (failure.condition, failure.generation),
        (ConditionChange::Transition, 1)
    );
    let condition = |message: &str| {
        let mut body = pod("2");
        body["status"]["conditions"] = json!([{"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
            "message": message, "observedGeneration": 1}]);
        body
    };
    cluster.pod("p", condition(&failure.message), 0);
    cluster.0.flush_leftovers(400_000);
    assert_eq!(cluster.failure("p", 400_000).condition, ConditionChange::None);
    cluster.pod("p", condition("something else"), 400_000);
    cluster.0.flush_leftovers(800_000);
    assert_eq!(cluster.failure("p", 800_000).condition, ConditionChange::Text);
}

#[test]
fn a_pod_created_again_under_its_name_is_another_pod() {
    let mut cluster = Cluster::with_nodes(&[("a", "1")]);
    cluster.pod("p", pod("1"), 0);
    let assignment = cluster.bind("p", 0);
    let mut again = pod("1");
    again["metadata"]["uid"] = json!("v");
    cluster.pod("p", again, 0);
    assert_eq!(cluster.0.bind_failed(&assignment, "gone", 0), None);
    assert_eq!(&*cluster.bind("p", 0).uid, "v");
}

#[test]
fn a_nominated_node_is_taken_while_it_is_feasible() {
    let mut cluster = Cluster::with_nodes(&[("a", "1"), ("b", "4")]);
    let mut nominated = pod("1");
    nominated["status"]["nominatedNodeName"] = json!("a");
    cluster.pod("p", nominated.clone(), 0);
    assert_eq!(&*cluster.bind("p", 0).node, "a");
    nominated["metadata"]["uid"] = json!("v");
    cluster.pod("q", nominated, 0);
    assert_eq!(&*cluster.bind("q", 0).node, "b");
}

fn nominated(cpu: &str, priority: i32, node: &str) -> Value {
    let mut body = pod(cpu);
    body["spec"]["priority"] = json!(priority);
    body["status"]["nominatedNodeName"] = json!(node);
    body
}

#[test]
fn a_node_set_aside_is_out_for_pods_that_are_not_more_important() {
    let mut cluster = Cluster::with_nodes(&[("a", "1"), ("b", "1")]);
    cluster.pod("heir", nominated("1", 5, "a"), 0);
    let of_priority = |priority| {
        let mut body = pod("1");
        body["spec"]["priority"] = json!(priority);
        body
    };
    cluster.pod("p", of_priority(5), 0);
    assert_eq!(&*cluster.bind("p", 0).node, "b");
    cluster.pod("q", of_priority(5), 0);
    assert_eq!(
        cluster.failure("q", 0).message,
        "0/2 nodes are available: 2 Insufficient cpu."
    );
    cluster.pod("r", of_priority(6), 0);
    assert_eq!(&*cluster.bind("r", 0).node, "a");
}

#[test]
fn a_node_set_aside_for_several_goes_to_each_as_long_as_it_lasts() {
    let mut cluster = Cluster::with_nodes(&[("a", "2"), ("b", "8")]);
    for name in ["p", "q"] {
        cluster.pod(name, nominated("1", 0, "a"), 0);
    }
    assert_eq!(&*cluster.bind("p", 0).node, "a");
    assert_eq!(&*cluster.bind("q", 0).node, "a");
}

#[test]
fn a_pod_does_not_count_on_the_company_of_a_nominated_one() {
    let mut cluster = Cluster::with_nodes(&[("a", "4")]);
    cluster.pod("friend", nominated("1", 5, "a"), 0);
    let mut body = pod("1");
    body["metadata"]["labels"] = json!({"app": "b"});
    body["spec"]["affinity"] = json!({"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
        {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "a"}}}]}});
    cluster.pod("p", body, 0);
    let expected = "0/1 nodes are available: 1 node(s) didn't match pod affinity rules.";
    assert_eq!(cluster.failure("p", 0).message, expected);
    cluster.bind("friend", 0);
    cluster.pod("friend", on(pod("1"), "a"), 5_000);
    assert_eq!(&*cluster.bind("p", 5_000).node, "a");
}

#[test]
fn a_nomination_that_ends_helps_those_that_had_to_heed_it() {
    let heir = |node: &str| {
        let mut body = nominated("2", 5, node);
        body["spec"]["tolerations"] = json!([{"operator": "Exists"}]);
        body
    };
    let ends: [&dyn Fn(&mut Cluster); 4] = [
        &|cluster| {
            cluster
                .0
                .delete(Resource::Pods, &PodKey::new("ns", "heir"), 5_000)
        },
        &|cluster| cluster.pod("heir", heir("elsewhere"), 5_000),
        &|cluster| cluster.pod("heir", on(heir("a"), "elsewhere"), 5_000),
        // The node that was set aside for it is too small.
        &|cluster| assert_eq!(&*cluster.bind("heir", 5_000).node, "b"),
    ];
    for end in ends {
        let mut cluster = Cluster::with_nodes(&[("a", "1")]);
        let tainted = json!({"taints": [{"key": "k", "effect": "NoSchedule"}]});
        cluster.node("b", "2", tainted, 0);
        cluster.pod("heir", heir("a"), 0);
        cluster.pod("p", pod("1"), 0);
        cluster.failure("p", 0);
        let mut above = pod("3");
        above["spec"]["priority"] = json!(9);
        cluster.pod("above", above, 0);
        cluster.failure("above", 0);
        cluster.queued();
        end(&mut cluster);
        assert_eq!(cluster.queued(), [("p".to_owned(), 0)], "and none above it");
    }
}

#[test]
fn a_bound_pod_is_nominated_no_longer_unless_the_binding_fails() {
    let mut cluster = Cluster::with_nodes(&[("a", "4"), ("b", "1")]);
    cluster.pod("heir", nominated("4", 0, "a"), 0);
    let assignment = cluster.bind("heir", 0);
    cluster.0.delete(Resource::Nodes, &PodKey::new("", "b"), 0);
    cluster.pod("p", pod("1"), 0);
    cluster.failure("p", 0);
    assert!(cluster.0.bind_failed(&assignment, "no", 5_000).is_some());
    assert_eq!(
        cluster.failure("p", 5_000).message,
        "0/1 nodes are available: 1 Insufficient cpu.",
        "what is set aside counts again"
    );
}

#[test]
fn a_node_must_declare_the_features_that_a_pod_relies_on() {
    let mut cluster = Cluster::with_nodes(&[("a", "4"), ("b", "1")]);
    let mut demanding = pod("2");
    demanding["spec"]["hostNetwork"] = json!(true);
    demanding["spec"]["hostUsers"] = json!(false);
    cluster.pod("p", demanding, 0);
    let expected =
        "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) didn't match Pod's required features.";
    assert_eq!(cluster.failure("p", 0).message, expected);
    cluster.queued();
    let mut body = json!({"metadata": {"labels": {"kubernetes.io/hostname": "a"}},
        "status": {"allocatable": {"cpu": "4", "memory": "7Gi", "pods": "10"}}});
    cluster.put(Resource::Nodes, "/a", &body, 5_000);
    assert_eq!(cluster.queued(), [], "features are as they were");
    body["status"]["declaredFeatures"] = json!(["UserNamespacesHostNetworkSupport"]);
    cluster.put(Resource::Nodes, "/a", &body, 5_000);
    assert_eq!(cluster.queued(), [("p".to_owned(), 0)]);
    assert_eq!(&*cluster.bind("p", 5_000).node, "a");
}

#[test]
fn daemon_pods_go_where_they_are_named_to() {
    let mut cluster = Cluster::with_nodes(&[("a", "4"), ("b", "1")]);
    let daemon = |cpu: &str| {
        let mut body = pod(cpu);
        body["spec"]["affinity"] = json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution":
            {"nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["b"]}]}]}}});
        body
    };
    cluster.pod("p", daemon("1"), 0);
    assert_eq!(&*cluster.bind("p", 0).node, "b");
    cluster.pod("q", daemon("1"), 0);
    let expected =
        "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) didn't satisfy plugin(s) [NodeAffinity].";
    assert_eq!(cluster.failure("q", 0).message, expected);
}

#[test]
fn a_shrunken_pod_makes_room_once_its_node_agent_let_go() {
    let mut cluster = Cluster::with_nodes(&[("a", "2")]);
    let resized = |generation: u64, granted: &str| {
        let mut body = on(pod("1"), "a");
        body["metadata"]["generation"] = json!(generation);
        body["status"]["containerStatuses"] = json!([{"name": "c", "allocatedResources": {"cpu": granted}}]);
        body
    };
    cluster.pod("old", on(pod("2"), "a"), 0);
    cluster.pod("old", resized(2, "2"), 0);
    cluster.pod("p", pod("1"), 0);
    cluster.queued();
    cluster.failure("p", 0);
    cluster.pod("old", resized(2, "1"), 5_000);
    assert_eq!(cluster.queued(), [("p".to_owned(), 0)]);
    cluster.bind("p", 5_000);
}

#[test]
fn an_object_that_cannot_be_read_is_named() {
    let mut cluster = Cluster::new();
    let error = cluster
        .0
        .upsert(
            Resource::Pods,
            &PodKey::new("ns", "p"),
            b"{\"metadata\":{}}",
            false,
            0,
        )
        .unwrap_err();
    assert!(
        error.starts_with("cannot read pod \"p\": missing field `spec`"),
        "{error}"
    );
}

#[test]
fn a_sampling_scheduler_stops_at_enough_nodes_and_goes_on_from_there() {
    let config: Config = serde_json::from_str(r#"{"percentageOfNodesToScore": 50}"#).unwrap();
    let mut cluster = Cluster(Scheduler::new(config));
    for number in 0..200 {
        // Without sampling the roomiest nodes would be taken, one after the other.
        cluster.node(&format!("n{number}"), &(200 - number).to_string(), json!({}), 0);
    }
    let mut chosen = Vec::new();
    for name in ["p", "q"] {
        cluster.pod(name, pod("1"), 0);
        chosen.push(cluster.bind(name, 0).node.to_string());
    }
    assert_eq!(chosen, ["n0", "n100"]);
}

/// A scheduler whose only profile has these `plugins`.
fn with_plugins(plugins: Value) -> Cluster {
    let config = json!({"profiles": [{"schedulerName": "default-scheduler", "plugins": plugins}]});
    Cluster(Scheduler::new(serde_json::from_value(config).unwrap()))
}

#[test]
fn a_built_in_plugin_that_only_scores_keeps_nobody_off() {
    let zone = |name: &str| {
        json!({"metadata": {"labels": {"zone": name, "kubernetes.io/hostname": name}},
        "spec": {"taints": [{"key": "k", "effect": "NoSchedule"}]},
        "status": {"allocatable": {"cpu": "4", "memory": "8Gi", "pods": "10"}}})
    };
    let term = |labels: Value| json!({"labelSelector": {"matchLabels": labels}, "topologyKey": "zone"});
    let only_scores = |name: &str| {
        let mut cluster = with_plugins(json!({
            "multiPoint": {"disabled": [{"name": "*"}]}, "score": {"enabled": [{"name": name}]}
        }));
        cluster.put(Resource::Nodes, "/a", &zone("a"), 0);
        cluster.put(Resource::Nodes, "/b", &zone("b"), 0);
        cluster.pod("friend", on(pod("1"), "b"), 0);
        cluster
    };
    let mut choosy = pod("1");
    choosy["spec"]["affinity"] = json!({
        "podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
            {"weight": 1, "podAffinityTerm": term(json!({"app": "a"}))}]},
        "podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term(json!({"app": "a"}))]}
    });
    let mut cluster = only_scores("InterPodAffinity");
    cluster.pod("p", choosy, 0);
    assert_eq!(&*cluster.bind("p", 0).node, "b", "it likes its friend");

    let spread = |when: &str| {
        json!({"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": when,
        "labelSelector": {"matchLabels": {"app": "a"}}})
    };
    let mut even = pod("1");
    even["spec"]["topologySpreadConstraints"] = json!([spread("ScheduleAnyway")]);
    let mut cluster = only_scores("PodTopologySpread");
    cluster.pod("p", even.clone(), 0);
    assert_eq!(&*cluster.bind("p", 0).node, "a");
    let missing = json!({"maxSkew": 1, "topologyKey": "missing", "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "a"}}});
    even["spec"]["topologySpreadConstraints"] = json!([spread("ScheduleAnyway"), missing]);
    let mut cluster = only_scores("PodTopologySpread");
    cluster.pod("p", even, 0);
    assert_eq!(&*cluster.bind("p", 0).node, "a", "no node has the other key");
}

#[test]
fn a_filter_can_be_off_while_the_rest_of_its_plugin_runs() {
    let mut cluster = with_plugins(json!({"filter": {"disabled": [{"name": "NodeResourcesFit"}]}}));
    cluster.node("a", "1", json!({}), 0);
    cluster.node("b", "2", json!({}), 0);
    cluster.pod("p", pod("1"), 0);
    assert_eq!(&*cluster.bind("p", 0).node, "b", "the emptier one");
    cluster.pod("q", pod("8"), 0);
    cluster.bind("q", 0);
}
