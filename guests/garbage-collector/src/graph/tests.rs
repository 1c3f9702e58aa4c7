use super::*;
use crate::metadata::DeletionState;

fn kind(kind: &str) -> Kind {
    Kind {
        api_version: Symbol::new("v1"),
        kind: Symbol::new(kind),
    }
}

/// An object named like its UID.
fn object(uid: &str, namespace: &str, owners: &[OwnerRef]) -> Observed {
    Observed {
        uid: Uid::new(uid),
        name: uid.into(),
        namespace: Symbol::new(namespace),
        owners: owners.into(),
        state: DeletionState::default(),
    }
}

fn owner(kind: &str, uid: &str) -> OwnerRef {
    OwnerRef {
        uid: Uid::new(uid),
        api_version: Symbol::new("v1"),
        kind: Symbol::new(kind),
        name: uid.into(),
        controller: None,
        block_owner_deletion: None,
    }
}

fn blocking(owner: OwnerRef) -> OwnerRef {
    OwnerRef {
        block_owner_deletion: Some(true),
        ..owner
    }
}

fn identity(kind: &str, uid: &str, namespace: &str) -> Identity {
    owner(kind, uid).identity(Symbol::new(namespace))
}

const DELETING: DeletionState = DeletionState {
    being_deleted: true,
    orphaning: false,
    deleting_dependents: false,
};
const FOREGROUND: DeletionState = DeletionState {
    deleting_dependents: true,
    ..DELETING
};
const ORPHANING: DeletionState = DeletionState {
    orphaning: true,
    ..DELETING
};

/// Effects in a form that is easy to compare, sorted.
fn effects(graph: &mut Graph) -> Vec<String> {
    let describe = |effect: Effect| match effect {
        Effect::AttemptToDelete { uid, after } if after.is_zero() => format!("delete {uid}"),
        Effect::AttemptToDelete { uid, .. } => format!("delete {uid} later"),
        Effect::AttemptToOrphan { uid } => format!("orphan {uid}"),
        Effect::InvalidNamespace { child, .. } => format!("invalid namespace {}", child.uid),
    };
    let mut effects: Vec<String> = graph.take_effects().into_iter().map(describe).collect();
    effects.sort();
    effects.dedup();
    effects
}

fn has(graph: &Graph, uid: &str) -> bool {
    graph.node(&Uid::new(uid)).is_some()
}

/// A graph with an observed owner `o` and its dependents `a` and `b`.
fn family(edge: impl Fn(OwnerRef) -> OwnerRef) -> Graph {
    let mut graph = Graph::default();
    graph.upsert(kind("Owner"), object("o", "ns", &[]));
    for uid in ["a", "b"] {
        graph.upsert(kind("Pod"), object(uid, "ns", &[edge(owner("Owner", "o"))]));
    }
    assert_eq!(effects(&mut graph), [""; 0], "a family in order needs nothing");
    graph
}

#[test]
fn an_owner_that_is_watched_in_another_version_keeps_its_dependents() {
    let mut graph = family(|owner| owner);
    let newer = Kind {
        api_version: Symbol::new("v2"),
        ..kind("Owner")
    };
    graph.upsert(newer, object("o", "ns", &[]));
    assert_eq!(effects(&mut graph), [""; 0]);
    let owner = graph
        .node(&Uid::new("o"))
        .map(|owner| owner.at.api_version.as_str());
    assert_eq!(owner, Some("v2"), "looked for where it is served");
    graph.delete(newer, &object("o", "ns", &[]));
    assert_eq!(effects(&mut graph), ["delete a", "delete b"]);
}

#[test]
fn an_owner_never_seen_is_made_up_and_looked_into() {
    let mut graph = Graph::default();
    graph.upsert(kind("Pod"), object("a", "ns", &[owner("Owner", "o")]));
    assert_eq!(effects(&mut graph), ["delete o"]);
    let made_up = graph.node(&Uid::new("o")).unwrap();
    assert!(made_up.is_virtual());
    assert_eq!(made_up.identity(&Uid::new("o")), identity("Owner", "o", "ns"));
    graph.upsert(kind("Pod"), object("b", "ns", &[owner("Owner", "o")]));
    assert_eq!(effects(&mut graph), [""; 0], "once is enough");
}

