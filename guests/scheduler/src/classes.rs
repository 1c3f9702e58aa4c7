//! Classes of pending pods: pods of one shape that ask the same of other pods share one evaluation.
//!
//! A class keeps, per node slot, a base score (or that the node is out) and the group it belongs to. Before a
//! decision it catches up with what changed since its last one, usually a node or two, so that a decision is
//! one scan over an array of numbers.

use std::rc::Rc;

use crate::config::Config;
use crate::fit_error::FitError;
use crate::hash::FastMap;
use crate::model::Model;
use crate::model::node::{Node, NodeChange, Nodes};
use crate::model::template::{Shape, TemplateId};
use crate::plugins::{self, Plugin, image_locality, node_affinity, node_resources, taint_toleration};
use crate::question::{Asking, Question};
use crate::reservations::Bar;
use crate::topology::{Candidates, TopologyState};

/// The score of a node or group that is out: so low that no sum of two real or unreal scores overflows,
/// and none with it in it is taken for a real one.
pub(crate) const OUT: i32 = -1_000_000_000;

/// How many numbers a signature starts with before topology's part: raw taint and affinity scores.
const STATIC_PART: usize = 2;

/// How many array slots all classes together may hold; beyond, the least recently used go.
const SLOT_BUDGET: usize = 1_500_000;
/// Classes that are always affordable.
const MIN_CLASSES: usize = 16;

/// What of a node does not change with the pods on it.
#[derive(Clone, Copy, Debug, Default)]
struct Steady {
    open: bool,
    image_score: i32,
}

/// Nodes that are equal in everything but their base score.
#[derive(Clone, Debug, Default)]
pub(crate) struct Groups {
    /// Group of each slot.
    pub(crate) of: Vec<u32>,
    signatures: Vec<Rc<[i64]>>,
    /// How many nodes of each group have a base score.
    feasible: Vec<u32>,
    ids: FastMap<Rc<[i64]>, u32>,
}

impl Groups {
    fn id(&mut self, signature: &[i64]) -> u32 {
        if let Some(id) = self.ids.get(signature) {
            return *id;
        }
        let id = u32::try_from(self.signatures.len()).expect("fewer groups than u32 has values");
        let signature: Rc<[i64]> = signature.into();
        self.signatures.push(Rc::clone(&signature));
        self.feasible.push(0);
        self.ids.insert(signature, id);
        id
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.signatures.len()
    }

    /// The group of a slot.
    pub(crate) fn group(&self, slot: usize) -> usize {
        self.of.get(slot).map_or(usize::MAX, |group| *group as usize)
    }

    /// What the nodes of a group have in common.
    pub(crate) fn signature(&self, group: usize) -> &[i64] {
        self.signatures.get(group).map_or(&[], |signature| signature)
    }

    /// How many nodes of each group are not out.
    pub(crate) fn feasible(&self) -> &[u32] {
        &self.feasible
    }

    fn recount(&mut self, base: &[i32]) {
        self.feasible.fill(0);
        for (group, base) in self.of.iter().zip(base) {
            if let Some(feasible) = self.feasible.get_mut(*group as usize) {
                *feasible += u32::from(*base != OUT);
            }
        }
    }

    fn adjust(&mut self, slot: usize, difference: i32) {
        let group = self.group(slot);
        if let Some(feasible) = self.feasible.get_mut(group) {
            *feasible = feasible.saturating_add_signed(difference);
        }
    }
}

/// Why nothing fits, and when that is so.
#[derive(Debug)]
pub(crate) struct KnownFailure {
    /// The model's revision.
    pub(crate) revision: (u64, u64),
    /// The nodes that were out for what is set aside on them.
    pub(crate) bars: Vec<Bar>,
    /// Why.
    pub(crate) error: Rc<FitError>,
}

/// The shared evaluation of equal pods.
#[derive(Debug)]
pub(crate) struct Class {
    /// What is judged against a node alone.
    pub(crate) shape: Rc<Shape>,
    topology: Option<TopologyState>,
    steady: Rc<[Steady]>,
    /// Base score per slot, or [`OUT`].
    pub(crate) base: Vec<i32>,
    /// The groups of nodes.
    pub(crate) groups: Groups,
    position: Option<u64>,
    /// The last search that found nothing.
    pub(crate) failure: Option<KnownFailure>,
    last_used: u64,
}

