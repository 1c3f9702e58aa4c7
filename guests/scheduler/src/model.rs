//! What the scheduler knows about the cluster, fed by deltas.
//!
//! The model answers questions; it decides nothing. Pods are added and taken off in one place, so that node
//! usage and counters never disagree with the set of pods.

pub(crate) mod constraints;
pub(crate) mod counters;
pub(crate) mod json;
pub(crate) mod node;
pub(crate) mod nominations;
pub(crate) mod pod;
pub(crate) mod read;
pub(crate) mod resources;
pub(crate) mod selectors;
pub(crate) mod template;

use std::rc::Rc;

use crate::hash::FastMap;
use crate::labels::Labels;
use crate::question::Question;
use crate::topology::TopologyState;
use counters::{Counters, Occupant};
use node::Nodes;
use nominations::Nominations;
use pod::{Place, Pod};
use selectors::DefaultSelectors;
use template::{Namespaces, Template, TemplateId, Templates};

/// Names a pod.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PodKey {
    /// The pod's namespace.
    pub namespace: Box<str>,
    /// The pod's name.
    pub name: Box<str>,
}

impl PodKey {
    /// The key of this namespace and name.
    #[must_use]
    pub fn new(namespace: &str, name: &str) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}

/// The cluster.
#[derive(Default)]
pub(crate) struct Model {
    /// The nodes and their usage.
    pub(crate) nodes: Nodes,
    /// The interned templates.
    pub(crate) templates: Templates,
    /// Counts of pods per node.
    pub(crate) counters: Counters,
    /// What pods are spread by if they do not say.
    pub(crate) selectors: DefaultSelectors,
    nominations: Nominations,
    pods: FastMap<PodKey, Pod>,
    namespaces: Namespaces,
    namespace_revision: u64,
    revision: u64,
}

impl Model {
    /// Changes whenever a decision may come out differently.
    pub(crate) fn revision(&self) -> (u64, u64) {
        (
            self.nodes.journal().end() + self.revision,
            self.selectors.revision(),
        )
    }

    /// Labels of namespaces.
    pub(crate) fn namespaces(&self) -> &Namespaces {
        &self.namespaces
    }

    /// Changes whenever [`Self::namespaces`] does in a way that matters.
    pub(crate) fn namespace_revision(&self) -> u64 {
        self.namespace_revision
    }

    /// A namespace with these labels, or none. Returns whether counters may now be wrong.
    pub(crate) fn set_namespace(&mut self, name: &str, labels: Option<Labels>) -> bool {
        let before = self.namespaces.get(name).cloned();
        let changed = before.unwrap_or_default() != labels.clone().unwrap_or_default();
        match labels {
            Some(labels) => self.namespaces.insert(name.into(), labels),
            None => self.namespaces.remove(name),
        };
        if changed {
            self.namespace_revision += 1;
            self.revision += 1;
        }
        changed && self.counters.depend_on_namespaces()
    }

    /// A pod.
    pub(crate) fn pod(&self, key: &PodKey) -> Option<&Pod> {
        self.pods.get(key)
    }

    /// A pod, for changes that concern neither its node nor its template.
    pub(crate) fn pod_mut(&mut self, key: &PodKey) -> Option<&mut Pod> {
        self.pods.get_mut(key)
    }

    /// The template of a pod.
    pub(crate) fn template(&self, pod: &Pod) -> Option<&Rc<Template>> {
        self.templates.get(pod.template)
    }

    /// Adds a pod that is not there; its template must have been acquired.
    pub(crate) fn insert(&mut self, key: PodKey, pod: Pod) {
        if let Some(slot) = pod.place.slot() {
            self.occupy(slot, pod.template, pod.terminating);
        } else if let Some((node, _)) = pod.nomination() {
            self.nominations.insert(node, &key);
        }
        self.pods.insert(key, pod);
    }

    /// Takes a pod out. Its template is still held; see [`Self::release`].
    pub(crate) fn remove(&mut self, key: &PodKey) -> Option<Pod> {
        let pod = self.pods.remove(key)?;
        if let Some(slot) = pod.place.slot() {
            self.vacate(slot, pod.template, pod.terminating);
        } else if let Some((node, _)) = pod.nomination() {
            self.nominations.remove(node, key);
        }
        Some(pod)
    }

