//! Plugins that are components: what a profile asks of them and what comes of it.
//!
//! A plugin is called once per pod as long as it is the only one with a filter: what it
//! says of all nodes comes back together, scores included. With several, each is asked to
//! filter what those before it left, and whoever scores does so for the nodes that are
//! left in the end, because scores are scaled by each other. A single node that is left
//! needs no score, and a node that was set aside for the pod is asked about alone first.
//!
//! Nothing that a plugin answers is taken on trust, and nothing that it does can fail more
//! than the attempt at hand.

mod calls;
mod seen;
mod verdict;

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use self::calls::NoPlugins;
pub(crate) use self::calls::{
    Available, Evaluation, Failure, HookError, HookName, Hooks, NodeUpdate, Normalize, PluginCalls,
};
pub(crate) use self::seen::SeenNodes;
use self::verdict::{check, scaled};
use crate::config::{EnabledPlugin, Profile};
use crate::hash::FastSet;
use crate::model::Model;

/// Nodes that a plugin is told of in one call, so that a large cluster is no more than its
/// budget for a call and the memory of either side allow.
const AT_ONCE: usize = 200;

/// Why an attempt ends here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// A plugin says that the pod cannot go anywhere, or not there.
    Rejected(String),
    /// A plugin is at fault.
    Failed(String),
}

/// What the plugins said of some nodes.
#[derive(Debug, Default)]
pub(crate) struct Judged {
    /// The nodes that all accept.
    pub(crate) accepted: Vec<u32>,
    /// Weighted scores of these, in their order.
    pub(crate) scores: Vec<i64>,
    /// Why others are out, with how many.
    pub(crate) rejected: Vec<(String, usize)>,
}

/// The plugins of one profile.
#[derive(Default)]
pub(crate) struct External {
    /// In the order in which they judge.
    plugins: Vec<Opened>,
    /// Positions of those that reserve, in the order in which they do.
    reserving: Vec<usize>,
}

/// A plugin that was opened with the arguments of a profile.
struct Opened {
    number: u32,
    name: String,
    hooks: Hooks,
    weight: i64,
    normalize: Normalize,
    stale: Stale,
    /// How many instances of it have ended.
    ended: u32,
}

/// An instance of a plugin, by the number of the plugin and of those before it.
type InstanceId = (u32, u32);

/// The nodes of which a plugin does not know the present state.
enum Stale {
    All,
    /// By number and name: a number may have gone from one node to another since.
    Some(FastSet<(u32, Box<str>)>),
}

/// One attempt for one pod, with the plugins that were told of it.
#[derive(Debug)]
pub(crate) struct Attempt<'a> {
    cycle: u64,
    pod: &'a [u8],
    begun: Vec<InstanceId>,
    /// Whether all that look at the pod as such have let it pass.
    has_passed: bool,
}

/// What plugins hold for a pod that is being bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    pub(crate) profile: usize,
    pub(crate) cycle: u64,
    pub(crate) slot: u32,
    /// Who was told of the attempt. The next instance of a plugin knows nothing of it.
    begun: Vec<InstanceId>,
}

impl<'a> Attempt<'a> {
    /// An attempt that nobody knows of yet.
    pub(crate) fn new(cycle: u64, pod: &'a [u8]) -> Self {
        Self {
            cycle,
            pod,
            begun: Vec::new(),
            has_passed: false,
        }
    }

    /// The pod, for an instance that has not seen it.
    fn pod_for(&mut self, instance: InstanceId) -> Option<&'a [u8]> {
        if self.begun.contains(&instance) {
            return None;
        }
        self.begun.push(instance);
        Some(self.pod)
    }

    /// What is kept of it while the pod is bound.
    pub(crate) fn reservation(self, profile: usize, slot: u32) -> Reservation {
        Reservation {
            profile,
            cycle: self.cycle,
            slot,
            begun: self.begun,
        }
    }
}

