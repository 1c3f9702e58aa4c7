//! Spread constraints and inter-pod affinity of one class of pods, over all nodes at once.
//!
//! Everything here depends on a node only through its topology domains. Nodes that agree on those are one
//! *group*, known by its *signature*, and judged and scored once. A signature is a short list of numbers: for
//! most topology keys the domain itself; for the host name, where every node is a domain of its own, the
//! counts in that domain, so that nodes in like state share a group.
//!
//! Counts per domain follow the counters' journals; they are never recounted while nodes stay as they are.

use crate::config::Config;
use std::rc::Rc;

use crate::model::Model;
use crate::model::counters::{Counter, CounterId, Counters, Occupant};
use crate::model::node::{HOSTNAME, NO_DOMAIN, Nodes};
use crate::model::template::{Namespaces, Shape, SpreadConstraint, Template};
use crate::plugins::{Plugin, inter_pod_affinity, pod_topology_spread};
use crate::question::{Question, Role};

/// A count per domain.
#[derive(Clone, Debug)]
struct Term {
    role: Role,
    key: usize,
    counter: CounterId,
    position: u64,
    counts: Vec<i64>,
    total: i64,
    /// Which slots count; `None`: every one with the key.
    included: Option<Vec<bool>>,
    /// For filtering spread: how many included nodes each domain has.
    nodes: Vec<u32>,
    /// Where its count is in a signature, if the key is the host name.
    offset: usize,
}

#[derive(Clone, Debug)]
struct Key {
    name: Box<str>,
    offset: usize,
}

impl Key {
    fn is_hostname(&self) -> bool {
        self.name.as_ref() == HOSTNAME
    }
}

/// What a group of nodes has in common.
pub(crate) type Signature = [i64];

/// In a signature, the domain of nodes that lack the key.
const ABSENT: i64 = -1;

/// The counts behind a question, current as of the last [`Self::catch_up`].
#[derive(Debug)]
pub(crate) struct TopologyState {
    question: Question,
    keys: Vec<Key>,
    terms: Vec<Term>,
}

/// The feasible nodes of a group, as scores need them.
#[derive(Clone, Copy)]
pub(crate) struct Candidates<'a> {
    /// What they have in common.
    pub(crate) signature: &'a Signature,
    /// How many there are.
    pub(crate) count: u32,
}

/// What filters go by besides the counts of a group itself.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    /// The minimum that each filtering constraint compares with.
    minima: Vec<i64>,
    /// How much more each term counts in the judged node's domain than it does by the pods that are there.
    /// Empty: no more.
    added: Vec<i64>,
}

impl Standing {
    fn added(&self, term: usize) -> i64 {
        self.added.get(term).copied().unwrap_or(0)
    }
}

impl TopologyState {
    /// Sets up the counts for a question. Signatures start at `offset`, after what the caller puts there.
    pub(crate) fn new<'a, P: Iterator<Item = Occupant<'a>>>(
        question: Question,
        offset: usize,
        nodes: &mut Nodes,
        counters: &mut Counters,
        pods: impl Fn() -> P,
        namespaces: &Namespaces,
    ) -> Self {
        let mut state = Self {
            question,
            keys: Vec::new(),
            terms: Vec::new(),
        };
        for (role, key, counter) in state.question.terms() {
            nodes.index_topology(&key);
            let at = state
                .keys
                .iter()
                .position(|known| known.name == key)
                .unwrap_or_else(|| {
                    state.keys.push(Key { name: key, offset: 0 });
                    state.keys.len() - 1
                });
            let counter = counters.acquire(counter, pods(), namespaces);
            state.terms.push(Term {
                role,
                key: at,
                counter,
                position: 0,
                counts: Vec::new(),
                total: 0,
                included: None,
                nodes: Vec::new(),
                offset: 0,
            });
        }
        state.lay_out(offset);
        state
    }

    /// The same counts once more, for another class with the same question.
    pub(crate) fn share(&self, counters: &mut Counters) -> Self {
        for term in &self.terms {
            counters.retain(term.counter);
        }
        Self {
            question: self.question.clone(),
            keys: self.keys.clone(),
            terms: self.terms.clone(),
        }
    }

    /// Gives the counters back.
    pub(crate) fn release(&self, counters: &mut Counters) {
        for term in &self.terms {
            counters.release(term.counter);
        }
    }

