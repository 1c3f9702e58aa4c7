//! What a pod may change once it exists (`ValidatePodUpdate`).

use super::pod::{active_deadline, tolerations};
use super::report::{Path, Report};
use crate::types::value::{at, int, list, object, same, text};
use serde_json::{Map, Value};

const MUTABLE: &str = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n";

/// Members of a pod spec with rules of their own.
const WITH_RULES: [&str; 6] = [
    "containers",
    "initContainers",
    "activeDeadlineSeconds",
    "tolerations",
    "schedulingGates",
    "terminationGracePeriodSeconds",
];

pub(super) fn validate(new: &Value, old: &Value, report: &mut Report) {
    let empty = Map::new();
    let root = Path::root();
    let path = root.field("spec");
    let (Some(new_spec), Some(old_spec)) = (new.get("spec"), old.get("spec")) else {
        return report.required(&path, "");
    };
    if new_spec == old_spec {
        return;
    }
    for kind in ["containers", "initContainers"] {
        containers(
            &path.field(kind),
            list(new_spec, &[kind]),
            list(old_spec, &[kind]),
            report,
        );
    }
    deadline(&path, new_spec, old_spec, report);
    added_tolerations(&path.field("tolerations"), new_spec, old_spec, report);
    removed_gates(&path.field("schedulingGates"), new_spec, old_spec, report);
    let gated = !list(old_spec, &["schedulingGates"]).is_empty();
    let (new, old) = (
        new_spec.as_object().unwrap_or(&empty),
        old_spec.as_object().unwrap_or(&empty),
    );
    let mut changed: Vec<String> = changed_members(new, old)
        .filter(|key| !WITH_RULES.contains(key))
        .filter(|key| !(gated && may_change_while_gated(key, new_spec, old_spec)))
        .map(|key| format!("spec.{key}"))
        .collect();
    for kind in ["containers", "initContainers"] {
        let pairs = list(new_spec, &[kind]).iter().zip(list(old_spec, &[kind]));
        for (index, (new, old)) in pairs.enumerate() {
            let (new, old) = (
                new.as_object().unwrap_or(&empty),
                old.as_object().unwrap_or(&empty),
            );
            changed.extend(
                changed_members(new, old)
                    .filter(|key| *key != "image")
                    .map(|key| format!("spec.{kind}[{index}].{key}")),
            );
        }
    }
    let grace = |spec| int(spec, &["terminationGracePeriodSeconds"]);
    if grace(new_spec) != grace(old_spec)
        && !(grace(new_spec) == Some(1) && grace(old_spec).is_some_and(|old| old < 0))
    {
        changed.push("spec.terminationGracePeriodSeconds".to_owned());
    }
    if !changed.is_empty() {
        report.forbidden(&path, &format!("{MUTABLE}changed: {}", changed.join(", ")));
    }
}

/// The names of members that differ, `null` and absence being the same.
fn changed_members<'a>(
    new: &'a Map<String, Value>,
    old: &'a Map<String, Value>,
) -> impl Iterator<Item = &'a str> {
    let changed = new
        .iter()
        .filter(|(key, value)| !same(Some(value), old.get(*key)));
    let removed = old
        .iter()
        .filter(|(key, value)| !new.contains_key(*key) && !value.is_null());
    changed.chain(removed).map(|(key, _)| key.as_str())
}

fn containers(path: &Path<'_>, new: &[Value], old: &[Value], report: &mut Report) {
    if new.len() != old.len() {
        report.forbidden(path, "pod updates may not add or remove containers");
    }
    for (index, container) in new.iter().enumerate() {
        if text(container, &["image"]).is_empty() {
            report.required(&path.index(index).field("image"), "");
        }
    }
}

/// A deadline may be set and brought forward.
fn deadline(path: &Path<'_>, new: &Value, old: &Value, report: &mut Report) {
    active_deadline(path, new, report);
    let path = path.field("activeDeadlineSeconds");
    let seconds = |spec| int(spec, &["activeDeadlineSeconds"]);
    match (seconds(new), seconds(old)) {
        (Some(new), Some(old)) if new > old => {
            report.invalid(&path, new, "must be less than or equal to previous value");
        }
        (None, Some(_)) => {
            report.invalid(
                &path,
                &Value::Null,
                "must not update from a positive integer to nil value",
            );
        }
        _ => {}
    }
}

/// Tolerations may be added; of those that are there only the seconds may change.
fn added_tolerations(path: &Path<'_>, new: &Value, old: &Value, report: &mut Report) {
    let (new, old) = (list(new, &["tolerations"]), list(old, &["tolerations"]));
    let equal = |left: &Value, right: &Value| {
        ["key", "operator", "value", "effect"]
            .iter()
            .all(|part| text(left, &[part]) == text(right, &[part]))
    };
    if !old.iter().all(|old| new.iter().any(|new| equal(old, new))) {
        report.forbidden(
            path,
            "existing toleration can not be modified except its tolerationSeconds",
        );
    }
    if new != old {
        tolerations(path, new, report);
    }
}

fn removed_gates(path: &Path<'_>, new: &Value, old: &Value, report: &mut Report) {
    let old = list(old, &["schedulingGates"]);
    for (index, gate) in list(new, &["schedulingGates"]).iter().enumerate() {
        let name = text(gate, &["name"]);
        if !old.iter().any(|old| text(old, &["name"]) == name) {
            let detail = format!("only deletion is allowed, but found new scheduling gate '{name}'");
            report.forbidden(&path.index(index), &detail);
        }
    }
}

/// While gated, a pod may be steered further: its node selector may grow, its node affinity may be set.
fn may_change_while_gated(key: &str, new: &Value, old: &Value) -> bool {
    match key {
        "nodeSelector" => object(old, &["nodeSelector"])
            .into_iter()
            .flatten()
            .all(|(key, value)| at(new, &["nodeSelector", key]) == Some(value)),
        "affinity" => ["podAffinity", "podAntiAffinity"]
            .iter()
            .all(|kind| same(at(new, &["affinity", kind]), at(old, &["affinity", kind]))),
        _ => false,
    }
}
