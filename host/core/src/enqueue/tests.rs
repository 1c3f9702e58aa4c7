use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::seams::ReadError;

/// The objects of watch 0.
struct Siblings(Vec<Arc<Object>>);

impl ObjectReader for Siblings {
    fn get(&self, watch: WatchId, _: &ObjectKey) -> Result<Option<Arc<Object>>, ReadError> {
        Err(ReadError::UnknownWatch(watch))
    }
    fn list(
        &self,
        watch: WatchId,
        namespace: Option<&str>,
        selector: &str,
    ) -> Result<Vec<Arc<Object>>, ReadError> {
        assert_eq!((watch, selector), (0, ""));
        let inside = |object: &&Arc<Object>| Some(object.key().namespace.as_str()) == namespace;
        Ok(self.0.iter().filter(inside).cloned().collect())
    }
    fn by_index(&self, watch: WatchId, _: &str, _: &str) -> Result<Vec<Arc<Object>>, ReadError> {
        Err(ReadError::UnknownWatch(watch))
    }
    fn by_owner(&self, watch: WatchId, _: &str) -> Result<Vec<Arc<Object>>, ReadError> {
        Err(ReadError::UnknownWatch(watch))
    }
    fn orphans(&self, watch: WatchId, _: &str) -> Result<Vec<Arc<Object>>, ReadError> {
        Err(ReadError::UnknownWatch(watch))
    }
}

fn object(value: &Value) -> Arc<Object> {
    Arc::new(Object::parse(serde_json::to_vec(value).unwrap().into()).unwrap())
}

fn pod(version: u64, owner: Option<(&str, &str)>, label: &str) -> Arc<Object> {
    let owners = owner.map(|(api_version, name)| {
        json!({ "apiVersion": api_version, "kind": "ReplicaSet", "name": name, "uid": name, "controller": true })
    });
    let owners: Vec<Value> = owners.into_iter().collect();
    object(
        &json!({ "metadata": { "namespace": "ns", "name": "pod", "uid": "p", "resourceVersion": version.to_string(),
        "labels": { "app": label }, "ownerReferences": owners } }),
    )
}

fn siblings() -> Siblings {
    let sibling = |namespace: &str, name: &str, selector: Value| {
        object(
            &json!({ "metadata": { "namespace": namespace, "name": name }, "spec": { "selector": selector } }),
        )
    };
    Siblings(vec![
        sibling("ns", "structured", json!({ "matchLabels": { "app": "x" } })),
        sibling("ns", "plain", json!({ "app": "x" })),
        sibling("ns", "empty", json!({})),
        sibling("ns", "none", Value::Null),
        sibling("ns", "y", json!({ "matchLabels": { "app": "y" } })),
        sibling(
            "elsewhere",
            "structured",
            json!({ "matchLabels": { "app": "x" } }),
        ),
    ])
}

fn owner_rule() -> EnqueueRule {
    EnqueueRule::Owner {
        group: "apps".into(),
        kind: "ReplicaSet".into(),
        orphans: OrphanRule::MatchingSelectors,
    }
}

fn names(rule: &EnqueueRule, kind: DeltaKind, object: Arc<Object>, old: Option<Arc<Object>>) -> Vec<String> {
    names_of(
        rule,
        EventKinds::ALL,
        &Delta {
            kind,
            object,
            old,
            initial: false,
        },
    )
}

fn names_of(rule: &EnqueueRule, on: EventKinds, delta: &Delta) -> Vec<String> {
    let keys = keys(rule, on, delta, &siblings());
    assert!(keys.iter().all(|key| key.namespace == "ns"));
    keys.iter().map(|key| key.name.to_string()).collect()
}

const A: Option<(&str, &str)> = Some(("apps/v1", "a"));
const B: Option<(&str, &str)> = Some(("apps/v1beta2", "b"));
const NONE: [&str; 0] = [];

