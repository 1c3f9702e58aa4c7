//! How many pods of some kind are on each node, kept current as pods come and go.
//!
//! A counter assigns every pod a value that depends on its template alone; per node it keeps the sum.
//! Evaluations that want sums per topology domain replay the counter's journal.

use std::rc::Rc;

use super::template::{AffinityTerm, Namespaces, PodAffinity, Template, TemplateId};
use crate::hash::FastMap;
use crate::journal::Journal;
use crate::labels::{Labels, Selector};

/// A pod's identity towards the terms of other pods.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Audience {
    /// Namespace of the pod that is to be placed.
    pub(crate) namespace: Box<str>,
    /// Its labels.
    pub(crate) labels: Labels,
}

/// What a counter counts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum CounterKey {
    /// Pods of a namespace that a selector matches and that are not being deleted.
    Selected(Box<str>, Selector),
    /// Pods that match every required affinity term of the incoming pod.
    Required(Rc<PodAffinity>),
    /// Pods that match one term of the incoming pod.
    Matched(AffinityTerm),
    /// Required anti-affinity terms on this topology key that reject the incoming pod.
    Rejecting(Box<str>, Audience),
    /// Weights of preferred terms, and of required affinity terms at the given weight, on this topology key
    /// that are about the incoming pod.
    Drawing(Box<str>, Audience, i64),
}

impl CounterKey {
    fn value(&self, pod: &Template, terminating: bool, namespaces: &Namespaces) -> i64 {
        let matches = |term: &AffinityTerm| term.matches(&pod.namespace, &pod.labels, namespaces);
        match self {
            Self::Selected(namespace, selector) => {
                i64::from(!terminating && *namespace == pod.namespace && selector.matches(&pod.labels))
            }
            Self::Required(affinity) => i64::from(affinity.required.iter().all(matches)),
            Self::Matched(term) => i64::from(matches(term)),
            Self::Rejecting(key, audience) => rejections(pod, key, audience, namespaces),
            Self::Drawing(key, audience, weight) => attraction(pod, key, audience, *weight, namespaces),
        }
    }
}

fn rejections(pod: &Template, key: &str, audience: &Audience, namespaces: &Namespaces) -> i64 {
    let terms = pod.affinity.iter().flat_map(|affinity| &affinity.required_anti);
    terms
        .map(|term| i64::from(concerns(term, key, audience, namespaces)))
        .sum()
}

fn attraction(pod: &Template, key: &str, audience: &Audience, weight: i64, namespaces: &Namespaces) -> i64 {
    let Some(affinity) = &pod.affinity else { return 0 };
    let required = affinity.required.iter().map(|term| (weight, term));
    let preferred = affinity.preferred.iter().map(|(weight, term)| (*weight, term));
    let concerning = required
        .chain(preferred)
        .filter(|(_, term)| concerns(term, key, audience, namespaces));
    concerning.map(|(weight, _)| weight).sum()
}

fn concerns(term: &AffinityTerm, key: &str, audience: &Audience, namespaces: &Namespaces) -> bool {
    term.topology_key.as_ref() == key && term.matches(&audience.namespace, &audience.labels, namespaces)
}

/// Names a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct CounterId(usize);

const UNKNOWN: i64 = i64::MIN;

/// One counter.
#[derive(Debug)]
pub(crate) struct Counter {
    key: CounterKey,
    /// What a pod of each template counts for, running and terminating.
    memo: Vec<[i64; 2]>,
    per_node: Vec<i64>,
    journal: Journal<(u32, i64)>,
    users: usize,
}

impl Counter {
    /// The sum on a node.
    pub(crate) fn on(&self, slot: u32) -> i64 {
        self.per_node.get(slot as usize).copied().unwrap_or(0)
    }

    /// What has changed: slot and difference.
    pub(crate) fn journal(&self) -> &Journal<(u32, i64)> {
        &self.journal
    }

    /// What a running pod would count for.
    pub(crate) fn would_add(&self, pod: &Template, namespaces: &Namespaces) -> i64 {
        self.key.value(pod, false, namespaces)
    }

