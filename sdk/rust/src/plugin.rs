//! Plugins of the scheduler, in terms of one node at a time: the batches, the numbers of
//! nodes and the bookkeeping of attempts are this module's.
//!
//! ```
//! use windlass_sdk::plugin::{Description, Hooks, Normalize, SchedulerPlugin};
//!
//! /// Keeps pods off nodes whose names end in `-old`.
//! struct NoOldNodes;
//!
//! impl SchedulerPlugin for NoOldNodes {
//!     type Args = serde::de::IgnoredAny;
//!     type Node = bool;
//!     type Attempt = ();
//!
//!     fn describe() -> Description {
//!         Description::new(Hooks::FILTER, Normalize::None)
//!     }
//!     fn new(_: Self::Args) -> Result<Self, String> {
//!         Ok(Self)
//!     }
//!     fn node(&self, name: &str, _: &[u8], _: Option<bool>) -> Result<bool, String> {
//!         Ok(name.ends_with("-old"))
//!     }
//!     fn attempt(&self, _: &[u8]) -> Result<(), String> {
//!         Ok(())
//!     }
//!     fn filter(&self, (): &(), is_old: &bool) -> Result<(), &str> {
//!         if *is_old { Err("node(s) were old") } else { Ok(()) }
//!     }
//! }
//!
//! windlass_sdk::export_scheduler_plugin!(NoOldNodes);
//! ```

use std::any::Any;
use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::marker::PhantomData;
use std::panic::set_hook;

use serde::de::DeserializeOwned;

use crate::bindings::plugin::exports::windlass::scheduler::plugin as wit;
pub use crate::bindings::plugin::exports::windlass::scheduler::plugin::Node;
use crate::bindings::plugin::windlass::scheduler::types::{Hook, HookError};
pub use crate::bindings::plugin::windlass::scheduler::types::{Hooks, Normalize};
use crate::runtime::report_panic;

/// What a node is turned down for that has gone in the meantime.
const GONE: &str = "node(s) are gone";

/// What a plugin has a say in and what it reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description(wit::Description);

impl Description {
    /// A plugin that reads nothing but metadata.
    #[must_use]
    pub fn new(hooks: Hooks, normalize: Normalize) -> Self {
        Self(wit::Description {
            hooks,
            normalize,
            node_fields: Vec::new(),
            pod_fields: Vec::new(),
        })
    }

    /// What of a node's `spec` and `status` it reads.
    #[must_use]
    pub fn node_fields(mut self, fields: &[&str]) -> Self {
        self.0.node_fields = fields.iter().map(|field| (*field).to_owned()).collect();
        self
    }

    /// What of a pod's `spec` and `status` it reads.
    #[must_use]
    pub fn pod_fields(mut self, fields: &[&str]) -> Self {
        self.0.pod_fields = fields.iter().map(|field| (*field).to_owned()).collect();
        self
    }
}

/// A plugin of the scheduler. Make it a component with
/// [`export_scheduler_plugin!`](crate::export_scheduler_plugin).
///
/// Only the hooks of [`Self::describe`] are called. Everything is computing: there is
/// nothing to wait for, and the CPU budget bounds the judging of all nodes for one pod.
pub trait SchedulerPlugin: Sized + 'static {
    /// The arguments of the profile's `pluginConfig`.
    type Args: DeserializeOwned;
    /// What the plugin keeps of a node.
    type Node;
    /// What it keeps of one attempt to schedule one pod.
    type Attempt;

    /// Must not depend on anything.
    fn describe() -> Description;

    /// The instance's state. An error says what is wrong with the arguments.
    fn new(args: Self::Args) -> Result<Self, String>;

    /// Reads a node that came or changed; `before` is what was kept of it so far. A node
    /// that cannot be read suits no pod, and the log says why.
    fn node(&self, name: &str, body: &[u8], before: Option<Self::Node>) -> Result<Self::Node, String>;

    /// An attempt begins: reads the pod. An error is the plugin's failure, not the pod's.
    fn attempt(&self, pod: &[u8]) -> Result<Self::Attempt, String>;

    /// Whether the pod can go anywhere at all, or why not.
    fn pre_filter(&self, _attempt: &mut Self::Attempt) -> Result<(), String> {
        Ok(())
    }

    /// Whether the pod can go to this node, or why not: few different texts, because they
    /// are counted.
    fn filter(&self, _attempt: &Self::Attempt, _node: &Self::Node) -> Result<(), &str> {
        Ok(())
    }

    /// How well the node suits the pod, in the terms of [`Description`]'s `normalize`.
    fn score(&self, _attempt: &Self::Attempt, _node: &Self::Node) -> i64 {
        0
    }

    /// The pod is about to be bound to this node. An error is an objection.
    fn reserve(&mut self, _attempt: &mut Self::Attempt, _node: &mut Self::Node) -> Result<(), String> {
        Ok(())
    }

    /// The node does not get the pod after all. Called, too, when another plugin objected
    /// before this one was asked.
    fn unreserve(&mut self, _attempt: &mut Self::Attempt, _node: &mut Self::Node) {}

    /// The attempt is over. `node` is the one that the pod was bound to, if it was and the
    /// plugin reserved it.
    fn end(&mut self, _attempt: Self::Attempt, _node: Option<&mut Self::Node>) {}
}