#[test]
fn an_object_enqueues_itself_unless_nothing_changed() {
    let rule = EnqueueRule::SelfKey;
    assert_eq!(names(&rule, DeltaKind::Added, pod(1, None, "x"), None), ["pod"]);
    assert_eq!(
        names(
            &rule,
            DeltaKind::Updated,
            pod(2, None, "x"),
            Some(pod(1, None, "x"))
        ),
        ["pod"]
    );
    assert_eq!(
        names(
            &rule,
            DeltaKind::Updated,
            pod(1, None, "x"),
            Some(pod(1, None, "x"))
        ),
        NONE
    );
    let resync = Delta {
        kind: DeltaKind::Updated,
        object: pod(1, None, "x"),
        old: Some(pod(1, None, "x")),
        initial: true,
    };
    assert_eq!(names_of(&rule, EventKinds::ALL, &resync), ["pod"]);
}

#[test]
fn only_the_declared_kinds_of_event_count() {
    let on = EventKinds {
        added: false,
        updated: false,
        deleted: true,
    };
    for (kind, expected) in [
        (DeltaKind::Added, 0),
        (DeltaKind::Updated, 0),
        (DeltaKind::Deleted, 1),
    ] {
        let delta = Delta {
            kind,
            object: pod(1, None, "x"),
            old: None,
            initial: false,
        };
        assert_eq!(names_of(&EnqueueRule::SelfKey, on, &delta).len(), expected);
    }
}

#[test]
fn old_and_new_owner_are_enqueued_once_each_in_any_version() {
    let rule = owner_rule();
    assert_eq!(
        names(&rule, DeltaKind::Updated, pod(2, A, "x"), Some(pod(1, B, "x"))),
        ["a", "b"]
    );
    assert_eq!(
        names(&rule, DeltaKind::Updated, pod(2, A, "x"), Some(pod(1, A, "x"))),
        ["a"]
    );
    assert_eq!(names(&rule, DeltaKind::Deleted, pod(2, A, "x"), None), ["a"]);
    assert_eq!(
        names(
            &rule,
            DeltaKind::Added,
            pod(1, Some(("example.com/v1", "a")), "x"),
            None
        ),
        NONE
    );
}

#[test]
fn a_new_orphan_concerns_every_selector_that_matches_it() {
    assert_eq!(
        names(&owner_rule(), DeltaKind::Added, pod(1, None, "x"), None),
        ["structured", "plain"]
    );
    assert_eq!(
        names(&owner_rule(), DeltaKind::Deleted, pod(1, None, "x"), None),
        NONE
    );
    let ignoring = EnqueueRule::Owner {
        group: "apps".into(),
        kind: "ReplicaSet".into(),
        orphans: OrphanRule::Ignore,
    };
    assert_eq!(names(&ignoring, DeltaKind::Added, pod(1, None, "x"), None), NONE);
}

#[test]
fn a_changed_orphan_counts_only_if_its_labels_or_its_owner_changed() {
    let rule = owner_rule();
    assert_eq!(
        names(
            &rule,
            DeltaKind::Updated,
            pod(2, None, "x"),
            Some(pod(1, None, "x"))
        ),
        NONE
    );
    assert_eq!(
        names(
            &rule,
            DeltaKind::Updated,
            pod(2, None, "y"),
            Some(pod(1, None, "x"))
        ),
        ["y"]
    );
    assert_eq!(
        names(&rule, DeltaKind::Updated, pod(2, None, "y"), Some(pod(1, A, "y"))),
        ["a", "y"]
    );
}

#[test]
fn an_orphan_on_its_way_out_is_nobodys_business() {
    let leaving = object(
        &json!({ "metadata": { "namespace": "ns", "name": "pod", "labels": { "app": "x" },
        "deletionTimestamp": "2026-01-01T00:00:00Z" } }),
    );
    assert_eq!(names(&owner_rule(), DeltaKind::Added, leaving, None), NONE);
}
