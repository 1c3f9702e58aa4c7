//! Node objects: how they are registered, kept alive and read back.
//!
//! Owns the wire forms. Status is patched condition by condition, so that extended
//! resources and conditions that others put on a node survive.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use smol_str::SmolStr;

use crate::admission::Amounts;
use crate::config::{NodeTemplate, Taint};
use crate::pod::{Condition, nullable};
use crate::quantity::parse_milli;
use crate::time::Time;

/// Version the nodes report.
const KUBELET_VERSION: &str = "v1.36.0";

/// What a node is, as far as admission asks; read from the API object, which others edit.
#[derive(Clone, Debug, Default)]
pub struct NodeFacts {
    /// Name.
    pub name: SmolStr,
    /// UID.
    pub uid: SmolStr,
    /// Labels.
    pub labels: BTreeMap<SmolStr, SmolStr>,
    /// Taints.
    pub taints: Vec<Taint>,
    /// Allocatable resources.
    pub allocatable: Amounts,
    /// Whether its condition `Ready` is `True`.
    pub ready: bool,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Node {
    metadata: Metadata,
    #[serde(deserialize_with = "nullable")]
    spec: Spec,
    #[serde(deserialize_with = "nullable")]
    status: Status,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Metadata {
    name: SmolStr,
    uid: SmolStr,
    #[serde(deserialize_with = "nullable")]
    labels: BTreeMap<SmolStr, SmolStr>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Spec {
    #[serde(deserialize_with = "nullable")]
    taints: Vec<WireTaint>,
}

#[derive(Deserialize, Serialize, Default)]
#[serde(default)]
struct WireTaint {
    key: String,
    #[serde(deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    value: String,
    effect: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Status {
    #[serde(deserialize_with = "nullable")]
    allocatable: BTreeMap<SmolStr, SmolStr>,
    #[serde(deserialize_with = "nullable")]
    conditions: Vec<Condition>,
}

impl NodeFacts {
    /// Reads a Node object.
    ///
    /// # Errors
    /// When the bytes are not one.
    pub fn parse(body: &[u8]) -> Result<Self, serde_json::Error> {
        let Node {
            metadata,
            spec,
            status,
        } = serde_json::from_slice(body)?;
        let taint = |taint: WireTaint| Taint {
            key: taint.key,
            value: taint.value,
            effect: taint.effect,
        };
        let amounts = status
            .allocatable
            .into_iter()
            .filter_map(|(name, quantity)| Some((name, parse_milli(&quantity)?)));
        Ok(Self {
            name: metadata.name,
            uid: metadata.uid,
            labels: metadata.labels,
            taints: spec.taints.into_iter().map(taint).collect(),
            allocatable: amounts.collect(),
            ready: status
                .conditions
                .iter()
                .any(|condition| condition.kind == "Ready" && condition.status == "True"),
        })
    }
}

/// What a node is registered with besides its template.
#[derive(Clone, Debug)]
pub struct Registration {
    /// Its address.
    pub address: Ipv4Addr,
    /// The block of its pods' addresses.
    pub pod_cidr: String,
    /// Port of its agent's API; 0 for none.
    pub kubelet_port: u16,
    /// When it is registered.
    pub now: Time,
}

/// The object that registers a node, status included.
#[must_use]
pub fn node_object(template: &NodeTemplate, registration: &Registration) -> Value {
    let mut labels = json!({
        "kubernetes.io/hostname": template.name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "beta.kubernetes.io/os": "linux",
        "beta.kubernetes.io/arch": "amd64",
    });
    for (key, value) in &template.labels {
        labels[key] = json!(value);
    }
    let taints = template.taints.iter().map(|taint| WireTaint {
        key: taint.key.clone(),
        value: taint.value.clone(),
        effect: taint.effect.clone(),
    });
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": template.name,
            "labels": labels,
            "annotations": { "volumes.kubernetes.io/controller-managed-attach-detach": "true" },
        },
        "spec": {
            "podCIDR": registration.pod_cidr,
            "podCIDRs": [registration.pod_cidr],
            "taints": taints.collect::<Vec<_>>(),
        },
        "status": node_status(template, registration),
    })
}

fn node_status(template: &NodeTemplate, registration: &Registration) -> Value {
    let resources = json!({
        "cpu": template.cpu,
        "memory": template.memory,
        "ephemeral-storage": "1Ti",
        "pods": template.pods.to_string(),
    });
    let mut status = json!({
        "capacity": resources,
        "allocatable": resources,
        "addresses": [
            { "type": "InternalIP", "address": registration.address },
            { "type": "Hostname", "address": template.name },
        ],
        "conditions": conditions(registration.now, Some(registration.now)),
        "nodeInfo": {
            "machineID": template.name,
            "systemUUID": template.name,
            "bootID": template.name,
            "kernelVersion": "6.12.0",
            "osImage": "Windlass simulated node",
            "containerRuntimeVersion": "windlass://0.1.0",
            "kubeletVersion": KUBELET_VERSION,
            "kubeProxyVersion": "",
            "operatingSystem": "linux",
            "architecture": "amd64",
        },
    });
    if registration.kubelet_port != 0 {
        status["daemonEndpoints"] = json!({ "kubeletEndpoint": { "Port": registration.kubelet_port } });
    }
    status
}

/// The patch that says a node is still well.
#[must_use]
pub fn heartbeat_patch(now: Time) -> Value {
    json!({ "status": { "conditions": conditions(now, None) } })
}

/// The patch that says everything about a node that is not known to be well, such as one
/// that somebody created without a status.
#[must_use]
pub fn full_status_patch(template: &NodeTemplate, registration: &Registration) -> Value {
    json!({ "status": node_status(template, registration) })
}

fn conditions(now: Time, since: Option<Time>) -> Value {
    let all = [
        (
            "MemoryPressure",
            "False",
            "KubeletHasSufficientMemory",
            "kubelet has sufficient memory available",
        ),
        (
            "DiskPressure",
            "False",
            "KubeletHasNoDiskPressure",
            "kubelet has no disk pressure",
        ),
        (
            "PIDPressure",
            "False",
            "KubeletHasSufficientPID",
            "kubelet has sufficient PID available",
        ),
        ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
    ];
    let condition = |(kind, status, reason, message): (&str, &str, &str, &str)| {
        let mut condition = json!({
            "type": kind,
            "status": status,
            "reason": reason,
            "message": message,
            "lastHeartbeatTime": now,
        });
        if let Some(since) = since {
            condition["lastTransitionTime"] = json!(since);
        }
        condition
    };
    all.into_iter().map(condition).collect()
}

/// A node's lease.
#[must_use]
pub fn lease_object(name: &str, node_uid: &str, duration_seconds: u64, now: Time) -> Value {
    json!({
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {
            "name": name,
            "namespace": LEASE_NAMESPACE,
            "ownerReferences": [{ "apiVersion": "v1", "kind": "Node", "name": name, "uid": node_uid }],
        },
        "spec": {
            "holderIdentity": name,
            "leaseDurationSeconds": duration_seconds,
            "renewTime": now.to_micro_time(),
        },
    })
}

/// The merge patch that renews a lease.
#[must_use]
pub fn lease_patch(name: &str, duration_seconds: u64, now: Time) -> Value {
    json!({ "spec": {
        "holderIdentity": name,
        "leaseDurationSeconds": duration_seconds,
        "renewTime": now.to_micro_time(),
    }})
}

/// Where node leases live.
pub const LEASE_NAMESPACE: &str = "kube-node-lease";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registered_node_reads_back_as_configured() {
        let mut template = NodeTemplate::named("node-7");
        template.labels.insert("disk".to_owned(), "ssd".to_owned());
        template.taints.push(Taint {
            key: "dedicated".into(),
            value: "gpu".into(),
            effect: "NoExecute".into(),
        });
        let registration = Registration {
            address: Ipv4Addr::new(172, 16, 0, 9),
            pod_cidr: "10.128.7.0/24".to_owned(),
            kubelet_port: 0,
            now: Time::EPOCH,
        };
        let object = node_object(&template, &registration);
        let facts = NodeFacts::parse(object.to_string().as_bytes()).unwrap();
        assert_eq!(facts.labels.get("disk").map(SmolStr::as_str), Some("ssd"));
        assert_eq!(
            facts.labels.get("kubernetes.io/hostname").map(SmolStr::as_str),
            Some("node-7")
        );
        assert_eq!(facts.taints, template.taints);
        assert_eq!(facts.allocatable.get("cpu"), Some(&32_000));
        assert!(facts.ready);
    }

    #[test]
    fn a_heartbeat_touches_conditions_alone_and_keeps_transition_times() {
        let patch = heartbeat_patch(Time::EPOCH);
        assert_eq!(patch["status"].as_object().unwrap().len(), 1);
        let conditions = patch["status"]["conditions"].as_array().unwrap();
        assert_eq!(conditions.len(), 4);
        assert!(
            conditions
                .iter()
                .all(|condition| condition.get("lastTransitionTime").is_none())
        );
    }
}
