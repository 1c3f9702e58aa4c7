//! Defaulting of built-in types, as `pkg/apis/*/v1/defaults.go` does it.
//!
//! Defaults apply to what is read and to what is written, before admission.
//! They depend on the object alone; what depends on the cluster (service
//! account, cluster IPs, storage class) is admission's or the server's task.

mod apps;
mod batch;
mod core;
mod pod;

use super::value::{Object, child, default_number, default_text, default_to};
use serde_json::{Value, json};

/// Fills in the defaults of a built-in type; other types are left alone.
pub fn apply(group: &str, kind: &str, object: &mut Value) {
    let Some(object) = object.as_object_mut() else {
        return;
    };
    match group {
        "" => core::apply(kind, object),
        "apps" => apps::apply(kind, object),
        "batch" => batch::apply(kind, object),
        "autoscaling" if kind == "HorizontalPodAutoscaler" => {
            with_spec(object, |spec| default_to(spec, "minReplicas", 1))
        }
        "networking.k8s.io" if kind == "NetworkPolicy" => with_spec(object, network_policy),
        "networking.k8s.io" if kind == "IngressClass" => ingress_class(object),
        "storage.k8s.io" => storage(kind, object),
        "scheduling.k8s.io" if kind == "PriorityClass" => {
            default_to(object, "preemptionPolicy", "PreemptLowerPriority")
        }
        "rbac.authorization.k8s.io" => rbac(kind, object),
        "admissionregistration.k8s.io" => admission(kind, object),
        "discovery.k8s.io" if kind == "EndpointSlice" => endpoint_slice(object),
        "apiextensions.k8s.io" if kind == "CustomResourceDefinition" => {
            with_spec(object, custom_resource_definition)
        }
        _ => {}
    }
}

/// Defaults within `spec`, which is created when absent.
fn with_spec(object: &mut Object, defaults: impl FnOnce(&mut Object)) {
    if let Some(spec) = child(object, "spec") {
        defaults(spec);
    }
}

/// Defaults within every object of a list member.
fn each(object: &mut Object, key: &str, mut defaults: impl FnMut(&mut Object)) {
    let items = object.get_mut(key).and_then(Value::as_array_mut);
    items
        .into_iter()
        .flatten()
        .filter_map(Value::as_object_mut)
        .for_each(&mut defaults);
}

/// A child object if it is there.
fn existing<'a>(object: &'a mut Object, key: &str) -> Option<&'a mut Object> {
    object.get_mut(key).and_then(Value::as_object_mut)
}

fn is_text(object: &Object, key: &str, wanted: &str) -> bool {
    object.get(key).and_then(Value::as_str) == Some(wanted)
}

fn network_policy(spec: &mut Object) {
    for direction in ["ingress", "egress"] {
        each(spec, direction, |rule| {
            each(rule, "ports", |port| default_to(port, "protocol", "TCP"))
        });
    }
    if spec
        .get("policyTypes")
        .and_then(Value::as_array)
        .is_none_or(Vec::is_empty)
    {
        let egress = spec
            .get("egress")
            .and_then(Value::as_array)
            .is_some_and(|rules| !rules.is_empty());
        let types = if egress {
            json!(["Ingress", "Egress"])
        } else {
            json!(["Ingress"])
        };
        spec.insert("policyTypes".to_owned(), types);
    }
}

fn ingress_class(object: &mut Object) {
    if let Some(parameters) = existing(object, "spec").and_then(|spec| existing(spec, "parameters")) {
        default_to(parameters, "scope", "Cluster");
    }
}

fn storage(kind: &str, object: &mut Object) {
    match kind {
        "StorageClass" => {
            default_to(object, "reclaimPolicy", "Delete");
            default_to(object, "volumeBindingMode", "Immediate");
        }
        "CSIDriver" => with_spec(object, |spec| {
            for (key, value) in [
                ("attachRequired", true),
                ("podInfoOnMount", false),
                ("storageCapacity", false),
                ("requiresRepublish", false),
                ("seLinuxMount", false),
            ] {
                default_to(spec, key, value);
            }
            default_to(spec, "fsGroupPolicy", "ReadWriteOnceWithFSType");
            default_to(spec, "volumeLifecycleModes", json!(["Persistent"]));
        }),
        _ => {}
    }
}

fn rbac(kind: &str, object: &mut Object) {
    if !matches!(kind, "RoleBinding" | "ClusterRoleBinding") {
        return;
    }
    if let Some(role) = existing(object, "roleRef") {
        default_text(role, "apiGroup", "rbac.authorization.k8s.io");
    }
    each(object, "subjects", |subject| {
        if is_text(subject, "kind", "User") || is_text(subject, "kind", "Group") {
            default_text(subject, "apiGroup", "rbac.authorization.k8s.io");
        }
    });
}

fn admission(kind: &str, object: &mut Object) {
    let mutating = kind == "MutatingWebhookConfiguration";
    each(object, "webhooks", |webhook| {
        default_to(webhook, "failurePolicy", "Fail");
        default_to(webhook, "matchPolicy", "Equivalent");
        default_to(webhook, "namespaceSelector", json!({}));
        default_to(webhook, "objectSelector", json!({}));
        default_to(webhook, "timeoutSeconds", 10);
        if mutating {
            default_to(webhook, "reinvocationPolicy", "Never");
        }
        each(webhook, "rules", |rule| default_to(rule, "scope", "*"));
        if let Some(service) =
            existing(webhook, "clientConfig").and_then(|config| existing(config, "service"))
        {
            default_to(service, "port", 443);
        }
    });
    if matches!(kind, "ValidatingAdmissionPolicy" | "MutatingAdmissionPolicy") {
        with_spec(object, |spec| {
            default_to(spec, "failurePolicy", "Fail");
            if let Some(constraints) = existing(spec, "matchConstraints") {
                default_to(constraints, "matchPolicy", "Equivalent");
                default_to(constraints, "namespaceSelector", json!({}));
                default_to(constraints, "objectSelector", json!({}));
                each(constraints, "resourceRules", |rule| {
                    default_to(rule, "scope", "*")
                });
            }
        });
    }
}

fn endpoint_slice(object: &mut Object) {
    each(object, "ports", |port| {
        default_to(port, "name", "");
        default_to(port, "protocol", "TCP");
    });
}

fn custom_resource_definition(spec: &mut Object) {
    let names = spec.get("names").cloned().unwrap_or_default();
    if let Some(target) = existing(spec, "names") {
        let kind = names.get("kind").and_then(Value::as_str).unwrap_or_default();
        default_text(target, "singular", &kind.to_lowercase());
        default_text(target, "listKind", &format!("{kind}List"));
    }
    if let Some(conversion) = child(spec, "conversion") {
        default_text(conversion, "strategy", "None");
        let service = existing(conversion, "webhook")
            .and_then(|webhook| existing(webhook, "clientConfig"))
            .and_then(|config| existing(config, "service"));
        if let Some(service) = service {
            default_number(service, "port", 443);
        }
    }
}

#[cfg(test)]
mod tests;
