//! Built-in admission for creates: what the server adds to or refuses in new objects.
//!
//! Priority, DefaultTolerationSeconds, ServiceAccount (the name, no token mounts),
//! cluster IPs, TaintNodesByCondition. Nothing here looks at updates.
//!
//! TaintNodesByCondition differs from upstream in one point: a node created with
//! `Ready=True` in its status is not tainted, because nothing would lift the taint:
//! there is no node lifecycle controller in this server.

use serde_json::{Map, Value, json};

use crate::api::Api;
use crate::object::Key;
use crate::resource::Resource;
use crate::status::Status;

/// Classes that exist even before their objects do.
const SYSTEM_CLASSES: [(&str, i64); 2] = [
    ("system-cluster-critical", 2_000_000_000),
    ("system-node-critical", 2_000_001_000),
];

const NOT_READY: &str = "node.kubernetes.io/not-ready";
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";

/// How long pods stay on a node that failed.
const TOLERATION_SECONDS: i64 = 300;

/// Completes a new object of a built-in type, or refuses it.
pub(crate) fn admit_create(api: &Api, resource: &Resource, object: &mut Value) -> Result<(), Status> {
    let spec = &resource.spec;
    if !spec.group.is_empty() {
        return Ok(());
    }
    match spec.plural.as_str() {
        "pods" => admit_pod(api, resource, object),
        "services" => api
            .addresses
            .assign(object)
            .map_err(|error| invalid(resource, object, "spec.clusterIP", &error.to_string())),
        "nodes" => {
            taint_node(object);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Takes back what [`admit_create`] reserved for an object that is not stored after all.
pub(crate) fn abandon(api: &Api, resource: &Resource, object: &Value) {
    if resource.spec.is("", "services") {
        api.addresses.release(object);
    }
}

fn invalid(resource: &Resource, object: &Value, field: &str, why: &str) -> Status {
    let name = crate::meta::text(object, "name");
    let value = object
        .pointer("/spec/clusterIP")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let message = format!("Invalid value: {}: {why}", json!([value]));
    Status::invalid_field(&resource.spec, name, "FieldValueInvalid", field, &message)
}

fn admit_pod(api: &Api, resource: &Resource, pod: &mut Value) -> Result<(), Status> {
    let name = crate::meta::text(pod, "name").to_owned();
    let Some(spec) = pod.get_mut("spec").and_then(Value::as_object_mut) else {
        return Ok(());
    };
    default_service_account(spec);
    tolerate_for_a_while(spec);
    set_priority(api, spec).map_err(|why| Status::forbidden(&resource.spec, &name, &why))
}

fn text<'a>(members: &'a Map<String, Value>, key: &str) -> &'a str {
    members.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn default_service_account(spec: &mut Map<String, Value>) {
    if text(spec, "serviceAccountName").is_empty() {
        let name = match text(spec, "serviceAccount") {
            "" => "default".to_owned(),
            deprecated => deprecated.to_owned(),
        };
        spec.insert("serviceAccountName".to_owned(), name.into());
    }
    let name = spec.get("serviceAccountName").cloned().unwrap_or_default();
    spec.insert("serviceAccount".to_owned(), name);
}

fn tolerate_for_a_while(spec: &mut Map<String, Value>) {
    let tolerations = spec.entry("tolerations").or_insert_with(|| json!([]));
    let Some(tolerations) = tolerations.as_array_mut() else {
        return;
    };
    for taint in [NOT_READY, UNREACHABLE] {
        if !tolerations.iter().any(|toleration| tolerates(toleration, taint)) {
            tolerations.push(json!({
                "key": taint, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": TOLERATION_SECONDS,
            }));
        }
    }
}

fn tolerates(toleration: &Value, taint: &str) -> bool {
    let text = |key: &str| toleration.get(key).and_then(Value::as_str).unwrap_or_default();
    matches!(text("key"), "" | NOT_READY | UNREACHABLE)
        && (text("key").is_empty() || text("key") == taint)
        && matches!(text("effect"), "" | "NoExecute")
}

fn set_priority(api: &Api, spec: &mut Map<String, Value>) -> Result<(), String> {
    let (priority, policy) = match text(spec, "priorityClassName") {
        "" => default_priority(api, spec),
        name => class(api, name).ok_or_else(|| format!("no PriorityClass with name {name} was found"))?,
    };
    if let Some(given) = spec.get("priority").and_then(Value::as_i64) {
        if given != priority {
            return Err(format!(
                "the integer value of priority ({given}) must not be provided in pod spec; priority admission controller \
                 computed {priority} from the given PriorityClass name"
            ));
        }
    }
    spec.insert("priority".to_owned(), priority.into());
    spec.insert("preemptionPolicy".to_owned(), policy.into());
    Ok(())
}

/// Value and preemption policy of a class.
fn class(api: &Api, name: &str) -> Option<(i64, String)> {
    if let Some((_, value)) = SYSTEM_CLASSES.iter().find(|(system, _)| *system == name) {
        return Some((*value, "PreemptLowerPriority".to_owned()));
    }
    let stored = api
        .registry
        .known()
        .priority_classes
        .collection()?
        .get(&Key::new("", name))?;
    Some(value_and_policy(&stored.parse()))
}

fn value_and_policy(class: &Value) -> (i64, String) {
    let policy = class
        .get("preemptionPolicy")
        .and_then(Value::as_str)
        .unwrap_or("PreemptLowerPriority");
    (
        class.get("value").and_then(Value::as_i64).unwrap_or_default(),
        policy.to_owned(),
    )
}

/// The class marked as global default decides for pods that name none; the lowest if several are.
fn default_priority(api: &Api, spec: &mut Map<String, Value>) -> (i64, String) {
    let none = (0, "PreemptLowerPriority".to_owned());
    let Some(collection) = api.registry.known().priority_classes.collection() else {
        return none;
    };
    // Only the two system classes exist in most clusters, and neither is a default.
    if collection.len() <= SYSTEM_CLASSES.len() {
        return none;
    }
    let (classes, _) = collection.list(None, &|_| true);
    let defaults = classes
        .iter()
        .map(|class| class.parse())
        .filter(|class| class.get("globalDefault") == Some(&Value::Bool(true)));
    let Some(class) = defaults.min_by_key(|class| value_and_policy(class).0) else {
        return none;
    };
    spec.insert(
        "priorityClassName".to_owned(),
        crate::meta::text(&class, "name").into(),
    );
    value_and_policy(&class)
}

fn taint_node(node: &mut Value) {
    let conditions = node.pointer("/status/conditions").and_then(Value::as_array);
    let ready = conditions.into_iter().flatten().any(|condition| {
        condition.get("type").and_then(Value::as_str) == Some("Ready")
            && condition.get("status").and_then(Value::as_str) == Some("True")
    });
    if ready {
        return;
    }
    let Some(spec) = node
        .as_object_mut()
        .map(|node| node.entry("spec").or_insert_with(|| json!({})))
    else {
        return;
    };
    let Some(spec) = spec.as_object_mut() else { return };
    let Some(taints) = spec.entry("taints").or_insert_with(|| json!([])).as_array_mut() else {
        return;
    };
    let has = |taint: &Value| {
        taint.get("key").and_then(Value::as_str) == Some(NOT_READY)
            && taint.get("effect").and_then(Value::as_str) == Some("NoSchedule")
    };
    if !taints.iter().any(has) {
        taints.push(json!({"key": NOT_READY, "effect": "NoSchedule"}));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_tolerates_failed_nodes_for_five_minutes_unless_it_says_otherwise() {
        let mut spec =
            json!({"tolerations": [{"key": NOT_READY, "operator": "Exists", "effect": "NoExecute"}]});
        let spec = spec.as_object_mut().unwrap();
        tolerate_for_a_while(spec);
        let keys: Vec<_> = spec["tolerations"]
            .as_array()
            .unwrap()
            .iter()
            .map(|t| t["key"].clone())
            .collect();
        assert_eq!(keys, [json!(NOT_READY), json!(UNREACHABLE)]);
        assert_eq!(spec["tolerations"][1]["tolerationSeconds"], 300);

        let mut everything = json!({"tolerations": [{"operator": "Exists"}]});
        tolerate_for_a_while(everything.as_object_mut().unwrap());
        assert_eq!(everything["tolerations"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn only_a_node_that_is_not_ready_is_tainted() {
        let mut ready = json!({"status": {"conditions": [{"type": "Ready", "status": "True"}]}});
        taint_node(&mut ready);
        assert_eq!(ready.get("spec"), None);
        let mut fresh = json!({"metadata": {"name": "n"}});
        taint_node(&mut fresh);
        taint_node(&mut fresh);
        assert_eq!(
            fresh["spec"]["taints"],
            json!([{"key": NOT_READY, "effect": "NoSchedule"}])
        );
    }
}
