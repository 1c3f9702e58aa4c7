//! The plain way to schedule: every node, every pod, every time, nothing remembered. The fast way must agree
//! with it, whatever happened before.

mod churn;

use std::collections::{BTreeMap, BTreeSet};

use crate::config::Config;
use crate::labels::{Labels, Selector};
use crate::model::PodKey;
use crate::model::node::{HOSTNAME, Node, NodeSpec, Nodes};
use crate::model::selectors::DefaultSelectors;
use crate::model::template::{AffinityTerm, Namespaces, SpreadConstraint, Template, WhenUnsatisfiable};
use crate::plugins::node_affinity::Narrowed;
use crate::plugins::{
    self, Plugin, image_locality, inter_pod_affinity, node_affinity, node_declared_features, node_resources,
    pod_topology_spread, taint_toleration,
};

/// A pod as the reference knows it.
#[derive(Clone, Debug)]
struct RefPod {
    template: Template,
    node: Option<String>,
    terminating: bool,
    priority: i32,
    nominated: Option<String>,
}

/// The cluster as the reference knows it.
#[derive(Default)]
struct World {
    nodes: BTreeMap<String, NodeSpec>,
    pods: BTreeMap<PodKey, RefPod>,
    selectors: DefaultSelectors,
    namespaces: Namespaces,
}

/// What the reference makes of a pod.
#[derive(Debug, PartialEq, Eq)]
struct Evaluation {
    /// Total score of each feasible node.
    totals: BTreeMap<String, i64>,
    /// Why nothing fits, if nothing does.
    message: Option<String>,
}

impl World {
    fn evaluate(&self, key: &PodKey, asking: &RefPod, config: &Config) -> Evaluation {
        let pod = &asking.template;
        let nodes: Vec<Node> = self
            .nodes
            .iter()
            .map(|(name, spec)| self.node(name, spec))
            .collect();
        let mut rejected = BTreeMap::<String, usize>::new();
        let mut feasible = Vec::new();
        for node in &nodes {
            let set_aside = self.with_rivals_on(&node.name, key, asking.priority);
            let crowded = set_aside.node(&node.name, &node.spec);
            let mut reasons = set_aside.rejections(pod, &crowded, config);
            if reasons.is_empty() {
                reasons = self.rejections(pod, node, config);
            }
            if reasons.is_empty() {
                feasible.push(node);
            }
            for reason in reasons {
                *rejected.entry(reason).or_default() += 1;
            }
        }
        let message = feasible.is_empty().then(|| {
            let mut reasons: Vec<String> = rejected
                .iter()
                .map(|(reason, count)| format!("{count} {reason}"))
                .collect();
            reasons.sort();
            format!("0/{} nodes are available: {}.", nodes.len(), reasons.join(", "))
        });
        Evaluation {
            totals: self.totals(pod, &feasible, config),
            message,
        }
    }

    /// The cluster as it would be if all other pods that are nominated for a node, and as important, were on it.
    fn with_rivals_on(&self, node: &str, key: &PodKey, priority: i32) -> Self {
        let mut pods = self.pods.clone();
        for (other, pod) in &mut pods {
            let is_rival = other != key && pod.node.is_none() && pod.priority >= priority;
            if is_rival && pod.nominated.as_deref() == Some(node) {
                pod.node = Some(node.to_owned());
                pod.terminating = false;
            }
        }
        Self {
            nodes: self.nodes.clone(),
            pods,
            selectors: DefaultSelectors::default(),
            namespaces: self.namespaces.clone(),
        }
    }

    fn node(&self, name: &str, spec: &NodeSpec) -> Node {
        let mut node = Node {
            name: name.into(),
            present: true,
            spec: spec.clone(),
            ..Node::default()
        };
        for pod in self.pods_on(name) {
            let shape = &pod.template.shape;
            node.requested.add(&shape.requests);
            node.nonzero_cpu += shape.nonzero_cpu;
            node.nonzero_memory += shape.nonzero_memory;
            node.pods += 1;
            node.ports.extend(shape.host_ports.iter().cloned());
        }
        node
    }