    /// The nodes that are set aside for other pods of at least this priority, and what these are like. Ordered
    /// by slot.
    pub(crate) fn rivals(&self, key: &PodKey, priority: i32) -> Vec<(u32, Vec<Rc<Template>>)> {
        if self.nominations.is_empty() {
            return Vec::new();
        }
        let rival = |candidate: &PodKey| {
            let pod = self.pod(candidate).filter(|_| candidate != key)?;
            let (_, theirs) = pod.nomination()?;
            self.template(pod).filter(|_| theirs >= priority).cloned()
        };
        let set_aside = self.nominations.iter().filter_map(|(node, pods)| {
            let rivals: Vec<Rc<Template>> = pods.iter().filter_map(rival).collect();
            Some((self.nodes.slot(node)?, rivals))
        });
        let mut set_aside: Vec<_> = set_aside.filter(|(_, rivals)| !rivals.is_empty()).collect();
        set_aside.sort_unstable_by_key(|(slot, _)| *slot);
        set_aside
    }

    /// Lets go of a template. Returns true when its id may come back as another one.
    pub(crate) fn release(&mut self, id: TemplateId) -> bool {
        let gone = self.templates.release(id);
        if gone {
            self.counters.forget(id);
        }
        gone
    }

    /// Puts a pending pod on a node slot.
    pub(crate) fn assume(&mut self, key: &PodKey, slot: u32) {
        if let Some(mut pod) = self.remove(key) {
            pod.place = match pod.place {
                Place::Pending(pending) | Place::Assumed(_, pending) => Place::Assumed(slot, pending),
                Place::Assigned(_) => Place::Assigned(slot),
            };
            self.insert(key.clone(), pod);
        }
    }

    /// Takes an assumed pod off its slot again, which is returned.
    pub(crate) fn unassume(&mut self, key: &PodKey) -> Option<u32> {
        let mut pod = self.remove(key)?;
        let (place, slot) = match pod.place {
            Place::Assumed(slot, pending) => (Place::Pending(pending), Some(slot)),
            other => (other, None),
        };
        pod.place = place;
        self.insert(key.clone(), pod);
        slot
    }

    /// Marks a pod on a node as being deleted: spreading does not count it any more.
    pub(crate) fn set_terminating(&mut self, key: &PodKey) {
        let Some(pod) = self.pods.get_mut(key).filter(|pod| !pod.terminating) else {
            return;
        };
        pod.terminating = true;
        let (Some(slot), Some(template)) = (pod.place.slot(), self.templates.get(pod.template)) else {
            return;
        };
        let running = Occupant {
            slot,
            id: pod.template,
            template,
            terminating: false,
        };
        self.counters.record(running, -1, &self.namespaces);
        self.counters.record(
            Occupant {
                terminating: true,
                ..running
            },
            1,
            &self.namespaces,
        );
        self.revision += 1;
    }

    /// The counts behind a question.
    pub(crate) fn topology_state(&mut self, question: Question, offset: usize) -> TopologyState {
        let Self {
            nodes,
            counters,
            pods,
            templates,
            namespaces,
            ..
        } = self;
        let occupants = || occupants(pods, templates);
        TopologyState::new(question, offset, nodes, counters, occupants, namespaces)
    }

    fn occupy(&mut self, slot: u32, id: TemplateId, terminating: bool) {
        let Some(template) = self.templates.get(id) else {
            return;
        };
        self.nodes.occupy(slot, &template.shape);
        self.counters.record(
            Occupant {
                slot,
                id,
                template,
                terminating,
            },
            1,
            &self.namespaces,
        );
    }

    fn vacate(&mut self, slot: u32, id: TemplateId, terminating: bool) {
        let Some(template) = self.templates.get(id) else {
            return;
        };
        self.counters.record(
            Occupant {
                slot,
                id,
                template,
                terminating,
            },
            -1,
            &self.namespaces,
        );
        self.nodes.vacate(slot, &template.shape);
    }
}

fn occupants<'a>(
    pods: &'a FastMap<PodKey, Pod>,
    templates: &'a Templates,
) -> impl Iterator<Item = Occupant<'a>> {
    pods.values().filter_map(|pod| {
        let slot = pod.place.slot()?;
        let template = templates.get(pod.template)?;
        Some(Occupant {
            slot,
            id: pod.template,
            template,
            terminating: pod.terminating,
        })
    })
}