impl External {
    /// Opens what a profile enables.
    ///
    /// # Errors
    /// What is wrong with the first that does not start.
    pub(crate) fn open(
        profile: &Profile,
        available: &[Available],
        calls: &mut dyn PluginCalls,
    ) -> Result<Self, String> {
        let open = |plugin: &EnabledPlugin| {
            let number = calls.open(&plugin.name, plugin.args.as_bytes());
            let number = number.map_err(|error| format!("plugin {:?}: {error}", plugin.name))?;
            let described = available.iter().find(|known| known.name == plugin.name);
            Ok(Opened {
                number,
                name: plugin.name.clone(),
                hooks: plugin.hooks,
                weight: plugin.weight,
                normalize: described.map_or(Normalize::None, |plugin| plugin.normalize),
                stale: Stale::All,
                ended: 0,
            })
        };
        Ok(Self {
            plugins: profile.external.iter().map(open).collect::<Result<_, String>>()?,
            reserving: profile.reserving.clone(),
        })
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.plugins.is_empty()
    }

    /// A node came, changed or went.
    pub(crate) fn note_node(&mut self, slot: u32, name: &str) {
        for plugin in &mut self.plugins {
            if let Stale::Some(nodes) = &mut plugin.stale {
                nodes.insert((slot, name.into()));
            }
        }
    }

    /// Whether the plugins accept a node that was set aside for the pod.
    ///
    /// # Errors
    /// When one of them rejects the pod as such, or is at fault.
    pub(crate) fn accept(
        &mut self,
        attempt: &mut Attempt<'_>,
        slot: u32,
        model: &Model,
        calls: &mut dyn PluginCalls,
    ) -> Result<bool, Stop> {
        let mut judged = Judged::of(vec![slot]);
        self.sift(attempt, &mut judged, model, calls)?;
        Ok(!judged.accepted.is_empty())
    }

    /// Has the plugins judge these nodes.
    ///
    /// # Errors
    /// When one of them rejects the pod as such, or is at fault.
    pub(crate) fn judge(
        &mut self,
        attempt: &mut Attempt<'_>,
        candidates: Vec<u32>,
        model: &Model,
        calls: &mut dyn PluginCalls,
    ) -> Result<Judged, Stop> {
        let mut judged = Judged::of(candidates);
        let mut given = self.sift(attempt, &mut judged, model, calls)?;
        judged.scores = vec![0; judged.accepted.len()];
        if judged.accepted.len() < 2 {
            return Ok(judged);
        }
        for (at, plugin) in self.plugins.iter_mut().enumerate() {
            if !plugin.hooks.contains(Hooks::SCORE) {
                continue;
            }
            let raw = match given.take_if(|(giver, _)| *giver == at) {
                Some((_, scores)) => scores,
                None => {
                    let evaluation =
                        plugin.evaluate(attempt, &judged.accepted, Hooks::SCORE, model, calls)?;
                    evaluation.scores
                }
            };
            let scores = scaled(&plugin.name, raw, plugin.normalize).map_err(Stop::Failed)?;
            for (total, score) in judged.scores.iter_mut().zip(scores) {
                *total += plugin.weight * score;
            }
        }
        Ok(judged)
    }

    /// Has the plugins look at the pod, if they have not yet, and filter these nodes. Several
    /// nodes are scored as well by the last one that filters, which comes back with its scores.
    fn sift(
        &mut self,
        attempt: &mut Attempt<'_>,
        judged: &mut Judged,
        model: &Model,
        calls: &mut dyn PluginCalls,
    ) -> Result<Option<(usize, Vec<i64>)>, Stop> {
        let filters = |plugin: &Opened| plugin.hooks.contains(Hooks::FILTER);
        let last = self.plugins.iter().rposition(filters);
        let mut given = None;
        for (at, plugin) in self.plugins.iter_mut().enumerate() {
            let mut asked = Hooks::NONE;
            if !attempt.has_passed {
                asked = asked.or(Hooks::PRE_FILTER);
            }
            if !judged.accepted.is_empty() {
                asked = asked.or(Hooks::FILTER);
            }
            if Some(at) == last && judged.accepted.len() > 1 {
                asked = asked.or(Hooks::SCORE);
            }
            let asked = asked.and(plugin.hooks);
            if asked == Hooks::NONE {
                continue;
            }
            let evaluation = plugin.evaluate(attempt, &judged.accepted, asked, model, calls)?;
            if let Some(reason) = evaluation.rejection {
                return Err(Stop::Rejected(reason));
            }
            if asked.contains(Hooks::FILTER) {
                let scores = judged.sieve(evaluation);
                given = asked.contains(Hooks::SCORE).then_some((at, scores));
            }
        }
        attempt.has_passed = true;
        Ok(given)
    }

