//! The smaller types: configuration, nodes, classes, claims, leases, access control.

use super::definition;
use super::metadata::selector;
use super::names;
use super::report::{Path, Report};
use super::resources::quantity;
use super::workloads::int_or_percent;
use crate::types::value::{at, int, list, object, same, text};
use serde_json::{Map, Value};

/// How much a ConfigMap or Secret may hold.
const DATA_MAX: usize = 1024 * 1024;

/// The highest priority that users can give.
const USER_PRIORITY_MAX: i64 = 1_000_000_000;

/// Checks a type without a file of its own, and its change if it has an older version.
pub(super) fn validate(
    group: &str,
    kind: &str,
    root: &Path<'_>,
    new: &Value,
    old: Option<&Value>,
    report: &mut Report,
) {
    match (group, kind) {
        ("", "ConfigMap" | "Secret") => {
            data(root, new, report);
            if let Some(old) = old {
                data_change(kind, root, new, old, report);
            }
        }
        ("", "Node") => node(root, new, report),
        ("", "PersistentVolumeClaim") => claim(root, new, old, report),
        ("scheduling.k8s.io", "PriorityClass") => priority_class(root, new, old, report),
        ("policy", "PodDisruptionBudget") => disruption_budget(root, new, report),
        ("autoscaling", "HorizontalPodAutoscaler") => autoscaler(root, new, report),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => {
            definition::validate(root, new, old, report);
        }
        ("coordination.k8s.io", "Lease") => lease(root, new, report),
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => {
            binding(root, new, old, report);
        }
        ("storage.k8s.io", "StorageClass") => storage_class(root, new, old, report),
        _ => {}
    }
}

fn data(root: &Path<'_>, object: &Value, report: &mut Report) {
    let members = |field| object.get(field).and_then(Value::as_object);
    let mut size = 0;
    for field in ["data", "binaryData"] {
        let path = root.field(field);
        for (key, value) in members(field).into_iter().flatten() {
            report.check(&path.key(key), key, names::config_key(key));
            let duplicate =
                field == "data" && members("binaryData").is_some_and(|binary| binary.contains_key(key));
            if duplicate {
                report.invalid(
                    &path.key(key),
                    key.as_str(),
                    "duplicate of key present in binaryData",
                );
            }
            size += value.as_str().map_or(0, str::len);
        }
    }
    if size > DATA_MAX {
        report.too_long(&root.field("data"), DATA_MAX);
    }
}

fn data_change(kind: &str, root: &Path<'_>, new: &Value, old: &Value, report: &mut Report) {
    if kind == "Secret" && !same(new.get("type"), old.get("type")) {
        report.invalid(&root.field("type"), text(new, &["type"]), "field is immutable");
    }
    if old.get("immutable") != Some(&Value::Bool(true)) {
        return;
    }
    let fields = if kind == "Secret" {
        ["immutable", "data", "stringData"]
    } else {
        ["immutable", "data", "binaryData"]
    };
    for field in fields {
        if !same(new.get(field), old.get(field)) {
            report.forbidden(&root.field(field), "field is immutable when `immutable` is set");
        }
    }
}

fn node(root: &Path<'_>, node: &Value, report: &mut Report) {
    let spec = root.field("spec");
    let path = spec.field("taints");
    let taints = list(node, &["spec", "taints"]);
    for (index, taint) in taints.iter().enumerate() {
        let item = path.index(index);
        let part = |key| text(taint, &[key]);
        report.check(
            &item.field("key"),
            part("key"),
            names::qualified_name(part("key")),
        );
        report.check(
            &item.field("value"),
            part("value"),
            names::label_value(part("value")),
        );
        match part("effect") {
            "" => report.required(&item.field("effect"), ""),
            effect => {
                report.supported(
                    &item.field("effect"),
                    effect,
                    &["NoSchedule", "PreferNoSchedule", "NoExecute"],
                );
            }
        }
        let earlier = taints.get(..index).unwrap_or_default();
        let same_taint = |other: &Value| {
            ["key", "effect"]
                .iter()
                .all(|part| text(other, &[part]) == text(taint, &[part]))
        };
        if earlier.iter().any(same_taint) {
            report.duplicate(&item, taint);
        }
    }
    let status = root.field("status");
    for field in ["capacity", "allocatable"] {
        let path = status.field(field);
        for (name, amount) in object(node, &["status", field]).into_iter().flatten() {
            quantity(&path.key(name), amount, report);
        }
    }
}

fn claim(root: &Path<'_>, new: &Value, old: Option<&Value>, report: &mut Report) {
    let path = root.field("spec");
    if list(new, &["spec", "accessModes"]).is_empty() {
        report.required(&path.field("accessModes"), "at least 1 access mode is required");
    }
    if at(new, &["spec", "resources", "requests", "storage"]).is_none() {
        report.required(&path.field("resources").key("storage"), "");
    }
    let Some(old) = old else { return };
    let empty = Map::new();
    let spec = |claim: &'_ Value| {
        claim
            .get("spec")
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default()
    };
    let (new_spec, old_spec) = (spec(new), spec(old));
    // The binder names the volume; a class may be given to a claim that has none.
    let settable = |key: &str| {
        matches!(key, "resources" | "volumeAttributesClassName")
            || (matches!(key, "volumeName" | "storageClassName")
                && old_spec.get(key).is_none_or(Value::is_null))
    };
    let changed = |from: &Map<String, Value>, to: &Map<String, Value>| {
        from.iter()
            .any(|(key, value)| !settable(key) && !same(Some(value), to.get(key)))
    };
    if changed(&new_spec, &old_spec)
        || changed(&old_spec, &new_spec)
        || new_spec == empty && old_spec != empty
    {
        report.forbidden(&path, "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims");
    }
}