/// Exports a [`SchedulerPlugin`](crate::plugin::SchedulerPlugin) from a component.
#[macro_export]
macro_rules! export_scheduler_plugin {
    ($plugin:ty) => {
        // A native build has nothing to export to; it only learns that the plugin is used.
        #[cfg(not(target_arch = "wasm32"))]
        const _: fn() -> $crate::plugin::Description = <$plugin as $crate::plugin::SchedulerPlugin>::describe;
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            type Exported = $crate::plugin::Component<$plugin>;
    $crate::bindings::plugin::export_plugin!(Exported with_types_in $crate::bindings::plugin);
        };
    };
}

/// The exports of a component around `P`.
#[doc(hidden)]
#[derive(Debug)]
pub struct Component<P>(PhantomData<fn() -> P>);

impl<P: SchedulerPlugin> wit::Guest for Component<P> {
    fn describe() -> wit::Description {
        set_hook(Box::new(report_panic));
        P::describe().0
    }

    fn start(args: Vec<u8>) -> Result<(), String> {
        let args = serde_json::from_slice(&args).map_err(|error| format!("its arguments: {error}"))?;
        let judge = Judge::new(P::new(args)?);
        instance::<P>().replace(Some(judge));
        Ok(())
    }

    fn update_nodes(nodes: Vec<wit::Node>) {
        with(|judge: &mut Judge<P>| judge.update_nodes(nodes));
    }

    fn evaluate(
        cycle: u64,
        pod: Option<Vec<u8>>,
        nodes: Vec<u32>,
        asked: Hooks,
    ) -> Result<wit::Evaluation, HookError> {
        with(|judge: &mut Judge<P>| judge.evaluate(cycle, pod, &nodes, asked))
    }

    fn reserve(cycle: u64, node: u32) -> Result<(), String> {
        with(|judge: &mut Judge<P>| judge.reserve(cycle, node))
    }

    fn unreserve(cycle: u64, node: u32) {
        with(|judge: &mut Judge<P>| judge.unreserve(cycle, node));
    }

    fn end_cycle(cycle: u64) {
        with(|judge: &mut Judge<P>| judge.end_cycle(cycle));
    }
}

type Cell<P> = RefCell<Option<Judge<P>>>;

/// The one plugin of this component, which lives as long as its memory.
fn instance<P: SchedulerPlugin>() -> &'static Cell<P> {
    thread_local! {
        static INSTANCE: OnceCell<&'static dyn Any> = const { OnceCell::new() };
    }
    INSTANCE
        .with(|cell| *cell.get_or_init(|| Box::leak(Box::new(Cell::<P>::new(None)))))
        .downcast_ref()
        .expect("a component exports one plugin")
}

fn with<P: SchedulerPlugin, T>(act: impl FnOnce(&mut Judge<P>) -> T) -> T {
    let mut judge = instance::<P>().borrow_mut();
    act(judge.as_mut().expect("the host starts a plugin first"))
}

/// A plugin with the nodes that it knows and the attempts that are under way. Public so
/// that a plugin's own tests can be as close to the host as they like.
pub struct Judge<P: SchedulerPlugin> {
    plugin: P,
    nodes: Vec<Option<P::Node>>,
    attempts: HashMap<u64, Attempt<P>>,
}

struct Attempt<P: SchedulerPlugin> {
    kept: P::Attempt,
    reserved: Option<u32>,
}

impl<P: SchedulerPlugin> Judge<P> {
    /// A plugin that knows no nodes yet.
    pub fn new(plugin: P) -> Self {
        Self {
            plugin,
            nodes: Vec::new(),
            attempts: HashMap::new(),
        }
    }

