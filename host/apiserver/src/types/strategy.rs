//! What a type's registry strategy decides: which parts a request may change,
//! and what counts as a new generation (`pkg/registry/*/*/strategy.go`).
//!
//! Metadata that the server owns for every type (uid, creation and deletion
//! times, resource version) is the server's business; the generation is here,
//! because it depends on the type. Custom resources have functions of their
//! own, because their definition decides whether they have a status.

mod job;
mod pod;

use super::value::{Object, at, same};
use serde_json::{Value, json};

pub use pod::qos_class;

/// What advances a type's generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Generation {
    /// The type has none.
    Untracked,
    /// It is 1 for ever.
    Constant,
    /// A change of spec.
    Spec,
    /// A change of spec or annotations, because annotations reach the replica sets.
    SpecAndAnnotations,
    /// A change of anything but metadata and status.
    Content,
}

fn generation_rule(group: &str, kind: &str) -> Generation {
    match (group, kind) {
        ("apps", "Deployment") => Generation::SpecAndAnnotations,
        ("", "Pod" | "ReplicationController")
        | ("apps", "ReplicaSet" | "StatefulSet" | "DaemonSet")
        | ("batch", "Job" | "CronJob")
        | ("policy", "PodDisruptionBudget")
        | ("networking.k8s.io", "Ingress" | "IngressClass" | "NetworkPolicy")
        | ("flowcontrol.apiserver.k8s.io", _)
        | ("apiextensions.k8s.io", _)
        | (
            "admissionregistration.k8s.io",
            "ValidatingAdmissionPolicy" | "ValidatingAdmissionPolicyBinding",
        )
        | ("admissionregistration.k8s.io", "MutatingAdmissionPolicy" | "MutatingAdmissionPolicyBinding")
        | ("storage.k8s.io", "CSIDriver")
        | ("resource.k8s.io", "ResourceSlice" | "DeviceClass") => Generation::Spec,
        ("scheduling.k8s.io", "PriorityClass") => Generation::Constant,
        ("discovery.k8s.io", "EndpointSlice")
        | (
            "admissionregistration.k8s.io",
            "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration",
        ) => Generation::Content,
        _ => Generation::Untracked,
    }
}

/// Prepares a new object: status cleared or initialised, generation 1.
///
/// Its uid and name have to be there already, because a job's selector is made of them.
pub fn prepare_for_create(group: &str, kind: &str, object: &mut Value) {
    let tracked = generation_rule(group, kind) != Generation::Untracked;
    let Some(members) = object.as_object_mut() else {
        return;
    };
    set_generation(members, tracked.then(|| Value::from(1)));
    match (group, kind) {
        ("", "Pod") => pod::initialise_status(members),
        // A kubelet registers its node with the first status.
        ("", "Node") => {}
        _ if has_status(group, kind) => {
            drop(members.insert("status".to_owned(), initial_status(group, kind)))
        }
        _ => {}
    }
    match (group, kind) {
        ("", "Namespace") => require_namespace_finalizer(members),
        ("batch", "Job") => job::generate_selector(members),
        _ => {}
    }
}

/// Prepares an update through the main endpoint: status kept from `old`, generation advanced if warranted.
pub fn prepare_for_update(group: &str, kind: &str, new: &mut Value, old: &Value) {
    let advance = match generation_rule(group, kind) {
        Generation::Untracked | Generation::Constant => false,
        Generation::Spec => !same(new.get("spec"), old.get("spec")),
        Generation::SpecAndAnnotations => {
            let annotations = ["metadata", "annotations"];
            !same(new.get("spec"), old.get("spec")) || !same_map(at(new, &annotations), at(old, &annotations))
        }
        Generation::Content => content_differs(new, old, true),
    };
    let Some(members) = new.as_object_mut() else {
        return;
    };
    if has_status(group, kind) {
        keep(members, old, "status");
    }
    if (group, kind) == ("", "Namespace") {
        if let (Some(spec), Some(old)) = (super::value::child(members, "spec"), old.get("spec")) {
            keep(spec, old, "finalizers");
        }
    }
    carry_generation(members, old, advance);
}

