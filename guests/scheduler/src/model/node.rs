//! Nodes: what they offer, what is taken, and in which topology domain each one is.
//!
//! A node lives in a slot for as long as it exists or holds pods, so that arrays elsewhere can be indexed by
//! slot. Every change is written to a journal, from which evaluations catch up.

use std::rc::Rc;

use serde::Deserialize;

use super::json::{Pairs, Str, nullable};
use super::resources::Resources;
use super::template::{HostPort, Shape, Template};
use crate::hash::FastMap;
use crate::journal::Journal;
use crate::labels::Labels;
use crate::quantity::Quantity;

/// The label with a node's host name.
pub(crate) const HOSTNAME: &str = "kubernetes.io/hostname";
/// The label with a node's zone.
pub(crate) const ZONE: &str = "topology.kubernetes.io/zone";
const REGION: &str = "topology.kubernetes.io/region";

/// The domain of a node without the label.
pub(crate) const NO_DOMAIN: u32 = u32::MAX;

/// One taint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Taint {
    pub(crate) key: Box<str>,
    pub(crate) value: Box<str>,
    pub(crate) effect: Box<str>,
}

/// What a node says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NodeSpec {
    pub(crate) labels: Labels,
    pub(crate) unschedulable: bool,
    pub(crate) taints: Vec<Taint>,
    pub(crate) allocatable: Resources,
    pub(crate) allocatable_pods: i64,
    /// Images by name, with their size.
    pub(crate) images: Vec<(Box<str>, i64)>,
    /// What its agent can do, where not every agent can.
    pub(crate) declared_features: Vec<Box<str>>,
}

