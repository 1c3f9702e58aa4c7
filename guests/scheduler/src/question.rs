//! What a pod asks of the pods around it: spread constraints in effect, its own affinity terms, and those of
//! others that are about it.

use std::rc::Rc;

use crate::config::Config;
use crate::model::counters::{Audience, CounterKey};
use crate::model::selectors::DefaultSelectors;
use crate::model::template::{
    AffinityTerm, Namespaces, PodAffinity, SpreadConstraint, Template, Templates, WhenUnsatisfiable,
};
use crate::plugins::{Plugin, inter_pod_affinity, pod_topology_spread};

/// What a pod's relations to other pods ask for; equal questions have equal answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Question {
    /// Namespace whose pods are spread; empty without constraints.
    namespace: Box<str>,
    /// Spread constraints in effect, and whether the pod itself is counted by them.
    spread: Vec<(SpreadConstraint, bool)>,
    /// Nodes that lack one of the topology keys of scoring constraints are left out of the score.
    pub(crate) requires_all_keys: bool,
    /// The pod's own terms, and whether it matches all required ones itself.
    pub(crate) own: Option<(Rc<PodAffinity>, bool)>,
    /// Who the pod is to other pods' terms, if there are any about it.
    audience: Option<Audience>,
    /// Topology keys of required anti-affinity terms about it.
    rejecting: Vec<Box<str>>,
    /// Topology keys of terms that score.
    drawing: Vec<Box<str>>,
}

/// What a question is derived from.
pub(crate) struct Asking<'a> {
    pub(crate) templates: &'a Templates,
    pub(crate) selectors: &'a DefaultSelectors,
    pub(crate) namespaces: &'a Namespaces,
    pub(crate) config: &'a Config,
}

impl Question {
    /// The question for pods of a template.
    pub(crate) fn of(template: &Template, asking: &Asking<'_>) -> Self {
        let mut question = Self::default();
        let (filters, scores) = (
            |plugin| asking.config.filters(plugin),
            |plugin| asking.config.weight(plugin) > 0,
        );
        let (spread, affinity) = (Plugin::PodTopologySpread, Plugin::InterPodAffinity);
        if filters(spread) || scores(spread) {
            question.ask_spread(template, asking.selectors, filters(spread));
        }
        if filters(affinity) || scores(affinity) {
            question.ask_affinity(template, asking, filters(affinity));
        }
        question
    }

    /// Whether no other pod matters.
    pub(crate) fn is_empty(&self) -> bool {
        self.spread.is_empty() && self.own.is_none() && self.audience.is_none()
    }

    fn ask_spread(&mut self, template: &Template, selectors: &DefaultSelectors, filters: bool) {
        self.requires_all_keys = !template.spread.is_empty();
        let mut constraints = match template.spread.as_slice() {
            [] => selectors
                .of(template)
                .map(|s| pod_topology_spread::default_constraints(&s))
                .unwrap_or_default(),
            own => own.to_vec(),
        };
        constraints.retain(|constraint| filters || !constraint.filters());
        if constraints.is_empty() {
            return;
        }
        self.namespace = template.namespace.clone();
        let counted = |constraint: &SpreadConstraint| {
            // Only filters ask; where they do not, pods that differ in this alone may share the answer.
            constraint.filters() && constraint.selector.matches(&template.labels)
        };
        self.spread = constraints
            .into_iter()
            .map(|constraint| {
                let counts_itself = counted(&constraint);
                (constraint, counts_itself)
            })
            .collect();
    }

