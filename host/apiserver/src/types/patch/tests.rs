//! Cases in the manner of upstream's strategicpatch tests, and RFC 7386 as a property.

use super::{PatchError, encoded_len, json, merge, strategic};
use proptest::prelude::*;
use serde_json::{Map, Value, json as j};

fn pod(containers: Value) -> Value {
    j!({"spec": {"containers": containers}})
}

#[track_caller]
fn check(kind: &str, mut doc: Value, patch: Value, expected: Value) {
    strategic("", kind, &mut doc, patch.to_string().as_bytes()).unwrap();
    assert_eq!(doc, expected);
}

#[test]
fn containers_merge_by_name_and_new_ones_come_first() {
    check(
        "Pod",
        pod(j!([{"name": "a", "image": "x"}, {"name": "b", "image": "y"}])),
        pod(j!([{"name": "c", "image": "z"}, {"name": "a", "image": "x2"}])),
        pod(j!([{"name": "c", "image": "z"}, {"name": "a", "image": "x2"}, {"name": "b", "image": "y"}])),
    );
}

#[test]
fn a_server_item_stays_before_a_patched_one_that_followed_it() {
    check(
        "Pod",
        pod(j!([{"name": "a"}, {"name": "b"}, {"name": "c"}])),
        pod(j!([{"name": "b", "image": "y"}])),
        pod(j!([{"name": "a"}, {"name": "b", "image": "y"}, {"name": "c"}])),
    );
}

#[test]
fn a_delete_directive_removes_the_item_or_empties_the_map() {
    check(
        "Pod",
        pod(j!([{"name": "a"}, {"name": "b"}])),
        pod(j!([{"name": "a", "$patch": "delete"}])),
        pod(j!([{"name": "b"}])),
    );
    check(
        "Pod",
        j!({"metadata": {"labels": {"a": "b"}}}),
        j!({"metadata": {"labels": {"$patch": "delete"}}}),
        j!({"metadata": {"labels": {}}}),
    );
}

#[test]
fn a_replace_directive_takes_the_patch_alone() {
    check(
        "Pod",
        pod(j!([{"name": "a"}, {"name": "b"}])),
        pod(j!([{"name": "c"}, {"$patch": "replace"}])),
        pod(j!([{"name": "c"}])),
    );
    check(
        "Pod",
        j!({"metadata": {"labels": {"a": "b"}}}),
        j!({"metadata": {"labels": {"c": "d", "$patch": "replace"}}}),
        j!({"metadata": {"labels": {"c": "d"}}}),
    );
}

#[test]
fn finalizers_are_a_set_with_deletions() {
    check(
        "Pod",
        j!({"metadata": {"finalizers": ["a", "b"]}}),
        j!({"metadata": {"finalizers": ["b", "c"]}}),
        j!({"metadata": {"finalizers": ["a", "b", "c"]}}),
    );
    check(
        "Pod",
        j!({"metadata": {"finalizers": ["a", "b", "c"]}}),
        j!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["b"]}}),
        j!({"metadata": {"finalizers": ["a", "c"]}}),
    );
}

#[test]
fn set_element_order_puts_lists_in_order() {
    check(
        "Pod",
        pod(j!([{"name": "a"}, {"name": "b"}, {"name": "s"}])),
        j!({"spec": {"$setElementOrder/containers": [{"name": "b"}, {"name": "n"}, {"name": "a"}],
                     "containers": [{"name": "n"}, {"name": "a", "image": "x"}]}}),
        pod(j!([{"name": "b"}, {"name": "n"}, {"name": "a", "image": "x"}, {"name": "s"}])),
    );
    check(
        "Pod",
        pod(j!([{"name": "a"}, {"name": "b"}])),
        j!({"spec": {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]}}),
        pod(j!([{"name": "b"}, {"name": "a"}])),
    );
}

#[test]
fn a_patch_against_its_own_order_is_refused() {
    let mut doc = pod(j!([]));
    let patch = j!({"spec": {"$setElementOrder/containers": [{"name": "a"}, {"name": "b"}],
                             "containers": [{"name": "b"}, {"name": "a"}]}});
    let error = strategic("", "Pod", &mut doc, patch.to_string().as_bytes()).unwrap_err();
    assert_eq!(error.code, 400);
    assert!(
        error.message.contains("doesn't match $setElementOrder list"),
        "{error}"
    );
}

#[test]
fn retain_keys_clears_the_other_members() {
    let strategy = |value: Value| j!({"spec": {"strategy": value}});
    check(
        "Deployment",
        strategy(j!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}})),
        strategy(j!({"$retainKeys": ["type"], "type": "Recreate"})),
        strategy(j!({"type": "Recreate"})),
    );
    let mut doc = strategy(j!({}));
    let patch = strategy(j!({"$retainKeys": ["type"], "other": 1}));
    assert_eq!(
        strategic("apps", "Deployment", &mut doc, patch.to_string().as_bytes()),
        Err(PatchError {
            code: 400,
            message: "invalid patch format of retainKeys".to_owned()
        })
    );
}

#[test]
fn ports_of_pods_and_services_merge_by_different_keys() {
    check(
        "Pod",
        pod(j!([{"name": "a", "ports": [{"containerPort": 80, "name": "web"}]}])),
        pod(j!([{"name": "a", "ports": [{"containerPort": 80, "protocol": "UDP"}]}])),
        pod(j!([{"name": "a", "ports": [{"containerPort": 80, "name": "web", "protocol": "UDP"}]}])),
    );
    check(
        "Service",
        j!({"spec": {"ports": [{"port": 80, "name": "web"}]}}),
        j!({"spec": {"ports": [{"port": 80, "nodePort": 30000}]}}),
        j!({"spec": {"ports": [{"port": 80, "name": "web", "nodePort": 30000}]}}),
    );
    check(
        "EndpointSlice",
        j!({"ports": [{"port": 80, "name": "web"}]}),
        j!({"ports": [{"port": 80}]}),
        j!({"ports": [{"port": 80}]}),
    );
}