    fn pods_on(&self, node: &str) -> impl Iterator<Item = &RefPod> {
        self.pods
            .values()
            .filter(move |pod| pod.node.as_deref() == Some(node))
    }

    /// Pods on nodes that exist and have the label, with its value.
    fn pods_by(&self, key: &str) -> impl Iterator<Item = (&str, &RefPod)> {
        self.pods.values().filter_map(move |pod| {
            let value = self.nodes.get(pod.node.as_ref()?)?.labels.get(key)?;
            Some((value, pod))
        })
    }

    fn rejections(&self, pod: &Template, node: &Node, config: &Config) -> Vec<String> {
        let named = node_affinity::narrow(&pod.shape, pod.pinned.as_deref(), config);
        if matches!(named, Narrowed::To(names) if !names.contains(&&*node.name)) {
            return vec![node_affinity::NOT_NAMED.to_owned()];
        }
        let alone = plugins::rejected_by_spec(&pod.shape, node, config)
            .or_else(|| plugins::rejected_by_usage(&pod.shape, node, config));
        if let Some(plugin) = alone {
            return plugins::reasons(plugin, &pod.shape, node)
                .iter()
                .map(ToString::to_string)
                .collect();
        }
        let related = self
            .spread_rejection(pod, node)
            .or_else(|| self.affinity_rejection(pod, node))
            .or_else(|| {
                (!node_declared_features::accepts(&pod.shape, node)).then_some(node_declared_features::REASON)
            });
        related.map(str::to_owned).into_iter().collect()
    }