    fn ask_affinity(&mut self, template: &Template, asking: &Asking<'_>, filters: bool) {
        let (namespace, labels) = (&template.namespace, &template.labels);
        let concerns = |term: &AffinityTerm| term.matches(namespace, labels, asking.namespaces);
        let own = template.affinity.as_ref();
        let own = own.map(|affinity| match filters {
            true => Rc::clone(affinity),
            false => Rc::new(affinity.preferences()),
        });
        if let Some(affinity) = own {
            let matches_itself = affinity.required.iter().all(concerns);
            self.own = Some((affinity, matches_itself));
        }
        for affinity in asking
            .templates
            .with_affinity()
            .filter_map(|other| other.affinity.as_ref())
        {
            let rejecting = affinity
                .required_anti
                .iter()
                .filter(|term| filters && concerns(term));
            self.rejecting
                .extend(rejecting.map(|term| term.topology_key.clone()));
            let preferred = affinity.preferred.iter().map(|(_, term)| term);
            let drawing = affinity
                .required
                .iter()
                .chain(preferred)
                .filter(|term| concerns(term));
            self.drawing.extend(drawing.map(|term| term.topology_key.clone()));
        }
        for keys in [&mut self.rejecting, &mut self.drawing] {
            keys.sort_unstable();
            keys.dedup();
        }
        if !self.rejecting.is_empty() || !self.drawing.is_empty() {
            self.audience = Some(Audience {
                namespace: namespace.clone(),
                labels: labels.clone(),
            });
        }
    }

    /// Constraints that filter.
    pub(crate) fn hard(&self) -> impl Iterator<Item = &SpreadConstraint> {
        self.of_kind(WhenUnsatisfiable::DoNotSchedule)
    }

    /// Constraints that score.
    pub(crate) fn soft(&self) -> impl Iterator<Item = &SpreadConstraint> {
        self.of_kind(WhenUnsatisfiable::ScheduleAnyway)
    }

    fn of_kind(&self, kind: WhenUnsatisfiable) -> impl Iterator<Item = &SpreadConstraint> {
        self.spread
            .iter()
            .map(|(constraint, _)| constraint)
            .filter(move |c| c.when_unsatisfiable == kind)
    }

    /// Every term that has to be counted: what it is for, where, and what.
    pub(crate) fn terms(&self) -> Vec<(Role, Box<str>, CounterKey)> {
        let mut terms = Vec::new();
        for (constraint, counts_itself) in &self.spread {
            let role = match constraint.when_unsatisfiable {
                WhenUnsatisfiable::DoNotSchedule => Role::HardSpread(constraint.clone(), *counts_itself),
                WhenUnsatisfiable::ScheduleAnyway => Role::SoftSpread(constraint.clone()),
            };
            let counter = CounterKey::Selected(self.namespace.clone(), constraint.selector.clone());
            terms.push((role, constraint.topology_key.clone(), counter));
        }
        if let Some((affinity, _)) = &self.own {
            for term in &affinity.required {
                terms.push((
                    Role::Required,
                    term.topology_key.clone(),
                    CounterKey::Required(Rc::clone(affinity)),
                ));
            }
            for term in &affinity.required_anti {
                terms.push((
                    Role::Avoided,
                    term.topology_key.clone(),
                    CounterKey::Matched(term.clone()),
                ));
            }
            for (weight, term) in &affinity.preferred {
                terms.push((
                    Role::Preferred(*weight),
                    term.topology_key.clone(),
                    CounterKey::Matched(term.clone()),
                ));
            }
        }
        if let Some(audience) = &self.audience {
            for key in &self.rejecting {
                terms.push((
                    Role::Rejecting,
                    key.clone(),
                    CounterKey::Rejecting(key.clone(), audience.clone()),
                ));
            }
            for key in &self.drawing {
                let weight = inter_pod_affinity::HARD_POD_AFFINITY_WEIGHT;
                let counter = CounterKey::Drawing(key.clone(), audience.clone(), weight);
                terms.push((Role::Preferred(1), key.clone(), counter));
            }
        }
        terms
    }
}

/// What the count of a term decides.
#[derive(Clone, Debug)]
pub(crate) enum Role {
    /// A spread constraint that filters, and whether it counts the pod itself.
    HardSpread(SpreadConstraint, bool),
    /// A spread constraint that scores.
    SoftSpread(SpreadConstraint),
    /// Required affinity: there must be some.
    Required,
    /// Required anti-affinity: there must be none.
    Avoided,
    /// Other pods' required anti-affinity: there must be none.
    Rejecting,
    /// Adds to the score by this weight.
    Preferred(i64),
}