impl NodeSpec {
    /// Reads a node.
    pub(crate) fn parse(name: &str, body: &[u8]) -> Result<Self, String> {
        let node: NodeJson<'_> = super::json::read("node", name, body)?;
        let images = node.status.images.iter().flat_map(|image| {
            let names = image.names.iter();
            names.map(|name| ((**name).into(), image.size_bytes))
        });
        Ok(Self {
            labels: node.metadata.labels.labels(),
            unschedulable: node.spec.unschedulable,
            taints: node.spec.taints.iter().map(TaintJson::parse).collect(),
            allocatable: Resources::parse(&node.status.allocatable),
            allocatable_pods: node.status.allocatable.get("pods").map_or(0, |pods| pods.units()),
            images: images.collect(),
            declared_features: node
                .status
                .declared_features
                .iter()
                .map(|f| (**f).into())
                .collect(),
        })
    }
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct NodeJson<'a> {
    metadata: NodeMetadataJson<'a>,
    #[serde(default)]
    spec: NodeSpecJson<'a>,
    #[serde(default)]
    status: NodeStatusJson<'a>,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct NodeMetadataJson<'a> {
    #[serde(default)]
    labels: Pairs<'a, Str<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct NodeSpecJson<'a> {
    #[serde(default)]
    unschedulable: bool,
    #[serde(default, deserialize_with = "nullable")]
    taints: Vec<TaintJson<'a>>,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct TaintJson<'a> {
    key: Str<'a>,
    #[serde(default)]
    value: Str<'a>,
    effect: Str<'a>,
}

impl TaintJson<'_> {
    fn parse(&self) -> Taint {
        Taint {
            key: (&*self.key).into(),
            value: (&*self.value).into(),
            effect: (&*self.effect).into(),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
struct NodeStatusJson<'a> {
    #[serde(default)]
    allocatable: Pairs<'a, Quantity>,
    #[serde(default, deserialize_with = "nullable")]
    images: Vec<ImageJson<'a>>,
    #[serde(default, deserialize_with = "nullable")]
    declared_features: Vec<Str<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
struct ImageJson<'a> {
    #[serde(default, deserialize_with = "nullable")]
    names: Vec<Str<'a>>,
    #[serde(default)]
    size_bytes: i64,
}

/// A node and what is taken of it.
#[derive(Debug, Default)]
pub(crate) struct Node {
    /// The node's name.
    pub(crate) name: Box<str>,
    /// False for a node that is gone, or not known yet, and still holds pods.
    pub(crate) present: bool,
    /// What it says of itself.
    pub(crate) spec: NodeSpec,
    /// Σ requests of its pods.
    pub(crate) requested: Resources,
    /// Σ of CPU with defaults.
    pub(crate) nonzero_cpu: i64,
    /// Σ of memory with defaults.
    pub(crate) nonzero_memory: i64,
    /// How many pods it holds.
    pub(crate) pods: i64,
    /// Host ports in use, one entry per claim.
    pub(crate) ports: Vec<HostPort>,
    /// How many attempts still name it by its slot.
    pub(crate) holds: usize,
}

impl Node {
    fn occupy(&mut self, shape: &Shape) {
        self.requested.add(&shape.requests);
        self.nonzero_cpu += shape.nonzero_cpu;
        self.nonzero_memory += shape.nonzero_memory;
        self.pods += 1;
        self.ports.extend(shape.host_ports.iter().cloned());
    }

    fn vacate(&mut self, shape: &Shape) {
        self.requested.subtract(&shape.requests);
        self.nonzero_cpu -= shape.nonzero_cpu;
        self.nonzero_memory -= shape.nonzero_memory;
        self.pods -= 1;
        for port in &shape.host_ports {
            if let Some(at) = self.ports.iter().position(|used| used == port) {
                self.ports.swap_remove(at);
            }
        }
    }
}

/// What came of taking over what a node says of itself.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Nothing: it says what it said.
    None,
    /// It is there now.
    Added,
    /// It said this before.
    From(NodeSpec),
}

/// One entry of the nodes' journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NodeChange {
    /// Pods came or went on this slot.
    Usage(u32),
    /// The node itself came, went or changed: arrays over all nodes are stale.
    Spec,
}

/// The values of one node label, numbered.
#[derive(Debug, Default)]
pub(crate) struct Topology {
    values: FastMap<Box<str>, u32>,
    domain_of: Vec<u32>,
    members: Vec<Vec<u32>>,
    free: Vec<u32>,
}

impl Topology {
    /// The domain of a slot, or [`NO_DOMAIN`].
    pub(crate) fn domain(&self, slot: u32) -> u32 {
        self.domain_of.get(slot as usize).copied().unwrap_or(NO_DOMAIN)
    }

    /// The slots of a domain.
    pub(crate) fn members(&self, domain: u32) -> &[u32] {
        self.members.get(domain as usize).map_or(&[], Vec::as_slice)
    }

    /// One more than the highest domain there may be.
    pub(crate) fn domains(&self) -> usize {
        self.members.len()
    }

    fn set(&mut self, slot: u32, value: Option<&str>) {
        let at = slot as usize;
        if self.domain_of.len() <= at {
            self.domain_of.resize(at + 1, NO_DOMAIN);
        }
        let domain = value.map_or(NO_DOMAIN, |value| self.intern(value));
        let before = std::mem::replace(&mut self.domain_of[at], domain);
        if before == domain {
            return;
        }
        if let Some(members) = self.members.get_mut(domain as usize) {
            members.push(slot);
        }
        if let Some(members) = self.members.get_mut(before as usize) {
            members.retain(|member| *member != slot);
            if members.is_empty() {
                self.values.retain(|_, candidate| *candidate != before);
                self.free.push(before);
            }
        }
    }

    fn intern(&mut self, value: &str) -> u32 {
        if let Some(domain) = self.values.get(value) {
            return *domain;
        }
        let domain = self.free.pop().unwrap_or_else(|| {
            self.members.push(Vec::new());
            u32::try_from(self.members.len() - 1).expect("fewer domains than u32 has values")
        });
        self.values.insert(value.into(), domain);
        domain
    }
}

/// Every node.
#[derive(Default)]
pub(crate) struct Nodes {
    slots: Vec<Node>,
    by_name: FastMap<Box<str>, u32>,
    free: Vec<u32>,
    present: usize,
    images: FastMap<Box<str>, usize>,
    topologies: FastMap<Box<str>, Topology>,
    journal: Journal<NodeChange>,
    order: Option<Vec<u32>>,
}

impl Nodes {
    /// How many slots there are, empty ones included.
    pub(crate) fn slots(&self) -> usize {
        self.slots.len()
    }

    /// How many nodes there are.
    pub(crate) fn present(&self) -> usize {
        self.present
    }

    /// The node in a slot.
    pub(crate) fn get(&self, slot: u32) -> Option<&Node> {
        self.slots.get(slot as usize)
    }

    /// Every slot with its node, gone ones and empty ones included.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Node)> {
        (0..).zip(&self.slots)
    }

    /// The slot of a node.
    pub(crate) fn slot(&self, name: &str) -> Option<u32> {
        self.by_name.get(name).copied()
    }

    /// What has changed.
    pub(crate) fn journal(&self) -> &Journal<NodeChange> {
        &self.journal
    }

    /// How many nodes hold an image.
    pub(crate) fn nodes_with_image(&self, image: &str) -> usize {
        self.images.get(image).copied().unwrap_or(0)
    }

    /// Adds a node or takes over what it now says of itself.
    pub(crate) fn set(&mut self, name: &str, spec: NodeSpec) -> (u32, Change) {
        let slot = self.slot_for(name);
        let node = &mut self.slots[slot as usize];
        if node.present && node.spec == spec {
            return (slot, Change::None);
        }
        let before = node.present.then(|| std::mem::take(&mut node.spec));
        if before.is_none() {
            node.present = true;
            self.present += 1;
        }
        if before.as_ref().is_none_or(|before| before.images != spec.images) {
            self.count_images(before.as_ref().map_or(&[], |before| &before.images), &spec.images);
        }
        self.slots[slot as usize].spec = spec;
        self.respecify(slot);
        (slot, before.map_or(Change::Added, Change::From))
    }

    /// Takes a node out; it stays as a ghost while it holds pods or is held.
    pub(crate) fn remove(&mut self, name: &str) -> Option<NodeSpec> {
        let slot = self.slot(name)?;
        let node = &mut self.slots[slot as usize];
        if !node.present {
            return None;
        }
        node.present = false;
        let spec = std::mem::take(&mut node.spec);
        self.present -= 1;
        self.count_images(&spec.images, &[]);
        self.respecify(slot);
        self.reclaim(slot);
        Some(spec)
    }

    /// The slot of a node by name, created as a ghost if need be.
    pub(crate) fn slot_for(&mut self, name: &str) -> u32 {
        if let Some(slot) = self.by_name.get(name) {
            return *slot;
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Node::default());
            u32::try_from(self.slots.len() - 1).expect("fewer nodes than u32 has values")
        });
        self.slots[slot as usize] = Node {
            name: name.into(),
            ..Node::default()
        };
        self.by_name.insert(name.into(), slot);
        slot
    }

    /// A pod comes to a slot.
    pub(crate) fn occupy(&mut self, slot: u32, shape: &Shape) {
        if let Some(node) = self.slots.get_mut(slot as usize) {
            node.occupy(shape);
            self.journal.push(NodeChange::Usage(slot), self.slots.len());
        }
    }

    /// A pod leaves a slot.
    pub(crate) fn vacate(&mut self, slot: u32, shape: &Shape) {
        if let Some(node) = self.slots.get_mut(slot as usize) {
            node.vacate(shape);
            self.journal.push(NodeChange::Usage(slot), self.slots.len());
            self.reclaim(slot);
        }
    }

    /// The slot goes to no other node until it is let go as often as it was held.
    pub(crate) fn hold(&mut self, slot: u32) {
        if let Some(node) = self.slots.get_mut(slot as usize) {
            node.holds += 1;
        }
    }

    /// See [`Self::hold`].
    pub(crate) fn let_go(&mut self, slot: u32) {
        if let Some(node) = self.slots.get_mut(slot as usize).filter(|node| node.holds > 0) {
            node.holds -= 1;
            self.reclaim(slot);
        }
    }

    /// What a slot would be judged if it held these pods, too. Nothing is left of them, not even in the journal.
    pub(crate) fn as_if_held<T>(
        &mut self,
        slot: u32,
        pods: &[Rc<Template>],
        judge: impl FnOnce(&Node) -> Option<T>,
    ) -> Option<T> {
        let node = self.slots.get_mut(slot as usize)?;
        pods.iter().for_each(|pod| node.occupy(&pod.shape));
        let verdict = judge(node);
        pods.iter().for_each(|pod| node.vacate(&pod.shape));
        verdict
    }

    /// Numbers the values of a label, if that was not done before.
    pub(crate) fn index_topology(&mut self, key: &str) {
        if self.topologies.contains_key(key) {
            return;
        }
        let mut topology = Topology::default();
        for (slot, node) in (0..).zip(&self.slots) {
            topology.set(slot, node.spec.labels.get(key));
        }
        self.topologies.insert(key.into(), topology);
    }

    /// The numbered values of a label, after [`Self::index_topology`].
    pub(crate) fn topology(&self, key: &str) -> Option<&Topology> {
        self.topologies.get(key)
    }

    /// Present slots, one zone after the other, as sampling visits them.
    pub(crate) fn visiting_order(&mut self) -> &[u32] {
        let Self { slots, order, .. } = self;
        order.get_or_insert_with(|| interleave_zones(slots))
    }

    fn respecify(&mut self, slot: u32) {
        let labels = self.slots.get(slot as usize).map(|node| &node.spec.labels);
        for (key, topology) in &mut self.topologies {
            topology.set(slot, labels.and_then(|labels| labels.get(key)));
        }
        self.journal.push(NodeChange::Spec, self.slots.len());
        self.order = None;
    }

    fn reclaim(&mut self, slot: u32) {
        let Some(node) = self.slots.get_mut(slot as usize) else {
            return;
        };
        if node.present || node.pods > 0 || node.holds > 0 {
            return;
        }
        self.by_name.remove(&node.name);
        *node = Node::default();
        self.free.push(slot);
    }

    fn count_images(&mut self, before: &[(Box<str>, i64)], after: &[(Box<str>, i64)]) {
        for (name, _) in before {
            if let Some(count) = self.images.get_mut(name) {
                *count -= 1;
                if *count == 0 {
                    self.images.remove(name);
                }
            }
        }
        for (name, _) in after {
            *self.images.entry(name.clone()).or_default() += 1;
        }
    }
}