    fn value(&mut self, id: TemplateId, pod: &Template, terminating: bool, namespaces: &Namespaces) -> i64 {
        if self.memo.len() <= id.index() {
            self.memo.resize(id.index() + 1, [UNKNOWN; 2]);
        }
        let known = &mut self.memo[id.index()][usize::from(terminating)];
        if *known == UNKNOWN {
            *known = self.key.value(pod, terminating, namespaces);
        }
        *known
    }

    fn add(&mut self, slot: u32, difference: i64) {
        let at = slot as usize;
        if self.per_node.len() <= at {
            self.per_node.resize(at + 1, 0);
        }
        self.per_node[at] += difference;
    }
}

/// A pod on a node, as counters see it.
#[derive(Clone, Copy)]
pub(crate) struct Occupant<'a> {
    /// Where.
    pub(crate) slot: u32,
    /// Its template's id.
    pub(crate) id: TemplateId,
    /// Its template.
    pub(crate) template: &'a Template,
    /// Being deleted.
    pub(crate) terminating: bool,
}

/// The counters in use.
#[derive(Default)]
pub(crate) struct Counters {
    ids: FastMap<CounterKey, CounterId>,
    entries: Vec<Option<Counter>>,
}

impl Counters {
    /// The counter for a key, counted up from the pods there are if it is new.
    pub(crate) fn acquire<'a>(
        &mut self,
        key: CounterKey,
        pods: impl Iterator<Item = Occupant<'a>>,
        namespaces: &Namespaces,
    ) -> CounterId {
        if let Some(id) = self.ids.get(&key).copied() {
            self.retain(id);
            return id;
        }
        let mut counter = Counter {
            key: key.clone(),
            memo: Vec::new(),
            per_node: Vec::new(),
            journal: Journal::default(),
            users: 1,
        };
        for pod in pods {
            let value = counter.value(pod.id, pod.template, pod.terminating, namespaces);
            if value != 0 {
                counter.add(pod.slot, value);
            }
        }
        let at = self.entries.iter().position(Option::is_none).unwrap_or_else(|| {
            self.entries.push(None);
            self.entries.len() - 1
        });
        self.entries[at] = Some(counter);
        self.ids.insert(key, CounterId(at));
        CounterId(at)
    }

    /// One user more.
    pub(crate) fn retain(&mut self, id: CounterId) {
        if let Some(Some(counter)) = self.entries.get_mut(id.0) {
            counter.users += 1;
        }
    }

    /// One user less; without users a counter is dropped.
    pub(crate) fn release(&mut self, id: CounterId) {
        let Some(entry) = self.entries.get_mut(id.0) else {
            return;
        };
        if let Some(counter) = entry {
            counter.users -= 1;
            if counter.users == 0 {
                self.ids.remove(&counter.key);
                *entry = None;
            }
        }
    }

    /// The counter behind an id.
    pub(crate) fn get(&self, id: CounterId) -> Option<&Counter> {
        self.entries.get(id.0)?.as_ref()
    }

    /// Whether labels of namespaces may decide what is counted.
    pub(crate) fn depend_on_namespaces(&self) -> bool {
        let mut keys = self.entries.iter().flatten().map(|counter| &counter.key);
        keys.any(|key| !matches!(key, CounterKey::Selected(..)))
    }

    /// A pod came (`sign` 1) or went (−1).
    pub(crate) fn record(&mut self, pod: Occupant<'_>, sign: i64, namespaces: &Namespaces) {
        for counter in self.entries.iter_mut().flatten() {
            let value = sign * counter.value(pod.id, pod.template, pod.terminating, namespaces);
            if value != 0 {
                counter.add(pod.slot, value);
                counter.journal.push((pod.slot, value), counter.per_node.len());
            }
        }
    }

    /// A template's id may come back as another template.
    pub(crate) fn forget(&mut self, id: TemplateId) {
        for counter in self.entries.iter_mut().flatten() {
            if let Some(known) = counter.memo.get_mut(id.index()) {
                *known = [UNKNOWN; 2];
            }
        }
    }
}
