//! Workloads: selectors, templates, strategies and what may not change.

use super::metadata::{is_empty_selector, labels, selector};
use super::pod::pod_spec;
use super::report::{Path, Report};
use crate::types::selectors::LabelSelector;
use crate::types::value::{at, int, object, same, text};
use serde_json::{Map, Value};

const PERCENT: &str = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";
const STATEFUL_SET_MUTABLE: [&str; 7] = [
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
];

/// Checks a workload, and its change if it has an older version.
pub(super) fn validate(kind: &str, new: &Value, old: Option<&Value>, report: &mut Report) {
    let root = Path::root();
    let path = root.field("spec");
    let spec = new.get("spec").unwrap_or(&Value::Null);
    match kind {
        "Deployment" => {
            selected(&path, spec, "deployment", report);
            deployment(&path, spec, report);
        }
        "ReplicaSet" => selected(&path, spec, "deployment", report),
        "StatefulSet" => selected(&path, spec, "statefulset", report),
        "DaemonSet" => selected(&path, spec, "daemonset", report),
        "ReplicationController" => replication_controller(&path, spec, report),
        "Job" => job(&path, spec, report),
        "CronJob" => cron_job(&path, spec, report),
        _ => return,
    }
    for field in [
        "replicas",
        "minReadySeconds",
        "revisionHistoryLimit",
        "progressDeadlineSeconds",
    ] {
        report.not_negative(&path.field(field), int(spec, &[field]));
    }
    if let Some(old) = old {
        let old = old.get("spec").unwrap_or(&Value::Null);
        change(kind, &path, spec, old, report);
    }
}

fn change(kind: &str, path: &Path<'_>, new: &Value, old: &Value, report: &mut Report) {
    let immutable: &[&str] = match kind {
        "Deployment" | "ReplicaSet" | "DaemonSet" => &["selector"],
        "Job" => &[
            "selector",
            "completionMode",
            "podFailurePolicy",
            "backoffLimitPerIndex",
        ],
        _ => &[],
    };
    for field in immutable {
        if !same(new.get(field), old.get(field)) {
            report.invalid(
                &path.field(field),
                new.get(field).unwrap_or(&Value::Null),
                "field is immutable",
            );
        }
    }
    // A suspended job's template may still be steered, by a queue for instance.
    if kind == "Job"
        && old.get("suspend") != Some(&Value::Bool(true))
        && !same(new.get("template"), old.get("template"))
    {
        report.invalid(
            &path.field("template"),
            new.get("template").unwrap_or(&Value::Null),
            "field is immutable",
        );
    }
    if kind == "StatefulSet" {
        let empty = Map::new();
        let (new, old) = (
            new.as_object().unwrap_or(&empty),
            old.as_object().unwrap_or(&empty),
        );
        let differs = |from: &Map<String, Value>, to: &Map<String, Value>| {
            from.iter().any(|(key, value)| {
                !STATEFUL_SET_MUTABLE.contains(&key.as_str()) && !same(Some(value), to.get(key))
            })
        };
        if differs(new, old) || differs(old, new) {
            report.forbidden(path, "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden");
        }
    }
}

/// A selector that is there, not empty, and matches a template whose pods run for ever.
fn selected(path: &Path<'_>, spec: &Value, noun: &str, report: &mut Report) {
    let field = path.field("selector");
    let selected = at(spec, &["selector"]);
    match selected {
        None => report.required(&field, ""),
        Some(value) if is_empty_selector(value) => {
            report.invalid(&field, value, &format!("empty selector is invalid for {noun}"));
        }
        Some(value) => selector(&field, value, report),
    }
    let matches = selected.map(LabelSelector::from_object).unwrap_or_default();
    template(path, spec, &matches, report);
}

fn template(path: &Path<'_>, spec: &Value, selector: &LabelSelector, report: &mut Report) {
    let path = path.field("template");
    let Some(template) = at(spec, &["template"]) else {
        return report.required(&path, "");
    };
    template_content(&path, template, report);
    let metadata = path.field("metadata");
    let given = object(template, &["metadata", "labels"]);
    if !selector.is_empty() && !selector.matches_labels(given) {
        let shown = at(template, &["metadata", "labels"]).unwrap_or(&Value::Null);
        report.invalid(
            &metadata.field("labels"),
            shown,
            "`selector` does not match template `labels`",
        );
    }
    let spec_path = path.field("spec");
    let policy = text(template, &["spec", "restartPolicy"]);
    if policy != "Always" {
        report.supported(&spec_path.field("restartPolicy"), policy, &["Always"]);
    }
    if at(template, &["spec", "activeDeadlineSeconds"]).is_some() {
        report.forbidden(
            &spec_path.field("activeDeadlineSeconds"),
            "activeDeadlineSeconds in ReplicaSet is not Supported",
        );
    }
}

fn template_content(path: &Path<'_>, template: &Value, report: &mut Report) {
    labels(
        &path.field("metadata").field("labels"),
        at(template, &["metadata", "labels"]),
        report,
    );
    pod_spec(
        &path.field("spec"),
        at(template, &["spec"]).unwrap_or(&Value::Null),
        report,
    );
}