#[test]
fn a_made_up_owner_that_is_observed_needs_no_look_any_more() {
    let mut graph = Graph::default();
    graph.upsert(kind("Pod"), object("a", "ns", &[owner("Owner", "o")]));
    graph.upsert(kind("Owner"), object("o", "ns", &[]));
    assert!(graph.settled(&Uid::new("o")));
    graph.attempt_to_delete(&Uid::new("o"));
    assert!(!graph.settled(&Uid::new("o")), "other reasons count");
}

#[test]
fn a_made_up_owner_that_is_absent_takes_its_dependents_into_question() {
    let mut graph = Graph::default();
    graph.upsert(kind("Pod"), object("a", "ns", &[owner("Owner", "o")]));
    effects(&mut graph);
    graph.found_absent(identity("Owner", "o", "ns"));
    assert_eq!(effects(&mut graph), ["delete a"]);
    assert!(!has(&graph, "o"));
    assert!(graph.absent_owners.contains(&identity("Owner", "o", "ns")));
}

#[test]
fn a_deleted_owner_takes_its_dependents_into_question() {
    let mut graph = family(|edge| edge);
    graph.delete(kind("Owner"), &object("o", "ns", &[]));
    assert_eq!(effects(&mut graph), ["delete a", "delete b"]);
    assert!(graph.absent_owners.contains(&identity("Owner", "o", "ns")));
}

#[test]
fn a_deleted_object_without_dependents_leaves_no_trace() {
    let mut graph = Graph::default();
    graph.upsert(kind("Pod"), object("a", "ns", &[]));
    graph.delete(kind("Pod"), &object("a", "ns", &[]));
    assert_eq!(effects(&mut graph), [""; 0]);
    assert!(!has(&graph, "a") && !graph.absent_owners.contains(&identity("Pod", "a", "ns")));
}

#[test]
fn foreground_deletion_looks_into_the_dependents_and_then_the_owner() {
    let mut graph = family(blocking);
    graph.upsert(
        kind("Owner"),
        Observed {
            state: FOREGROUND,
            ..object("o", "ns", &[])
        },
    );
    assert_eq!(effects(&mut graph), ["delete a", "delete b", "delete o"]);
    graph.upsert(
        kind("Owner"),
        Observed {
            state: FOREGROUND,
            ..object("o", "ns", &[])
        },
    );
    assert_eq!(effects(&mut graph), [""; 0], "only the first sight starts it");
    graph.delete(kind("Pod"), &object("a", "ns", &[blocking(owner("Owner", "o"))]));
    assert_eq!(effects(&mut graph), ["delete o"], "it may have been the last");
}

#[test]
fn an_object_first_seen_in_foreground_deletion_is_looked_into() {
    let mut graph = Graph::default();
    graph.upsert(
        kind("Owner"),
        Observed {
            state: FOREGROUND,
            ..object("o", "ns", &[])
        },
    );
    assert_eq!(effects(&mut graph), ["delete o"]);
}

#[test]
fn orphaning_deletion_goes_to_the_other_queue() {
    let mut graph = family(|edge| edge);
    graph.upsert(
        kind("Owner"),
        Observed {
            state: ORPHANING,
            ..object("o", "ns", &[])
        },
    );
    assert_eq!(effects(&mut graph), ["orphan o"]);
    graph.upsert(
        kind("Owner"),
        Observed {
            state: ORPHANING,
            ..object("o", "ns", &[])
        },
    );
    assert_eq!(effects(&mut graph), [""; 0]);
}

