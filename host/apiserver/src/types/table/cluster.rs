//! Columns of nodes, namespaces, events, configuration and access control.

use super::column::{AGE, Column, NAME};
use super::human;
use crate::types::value::{at, int, list, object, pairs, text};
use jiff::Timestamp;
use serde_json::Value;
use std::collections::BTreeSet;

/// The columns of the remaining types with columns of their own.
pub(super) fn columns(group: &str, kind: &str) -> Option<&'static [Column]> {
    Some(match (group, kind) {
        ("", "Node") => NODE,
        ("", "Namespace") => const { &[NAME, Column::text("Status", "/status/phase", ""), AGE] },
        ("" | "events.k8s.io", "Event") => EVENT,
        ("", "ConfigMap") => const { &[NAME, Column::count("Data", &["/data", "/binaryData"]), AGE] },
        ("", "Secret") => {
            const {
                &[
                    NAME,
                    Column::text("Type", "/type", ""),
                    Column::count("Data", &["/data"]),
                    AGE,
                ]
            }
        }
        ("", "ServiceAccount") => const { &[NAME, Column::count("Secrets", &["/secrets"]), AGE] },
        ("", "ResourceQuota") => QUOTA,
        ("coordination.k8s.io", "Lease") => {
            const { &[NAME, Column::text("Holder", "/spec/holderIdentity", ""), AGE] }
        }
        ("node.k8s.io", "RuntimeClass") => const { &[NAME, Column::text("Handler", "/handler", ""), AGE] },
        ("scheduling.k8s.io", "PriorityClass") => PRIORITY_CLASS,
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => BINDING,
        (
            "admissionregistration.k8s.io",
            "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration",
        ) => {
            const {
                &[
                    NAME,
                    Column::count("Webhooks", &["/webhooks"]).of_type("integer"),
                    AGE,
                ]
            }
        }
        _ => return None,
    })
}

const NODE: &[Column] = &[
    NAME,
    Column::with("Status", |node, _| node_status(node).into()),
    Column::with("Roles", |node, _| roles(node).into()),
    AGE,
    Column::text("Version", "/status/nodeInfo/kubeletVersion", ""),
    Column::with("Internal-IP", |node, _| address(node, "InternalIP").into()).wide(),
    Column::with("External-IP", |node, _| address(node, "ExternalIP").into()).wide(),
    Column::text("OS-Image", "/status/nodeInfo/osImage", "<unknown>").wide(),
    Column::text("Kernel-Version", "/status/nodeInfo/kernelVersion", "<unknown>").wide(),
    Column::text(
        "Container-Runtime",
        "/status/nodeInfo/containerRuntimeVersion",
        "<unknown>",
    )
    .wide(),
];

const EVENT: &[Column] = &[
    Column::with("Last Seen", |event, now| last_seen(event, now).into()),
    Column::text("Type", "/type", ""),
    Column::text("Reason", "/reason", ""),
    Column::with("Object", |event, _| involved(event).into()),
    Column::with("Subobject", |event, _| reference(event, "fieldPath").into()).wide(),
    Column::with("Source", |event, _| source(event).into()).wide(),
    Column::with("Message", |event, _| {
        let message = text(event, &["message"]);
        if message.is_empty() {
            text(event, &["note"])
        } else {
            message
        }
        .trim()
        .into()
    }),
    Column::with("First Seen", |event, now| first_seen(event, now).into()).wide(),
    Column::with("Count", |event, _| occurrences(event).into()).wide(),
    NAME.wide(),
];

const QUOTA: &[Column] = &[
    NAME,
    Column::with("Request", |quota, _| usage(quota, false).into()),
    Column::with("Limit", |quota, _| usage(quota, true).into()),
    AGE,
];

const PRIORITY_CLASS: &[Column] = &[
    NAME,
    Column::number("Value", "/value"),
    Column::flag("Global-Default", "/globalDefault", false),
    AGE,
    Column::text("PreemptionPolicy", "/preemptionPolicy", ""),
];

const BINDING: &[Column] = &[
    NAME,
    Column::with("Role", |binding, _| {
        format!(
            "{}/{}",
            text(binding, &["roleRef", "kind"]),
            text(binding, &["roleRef", "name"])
        )
        .into()
    }),
    AGE,
    Column::with("Users", |binding, _| subjects(binding, "User").into()).wide(),
    Column::with("Groups", |binding, _| subjects(binding, "Group").into()).wide(),
    Column::with("ServiceAccounts", |binding, _| {
        subjects(binding, "ServiceAccount").into()
    })
    .wide(),
];