fn priority_class(root: &Path<'_>, new: &Value, old: Option<&Value>, report: &mut Report) {
    let value = int(new, &["value"]).unwrap_or_default();
    let name = text(new, &["metadata", "name"]);
    let known = matches!(name, "system-node-critical" | "system-cluster-critical");
    let metadata = root.field("metadata");
    if name.starts_with("system-") && !known {
        report.forbidden(&metadata.field("name"), "priority class names with 'system-' prefix are reserved for system use only. error: not a known system priority class");
    } else if !known && value > USER_PRIORITY_MAX {
        report.forbidden(
            &root.field("value"),
            &format!("maximum allowed value of a user defined priority is {USER_PRIORITY_MAX}"),
        );
    }
    report.supported(
        &root.field("preemptionPolicy"),
        text(new, &["preemptionPolicy"]),
        &["Never", "PreemptLowerPriority"],
    );
    if let Some(old) = old {
        if value != int(old, &["value"]).unwrap_or_default() {
            report.forbidden(&root.field("value"), "may not be changed in an update.");
        }
        if !same(new.get("preemptionPolicy"), old.get("preemptionPolicy")) {
            report.invalid(
                &root.field("preemptionPolicy"),
                text(new, &["preemptionPolicy"]),
                "field is immutable",
            );
        }
    }
}

fn disruption_budget(root: &Path<'_>, budget: &Value, report: &mut Report) {
    let path = root.field("spec");
    let bounds = ["minAvailable", "maxUnavailable"].map(|field| (field, at(budget, &["spec", field])));
    if bounds.iter().all(|(_, bound)| bound.is_some()) {
        let spec = at(budget, &["spec"]).unwrap_or(&Value::Null);
        report.invalid(&path, spec, "minAvailable and maxUnavailable cannot be both set");
    }
    for (field, bound) in bounds {
        if let Some(bound) = bound {
            let parsed = int_or_percent(&path.field(field), bound, report);
            if bound.is_string() && parsed.is_some_and(|percent| percent > 100) {
                report.invalid(&path.field(field), bound, "must not be greater than 100%");
            }
        }
    }
    if let Some(selected) = at(budget, &["spec", "selector"]) {
        selector(&path.field("selector"), selected, report);
    }
}

fn autoscaler(root: &Path<'_>, autoscaler: &Value, report: &mut Report) {
    let path = root.field("spec");
    let (min, max) = (
        int(autoscaler, &["spec", "minReplicas"]),
        int(autoscaler, &["spec", "maxReplicas"]).unwrap_or_default(),
    );
    if let Some(min) = min.filter(|min| *min < 1) {
        report.invalid(
            &path.field("minReplicas"),
            min,
            "must be greater than or equal to 1",
        );
    }
    if max < 1 {
        report.invalid(&path.field("maxReplicas"), max, "must be greater than 0");
    }
    if min.is_some_and(|min| max < min) {
        report.invalid(
            &path.field("maxReplicas"),
            max,
            "must be greater than or equal to `minReplicas`",
        );
    }
    let target = path.field("scaleTargetRef");
    for field in ["kind", "name"] {
        if text(autoscaler, &["spec", "scaleTargetRef", field]).is_empty() {
            report.required(&target.field(field), "");
        }
    }
}

fn lease(root: &Path<'_>, lease: &Value, report: &mut Report) {
    let path = root.field("spec");
    if let Some(seconds) = int(lease, &["spec", "leaseDurationSeconds"]).filter(|seconds| *seconds <= 0) {
        report.invalid(
            &path.field("leaseDurationSeconds"),
            seconds,
            "must be greater than 0",
        );
    }
    report.not_negative(
        &path.field("leaseTransitions"),
        int(lease, &["spec", "leaseTransitions"]),
    );
}

fn binding(root: &Path<'_>, new: &Value, old: Option<&Value>, report: &mut Report) {
    let role = root.field("roleRef");
    if text(new, &["roleRef", "name"]).is_empty() {
        report.required(&role.field("name"), "");
    }
    report.supported(
        &role.field("kind"),
        text(new, &["roleRef", "kind"]),
        &["ClusterRole", "Role"],
    );
    if old.is_some_and(|old| !same(new.get("roleRef"), old.get("roleRef"))) {
        report.invalid(
            &role,
            new.get("roleRef").unwrap_or(&Value::Null),
            "cannot change roleRef",
        );
    }
}

fn storage_class(root: &Path<'_>, new: &Value, old: Option<&Value>, report: &mut Report) {
    if text(new, &["provisioner"]).is_empty() {
        report.required(&root.field("provisioner"), "");
    }
    let Some(old) = old else { return };
    for (field, detail) in [
        ("parameters", "updates to parameters are forbidden."),
        ("provisioner", "updates to provisioner are forbidden."),
        ("reclaimPolicy", "updates to reclaimPolicy are forbidden."),
    ] {
        if !same(new.get(field), old.get(field)) {
            report.forbidden(&root.field(field), detail);
        }
    }
}