/// Takes one node of each zone in turn, as upstream's `node_tree` does.
fn interleave_zones(slots: &[Node]) -> Vec<u32> {
    let mut zones: Vec<(String, Vec<u32>)> = Vec::new();
    for (slot, node) in (0..).zip(slots).filter(|(_, node)| node.present) {
        let label = |key| node.spec.labels.get(key).unwrap_or("");
        let zone = format!("{}:\0:{}", label(REGION), label(ZONE));
        match zones.iter_mut().find(|(candidate, _)| *candidate == zone) {
            Some((_, members)) => members.push(slot),
            None => zones.push((zone, vec![slot])),
        }
    }
    let longest = zones.iter().map(|(_, members)| members.len()).max().unwrap_or(0);
    (0..longest)
        .flat_map(|at| {
            zones
                .iter()
                .filter_map(move |(_, members)| members.get(at).copied())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(zone: &str) -> NodeSpec {
        NodeSpec {
            labels: Labels::new([(ZONE, zone)]),
            ..NodeSpec::default()
        }
    }

    #[test]
    fn a_removed_node_stays_as_a_ghost_until_its_pods_are_gone() {
        let mut nodes = Nodes::default();
        let (slot, change) = nodes.set("a", node("z"));
        assert_eq!(change, Change::Added);
        nodes.occupy(slot, &Shape::default());
        nodes.remove("a");
        assert_eq!((nodes.present(), nodes.slot("a")), (0, Some(slot)));
        nodes.vacate(slot, &Shape::default());
        assert_eq!(nodes.slot("a"), None);
        assert_eq!(nodes.slot_for("b"), slot);
    }

    #[test]
    fn a_slot_that_is_held_goes_to_no_other_node() {
        let mut nodes = Nodes::default();
        let (slot, _) = nodes.set("a", node("z"));
        nodes.hold(slot);
        nodes.remove("a");
        assert_ne!(nodes.set("b", node("z")).0, slot);
        nodes.let_go(slot);
        assert_eq!(nodes.set("c", node("z")).0, slot);
        nodes.let_go(slot);
        assert_eq!(nodes.set("c", node("y")), (slot, Change::From(node("z"))));
    }

    #[test]
    fn sampling_visits_zones_in_turn() {
        let mut nodes = Nodes::default();
        for (name, zone) in [("a", "1"), ("b", "1"), ("c", "2"), ("d", "1"), ("e", "2")] {
            nodes.set(name, node(zone));
        }
        assert_eq!(nodes.visiting_order(), [0, 2, 1, 4, 3]);
    }

    #[test]
    fn domains_follow_the_label_and_are_reused() {
        let mut nodes = Nodes::default();
        nodes.index_topology(ZONE);
        nodes.set("a", node("1"));
        nodes.set("b", node("2"));
        nodes.set("b", node("1"));
        let topology = nodes.topology(ZONE).unwrap();
        assert_eq!(topology.domain(0), topology.domain(1));
        assert_eq!(topology.members(topology.domain(0)), [0, 1]);
        nodes.set("b", node("3"));
        assert_eq!(nodes.topology(ZONE).unwrap().domains(), 2);
    }

    #[test]
    fn an_unchanged_node_leaves_no_trace_in_the_journal() {
        let mut nodes = Nodes::default();
        nodes.set("a", node("1"));
        let end = nodes.journal().end();
        assert_eq!(nodes.set("a", node("1")), (0, Change::None));
        assert_eq!(nodes.journal().end(), end);
    }

    #[test]
    fn nodes_are_read_with_their_allocatable_amounts_and_images() {
        let body = br#"{"metadata":{"labels":{"a":"1"}},"spec":{"unschedulable":true,"taints":[{"key":"k","effect":"NoSchedule"}]},
            "status":{"allocatable":{"cpu":"4","memory":"1Gi","pods":"110","example.com/gpu":"2"},"images":[{"names":["a@x","a:1"],"sizeBytes":7}],"declaredFeatures":["F"]}}"#;
        let spec = NodeSpec::parse("n", body).unwrap();
        assert!(spec.unschedulable);
        assert_eq!((spec.allocatable.cpu, spec.allocatable_pods), (4000, 110));
        assert_eq!(spec.allocatable.scalar("example.com/gpu"), 2);
        assert_eq!(spec.images.len(), 2);
        assert_eq!(spec.declared_features, ["F".into()]);
    }
}