fn node_status(node: &Value) -> String {
    let ready = list(node, &["status", "conditions"])
        .iter()
        .find(|condition| text(condition, &["type"]) == "Ready");
    let status = match ready.map(|condition| text(condition, &["status"])) {
        None => "Unknown",
        Some("True") => "Ready",
        Some(_) => "NotReady",
    };
    let cordoned = node.pointer("/spec/unschedulable") == Some(&Value::Bool(true));
    format!("{status}{}", if cordoned { ",SchedulingDisabled" } else { "" })
}

fn roles(node: &Value) -> String {
    let roles: BTreeSet<&str> = pairs(node, &["metadata", "labels"])
        .filter_map(
            |(key, value)| match key.strip_prefix("node-role.kubernetes.io/") {
                Some(role) => Some(role),
                None => (key == "kubernetes.io/role").then_some(value),
            },
        )
        .filter(|role| !role.is_empty())
        .collect();
    human::or_none(roles.into_iter().collect::<Vec<_>>().join(","))
}

fn address(node: &Value, kind: &str) -> String {
    let addresses = list(node, &["status", "addresses"]);
    let found = addresses.iter().find(|address| text(address, &["type"]) == kind);
    human::or_none(
        found
            .map(|address| text(address, &["address"]))
            .unwrap_or_default()
            .to_owned(),
    )
}

/// A part of the object an event is about, under its name in either API group.
fn reference<'a>(event: &'a Value, key: &str) -> &'a str {
    match text(event, &["involvedObject", key]) {
        "" => text(event, &["regarding", key]),
        found => found,
    }
}

fn involved(event: &Value) -> String {
    let kind = reference(event, "kind").to_lowercase();
    match reference(event, "name") {
        "" => kind,
        name => format!("{kind}/{name}"),
    }
}

/// The first of several members that is there and not empty.
fn first_of<'a>(event: &'a Value, keys: &[&str]) -> &'a str {
    keys.iter()
        .map(|key| text(event, &[key]))
        .find(|found| !found.is_empty())
        .unwrap_or_default()
}

fn first_seen(event: &Value, now: Timestamp) -> String {
    human::since(
        first_of(
            event,
            &["firstTimestamp", "deprecatedFirstTimestamp", "eventTime"],
        ),
        now,
    )
}

fn last_seen(event: &Value, now: Timestamp) -> String {
    if let Some(series) = at(event, &["series"]) {
        return human::since(text(series, &["lastObservedTime"]), now);
    }
    match first_of(event, &["lastTimestamp", "deprecatedLastTimestamp"]) {
        "" => first_seen(event, now),
        time => human::since(time, now),
    }
}

fn occurrences(event: &Value) -> i64 {
    let plain = int(event, &["count"])
        .or_else(|| int(event, &["deprecatedCount"]))
        .unwrap_or_default();
    match at(event, &["series"]) {
        Some(series) => int(series, &["count"]).unwrap_or_default(),
        None => plain.max(1),
    }
}

fn source(event: &Value) -> String {
    let component = match text(event, &["source", "component"]) {
        "" => first_of(event, &["reportingComponent", "reportingController"]),
        component => component,
    };
    let host = match text(event, &["source", "host"]) {
        "" => text(event, &["reportingInstance"]),
        host => host,
    };
    [component, host]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(", ")
}

/// What of a quota is used, for its limits or for everything else.
fn usage(quota: &Value, limits: bool) -> String {
    let used = object(quota, &["status", "used"]);
    let hard = object(quota, &["status", "hard"]).into_iter().flatten();
    let shown = |value: Option<&Value>| super::column::shown(value, "0");
    hard.filter(|(name, _)| name.starts_with("limits") == limits)
        .map(|(name, hard)| {
            format!(
                "{name}: {}/{}",
                shown(used.and_then(|used| used.get(name))),
                shown(Some(hard))
            )
        })
        .collect::<Vec<_>>()
        .join(", ")
}

fn subjects(binding: &Value, kind: &str) -> String {
    list(binding, &["subjects"])
        .iter()
        .filter(|subject| text(subject, &["kind"]) == kind)
        .map(|subject| match kind {
            "ServiceAccount" => format!("{}/{}", text(subject, &["namespace"]), text(subject, &["name"])),
            _ => text(subject, &["name"]).to_owned(),
        })
        .collect::<Vec<_>>()
        .join(", ")
}
