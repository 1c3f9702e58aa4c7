//! Jobs: the selector that a job is given when it has not brought its own.

use crate::types::value::{Object, child, default_to};
use serde_json::Value;

const CONTROLLER_UID: &str = "batch.kubernetes.io/controller-uid";
const JOB_NAME: &str = "batch.kubernetes.io/job-name";

/// Labels of the time before they had a domain, which users select by still.
const LEGACY: [(&str, &str); 2] = [("controller-uid", CONTROLLER_UID), ("job-name", JOB_NAME)];

/// Makes a job select the pods that carry its uid, unless it selects manually.
pub(super) fn generate_selector(job: &mut Object) {
    let metadata = |key: &str| {
        let found = job
            .get("metadata")
            .and_then(|metadata| metadata.get(key))
            .and_then(Value::as_str);
        found.unwrap_or_default().to_owned()
    };
    let facts = [(CONTROLLER_UID, metadata("uid")), (JOB_NAME, metadata("name"))];
    let Some(spec) = child(job, "spec") else { return };
    if spec.get("manualSelector") == Some(&Value::Bool(true)) {
        return;
    }
    let labels = child(spec, "template")
        .and_then(|template| child(template, "metadata"))
        .and_then(|metadata| child(metadata, "labels"));
    if let Some(labels) = labels {
        for (key, value) in &facts {
            default_to(labels, key, value.as_str());
            for (legacy, _) in LEGACY.iter().filter(|(_, current)| current == key) {
                default_to(labels, legacy, value.as_str());
            }
        }
    }
    let [(key, uid), _] = facts;
    if let Some(labels) = child(spec, "selector").and_then(|selector| child(selector, "matchLabels")) {
        default_to(labels, key, uid);
    }
}
