//! How a pod is read: only what scheduling needs, borrowed from the body until it is known to be new.

use serde::Deserialize;
use serde_json::value::RawValue;
use std::rc::Rc;

use super::constraints::{AffinityJson, PortJson, SpreadJson, TolerationJson};
use super::json::{Pairs, Present, Str, nullable};
use super::pod::{Pending, ScheduledCondition};
use super::resources::{ContainerRequests, ContainerStatusJson, Resources, ResourcesJson, pod_requests};
use super::template::{HostPort, NodeTerm, OwnerKind, Shape, SpreadConstraint, Template};
use crate::hash;
use crate::labels::{Operator, Requirement};
use crate::plugins::node_declared_features;
use crate::quantity::Quantity;
use crate::queue::QueueInfo;

/// A pod as just read.
pub(crate) struct PodRead {
    /// Identity.
    pub(crate) uid: Box<str>,
    /// What matters to scheduling.
    pub(crate) template: Template,
    /// `metadata.generation`.
    pub(crate) generation: i64,
    /// Being deleted.
    pub(crate) terminating: bool,
    /// Succeeded or failed: it holds nothing any more.
    pub(crate) finished: bool,
    /// The node agent holds other resources than the spec asks for.
    pub(crate) resizing: bool,
    /// Empty while unscheduled.
    pub(crate) node_name: Box<str>,
    /// What only an unscheduled pod needs.
    pub(crate) pending: Pending,
}

/// The few fields that tell whether the rest needs to be read.
#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub(crate) struct PodPeek<'a> {
    /// The metadata that changes.
    pub(crate) metadata: PeekMetadata<'a>,
    /// Where it runs.
    #[serde(default)]
    pub(crate) spec: PeekSpec<'a>,
    /// How it does.
    #[serde(default)]
    pub(crate) status: PeekStatus<'a>,
}

/// See [`PodPeek`].
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
pub(crate) struct PeekMetadata<'a> {
    /// Identity.
    #[serde(default)]
    pub(crate) uid: Str<'a>,
    /// Version of the spec.
    #[serde(default)]
    pub(crate) generation: i64,
    /// The pod's labels.
    #[serde(default)]
    pub(crate) labels: Pairs<'a, Str<'a>>,
    /// Being deleted.
    #[serde(default)]
    pub(crate) deletion_timestamp: Present,
}

/// See [`PodPeek`].
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
pub(crate) struct PeekSpec<'a> {
    /// Empty while unscheduled.
    #[serde(default)]
    pub(crate) node_name: Str<'a>,
}

/// See [`PodPeek`].
#[derive(Default, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub(crate) struct PeekStatus<'a> {
    #[serde(default)]
    phase: Str<'a>,
}

impl PodPeek<'_> {
    /// Succeeded or failed: it holds nothing any more.
    pub(crate) fn is_finished(&self) -> bool {
        is_finished(&self.status.phase)
    }
}

