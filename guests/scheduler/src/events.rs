//! Which change may help which waiting pod: upstream's queueing hints.
//!
//! A hint may say yes too often, never too rarely. Table: the plugins' `EventsToRegister`.

use crate::model::node::NodeSpec;
use crate::model::template::{
    AffinityTerm, Namespaces, Shape, SpreadConstraint, Template, WhenUnsatisfiable,
};
use crate::plugins::{Plugin, PluginSet, node_affinity, node_ports, node_unschedulable, taint_toleration};

/// Something that happened in the cluster.
pub(crate) enum Event<'a> {
    /// A pod came to a node.
    PodAdded(&'a Template),
    /// A pod on a node changed its labels or requests.
    PodUpdated {
        /// As it was.
        old: &'a Template,
        /// As it is.
        new: &'a Template,
    },
    /// A pod left a node.
    PodDeleted(&'a Template),
    /// A node came.
    NodeAdded(&'a str, &'a NodeSpec),
    /// A node changed.
    NodeUpdated {
        /// Its name.
        name: &'a str,
        /// As it was.
        old: &'a NodeSpec,
        /// As it is.
        new: &'a NodeSpec,
    },
    /// A node went.
    NodeDeleted(&'a NodeSpec),
    /// Something changed that only components may look at: of a node, or of what they hold.
    ForComponents,
}

impl Event<'_> {
    /// Whether a pod that these plugins rejected should be tried again.
    pub(crate) fn helps(&self, waiting: &Template, rejected_by: PluginSet, namespaces: &Namespaces) -> bool {
        // A component cannot say what it waits for, so it may be anything.
        if rejected_by.has_external() {
            return true;
        }
        let asks = |plugin: &Plugin| match plugin {
            Plugin::NodeUnschedulable => self.uncordons(&waiting.shape),
            Plugin::TaintToleration => self.untaints(&waiting.shape),
            Plugin::NodeAffinity => self.attracts(&waiting.shape),
            Plugin::NodePorts => self.frees_ports(&waiting.shape),
            Plugin::NodeResourcesFit => self.frees_resources(&waiting.shape),
            Plugin::PodTopologySpread => self.changes_spread(waiting),
            Plugin::InterPodAffinity => self.changes_affinity(waiting, namespaces),
            Plugin::NodeDeclaredFeatures => self.declares_features(),
            Plugin::NodeResourcesBalancedAllocation | Plugin::ImageLocality => false,
        };
        Plugin::ALL
            .iter()
            .filter(|plugin| rejected_by.contains(**plugin))
            .any(asks)
    }

    /// The node's former and present spec, if a present one there is.
    fn node(&self) -> Option<(&str, Option<&NodeSpec>, &NodeSpec)> {
        match self {
            Self::NodeAdded(name, spec) => Some((name, None, spec)),
            Self::NodeUpdated { name, old, new } => Some((name, Some(old), new)),
            _ => None,
        }
    }

    fn uncordons(&self, shape: &Shape) -> bool {
        let Some((_, old, new)) = self.node() else {
            return false;
        };
        let accepts = |spec: &NodeSpec| !spec.unschedulable || node_unschedulable::tolerates_cordon(shape);
        accepts(new) && !old.is_some_and(accepts)
    }

    fn untaints(&self, shape: &Shape) -> bool {
        let Some((_, old, new)) = self.node() else {
            return false;
        };
        let accepts = |spec: &NodeSpec| taint_toleration::accepts_taints(shape, &spec.taints);
        accepts(new) && !old.is_some_and(accepts)
    }

    fn attracts(&self, shape: &Shape) -> bool {
        let Some((name, old, new)) = self.node() else {
            return false;
        };
        let accepts = |spec: &NodeSpec| node_affinity::accepts_spec(shape, name, spec);
        accepts(new) && !old.is_some_and(accepts)
    }

    fn declares_features(&self) -> bool {
        self.node()
            .is_some_and(|(_, old, new)| old.is_none_or(|old| old.declared_features != new.declared_features))
    }

    fn frees_ports(&self, shape: &Shape) -> bool {
        match self {
            Self::NodeAdded(..) => true,
            Self::PodDeleted(pod) => node_ports::overlap(&shape.host_ports, &pod.shape.host_ports),
            _ => false,
        }
    }

    fn frees_resources(&self, shape: &Shape) -> bool {
        match self {
            // A place for one more pod is a resource too.
            Self::PodDeleted(_) => true,
            Self::PodUpdated { old, new } => {
                let (old, new) = (&old.shape.requests, &new.shape.requests);
                shares(shape, |name| amount(old, name) > amount(new, name))
            }
            _ => {
                let Some((_, old, new)) = self.node() else {
                    return false;
                };
                let fits = !shape.requests.exceeds_any(&new.allocatable) && new.allocatable_pods > 0;
                let grew = |old: &NodeSpec| {
                    new.allocatable_pods > old.allocatable_pods
                        || shares(shape, |name| {
                            amount(&new.allocatable, name) > amount(&old.allocatable, name)
                        })
                };
                fits && old.is_none_or(grew)
            }
        }
    }

    fn changes_spread(&self, waiting: &Template) -> bool {
        let hard = || {
            waiting
                .spread
                .iter()
                .filter(|c| c.when_unsatisfiable == WhenUnsatisfiable::DoNotSchedule)
        };
        let counts = |constraint: &SpreadConstraint, pod: &Template| {
            pod.namespace == waiting.namespace && constraint.selector.matches(&pod.labels)
        };
        let has_domain = |spec: &NodeSpec| hard().all(|c| spec.labels.get(&c.topology_key).is_some());
        match self {
            Self::PodAdded(pod) | Self::PodDeleted(pod) => hard().any(|constraint| counts(constraint, pod)),
            Self::PodUpdated { old, new } => {
                hard().any(|constraint| counts(constraint, old) != counts(constraint, new))
            }
            Self::ForComponents => false,
            Self::NodeAdded(_, spec) | Self::NodeDeleted(spec) => has_domain(spec),
            Self::NodeUpdated { old, new, .. } => {
                (old.labels != new.labels
                    || old.taints != new.taints
                    || old.unschedulable != new.unschedulable)
                    && (has_domain(old) || has_domain(new))
            }
        }
    }

    fn changes_affinity(&self, waiting: &Template, namespaces: &Namespaces) -> bool {
        let (required, avoided): (&[AffinityTerm], &[AffinityTerm]) = match &waiting.affinity {
            Some(affinity) => (&affinity.required, &affinity.required_anti),
            None => (&[], &[]),
        };
        let about =
            |term: &AffinityTerm, pod: &Template| term.matches(&pod.namespace, &pod.labels, namespaces);
        let is_friend = |pod: &Template| !required.is_empty() && required.iter().all(|term| about(term, pod));
        let is_avoided = |pod: &Template| avoided.iter().any(|term| about(term, pod));
        let avoids = |pod: &Template| {
            let terms = pod.affinity.iter().flat_map(|affinity| &affinity.required_anti);
            terms.into_iter().any(|term| about(term, waiting))
        };
        match self {
            Self::PodAdded(pod) => is_friend(pod),
            Self::PodUpdated { old, new } => {
                (is_friend(new) && !is_friend(old)) || (is_avoided(old) && !is_avoided(new))
            }
            Self::PodDeleted(pod) => is_avoided(pod) || avoids(pod),
            Self::NodeDeleted(_) | Self::ForComponents => false,
            Self::NodeAdded(..) | Self::NodeUpdated { .. } => {
                let Some((_, old, new)) = self.node() else {
                    return false;
                };
                let mut terms = required.iter().chain(avoided).peekable();
                if terms.peek().is_none() {
                    return old.is_none_or(|old| old.labels != new.labels);
                }
                terms.any(|term| {
                    let value = new.labels.get(&term.topology_key);
                    value.is_some() && value != old.and_then(|old| old.labels.get(&term.topology_key))
                })
            }
        }
    }
}

/// Whether a change of the waiting pod itself may have removed what these plugins rejected it for.
pub(crate) fn own_change_helps(old: &Template, new: &Template, rejected_by: PluginSet) -> bool {
    let rejected_by_any = |plugins: &[Plugin]| plugins.iter().any(|plugin| rejected_by.contains(*plugin));
    let (was, is) = (&old.shape, &new.shape);
    (was.tolerations != is.tolerations
        && rejected_by_any(&[Plugin::NodeUnschedulable, Plugin::TaintToleration]))
        || (was.requests.exceeds_any(&is.requests) && rejected_by_any(&[Plugin::NodeResourcesFit]))
        || (old.labels != new.labels
            && rejected_by_any(&[Plugin::PodTopologySpread, Plugin::InterPodAffinity]))
        || ((was.node_selector != is.node_selector || was.required_terms != is.required_terms)
            && rejected_by_any(&[Plugin::NodeAffinity]))
        || (was.required_features != is.required_features && rejected_by_any(&[Plugin::NodeDeclaredFeatures]))
}

/// Whether something holds for any resource that the pod requests.
fn shares(shape: &Shape, holds: impl Fn(&str) -> bool) -> bool {
    let requests = &shape.requests;
    let fixed = ["cpu", "memory", "ephemeral-storage"].into_iter();
    let scalars = requests.scalars.iter().map(|(name, _)| name.as_ref());
    fixed
        .chain(scalars)
        .any(|name| amount(requests, name) > 0 && holds(name))
}

fn amount(resources: &crate::model::resources::Resources, name: &str) -> i64 {
    match name {
        "cpu" => resources.cpu,
        "memory" => resources.memory,
        "ephemeral-storage" => resources.ephemeral_storage,
        _ => resources.scalar(name),
    }
}
