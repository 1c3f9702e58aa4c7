//! Columns of the workload types.

use super::column::{AGE, Column, NAME};
use super::{human, is_deleting, pods};
use crate::types::value::{int, list, text};
use jiff::Timestamp;
use serde_json::Value;

const TEMPLATE: &str = "/spec/template/spec";
const JOB_TEMPLATE: &str = "/spec/jobTemplate/spec/template/spec";

/// The columns of a workload type.
pub(super) fn columns(group: &str, kind: &str) -> Option<&'static [Column]> {
    Some(match (group, kind) {
        ("", "Pod") => pods::COLUMNS,
        ("", "PodTemplate") => POD_TEMPLATE,
        ("", "ReplicationController") => REPLICATION_CONTROLLER,
        ("apps", "Deployment") => DEPLOYMENT,
        ("apps", "ReplicaSet") => REPLICA_SET,
        ("apps", "StatefulSet") => STATEFUL_SET,
        ("apps", "DaemonSet") => DAEMON_SET,
        ("apps", "ControllerRevision") => CONTROLLER_REVISION,
        ("batch", "Job") => JOB,
        ("batch", "CronJob") => CRON_JOB,
        ("autoscaling", "HorizontalPodAutoscaler") => AUTOSCALER,
        ("autoscaling", "Scale") => SCALE,
        ("policy", "PodDisruptionBudget") => DISRUPTION_BUDGET,
        _ => return None,
    })
}

const POD_TEMPLATE: &[Column] = &[
    NAME,
    Column::with("Containers", |object, _| fields(object, "name")),
    Column::with("Images", |object, _| fields(object, "image")),
    Column::labels("Pod Labels", "/template/metadata/labels"),
];

const REPLICATION_CONTROLLER: &[Column] = &[
    NAME,
    Column::number("Desired", "/spec/replicas"),
    Column::number("Current", "/status/replicas"),
    Column::number("Ready", "/status/readyReplicas"),
    AGE,
    Column::containers(TEMPLATE),
    Column::images(TEMPLATE),
    Column::labels("Selector", "/spec/selector").wide(),
];

const REPLICA_SET: &[Column] = &[
    NAME,
    Column::number("Desired", "/spec/replicas"),
    Column::number("Current", "/status/replicas"),
    Column::number("Ready", "/status/readyReplicas"),
    AGE,
    Column::containers(TEMPLATE),
    Column::images(TEMPLATE),
    Column::selector("Selector", "/spec/selector").wide(),
];

const DEPLOYMENT: &[Column] = &[
    NAME,
    Column::with("Ready", |object, _| ready_of_desired(object)),
    Column::number("Up-to-date", "/status/updatedReplicas").of_type("string"),
    Column::number("Available", "/status/availableReplicas").of_type("string"),
    AGE,
    Column::containers(TEMPLATE),
    Column::images(TEMPLATE),
    Column::selector("Selector", "/spec/selector").wide(),
];

const STATEFUL_SET: &[Column] = &[
    NAME,
    Column::with("Ready", |object, _| ready_of_desired(object)),
    AGE,
    Column::containers(TEMPLATE),
    Column::images(TEMPLATE),
];

const DAEMON_SET: &[Column] = &[
    NAME,
    Column::number("Desired", "/status/desiredNumberScheduled"),
    Column::number("Current", "/status/currentNumberScheduled"),
    Column::number("Ready", "/status/numberReady"),
    Column::number("Up-to-date", "/status/updatedNumberScheduled"),
    Column::number("Available", "/status/numberAvailable"),
    Column::labels("Node Selector", "/spec/template/spec/nodeSelector"),
    AGE,
    Column::containers(TEMPLATE),
    Column::images(TEMPLATE),
    Column::selector("Selector", "/spec/selector").wide(),
];

const CONTROLLER_REVISION: &[Column] = &[
    NAME,
    Column::with("Controller", |object, _| controller(object).into()),
    Column::number("Revision", "/revision").of_type("string"),
    AGE,
];

const JOB: &[Column] = &[
    NAME,
    Column::with("Status", |job, _| job_status(job).into()),
    Column::with("Completions", |job, _| completions(job).into()),
    Column::with("Duration", |job, now| job_duration(job, now).into()),
    AGE,
    Column::containers(TEMPLATE),
    Column::images(TEMPLATE),
    Column::selector("Selector", "/spec/selector").wide(),
];

const CRON_JOB: &[Column] = &[
    NAME,
    Column::text("Schedule", "/spec/schedule", ""),
    Column::text("Timezone", "/spec/timeZone", "<none>"),
    Column::with("Suspend", |object, _| {
        match object.pointer("/spec/suspend").and_then(Value::as_bool) {
            None => "<unset>".into(),
            Some(true) => "True".into(),
            Some(false) => "False".into(),
        }
    })
    .of_type("boolean"),
    Column::count("Active", &["/status/active"]).of_type("integer"),
    Column::with("Last Schedule", |object, now| {
        match text(object, &["status", "lastScheduleTime"]) {
            "" => "<none>".into(),
            time => human::since(time, now).into(),
        }
    }),
    AGE,
    Column::containers(JOB_TEMPLATE),
    Column::images(JOB_TEMPLATE),
    Column::selector("Selector", "/spec/jobTemplate/spec/selector").wide(),
];

const AUTOSCALER: &[Column] = &[
    NAME,
    Column::with("Reference", |object, _| {
        let part = |key| text(object, &["spec", "scaleTargetRef", key]);
        format!("{}/{}", part("kind"), part("name")).into()
    }),
    Column::with("Targets", |object, _| targets(object).into()),
    Column::text("MinPods", "/spec/minReplicas", "<unset>"),
    Column::number("MaxPods", "/spec/maxReplicas").of_type("string"),
    Column::number("Replicas", "/status/currentReplicas").of_type("string"),
    AGE,
];