#[test]
fn tolerations_taints_and_commands_are_atomic() {
    check(
        "Node",
        j!({"spec": {"taints": [{"key": "a", "effect": "NoSchedule"}]}}),
        j!({"spec": {"taints": [{"key": "b", "effect": "NoSchedule"}]}}),
        j!({"spec": {"taints": [{"key": "b", "effect": "NoSchedule"}]}}),
    );
    check(
        "Pod",
        pod(j!([{"name": "a", "args": ["x"]}])),
        pod(j!([{"name": "a", "args": ["y"]}])),
        pod(j!([{"name": "a", "args": ["y"]}])),
    );
}

#[test]
fn conditions_merge_by_type() {
    check(
        "Pod",
        j!({"status": {"conditions": [{"type": "Ready", "status": "False"}, {"type": "X", "status": "True"}]}}),
        j!({"status": {"conditions": [{"type": "Ready", "status": "True"}]}}),
        j!({"status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "X", "status": "True"}]}}),
    );
}

#[test]
fn nulls_delete_and_never_arrive() {
    check(
        "Pod",
        j!({"metadata": {"labels": {"a": "b", "c": "d"}}}),
        j!({"metadata": {"labels": {"a": null, "x": null}, "annotations": {"k": null, "l": "m"}}}),
        j!({"metadata": {"labels": {"c": "d"}, "annotations": {"l": "m"}}}),
    );
}

#[test]
fn a_disruption_budget_selector_is_replaced() {
    check(
        "PodDisruptionBudget",
        j!({"spec": {"selector": {"matchLabels": {"a": "b"}}}}),
        j!({"spec": {"selector": {"matchLabels": {"c": "d"}}}}),
        j!({"spec": {"selector": {"matchLabels": {"c": "d"}}}}),
    );
}

#[test]
fn an_item_without_its_merge_key_is_refused() {
    let mut doc = pod(j!([{"name": "a"}]));
    let patch = pod(j!([{"image": "x"}]));
    let error = strategic("", "Pod", &mut doc, patch.to_string().as_bytes()).unwrap_err();
    assert_eq!(error.code, 422);
    assert_eq!(
        error.message,
        r#"map: {"image":"x"} does not contain declared merge key: name"#
    );
}

#[test]
fn json_patch_follows_rfc_6902() {
    let mut doc = j!({"spec": {"replicas": 1}});
    json(&mut doc, br#"[{"op":"test","path":"/spec/replicas","value":1},{"op":"replace","path":"/spec/replicas","value":3}]"#)
        .unwrap();
    assert_eq!(doc, j!({"spec": {"replicas": 3}}));
    assert_eq!(
        json(&mut doc, br#"[{"op":"remove","path":"/nothing"}]"#)
            .unwrap_err()
            .code,
        422
    );
    assert_eq!(json(&mut doc, b"{}").unwrap_err().code, 400);
}

#[test]
fn json_patches_have_limits() {
    let mut doc = j!({"a": "x".repeat(1024)});
    let operations = vec![j!({"op": "test", "path": "/b", "value": 1}); 10_001];
    let error = json(&mut doc, Value::Array(operations).to_string().as_bytes()).unwrap_err();
    assert_eq!(error.code, 413);
    assert_eq!(
        error.message,
        "The allowed maximum operations in a JSON patch is 10000, got 10001"
    );
    let bomb: Vec<Value> = (0..40)
        .map(|n| j!({"op": "copy", "from": "", "path": format!("/c{n}")}))
        .collect();
    assert_eq!(
        json(&mut doc, Value::Array(bomb).to_string().as_bytes())
            .unwrap_err()
            .code,
        413
    );
}

#[test]
fn the_encoded_length_is_that_of_the_text() {
    let value = j!({"a": [1, "ü", null]});
    assert_eq!(encoded_len(&value), value.to_string().len());
}

/// The merge patch that leads from one document to the other.
fn diff(from: &Map<String, Value>, to: &Map<String, Value>) -> Map<String, Value> {
    let mut patch = Map::new();
    for key in from.keys().filter(|key| !to.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    for (key, value) in to {
        match (from.get(key), value) {
            (Some(Value::Object(from)), Value::Object(to)) => {
                patch.insert(key.clone(), Value::Object(diff(from, to)));
            }
            (Some(from), to) if from == to => {}
            _ => drop(patch.insert(key.clone(), value.clone())),
        }
    }
    patch
}

/// Documents without nulls, which a merge patch cannot express.
fn documents() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-c]{0,2}".prop_map(Value::from)
    ];
    let tree = leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-e]", inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    });
    prop::collection::btree_map("[a-e]", tree, 0..5).prop_map(|map| Value::Object(map.into_iter().collect()))
}

proptest! {
    #[test]
    fn merging_the_difference_gives_the_other_document(from in documents(), to in documents()) {
        let patch = diff(from.as_object().unwrap(), to.as_object().unwrap());
        let mut doc = from;
        merge(&mut doc, Value::Object(patch).to_string().as_bytes()).unwrap();
        prop_assert_eq!(doc, to);
    }
}