fn replication_controller(path: &Path<'_>, spec: &Value, report: &mut Report) {
    let map = object(spec, &["selector"]).filter(|selector| !selector.is_empty());
    if map.is_none() {
        report.required(&path.field("selector"), "");
    }
    labels(&path.field("selector"), at(spec, &["selector"]), report);
    template(path, spec, &LabelSelector::from_map(map), report);
}

fn deployment(path: &Path<'_>, spec: &Value, report: &mut Report) {
    let path_of_strategy = path.field("strategy");
    let rolling_path = path_of_strategy.field("rollingUpdate");
    let rolling = at(spec, &["strategy", "rollingUpdate"]);
    match (text(spec, &["strategy", "type"]), rolling) {
        ("Recreate", Some(_)) => {
            report.forbidden(
                &rolling_path,
                "may not be specified when strategy `type` is 'Recreate'",
            );
        }
        ("RollingUpdate", None) => {
            report.required(&rolling_path, "this should be defaulted and never be nil")
        }
        ("RollingUpdate", Some(rolling)) => rolling_update(&rolling_path, rolling, report),
        (kind, _) => report.supported(
            &path_of_strategy.field("type"),
            kind,
            &["Recreate", "RollingUpdate"],
        ),
    }
    let seconds = |field| int(spec, &[field]).unwrap_or_default();
    let deadline = int(spec, &["progressDeadlineSeconds"]);
    if let Some(deadline) = deadline.filter(|deadline| *deadline <= seconds("minReadySeconds")) {
        report.invalid(
            &path.field("progressDeadlineSeconds"),
            deadline,
            "must be greater than minReadySeconds",
        );
    }
}

fn rolling_update(path: &Path<'_>, rolling: &Value, report: &mut Report) {
    let unavailable = rolling.get("maxUnavailable").unwrap_or(&Value::Null);
    let surge = rolling.get("maxSurge").unwrap_or(&Value::Null);
    let unavailable_path = path.field("maxUnavailable");
    let (most, extra) = (
        int_or_percent(&unavailable_path, unavailable, report),
        int_or_percent(&path.field("maxSurge"), surge, report),
    );
    if (most, extra) == (Some(0), Some(0)) {
        report.invalid(
            &unavailable_path,
            unavailable,
            "may not be 0 when `maxSurge` is 0",
        );
    }
    if unavailable.is_string() && most.is_some_and(|percent| percent > 100) {
        report.invalid(&unavailable_path, unavailable, "must not be greater than 100%");
    }
}

/// Checks a number or percentage; gives it when it is one.
pub(super) fn int_or_percent(path: &Path<'_>, value: &Value, report: &mut Report) -> Option<i64> {
    match value {
        Value::String(text) => {
            let digits = text
                .strip_suffix('%')
                .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
            let parsed = digits.and_then(|digits| digits.parse().ok());
            if parsed.is_none() {
                report.invalid(path, text.as_str(), PERCENT);
            }
            parsed
        }
        Value::Number(number) => {
            report.not_negative(path, number.as_i64());
            number.as_i64()
        }
        _ => None,
    }
}

fn job(path: &Path<'_>, spec: &Value, report: &mut Report) {
    for field in [
        "parallelism",
        "completions",
        "backoffLimit",
        "activeDeadlineSeconds",
        "ttlSecondsAfterFinished",
        "maxFailedIndexes",
    ] {
        report.not_negative(&path.field(field), int(spec, &[field]));
    }
    report.supported(
        &path.field("completionMode"),
        text(spec, &["completionMode"]),
        &["Indexed", "NonIndexed"],
    );
    if text(spec, &["completionMode"]) == "Indexed" && int(spec, &["completions"]).is_none() {
        report.required(&path.field("completions"), "when completion mode is Indexed");
    }
    let template_path = path.field("template");
    let Some(template) = at(spec, &["template"]) else {
        return report.required(&template_path, "");
    };
    template_content(&template_path, template, report);
    once(&template_path, template, report);
}

/// The pods of a job end.
fn once(path: &Path<'_>, template: &Value, report: &mut Report) {
    if matches!(text(template, &["spec", "restartPolicy"]), "" | "Always") {
        let spec = path.field("spec");
        report.required(
            &spec.field("restartPolicy"),
            "valid values: \"OnFailure\", \"Never\"",
        );
    }
}

fn cron_job(path: &Path<'_>, spec: &Value, report: &mut Report) {
    if text(spec, &["schedule"]).is_empty() {
        report.required(&path.field("schedule"), "");
    }
    report.supported(
        &path.field("concurrencyPolicy"),
        text(spec, &["concurrencyPolicy"]),
        &["Allow", "Forbid", "Replace"],
    );
    for field in [
        "startingDeadlineSeconds",
        "successfulJobsHistoryLimit",
        "failedJobsHistoryLimit",
    ] {
        report.not_negative(&path.field(field), int(spec, &[field]));
    }
    let job_template = path.field("jobTemplate");
    let job_spec = job_template.field("spec");
    let template_path = job_spec.field("template");
    let Some(template) = at(spec, &["jobTemplate", "spec", "template"]) else {
        return report.required(&template_path, "");
    };
    template_content(&template_path, template, report);
    once(&template_path, template, report);
}
