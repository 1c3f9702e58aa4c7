//! What of a pod matters to scheduling, kept once for all pods that agree on it.
//!
//! A [`Shape`] is the part that can be judged against a node alone. A [`Template`] adds what relates a pod
//! to other pods: namespace, labels, spread constraints, affinity and owner.

use std::rc::Rc;

use super::resources::Resources;
use crate::hash::{FastMap, FastSet};
use crate::labels::{Labels, Requirement, Selector};

/// A port that a pod claims on its node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct HostPort {
    /// Address; `0.0.0.0` is all of them.
    pub(crate) ip: Box<str>,
    /// `TCP`, `UDP` or `SCTP`.
    pub(crate) protocol: Box<str>,
    /// Port on the host.
    pub(crate) port: u16,
}

/// One toleration.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Toleration {
    /// Taint key; empty for every key.
    pub(crate) key: Box<str>,
    /// How the value is compared.
    pub(crate) operator: TolerationOperator,
    /// Taint value.
    pub(crate) value: Box<str>,
    /// Taint effect; empty for every effect.
    pub(crate) effect: Box<str>,
}

/// How a toleration compares values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum TolerationOperator {
    /// The value must be the same.
    Equal,
    /// Any value.
    Exists,
    /// Tolerates nothing: unknown, or a numeric comparison, which upstream has behind a gate that is off.
    Never,
}

/// One term of a node affinity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct NodeTerm {
    /// Requirements on node labels.
    pub(crate) expressions: Vec<Requirement>,
    /// Requirements on node fields; `metadata.name` is the only one there is.
    pub(crate) fields: Vec<Requirement>,
}

/// What can be judged against a node alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Shape {
    /// Requested resources.
    pub(crate) requests: Resources,
    /// CPU for scores.
    pub(crate) nonzero_cpu: i64,
    /// Memory for scores.
    pub(crate) nonzero_memory: i64,
    /// `spec.nodeSelector`.
    pub(crate) node_selector: Vec<Requirement>,
    /// Required node affinity: one of these must match. Absent: every node does.
    pub(crate) required_terms: Option<Vec<NodeTerm>>,
    /// Preferred node affinity.
    pub(crate) preferred_terms: Vec<(i64, NodeTerm)>,
    /// `spec.tolerations`.
    pub(crate) tolerations: Vec<Toleration>,
    /// Claimed host ports.
    pub(crate) host_ports: Vec<HostPort>,
    /// Images with their tag, of containers and image volumes.
    pub(crate) images: Vec<Box<str>>,
    /// Features that a node must declare, sorted.
    pub(crate) required_features: Vec<&'static str>,
    /// How many containers there are, those for initialisation included.
    pub(crate) containers: usize,
}

impl Shape {
    /// Whether the two differ in amounts and ports at most, which is to say in what a node's pods can deny them:
    /// everything else about a node is judged and scored alike.
    pub(crate) fn chooses_like(&self, other: &Self) -> bool {
        let Self {
            requests: _,
            nonzero_cpu: _,
            nonzero_memory: _,
            host_ports: _,
            node_selector,
            required_terms,
            preferred_terms,
            tolerations,
            images,
            required_features,
            containers,
        } = self;
        *node_selector == other.node_selector
            && *required_terms == other.required_terms
            && *preferred_terms == other.preferred_terms
            && *tolerations == other.tolerations
            && *images == other.images
            && *required_features == other.required_features
            && *containers == other.containers
    }
}

/// What a spread constraint does with a node that breaks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum WhenUnsatisfiable {
    /// The node is out.
    DoNotSchedule,
    /// The node scores lower.
    ScheduleAnyway,
}

/// Whether a node that the pod could not use counts as a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum InclusionPolicy {
    /// It does not.
    Honor,
    /// It does.
    Ignore,
}

/// One topology spread constraint.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SpreadConstraint {
    /// Node label whose values are the domains.
    pub(crate) topology_key: Box<str>,
    /// Largest allowed difference to the emptiest domain.
    pub(crate) max_skew: i64,
    /// Filter or score.
    pub(crate) when_unsatisfiable: WhenUnsatisfiable,
    /// Which pods of the namespace are counted.
    pub(crate) selector: Selector,
    /// With fewer domains than this the minimum counts as zero.
    pub(crate) min_domains: usize,
    /// About nodes outside the pod's node affinity.
    pub(crate) node_affinity_policy: InclusionPolicy,
    /// About nodes with taints the pod does not tolerate.
    pub(crate) node_taints_policy: InclusionPolicy,
}

impl SpreadConstraint {
    /// Whether it keeps pods off nodes; otherwise it scores.
    pub(crate) fn filters(&self) -> bool {
        self.when_unsatisfiable == WhenUnsatisfiable::DoNotSchedule
    }
}

/// One term of pod affinity or anti-affinity.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct AffinityTerm {
    /// Node label whose values are the domains.
    pub(crate) topology_key: Box<str>,
    /// Which pods.
    pub(crate) selector: Selector,
    /// In these namespaces; the pod's own when nothing else was said.
    pub(crate) namespaces: Vec<Box<str>>,
    /// And in namespaces with matching labels.
    pub(crate) namespace_selector: Selector,
}

/// Labels of namespaces, by name.
pub(crate) type Namespaces = FastMap<Box<str>, Labels>;