    /// Has the plugins take note of the node that was chosen.
    ///
    /// # Errors
    /// When one objects or is at fault; then all have been told that nothing came of it.
    pub(crate) fn reserve(
        &mut self,
        attempt: &mut Attempt<'_>,
        slot: u32,
        model: &Model,
        calls: &mut dyn PluginCalls,
    ) -> Result<(), Stop> {
        let result = self.try_reserve(attempt, slot, model, calls);
        if result.is_err() {
            self.unreserve(attempt.cycle, &attempt.begun, slot, calls);
        }
        result
    }

    fn try_reserve(
        &mut self,
        attempt: &mut Attempt<'_>,
        slot: u32,
        model: &Model,
        calls: &mut dyn PluginCalls,
    ) -> Result<(), Stop> {
        for at in &self.reserving {
            let Some(plugin) = self.plugins.get_mut(*at) else {
                continue;
            };
            if !attempt.begun.contains(&plugin.instance()) {
                plugin.evaluate(attempt, &[], Hooks::NONE, model, calls)?;
            }
            match calls.reserve(plugin.number, attempt.cycle, slot) {
                Ok(()) => {}
                Err(Failure::Hook(objection)) => return Err(Stop::Rejected(objection.message)),
                Err(Failure::Ended(reason)) => {
                    plugin.bury();
                    let name = &plugin.name;
                    return Err(Stop::Failed(format!("running Reserve plugin {name:?}: {reason}")));
                }
            }
        }
        Ok(())
    }

    /// Tells, in reverse order, that a node does not get its pod.
    pub(crate) fn unreserve(
        &mut self,
        cycle: u64,
        begun: &[InstanceId],
        slot: u32,
        calls: &mut dyn PluginCalls,
    ) {
        for at in self.reserving.iter().rev() {
            match self.plugins.get_mut(*at) {
                Some(plugin) if begun.contains(&plugin.instance()) => {
                    plugin.survive(calls.unreserve(plugin.number, cycle, slot));
                }
                _ => {}
            }
        }
    }

    /// The attempt is over.
    pub(crate) fn end(&mut self, cycle: u64, begun: &[InstanceId], calls: &mut dyn PluginCalls) {
        for plugin in &mut self.plugins {
            if begun.contains(&plugin.instance()) {
                plugin.survive(calls.end_cycle(plugin.number, cycle));
            }
        }
    }

    /// The same for an attempt that came to nothing.
    pub(crate) fn abandon(&mut self, attempt: &Attempt<'_>, calls: &mut dyn PluginCalls) {
        self.end(attempt.cycle, &attempt.begun, calls);
    }

    /// The pod was bound to its node, or was not.
    pub(crate) fn settle(&mut self, reservation: &Reservation, is_bound: bool, calls: &mut dyn PluginCalls) {
        if !is_bound {
            self.unreserve(reservation.cycle, &reservation.begun, reservation.slot, calls);
        }
        self.end(reservation.cycle, &reservation.begun, calls);
    }

    /// Whether a plugin held anything for the pod.
    pub(crate) fn has_reserved(&self, reservation: &Reservation) -> bool {
        let mut reserving = self.reserving.iter().filter_map(|at| self.plugins.get(*at));
        reserving.any(|plugin| reservation.begun.contains(&plugin.instance()))
    }
}

impl Opened {
    /// Asks, and checks that the answer is one.
    fn evaluate(
        &mut self,
        attempt: &mut Attempt<'_>,
        nodes: &[u32],
        asked: Hooks,
        model: &Model,
        calls: &mut dyn PluginCalls,
    ) -> Result<Evaluation, Stop> {
        self.catch_up(model, calls).map_err(Stop::Failed)?;
        let nodes = match asked.and(Hooks::FILTER.or(Hooks::SCORE)) {
            Hooks::NONE => &[],
            _ => nodes,
        };
        let pod = attempt.pod_for(self.instance());
        match calls.evaluate(self.number, attempt.cycle, pod, nodes, asked) {
            Ok(evaluation) => check(&self.name, evaluation, nodes.len(), asked).map_err(Stop::Failed),
            Err(failure) => Err(Stop::Failed(self.failed(failure, "evaluate"))),
        }
    }

