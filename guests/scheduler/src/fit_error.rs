//! Why no node fits, in upstream's words (`framework/types.go`, `FitError`).

use std::collections::BTreeMap;

use crate::classes::Class;
use crate::config::Config;
use crate::model::Model;
use crate::model::node::Node;
use crate::plugins::node_affinity::{self, Narrowed};
use crate::plugins::{self, Plugin, PluginSet, Reason};
use crate::reservations::Bar;
use crate::topology::Standing;

/// The failed search for a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FitError {
    /// The text for the event and the condition.
    pub(crate) message: String,
    /// Who rejected nodes.
    pub(crate) rejected_by: PluginSet,
}

impl FitError {
    /// Looks at every node for what speaks against it; `bars` are ordered by slot. What
    /// components say, `by_components`, is only of nodes that all else accepts.
    pub(crate) fn diagnose(
        class: &Class,
        pinned: Option<&str>,
        bars: &[Bar],
        model: &Model,
        config: &Config,
        by_components: &[(String, usize)],
    ) -> Self {
        let narrowed = node_affinity::narrow(&class.shape, pinned, config);
        if narrowed == Narrowed::Conflict {
            let rejected_by = PluginSet::from_iter([Plugin::NodeAffinity]);
            let message = format!(
                "0/{} nodes are available: {}.",
                model.nodes.present(),
                node_affinity::CONFLICT
            );
            return Self { message, rejected_by };
        }
        let standing = class
            .topology()
            .map(|topology| topology.standing())
            .unwrap_or_default();
        let mut counts: BTreeMap<Reason, usize> = BTreeMap::new();
        let mut rejected_by = PluginSet::default();
        for (slot, node) in model.nodes.iter().filter(|(_, node)| node.present) {
            if !narrowed.allows(&node.name) {
                *counts.entry(node_affinity::NOT_NAMED.into()).or_default() += 1;
                continue;
            }
            if let Some((plugin, reasons)) = rejection(class, slot, node, &standing, bars, config) {
                rejected_by.insert(plugin);
                for reason in reasons {
                    *counts.entry(reason).or_default() += 1;
                }
            }
        }
        for (reason, count) in by_components {
            rejected_by.insert_external();
            *counts.entry(reason.clone().into()).or_default() += count;
        }
        if matches!(narrowed, Narrowed::To(_)) {
            // Another node of a wanted name may come.
            rejected_by.insert(Plugin::NodeAffinity);
        }
        Self {
            message: message(model.nodes.present(), &counts),
            rejected_by,
        }
    }
}

/// The first filter that rejects a node, and everything it has to say.
fn rejection(
    class: &Class,
    slot: u32,
    node: &Node,
    standing: &Standing,
    bars: &[Bar],
    config: &Config,
) -> Option<(Plugin, Vec<Reason>)> {
    let alone = |plugin: Plugin| (plugin, plugins::reasons(plugin, &class.shape, node));
    if let Some(plugin) = plugins::rejected_by_spec(&class.shape, node, config) {
        return Some(alone(plugin));
    }
    // With what is set aside comes first; it changes nothing about the filters before this.
    if let Ok(at) = bars.binary_search_by_key(&slot, |bar| bar.slot) {
        return bars.get(at).map(|bar| (bar.plugin, bar.reasons.clone()));
    }
    if let Some(plugin) = plugins::rejected_by_usage(&class.shape, node, config) {
        return Some(alone(plugin));
    }
    let signature = class.groups.signature(class.groups.group(slot as usize));
    if let Some((plugin, reason)) = class.topology().and_then(|t| t.rejection(signature, standing)) {
        return Some((plugin, vec![reason.into()]));
    }
    plugins::lacks_features(&class.shape, node, config).then(|| alone(Plugin::NodeDeclaredFeatures))
}

fn message(nodes: usize, counts: &BTreeMap<Reason, usize>) -> String {
    let mut reasons: Vec<String> = counts
        .iter()
        .map(|(reason, count)| format!("{count} {reason}"))
        .collect();
    reasons.sort_unstable();
    let mut message = format!("0/{nodes} nodes are available:");
    if !reasons.is_empty() {
        message.push_str(&format!(" {}.", reasons.join(", ")));
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_sorted_as_text() {
        let counts = BTreeMap::from([
            ("Insufficient cpu".into(), 10),
            ("a".into(), 2),
            ("Too many pods".into(), 9),
        ]);
        assert_eq!(
            message(21, &counts),
            "0/21 nodes are available: 10 Insufficient cpu, 2 a, 9 Too many pods."
        );
    }
}
