//! The part of a Pod that the agent reads, as it travels.
//!
//! Owns parsing only. Fields that are `null` count as absent. Everything else of a pod is
//! skipped unread, which keeps a parse at a few microseconds.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use smol_str::SmolStr;

use crate::time::Time;

/// A pod.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Pod {
    /// Metadata.
    pub metadata: Metadata,
    /// Desired state.
    pub spec: PodSpec,
    /// Reported state.
    pub status: PodStatus,
}

/// A pod without its spec: what can change without a new generation, which is most changes.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct PodHead {
    /// Metadata.
    pub metadata: Metadata,
    /// Reported state.
    pub status: PodStatus,
}

/// What the agent needs of a pod's metadata.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Metadata {
    /// Identity.
    #[serde(deserialize_with = "nullable")]
    pub uid: SmolStr,
    /// Counts changes of the spec.
    #[serde(deserialize_with = "nullable")]
    pub generation: i64,
    /// When the grace period ends; set once the pod is being deleted.
    pub deletion_timestamp: Option<Time>,
    /// Instructions to the simulation.
    #[serde(deserialize_with = "nullable")]
    pub annotations: Annotations,
    /// What keeps the object alive after the agent has let go of it.
    #[serde(deserialize_with = "nullable")]
    pub finalizers: Vec<SmolStr>,
    /// Owners.
    #[serde(deserialize_with = "nullable")]
    pub owner_references: Vec<OwnerReference>,
}

/// Annotations that steer the simulation of one pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Annotations {
    /// `"false"`: the readiness probes of the pod fail.
    #[serde(rename = "windlass.dev/ready")]
    pub ready: Option<SmolStr>,
    /// `"true"`: containers run on after SIGTERM until their grace period is over.
    #[serde(rename = "windlass.dev/ignore-sigterm")]
    pub ignore_sigterm: Option<SmolStr>,
    /// The index of a pod of an indexed Job.
    #[serde(rename = "batch.kubernetes.io/job-completion-index")]
    pub completion_index: Option<SmolStr>,
}

/// An owner, as far as it matters here.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct OwnerReference {
    /// Its kind.
    pub kind: SmolStr,
    /// Whether it is the managing one.
    pub controller: Option<bool>,
}

/// What the agent needs of a pod's spec.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PodSpec {
    /// The node it is bound to; empty while it is not.
    #[serde(deserialize_with = "nullable")]
    pub node_name: SmolStr,
    /// `Always`, `OnFailure` or `Never`.
    #[serde(deserialize_with = "nullable")]
    pub restart_policy: RestartPolicy,
    /// Run in order before the others.
    #[serde(deserialize_with = "nullable")]
    pub init_containers: Vec<ContainerSpec>,
    /// Run together.
    #[serde(deserialize_with = "nullable")]
    pub containers: Vec<ContainerSpec>,
    /// How long containers may take to stop; 30 s if absent.
    pub termination_grace_period_seconds: Option<u32>,
    /// Longest life of the pod on the node.
    pub active_deadline_seconds: Option<u64>,
    /// Whether it uses the node's address.
    #[serde(deserialize_with = "nullable")]
    pub host_network: bool,
    /// Conditions that must be true besides the containers' readiness.
    #[serde(deserialize_with = "nullable")]
    pub readiness_gates: Vec<ReadinessGate>,
    /// Labels the node must have.
    #[serde(deserialize_with = "nullable")]
    pub node_selector: BTreeMap<SmolStr, SmolStr>,
    /// Affinity.
    #[serde(deserialize_with = "nullable")]
    pub affinity: Affinity,
    /// Tolerated taints.
    #[serde(deserialize_with = "nullable")]
    pub tolerations: Vec<Toleration>,
    /// Resources the pod needs beyond its containers.
    #[serde(deserialize_with = "nullable")]
    pub overhead: BTreeMap<SmolStr, SmolStr>,
    /// Requests of the pod as a whole.
    #[serde(deserialize_with = "nullable")]
    pub resources: ResourceRequirements,
}

/// When containers are started again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum RestartPolicy {
    /// Whenever they end.
    #[default]
    Always,
    /// When they end with another exit code than 0.
    OnFailure,
    /// Never.
    Never,
}

impl RestartPolicy {
    /// Whether a container that ended like this is started again.
    #[must_use]
    pub fn allows_restart(self, exit_code: i32) -> bool {
        match self {
            Self::Always => true,
            Self::OnFailure => exit_code != 0,
            Self::Never => false,
        }
    }
}

/// A container of a pod.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ContainerSpec {
    /// Name.
    pub name: SmolStr,
    /// Image reference.
    #[serde(deserialize_with = "nullable")]
    pub image: SmolStr,
    /// `Always`, `IfNotPresent` or `Never`.
    #[serde(deserialize_with = "nullable")]
    pub image_pull_policy: SmolStr,
    /// Replaces the image's entry point.
    #[serde(deserialize_with = "nullable")]
    pub command: Vec<String>,
    /// Arguments.
    #[serde(deserialize_with = "nullable")]
    pub args: Vec<String>,
    /// Overrides the pod's policy; `Always` on an init container makes it a sidecar.
    pub restart_policy: Option<RestartPolicy>,
    /// Ports.
    #[serde(deserialize_with = "nullable")]
    pub ports: Vec<ContainerPort>,
    /// Requests.
    #[serde(deserialize_with = "nullable")]
    pub resources: ResourceRequirements,
    /// Tells whether it is ready.
    pub readiness_probe: Option<Probe>,
}

/// A probe; only probes that run a command can fail here.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Probe {
    /// The command.
    pub exec: Option<ExecAction>,
}