    /// Tells the plugin what it does not know of the nodes.
    fn catch_up(&mut self, model: &Model, calls: &mut dyn PluginCalls) -> Result<(), String> {
        let mut slots: Vec<(u32, Box<str>)> = match &mut self.stale {
            Stale::All => {
                let present = model.nodes.iter().filter(|(_, node)| node.present);
                present.map(|(slot, node)| (slot, node.name.clone())).collect()
            }
            Stale::Some(nodes) if nodes.is_empty() => return Ok(()),
            Stale::Some(nodes) => nodes.drain().collect(),
        };
        let is_there = |slot: u32, name: &str| {
            let node = model.nodes.get(slot);
            node.is_some_and(|node| node.present && *node.name == *name)
        };
        // Who had a number goes before another comes to have it.
        slots.sort_by_key(|(slot, name)| is_there(*slot, name));
        self.stale = Stale::Some(FastSet::default());
        for slots in slots.chunks(AT_ONCE) {
            let update = |(slot, name): &(u32, Box<str>)| NodeUpdate {
                slot: *slot,
                name: name.clone(),
                body: is_there(*slot, name).then(|| calls.node(name)).flatten(),
            };
            let updates: Vec<NodeUpdate> = slots.iter().map(update).collect();
            if let Err(failure) = calls.update_nodes(self.number, &updates) {
                let message = self.failed(failure, "update-nodes");
                // What follows was not told.
                self.stale = Stale::All;
                return Err(message);
            }
        }
        Ok(())
    }

    fn failed(&mut self, failure: Failure, function: &str) -> String {
        if matches!(failure, Failure::Ended(_)) {
            self.bury();
        }
        let name = &self.name;
        match failure {
            Failure::Hook(HookError { hook, message }) => match hook {
                HookName::PreFilter => format!("running PreFilter plugin {name:?}: {message}"),
                HookName::Filter => format!("running {name:?} filter plugin: {message}"),
                HookName::Score => {
                    format!("running Score plugins: plugin {name:?} failed with: {message}")
                }
                HookName::Reserve => format!("running Reserve plugin {name:?}: {message}"),
            },
            Failure::Ended(reason) => {
                format!("running plugin {name:?}: {function}: {reason}")
            }
        }
    }

    /// Nobody waits for the answer, but the instance may be gone.
    fn survive(&mut self, result: Result<(), Failure>) {
        if matches!(result, Err(Failure::Ended(_))) {
            self.bury();
        }
    }

    /// The next instance has to be told everything again.
    fn bury(&mut self) {
        self.stale = Stale::All;
        self.ended = self.ended.wrapping_add(1);
    }

    /// The instance that would be called now.
    fn instance(&self) -> InstanceId {
        (self.number, self.ended)
    }
}

impl Judged {
    /// Nodes of which nobody has said anything yet.
    fn of(candidates: Vec<u32>) -> Self {
        Self {
            accepted: candidates,
            ..Self::default()
        }
    }

    /// Lets those through that the plugin accepts; their raw scores, if it gave any.
    fn sieve(&mut self, evaluation: Evaluation) -> Vec<i64> {
        let Evaluation {
            verdicts,
            reasons,
            mut scores,
            ..
        } = evaluation;
        // Mostly nobody is turned down: verdicts are checked against the reasons.
        if reasons.is_empty() {
            return scores;
        }
        let mut counts = vec![0_usize; reasons.len()];
        for verdict in &verdicts {
            let reason = usize::from(*verdict).checked_sub(1);
            if let Some(count) = reason.and_then(|reason| counts.get_mut(reason)) {
                *count += 1;
            }
        }
        let accepts = || verdicts.iter().map(|verdict| *verdict == 0);
        let mut accepted = accepts();
        self.accepted.retain(|_| accepted.next() == Some(true));
        let mut accepted = accepts();
        scores.retain(|_| accepted.next() == Some(true));
        let reasons = reasons.into_iter().zip(counts);
        self.rejected.extend(reasons.filter(|(_, count)| *count > 0));
        scores
    }
}

#[cfg(test)]
mod tests;
