//! Profiles with several plugins, against plugins that are not components.

use std::cell::RefCell;
use std::rc::Rc;

use serde_json::json;

use super::*;
use crate::decision::Decision;
use crate::model::PodKey;
use crate::{Config, Resource, Scheduler};

/// What was called, in order.
type Log = Rc<RefCell<Vec<String>>>;

/// Plugins named by what they do, and the log of their calls.
struct Scripted {
    log: Log,
    open: Vec<String>,
}

const HOOKS: [(&str, Hooks); 9] = [
    ("Odd", Hooks(Hooks::FILTER.0 | Hooks::SCORE.0)),
    ("NotOne", Hooks(Hooks::FILTER.0 | Hooks::SCORE.0)),
    ("Rising", Hooks::SCORE),
    ("Looker", Hooks(Hooks::PRE_FILTER.0 | Hooks::FILTER.0)),
    ("Porter", Hooks::PRE_FILTER),
    ("Fussy", Hooks::PRE_FILTER),
    ("Mortal", Hooks(Hooks::FILTER.0 | Hooks::RESERVE.0)),
    ("Ledger", Hooks::RESERVE),
    ("Objector", Hooks::RESERVE),
];

fn available() -> Vec<Available> {
    let plugin = |(name, hooks): (&str, Hooks)| Available {
        name: name.to_owned(),
        hooks,
        normalize: Normalize::HighestIsBest,
        node_fields: Vec::new(),
        pod_fields: Vec::new(),
    };
    HOOKS.map(plugin).into()
}

impl Scripted {
    fn note(&self, plugin: u32, what: &str) -> String {
        let name = self.open[plugin as usize].clone();
        self.log.borrow_mut().push(format!("{name} {what}"));
        name
    }
}

impl PluginCalls for Scripted {
    fn open(&mut self, name: &str, _: &[u8]) -> Result<u32, String> {
        self.open.push(name.to_owned());
        Ok(u32::try_from(self.open.len() - 1).unwrap())
    }

    fn update_nodes(&mut self, plugin: u32, nodes: &[NodeUpdate]) -> Result<(), Failure> {
        let gone = nodes.iter().filter(|node| node.body.is_none()).count();
        self.note(plugin, &format!("update {} gone {gone}", nodes.len()));
        Ok(())
    }

    fn evaluate(
        &mut self,
        plugin: u32,
        cycle: u64,
        pod: Option<&[u8]>,
        nodes: &[u32],
        asked: Hooks,
    ) -> Result<Evaluation, Failure> {
        let with_pod = if pod.is_some() { " with pod" } else { "" };
        let name = self.note(
            plugin,
            &format!("evaluate {cycle} {nodes:?} {}{with_pod}", asked.0),
        );
        let accepts = |node: &u32| match name.as_str() {
            "Odd" => node % 2 == 1,
            "NotOne" => *node != 1,
            _ => true,
        };
        if name == "Mortal" && cycle == 2 {
            return Err(Failure::Ended("trapped".to_owned()));
        }
        let is_rejected = name == "Fussy" && cycle > 1;
        Ok(Evaluation {
            rejection: is_rejected.then(|| "pod is not the first".to_owned()),
            verdicts: match asked.contains(Hooks::FILTER) {
                true => nodes.iter().map(|node| u16::from(!accepts(node))).collect(),
                false => Vec::new(),
            },
            reasons: vec![format!("node(s) displeased {name}")],
            scores: match asked.contains(Hooks::SCORE) {
                true => nodes.iter().map(|node| i64::from(*node)).collect(),
                false => Vec::new(),
            },
        })
    }

    fn reserve(&mut self, plugin: u32, cycle: u64, slot: u32) -> Result<(), Failure> {
        match self.note(plugin, &format!("reserve {cycle} {slot}")).as_str() {
            "Objector" => Err(Failure::Hook(HookError {
                hook: HookName::Reserve,
                message: "node(s) are taken".to_owned(),
            })),
            "Mortal" if cycle == 3 => Err(Failure::Ended("trapped".to_owned())),
            _ => Ok(()),
        }
    }

    fn unreserve(&mut self, plugin: u32, cycle: u64, slot: u32) -> Result<(), Failure> {
        self.note(plugin, &format!("unreserve {cycle} {slot}"));
        Ok(())
    }

