//! How a pod's wishes about nodes and other pods are read.

use serde::Deserialize;

use super::json::{LabelSelectorJson, Pairs, RequirementJson, Str, nullable, selector};
use super::template::{
    AffinityTerm, HostPort, InclusionPolicy, NodeTerm, PodAffinity, SpreadConstraint, Toleration,
    TolerationOperator, WhenUnsatisfiable,
};
use crate::labels::{Requirement, Selector};

/// One toleration.
#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub(crate) struct TolerationJson<'a> {
    #[serde(default)]
    key: Str<'a>,
    #[serde(default)]
    operator: Str<'a>,
    #[serde(default)]
    value: Str<'a>,
    #[serde(default)]
    effect: Str<'a>,
}

/// One topology spread constraint.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
pub(crate) struct SpreadJson<'a> {
    #[serde(default)]
    topology_key: Str<'a>,
    #[serde(default)]
    max_skew: i64,
    #[serde(default)]
    when_unsatisfiable: Str<'a>,
    #[serde(default)]
    label_selector: Option<LabelSelectorJson<'a>>,
    #[serde(default)]
    match_label_keys: Option<Vec<Str<'a>>>,
    #[serde(default)]
    min_domains: Option<usize>,
    #[serde(default)]
    node_affinity_policy: Option<Str<'a>>,
    #[serde(default)]
    node_taints_policy: Option<Str<'a>>,
}

/// `spec.affinity`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
pub(crate) struct AffinityJson<'a> {
    #[serde(default)]
    node_affinity: Option<NodeAffinityJson<'a>>,
    #[serde(default, deserialize_with = "nullable")]
    pod_affinity: PodAffinityJson<'a>,
    #[serde(default, deserialize_with = "nullable")]
    pod_anti_affinity: PodAffinityJson<'a>,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub(crate) struct NodeAffinityJson<'a> {
    #[serde(default, rename = "requiredDuringSchedulingIgnoredDuringExecution")]
    required: Option<NodeSelectorJson<'a>>,
    #[serde(
        default,
        rename = "preferredDuringSchedulingIgnoredDuringExecution",
        deserialize_with = "nullable"
    )]
    preferred: Vec<PreferredNodeJson<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
pub(crate) struct NodeSelectorJson<'a> {
    #[serde(default, deserialize_with = "nullable")]
    node_selector_terms: Vec<NodeTermJson<'a>>,
}

/// One term of a node selector.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
pub(crate) struct NodeTermJson<'a> {
    #[serde(default, deserialize_with = "nullable")]
    match_expressions: Vec<RequirementJson<'a>>,
    #[serde(default, deserialize_with = "nullable")]
    match_fields: Vec<RequirementJson<'a>>,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub(crate) struct PreferredNodeJson<'a> {
    weight: i64,
    preference: NodeTermJson<'a>,
}

#[derive(Default, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub(crate) struct PodAffinityJson<'a> {
    #[serde(
        default,
        rename = "requiredDuringSchedulingIgnoredDuringExecution",
        deserialize_with = "nullable"
    )]
    required: Vec<PodTermJson<'a>>,
    #[serde(
        default,
        rename = "preferredDuringSchedulingIgnoredDuringExecution",
        deserialize_with = "nullable"
    )]
    preferred: Vec<PreferredPodJson<'a>>,
}

/// One term of pod affinity.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
pub(crate) struct PodTermJson<'a> {
    #[serde(default)]
    topology_key: Str<'a>,
    #[serde(default)]
    label_selector: Option<LabelSelectorJson<'a>>,
    #[serde(default, deserialize_with = "nullable")]
    namespaces: Vec<Str<'a>>,
    #[serde(default)]
    namespace_selector: Option<LabelSelectorJson<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
pub(crate) struct PreferredPodJson<'a> {
    weight: i64,
    pod_affinity_term: PodTermJson<'a>,
}

/// A container's port.
#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub(crate) struct PortJson<'a> {
    #[serde(default, rename = "hostPort")]
    pub(crate) host_port: u16,
    #[serde(default, rename = "hostIP")]
    host_ip: Str<'a>,
    #[serde(default)]
    protocol: Str<'a>,
}

/// Required terms, if any were given, and preferred ones with their weight.
pub(crate) type NodeTerms = (Option<Vec<NodeTerm>>, Vec<(i64, NodeTerm)>);