/// A command of a probe.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ExecAction {
    /// Program and arguments.
    #[serde(deserialize_with = "nullable")]
    pub command: Vec<String>,
}

/// A port of a container.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ContainerPort {
    /// Port taken on the node; 0 for none.
    #[serde(deserialize_with = "nullable")]
    pub host_port: u16,
    /// Address on the node; empty for all.
    #[serde(rename = "hostIP", deserialize_with = "nullable")]
    pub host_ip: SmolStr,
    /// `TCP` if empty.
    #[serde(deserialize_with = "nullable")]
    pub protocol: SmolStr,
}

/// Requests; limits do not matter to a simulation.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ResourceRequirements {
    /// Quantities by resource name.
    #[serde(deserialize_with = "nullable")]
    pub requests: BTreeMap<SmolStr, SmolStr>,
}

/// A condition that must be true for the pod to be ready.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ReadinessGate {
    /// Its type.
    pub condition_type: SmolStr,
}

/// Affinity; only the required node affinity concerns a node agent.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Affinity {
    /// Node affinity.
    #[serde(deserialize_with = "nullable")]
    pub node_affinity: NodeAffinity,
}

/// Node affinity.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct NodeAffinity {
    /// The hard part.
    pub required_during_scheduling_ignored_during_execution: Option<NodeSelector>,
}

/// Alternatives, one of which must hold.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct NodeSelector {
    /// The alternatives.
    #[serde(deserialize_with = "nullable")]
    pub node_selector_terms: Vec<NodeSelectorTerm>,
}

/// Requirements that must hold together; an empty term matches nothing.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct NodeSelectorTerm {
    /// On labels.
    #[serde(deserialize_with = "nullable")]
    pub match_expressions: Vec<Requirement>,
    /// On `metadata.name`.
    #[serde(deserialize_with = "nullable")]
    pub match_fields: Vec<Requirement>,
}

/// One requirement.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Requirement {
    /// Label or field.
    pub key: SmolStr,
    /// `In`, `NotIn`, `Exists`, `DoesNotExist`, `Gt` or `Lt`.
    pub operator: SmolStr,
    /// Values.
    #[serde(deserialize_with = "nullable")]
    pub values: Vec<SmolStr>,
}

/// A tolerated taint.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Toleration {
    /// Key; empty with `Exists` tolerates everything.
    #[serde(deserialize_with = "nullable")]
    pub key: SmolStr,
    /// `Equal` if empty.
    #[serde(deserialize_with = "nullable")]
    pub operator: SmolStr,
    /// Value.
    #[serde(deserialize_with = "nullable")]
    pub value: SmolStr,
    /// Effect; empty for all.
    #[serde(deserialize_with = "nullable")]
    pub effect: SmolStr,
}

/// What the agent needs of a pod's status.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PodStatus {
    /// Phase.
    #[serde(deserialize_with = "nullable")]
    pub phase: SmolStr,
    /// When the agent first saw the pod.
    pub start_time: Option<Time>,
    /// Address.
    #[serde(rename = "podIP", deserialize_with = "nullable")]
    pub pod_ip: SmolStr,
    /// Conditions.
    #[serde(deserialize_with = "nullable")]
    pub conditions: Vec<Condition>,
    /// Statuses of init containers.
    #[serde(deserialize_with = "nullable")]
    pub init_container_statuses: Vec<ContainerStatus>,
    /// Statuses of containers.
    #[serde(deserialize_with = "nullable")]
    pub container_statuses: Vec<ContainerStatus>,
}

impl PodStatus {
    /// The status of a condition, such as `True`.
    #[must_use]
    pub fn condition(&self, kind: &str) -> Option<&str> {
        self.conditions
            .iter()
            .find(|condition| condition.kind == kind)
            .map(|condition| condition.status.as_str())
    }
}

/// A condition.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Condition {
    /// Type.
    #[serde(rename = "type")]
    pub kind: SmolStr,
    /// `True`, `False` or `Unknown`.
    pub status: SmolStr,
    /// Since when.
    pub last_transition_time: Option<Time>,
    /// Why.
    pub reason: Option<SmolStr>,
    /// Why, for people.
    pub message: Option<String>,
}

/// Status of a container, as left by an agent before.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ContainerStatus {
    /// Which container.
    pub name: SmolStr,
    /// How often it was started again.
    #[serde(deserialize_with = "nullable")]
    pub restart_count: u32,
    /// Present state.
    #[serde(deserialize_with = "nullable")]
    pub state: ContainerState,
    /// How it ended before.
    #[serde(deserialize_with = "nullable")]
    pub last_state: ContainerState,
}

/// State of a container; `waiting` counts like nothing.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ContainerState {
    /// It runs.
    pub running: Option<Running>,
    /// It ended.
    pub terminated: Option<Terminated>,
}

/// A running container.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Running {
    /// Since when.
    pub started_at: Option<Time>,
}

/// A container that ended.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Terminated {
    /// Exit code.
    pub exit_code: i32,
    /// When it started.
    pub started_at: Option<Time>,
    /// When it ended.
    pub finished_at: Option<Time>,
}

/// `null` is the default value.
pub fn nullable<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nulls_count_as_absent() {
        let pod: Pod = serde_json::from_str(
            r#"{"metadata":{"uid":"u","annotations":null,"finalizers":null},
                "spec":{"containers":[{"name":"c","command":null,"resources":{"requests":null}}],"affinity":null},
                "status":{"conditions":null,"startTime":null}}"#,
        )
        .unwrap();
        assert_eq!(pod.spec.containers.len(), 1);
        assert_eq!(pod.spec.restart_policy, RestartPolicy::Always);
    }
}
