//! Pod specs, wherever they occur.

use super::{each, existing};
use crate::types::value::{Object, child, default_number, default_text, default_to};
use serde_json::{Value, json};

/// Defaults that only pods have: what requests follow from limits, and what the API adds to a whole pod.
pub(super) fn pod(object: &mut Object) {
    let Some(spec) = child(object, "spec") else { return };
    for containers in ["containers", "initContainers"] {
        each(spec, containers, requests_from_limits);
    }
    requests_from_limits(spec);
    default_to(spec, "enableServiceLinks", true);
    if spec.get("hostNetwork") == Some(&Value::Bool(true)) {
        for containers in ["containers", "initContainers"] {
            each(spec, containers, host_ports);
        }
    }
    pod_spec(spec);
}

/// Defaults of the pod template in a workload's spec.
pub(super) fn template(spec: &mut Object) {
    let Some(template) = child(spec, "template") else {
        return;
    };
    let Some(spec) = child(template, "spec") else {
        return;
    };
    if spec.get("hostNetwork") == Some(&Value::Bool(true)) {
        for containers in ["containers", "initContainers"] {
            each(spec, containers, host_ports);
        }
    }
    pod_spec(spec);
}

/// A resource with a limit and no request requests its limit.
fn requests_from_limits(container: &mut Object) {
    let Some(resources) = existing(container, "resources") else {
        return;
    };
    let Some(limits) = resources
        .get("limits")
        .and_then(Value::as_object)
        .filter(|limits| !limits.is_empty())
    else {
        return;
    };
    let requests = resources.get("requests").and_then(Value::as_object);
    let missing: Vec<(String, Value)> = limits
        .iter()
        .filter(|(name, _)| requests.is_none_or(|requests| !requests.contains_key(*name)))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    if let (false, Some(requests)) = (missing.is_empty(), child(resources, "requests")) {
        requests.extend(missing);
    }
}

/// On the host's network a container port is the host's port.
fn host_ports(container: &mut Object) {
    each(container, "ports", |port| {
        if let Some(number) = port.get("containerPort").and_then(Value::as_i64) {
            default_number(port, "hostPort", number);
        }
    });
}

fn pod_spec(spec: &mut Object) {
    default_text(spec, "dnsPolicy", "ClusterFirst");
    default_text(spec, "restartPolicy", "Always");
    default_text(spec, "schedulerName", "default-scheduler");
    default_to(spec, "terminationGracePeriodSeconds", 30);
    default_to(spec, "securityContext", json!({}));
    service_account(spec);
    for containers in ["containers", "initContainers", "ephemeralContainers"] {
        each(spec, containers, container);
    }
    each(spec, "volumes", volume);
}

/// The old name of the service account and the new one say the same.
fn service_account(spec: &mut Object) {
    let name = |spec: &Object, key: &str| {
        spec.get(key)
            .and_then(Value::as_str)
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
    };
    if let Some(account) = name(spec, "serviceAccountName").or_else(|| name(spec, "serviceAccount")) {
        default_text(spec, "serviceAccountName", &account);
        spec.insert("serviceAccount".to_owned(), account.into());
    }
}

fn container(container: &mut Object) {
    default_text(container, "terminationMessagePath", "/dev/termination-log");
    default_text(container, "terminationMessagePolicy", "File");
    default_to(container, "resources", json!({}));
    let image = container.get("image").and_then(Value::as_str).unwrap_or_default();
    let policy = if is_latest(image) {
        "Always"
    } else {
        "IfNotPresent"
    };
    default_text(container, "imagePullPolicy", policy);
    each(container, "ports", |port| default_text(port, "protocol", "TCP"));
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(found) = existing(container, name) {
            probe(found);
        }
    }
    if let Some(lifecycle) = existing(container, "lifecycle") {
        for hook in ["postStart", "preStop"] {
            if let Some(get) = existing(lifecycle, hook).and_then(|hook| existing(hook, "httpGet")) {
                http_get(get);
            }
        }
    }
    each(container, "env", |variable| {
        if let Some(source) = existing(variable, "valueFrom") {
            if let Some(field) = existing(source, "fieldRef") {
                default_text(field, "apiVersion", "v1");
            }
            if let Some(field) = existing(source, "resourceFieldRef") {
                default_to(field, "divisor", "0");
            }
            if let Some(file) = existing(source, "fileKeyRef") {
                default_to(file, "optional", false);
            }
        }
    });
}

