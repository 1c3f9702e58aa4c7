//! What is special about pods: binding them to nodes.

use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::api::Api;
use crate::decode;
use crate::meta;
use crate::object::Key;
use crate::request::Request;
use crate::respond::{self, Response};
use crate::status::Status;
use crate::update::{self, Part};

const TOPOLOGY: [&str; 2] = ["topology.kubernetes.io/zone", "topology.kubernetes.io/region"];

/// POST of a Binding, to a pod's `binding` or to the legacy collection.
pub(crate) fn bind(api: &Api, request: &Request<'_>) -> Result<Response, Status> {
    let binding = decode::object(request)?;
    let pods = &api.registry.known().pods;
    let name = meta::text(&binding, "name").to_owned();
    let node = target(&binding, &name)?;
    let topology = topology(api, &node);
    let key = Key::new(&request.path.namespace, &name);
    update::change(api, pods, &key, Part::Everything, request.dry_run()?, |pod| {
        assign(pod, &binding, &node, &topology)
            .map_err(|why| Status::conflict_on("pods/binding", &pods.spec, &name, &why))
    })?;
    Ok(respond::success(StatusCode::CREATED, None))
}

fn target(binding: &Value, name: &str) -> Result<String, Status> {
    let text = |path: &str| binding.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let invalid = |field: &str, message: &str| {
        Err(Status::invalid_named(
            "",
            "Binding",
            name,
            "FieldValueRequired",
            field,
            message,
        ))
    };
    match (text("/target/kind"), text("/target/name")) {
        ("" | "Node", "") => invalid("target.name", "Required value"),
        ("" | "Node", node) => Ok(node.to_owned()),
        (other, _) => {
            let message = format!("Unsupported value: \"{other}\": supported values: \"Node\", \"<empty>\"");
            Err(Status::invalid_named(
                "",
                "Binding",
                name,
                "FieldValueNotSupported",
                "target.kind",
                &message,
            ))
        }
    }
}

/// The labels that a pod takes over from its node.
fn topology(api: &Api, node: &str) -> Vec<(&'static str, String)> {
    let nodes = api.registry.known().nodes.collection();
    let Some(stored) = nodes.and_then(|nodes| nodes.get(&Key::new("", node))) else {
        return Vec::new();
    };
    let labels = &stored.envelope().labels;
    let value = |key: &str| {
        labels
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.to_string())
    };
    TOPOLOGY
        .iter()
        .filter_map(|key| Some((*key, value(key)?)))
        .collect()
}

fn assign(
    pod: &Value,
    binding: &Value,
    node: &str,
    topology: &[(&'static str, String)],
) -> Result<Value, String> {
    let name = meta::text(pod, "name");
    let assigned = pod
        .pointer("/spec/nodeName")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let gates = pod.pointer("/spec/schedulingGates").and_then(Value::as_array);
    if meta::deleting(pod) {
        return Err(format!(
            "pod {name} is being deleted, cannot be assigned to a host"
        ));
    }
    if !assigned.is_empty() {
        return Err(format!("pod {name} is already assigned to node \"{assigned}\""));
    }
    if gates.is_some_and(|gates| !gates.is_empty()) {
        return Err(format!("pod {name} has non-empty .spec.schedulingGates"));
    }
    let mut pod = pod.clone();
    pod["spec"]["nodeName"] = node.into();
    if let Some(status) = pod.get_mut("status").and_then(Value::as_object_mut) {
        status.remove("nominatedNodeName");
    }
    take_over_metadata(&mut pod, binding, topology);
    set_condition(&mut pod, json!({"type": "PodScheduled", "status": "True"}));
    Ok(pod)
}

/// Merges the binding's labels and annotations; its UID and version become preconditions.
fn take_over_metadata(pod: &mut Value, binding: &Value, topology: &[(&'static str, String)]) {
    for field in ["labels", "annotations"] {
        let given = meta::metadata(binding)
            .and_then(|metadata| metadata.get(field))
            .and_then(Value::as_object);
        for (key, value) in given.into_iter().flatten() {
            set_in(pod, field, key, value.clone());
        }
    }
    for (key, value) in topology {
        set_in(pod, "labels", key, value.as_str().into());
    }
    for field in ["uid", "resourceVersion"] {
        let precondition = meta::text(binding, field);
        if !precondition.is_empty() {
            meta::set(pod, field, precondition);
        }
    }
}

fn set_in(object: &mut Value, field: &str, key: &str, value: Value) {
    let Some(metadata) = meta::metadata_mut(object) else {
        return;
    };
    let map = metadata.entry(field).or_insert_with(|| Value::Object(Map::new()));
    if let Some(map) = map.as_object_mut() {
        map.insert(key.to_owned(), value);
    }
}

/// Adds or replaces a condition; its transition time moves only with its status.
pub(crate) fn set_condition(pod: &mut Value, mut condition: Value) {
    let Some(status) = pod
        .as_object_mut()
        .map(|pod| pod.entry("status").or_insert_with(|| json!({})))
    else {
        return;
    };
    let Some(status) = status.as_object_mut() else {
        return;
    };
    let Some(conditions) = status
        .entry("conditions")
        .or_insert_with(|| json!([]))
        .as_array_mut()
    else {
        return;
    };
    let same = conditions
        .iter()
        .position(|other| other.get("type") == condition.get("type"));
    let before = same.and_then(|index| conditions.get(index));
    let unchanged = before.filter(|before| before.get("status") == condition.get("status"));
    let time = unchanged
        .and_then(|before| before.get("lastTransitionTime"))
        .cloned();
    condition["lastTransitionTime"] = time.unwrap_or_else(|| meta::now().into());
    match same.and_then(|index| conditions.get_mut(index)) {
        Some(slot) => *slot = condition,
        None => conditions.push(condition),
    }
}