    /// See the contract's `update-nodes`.
    pub fn update_nodes(&mut self, nodes: Vec<wit::Node>) {
        for wit::Node { index, name, body } in nodes {
            let at = index as usize;
            if self.nodes.len() <= at {
                self.nodes.resize_with(at + 1, || None);
            }
            let Some(place) = self.nodes.get_mut(at) else {
                continue;
            };
            let before = place.take();
            let Some(body) = body else { continue };
            match self.plugin.node(&name, &body, before) {
                Ok(node) => *place = Some(node),
                Err(error) => crate::warn!("a node cannot be read", node = name, error = error),
            }
        }
    }

    /// See the contract's `evaluate`.
    ///
    /// # Errors
    /// When the pod cannot be read, or the attempt is not one that began here.
    pub fn evaluate(
        &mut self,
        cycle: u64,
        pod: Option<Vec<u8>>,
        nodes: &[u32],
        asked: Hooks,
    ) -> Result<wit::Evaluation, HookError> {
        let fail = |message: String| HookError {
            hook: first(asked),
            message,
        };
        if let Some(pod) = pod {
            let kept = self.plugin.attempt(&pod).map_err(fail)?;
            let attempt = Attempt { kept, reserved: None };
            self.attempts.insert(cycle, attempt);
        }
        let attempt = self.attempts.get_mut(&cycle);
        let attempt = attempt.ok_or_else(|| fail(format!("attempt {cycle} is not known")))?;
        let attempt = &mut attempt.kept;
        let mut evaluation = wit::Evaluation {
            rejection: None,
            verdicts: Vec::new(),
            reasons: Vec::new(),
            scores: Vec::new(),
        };
        if asked.contains(Hooks::PRE_FILTER) {
            if let Err(reason) = self.plugin.pre_filter(attempt) {
                evaluation.rejection = Some(reason);
                return Ok(evaluation);
            }
        }
        let node = |index: &u32| self.nodes.get(*index as usize).and_then(Option::as_ref);
        if asked.contains(Hooks::FILTER) {
            evaluation.verdicts.reserve(nodes.len());
            for index in nodes {
                let verdict = node(index).map_or(Err(GONE), |node| self.plugin.filter(attempt, node));
                let number = verdict.map_or_else(|reason| number(&mut evaluation.reasons, reason), |()| 0);
                evaluation.verdicts.push(number);
            }
        }
        if asked.contains(Hooks::SCORE) {
            let score = |index| node(index).map_or(0, |node| self.plugin.score(attempt, node));
            evaluation.scores = nodes.iter().map(score).collect();
        }
        Ok(evaluation)
    }

    /// See the contract's `reserve`.
    ///
    /// # Errors
    /// The plugin's objection.
    pub fn reserve(&mut self, cycle: u64, node: u32) -> Result<(), String> {
        let attempt = self.attempts.get_mut(&cycle);
        let known = self.nodes.get_mut(node as usize).and_then(Option::as_mut);
        let (Some(attempt), Some(known)) = (attempt, known) else {
            return Err(GONE.to_owned());
        };
        self.plugin.reserve(&mut attempt.kept, known)?;
        attempt.reserved = Some(node);
        Ok(())
    }

    /// See the contract's `unreserve`.
    pub fn unreserve(&mut self, cycle: u64, node: u32) {
        let attempt = self.attempts.get_mut(&cycle);
        let node = self.nodes.get_mut(node as usize).and_then(Option::as_mut);
        if let (Some(attempt), Some(node)) = (attempt, node) {
            attempt.reserved = None;
            self.plugin.unreserve(&mut attempt.kept, node);
        }
    }

    /// See the contract's `end-cycle`.
    pub fn end_cycle(&mut self, cycle: u64) {
        if let Some(Attempt { kept, reserved }) = self.attempts.remove(&cycle) {
            let node = reserved.and_then(|index| self.nodes.get_mut(index as usize)?.as_mut());
            self.plugin.end(kept, node);
        }
    }
}

/// The hook at which an attempt begins.
fn first(asked: Hooks) -> Hook {
    if asked.contains(Hooks::PRE_FILTER) {
        Hook::PreFilter
    } else if asked.contains(Hooks::FILTER) {
        Hook::Filter
    } else if asked.contains(Hooks::SCORE) {
        Hook::Score
    } else {
        Hook::Reserve
    }
}

/// The verdict that stands for a reason, which is added if it is new.
fn number(reasons: &mut Vec<String>, reason: &str) -> u16 {
    let at = reasons
        .iter()
        .position(|known| known == reason)
        .unwrap_or_else(|| {
            reasons.push(reason.to_owned());
            reasons.len() - 1
        });
    u16::try_from(at + 1).unwrap_or(u16::MAX)
}