    fn end_cycle(&mut self, plugin: u32, cycle: u64) -> Result<(), Failure> {
        self.note(plugin, &format!("end {cycle}"));
        Ok(())
    }

    fn node(&mut self, _: &str) -> Option<Vec<u8>> {
        Some(b"{}".to_vec())
    }

    fn pod(&mut self, _: &str, _: &str) -> Option<Vec<u8>> {
        Some(b"{}".to_vec())
    }
}

/// A scheduler with these plugins in this order, six nodes, n0 to n5, and one pod.
fn scheduler(plugins: &[&str]) -> (Scheduler, Log) {
    let enabled: Vec<_> = plugins.iter().map(|name| json!({"name": name})).collect();
    let config = json!({"profiles": [{
        "schedulerName": "default-scheduler", "plugins": {"multiPoint": {"enabled": enabled}}
    }]});
    let config = Config::resolve(serde_json::from_value(config).unwrap(), &available()).unwrap();
    let log = Log::default();
    let calls = Scripted {
        log: Rc::clone(&log),
        open: Vec::new(),
    };
    let mut scheduler = Scheduler::with_plugins(config, &available(), Box::new(calls)).unwrap();
    for number in 0..6 {
        show_node(&mut scheduler, number);
    }
    show_pod(&mut scheduler, &json!({}));
    (scheduler, log)
}

/// The pod, with this status.
fn show_pod(scheduler: &mut Scheduler, status: &serde_json::Value) {
    let pod = json!({
        "metadata": {"namespace": "ns", "name": "p", "uid": "u"},
        "spec": {"containers": [{"name": "c"}]},
        "status": status
    });
    scheduler
        .upsert(Resource::Pods, &key(), pod.to_string().as_bytes(), false, 0)
        .unwrap();
}

fn hide_nodes(scheduler: &mut Scheduler, numbers: &[u32]) {
    for number in numbers {
        scheduler.delete(Resource::Nodes, &PodKey::new("", &format!("n{number}")), 0);
    }
}

fn show_node(scheduler: &mut Scheduler, number: u32) {
    show_node_with(scheduler, number, json!({"resourceVersion": "1"}));
}

fn show_node_with(scheduler: &mut Scheduler, number: u32, mut metadata: serde_json::Value) {
    let name = format!("n{number}");
    metadata["name"] = json!(name);
    let node = json!({"metadata": metadata, "status": {"allocatable": {"cpu": "1", "pods": "10"}}});
    scheduler
        .upsert(
            Resource::Nodes,
            &PodKey::new("", &name),
            node.to_string().as_bytes(),
            false,
            0,
        )
        .unwrap();
}

fn key() -> PodKey {
    PodKey::new("ns", "p")
}

fn take(log: &Log) -> Vec<String> {
    log.borrow_mut().drain(..).collect()
}

#[test]
fn one_plugin_costs_one_call() {
    let (mut scheduler, log) = scheduler(&["Odd"]);
    let Decision::Bind(assignment) = scheduler.schedule(&key(), 0) else {
        panic!("bound");
    };
    assert_eq!(&*assignment.node, "n5", "odd, and the highest of them");
    assert_eq!(
        take(&log),
        [
            "Odd update 6 gone 0",
            "Odd evaluate 1 [0, 1, 2, 3, 4, 5] 6 with pod"
        ]
    );
    scheduler.conclude(&assignment, true, 0);
    assert_eq!(take(&log), ["Odd end 1"]);
}

#[test]
fn several_filter_one_after_the_other_and_score_what_is_left() {
    let (mut scheduler, log) = scheduler(&["Odd", "NotOne", "Rising"]);
    assert!(matches!(scheduler.schedule(&key(), 0), Decision::Bind(_)));
    let calls = take(&log);
    let evaluations: Vec<&String> = calls.iter().filter(|call| call.contains("evaluate")).collect();
    assert_eq!(
        evaluations,
        [
            "Odd evaluate 1 [0, 1, 2, 3, 4, 5] 2 with pod",
            "NotOne evaluate 1 [1, 3, 5] 6 with pod",
            "Odd evaluate 1 [3, 5] 4",
            "Rising evaluate 1 [3, 5] 4 with pod"
        ]
    );
}

