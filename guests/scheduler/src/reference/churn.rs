//! Random clusters, pods and changes, after each of which fast and plain way must agree.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{RefPod, World};
use crate::cycle;
use crate::decision::{Assignment, Decision};
use crate::model::PodKey;
use crate::model::node::NodeSpec;
use crate::model::pod::Place;
use crate::model::read::PodRead;
use crate::model::selectors::{owner_selector, service_selector};
use crate::model::template::OwnerKind;
use crate::plugins::node_affinity::{self, Narrowed};
use crate::reservations;
use crate::scheduler::{Resource, Scheduler};
use crate::{Config, labels::Labels};

#[derive(Clone, Debug)]
enum Step {
    SetNode(u8, Value),
    RemoveNode(u8),
    /// Schedule a pod; then the server confirms, refuses, or has not answered yet.
    Schedule(Value, Answer),
    /// A pod for which somebody else has set a node aside, maybe one that is not there.
    Nominate(Value, u8),
    /// Set another node aside for a pod, or none.
    Renominate(u8, Option<u8>),
    /// Schedule a pod that was left pending.
    Retry(u8, Answer),
    /// A pod that somebody else has placed, maybe on a node that is not there.
    Place(Value, u8),
    Delete(u8),
    Terminate(u8),
    Relabel(u8, Value),
    SetService(&'static str, Option<Value>),
    SetReplicaSet(&'static str, Option<Value>),
    SetNamespace(&'static str, Option<Value>),
}

#[derive(Clone, Copy, Debug)]
enum Answer {
    Confirmed,
    Refused,
    Outstanding,
}

fn labels() -> impl Strategy<Value = Value> {
    prop_oneof![
        3 => Just(json!({"app": "a"})),
        2 => Just(json!({"app": "b"})),
        1 => Just(json!({"app": "a", "tier": "x"})),
        1 => Just(json!({})),
    ]
}

fn selector() -> impl Strategy<Value = Value> {
    prop_oneof![
        3 => Just(json!({"matchLabels": {"app": "a"}})),
        1 => Just(json!({"matchExpressions": [{"key": "app", "operator": "In", "values": ["a", "b"]}]})),
        1 => Just(json!({})),
        1 => Just(Value::Null),
    ]
}

fn key() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "kubernetes.io/hostname",
        "topology.kubernetes.io/zone",
        "rack",
    ])
}

fn node() -> impl Strategy<Value = Value> {
    let taint = prop::option::weighted(
        0.3,
        (
            prop::sample::select(vec!["k", "l"]),
            prop::sample::select(vec!["NoSchedule", "PreferNoSchedule"]),
        ),
    );
    let zone = prop::option::weighted(0.8, 0..3u8);
    let rack = prop::option::weighted(0.7, 0..2u8);
    let room = (
        prop::sample::select(vec!["1", "2", "4"]),
        prop::sample::select(vec!["1Gi", "2Gi"]),
        1..6u8,
    );
    let features = prop::sample::select(vec![json!([]), json!(["RestartAllContainersOnContainerExits"])]);
    let room = (room, features);
    (zone, rack, room, taint, prop::bool::weighted(0.1), prop::bool::ANY, prop::option::weighted(0.3, 100..900u64)).prop_map(
        |(zone, rack, ((cpu, memory, pods), features), taint, unschedulable, ssd, image)| {
            let mut labels = json!({"disk": if ssd { "ssd" } else { "hdd" }});
            if let Some(zone) = zone {
                labels["topology.kubernetes.io/zone"] = json!(format!("z{zone}"));
            }
            if let Some(rack) = rack {
                labels["rack"] = json!(format!("r{rack}"));
            }
            let taints: Vec<Value> = taint.iter().map(|(key, effect)| json!({"key": key, "effect": effect})).collect();
            let images: Vec<Value> =
                image.iter().map(|size| json!({"names": ["app:latest"], "sizeBytes": size << 20})).collect();
            json!({"metadata": {"labels": labels}, "spec": {"unschedulable": unschedulable, "taints": taints},
                "status": {"allocatable": {"cpu": cpu, "memory": memory, "pods": pods.to_string()}, "images": images,
                    "declaredFeatures": features}})
        },
    )
}