impl AffinityTerm {
    /// Whether the term is about a pod of this namespace with these labels.
    pub(crate) fn matches(&self, namespace: &str, labels: &Labels, namespaces: &Namespaces) -> bool {
        let named = self
            .namespaces
            .iter()
            .any(|candidate| candidate.as_ref() == namespace);
        let selected = || match namespaces.get(namespace) {
            Some(labels) => self.namespace_selector.matches(labels),
            None => self.namespace_selector.matches(&Labels::default()),
        };
        (named || selected()) && self.selector.matches(labels)
    }
}

/// Pod affinity and anti-affinity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct PodAffinity {
    /// Required affinity.
    pub(crate) required: Vec<AffinityTerm>,
    /// Required anti-affinity.
    pub(crate) required_anti: Vec<AffinityTerm>,
    /// Preferred affinity with its weight; anti-affinity has a negative one.
    pub(crate) preferred: Vec<(i64, AffinityTerm)>,
}

impl PodAffinity {
    /// What of it only scores.
    pub(crate) fn preferences(&self) -> Self {
        Self {
            preferred: self.preferred.clone(),
            ..Self::default()
        }
    }

    /// Every term.
    pub(crate) fn terms(&self) -> impl Iterator<Item = &AffinityTerm> {
        self.required
            .iter()
            .chain(&self.required_anti)
            .chain(self.preferred.iter().map(|(_, term)| term))
    }
}

/// The kind of a controller whose selector is a pod's default spreading selector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum OwnerKind {
    /// `v1 ReplicationController`.
    ReplicationController,
    /// `apps/v1 ReplicaSet`.
    ReplicaSet,
    /// `apps/v1 StatefulSet`.
    StatefulSet,
}

/// What of a pod matters to scheduling.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Template {
    /// What can be judged against a node alone.
    pub(crate) shape: Rc<Shape>,
    /// The pod's namespace.
    pub(crate) namespace: Box<str>,
    /// The pod's labels.
    pub(crate) labels: Labels,
    /// Its own spread constraints.
    pub(crate) spread: Vec<SpreadConstraint>,
    /// Its pod affinity.
    pub(crate) affinity: Option<Rc<PodAffinity>>,
    /// The one node it may run on. Daemon pods name theirs in a node affinity; kept out of the shape, that
    /// leaves them equal to each other.
    pub(crate) pinned: Option<Box<str>>,
    /// Its controller, if of a kind with a selector.
    pub(crate) owner: Option<(OwnerKind, Box<str>)>,
}

impl Template {
    /// Whether pods of other templates may be drawn or repelled by pods of this one.
    pub(crate) fn has_affinity(&self) -> bool {
        self.affinity.is_some()
    }
}

/// Names an interned template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TemplateId(pub(crate) u32);

impl TemplateId {
    /// As a position.
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// The interned templates, counted by the pods that use them.
#[derive(Default)]
pub(crate) struct Templates {
    ids: FastMap<Rc<Template>, TemplateId>,
    shapes: FastSet<Rc<Shape>>,
    entries: Vec<Option<(Rc<Template>, usize)>>,
    free: Vec<TemplateId>,
    with_affinity: FastSet<TemplateId>,
    affinity_revision: u64,
}

impl Templates {
    /// The id of a template, which counts as used once more.
    pub(crate) fn acquire(&mut self, mut template: Template) -> TemplateId {
        if let Some(id) = self.ids.get(&template) {
            let id = *id;
            if let Some(Some((_, users))) = self.entries.get_mut(id.index()) {
                *users += 1;
            }
            return id;
        }
        match self.shapes.get(&template.shape) {
            Some(shape) => template.shape = Rc::clone(shape),
            None => {
                self.shapes.insert(Rc::clone(&template.shape));
            }
        }
        let template = Rc::new(template);
        let id = self.free.pop().unwrap_or_else(|| {
            self.entries.push(None);
            TemplateId(u32::try_from(self.entries.len() - 1).expect("fewer templates than u32 has values"))
        });
        if template.has_affinity() {
            self.with_affinity.insert(id);
            self.affinity_revision += 1;
        }
        self.ids.insert(Rc::clone(&template), id);
        self.entries[id.index()] = Some((template, 1));
        id
    }

    /// One user less. Returns true when the template is gone and its id may come back as another one.
    pub(crate) fn release(&mut self, id: TemplateId) -> bool {
        let Some(Some((template, users))) = self.entries.get_mut(id.index()) else {
            return false;
        };
        *users -= 1;
        if *users > 0 {
            return false;
        }
        let template = Rc::clone(template);
        self.entries[id.index()] = None;
        self.ids.remove(&template);
        if self.with_affinity.remove(&id) {
            self.affinity_revision += 1;
        }
        // Held by the set, by the template that is about to go, and by nobody else.
        if Rc::strong_count(&template.shape) == 2 {
            self.shapes.remove(&template.shape);
        }
        self.free.push(id);
        true
    }

    /// The template behind an id.
    pub(crate) fn get(&self, id: TemplateId) -> Option<&Rc<Template>> {
        self.entries
            .get(id.index())?
            .as_ref()
            .map(|(template, _)| template)
    }

    /// Every template with pod affinity.
    pub(crate) fn with_affinity(&self) -> impl Iterator<Item = &Template> {
        self.with_affinity
            .iter()
            .filter_map(|id| self.get(*id))
            .map(Rc::as_ref)
    }

    /// Changes whenever [`Self::with_affinity`] does.
    pub(crate) fn affinity_revision(&self) -> u64 {
        self.affinity_revision
    }
}
