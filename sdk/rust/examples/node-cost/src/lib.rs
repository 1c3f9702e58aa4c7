//! A plugin of the scheduler that goes by what nodes say of themselves: pods stay off
//! nodes with the annotation `node-cost.windlass.dev/maintenance: "true"`, prefer a low
//! `node-cost.windlass.dev/cost`, and with the argument `maxReserved` a node never has more
//! pods on their way to it than that.
//!
//! A pod with the annotation `node-cost.windlass.dev/hold: "true"` is not scheduled at all.

use std::collections::BTreeMap;

use serde::Deserialize;
use windlass_sdk::metrics::Gauge;
use windlass_sdk::plugin::{Description, Hooks, Normalize, SchedulerPlugin};

const MAINTENANCE: &str = "node-cost.windlass.dev/maintenance";
const COST: &str = "node-cost.windlass.dev/cost";
const HOLD: &str = "node-cost.windlass.dev/hold";

/// The arguments.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Args {
    /// What a node costs that does not say.
    default_cost: i64,
    /// Pods that may be on their way to a node at once; 0 is any number.
    max_reserved: u32,
}

/// The plugin.
#[derive(Debug)]
pub struct NodeCost {
    args: Args,
    on_their_way: Gauge<0>,
}

/// What it keeps of a node.
#[derive(Debug, Default)]
pub struct Node {
    under_maintenance: bool,
    cost: i64,
    /// Pods on their way to it.
    reserved: u32,
}

/// What it keeps of an attempt.
#[derive(Debug)]
pub struct Attempt {
    on_hold: bool,
    has_reserved: bool,
}

#[derive(Deserialize)]
struct Object {
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

fn annotations(body: &[u8]) -> Result<BTreeMap<String, String>, String> {
    let object: Object = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    Ok(object.metadata.annotations)
}

fn is_true(annotations: &BTreeMap<String, String>, name: &str) -> bool {
    annotations.get(name).is_some_and(|value| value == "true")
}

impl SchedulerPlugin for NodeCost {
    type Args = Args;
    type Node = Node;
    type Attempt = Attempt;

    fn describe() -> Description {
        let hooks = Hooks::PRE_FILTER | Hooks::FILTER | Hooks::SCORE | Hooks::RESERVE;
        Description::new(hooks, Normalize::LowestIsBest)
    }

    fn new(args: Args) -> Result<Self, String> {
        if args.default_cost < 0 {
            return Err("defaultCost must not be below 0".to_owned());
        }
        let help = "Pods that a node is reserved for and that are not bound yet.";
        let on_their_way = Gauge::declare("node_cost_reserved_pods", help, [])?;
        Ok(Self { args, on_their_way })
    }

    fn node(&self, _: &str, body: &[u8], before: Option<Node>) -> Result<Node, String> {
        let annotations = annotations(body)?;
        let cost = annotations.get(COST).and_then(|cost| cost.parse().ok());
        Ok(Node {
            under_maintenance: is_true(&annotations, MAINTENANCE),
            cost: cost.filter(|cost| *cost >= 0).unwrap_or(self.args.default_cost),
            reserved: before.map_or(0, |before| before.reserved),
        })
    }

    fn attempt(&self, pod: &[u8]) -> Result<Attempt, String> {
        Ok(Attempt {
            on_hold: is_true(&annotations(pod)?, HOLD),
            has_reserved: false,
        })
    }

    fn pre_filter(&self, attempt: &mut Attempt) -> Result<(), String> {
        match attempt.on_hold {
            true => Err("pod is on hold".to_owned()),
            false => Ok(()),
        }
    }

    fn filter(&self, _: &Attempt, node: &Node) -> Result<(), &str> {
        match node.under_maintenance {
            true => Err("node(s) were under maintenance"),
            false => Ok(()),
        }
    }

    fn score(&self, _: &Attempt, node: &Node) -> i64 {
        node.cost
    }

    fn reserve(&mut self, attempt: &mut Attempt, node: &mut Node) -> Result<(), String> {
        if self.args.max_reserved > 0 && node.reserved >= self.args.max_reserved {
            return Err("node(s) had too many pods on their way".to_owned());
        }
        node.reserved += 1;
        attempt.has_reserved = true;
        self.on_their_way.add([], 1.0);
        Ok(())
    }

    fn unreserve(&mut self, attempt: &mut Attempt, node: &mut Node) {
        // Also called when another plugin objected before this one was asked.
        if std::mem::take(&mut attempt.has_reserved) {
            self.leave(node);
        }
    }

    fn end(&mut self, _: Attempt, node: Option<&mut Node>) {
        if let Some(node) = node {
            self.leave(node);
        }
    }
}

impl NodeCost {
    /// A pod is not on its way to this node any more.
    fn leave(&self, node: &mut Node) {
        node.reserved = node.reserved.saturating_sub(1);
        self.on_their_way.add([], -1.0);
    }
}

windlass_sdk::export_scheduler_plugin!(NodeCost);

#[cfg(test)]
mod tests;