#[test]
fn background_deletion_waits_for_the_object_to_go() {
    let mut graph = family(|edge| edge);
    graph.upsert(
        kind("Owner"),
        Observed {
            state: DELETING,
            ..object("o", "ns", &[])
        },
    );
    assert_eq!(effects(&mut graph), [""; 0]);
    assert!(graph.node(&Uid::new("o")).unwrap().state.being_deleted);
}

#[test]
fn a_dependent_that_lets_go_unblocks_an_owner_in_foreground_deletion() {
    let mut graph = family(blocking);
    graph.upsert(
        kind("Owner"),
        Observed {
            state: FOREGROUND,
            ..object("o", "ns", &[])
        },
    );
    effects(&mut graph);
    graph.upsert(kind("Pod"), object("a", "ns", &[owner("Owner", "o")]));
    assert_eq!(effects(&mut graph), ["delete o"], "it no longer blocks");
    graph.upsert(kind("Pod"), object("b", "ns", &[]));
    assert_eq!(effects(&mut graph), ["delete o"], "it is no dependent any more");
    assert_eq!(graph.node(&Uid::new("o")).unwrap().dependents(), [Uid::new("a")]);
}

#[test]
fn a_dependent_that_lets_go_of_a_living_owner_concerns_nobody() {
    let mut graph = family(blocking);
    graph.upsert(kind("Pod"), object("a", "ns", &[]));
    assert_eq!(effects(&mut graph), [""; 0]);
}

#[test]
fn a_new_reference_makes_an_edge() {
    let mut graph = family(|edge| edge);
    graph.upsert(kind("Pod"), object("c", "ns", &[]));
    graph.upsert(kind("Pod"), object("c", "ns", &[owner("Owner", "o")]));
    assert_eq!(effects(&mut graph), [""; 0]);
    assert_eq!(graph.node(&Uid::new("o")).unwrap().dependents().len(), 3);
}

#[test]
fn an_owner_in_another_namespace_is_reported_and_the_child_looked_into() {
    let mut graph = Graph::default();
    graph.upsert(kind("Owner"), object("o", "ns", &[]));
    graph.upsert(kind("Pod"), object("a", "other", &[owner("Owner", "o")]));
    assert_eq!(effects(&mut graph), ["delete a", "invalid namespace a"]);
}

#[test]
fn an_owner_in_another_namespace_is_reported_too_when_it_is_seen_after_the_child() {
    let mut graph = Graph::default();
    graph.upsert(kind("Pod"), object("a", "other", &[owner("Owner", "o")]));
    effects(&mut graph);
    graph.upsert(kind("Owner"), object("o", "ns", &[]));
    assert_eq!(effects(&mut graph), ["delete a", "invalid namespace a"]);
}

#[test]
fn a_reference_with_wrong_coordinates_is_verified() {
    let mut graph = Graph::default();
    graph.upsert(kind("Owner"), object("o", "ns", &[]));
    graph.upsert(kind("Pod"), object("a", "ns", &[owner("Impostor", "o")]));
    assert_eq!(effects(&mut graph), ["delete a"]);
}

#[test]
fn a_cluster_scoped_owner_of_namespaced_children_is_in_order() {
    let mut graph = Graph::default();
    graph.upsert(kind("Node"), object("n", "", &[]));
    graph.upsert(kind("Pod"), object("a", "ns", &[owner("Node", "n")]));
    assert_eq!(effects(&mut graph), [""; 0]);
}

#[test]
fn a_cluster_scoped_child_that_made_its_owner_up_puts_other_children_in_doubt() {
    let mut graph = Graph::default();
    graph.upsert(kind("Node"), object("child", "", &[owner("Owner", "o")]));
    effects(&mut graph);
    graph.upsert(kind("Pod"), object("a", "ns", &[owner("Owner", "o")]));
    assert_eq!(effects(&mut graph), ["delete a"]);
}