impl Class {
    fn new((shape, question): &ClassKey, model: &mut Model) -> Self {
        let topology = (!question.is_empty()).then(|| model.topology_state(question.clone(), STATIC_PART));
        Self {
            shape: Rc::clone(shape),
            topology,
            steady: Rc::default(),
            base: Vec::new(),
            groups: Groups::default(),
            position: None,
            failure: None,
            last_used: 0,
        }
    }

    /// The counts of other pods, if any matter.
    pub(crate) fn topology(&self) -> Option<&TopologyState> {
        self.topology.as_ref()
    }

    /// Brings everything up to the model's present.
    pub(crate) fn catch_up(&mut self, model: &Model, config: &Config) {
        let nodes = &model.nodes;
        let changes = self.position.and_then(|position| nodes.journal().since(position));
        let crowded = self.groups.len() > 2 * nodes.slots() + 64;
        match changes {
            Some(changes) if !crowded && !changes.contains(&NodeChange::Spec) => {
                for change in changes {
                    if let NodeChange::Usage(slot) = change {
                        self.refresh(*slot, nodes, config);
                    }
                }
                self.follow_topology(model);
            }
            _ => self.rebuild(model, config),
        }
        self.position = Some(nodes.journal().end());
    }

    /// Takes nodes out for one decision. To be followed by [`Self::lift`].
    pub(crate) fn bar(&mut self, bars: &[Bar]) {
        for bar in bars {
            let at = bar.slot as usize;
            let base = self.base.get_mut(at).map(|base| std::mem::replace(base, OUT));
            if base.is_some_and(|base| base != OUT) {
                self.groups.adjust(at, -1);
            }
        }
    }

    /// Judges barred nodes again by what they are.
    pub(crate) fn lift(&mut self, bars: &[Bar], nodes: &Nodes, config: &Config) {
        for bar in bars {
            self.refresh(bar.slot, nodes, config);
        }
    }

    fn rebuild(&mut self, model: &Model, config: &Config) {
        let nodes = &model.nodes;
        if let Some(topology) = &mut self.topology {
            topology.recount(&self.shape, nodes, &model.counters);
        }
        self.groups = Groups::default();
        self.base.clear();
        let mut steadies = Vec::with_capacity(nodes.slots());
        let mut signature = Vec::new();
        for (slot, node) in nodes.iter() {
            let open = node.present
                && plugins::rejected_by_spec(&self.shape, node, config).is_none()
                && !plugins::lacks_features(&self.shape, node, config);
            let image_score = if open && config.weight(Plugin::ImageLocality) > 0 {
                i32::try_from(image_locality::score(&self.shape, node, nodes)).unwrap_or(0)
            } else {
                0
            };
            let steady = Steady { open, image_score };
            steadies.push(steady);
            self.base.push(base_score(&self.shape, node, steady, config));
            self.sign(slot, model, &mut signature);
            // Neighbours are often alike, and comparing is cheaper than looking up.
            let group = match self.groups.of.last() {
                Some(last) if *self.groups.signature(*last as usize) == *signature => *last,
                _ => self.groups.id(&signature),
            };
            self.groups.of.push(group);
            if self.base.last() != Some(&OUT) {
                self.groups.adjust(slot as usize, 1);
            }
        }
        self.steady = steadies.into();
    }

    /// A class that differs in its shape, and there in amounts and ports at most: all that does not depend on
    /// these is taken over. This class must have caught up with the model.
    fn sibling(&self, shape: &Rc<Shape>, model: &mut Model, config: &Config) -> Self {
        let nodes = model.nodes.iter().zip(self.steady.iter());
        let base = nodes.map(|((_, node), steady)| base_score(shape, node, *steady, config));
        let mut sibling = Self {
            shape: Rc::clone(shape),
            base: base.collect(),
            topology: None,
            steady: Rc::clone(&self.steady),
            groups: self.groups.clone(),
            position: self.position,
            failure: None,
            last_used: 0,
        };
        sibling.groups.recount(&sibling.base);
        let topology = self.topology.as_ref();
        sibling.topology = topology.map(|topology| topology.share(&mut model.counters));
        sibling
    }