/// Prepares an update through the status endpoint: everything but status (and some metadata) kept from `old`.
pub fn prepare_for_status_update(group: &str, kind: &str, new: &mut Value, old: &Value) {
    let Some(members) = new.as_object_mut() else {
        return;
    };
    keep(members, old, "spec");
    if (group, kind) == ("", "Pod") {
        pod::keep_status_facts(members, old);
    }
    let kept: &[&str] = match (group, kind) {
        ("", "Pod") => &["ownerReferences"],
        ("apps", "Deployment") => &["labels"],
        ("apiextensions.k8s.io" | "flowcontrol.apiserver.k8s.io" | "apiregistration.k8s.io", _)
        | ("admissionregistration.k8s.io", _)
        | ("resource.k8s.io", "ResourceClaim")
        | ("storage.k8s.io", "VolumeAttachment") => {
            &["labels", "annotations", "finalizers", "ownerReferences"]
        }
        _ => &[],
    };
    if let (Some(metadata), Some(old)) = (super::value::child(members, "metadata"), old.get("metadata")) {
        for key in kept {
            keep(metadata, old, key);
        }
    }
    carry_generation(members, old, false);
}

/// Prepares a new custom resource.
pub fn prepare_custom_for_create(object: &mut Value, with_status: bool) {
    let Some(members) = object.as_object_mut() else {
        return;
    };
    if with_status {
        members.remove("status");
    }
    set_generation(members, Some(Value::from(1)));
}

/// Prepares an update of a custom resource through the main endpoint.
pub fn prepare_custom_for_update(new: &mut Value, old: &Value, with_status: bool) {
    let advance = content_differs(new, old, with_status);
    let Some(members) = new.as_object_mut() else {
        return;
    };
    if with_status {
        keep(members, old, "status");
    }
    carry_generation(members, old, advance);
}

/// Prepares an update of a custom resource through the status endpoint: only status and `managedFields` change.
pub fn prepare_custom_for_status_update(new: &mut Value, old: &Value) {
    let Some(members) = new.as_object_mut() else {
        return;
    };
    let status = members.remove("status");
    let managed = members
        .get_mut("metadata")
        .and_then(|metadata| metadata.get_mut("managedFields"))
        .map(Value::take);
    if let Some(old) = old.as_object() {
        members.clone_from(old);
    }
    match status {
        Some(status) => drop(members.insert("status".to_owned(), status)),
        None => drop(members.remove("status")),
    }
    if let (Some(managed), Some(metadata)) = (managed, super::value::child(members, "metadata")) {
        metadata.insert("managedFields".to_owned(), managed);
    }
}

/// Whether a built-in type has a status subresource.
#[must_use]
pub fn has_status(group: &str, kind: &str) -> bool {
    match group {
        "" => matches!(
            kind,
            "Pod"
                | "Node"
                | "Namespace"
                | "Service"
                | "ReplicationController"
                | "PersistentVolume"
                | "PersistentVolumeClaim"
                | "ResourceQuota"
        ),
        "apps" => kind != "ControllerRevision",
        "batch" | "autoscaling" | "policy" | "apiextensions.k8s.io" | "apiregistration.k8s.io" => true,
        "flowcontrol.apiserver.k8s.io" | "storagemigration.k8s.io" | "internal.apiserver.k8s.io" => true,
        "networking.k8s.io" => matches!(kind, "Ingress" | "ServiceCIDR"),
        "certificates.k8s.io" => kind == "CertificateSigningRequest",
        "storage.k8s.io" => kind == "VolumeAttachment",
        "resource.k8s.io" => kind == "ResourceClaim",
        "admissionregistration.k8s.io" => kind == "ValidatingAdmissionPolicy",
        _ => false,
    }
}

/// Whether an update may leave out the resource version; false for custom resources.
#[must_use]
pub fn allow_unconditional_update(group: &str, kind: &str) -> bool {
    match group {
        "" | "apps" | "batch" | "autoscaling" | "networking.k8s.io" | "rbac.authorization.k8s.io" => true,
        "discovery.k8s.io" | "scheduling.k8s.io" | "flowcontrol.apiserver.k8s.io" | "events.k8s.io" => true,
        "certificates.k8s.io" | "resource.k8s.io" => true,
        "storage.k8s.io" => matches!(
            kind,
            "StorageClass" | "VolumeAttributesClass" | "CSIStorageCapacity"
        ),
        _ => false,
    }
}

