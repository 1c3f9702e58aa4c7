//! The pod columns, whose status sums up phase, reasons and containers.

use super::column::{AGE, Column, NAME};
use super::{human, is_deleting};
use crate::types::value::{at, flag, int, list, text};
use jiff::Timestamp;
use serde_json::{Value, json};

pub(super) const COLUMNS: &[Column] = &[
    NAME,
    Column::with("Ready", |pod, _| Summary::of(pod).ready_text().into()),
    Column::with("Status", |pod, _| Summary::of(pod).reason.into()),
    Column::with("Restarts", |pod, now| Summary::of(pod).restarts_text(now).into()),
    AGE,
    Column::text("IP", "/status/podIPs/0/ip", "<none>").wide(),
    Column::text("Node", "/spec/nodeName", "<none>").wide(),
    Column::text("Nominated Node", "/status/nominatedNodeName", "<none>").wide(),
    Column::with("Readiness Gates", |pod, _| readiness_gates(pod).into()).wide(),
];

/// The condition that marks rows of finished pods.
pub(super) fn row_conditions(pod: &Value) -> Option<Value> {
    let (reason, message) = match text(pod, &["status", "phase"]) {
        "Succeeded" => ("Succeeded", "The pod has completed successfully."),
        "Failed" => ("Failed", "The pod failed."),
        _ => return None,
    };
    Some(json!([{"type": "Completed", "status": "True", "reason": reason, "message": message}]))
}

/// What the containers of a pod amount to.
struct Summary<'a> {
    ready: usize,
    total: usize,
    reason: String,
    restarts: i64,
    last_restart: &'a str,
}

impl<'a> Summary<'a> {
    fn of(pod: &'a Value) -> Self {
        let phase = text(pod, &["status", "phase"]);
        let mut reason = match text(pod, &["status", "reason"]) {
            "" => phase.to_owned(),
            reason => reason.to_owned(),
        };
        let gated =
            condition(pod, "PodScheduled").is_some_and(|found| text(found, &["reason"]) == "SchedulingGated");
        if gated {
            reason = "SchedulingGated".to_owned();
        }
        let sidecars = list(pod, &["spec", "initContainers"])
            .iter()
            .filter(|container| is_sidecar(container))
            .count();
        let mut summary = Self {
            ready: 0,
            total: list(pod, &["spec", "containers"]).len() + sidecars,
            reason,
            restarts: 0,
            last_restart: "",
        };
        let initializing = summary.add_init_containers(pod);
        if !initializing || has_condition(pod, "Initialized") {
            summary.add_containers(pod);
        }
        if is_deleting(pod) {
            if text(pod, &["status", "reason"]) == "NodeLost" {
                summary.reason = "Unknown".to_owned();
            } else if !matches!(phase, "Succeeded" | "Failed") {
                summary.reason = "Terminating".to_owned();
            }
        }
        summary
    }

    /// Counts init containers up to the first that is not done; true if there is one.
    fn add_init_containers(&mut self, pod: &'a Value) -> bool {
        let specs = list(pod, &["spec", "initContainers"]);
        let spec_of = |name: &str| specs.iter().find(|container| text(container, &["name"]) == name);
        for (index, status) in list(pod, &["status", "initContainerStatuses"]).iter().enumerate() {
            self.count_restarts(status);
            let sidecar = spec_of(text(status, &["name"])).is_some_and(is_sidecar);
            let terminated = at(status, &["state", "terminated"]);
            if terminated.is_some_and(|terminated| int(terminated, &["exitCode"]).unwrap_or_default() == 0) {
                continue;
            }
            if sidecar && flag(status, &["started"]) {
                self.ready += usize::from(flag(status, &["ready"]));
                continue;
            }
            let waiting = text(status, &["state", "waiting", "reason"]);
            self.reason = match terminated {
                Some(terminated) => format!("Init:{}", termination(terminated)),
                None if !waiting.is_empty() && waiting != "PodInitializing" => format!("Init:{waiting}"),
                None => format!("Init:{index}/{}", specs.len()),
            };
            return true;
        }
        false
    }

    /// Once initialised, restarts are those of sidecars and regular containers alone.
    fn add_containers(&mut self, pod: &'a Value) {
        (self.restarts, self.last_restart) = (0, "");
        let specs = list(pod, &["spec", "initContainers"]);
        for status in list(pod, &["status", "initContainerStatuses"]) {
            let name = text(status, &["name"]);
            if specs
                .iter()
                .any(|container| text(container, &["name"]) == name && is_sidecar(container))
            {
                self.count_restarts(status);
            }
        }
        let mut running = false;
        for status in list(pod, &["status", "containerStatuses"]).iter().rev() {
            self.count_restarts(status);
            let waiting = text(status, &["state", "waiting", "reason"]);
            if !waiting.is_empty() {
                self.reason = waiting.to_owned();
            } else if let Some(terminated) = at(status, &["state", "terminated"]) {
                self.reason = termination(terminated);
            } else if flag(status, &["ready"]) && at(status, &["state", "running"]).is_some() {
                running = true;
                self.ready += 1;
            }
        }
        if running && self.reason == "Completed" {
            self.reason = if has_condition(pod, "Ready") {
                "Running"
            } else {
                "NotReady"
            }
            .to_owned();
        }
    }

    fn count_restarts(&mut self, status: &'a Value) {
        self.restarts += int(status, &["restartCount"]).unwrap_or_default();
        // Timestamps of the API have one form, so that their texts order as their times.
        self.last_restart = self
            .last_restart
            .max(text(status, &["lastState", "terminated", "finishedAt"]));
    }

    fn ready_text(&self) -> String {
        format!("{}/{}", self.ready, self.total)
    }

    fn restarts_text(&self, now: Timestamp) -> String {
        if self.restarts == 0 || self.last_restart.is_empty() {
            return self.restarts.to_string();
        }
        format!("{} ({} ago)", self.restarts, human::since(self.last_restart, now))
    }
}

/// The reason of a terminated state, made up from its signal or exit code if it has none.
fn termination(terminated: &Value) -> String {
    match (
        text(terminated, &["reason"]),
        int(terminated, &["signal"]).unwrap_or_default(),
    ) {
        ("", 0) => format!("ExitCode:{}", int(terminated, &["exitCode"]).unwrap_or_default()),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.to_owned(),
    }
}

fn is_sidecar(container: &Value) -> bool {
    text(container, &["restartPolicy"]) == "Always"
}

fn condition<'a>(pod: &'a Value, kind: &str) -> Option<&'a Value> {
    list(pod, &["status", "conditions"])
        .iter()
        .find(|condition| text(condition, &["type"]) == kind)
}

fn has_condition(pod: &Value, kind: &str) -> bool {
    condition(pod, kind).is_some_and(|condition| text(condition, &["status"]) == "True")
}

fn readiness_gates(pod: &Value) -> String {
    let gates = list(pod, &["spec", "readinessGates"]);
    if gates.is_empty() {
        return "<none>".to_owned();
    }
    let open = gates
        .iter()
        .filter(|gate| has_condition(pod, text(gate, &["conditionType"])))
        .count();
    format!("{open}/{}", gates.len())
}
