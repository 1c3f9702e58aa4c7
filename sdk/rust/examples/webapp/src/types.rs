//! What the controller reads and writes of each kind.

use serde::{Deserialize, Serialize};
use windlass_sdk::{Condition, ObjectMeta, StringMap, null_as_default, object};

#[derive(Deserialize)]
pub(crate) struct WebApp {
    pub(crate) metadata: ObjectMeta,
    pub(crate) spec: WebAppSpec,
    #[serde(default)]
    pub(crate) status: WebAppStatus,
}

#[derive(Deserialize)]
pub(crate) struct WebAppSpec {
    pub(crate) image: String,
    #[serde(default = "one")]
    pub(crate) replicas: i32,
    #[serde(default = "http")]
    pub(crate) port: u16,
    #[serde(default, deserialize_with = "null_as_default")]
    pub(crate) config: StringMap,
}

#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct WebAppStatus {
    pub(crate) observed_generation: i64,
    pub(crate) ready_replicas: i32,
    pub(crate) conditions: Vec<Condition>,
}

fn one() -> i32 {
    1
}

fn http() -> u16 {
    80
}

#[derive(Deserialize)]
pub(crate) struct ConfigMap {
    pub(crate) metadata: ObjectMeta,
    #[serde(default)]
    pub(crate) data: StringMap,
}

#[derive(Deserialize)]
pub(crate) struct Deployment {
    pub(crate) metadata: ObjectMeta,
    pub(crate) spec: DeploymentSpec,
    #[serde(default)]
    pub(crate) status: DeploymentStatus,
}

#[derive(Deserialize)]
pub(crate) struct DeploymentSpec {
    #[serde(default = "one")]
    pub(crate) replicas: i32,
    pub(crate) template: PodTemplate,
}

#[derive(Deserialize)]
pub(crate) struct PodTemplate {
    pub(crate) spec: PodSpec,
}

#[derive(Deserialize)]
pub(crate) struct PodSpec {
    pub(crate) containers: Vec<Container>,
}

#[derive(PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Container {
    pub(crate) name: String,
    pub(crate) image: String,
    #[serde(default)]
    pub(crate) ports: Vec<ContainerPort>,
    #[serde(default)]
    pub(crate) env_from: Vec<EnvFrom>,
}

#[derive(PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ContainerPort {
    pub(crate) container_port: u16,
}

#[derive(PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
pub(crate) struct EnvFrom {
    pub(crate) config_map_ref: LocalReference,
}

#[derive(Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct LocalReference {
    pub(crate) name: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct DeploymentStatus {
    pub(crate) ready_replicas: i32,
}

#[derive(Deserialize)]
pub(crate) struct Service {
    pub(crate) metadata: ObjectMeta,
    pub(crate) spec: ServiceSpec,
}

#[derive(Deserialize)]
pub(crate) struct ServiceSpec {
    #[serde(default)]
    pub(crate) selector: StringMap,
    #[serde(default)]
    pub(crate) ports: Vec<ServicePort>,
}

#[derive(PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ServicePort {
    pub(crate) port: u16,
    /// A number, or the name of a container's port.
    pub(crate) target_port: Option<TargetPort>,
}

#[derive(PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum TargetPort {
    Number(u16),
    Name(String),
}

object!(WebApp: "examples.windlass.dev", "v1", "webapps", "WebApp");
object!(ConfigMap: "", "v1", "configmaps", "ConfigMap");
object!(Deployment: "apps", "v1", "deployments", "Deployment");
object!(Service: "", "v1", "services", "Service");