/// Whether an update of an object that does not exist creates it.
#[must_use]
pub fn allow_create_on_update(group: &str, kind: &str) -> bool {
    matches!(
        (group, kind),
        ("coordination.k8s.io", "Lease" | "LeaseCandidate")
            | ("" | "events.k8s.io", "Event")
            | ("", "Endpoints" | "Service" | "LimitRange")
            | ("node.k8s.io", "RuntimeClass")
            | ("rbac.authorization.k8s.io", _)
    )
}

/// Whether deletion without a policy orphans the dependents.
#[must_use]
pub fn default_orphans(group: &str, kind: &str) -> bool {
    matches!((group, kind), ("", "ReplicationController") | ("batch", "Job"))
}

/// A status as a typed encoder writes it when nothing is known yet.
fn initial_status(group: &str, kind: &str) -> Value {
    match (group, kind) {
        ("", "Namespace") => json!({"phase": "Active"}),
        ("", "PersistentVolume" | "PersistentVolumeClaim") => json!({"phase": "Pending"}),
        ("", "Service") | ("networking.k8s.io", "Ingress") => json!({"loadBalancer": {}}),
        ("", "ReplicationController") | ("apps", "ReplicaSet") => json!({"replicas": 0}),
        ("apps", "StatefulSet") => json!({"replicas": 0, "availableReplicas": 0}),
        ("apps", "DaemonSet") => json!({
            "currentNumberScheduled": 0, "desiredNumberScheduled": 0, "numberMisscheduled": 0, "numberReady": 0,
        }),
        ("policy", "PodDisruptionBudget") => json!({
            "currentHealthy": 0, "desiredHealthy": 0, "disruptionsAllowed": 0, "expectedPods": 0,
        }),
        ("storage.k8s.io", "VolumeAttachment") => json!({"attached": false}),
        _ => json!({}),
    }
}

/// A namespace is never without the finalizer that empties it.
fn require_namespace_finalizer(namespace: &mut Object) {
    let Some(spec) = super::value::child(namespace, "spec") else {
        return;
    };
    super::value::default_to(spec, "finalizers", json!([]));
    let Some(finalizers) = spec.get_mut("finalizers").and_then(Value::as_array_mut) else {
        return;
    };
    if !finalizers.iter().any(|finalizer| finalizer == "kubernetes") {
        finalizers.push("kubernetes".into());
    }
}

/// Gives `new` the member that `old` has, copying only what differs.
fn keep(new: &mut Object, old: &Value, key: &str) {
    match old.get(key) {
        old if new.get(key) == old => {}
        Some(old) => drop(new.insert(key.to_owned(), old.clone())),
        None => drop(new.remove(key)),
    }
}

fn carry_generation(new: &mut Object, old: &Value, advance: bool) {
    let old = at(old, &["metadata", "generation"]);
    let generation = if advance {
        Some(Value::from(old.and_then(Value::as_i64).unwrap_or_default() + 1))
    } else {
        old.cloned()
    };
    set_generation(new, generation);
}

fn set_generation(members: &mut Object, generation: Option<Value>) {
    let Some(metadata) = super::value::child(members, "metadata") else {
        return;
    };
    match generation {
        Some(generation) => drop(metadata.insert("generation".to_owned(), generation)),
        None => drop(metadata.remove("generation")),
    }
}

/// Whether anything but metadata (and status) differs.
fn content_differs(new: &Value, old: &Value, ignore_status: bool) -> bool {
    let (Some(new), Some(old)) = (new.as_object(), old.as_object()) else {
        return new != old;
    };
    let counts = |key: &str| key != "metadata" && !(ignore_status && key == "status");
    let differs = |from: &Object, to: &Object| {
        from.iter()
            .any(|(key, value)| counts(key) && !same(Some(value), to.get(key)))
    };
    differs(new, old) || differs(old, new)
}

/// Whether two maps are equal, an empty one and none being the same.
fn same_map(left: Option<&Value>, right: Option<&Value>) -> bool {
    let filled =
        |map: Option<&'_ Value>| map.is_some_and(|map| map.as_object().is_some_and(|map| !map.is_empty()));
    left == right || (!filled(left) && !filled(right))
}

#[cfg(test)]
mod tests;
