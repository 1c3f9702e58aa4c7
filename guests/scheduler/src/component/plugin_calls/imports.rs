//! `windlass:scheduler/plugins`, and what plugins are handed, from the caches.

use windlass_sdk::{ObjectKey, cached_body};

use self::bindings::windlass::scheduler::plugins as wit;
use crate::external::{
    Available, Evaluation, Failure, HookError, HookName, Hooks, NodeUpdate, Normalize, PluginCalls,
};

/// Generated.
#[allow(missing_docs, unreachable_pub, unsafe_code, clippy::all, reason = "generated")]
mod bindings {
    wit_bindgen::generate!({
        path: ["../../wit", "../../wit/scheduler"],
        world: "windlass:scheduler/plugin-caller",
        generate_all,
    });
}

/// Positions of the watches.
const PODS: u32 = 0;
const NODES: u32 = 1;

pub(super) struct Imports;

pub(super) fn available() -> Vec<Available> {
    let plugins = wit::describe().into_iter();
    let available = plugins.map(|wit::Available { name, description }| Available {
        name,
        hooks: Hooks(description.hooks.bits()),
        normalize: match description.normalize {
            bindings::windlass::scheduler::types::Normalize::None => Normalize::None,
            bindings::windlass::scheduler::types::Normalize::HighestIsBest => Normalize::HighestIsBest,
            bindings::windlass::scheduler::types::Normalize::LowestIsBest => Normalize::LowestIsBest,
        },
        node_fields: description.node_fields,
        pod_fields: description.pod_fields,
    });
    available.collect()
}

impl PluginCalls for Imports {
    fn open(&mut self, name: &str, args: &[u8]) -> Result<u32, String> {
        wit::open(name, args)
    }

    fn update_nodes(&mut self, plugin: u32, nodes: &[NodeUpdate]) -> Result<(), Failure> {
        let nodes: Vec<wit::Node> = nodes
            .iter()
            .map(|node| wit::Node {
                index: node.slot,
                name: node.name.to_string(),
                body: node.body.clone(),
            })
            .collect();
        wit::update_nodes(plugin, &nodes).map_err(failure)
    }

    fn evaluate(
        &mut self,
        plugin: u32,
        cycle: u64,
        pod: Option<&[u8]>,
        nodes: &[u32],
        asked: Hooks,
    ) -> Result<Evaluation, Failure> {
        let asked = wit::Hooks::from_bits_truncate(asked.0);
        let evaluation = wit::evaluate(plugin, cycle, pod, nodes, asked).map_err(failure)?;
        Ok(Evaluation {
            rejection: evaluation.rejection,
            verdicts: evaluation.verdicts,
            reasons: evaluation.reasons,
            scores: evaluation.scores,
        })
    }

    fn reserve(&mut self, plugin: u32, cycle: u64, slot: u32) -> Result<(), Failure> {
        wit::reserve(plugin, cycle, slot).map_err(failure)
    }

    fn unreserve(&mut self, plugin: u32, cycle: u64, slot: u32) -> Result<(), Failure> {
        wit::unreserve(plugin, cycle, slot).map_err(failure)
    }

    fn end_cycle(&mut self, plugin: u32, cycle: u64) -> Result<(), Failure> {
        wit::end_cycle(plugin, cycle).map_err(failure)
    }

    fn node(&mut self, name: &str) -> Option<Vec<u8>> {
        cached_body(NODES, &ObjectKey::new("", name))
    }

    fn pod(&mut self, namespace: &str, name: &str) -> Option<Vec<u8>> {
        cached_body(PODS, &ObjectKey::new(namespace, name))
    }
}

fn failure(failure: wit::Failure) -> Failure {
    use bindings::windlass::scheduler::types::Hook;
    match failure {
        wit::Failure::Hook(error) => Failure::Hook(HookError {
            hook: match error.hook {
                Hook::PreFilter => HookName::PreFilter,
                Hook::Filter => HookName::Filter,
                Hook::Score => HookName::Score,
                Hook::Reserve => HookName::Reserve,
            },
            message: error.message,
        }),
        wit::Failure::Ended(reason) => Failure::Ended(reason),
    }
}