    fn spread_rejection(&self, pod: &Template, node: &Node) -> Option<&'static str> {
        let hard: Vec<&SpreadConstraint> = of_kind(&pod.spread, WhenUnsatisfiable::DoNotSchedule);
        for constraint in &hard {
            let Some(value) = node.spec.labels.get(&constraint.topology_key) else {
                return Some(pod_topology_spread::MISSING_LABEL);
            };
            let mut counts = BTreeMap::<&str, i64>::new();
            for (name, spec) in &self.nodes {
                let has_all_keys = hard.iter().all(|c| spec.labels.get(&c.topology_key).is_some());
                if has_all_keys
                    && pod_topology_spread::includes(constraint, &pod.shape, &self.node(name, spec))
                {
                    let domain = spec.labels.get(&constraint.topology_key).unwrap();
                    *counts.entry(domain).or_default() += self.selected_on(name, pod, &constraint.selector);
                }
            }
            let enough = counts.len() >= constraint.min_domains;
            let minimum = if enough {
                counts.values().copied().min().unwrap_or(0)
            } else {
                0
            };
            let count = counts.get(value).copied().unwrap_or(0);
            let itself = i64::from(constraint.selector.matches(&pod.labels));
            if count + itself - minimum > constraint.max_skew {
                return Some(pod_topology_spread::REASON);
            }
        }
        None
    }

    fn selected_on(&self, node: &str, pod: &Template, selector: &Selector) -> i64 {
        let selected = self.pods_on(node).filter(|other| {
            !other.terminating
                && other.template.namespace == pod.namespace
                && selector.matches(&other.template.labels)
        });
        selected.count() as i64
    }

    fn affinity_rejection(&self, pod: &Template, node: &Node) -> Option<&'static str> {
        let about =
            |term: &AffinityTerm, of: &Template| term.matches(&of.namespace, &of.labels, &self.namespaces);
        let domain = |key: &str| node.spec.labels.get(key);
        if let Some(affinity) = &pod.affinity {
            let terms = &affinity.required;
            let matches_all = |other: &Template| terms.iter().all(|term| about(term, other));
            let count = |term: &AffinityTerm, value: Option<&str>| {
                let matching = self
                    .pods_by(&term.topology_key)
                    .filter(|(_, other)| matches_all(&other.template));
                matching
                    .filter(|(found, _)| value.is_none_or(|value| *found == value))
                    .count()
            };
            if terms.iter().any(|term| domain(&term.topology_key).is_none()) {
                return Some(inter_pod_affinity::AFFINITY);
            }
            let friends_here = terms
                .iter()
                .all(|term| count(term, domain(&term.topology_key)) > 0);
            let friends_anywhere = terms.iter().any(|term| count(term, None) > 0);
            if !friends_here && (friends_anywhere || !matches_all(pod)) {
                return Some(inter_pod_affinity::AFFINITY);
            }
            let avoided = affinity.required_anti.iter().any(|term| {
                let mut here = self
                    .pods_by(&term.topology_key)
                    .filter(|(v, _)| Some(*v) == domain(&term.topology_key));
                here.any(|(_, other)| about(term, &other.template))
            });
            if avoided {
                return Some(inter_pod_affinity::ANTI_AFFINITY);
            }
        }
        let rejected = self.pods.values().any(|other| {
            let Some(spec) = other.node.as_ref().and_then(|name| self.nodes.get(name)) else {
                return false;
            };
            let terms = other
                .template
                .affinity
                .iter()
                .flat_map(|affinity| &affinity.required_anti);
            terms.into_iter().any(|term| {
                let theirs = spec.labels.get(&term.topology_key);
                theirs.is_some() && theirs == domain(&term.topology_key) && about(term, pod)
            })
        });
        rejected.then_some(inter_pod_affinity::EXISTING_ANTI_AFFINITY)
    }

    fn totals(&self, pod: &Template, feasible: &[&Node], config: &Config) -> BTreeMap<String, i64> {
        let mut all = Nodes::default();
        for (name, spec) in &self.nodes {
            all.set(name, spec.clone());
        }
        let taints: Vec<i64> = feasible
            .iter()
            .map(|node| taint_toleration::raw_score(&pod.shape, node))
            .collect();
        let attraction: Vec<i64> = feasible
            .iter()
            .map(|node| node_affinity::raw_score(&pod.shape, node))
            .collect();
        let spread = self.spread_scores(pod, feasible);
        let affinity = self.affinity_scores(pod, feasible);
        let most = |scores: &[i64]| scores.iter().copied().max().unwrap_or(0);
        let total = |at: usize, node: &Node| {
            let scores = [
                (
                    Plugin::TaintToleration,
                    plugins::reverse_normalize(taints[at], most(&taints)),
                ),
                (
                    Plugin::NodeAffinity,
                    plugins::default_normalize(attraction[at], most(&attraction)),
                ),
                (
                    Plugin::NodeResourcesFit,
                    node_resources::least_allocated(&pod.shape, node),
                ),
                (Plugin::PodTopologySpread, spread[at]),
                (Plugin::InterPodAffinity, affinity[at]),
                (
                    Plugin::NodeResourcesBalancedAllocation,
                    node_resources::balanced_allocation(&pod.shape, node),
                ),
                (
                    Plugin::ImageLocality,
                    image_locality::score(&pod.shape, node, &all),
                ),
            ];
            scores
                .iter()
                .map(|(plugin, score)| config.weight(*plugin) * score)
                .sum()
        };
        feasible
            .iter()
            .enumerate()
            .map(|(at, node)| (node.name.to_string(), total(at, node)))
            .collect()
    }

    fn spread_scores(&self, pod: &Template, feasible: &[&Node]) -> Vec<i64> {
        let own = of_kind(&pod.spread, WhenUnsatisfiable::ScheduleAnyway);
        let default = match pod.spread.is_empty() {
            true => self
                .selectors
                .of(pod)
                .map(|s| pod_topology_spread::default_constraints(&s))
                .unwrap_or_default(),
            false => Vec::new(),
        };
        let requires_all = !pod.spread.is_empty();
        let soft: Vec<&SpreadConstraint> = own.into_iter().chain(&default).collect();
        if soft.is_empty() {
            return vec![0; feasible.len()];
        }
        let has_all =
            |labels: &Labels| !requires_all || soft.iter().all(|c| labels.get(&c.topology_key).is_some());
        let scored: Vec<&&Node> = feasible
            .iter()
            .filter(|node| has_all(&node.spec.labels))
            .collect();
        let raw = |node: &Node| {
            let mut sum = 0.0;
            for constraint in &soft {
                let key = constraint.topology_key.as_ref();
                let Some(value) = node.spec.labels.get(key) else {
                    continue;
                };
                let (domains, count) = if key == HOSTNAME {
                    (
                        scored.len(),
                        self.selected_on(&node.name, pod, &constraint.selector),
                    )
                } else {
                    let values: BTreeSet<&str> = scored
                        .iter()
                        .map(|n| n.spec.labels.get(key).unwrap_or(""))
                        .collect();
                    let counted = self.nodes.iter().filter(|(name, spec)| {
                        spec.labels.get(key) == Some(value)
                            && has_all(&spec.labels)
                            && pod_topology_spread::includes(constraint, &pod.shape, &self.node(name, spec))
                    });
                    (
                        values.len(),
                        counted
                            .map(|(name, _)| self.selected_on(name, pod, &constraint.selector))
                            .sum(),
                    )
                };
                sum += count as f64 * ((domains + 2) as f64).ln() + (constraint.max_skew - 1) as f64;
            }
            sum.round() as i64
        };
        let raws: Vec<Option<i64>> = feasible
            .iter()
            .map(|n| has_all(&n.spec.labels).then(|| raw(n)))
            .collect();
        let lowest = raws.iter().flatten().copied().min().unwrap_or(0);
        let highest = raws.iter().flatten().copied().max().unwrap_or(0);
        let normalize = |raw: i64| {
            if highest == 0 {
                100
            } else {
                100 * (highest + lowest - raw) / highest
            }
        };
        raws.into_iter().map(|raw| raw.map_or(0, normalize)).collect()
    }

    fn affinity_scores(&self, pod: &Template, feasible: &[&Node]) -> Vec<i64> {
        let mut sums = BTreeMap::<(String, String), i64>::new();
        let mut add = |term: &AffinityTerm, weight: i64, about: &Template, spec: &NodeSpec| {
            if let (true, Some(value)) = (
                term.matches(&about.namespace, &about.labels, &self.namespaces),
                spec.labels.get(&term.topology_key),
            ) {
                *sums
                    .entry((term.topology_key.to_string(), value.to_owned()))
                    .or_default() += weight;
            }
        };
        for other in self.pods.values() {
            let Some(spec) = other.node.as_ref().and_then(|name| self.nodes.get(name)) else {
                continue;
            };
            for (weight, term) in pod.affinity.iter().flat_map(|affinity| &affinity.preferred) {
                add(term, *weight, &other.template, spec);
            }
            let Some(affinity) = &other.template.affinity else {
                continue;
            };
            for term in &affinity.required {
                add(term, 1, pod, spec);
            }
            for (weight, term) in &affinity.preferred {
                add(term, *weight, pod, spec);
            }
        }
        let raw = |node: &&Node| -> i64 {
            let here = sums
                .iter()
                .filter(|((key, value), _)| node.spec.labels.get(key) == Some(value));
            here.map(|(_, sum)| sum).sum()
        };
        let raws: Vec<i64> = feasible.iter().map(raw).collect();
        let (lowest, highest) = (
            raws.iter().copied().min().unwrap_or(0),
            raws.iter().copied().max().unwrap_or(0),
        );
        let normalize = |raw: i64| match highest - lowest {
            0 => 0,
            range => (100.0 * ((raw - lowest) as f64 / range as f64)) as i64,
        };
        raws.into_iter().map(normalize).collect()
    }
}

fn of_kind(constraints: &[SpreadConstraint], kind: WhenUnsatisfiable) -> Vec<&SpreadConstraint> {
    constraints
        .iter()
        .filter(|constraint| constraint.when_unsatisfiable == kind)
        .collect()
}
