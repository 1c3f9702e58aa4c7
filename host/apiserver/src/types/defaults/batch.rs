//! The `batch` group.

use super::{pod, with_spec};
use crate::types::value::{Object, child, default_text, default_to};
use serde_json::{Value, json};

pub(super) fn apply(kind: &str, object: &mut Object) {
    match kind {
        "Job" => {
            with_spec(object, job);
            labels_from_template(object);
        }
        "CronJob" => with_spec(object, cron_job),
        _ => {}
    }
}

fn job(spec: &mut Object) {
    pod::template(spec);
    let absent = |spec: &Object, key: &str| spec.get(key).is_none_or(Value::is_null);
    if absent(spec, "completions") && absent(spec, "parallelism") {
        default_to(spec, "completions", 1);
        default_to(spec, "parallelism", 1);
    }
    default_to(spec, "parallelism", 1);
    let per_index = !absent(spec, "backoffLimitPerIndex");
    default_to(
        spec,
        "backoffLimit",
        if per_index { i64::from(i32::MAX) } else { 6 },
    );
    default_to(spec, "completionMode", "NonIndexed");
    default_to(spec, "suspend", false);
    let replacement = if absent(spec, "podFailurePolicy") {
        "TerminatingOrFailed"
    } else {
        "Failed"
    };
    default_to(spec, "podReplacementPolicy", replacement);
    if let Some(policy) = super::existing(spec, "podFailurePolicy") {
        super::each(policy, "rules", |rule| {
            super::each(rule, "onPodConditions", |condition| {
                default_text(condition, "status", "True")
            });
        });
    }
}

fn cron_job(spec: &mut Object) {
    default_text(spec, "concurrencyPolicy", "Allow");
    default_to(spec, "suspend", false);
    default_to(spec, "successfulJobsHistoryLimit", 3);
    default_to(spec, "failedJobsHistoryLimit", 1);
    // Only the pod template: what a job defaults is for the job to be made.
    if let Some(job) = child(spec, "jobTemplate").and_then(|template| child(template, "spec")) {
        pod::template(job);
    }
}

/// A job without labels takes those of its template.
fn labels_from_template(object: &mut Object) {
    let labels = object
        .get("spec")
        .and_then(|spec| spec.pointer("/template/metadata/labels"))
        .filter(|labels| labels.as_object().is_some_and(|labels| !labels.is_empty()))
        .cloned();
    let (Some(labels), Some(metadata)) = (labels, child(object, "metadata")) else {
        return;
    };
    if metadata
        .get("labels")
        .and_then(Value::as_object)
        .is_none_or(Object::is_empty)
    {
        metadata.insert("labels".to_owned(), json!(labels));
    }
}