    fn lay_out(&mut self, mut offset: usize) {
        for (at, key) in self.keys.iter_mut().enumerate() {
            key.offset = offset;
            offset += 1;
            if key.is_hostname() {
                for term in self.terms.iter_mut().filter(|term| term.key == at) {
                    term.offset = offset;
                    offset += 1;
                }
            }
        }
    }

    /// Counts everything anew, after nodes changed.
    pub(crate) fn recount(&mut self, shape: &Shape, nodes: &Nodes, counters: &Counters) {
        let Self {
            question,
            keys,
            terms,
        } = self;
        let hard_keys: Vec<&str> = question.hard().map(|c| c.topology_key.as_ref()).collect();
        let soft_keys: Vec<&str> = match question.requires_all_keys {
            true => question.soft().map(|c| c.topology_key.as_ref()).collect(),
            false => Vec::new(),
        };
        for term in terms {
            let (Some(key), Some(counter)) = (keys.get(term.key), counters.get(term.counter)) else {
                continue;
            };
            term.included = match &term.role {
                Role::HardSpread(constraint, _) => Some(included(constraint, &hard_keys, shape, nodes)),
                Role::SoftSpread(constraint) => Some(included(constraint, &soft_keys, shape, nodes)),
                _ => None,
            };
            term.recount(&key.name, nodes, counter);
        }
    }

    /// Follows the counters. Slots whose signature may have changed are added to `moved`.
    pub(crate) fn catch_up(&mut self, nodes: &Nodes, counters: &Counters, moved: &mut Vec<u32>) {
        for term in &mut self.terms {
            let (Some(key), Some(counter)) = (self.keys.get(term.key), counters.get(term.counter)) else {
                continue;
            };
            let moved = key.is_hostname().then_some(&mut *moved);
            term.catch_up(&key.name, nodes, counter, moved);
        }
    }

    /// Appends a slot's part of the signature.
    pub(crate) fn sign(&self, slot: u32, nodes: &Nodes, counters: &Counters, signature: &mut Vec<i64>) {
        for (at, key) in self.keys.iter().enumerate() {
            let domain = nodes
                .topology(&key.name)
                .map_or(NO_DOMAIN, |topology| topology.domain(slot));
            if !key.is_hostname() {
                signature.push(if domain == NO_DOMAIN {
                    ABSENT
                } else {
                    i64::from(domain)
                });
                continue;
            }
            signature.push(if domain == NO_DOMAIN { ABSENT } else { 0 });
            for term in self.terms.iter().filter(|term| term.key == at) {
                signature.push(match &term.role {
                    // Upstream counts these on the node itself, whatever the inclusion policies say.
                    Role::SoftSpread(_) => counters.get(term.counter).map_or(0, |counter| counter.on(slot)),
                    _ => term.count_in(domain),
                });
            }
        }
    }

    /// The count of a term in a group; `None` where the key is missing.
    fn count(&self, term: &Term, signature: &Signature) -> Option<i64> {
        let key = self.keys.get(term.key)?;
        let domain = *signature.get(key.offset)?;
        if domain == ABSENT {
            return None;
        }
        if key.is_hostname() {
            return signature.get(term.offset).copied();
        }
        Some(term.count_in(u32::try_from(domain).ok()?))
    }

    /// What filters go by, to be handed to [`Self::rejection`].
    pub(crate) fn standing(&self) -> Standing {
        let minima = self.terms.iter().map(|term| term.minimum(NO_DOMAIN, 0)).collect();
        Standing {
            minima,
            added: Vec::new(),
        }
    }

    /// What filters would go by for one node if it held these pods, too.
    pub(crate) fn standing_as_if_held(&self, slot: u32, pods: &[Rc<Template>], model: &Model) -> Standing {
        let mut standing = Standing::default();
        for term in &self.terms {
            let domain = self
                .keys
                .get(term.key)
                .and_then(|key| model.nodes.topology(&key.name))
                .map_or(NO_DOMAIN, |topology| topology.domain(slot));
            let counter = model.counters.get(term.counter);
            let added = match counter.filter(|_| domain != NO_DOMAIN && term.counts_on(slot)) {
                Some(counter) => pods
                    .iter()
                    .map(|pod| counter.would_add(pod, model.namespaces()))
                    .sum(),
                None => 0,
            };
            standing.minima.push(term.minimum(domain, added));
            standing.added.push(added);
        }
        standing
    }

