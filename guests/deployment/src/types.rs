//! What this controller reads of Deployments, ReplicaSets and pods, and the status it writes.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use windlass_sdk::{Condition, LabelSelector, ObjectMeta, Snapshot, object};

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Deployment {
    pub(crate) metadata: ObjectMeta,
    pub(crate) spec: DeploymentSpec,
    #[serde(default)]
    pub(crate) status: DeploymentStatus,
}

object!(Deployment: "apps", "v1", "deployments", "Deployment");

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeploymentSpec {
    #[serde(default = "one")]
    pub(crate) replicas: i64,
    #[serde(default)]
    pub(crate) selector: LabelSelector,
    pub(crate) template: Box<RawValue>,
    #[serde(default)]
    pub(crate) strategy: Strategy,
    #[serde(default)]
    pub(crate) min_ready_seconds: i64,
    pub(crate) revision_history_limit: Option<i64>,
    #[serde(default)]
    pub(crate) paused: bool,
    pub(crate) progress_deadline_seconds: Option<i64>,
}

fn one() -> i64 {
    1
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Strategy {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) rolling_update: Option<RollingUpdate>,
}

impl Strategy {
    pub(crate) fn is_recreate(&self) -> bool {
        self.kind == "Recreate"
    }

    pub(crate) fn is_rolling_update(&self) -> bool {
        self.kind == "RollingUpdate"
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RollingUpdate {
    pub(crate) max_surge: Option<IntOrPercent>,
    pub(crate) max_unavailable: Option<IntOrPercent>,
}

/// A number, or a share such as `25%`.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum IntOrPercent {
    Int(i64),
    Percent(String),
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct DeploymentStatus {
    pub(crate) observed_generation: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) replicas: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) updated_replicas: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) ready_replicas: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) available_replicas: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) unavailable_replicas: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) terminating_replicas: Option<i64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) conditions: Vec<Condition>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) collision_count: Option<u32>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ReplicaSet {
    pub(crate) metadata: ObjectMeta,
    pub(crate) spec: ReplicaSetSpec,
    #[serde(default)]
    pub(crate) status: ReplicaSetStatus,
}

object!(ReplicaSet: "apps", "v1", "replicasets", "ReplicaSet");

/// A ReplicaSet that can be written back.
pub(crate) type Set = Snapshot<ReplicaSet>;

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReplicaSetSpec {
    #[serde(default = "one")]
    pub(crate) replicas: i64,
    #[serde(default)]
    pub(crate) min_ready_seconds: i64,
    pub(crate) template: Box<RawValue>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ReplicaSetStatus {
    pub(crate) replicas: i64,
    pub(crate) ready_replicas: i64,
    pub(crate) available_replicas: i64,
    pub(crate) terminating_replicas: Option<i64>,
    pub(crate) observed_generation: i64,
    pub(crate) conditions: Vec<Condition>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Pod {
    pub(crate) metadata: ObjectMeta,
    #[serde(default)]
    pub(crate) status: PodStatus,
}

object!(Pod: "", "v1", "pods", "Pod");

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct PodStatus {
    pub(crate) phase: String,
}