fn spread() -> impl Strategy<Value = Value> {
    let when = prop::sample::select(vec!["DoNotSchedule", "ScheduleAnyway"]);
    let policy = || prop::option::weighted(0.3, prop::sample::select(vec!["Honor", "Ignore"]));
    (
        key(),
        1..3u8,
        when,
        selector(),
        prop::option::weighted(0.2, 2..4u8),
        policy(),
        policy(),
    )
        .prop_map(|(key, skew, when, selector, domains, affinity, taints)| {
            json!({"topologyKey": key, "maxSkew": skew, "whenUnsatisfiable": when, "labelSelector": selector,
                "minDomains": domains, "nodeAffinityPolicy": affinity, "nodeTaintsPolicy": taints})
        })
}

fn pod_term() -> impl Strategy<Value = Value> {
    let namespaces = prop_oneof![
        4 => Just(json!({})),
        1 => Just(json!({"namespaces": ["y"]})),
        1 => Just(json!({"namespaceSelector": {"matchLabels": {"team": "t"}}})),
        1 => Just(json!({"namespaceSelector": {}})),
    ];
    (key(), selector(), namespaces).prop_map(|(key, selector, mut term)| {
        term["topologyKey"] = json!(key);
        term["labelSelector"] = selector;
        term
    })
}

fn pod_affinity() -> impl Strategy<Value = Value> {
    let required = prop::collection::vec(pod_term(), 0..2);
    let preferred = prop::collection::vec((1..100u8, pod_term()), 0..2).prop_map(|terms| {
        terms
            .into_iter()
            .map(|(weight, term)| json!({"weight": weight, "podAffinityTerm": term}))
            .collect::<Vec<_>>()
    });
    (required, preferred).prop_map(|(required, preferred)| {
        json!({"requiredDuringSchedulingIgnoredDuringExecution": required,
            "preferredDuringSchedulingIgnoredDuringExecution": preferred})
    })
}