fn probe(probe: &mut Object) {
    default_number(probe, "timeoutSeconds", 1);
    default_number(probe, "periodSeconds", 10);
    default_number(probe, "successThreshold", 1);
    default_number(probe, "failureThreshold", 3);
    if let Some(get) = existing(probe, "httpGet") {
        http_get(get);
    }
    if let Some(grpc) = existing(probe, "grpc") {
        default_to(grpc, "service", "");
    }
}

fn http_get(get: &mut Object) {
    default_text(get, "path", "/");
    default_text(get, "scheme", "HTTP");
}

/// Whether an image reference means the tag `latest`: it has that tag, or neither tag nor digest.
fn is_latest(image: &str) -> bool {
    let (reference, digest) = image
        .split_once('@')
        .map_or((image, ""), |(reference, digest)| (reference, digest));
    let last = reference.rsplit('/').next().unwrap_or_default();
    match last.rsplit_once(':') {
        Some((_, tag)) => tag == "latest",
        None => digest.is_empty(),
    }
}

/// Sources that default members of their own: file modes and the like.
fn volume(volume: &mut Object) {
    const SOURCES_WITH_MODE: [&str; 4] = ["secret", "configMap", "downwardAPI", "projected"];
    if volume.len() <= 1 {
        volume.insert("emptyDir".to_owned(), json!({}));
        return;
    }
    for source in SOURCES_WITH_MODE {
        if let Some(source) = existing(volume, source) {
            default_to(source, "defaultMode", 0o644);
            each(source, "items", field_item);
            each(source, "sources", projection);
        }
    }
    if let Some(path) = existing(volume, "hostPath") {
        default_to(path, "type", "");
    }
    if let Some(iscsi) = existing(volume, "iscsi") {
        default_text(iscsi, "iscsiInterface", "default");
    }
    if let Some(rbd) = existing(volume, "rbd") {
        default_text(rbd, "pool", "rbd");
        default_text(rbd, "user", "admin");
        default_text(rbd, "keyring", "/etc/ceph/keyring");
    }
    if let Some(disk) = existing(volume, "azureDisk") {
        default_to(disk, "cachingMode", "ReadWrite");
        default_to(disk, "kind", "Shared");
        default_to(disk, "fsType", "ext4");
        default_to(disk, "readOnly", false);
    }
    if let Some(scale) = existing(volume, "scaleIO") {
        default_text(scale, "storageMode", "ThinProvisioned");
        default_text(scale, "fsType", "xfs");
    }
    if let Some(template) =
        existing(volume, "ephemeral").and_then(|source| existing(source, "volumeClaimTemplate"))
    {
        if let Some(spec) = existing(template, "spec") {
            default_to(spec, "volumeMode", "Filesystem");
        }
    }
    if existing(volume, "image").is_some() {
        image_volume(volume);
    }
}

fn image_volume(volume: &mut Object) {
    if let Some(image) = existing(volume, "image") {
        let reference = image.get("reference").and_then(Value::as_str).unwrap_or_default();
        let policy = if is_latest(reference) {
            "Always"
        } else {
            "IfNotPresent"
        };
        default_text(image, "pullPolicy", policy);
    }
}

fn projection(source: &mut Object) {
    if let Some(token) = existing(source, "serviceAccountToken") {
        default_to(token, "expirationSeconds", 3600);
    }
    if let Some(downward) = existing(source, "downwardAPI") {
        each(downward, "items", field_item);
    }
}

fn field_item(item: &mut Object) {
    if let Some(field) = existing(item, "fieldRef") {
        default_text(field, "apiVersion", "v1");
    }
    if let Some(field) = existing(item, "resourceFieldRef") {
        default_to(field, "divisor", "0");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_latest_images_are_always_pulled() {
        for image in [
            "nginx",
            "nginx:latest",
            "host:5000/a/nginx",
            "nginx:latest@sha256:00",
        ] {
            assert!(is_latest(image), "{image}");
        }
        for image in [
            "nginx:1",
            "host:5000/nginx:1",
            "nginx@sha256:00",
            "nginx:1@sha256:00",
        ] {
            assert!(!is_latest(image), "{image}");
        }
    }
}