impl TolerationJson<'_> {
    pub(crate) fn parse(&self) -> Toleration {
        let operator = match &*self.operator {
            "" | "Equal" => TolerationOperator::Equal,
            "Exists" => TolerationOperator::Exists,
            _ => TolerationOperator::Never,
        };
        Toleration {
            key: (&*self.key).into(),
            operator,
            value: (&*self.value).into(),
            effect: (&*self.effect).into(),
        }
    }
}

impl SpreadJson<'_> {
    pub(crate) fn parse(&self, labels: &Pairs<'_, Str<'_>>) -> SpreadConstraint {
        let mut selector = selector(self.label_selector.as_ref());
        if let Selector::All(requirements) = &mut selector {
            let keys = self.match_label_keys.iter().flatten();
            let found = keys.filter_map(|key| Some(Requirement::equals(key, labels.get(key)?)));
            requirements.extend(found);
        }
        let policy = |text: &Option<Str<'_>>, default| match text.as_deref() {
            Some("Honor") => InclusionPolicy::Honor,
            Some("Ignore") => InclusionPolicy::Ignore,
            _ => default,
        };
        SpreadConstraint {
            topology_key: (&*self.topology_key).into(),
            max_skew: self.max_skew,
            when_unsatisfiable: match &*self.when_unsatisfiable {
                "ScheduleAnyway" => WhenUnsatisfiable::ScheduleAnyway,
                _ => WhenUnsatisfiable::DoNotSchedule,
            },
            selector,
            min_domains: self.min_domains.unwrap_or(1),
            node_affinity_policy: policy(&self.node_affinity_policy, InclusionPolicy::Honor),
            node_taints_policy: policy(&self.node_taints_policy, InclusionPolicy::Ignore),
        }
    }
}

impl AffinityJson<'_> {
    pub(crate) fn node_terms(&self) -> NodeTerms {
        let Some(affinity) = &self.node_affinity else {
            return (None, Vec::new());
        };
        let required = affinity.required.as_ref();
        let required = required.map(|r| r.node_selector_terms.iter().map(NodeTermJson::parse).collect());
        let preferred = affinity
            .preferred
            .iter()
            .map(|p| (p.weight, p.preference.parse()))
            .collect();
        (required, preferred)
    }

    pub(crate) fn parse(&self, namespace: &str) -> Option<PodAffinity> {
        let required = |side: &PodAffinityJson<'_>| -> Vec<AffinityTerm> {
            side.required.iter().map(|term| term.parse(namespace)).collect()
        };
        let preferred = |side: &PodAffinityJson<'_>, sign: i64| -> Vec<(i64, AffinityTerm)> {
            let weighted = side.preferred.iter();
            weighted
                .map(|p| (sign * p.weight, p.pod_affinity_term.parse(namespace)))
                .collect()
        };
        let affinity = PodAffinity {
            required: required(&self.pod_affinity),
            required_anti: required(&self.pod_anti_affinity),
            preferred: [
                preferred(&self.pod_affinity, 1),
                preferred(&self.pod_anti_affinity, -1),
            ]
            .concat(),
        };
        let is_empty = affinity.terms().next().is_none();
        (!is_empty).then_some(affinity)
    }
}

impl NodeTermJson<'_> {
    pub(crate) fn parse(&self) -> NodeTerm {
        let parse = |list: &[RequirementJson<'_>]| list.iter().map(RequirementJson::parse).collect();
        NodeTerm {
            expressions: parse(&self.match_expressions),
            fields: parse(&self.match_fields),
        }
    }
}

impl PodTermJson<'_> {
    pub(crate) fn parse(&self, namespace: &str) -> AffinityTerm {
        let mut namespaces: Vec<Box<str>> = self.namespaces.iter().map(|name| (**name).into()).collect();
        if namespaces.is_empty() && self.namespace_selector.is_none() {
            namespaces.push(namespace.into());
        }
        AffinityTerm {
            topology_key: (&*self.topology_key).into(),
            selector: selector(self.label_selector.as_ref()),
            namespaces,
            namespace_selector: selector(self.namespace_selector.as_ref()),
        }
    }
}

impl PortJson<'_> {
    pub(crate) fn parse(&self) -> HostPort {
        let or = |text: &str, default: &str| {
            if text.is_empty() {
                default.into()
            } else {
                text.into()
            }
        };
        HostPort {
            ip: or(&self.host_ip, "0.0.0.0"),
            protocol: or(&self.protocol, "TCP"),
            port: self.host_port,
        }
    }
}