fn is_finished(phase: &str) -> bool {
    matches!(phase, "Succeeded" | "Failed")
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct PodJson<'a> {
    metadata: MetadataJson<'a>,
    spec: SpecJson<'a>,
    #[serde(default)]
    status: StatusJson<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
struct MetadataJson<'a> {
    #[serde(default)]
    uid: Str<'a>,
    #[serde(default)]
    resource_version: Str<'a>,
    #[serde(default)]
    generation: i64,
    #[serde(default)]
    labels: Pairs<'a, Str<'a>>,
    #[serde(default, borrow)]
    annotations: Option<&'a RawValue>,
    #[serde(default)]
    deletion_timestamp: Present,
    #[serde(default, deserialize_with = "nullable")]
    owner_references: Vec<OwnerJson<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
struct OwnerJson<'a> {
    #[serde(default)]
    api_version: Str<'a>,
    #[serde(default)]
    kind: Str<'a>,
    #[serde(default)]
    name: Str<'a>,
    #[serde(default)]
    controller: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
struct SpecJson<'a> {
    #[serde(default)]
    node_name: Str<'a>,
    #[serde(default)]
    scheduler_name: Str<'a>,
    #[serde(default)]
    priority: Option<i32>,
    #[serde(default)]
    node_selector: Pairs<'a, Str<'a>>,
    #[serde(default, deserialize_with = "nullable")]
    affinity: AffinityJson<'a>,
    #[serde(default, deserialize_with = "nullable")]
    tolerations: Vec<TolerationJson<'a>>,
    #[serde(default, deserialize_with = "nullable")]
    topology_spread_constraints: Vec<SpreadJson<'a>>,
    #[serde(default, deserialize_with = "nullable")]
    containers: Vec<ContainerJson<'a>>,
    #[serde(default, deserialize_with = "nullable")]
    init_containers: Vec<ContainerJson<'a>>,
    #[serde(default)]
    overhead: Pairs<'a, Quantity>,
    #[serde(default)]
    resources: Option<ResourcesJson<'a>>,
    #[serde(default, deserialize_with = "nullable")]
    scheduling_gates: Vec<GateJson<'a>>,
    #[serde(default, deserialize_with = "nullable")]
    volumes: Vec<VolumeJson<'a>>,
    #[serde(default)]
    host_network: bool,
    #[serde(default)]
    host_users: Option<bool>,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct GateJson<'a> {
    name: Str<'a>,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct VolumeJson<'a> {
    #[serde(default)]
    image: Option<ImageVolumeJson<'a>>,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct ImageVolumeJson<'a> {
    #[serde(default)]
    reference: Str<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
struct ContainerJson<'a> {
    #[serde(default)]
    name: Str<'a>,
    #[serde(default)]
    image: Str<'a>,
    #[serde(default)]
    resources: Option<ResourcesJson<'a>>,
    #[serde(default, deserialize_with = "nullable")]
    ports: Vec<PortJson<'a>>,
    #[serde(default)]
    restart_policy: Str<'a>,
    #[serde(default, deserialize_with = "nullable")]
    restart_policy_rules: Vec<RestartRuleJson<'a>>,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct RestartRuleJson<'a> {
    #[serde(default)]
    action: Str<'a>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
struct StatusJson<'a> {
    #[serde(default)]
    phase: Str<'a>,
    #[serde(default)]
    nominated_node_name: Str<'a>,
    #[serde(default, deserialize_with = "nullable")]
    conditions: Vec<ConditionJson<'a>>,
    #[serde(default, deserialize_with = "nullable")]
    container_statuses: Vec<ContainerStatusJson<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
struct ConditionJson<'a> {
    #[serde(rename = "type")]
    kind: Str<'a>,
    #[serde(default)]
    status: Str<'a>,
    #[serde(default)]
    reason: Str<'a>,
    #[serde(default)]
    message: Str<'a>,
    #[serde(default)]
    observed_generation: i64,
}

impl PodRead {
    /// Reads a pod of this namespace.
    pub(crate) fn parse(namespace: &str, name: &str, body: &[u8]) -> Result<Self, String> {
        let pod: PodJson<'_> = super::json::read("pod", name, body)?;
        let (mut shape, resizing) = pod.shape();
        // Spreading counts by the whole node affinity, so it must stay whole there.
        let pinned = if pod.spec.topology_spread_constraints.is_empty() {
            unpin(&mut shape)
        } else {
            None
        };
        Ok(Self {
            uid: (&*pod.metadata.uid).into(),
            template: Template {
                shape: Rc::new(shape),
                namespace: namespace.into(),
                labels: pod.metadata.labels.labels(),
                spread: pod.spread_constraints(),
                affinity: pod.spec.affinity.parse(namespace).map(Rc::new),
                pinned,
                owner: pod.metadata.owner(),
            },
            generation: pod.metadata.generation,
            terminating: pod.metadata.deletion_timestamp.0,
            finished: is_finished(&pod.status.phase),
            resizing,
            node_name: (&*pod.spec.node_name).into(),
            pending: pod.pending(),
        })
    }
}

impl PodJson<'_> {
    fn shape(&self) -> (Shape, bool) {
        let spec = &self.spec;
        let granted = |container: &ContainerJson<'_>| {
            let status = self
                .status
                .container_statuses
                .iter()
                .find(|status| *status.name == *container.name);
            status.map(ContainerStatusJson::granted)
        };
        let requests = |containers: &[ContainerJson<'_>], with_status: bool| {
            pod_requests(
                &spec
                    .init_containers
                    .iter()
                    .map(|c| c.requests(None))
                    .collect::<Vec<_>>(),
                &containers
                    .iter()
                    .map(|c| c.requests(if with_status { granted(c) } else { None }))
                    .collect::<Vec<_>>(),
                spec.resources.as_ref(),
                &spec.overhead,
            )
        };
        let requested = requests(&spec.containers, false);
        let held = (!self.status.container_statuses.is_empty()).then(|| requests(&spec.containers, true));
        let resizing = held.as_ref().is_some_and(|held| *held != requested);
        let requests = held.unwrap_or(requested);
        let (required_terms, preferred_terms) = spec.affinity.node_terms();
        let shape = Shape {
            requests: requests.real,
            nonzero_cpu: requests.nonzero_cpu,
            nonzero_memory: requests.nonzero_memory,
            node_selector: spec
                .node_selector
                .0
                .iter()
                .map(|(k, v)| Requirement::equals(k, v))
                .collect(),
            required_terms,
            preferred_terms,
            tolerations: spec.tolerations.iter().map(TolerationJson::parse).collect(),
            host_ports: self.host_ports(),
            images: self.images(),
            required_features: self.required_features(),
            containers: spec.containers.len() + spec.init_containers.len(),
        };
        (shape, resizing)
    }

    fn host_ports(&self) -> Vec<HostPort> {
        let sidecars = self
            .spec
            .init_containers
            .iter()
            .filter(|container| container.is_sidecar());
        sidecars
            .chain(&self.spec.containers)
            .flat_map(|container| &container.ports)
            .filter(|port| port.host_port > 0)
            .map(PortJson::parse)
            .collect()
    }

    fn images(&self) -> Vec<Box<str>> {
        let containers = self
            .spec
            .init_containers
            .iter()
            .chain(&self.spec.containers)
            .map(|c| &*c.image);
        let volumes = self
            .spec
            .volumes
            .iter()
            .filter_map(|volume| volume.image.as_ref())
            .map(|i| &*i.reference);
        containers.chain(volumes).map(with_tag).collect()
    }

    fn required_features(&self) -> Vec<&'static str> {
        let mut rules = self
            .spec
            .containers
            .iter()
            .chain(&self.spec.init_containers)
            .flat_map(|container| &container.restart_policy_rules);
        let mut features = Vec::new();
        if rules.any(|rule| &*rule.action == "RestartAllContainers") {
            features.push(node_declared_features::RESTART_ALL_CONTAINERS);
        }
        if self.spec.host_network && self.spec.host_users == Some(false) {
            features.push(node_declared_features::USER_NAMESPACES_HOST_NETWORK);
        }
        features
    }

    fn spread_constraints(&self) -> Vec<SpreadConstraint> {
        self.spec
            .topology_spread_constraints
            .iter()
            .map(|c| c.parse(&self.metadata.labels))
            .collect()
    }

    fn pending(&self) -> Pending {
        let condition = self
            .status
            .conditions
            .iter()
            .find(|condition| &*condition.kind == "PodScheduled");
        let annotations = self.metadata.annotations.map_or("", RawValue::get);
        Pending {
            annotations: hash::of(annotations),
            resource_version: (&*self.metadata.resource_version).into(),
            scheduler_name: match &*self.spec.scheduler_name {
                "" => "default-scheduler".into(),
                name => name.into(),
            },
            priority: self.spec.priority.unwrap_or(0),
            gates: self
                .spec
                .scheduling_gates
                .iter()
                .map(|gate| (&*gate.name).into())
                .collect(),
            condition: condition.map(ConditionJson::parse),
            nominated_node: Some(&*self.status.nominated_node_name)
                .filter(|name| !name.is_empty())
                .map(Into::into),
            queue: QueueInfo::default(),
        }
    }
}

