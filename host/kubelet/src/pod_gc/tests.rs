use std::sync::Arc;

use windlass_core::object::Object;

use super::*;

fn at(seconds: u64) -> Time {
    Time::EPOCH.plus(Duration::from_secs(seconds))
}

fn delta(kind: DeltaKind, body: serde_json::Value) -> Delta {
    let object = Object::parse(body.to_string().into()).unwrap();
    Delta {
        kind,
        object: Arc::new(object),
        old: None,
        initial: false,
    }
}

fn pod(name: &str, node: &str) -> serde_json::Value {
    json!({
        "metadata": { "namespace": "ns", "name": name, "uid": format!("uid-{name}") },
        "spec": { "nodeName": node },
        "status": { "phase": "Running" },
    })
}

fn node(name: &str) -> serde_json::Value {
    json!({ "metadata": { "name": name } })
}

/// Node `a` with one pod, and a pod on node `b`, which does not exist.
fn orphans() -> Orphans {
    let mut orphans = Orphans::new(DEFAULT_QUARANTINE);
    orphans.observe_pod(&delta(DeltaKind::Added, pod("one", "a")), at(0));
    orphans.observe_pod(&delta(DeltaKind::Added, pod("two", "b")), at(0));
    orphans.observe_node(&delta(DeltaKind::Added, node("a")), at(0));
    orphans.sync(at(0));
    orphans
}

fn names(due: Option<(SmolStr, Vec<(ObjectKey, Bound)>)>) -> Option<(String, Vec<String>)> {
    due.map(|(node, pods)| {
        (
            node.to_string(),
            pods.iter().map(|(key, _)| key.name.to_string()).collect(),
        )
    })
}

#[test]
fn pods_of_a_missing_node_are_due_after_the_quarantine() {
    let mut orphans = orphans();
    assert_eq!(names(orphans.next_due(at(39))), None);
    assert_eq!(
        names(orphans.next_due(at(40))),
        Some(("b".to_owned(), vec!["two".to_owned()]))
    );
    assert_eq!(names(orphans.next_due(at(400))), None, "once is enough");
}

#[test]
fn a_node_that_comes_back_starts_a_new_quarantine() {
    let mut orphans = orphans();
    orphans.observe_node(&delta(DeltaKind::Added, node("b")), at(30));
    orphans.observe_node(&delta(DeltaKind::Deleted, node("b")), at(35));
    assert_eq!(names(orphans.next_due(at(40))), None);
    assert_eq!(
        names(orphans.next_due(at(75))),
        Some(("b".to_owned(), vec!["two".to_owned()]))
    );
}

#[test]
fn a_deleted_node_orphans_its_pods() {
    let mut orphans = orphans();
    orphans.observe_pod(&delta(DeltaKind::Deleted, pod("two", "b")), at(1));
    orphans.observe_node(&delta(DeltaKind::Deleted, node("a")), at(2));
    assert_eq!(
        names(orphans.next_due(at(42))),
        Some(("a".to_owned(), vec!["one".to_owned()]))
    );
}

#[test]
fn nothing_is_missing_before_everything_was_listed() {
    let mut orphans = Orphans::new(DEFAULT_QUARANTINE);
    orphans.observe_pod(&delta(DeltaKind::Added, pod("one", "a")), at(0));
    assert_eq!(names(orphans.next_due(at(100))), None);
}
