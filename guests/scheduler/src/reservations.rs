//! Nodes that are out for a pod because room there is set aside for others.
//!
//! A node that pods of equal or higher priority are nominated for has to do twice: as if they were there, and
//! as it is, because they may yet go elsewhere (`RunFilterPluginsWithNominatedPods`). The second verdict is
//! what a class keeps for all its pods; the first one, which depends on who asks, is made here for each
//! decision, and costs nothing while nobody is nominated.

use std::rc::Rc;

use crate::classes::Class;
use crate::config::Config;
use crate::model::template::Template;
use crate::model::{Model, PodKey};
use crate::plugins::{self, Plugin, Reason, node_declared_features};

/// A node that is out for what is set aside on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bar {
    /// The node's slot.
    pub(crate) slot: u32,
    /// The filter that rejects it.
    pub(crate) plugin: Plugin,
    /// Why.
    pub(crate) reasons: Vec<Reason>,
}

/// The nodes that are out for a pod of a class that has caught up with the model, ordered by slot.
pub(crate) fn bars(
    key: &PodKey,
    priority: i32,
    class: &Class,
    model: &mut Model,
    config: &Config,
) -> Vec<Bar> {
    let mut bars = Vec::new();
    for (slot, rivals) in model.rivals(key, priority) {
        if let Some((plugin, reasons)) = rejection(slot, &rivals, class, model, config) {
            bars.push(Bar {
                slot,
                plugin,
                reasons,
            });
        }
    }
    bars
}

/// The filter that rejects a node once the rivals are on it.
fn rejection(
    slot: u32,
    rivals: &[Rc<Template>],
    class: &Class,
    model: &mut Model,
    config: &Config,
) -> Option<(Plugin, Vec<Reason>)> {
    let by_usage = model.nodes.as_if_held(slot, rivals, |node| {
        let plugin = plugins::rejected_by_usage(&class.shape, node, config)?;
        Some((plugin, plugins::reasons(plugin, &class.shape, node)))
    });
    let by_topology = || {
        let topology = class.topology()?;
        let standing = topology.standing_as_if_held(slot, rivals, model);
        let signature = class.groups.signature(class.groups.group(slot as usize));
        let (plugin, reason) = topology.rejection(signature, &standing)?;
        Some((plugin, vec![reason.into()]))
    };
    // With the rivals there the filters may get further than without, to the last one.
    let by_features = || {
        let lacks = plugins::lacks_features(&class.shape, model.nodes.get(slot)?, config);
        let plugin = Plugin::NodeDeclaredFeatures;
        lacks.then(|| (plugin, vec![node_declared_features::REASON.into()]))
    };
    by_usage.or_else(by_topology).or_else(by_features)
}
