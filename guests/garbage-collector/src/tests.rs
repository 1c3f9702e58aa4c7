//! Whole syncs against a fake cluster.

use std::cell::Cell;

use serde_json::{Value, json};
use windlass_sdk::bindings::controller::windlass::controller::types::ApiResource;
use windlass_sdk::testing::{Cluster, api_error, block_on};
use windlass_sdk::{ApiErrorKind, Delta, PropagationPolicy};

use super::*;
use crate::api::delete_object;
use crate::identity::OwnerRef;
use crate::metadata::LiveObject;

/// A cluster and the collector that observes it.
struct Bench {
    cluster: Cluster,
    collector: GarbageCollector,
    /// What the collector was shown last of each object, in the order of appearance.
    shown: RefCell<Vec<Value>>,
}

fn object(kind: &str, name: &str, owners: &[Value]) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": kind,
        "metadata": { "namespace": "ns", "name": name, "uid": format!("uid-{name}"), "ownerReferences": owners },
    })
}

fn owned_by(kind: &str, name: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": kind, "name": name, "uid": format!("uid-{name}") })
}

fn blocking(mut reference: Value) -> Value {
    reference["blockOwnerDeletion"] = true.into();
    reference
}

/// The same object on its way out, held by a finalizer.
fn deleting(mut object: Value, finalizer: &str) -> Value {
    object["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    object["metadata"]["finalizers"] = json!([finalizer]);
    object
}

impl Bench {
    fn new() -> Self {
        let cluster = Cluster::new::<GarbageCollector>();
        Self {
            cluster,
            collector: GarbageCollector::new(),
            shown: RefCell::default(),
        }
    }

    fn observe(&self, kind: DeltaKind, object: &Value) {
        let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
        let delta = Delta {
            kind,
            key: ObjectKey::new(text("namespace"), text("name")),
            initial: false,
            body: object.to_string().into_bytes(),
            old: None,
        };
        let resource = ApiResource {
            group: String::new(),
            version: "v1".to_owned(),
            plural: String::new(),
        };
        let kind = object["kind"].as_str().unwrap().to_owned();
        let batch = Batch {
            watch: 0,
            resource,
            kind,
            namespaced: true,
            deltas: vec![delta],
        };
        self.collector.observe(vec![batch]);
    }

    /// Puts an object into the cluster and shows it to the collector.
    fn put(&self, object: &Value) -> Value {
        let stored = self.cluster.put(object);
        self.observe(DeltaKind::Added, &stored);
        let mut shown = self.shown.borrow_mut();
        shown.retain(|shown| shown["metadata"]["uid"] != stored["metadata"]["uid"]);
        shown.push(stored.clone());
        stored
    }

    /// Shows the collector what became of the objects it knows.
    fn refresh(&self) {
        let mut shown = self.shown.borrow_mut();
        shown.retain_mut(|shown| {
            let plural = format!("{}s", shown["kind"].as_str().unwrap().to_lowercase());
            let live = self.cluster.list(&plural);
            let Some(live) = live
                .into_iter()
                .find(|live| live["metadata"]["uid"] == shown["metadata"]["uid"])
            else {
                self.observe(DeltaKind::Deleted, shown);
                return false;
            };
            if live != *shown {
                self.observe(DeltaKind::Updated, &live);
                *shown = live;
            }
            true
        });
    }

    /// Runs everything that is queued, except what waits, until nothing is, showing the
    /// collector what its writes did. Returns the writes.
    fn settle(&self) -> Vec<(String, Value)> {
        self.refresh();
        loop {
            let queued = self.cluster.take_queued();
            if queued.is_empty() {
                return self.writes();
            }
            for item in queued.iter().filter(|item| item.after_ms == 0) {
                let result = self.cluster.sync(&self.collector, &item.key.to_string());
                assert!(result.is_ok(), "{}: {result:?}", item.key);
                self.refresh();
            }
        }
    }

    fn writes(&self) -> Vec<(String, Value)> {
        let calls = self.cluster.take_bodies();
        calls
            .into_iter()
            .filter(|(call, _)| !call.starts_with("get "))
            .collect()
    }

    fn sync(&self, uid: &str) -> Result<Outcome, Error> {
        self.cluster
            .sync(&self.collector, &format!("{ATTEMPT_TO_DELETE}/{uid}"))
    }
}

fn names(writes: &[(String, Value)]) -> Vec<&str> {
    writes.iter().map(|(call, _)| call.as_str()).collect()
}

#[test]
fn dependents_of_a_deleted_owner_are_deleted_in_the_background() {
    let bench = Bench::new();
    bench.put(&object("Owner", "o", &[]));
    let pod = bench.put(&object("Pod", "a", &[owned_by("Owner", "o")]));
    assert!(bench.settle().is_empty());
    bench.cluster.remove("owners", "ns/o");
    let writes = bench.settle();
    let options = json!({
        "propagationPolicy": "Background",
        "preconditions": { "uid": "uid-a", "resourceVersion": pod["metadata"]["resourceVersion"] },
    });
    assert_eq!(writes, [("delete pods ns/a".to_owned(), options)]);
}

#[test]
fn a_deletion_that_was_missed_is_found_by_asking() {
    let bench = Bench::new();
    bench.put(&object("Pod", "a", &[owned_by("Owner", "o")]));
    assert_eq!(names(&bench.settle()), ["delete pods ns/a"]);
}

#[test]
fn a_policy_that_the_object_carries_is_kept() {
    for (finalizer, policy) in [
        ("orphan", "Orphan"),
        ("foregroundDeletion", "Foreground"),
        ("other", "Background"),
    ] {
        let bench = Bench::new();
        let mut pod = object("Pod", "a", &[owned_by("Owner", "o")]);
        pod["metadata"]["finalizers"] = json!([finalizer]);
        bench.put(&pod);
        let writes = bench.settle();
        assert_eq!(writes[0].1["propagationPolicy"], policy);
    }
}

#[test]
fn an_owner_created_again_under_the_same_name_does_not_save_the_dependents() {
    let bench = Bench::new();
    bench.put(&object("Owner", "o", &[]));
    bench.put(&object("Pod", "a", &[owned_by("Owner", "o")]));
    bench.cluster.remove("owners", "ns/o");
    let mut again = object("Owner", "o", &[]);
    again["metadata"]["uid"] = "uid-o-again".into();
    bench.put(&again);
    assert_eq!(names(&bench.settle()), ["delete pods ns/a"]);
}

#[test]
fn one_absent_owner_among_living_ones_is_taken_off() {
    let bench = Bench::new();
    bench.put(&object("Owner", "lives", &[]));
    bench.put(&object(
        "Pod",
        "a",
        &[owned_by("Owner", "lives"), owned_by("Owner", "gone")],
    ));
    let writes = bench.settle();
    let patch = json!({ "metadata": {
        "uid": "uid-a",
        "ownerReferences": [{ "$patch": "delete", "uid": "uid-gone" }],
    }});
    assert_eq!(writes, [("patch pods ns/a".to_owned(), patch)]);
    let references = bench.cluster.get("pods", "ns/a")["metadata"]["ownerReferences"].clone();
    assert_eq!(references, json!([owned_by("Owner", "lives")]));
}

#[test]
fn where_strategic_patches_are_unknown_the_whole_list_is_written() {
    let bench = Bench::new();
    bench.put(&object("Owner", "lives", &[]));
    let thing = bench.put(&object(
        "Thing",
        "a",
        &[owned_by("Owner", "lives"), owned_by("Owner", "gone")],
    ));
    let refused = Cell::new(false);
    bench.cluster.fail(move |call| {
        (call.starts_with("patch") && !refused.replace(true)).then(|| {
            api_error(
                ApiErrorKind::UnsupportedMediaType,
                "strategic merge is not supported",
            )
        })
    });
    let writes = bench.settle();
    assert_eq!(names(&writes), ["patch things ns/a", "patch things ns/a"]);
    let patch = json!({ "metadata": {
        "resourceVersion": thing["metadata"]["resourceVersion"],
        "ownerReferences": [owned_by("Owner", "lives")],
    }});
    assert_eq!(writes[1].1, patch);
}

#[test]
fn foreground_deletion_waits_for_the_dependents_that_block() {
    let bench = Bench::new();
    bench.put(&object("Owner", "o", &[]));
    let mut held = object("Pod", "blocks", &[blocking(owned_by("Owner", "o"))]);
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    bench.put(&held);
    bench.put(&object("Pod", "free", &[owned_by("Owner", "o")]));
    bench.settle();
    let dying = bench
        .cluster
        .put(&deleting(object("Owner", "o", &[]), "foregroundDeletion"));
    let mut writes = bench.settle();
    writes.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(names(&writes), ["delete pods ns/blocks", "delete pods ns/free"]);
    assert_eq!(
        writes[0].1["propagationPolicy"], "Background",
        "it has no dependents of its own"
    );
    bench.cluster.remove("pods", "ns/blocks");
    let patch =
        json!({ "metadata": { "resourceVersion": dying["metadata"]["resourceVersion"], "finalizers": [] } });
    assert_eq!(bench.settle(), [("patch owners ns/o".to_owned(), patch)]);
}

#[test]
fn foreground_deletion_goes_down_to_the_leaves_and_comes_back_up() {
    let bench = Bench::new();
    bench.put(&object("Owner", "o", &[]));
    bench.put(&object("Set", "s", &[blocking(owned_by("Owner", "o"))]));
    bench.put(&object("Pod", "p", &[blocking(owned_by("Set", "s"))]));
    bench.settle();
    bench
        .cluster
        .put(&deleting(object("Owner", "o", &[]), "foregroundDeletion"));
    let writes = bench.settle();
    assert_eq!(
        names(&writes),
        [
            "delete sets ns/s",
            "delete pods ns/p",
            "patch sets ns/s",
            "patch owners ns/o"
        ]
    );
    let policies = [
        &writes[0].1["propagationPolicy"],
        &writes[1].1["propagationPolicy"],
    ];
    assert_eq!(policies, ["Foreground", "Background"]);
    assert!(bench.cluster.list("owners").is_empty());
}

#[test]
fn an_owner_that_only_waits_is_given_up_for_one_that_stays() {
    let bench = Bench::new();
    bench.put(&object("Owner", "stays", &[]));
    bench.put(&object("Owner", "waits", &[]));
    bench.put(&object(
        "Pod",
        "a",
        &[owned_by("Owner", "stays"), blocking(owned_by("Owner", "waits"))],
    ));
    bench.settle();
    bench
        .cluster
        .put(&deleting(object("Owner", "waits", &[]), "foregroundDeletion"));
    assert_eq!(
        names(&bench.settle()),
        ["patch pods ns/a", "patch owners ns/waits"]
    );
    let references = bench.cluster.get("pods", "ns/a")["metadata"]["ownerReferences"].clone();
    assert_eq!(references, json!([owned_by("Owner", "stays")]));
}

#[test]
fn a_cycle_of_blocking_owners_is_broken() {
    let bench = Bench::new();
    let (a, b) = (blocking(owned_by("A", "a")), blocking(owned_by("B", "b")));
    bench.put(&object("A", "a", std::slice::from_ref(&b)));
    bench.put(&object("B", "b", std::slice::from_ref(&a)));
    bench.settle();
    bench
        .cluster
        .put(&deleting(object("A", "a", &[b]), "foregroundDeletion"));
    let writes = bench.settle();
    assert_eq!(
        names(&writes),
        [
            "patch bs ns/b",
            "delete bs ns/b",
            "patch as ns/a",
            "patch bs ns/b"
        ]
    );
    let unblocked =
        json!({ "apiVersion": "v1", "kind": "A", "name": "a", "uid": "uid-a", "blockOwnerDeletion": false });
    assert_eq!(
        writes[0].1["metadata"],
        json!({ "uid": "uid-b", "ownerReferences": [unblocked] })
    );
    assert_eq!(writes[1].1["propagationPolicy"], "Foreground");
    assert!(bench.cluster.list("as").is_empty() && bench.cluster.list("bs").is_empty());
}

#[test]
fn orphaning_frees_the_dependents_and_then_the_owner() {
    let bench = Bench::new();
    bench.put(&object("Owner", "o", &[]));
    bench.put(&object("Pod", "a", &[owned_by("Owner", "o")]));
    bench.put(&object("Pod", "b", &[owned_by("Owner", "o")]));
    bench.settle();
    bench.cluster.put(&deleting(object("Owner", "o", &[]), "orphan"));
    let mut writes = bench.settle();
    assert_eq!(
        writes.pop().map(|(call, _)| call),
        Some("patch owners ns/o".to_owned()),
        "the owner goes last"
    );
    assert_eq!(writes.len(), 2);
    assert_eq!(
        bench.cluster.get("pods", "ns/a")["metadata"]["ownerReferences"],
        json!([])
    );
    assert!(bench.cluster.list("owners").is_empty());
}

#[test]
fn a_dependent_that_is_gone_needs_no_orphaning() {
    let bench = Bench::new();
    bench.put(&object("Owner", "o", &[]));
    bench.put(&object("Pod", "a", &[owned_by("Owner", "o")]));
    bench.cluster.remove("pods", "ns/a");
    bench.cluster.put(&deleting(object("Owner", "o", &[]), "orphan"));
    let result = bench
        .cluster
        .sync(&bench.collector, &format!("{ATTEMPT_TO_ORPHAN}/uid-o"));
    assert_eq!(result, Ok(Outcome::Done));
    assert!(bench.cluster.list("owners").is_empty());
}

#[test]
fn an_owner_whose_dependents_cannot_be_orphaned_stays() {
    let bench = Bench::new();
    bench.put(&object("Owner", "o", &[]));
    bench.put(&object("Pod", "a", &[owned_by("Owner", "o")]));
    bench.put(&deleting(object("Owner", "o", &[]), "orphan"));
    bench.cluster.fail(|call| {
        call.starts_with("patch pods")
            .then(|| api_error(ApiErrorKind::Unavailable, "down"))
    });
    let _ = bench.cluster.take_queued();
    let result = bench
        .cluster
        .sync(&bench.collector, &format!("{ATTEMPT_TO_ORPHAN}/uid-o"));
    let message = "failed to orphan dependents of owner [v1/Owner, namespace: ns, name: o, uid: uid-o], got errors: down";
    assert_eq!(result, Err(Error::Retry(message.to_owned())));
    assert_eq!(
        bench.cluster.get("owners", "ns/o")["metadata"]["finalizers"],
        json!(["orphan"])
    );
}

#[test]
fn a_finalizer_is_removed_again_after_a_conflict() {
    let bench = Bench::new();
    let conflicts = Cell::new(3);
    bench.cluster.fail(move |call| {
        let conflict = call.starts_with("patch") && conflicts.replace(conflicts.get() - 1) > 0;
        conflict.then(|| api_error(ApiErrorKind::Conflict, "modified"))
    });
    bench.put(&deleting(object("Owner", "o", &[]), "foregroundDeletion"));
    assert_eq!(bench.settle().len(), 4);
    assert!(bench.cluster.list("owners").is_empty());
}

#[test]
fn a_child_in_another_namespace_than_its_owner_is_deleted_and_people_are_told() {
    let bench = Bench::new();
    bench.put(&object("Owner", "o", &[]));
    let mut child = object("Pod", "a", &[owned_by("Owner", "o")]);
    child["metadata"]["namespace"] = "other".into();
    bench.put(&child);
    assert_eq!(names(&bench.settle()), ["delete pods other/a"]);
    assert_eq!(
        bench.cluster.take_events(),
        [
            "Warning OwnerRefInvalidNamespace ownerRef [v1/Owner, namespace: other, name: o, uid: uid-o] \
          does not exist in namespace \"other\""
        ]
    );
}

#[test]
fn a_cluster_scoped_child_of_a_namespaced_owner_is_left_alone() {
    let bench = Bench::new();
    bench.cluster.scope(|kind| Some(kind != "Node"));
    let mut node = object("Node", "n", &[owned_by("Owner", "o")]);
    node["metadata"]["namespace"] = "".into();
    bench.put(&node);
    assert!(bench.settle().is_empty());
    assert_eq!(bench.sync("uid-n"), Ok(Outcome::Done));
    assert!(bench.writes().is_empty());
}

#[test]
fn a_cluster_scoped_owner_is_looked_for_outside_of_namespaces() {
    let bench = Bench::new();
    bench.cluster.scope(|kind| Some(kind != "Node"));
    let mut node = object("Node", "n", &[]);
    node["metadata"]["namespace"] = "".into();
    bench.cluster.put(&node);
    bench.put(&object("Pod", "a", &[owned_by("Node", "n")]));
    assert!(bench.settle().is_empty());
    assert_eq!(bench.sync("uid-a"), Ok(Outcome::Done));
    assert_eq!(bench.cluster.take_calls(), ["get pods ns/a", "get nodes n"]);
}

#[test]
fn an_owner_of_an_unknown_kind_is_tried_again_later() {
    let bench = Bench::new();
    bench.cluster.scope(|kind| (kind != "Unknown").then_some(true));
    bench.put(&object("Pod", "a", &[owned_by("Unknown", "o")]));
    let message = "unable to get REST mapping for v1/Unknown.".to_owned();
    assert_eq!(bench.sync("uid-o"), Err(Error::Retry(message.clone())));
    assert_eq!(bench.sync("uid-a"), Err(Error::Retry(message)));
}

#[test]
fn an_owner_that_exists_unobserved_is_asked_about_again_and_again() {
    let bench = Bench::new();
    bench.cluster.put(&object("Owner", "o", &[]));
    bench.put(&object("Pod", "a", &[owned_by("Owner", "o")]));
    let after = |milliseconds| {
        Ok(Outcome::RequeueAfter(std::time::Duration::from_millis(
            milliseconds,
        )))
    };
    assert_eq!([bench.sync("uid-o"), bench.sync("uid-o")], [after(5), after(10)]);
    bench.observe(DeltaKind::Added, &bench.cluster.get("owners", "ns/o"));
    assert_eq!(bench.sync("uid-o"), Ok(Outcome::Done));
}

#[test]
fn the_second_dependent_of_an_absent_owner_asks_nobody() {
    let bench = Bench::new();
    bench.put(&object("Pod", "a", &[owned_by("Owner", "o")]));
    bench.put(&object("Pod", "b", &[owned_by("Owner", "o")]));
    bench.settle();
    bench.put(&object("Pod", "c", &[owned_by("Owner", "o")]));
    bench.sync("uid-c").unwrap();
    assert_eq!(bench.cluster.take_calls(), ["get pods ns/c", "delete pods ns/c"]);
}

/// Deletes pod `a` as if it had been read at an older version with these owners.
fn delete_as_seen(owners: &[Value]) -> bool {
    let mut seen = object("Pod", "a", owners);
    seen["metadata"]["resourceVersion"] = "0".into();
    let seen: LiveObject = serde_json::from_value(seen).unwrap();
    let reference = OwnerRef::from(&serde_json::from_value(owned_by("Pod", "a")).unwrap());
    let pod = reference.identity(Symbol::new("ns"));
    block_on(delete_object(
        &SyncContext::NONE,
        &pod,
        &seen.metadata,
        PropagationPolicy::Background,
    ))
    .is_ok()
}

#[test]
fn an_object_that_changed_meanwhile_goes_if_its_owners_are_the_same() {
    let bench = Bench::new();
    bench.put(&object("Pod", "a", &[owned_by("Owner", "o")]));
    assert!(delete_as_seen(&[owned_by("Owner", "o")]));
    let writes = bench.writes();
    assert_eq!(names(&writes), ["delete pods ns/a", "delete pods ns/a"]);
    assert_eq!(writes[1].1["preconditions"], json!({ "uid": "uid-a" }));
}

#[test]
fn an_object_that_was_adopted_meanwhile_is_not_deleted() {
    let bench = Bench::new();
    bench.put(&object("Pod", "a", &[owned_by("Owner", "new")]));
    assert!(!delete_as_seen(&[owned_by("Owner", "o")]));
    assert_eq!(names(&bench.writes()), ["delete pods ns/a"]);
}

#[test]
fn an_unknown_action_is_an_error_that_names_it() {
    let bench = Bench::new();
    let result = bench.cluster.sync(&bench.collector, "dance/uid-a");
    assert_eq!(
        result,
        Err(Error::Terminal("there is no action named \"dance\"".to_owned()))
    );
}