#[test]
fn a_made_up_owner_takes_the_coordinates_it_is_observed_with() {
    let mut graph = Graph::default();
    graph.upsert(kind("Pod"), object("a", "ns", &[owner("Impostor", "o")]));
    effects(&mut graph);
    graph.upsert(kind("Pod"), object("b", "ns", &[owner("Owner", "o")]));
    effects(&mut graph);
    graph.upsert(kind("Owner"), object("o", "ns", &[]));
    assert_eq!(effects(&mut graph), ["delete a"], "it refers to something else");
    assert_eq!(
        graph.node(&Uid::new("o")).unwrap().identity(&Uid::new("o")),
        identity("Owner", "o", "ns")
    );
}

#[test]
fn identities_claimed_for_one_uid_are_tried_in_turn() {
    let mut graph = Graph::default();
    graph.upsert(kind("Pod"), object("x", "ns", &[owner("B", "o")]));
    graph.upsert(kind("Pod"), object("y", "ns", &[owner("A", "o")]));
    graph.upsert(kind("Pod"), object("z", "ns", &[owner("C", "o")]));
    effects(&mut graph);
    let at = |graph: &Graph| graph.node(&Uid::new("o")).unwrap().at.kind.as_str();
    assert_eq!(at(&graph), "B");
    graph.found_absent(identity("B", "o", "ns"));
    assert_eq!(
        (at(&graph), effects(&mut graph)),
        ("C", vec!["delete o later".to_owned(), "delete x".to_owned()])
    );
    graph.found_absent(identity("C", "o", "ns"));
    assert_eq!(
        (at(&graph), effects(&mut graph)),
        ("A", vec!["delete o later".to_owned(), "delete z".to_owned()])
    );
}

#[test]
fn an_observed_owner_is_not_removed_because_an_impostor_is_absent() {
    let mut graph = Graph::default();
    graph.upsert(kind("Pod"), object("a", "ns", &[owner("Impostor", "o")]));
    graph.upsert(kind("Owner"), object("o", "ns", &[]));
    effects(&mut graph);
    graph.found_absent(identity("Impostor", "o", "ns"));
    assert!(has(&graph, "o"));
    assert_eq!(effects(&mut graph), ["delete a"]);
    assert!(graph.absent_owners.contains(&identity("Impostor", "o", "ns")));
}

#[test]
fn an_owner_created_again_under_another_uid_is_another_owner() {
    let mut graph = family(|edge| edge);
    graph.delete(kind("Owner"), &object("o", "ns", &[]));
    effects(&mut graph);
    let again = Observed {
        name: "o".into(),
        ..object("o2", "ns", &[])
    };
    graph.upsert(kind("Owner"), again);
    assert_eq!(effects(&mut graph), [""; 0]);
    assert!(!graph.node(&Uid::new("o2")).unwrap().has_dependents());
}

#[test]
fn objects_that_own_each_other_are_both_looked_into_when_one_goes() {
    let mut graph = Graph::default();
    graph.upsert(kind("A"), object("a", "ns", &[blocking(owner("B", "b"))]));
    graph.upsert(kind("B"), object("b", "ns", &[blocking(owner("A", "a"))]));
    effects(&mut graph);
    graph.upsert(
        kind("A"),
        Observed {
            state: FOREGROUND,
            ..object("a", "ns", &[blocking(owner("B", "b"))])
        },
    );
    assert_eq!(effects(&mut graph), ["delete a", "delete b"]);
    graph.delete(kind("A"), &object("a", "ns", &[blocking(owner("B", "b"))]));
    assert_eq!(effects(&mut graph), ["delete b"]);
}

#[test]
fn polls_of_a_virtual_node_become_rarer_until_it_is_observed() {
    let mut graph = Graph::default();
    let uid = Uid::new("o");
    let delays: Vec<u128> = (0..4).map(|_| graph.next_poll(&uid).as_millis()).collect();
    assert_eq!(delays, [5, 10, 20, 40]);
    for _ in 0..40 {
        graph.next_poll(&uid);
    }
    assert_eq!(graph.next_poll(&uid), Duration::from_secs(1000));
}
