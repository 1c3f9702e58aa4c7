//! Pods: the first status, and what the status endpoint may not touch.

use crate::types::quantity::Quantity;
use crate::types::value::{Object, at, child, default_text, list, object, text};
use serde_json::{Value, json};

/// Gives a new pod its first status: Pending, its class, and whether it is gated.
pub(super) fn initialise_status(pod: &mut Object) {
    let spec = pod.get("spec").unwrap_or(&Value::Null);
    let mut status = Object::new();
    status.insert("phase".to_owned(), "Pending".into());
    status.insert("qosClass".to_owned(), qos_class(spec).into());
    if !list(spec, &["schedulingGates"]).is_empty() {
        let condition = json!({
            "type": "PodScheduled",
            "status": "False",
            "reason": "SchedulingGated",
            "message": "Scheduling is blocked due to non-empty scheduling gates",
        });
        status.insert("conditions".to_owned(), Value::Array(vec![condition]));
    }
    pod.insert("status".to_owned(), Value::Object(status));
}

/// Keeps what a status update may leave out but not lose.
pub(super) fn keep_status_facts(new: &mut Object, old: &Value) {
    if let Some(status) = child(new, "status") {
        match text(old, &["status", "qosClass"]) {
            "" => {}
            class => default_text(status, "qosClass", class),
        }
    }
}

/// The quality-of-service class of a pod spec (`pkg/apis/core/helper/qos`).
#[must_use]
pub fn qos_class(spec: &Value) -> &'static str {
    if at(spec, &["resources"]).is_some() {
        return classify(std::iter::once(spec));
    }
    classify(
        list(spec, &["containers"])
            .iter()
            .chain(list(spec, &["initContainers"])),
    )
}

fn classify<'a>(owners: impl Iterator<Item = &'a Value>) -> &'static str {
    let mut totals = [[Quantity::default(); 2]; 2];
    let mut guaranteed = true;
    for owner in owners {
        for (resource, totals) in ["cpu", "memory"].into_iter().zip(&mut totals) {
            let [requests, limits] = totals;
            let request = amount(owner, "requests", resource);
            let limit = amount(owner, "limits", resource);
            *requests = requests.plus(request);
            *limits = limits.plus(limit);
            guaranteed &= limit > Quantity::default();
        }
    }
    let none = Quantity::default();
    if totals.iter().flatten().all(|total| *total == none) {
        "BestEffort"
    } else if guaranteed && totals.iter().all(|[requests, limits]| requests == limits) {
        "Guaranteed"
    } else {
        "Burstable"
    }
}

fn amount(owner: &Value, side: &str, resource: &str) -> Quantity {
    object(owner, &["resources", side])
        .and_then(|amounts| amounts.get(resource))
        .and_then(|value| Quantity::from_json(value).ok())
        .unwrap_or_default()
}