impl MetadataJson<'_> {
    fn owner(&self) -> Option<(OwnerKind, Box<str>)> {
        let owner = self
            .owner_references
            .iter()
            .find(|owner| owner.controller == Some(true))?;
        let kind = match (&*owner.api_version, &*owner.kind) {
            ("v1", "ReplicationController") => OwnerKind::ReplicationController,
            ("apps/v1", "ReplicaSet") => OwnerKind::ReplicaSet,
            ("apps/v1", "StatefulSet") => OwnerKind::StatefulSet,
            _ => return None,
        };
        Some((kind, (&*owner.name).into()))
    }
}

impl ContainerJson<'_> {
    fn is_sidecar(&self) -> bool {
        &*self.restart_policy == "Always"
    }

    fn requests(&self, granted: Option<Resources>) -> ContainerRequests<'_> {
        ContainerRequests {
            resources: self.resources.as_ref(),
            granted,
            is_sidecar: self.is_sidecar(),
        }
    }
}

impl ConditionJson<'_> {
    fn parse(&self) -> ScheduledCondition {
        ScheduledCondition {
            status: (*self.status).to_owned(),
            reason: (*self.reason).to_owned(),
            message: (*self.message).to_owned(),
            observed_generation: self.observed_generation,
        }
    }
}

/// Takes the node name out of a required affinity that consists of nothing else.
fn unpin(shape: &mut Shape) -> Option<Box<str>> {
    let [NodeTerm { expressions, fields }] = shape.required_terms.as_deref()? else {
        return None;
    };
    let ([], [field]) = (expressions.as_slice(), fields.as_slice()) else {
        return None;
    };
    let Operator::In(names) = &field.operator else {
        return None;
    };
    let ("metadata.name", [name]) = (field.key.as_ref(), names.as_slice()) else {
        return None;
    };
    let name = name.clone();
    shape.required_terms = None;
    Some(name)
}

/// An image name as node agents report it: `:latest` when it has neither tag nor digest.
fn with_tag(image: &str) -> Box<str> {
    let after_path = image.rsplit('/').next().unwrap_or(image);
    if after_path.contains(':') || image.is_empty() {
        image.into()
    } else {
        format!("{image}:latest").into()
    }
}
