//! What this controller reads of ReplicaSets and pods, and the status it writes.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use windlass_sdk::time::Timestamp;
use windlass_sdk::{Condition, ConditionStatus, LabelSelector, ObjectMeta, null_as_default, object};

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ReplicaSet {
    pub(crate) metadata: ObjectMeta,
    pub(crate) spec: ReplicaSetSpec,
    #[serde(default)]
    pub(crate) status: ReplicaSetStatus,
}

object!(ReplicaSet: "apps", "v1", "replicasets", "ReplicaSet");

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReplicaSetSpec {
    #[serde(default = "one")]
    pub(crate) replicas: usize,
    #[serde(default)]
    pub(crate) min_ready_seconds: u32,
    pub(crate) selector: LabelSelector,
    #[serde(default)]
    pub(crate) template: PodTemplate,
}

fn one() -> usize {
    1
}

/// A pod template. Nobody here looks into its spec.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct PodTemplate {
    pub(crate) metadata: ObjectMeta,
    pub(crate) spec: Option<Box<RawValue>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ReplicaSetStatus {
    pub(crate) replicas: usize,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) fully_labeled_replicas: usize,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) ready_replicas: usize,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) available_replicas: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) terminating_replicas: Option<usize>,
    pub(crate) observed_generation: i64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) conditions: Vec<Condition>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Pod {
    pub(crate) metadata: ObjectMeta,
    #[serde(default)]
    pub(crate) spec: PodSpec,
    #[serde(default)]
    pub(crate) status: PodStatus,
}

object!(Pod: "", "v1", "pods", "Pod");

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct PodSpec {
    pub(crate) node_name: String,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) init_containers: Vec<InitContainer>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InitContainer {
    pub(crate) name: String,
    pub(crate) restart_policy: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct PodStatus {
    pub(crate) phase: String,
    pub(crate) conditions: Vec<PodCondition>,
    pub(crate) container_statuses: Vec<ContainerStatus>,
    pub(crate) init_container_statuses: Vec<ContainerStatus>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PodCondition {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) status: ConditionStatus,
    #[serde(default)]
    pub(crate) last_transition_time: Option<Timestamp>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ContainerStatus {
    pub(crate) name: String,
    pub(crate) restart_count: u32,
}

impl Pod {
    /// The fields above, as the watch declares them.
    pub(crate) const FIELDS: &[&str] = &[
        "spec.nodeName",
        "spec.initContainers.name",
        "spec.initContainers.restartPolicy",
        "status.phase",
        "status.conditions.type",
        "status.conditions.status",
        "status.conditions.lastTransitionTime",
        "status.containerStatuses.restartCount",
        "status.initContainerStatuses.name",
        "status.initContainerStatuses.restartCount",
    ];

    /// Neither finished nor on its way out.
    pub(crate) fn is_active(&self) -> bool {
        !self.is_finished() && !self.metadata.is_deleting()
    }

    /// On its way out and not finished.
    pub(crate) fn is_terminating(&self) -> bool {
        !self.is_finished() && self.metadata.is_deleting()
    }

    fn is_finished(&self) -> bool {
        matches!(self.status.phase.as_str(), "Succeeded" | "Failed")
    }

    /// The condition Ready, if it holds.
    pub(crate) fn ready(&self) -> Option<&PodCondition> {
        self.status
            .conditions
            .iter()
            .find(|condition| condition.kind == "Ready" && condition.status == ConditionStatus::True)
    }

    /// When a ready pod will have been ready for long enough.
    fn available_at(&self, min_ready: Duration) -> Option<Timestamp> {
        Some(self.ready()?.last_transition_time? + min_ready)
    }

    /// Whether it has been ready for long enough.
    pub(crate) fn is_available(&self, min_ready: Duration, now: Timestamp) -> bool {
        self.ready().is_some()
            && (min_ready.is_zero()
                || self
                    .available_at(min_ready)
                    .is_some_and(|available| available <= now))
    }

    /// How long until it has been ready for long enough, if only time is missing.
    pub(crate) fn available_in(&self, min_ready: Duration, now: Timestamp) -> Option<Duration> {
        self.available_at(min_ready)
            .map(|available| available.since(now))
            .filter(|wait| !wait.is_zero())
    }
}