fn node_affinity_json() -> impl Strategy<Value = Value> {
    let ssd = json!({"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]});
    let named =
        |names: Value| json!({"matchFields": [{"key": "metadata.name", "operator": "In", "values": names}]});
    prop_oneof![
        4 => Just(Value::Null),
        1 => Just(json!({"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [ssd.clone()]}})),
        1 => Just(json!({"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 5, "preference": ssd}]})),
        1 => Just(json!({"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [named(json!(["n1"]))]}})),
    ]
}

fn pod() -> impl Strategy<Value = Value> {
    let requests = prop::sample::select(vec![
        json!({}),
        json!({"cpu": "100m"}),
        json!({"cpu": "500m", "memory": "512Mi"}),
        json!({"memory": "1Gi"}),
    ]);
    let relations = (
        prop::collection::vec(spread(), 0..3),
        prop::option::weighted(0.4, pod_affinity()),
        prop::option::weighted(0.4, pod_affinity()),
    );
    let plain = Just((Vec::new(), None, None));
    let relations = prop_oneof![relations, plain];
    let tolerations = prop::sample::select(vec![
        json!([]),
        json!([{"operator": "Exists"}]),
        json!([{"key": "k", "operator": "Exists"}]),
    ]);
    let ports = prop::sample::select(vec![json!([]), json!([]), json!([]), json!([{"hostPort": 80}])]);
    let owner = prop::bool::ANY;
    let priority = 0..3i32;
    let rules = prop::sample::select(vec![
        json!([]),
        json!([]),
        json!([]),
        json!([{"action": "RestartAllContainers"}]),
    ]);
    (labels(), prop::sample::select(vec!["x", "y"]), requests, relations, tolerations, (ports, owner, node_affinity_json(), priority, rules)).prop_map(
        |(labels, namespace, requests, (spread, affinity, anti), tolerations, (ports, owned, node_affinity, priority, rules))| {
            let owners = if owned { json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "rs", "controller": true}]) } else { json!([]) };
            json!({"metadata": {"namespace": namespace, "labels": labels, "ownerReferences": owners},
                "spec": {"schedulerName": "default-scheduler", "priority": priority, "tolerations": tolerations, "topologySpreadConstraints": spread,
                    "affinity": {"nodeAffinity": node_affinity, "podAffinity": affinity, "podAntiAffinity": anti},
                    "containers": [{"name": "c", "image": "app", "resources": {"requests": requests}, "ports": ports,
                    "restartPolicyRules": rules}]}})
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let answer = || prop_oneof![4 => Just(Answer::Confirmed), 1 => Just(Answer::Refused), 1 => Just(Answer::Outstanding)];
    let namespace = || prop::sample::select(vec!["x", "y"]);
    prop_oneof![
        3 => (0..8u8, node()).prop_map(|(at, node)| Step::SetNode(at, node)),
        1 => (0..8u8).prop_map(Step::RemoveNode),
        10 => (pod(), answer()).prop_map(|(pod, answer)| Step::Schedule(pod, answer)),
        3 => (pod(), 0..9u8).prop_map(|(pod, at)| Step::Nominate(pod, at)),
        1 => (any::<u8>(), prop::option::of(0..9u8)).prop_map(|(at, node)| Step::Renominate(at, node)),
        2 => (any::<u8>(), answer()).prop_map(|(at, answer)| Step::Retry(at, answer)),
        2 => (pod(), 0..9u8).prop_map(|(pod, at)| Step::Place(pod, at)),
        2 => any::<u8>().prop_map(Step::Delete),
        1 => any::<u8>().prop_map(Step::Terminate),
        1 => (any::<u8>(), labels()).prop_map(|(at, labels)| Step::Relabel(at, labels)),
        1 => (namespace(), prop::option::of(Just(json!({"app": "a"})))).prop_map(|(ns, s)| Step::SetService(ns, s)),
        1 => (namespace(), prop::option::of(selector())).prop_map(|(ns, s)| Step::SetReplicaSet(ns, s)),
        1 => (namespace(), prop::option::of(Just(json!({"team": "t"})))).prop_map(|(ns, l)| Step::SetNamespace(ns, l)),
    ]
}

/// Both ways, side by side.
struct Pair {
    fast: Scheduler,
    plain: World,
    bodies: Vec<(PodKey, Value)>,
    names: usize,
}

impl Pair {
    fn new() -> Self {
        let fast = Scheduler::new(Config::default());
        Self {
            fast,
            plain: World::default(),
            bodies: Vec::new(),
            names: 0,
        }
    }

    fn upsert(&mut self, resource: Resource, key: &PodKey, body: &Value) {
        self.fast
            .upsert(resource, key, body.to_string().as_bytes(), false, 0)
            .unwrap();
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::SetNode(at, body) => self.set_node(at, body),
            Step::RemoveNode(at) => {
                let name = format!("n{at}");
                self.fast.delete(Resource::Nodes, &PodKey::new("", &name), 0);
                self.plain.nodes.remove(&name);
            }
            Step::Schedule(body, answer) => self.schedule(body, answer),
            Step::Nominate(mut body, at) => {
                body["status"] = json!({"nominatedNodeName": format!("n{at}")});
                let (key, body) = self.named(body, None);
                self.put(&key, &body);
                self.bodies.push((key, body));
            }
            Step::Renominate(at, node) => self.change(at, |body| {
                body["status"] = json!({"nominatedNodeName": node.map(|node| format!("n{node}"))});
            }),
            Step::Retry(at, answer) => self.retry(at, answer),
            Step::Place(body, at) => {
                let (key, body) = self.named(body, Some(at));
                self.put(&key, &body);
                self.bodies.push((key, body));
            }
            Step::Delete(at) => {
                if let Some((key, _)) = self.pick(at).map(|at| self.bodies.swap_remove(at)) {
                    self.fast.delete(Resource::Pods, &key, 0);
                    self.plain.pods.remove(&key);
                }
            }
            Step::Terminate(at) => self.change(at, |body| {
                body["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z")
            }),
            Step::Relabel(at, labels) => self.change(at, move |body| body["metadata"]["labels"] = labels),
            Step::SetService(namespace, selector) => {
                let (key, body) = (
                    PodKey::new(namespace, "svc"),
                    json!({"spec": {"selector": selector}}),
                );
                self.plain.selectors.set_service(
                    namespace,
                    "svc",
                    service_selector("svc", body.to_string().as_bytes()).unwrap(),
                );
                self.upsert(Resource::Services, &key, &body);
            }
            Step::SetReplicaSet(namespace, selector) => self.set_replica_set(namespace, selector),
            Step::SetNamespace(name, labels) => {
                let labels = labels.unwrap_or(json!({}));
                let pairs: Vec<(String, String)> =
                    serde_json::from_value::<std::collections::BTreeMap<String, String>>(labels.clone())
                        .unwrap()
                        .into_iter()
                        .collect();
                let parsed = Labels::new(pairs.iter().map(|(k, v)| (k.as_str(), v.as_str())));
                self.plain.namespaces.insert(name.into(), parsed);
                self.upsert(
                    Resource::Namespaces,
                    &PodKey::new("", name),
                    &json!({"metadata": {"labels": labels}}),
                );
            }
        }
    }

    fn set_node(&mut self, at: u8, mut body: Value) {
        let name = format!("n{at}");
        body["metadata"]["labels"]["kubernetes.io/hostname"] = json!(name);
        let spec = NodeSpec::parse(&name, body.to_string().as_bytes()).unwrap();
        self.plain.nodes.insert(name.clone(), spec);
        self.upsert(Resource::Nodes, &PodKey::new("", &name), &body);
    }

    fn set_replica_set(&mut self, namespace: &str, selector: Option<Value>) {
        let key = PodKey::new(namespace, "rs");
        let Some(selector) = selector else {
            self.plain
                .selectors
                .set_owner(OwnerKind::ReplicaSet, namespace, "rs", None);
            return self.fast.delete(Resource::ReplicaSets, &key, 0);
        };
        let body = json!({"spec": {"selector": selector}});
        let parsed = owner_selector(OwnerKind::ReplicaSet, "rs", body.to_string().as_bytes()).unwrap();
        self.plain
            .selectors
            .set_owner(OwnerKind::ReplicaSet, namespace, "rs", Some(parsed));
        self.upsert(Resource::ReplicaSets, &key, &body);
    }

    fn named(&mut self, mut body: Value, at: Option<u8>) -> (PodKey, Value) {
        self.names += 1;
        let name = format!("p{}", self.names);
        body["metadata"]["uid"] = json!(name);
        body["metadata"]["generation"] = json!(1);
        if let Some(at) = at {
            body["spec"]["nodeName"] = json!(format!("n{at}"));
        }
        let namespace = body["metadata"]["namespace"].as_str().unwrap().to_owned();
        (PodKey::new(&namespace, &name), body)
    }

    fn plain_upsert(&mut self, key: &PodKey, body: &Value) {
        self.plain.pods.insert(key.clone(), ref_pod(key, body));
    }

    fn pick(&self, at: u8) -> Option<usize> {
        (!self.bodies.is_empty()).then(|| usize::from(at) % self.bodies.len())
    }

    fn change(&mut self, at: u8, change: impl FnOnce(&mut Value)) {
        let Some(at) = self.pick(at) else { return };
        change(&mut self.bodies[at].1);
        let (key, body) = self.bodies[at].clone();
        self.put(&key, &body);
    }

    /// Tells both of a pod.
    fn put(&mut self, key: &PodKey, body: &Value) {
        self.plain_upsert(key, body);
        self.upsert(Resource::Pods, key, body);
    }

    fn schedule(&mut self, body: Value, answer: Answer) {
        let (key, body) = self.named(body, None);
        self.upsert(Resource::Pods, &key, &body);
        self.decide(key, body, answer);
    }

    fn retry(&mut self, at: u8, answer: Answer) {
        let is_schedulable = |(_, body): &&(PodKey, Value)| {
            body["spec"]["nodeName"].is_null() && body["metadata"]["deletionTimestamp"].is_null()
        };
        let found = self.pick(at).and_then(|at| self.bodies.get(at));
        if let Some((key, body)) = found.filter(is_schedulable).cloned() {
            self.bodies.retain(|(known, _)| *known != key);
            self.decide(key, body, answer);
        }
    }

    /// Lets the fast way decide about a pod that it knows, and compares.
    fn decide(&mut self, key: PodKey, mut body: Value, answer: Answer) {
        let pod = ref_pod(&key, &body);
        let expected = self.plain.evaluate(&key, &pod, &Config::default());
        self.agree_on_scores(&key, &pod, &expected);
        self.plain.pods.remove(&key);
        match self.fast.schedule(&key, 0) {
            Decision::Bind(assignment) => {
                let set_aside = pod.nominated.filter(|node| expected.totals.contains_key(node));
                match set_aside {
                    Some(node) => assert_eq!(*assignment.node, node, "the node set aside for the pod"),
                    None => assert_eq!(
                        expected.totals.get(&*assignment.node),
                        expected.totals.values().max(),
                        "{} is not the best",
                        assignment.node
                    ),
                }
                body["spec"]["nodeName"] = json!(*assignment.node);
                self.settle(assignment, body, answer);
            }
            Decision::Fail(failure) => {
                let no_nodes = || "no nodes available to schedule pods".to_owned();
                let message = if self.plain.nodes.is_empty() {
                    Some(no_nodes())
                } else {
                    expected.message
                };
                assert_eq!(Some(failure.message), message);
                self.fast.delete(Resource::Pods, &key, 0);
            }
            other => panic!("a new pod is scheduled or fails, not {other:?}"),
        }
    }

    fn agree_on_scores(&mut self, key: &PodKey, pod: &RefPod, expected: &super::Evaluation) {
        let totals = self.fast.totals_for_test(key);
        if node_affinity::narrow(
            &pod.template.shape,
            pod.template.pinned.as_deref(),
            &Config::default(),
        ) == Narrowed::All
        {
            let expected: Vec<(String, i64)> = expected.totals.iter().map(|(n, t)| (n.clone(), *t)).collect();
            assert_eq!(totals, expected);
        }
    }

    fn settle(&mut self, assignment: Assignment, body: Value, answer: Answer) {
        let key = assignment.key.clone();
        match answer {
            Answer::Refused => {
                assert!(self.fast.bind_failed(&assignment, "no", 0).is_some());
                self.fast.delete(Resource::Pods, &key, 0);
            }
            Answer::Confirmed => {
                self.put(&key, &body);
                self.bodies.push((key, body));
            }
            Answer::Outstanding => {
                self.plain_upsert(&key, &body);
                self.bodies.push((key, body));
            }
        }
    }
}

fn ref_pod(key: &PodKey, body: &Value) -> RefPod {
    let read = PodRead::parse(&key.namespace, &key.name, body.to_string().as_bytes()).unwrap();
    RefPod {
        template: read.template,
        node: (!read.node_name.is_empty()).then(|| read.node_name.to_string()),
        terminating: read.terminating,
        priority: read.pending.priority,
        nominated: read.pending.nominated_node.map(String::from),
    }
}

impl Scheduler {
    /// The totals that a decision about this pod would be made from, by node name.
    fn totals_for_test(&mut self, key: &PodKey) -> Vec<(String, i64)> {
        let (classes, model, config) = self.parts_for_test();
        let Some(id) = model.pod(key).map(|pod| pod.template) else {
            return Vec::new();
        };
        let priority = match &model.pod(key).unwrap().place {
            Place::Pending(pending) => pending.priority,
            other => panic!("{other:?} is not to be decided about"),
        };
        let class = classes.class_of(id, model, config).unwrap();
        let bars = reservations::bars(key, priority, class, model, config);
        class.bar(&bars);
        let totals = cycle::totals(class, config).into_iter();
        class.lift(&bars, &model.nodes, config);
        let mut named: Vec<(String, i64)> = totals
            .map(|(slot, total)| (model.nodes.get(slot).unwrap().name.to_string(), i64::from(total)))
            .collect();
        named.sort();
        named
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, max_shrink_iters: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_fast_way_agrees_with_the_plain_way_whatever_happened_before(
        nodes in prop::collection::vec(node(), 1..7),
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut pair = Pair::new();
        for (at, node) in (0..).zip(nodes) {
            pair.set_node(at, node);
        }
        for step in steps {
            pair.step(step);
        }
    }
}