fn evaluations(log: &Log) -> Vec<String> {
    let is_evaluation = |call: &String| call.contains("evaluate");
    take(log).into_iter().filter(is_evaluation).collect()
}

#[test]
fn a_single_node_is_not_scored() {
    // Alone from the start, and alone after the filters.
    for (plugins, expected) in [
        (["Odd", "Rising"], vec!["Odd evaluate 1 [5] 2 with pod"]),
        (["Rising", "Ledger"], vec!["Ledger evaluate 1 [] 0 with pod"]),
    ] {
        let (mut scheduler, log) = scheduler(&plugins);
        hide_nodes(&mut scheduler, &[0, 1, 2, 3, 4]);
        assert!(matches!(scheduler.schedule(&key(), 0), Decision::Bind(_)));
        assert_eq!(evaluations(&log), expected);
    }
    let (mut scheduler, log) = scheduler(&["Odd", "Rising"]);
    hide_nodes(&mut scheduler, &[1, 3]);
    assert!(matches!(scheduler.schedule(&key(), 0), Decision::Bind(_)));
    assert_eq!(evaluations(&log), ["Odd evaluate 1 [0, 2, 4, 5] 6 with pod"]);
}

#[test]
fn a_pod_is_looked_at_once_in_an_attempt_with_a_nominated_node() {
    let plugins = ["Looker", "Porter", "Odd", "Rising"];
    let (mut scheduler, log) = scheduler(&plugins);
    show_pod(&mut scheduler, &json!({"nominatedNodeName": "n2"}));
    assert!(matches!(scheduler.schedule(&key(), 0), Decision::Bind(_)));
    assert_eq!(
        evaluations(&log),
        [
            "Porter evaluate 1 [] 1 with pod",
            "Looker evaluate 1 [2] 3 with pod",
            "Odd evaluate 1 [2] 2 with pod",
            "Looker evaluate 1 [0, 1, 2, 3, 4, 5] 2",
            "Odd evaluate 1 [0, 1, 2, 3, 4, 5] 6",
            "Rising evaluate 1 [1, 3, 5] 4 with pod"
        ]
    );
    let (mut scheduler, log) = self::scheduler(&plugins);
    show_pod(&mut scheduler, &json!({"nominatedNodeName": "n3"}));
    let Decision::Bind(assignment) = scheduler.schedule(&key(), 0) else {
        panic!("bound");
    };
    assert_eq!(&*assignment.node, "n3", "not the one with the highest score");
    assert_eq!(evaluations(&log).len(), 3, "nothing is scored");
}

#[test]
fn nobody_filters_no_nodes() {
    let (mut scheduler, log) = scheduler(&["Odd", "Looker"]);
    hide_nodes(&mut scheduler, &[1, 3, 5]);
    assert!(matches!(scheduler.schedule(&key(), 0), Decision::Fail(_)));
    assert_eq!(
        evaluations(&log),
        [
            "Odd evaluate 1 [0, 2, 4] 2 with pod",
            "Looker evaluate 1 [] 1 with pod"
        ]
    );
}

#[test]
fn the_reasons_of_all_are_counted() {
    let (mut scheduler, _) = scheduler(&["Odd", "NotOne"]);
    hide_nodes(&mut scheduler, &[3, 5]);
    let Decision::Fail(failure) = scheduler.schedule(&key(), 0) else {
        panic!("no node");
    };
    assert_eq!(
        failure.message,
        "0/4 nodes are available: 1 node(s) displeased NotOne, 3 node(s) displeased Odd."
    );
    assert_eq!(failure.reason.as_str(), "Unschedulable");
}

#[test]
fn an_objection_is_taken_back_from_all_in_reverse() {
    let (mut scheduler, log) = scheduler(&["Ledger", "Objector", "Odd"]);
    let Decision::Fail(failure) = scheduler.schedule(&key(), 0) else {
        panic!("objected");
    };
    assert_eq!(failure.message, "0/1 nodes are available: 1 node(s) are taken.");
    let calls = take(&log);
    let after: Vec<&String> = calls
        .iter()
        .skip_while(|call| !call.contains("reserve"))
        .collect();
    assert_eq!(
        after,
        [
            "Ledger reserve 1 5",
            "Objector update 6 gone 0",
            "Objector evaluate 1 [] 0 with pod",
            "Objector reserve 1 5",
            "Objector unreserve 1 5",
            "Ledger unreserve 1 5",
            "Odd end 1",
            "Ledger end 1",
            "Objector end 1"
        ]
    );
}