    fn refresh(&mut self, slot: u32, nodes: &Nodes, config: &Config) {
        let at = slot as usize;
        let (Some(node), Some(steady), Some(base)) =
            (nodes.get(slot), self.steady.get(at), self.base.get_mut(at))
        else {
            return;
        };
        let before = std::mem::replace(base, base_score(&self.shape, node, *steady, config));
        let difference = i32::from(*base != OUT) - i32::from(before != OUT);
        if difference != 0 {
            self.groups.adjust(at, difference);
        }
    }

    fn follow_topology(&mut self, model: &Model) {
        let Some(topology) = &mut self.topology else {
            return;
        };
        let mut moved = Vec::new();
        topology.catch_up(&model.nodes, &model.counters, &mut moved);
        let mut signature = Vec::new();
        for slot in moved {
            let at = slot as usize;
            self.sign(slot, model, &mut signature);
            let group = self.groups.id(&signature);
            let is_feasible = self.base.get(at).is_some_and(|base| *base != OUT);
            if is_feasible {
                self.groups.adjust(at, -1);
            }
            if let Some(of) = self.groups.of.get_mut(at) {
                *of = group;
            }
            if is_feasible {
                self.groups.adjust(at, 1);
            }
        }
    }

    fn sign(&self, slot: u32, model: &Model, signature: &mut Vec<i64>) {
        signature.clear();
        match model.nodes.get(slot).filter(|node| node.present) {
            Some(node) => signature.extend([
                taint_toleration::raw_score(&self.shape, node),
                node_affinity::raw_score(&self.shape, node),
            ]),
            None => signature.extend([0; STATIC_PART]),
        }
        if let Some(topology) = &self.topology {
            topology.sign(slot, &model.nodes, &model.counters, signature);
        }
    }

    /// The weighted scores of groups with feasible nodes: everything that is scored relative to other nodes.
    pub(crate) fn group_scores(&self, groups: &[Candidates<'_>], config: &Config) -> Vec<i64> {
        let raw = |group: &Candidates<'_>, at: usize| group.signature.get(at).copied().unwrap_or(0);
        let worst_taints = groups.iter().map(|group| raw(group, 0)).max().unwrap_or(0);
        let best_affinity = groups.iter().map(|group| raw(group, 1)).max().unwrap_or(0);
        let (taint_weight, affinity_weight) = (
            config.weight(Plugin::TaintToleration),
            config.weight(Plugin::NodeAffinity),
        );
        let alone = |group: &Candidates<'_>| {
            taint_weight * plugins::reverse_normalize(raw(group, 0), worst_taints)
                + affinity_weight * plugins::default_normalize(raw(group, 1), best_affinity)
        };
        let mut scores: Vec<i64> = groups.iter().map(alone).collect();
        if let Some(topology) = &self.topology {
            for (score, more) in scores.iter_mut().zip(topology.scores(groups, config)) {
                *score += more;
            }
        }
        scores
    }
}

fn base_score(shape: &Shape, node: &Node, steady: Steady, config: &Config) -> i32 {
    if !steady.open || plugins::rejected_by_usage(shape, node, config).is_some() {
        return OUT;
    }
    let score = config.weight(Plugin::NodeResourcesFit) * node_resources::least_allocated(shape, node)
        + config.weight(Plugin::NodeResourcesBalancedAllocation)
            * node_resources::balanced_allocation(shape, node)
        + config.weight(Plugin::ImageLocality) * i64::from(steady.image_score);
    // Weights go up to 100 and scores too, so this is far inside an i32.
    i32::try_from(score).unwrap_or(i32::MAX)
}

type ClassKey = (Rc<Shape>, Question);

/// Names a class while it exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClassId(usize);

/// What the answer to "which class?" depends on besides the template.
type Basis = (u64, u64, u64);

