//! The core group except pods.

use super::{each, existing, is_text, pod, with_spec};
use crate::types::value::{Object, child, default_number, default_text, default_to};
use serde_json::{Value, json};

pub(super) fn apply(kind: &str, object: &mut Object) {
    match kind {
        "Pod" => pod::pod(object),
        "PodTemplate" => pod::template(object),
        "ReplicationController" => replication_controller(object),
        "Service" => with_spec(object, service),
        "Namespace" => namespace(object),
        "Secret" => default_text(object, "type", "Opaque"),
        "PersistentVolumeClaim" => claim(object),
        "PersistentVolume" => volume(object),
        "Node" => node(object),
        "Endpoints" => each(object, "subsets", |subset| {
            each(subset, "ports", |port| default_text(port, "protocol", "TCP"));
        }),
        "LimitRange" => with_spec(object, |spec| each(spec, "limits", limit_range_item)),
        _ => {}
    }
}

fn replication_controller(object: &mut Object) {
    with_spec(object, |spec| {
        default_to(spec, "replicas", 1);
        if spec.get("template").is_some_and(Value::is_object) {
            pod::template(spec);
        }
    });
    let labels = object
        .get("spec")
        .and_then(|spec| spec.pointer("/template/metadata/labels"))
        .filter(|labels| labels.as_object().is_some_and(|labels| !labels.is_empty()))
        .cloned();
    let Some(labels) = labels else { return };
    let unset = |object: &Object, key: &str| {
        object
            .get(key)
            .and_then(Value::as_object)
            .is_none_or(Object::is_empty)
    };
    if let Some(spec) = existing(object, "spec").filter(|spec| unset(spec, "selector")) {
        spec.insert("selector".to_owned(), labels.clone());
    }
    if let Some(metadata) = child(object, "metadata").filter(|metadata| unset(metadata, "labels")) {
        metadata.insert("labels".to_owned(), labels);
    }
}

fn service(spec: &mut Object) {
    default_text(spec, "sessionAffinity", "None");
    if is_text(spec, "sessionAffinity", "None") {
        spec.remove("sessionAffinityConfig");
    } else if is_text(spec, "sessionAffinity", "ClientIP") {
        let config = child(spec, "sessionAffinityConfig").and_then(|config| child(config, "clientIP"));
        if let Some(client) = config {
            default_number(client, "timeoutSeconds", 10_800);
        }
    }
    default_text(spec, "type", "ClusterIP");
    each(spec, "ports", |port| {
        default_text(port, "protocol", "TCP");
        let target = port.get("targetPort");
        if target.is_none_or(|target| target.is_null() || target == 0 || target == "") {
            let number = port.get("port").cloned().unwrap_or_default();
            port.insert("targetPort".to_owned(), number);
        }
    });
    let kind = |wanted: &str| is_text(spec, "type", wanted);
    let (balanced, node_port, external) = (kind("LoadBalancer"), kind("NodePort"), kind("ExternalName"));
    if balanced || node_port {
        default_text(spec, "externalTrafficPolicy", "Cluster");
    }
    if !external {
        default_to(spec, "internalTrafficPolicy", "Cluster");
    }
    if balanced {
        default_to(spec, "allocateLoadBalancerNodePorts", true);
    }
}

fn namespace(object: &mut Object) {
    if let Some(status) = child(object, "status") {
        default_text(status, "phase", "Active");
    }
    with_spec(object, |spec| {
        default_to(spec, "finalizers", json!(["kubernetes"]))
    });
    let Some(metadata) = child(object, "metadata") else {
        return;
    };
    let name = metadata
        .get("name")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    // Without a name there is only a name prefix; the server labels the namespace once it has named it.
    if let (false, Some(labels)) = (name.is_empty(), child(metadata, "labels")) {
        default_to(labels, "kubernetes.io/metadata.name", name);
    }
}

/// A claim, also as a template in a StatefulSet.
pub(super) fn claim(object: &mut Object) {
    with_spec(object, |spec| default_to(spec, "volumeMode", "Filesystem"));
    if let Some(status) = child(object, "status") {
        default_text(status, "phase", "Pending");
    }
}

fn volume(object: &mut Object) {
    with_spec(object, |spec| {
        default_text(spec, "persistentVolumeReclaimPolicy", "Retain");
        default_to(spec, "volumeMode", "Filesystem");
        if let Some(path) = existing(spec, "hostPath") {
            default_to(path, "type", "");
        }
    });
    if let Some(status) = child(object, "status") {
        default_text(status, "phase", "Pending");
    }
}

/// What a node has not said to be allocatable is its capacity.
fn node(object: &mut Object) {
    let Some(status) = existing(object, "status") else {
        return;
    };
    let Some(capacity) = status
        .get("capacity")
        .filter(|capacity| capacity.is_object())
        .cloned()
    else {
        return;
    };
    if status.get("allocatable").is_none_or(Value::is_null) {
        status.insert("allocatable".to_owned(), capacity);
    }
}

/// The defaults of a container limit follow from each other and from its bounds.
fn limit_range_item(item: &mut Object) {
    if !is_text(item, "type", "Container") {
        return;
    }
    for (from, to) in [
        ("max", "default"),
        ("default", "defaultRequest"),
        ("min", "defaultRequest"),
    ] {
        let Some(source) = item
            .get(from)
            .and_then(Value::as_object)
            .filter(|source| !source.is_empty())
            .cloned()
        else {
            continue;
        };
        if let Some(target) = child(item, to) {
            for (resource, amount) in source {
                default_to(target, &resource, amount);
            }
        }
    }
}