#[test]
fn a_failed_binding_is_taken_back_and_the_next_attempt_is_another() {
    let (mut scheduler, log) = scheduler(&["Ledger"]);
    let Decision::Bind(assignment) = scheduler.schedule(&key(), 0) else {
        panic!("bound");
    };
    take(&log);
    scheduler.conclude(&assignment, false, 0);
    let slot = assignment
        .reservation
        .as_ref()
        .map_or(0, |reservation| reservation.slot);
    assert_eq!(
        take(&log),
        [format!("Ledger unreserve 1 {slot}"), "Ledger end 1".to_owned()]
    );
    assert!(scheduler.bind_failed(&assignment, "no", 0).is_some());
    assert!(matches!(scheduler.schedule(&key(), 60_000), Decision::Bind(_)));
    assert!(
        take(&log)
            .iter()
            .any(|call| call.starts_with("Ledger reserve 2 "))
    );
}

#[test]
fn an_instance_is_told_nothing_of_attempts_that_began_with_another() {
    let (mut scheduler, log) = scheduler(&["Ledger", "Mortal"]);
    let Decision::Bind(assignment) = scheduler.schedule(&key(), 0) else {
        panic!("bound");
    };
    scheduler.delete(Resource::Pods, &key(), 0);
    show_pod(&mut scheduler, &json!({}));
    take(&log);
    // In the second attempt its instance ends while it judges, in the third while it reserves.
    let Decision::Fail(failure) = scheduler.schedule(&key(), 0) else {
        panic!("trapped");
    };
    assert_eq!(failure.message, "running plugin \"Mortal\": evaluate: trapped");
    assert_eq!(take(&log), ["Mortal evaluate 2 [1, 2, 3, 4, 5, 0] 2 with pod"]);
    assert!(matches!(scheduler.schedule(&key(), 60_000), Decision::Fail(_)));
    let calls = take(&log);
    assert_eq!(calls[0], "Mortal update 6 gone 0", "the next one knows no nodes");
    let after: Vec<&String> = calls
        .iter()
        .skip_while(|call| !call.contains("Mortal reserve"))
        .collect();
    assert_eq!(after.len(), 3, "{after:?}");
    assert!(after[1].starts_with("Ledger unreserve 3") && after[2] == "Ledger end 3");
    scheduler.conclude(&assignment, false, 60_000);
    let calls = take(&log);
    assert_eq!(calls.len(), 2, "{calls:?}");
    assert!(calls.iter().all(|call| call.starts_with("Ledger ")));
}

/// Schedules another pod of the same name.
fn schedule_anew(scheduler: &mut Scheduler) {
    scheduler.delete(Resource::Pods, &key(), 0);
    let pod = json!({
        "metadata": {"namespace": "ns", "name": "p", "uid": "v"},
        "spec": {"containers": [{"name": "c"}]}
    });
    scheduler
        .upsert(Resource::Pods, &key(), pod.to_string().as_bytes(), false, 0)
        .unwrap();
    assert!(matches!(scheduler.schedule(&key(), 0), Decision::Bind(_)));
}

#[test]
fn plugins_are_told_of_nodes_once_and_of_those_that_changed() {
    let (mut scheduler, log) = scheduler(&["Odd"]);
    assert!(matches!(scheduler.schedule(&key(), 0), Decision::Bind(_)));
    hide_nodes(&mut scheduler, &[0]);
    show_node_with(&mut scheduler, 1, json!({"annotations": {"a": "b"}}));
    take(&log);
    schedule_anew(&mut scheduler);
    assert_eq!(take(&log)[0], "Odd update 2 gone 1");
}