    /// The first filter that rejects the nodes of a group, and why.
    pub(crate) fn rejection(
        &self,
        signature: &Signature,
        standing: &Standing,
    ) -> Option<(Plugin, &'static str)> {
        self.spread_rejection(signature, standing)
            .map(|reason| (Plugin::PodTopologySpread, reason))
            .or_else(|| {
                self.affinity_rejection(signature, standing)
                    .map(|reason| (Plugin::InterPodAffinity, reason))
            })
    }

    fn spread_rejection(&self, signature: &Signature, standing: &Standing) -> Option<&'static str> {
        for ((at, term), minimum) in self.terms.iter().enumerate().zip(&standing.minima) {
            let Role::HardSpread(constraint, counts_itself) = &term.role else {
                continue;
            };
            let Some(count) = self.count(term, signature) else {
                return Some(pod_topology_spread::MISSING_LABEL);
            };
            let count = count + standing.added(at);
            if !pod_topology_spread::keeps_skew(constraint, *counts_itself, count, *minimum) {
                return Some(pod_topology_spread::REASON);
            }
        }
        None
    }

    fn affinity_rejection(&self, signature: &Signature, standing: &Standing) -> Option<&'static str> {
        let required = || {
            self.terms
                .iter()
                .enumerate()
                .filter(|(_, term)| matches!(term.role, Role::Required))
        };
        let mut with_a_friend = true;
        for (at, term) in required() {
            match self.count(term, signature) {
                None => return Some(inter_pod_affinity::AFFINITY),
                Some(count) => with_a_friend &= count + standing.added(at) > 0,
            }
        }
        if !with_a_friend {
            // The first pod of a group that wants to be together may go anywhere.
            let is_first = required().all(|(at, term)| term.total + standing.added(at) == 0);
            let matches_itself = self.question.own.as_ref().is_some_and(|(_, matches)| *matches);
            if !(is_first && matches_itself) {
                return Some(inter_pod_affinity::AFFINITY);
            }
        }
        let meets = |wanted: fn(&Role) -> bool| {
            let terms = self.terms.iter().enumerate();
            let mut terms = terms.filter(|(_, term)| wanted(&term.role));
            terms.any(|(at, term)| {
                self.count(term, signature)
                    .is_some_and(|count| count + standing.added(at) > 0)
            })
        };
        if meets(|role| matches!(role, Role::Avoided)) {
            return Some(inter_pod_affinity::ANTI_AFFINITY);
        }
        meets(|role| matches!(role, Role::Rejecting)).then_some(inter_pod_affinity::EXISTING_ANTI_AFFINITY)
    }

    /// The weighted scores of groups with feasible nodes, in the same order.
    pub(crate) fn scores(&self, groups: &[Candidates<'_>], config: &Config) -> Vec<i64> {
        let spread = self.spread_scores(groups);
        let affinity = self.affinity_scores(groups);
        let (spread_weight, affinity_weight) = (
            config.weight(Plugin::PodTopologySpread),
            config.weight(Plugin::InterPodAffinity),
        );
        spread
            .zip(affinity)
            .map(|(s, a)| s * spread_weight + a * affinity_weight)
            .collect()
    }

    fn spread_scores(&self, groups: &[Candidates<'_>]) -> impl Iterator<Item = i64> {
        let soft: Vec<(&Term, &SpreadConstraint)> = self.terms.iter().filter_map(Term::soft).collect();
        let is_ignored = |group: &Candidates<'_>| {
            self.question.requires_all_keys
                && soft
                    .iter()
                    .any(|(term, _)| self.count(term, group.signature).is_none())
        };
        let scored: Vec<&Candidates<'_>> = groups.iter().filter(|group| !is_ignored(group)).collect();
        let weights: Vec<f64> = soft
            .iter()
            .map(|(term, _)| pod_topology_spread::domain_weight(self.domains_among(term, &scored)))
            .collect();
        let raw = |group: &Candidates<'_>| {
            let parts = soft
                .iter()
                .zip(&weights)
                .filter_map(|((term, constraint), weight)| {
                    let count = self.count(term, group.signature)?;
                    Some(pod_topology_spread::raw_part(count, *weight, constraint.max_skew))
                });
            parts.sum::<f64>().round() as i64
        };
        let raws: Vec<Option<i64>> = groups
            .iter()
            .map(|group| (!soft.is_empty() && !is_ignored(group)).then(|| raw(group)))
            .collect();
        let lowest = raws.iter().flatten().copied().min().unwrap_or(0);
        let highest = raws.iter().flatten().copied().max().unwrap_or(0);
        raws.into_iter()
            .map(move |raw| raw.map_or(0, |raw| pod_topology_spread::normalize(raw, lowest, highest)))
    }

    /// How many domains of a term's key the candidates are in; of the host name, how many candidates there are.
    fn domains_among(&self, term: &Term, groups: &[&Candidates<'_>]) -> usize {
        let Some(key) = self.keys.get(term.key) else {
            return 0;
        };
        if key.is_hostname() {
            return groups.iter().map(|group| group.count as usize).sum();
        }
        let mut domains: Vec<i64> = groups
            .iter()
            .filter_map(|g| g.signature.get(key.offset).copied())
            .collect();
        domains.sort_unstable();
        domains.dedup();
        domains.len()
    }

    fn affinity_scores(&self, groups: &[Candidates<'_>]) -> impl Iterator<Item = i64> {
        let raw = |group: &Candidates<'_>| -> i64 {
            let parts = self.terms.iter().filter_map(|term| match term.role {
                Role::Preferred(weight) => Some(weight * self.count(term, group.signature)?),
                _ => None,
            });
            parts.sum()
        };
        let raws: Vec<i64> = groups.iter().map(raw).collect();
        let lowest = raws.iter().copied().min().unwrap_or(0);
        let highest = raws.iter().copied().max().unwrap_or(0);
        raws.into_iter()
            .map(move |raw| inter_pod_affinity::normalize(raw, lowest, highest))
    }
}