/// The classes in use.
#[derive(Default)]
pub(crate) struct Classes {
    ids: FastMap<ClassKey, ClassId>,
    entries: Vec<Option<(ClassKey, Class)>>,
    by_template: Vec<Option<(Basis, ClassId)>>,
    clock: u64,
}

impl Classes {
    /// The class of a template's pods, current as of now.
    pub(crate) fn class_of(
        &mut self,
        id: TemplateId,
        model: &mut Model,
        config: &Config,
    ) -> Option<&mut Class> {
        let class = self.find(id, model, config)?;
        self.clock += 1;
        let (_, class) = self.entries.get_mut(class.0)?.as_mut()?;
        class.last_used = self.clock;
        class.catch_up(model, config);
        Some(class)
    }

    /// A template's id may come back as another template.
    pub(crate) fn forget(&mut self, id: TemplateId) {
        if let Some(known) = self.by_template.get_mut(id.index()) {
            *known = None;
        }
    }

    /// Drops everything, after something changed that all answers may depend on.
    pub(crate) fn clear(&mut self, model: &mut Model) {
        for (_, class) in self.entries.drain(..).flatten() {
            if let Some(topology) = &class.topology {
                topology.release(&mut model.counters);
            }
        }
        self.ids.clear();
        self.by_template.clear();
    }

    fn find(&mut self, id: TemplateId, model: &mut Model, config: &Config) -> Option<ClassId> {
        let basis = (
            model.selectors.revision(),
            model.templates.affinity_revision(),
            model.namespace_revision(),
        );
        if let Some(Some((known, class))) = self.by_template.get(id.index()) {
            if *known == basis && self.entries.get(class.0).is_some_and(Option::is_some) {
                return Some(*class);
            }
        }
        let template = Rc::clone(model.templates.get(id)?);
        let asking = Asking {
            templates: &model.templates,
            selectors: &model.selectors,
            namespaces: model.namespaces(),
            config,
        };
        let key = (Rc::clone(&template.shape), Question::of(&template, &asking));
        let class = match self.ids.get(&key) {
            Some(class) => *class,
            None => self.create(key, model, config),
        };
        if self.by_template.len() <= id.index() {
            self.by_template.resize(id.index() + 1, None);
        }
        self.by_template[id.index()] = Some((basis, class));
        Some(class)
    }

    fn create(&mut self, key: ClassKey, model: &mut Model, config: &Config) -> ClassId {
        self.make_room(model);
        let class = match self.like(&key) {
            Some(other) => {
                other.catch_up(model, config);
                other.sibling(&key.0, model, config)
            }
            None => Class::new(&key, model),
        };
        let at = self.entries.iter().position(Option::is_none).unwrap_or_else(|| {
            self.entries.push(None);
            self.entries.len() - 1
        });
        self.entries[at] = Some((key.clone(), class));
        self.ids.insert(key, ClassId(at));
        ClassId(at)
    }

    /// A class that has most in common with a new one.
    fn like(&mut self, (shape, question): &ClassKey) -> Option<&mut Class> {
        let mut classes = self.entries.iter_mut().flatten();
        let like = classes.find(|((_, known), class)| class.shape.chooses_like(shape) && known == question);
        like.map(|(_, class)| class)
    }

    fn make_room(&mut self, model: &mut Model) {
        let limit = (SLOT_BUDGET / model.nodes.slots().max(1)).max(MIN_CLASSES);
        if self.ids.len() < limit {
            return;
        }
        let oldest = self
            .entries
            .iter()
            .enumerate()
            .filter_map(|(at, entry)| Some((entry.as_ref()?.1.last_used, at)));
        let Some((_, at)) = oldest.min() else { return };
        if let Some((key, class)) = self.entries[at].take() {
            self.ids.remove(&key);
            if let Some(topology) = &class.topology {
                topology.release(&mut model.counters);
            }
        }
        // A new class may take the place, so nothing may still point there.
        self.by_template
            .iter_mut()
            .filter(|known| matches!(known, Some((_, id)) if id.0 == at))
            .for_each(|k| *k = None);
    }
}