#[test]
fn a_node_that_says_what_it_said_is_no_news_to_plugins_or_to_pods_that_they_rejected() {
    let (mut scheduler, log) = scheduler(&["Odd"]);
    hide_nodes(&mut scheduler, &[1, 3, 5]);
    assert!(matches!(scheduler.schedule(&key(), 0), Decision::Fail(_)));
    scheduler.take_items();
    take(&log);
    for number in [2, 4] {
        show_node_with(&mut scheduler, number, json!({"resourceVersion": "7"}));
    }
    assert_eq!(scheduler.take_items(), []);
    show_node_with(
        &mut scheduler,
        2,
        json!({"resourceVersion": "8", "annotations": {"a": "b"}}),
    );
    assert_eq!(scheduler.take_items().len(), 1);
    assert!(matches!(scheduler.schedule(&key(), 60_000), Decision::Fail(_)));
    assert_eq!(
        take(&log)[..2],
        ["Odd update 1 gone 0", "Odd evaluate 2 [0, 2, 4] 6 with pod"]
    );
}

#[test]
fn what_a_plugin_lets_go_of_brings_back_pods_that_it_rejected() {
    for is_bound in [true, false] {
        let (mut scheduler, _) = scheduler(&["Ledger", "Fussy"]);
        let Decision::Bind(assignment) = scheduler.schedule(&key(), 0) else {
            panic!("bound");
        };
        let other = PodKey::new("ns", "fussed-over");
        let pod = json!({"metadata": {"uid": "o"}, "spec": {"containers": [{"name": "c"}]}});
        let pod = pod.to_string();
        scheduler
            .upsert(Resource::Pods, &other, pod.as_bytes(), false, 0)
            .unwrap();
        assert!(matches!(scheduler.schedule(&other, 0), Decision::Fail(_)));
        // That the first pod went, or is where it was put, is known before its binding is.
        scheduler.delete(Resource::Pods, &key(), 0);
        assert!(matches!(scheduler.schedule(&other, 60_000), Decision::Fail(_)));
        scheduler.take_items();
        scheduler.conclude(&assignment, is_bound, 60_000);
        let items = scheduler.take_items();
        assert_eq!(items.len(), 1);
        assert_eq!(items[0].key, other);
        assert_eq!(
            scheduler.bind_failed(&assignment, "no", 60_000),
            None,
            "it is gone"
        );
    }
}

#[test]
fn a_number_is_no_other_nodes_while_a_pod_is_on_its_way() {
    let (mut scheduler, log) = scheduler(&["Ledger"]);
    hide_nodes(&mut scheduler, &[1, 2, 3, 4, 5]);
    let Decision::Bind(assignment) = scheduler.schedule(&key(), 0) else {
        panic!("bound");
    };
    scheduler.delete(Resource::Pods, &key(), 0);
    hide_nodes(&mut scheduler, &[0]);
    (6..12).for_each(|number| show_node(&mut scheduler, number));
    let nodes = &scheduler.parts_for_test().1.nodes;
    let present = nodes.iter().filter(|(_, node)| node.present);
    let slots: Vec<u32> = present.map(|(slot, _)| slot).collect();
    assert_eq!(slots, [1, 2, 3, 4, 5, 6], "0 is not given away");
    take(&log);
    scheduler.conclude(&assignment, false, 0);
    assert_eq!(take(&log), ["Ledger unreserve 1 0", "Ledger end 1"]);
    show_node(&mut scheduler, 12);
    assert_eq!(scheduler.parts_for_test().1.nodes.slot("n12"), Some(0));
}

#[test]
fn a_node_that_takes_the_number_of_another_comes_after_that_went() {
    let (mut scheduler, log) = scheduler(&["Odd"]);
    assert!(matches!(scheduler.schedule(&key(), 0), Decision::Bind(_)));
    hide_nodes(&mut scheduler, &[0]);
    show_node(&mut scheduler, 9);
    take(&log);
    schedule_anew(&mut scheduler);
    assert_eq!(take(&log)[0], "Odd update 2 gone 1");
}

#[test]
fn many_nodes_are_told_in_several_calls() {
    let (mut scheduler, log) = scheduler(&["Odd"]);
    for number in 0..450 {
        show_node(&mut scheduler, number);
    }
    schedule_anew(&mut scheduler);
    let updates = ["200", "200", "50"].map(|count| format!("Odd update {count} gone 0"));
    assert_eq!(take(&log)[..3], updates);
}