impl Term {
    fn soft(&self) -> Option<(&Self, &SpreadConstraint)> {
        match &self.role {
            Role::SoftSpread(constraint) => Some((self, constraint)),
            _ => None,
        }
    }

    fn count_in(&self, domain: u32) -> i64 {
        self.counts.get(domain as usize).copied().unwrap_or(0)
    }

    fn counts_on(&self, slot: u32) -> bool {
        self.included
            .as_ref()
            .is_none_or(|included| included.get(slot as usize).copied().unwrap_or(false))
    }

    fn recount(&mut self, key: &str, nodes: &Nodes, counter: &Counter) {
        let Some(topology) = nodes.topology(key) else {
            return;
        };
        self.counts = vec![0; topology.domains()];
        self.nodes = vec![0; topology.domains()];
        self.total = 0;
        for (slot, _) in nodes.iter() {
            let domain = topology.domain(slot);
            if domain == NO_DOMAIN || !self.counts_on(slot) {
                continue;
            }
            self.counts[domain as usize] += counter.on(slot);
            self.nodes[domain as usize] += 1;
            self.total += counter.on(slot);
        }
        self.position = counter.journal().end();
    }

    fn catch_up(&mut self, key: &str, nodes: &Nodes, counter: &Counter, mut moved: Option<&mut Vec<u32>>) {
        let Some(topology) = nodes.topology(key) else {
            return;
        };
        let Some(changes) = counter.journal().since(self.position) else {
            self.recount(key, nodes, counter);
            if let Some(moved) = moved {
                moved.extend(nodes.iter().map(|(slot, _)| slot));
            }
            return;
        };
        for (slot, difference) in changes {
            let domain = topology.domain(*slot);
            if let Some(count) = self.counts.get_mut(domain as usize) {
                if self
                    .included
                    .as_ref()
                    .is_none_or(|included| included.get(*slot as usize) == Some(&true))
                {
                    *count += difference;
                    self.total += difference;
                }
            }
            if let Some(moved) = &mut moved {
                moved.push(*slot);
                moved.extend(topology.members(domain).iter().filter(|member| *member != slot));
            }
        }
        self.position = counter.journal().end();
    }

    /// The emptiest domain's count, with so many more in one domain; 0 while there are fewer domains than wanted.
    fn minimum(&self, domain: u32, added: i64) -> i64 {
        let Role::HardSpread(constraint, _) = &self.role else {
            return 0;
        };
        let counts = || {
            (0..)
                .zip(&self.counts)
                .zip(&self.nodes)
                .filter(|(_, nodes)| **nodes > 0)
                .map(|((at, count), _)| if at == domain { count + added } else { *count })
        };
        if counts().count() < constraint.min_domains {
            0
        } else {
            counts().min().unwrap_or(0)
        }
    }
}

fn included(constraint: &SpreadConstraint, keys: &[&str], shape: &Shape, nodes: &Nodes) -> Vec<bool> {
    let counts = nodes.iter().map(|(_, node)| {
        node.present
            && keys.iter().all(|key| node.spec.labels.get(key).is_some())
            && pod_topology_spread::includes(constraint, shape, node)
    });
    counts.collect()
}