const SCALE: &[Column] = &[
    NAME,
    Column::number("Desired", "/spec/replicas"),
    Column::number("Available", "/status/replicas"),
    AGE,
];

const DISRUPTION_BUDGET: &[Column] = &[
    NAME,
    Column::text("Min Available", "/spec/minAvailable", "N/A"),
    Column::text("Max Unavailable", "/spec/maxUnavailable", "N/A"),
    Column::number("Allowed Disruptions", "/status/disruptionsAllowed"),
    AGE,
];

fn fields(pod_template: &Value, field: &str) -> Value {
    let containers = list(pod_template, &["template", "spec", "containers"]);
    containers
        .iter()
        .map(|container| text(container, &[field]))
        .collect::<Vec<_>>()
        .join(",")
        .into()
}

fn ready_of_desired(object: &Value) -> Value {
    let number = |path: &[&str]| int(object, path).unwrap_or_default();
    format!(
        "{}/{}",
        number(&["status", "readyReplicas"]),
        number(&["spec", "replicas"])
    )
    .into()
}

fn controller(revision: &Value) -> String {
    let owners = list(revision, &["metadata", "ownerReferences"]);
    let Some(owner) = owners
        .iter()
        .find(|owner| owner.get("controller") == Some(&Value::Bool(true)))
    else {
        return "<none>".to_owned();
    };
    let kind = text(owner, &["kind"]).to_lowercase();
    let name = text(owner, &["name"]);
    match text(owner, &["apiVersion"]).split_once('/') {
        Some((group, _)) => format!("{kind}.{group}/{name}"),
        None => format!("{kind}/{name}"),
    }
}

fn job_status(job: &Value) -> &'static str {
    let has = |kind: &str| {
        let mut conditions = list(job, &["status", "conditions"]).iter();
        conditions
            .find(|condition| text(condition, &["type"]) == kind)
            .is_some_and(|condition| text(condition, &["status"]) == "True")
    };
    match () {
        () if has("Complete") => "Complete",
        () if has("Failed") => "Failed",
        () if is_deleting(job) => "Terminating",
        () if has("Suspended") => "Suspended",
        () if has("FailureTarget") => "FailureTarget",
        () => "Running",
    }
}

fn completions(job: &Value) -> String {
    let succeeded = int(job, &["status", "succeeded"]).unwrap_or_default();
    match (
        int(job, &["spec", "completions"]),
        int(job, &["spec", "parallelism"]).unwrap_or_default(),
    ) {
        (Some(completions), _) => format!("{succeeded}/{completions}"),
        (None, parallelism) if parallelism > 1 => format!("{succeeded}/1 of {parallelism}"),
        (None, _) => format!("{succeeded}/1"),
    }
}

fn job_duration(job: &Value, now: Timestamp) -> String {
    let start = text(job, &["status", "startTime"]);
    if start.is_empty() {
        return String::new();
    }
    let end = text(job, &["status", "completionTime"]).parse().unwrap_or(now);
    human::since(start, end)
}

/// The metrics of an autoscaler as `name: current/target`, two at most.
fn targets(autoscaler: &Value) -> String {
    if let Some(target) = int(autoscaler, &["spec", "targetCPUUtilizationPercentage"]) {
        let current = int(autoscaler, &["status", "currentCPUUtilizationPercentage"]);
        return format!(
            "cpu: {}/{target}%",
            current.map_or("<unknown>".to_owned(), |current| format!("{current}%"))
        );
    }
    let metrics = list(autoscaler, &["spec", "metrics"]);
    let current = list(autoscaler, &["status", "currentMetrics"]);
    let shown: Vec<String> = metrics
        .iter()
        .enumerate()
        .take(2)
        .map(|(index, metric)| target(metric, current.get(index).unwrap_or(&Value::Null)))
        .collect();
    match metrics.len() {
        0 => "<none>".to_owned(),
        1 | 2 => shown.join(", "),
        more => format!("{} + {} more...", shown.join(", "), more - 2),
    }
}

/// One metric; its source is the member named like its type with a small first letter.
fn target(metric: &Value, current: &Value) -> String {
    let (source, named) = match text(metric, &["type"]) {
        "Resource" => ("resource", true),
        "ContainerResource" => ("containerResource", true),
        "Pods" => ("pods", false),
        "Object" => ("object", false),
        "External" => ("external", false),
        _ => return "<unknown type>".to_owned(),
    };
    let side = |value: &Value, member: &str| {
        let amount = |key: &str| {
            value
                .pointer(&format!("/{source}/{member}/{key}"))
                .filter(|amount| !amount.is_null())
        };
        let plain = |amount: &Value| amount.as_str().map_or_else(|| amount.to_string(), str::to_owned);
        amount("averageUtilization")
            .map(|percent| format!("{percent}%"))
            .or_else(|| {
                amount("averageValue").map(|average| match source {
                    "object" | "external" => format!("{} (avg)", plain(average)),
                    _ => plain(average),
                })
            })
            .or_else(|| amount("value").map(plain))
    };
    let current = side(current, "current")
        .unwrap_or_else(|| "<unknown>".to_owned())
        .replace(" (avg)", "");
    let target = side(metric, "target").unwrap_or_else(|| "<auto>".to_owned());
    match named {
        true => format!("{}: {current}/{target}", text(metric, &[source, "name"])),
        false => format!("{current}/{target}"),
    }
}
