//! The plugins of the default profile, each in its own file with upstream's reasons and formulas.
//!
//! Here is what they share: their names, and the filters that judge a node alone. Spread and inter-pod
//! affinity look at many nodes at once and are evaluated in `topology`.

pub(crate) mod image_locality;
pub(crate) mod inter_pod_affinity;
pub(crate) mod node_affinity;
pub(crate) mod node_declared_features;
pub(crate) mod node_ports;
pub(crate) mod node_resources;
pub(crate) mod node_unschedulable;
pub(crate) mod pod_topology_spread;
pub(crate) mod taint_toleration;

use std::borrow::Cow;

use crate::config::Config;
use crate::external::Hooks;
use crate::model::node::Node;
use crate::model::template::Shape;

/// The bit of a [`PluginSet`] that stands for plugins that are components.
const EXTERNAL: u16 = 1 << 15;

/// The best score of a plugin.
pub(crate) const MAX_SCORE: i64 = 100;

/// A plugin of the default profile, in the order in which filters run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Plugin {
    NodeUnschedulable,
    TaintToleration,
    NodeAffinity,
    NodePorts,
    NodeResourcesFit,
    PodTopologySpread,
    InterPodAffinity,
    NodeDeclaredFeatures,
    NodeResourcesBalancedAllocation,
    ImageLocality,
}

impl Plugin {
    /// All of them.
    pub(crate) const ALL: [Self; 10] = [
        Self::NodeUnschedulable,
        Self::TaintToleration,
        Self::NodeAffinity,
        Self::NodePorts,
        Self::NodeResourcesFit,
        Self::PodTopologySpread,
        Self::InterPodAffinity,
        Self::NodeDeclaredFeatures,
        Self::NodeResourcesBalancedAllocation,
        Self::ImageLocality,
    ];

    /// The plugin of a name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|plugin| plugin.name() == name)
    }

    /// The name in configurations and messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::NodeUnschedulable => "NodeUnschedulable",
            Self::TaintToleration => "TaintToleration",
            Self::NodeAffinity => "NodeAffinity",
            Self::NodePorts => "NodePorts",
            Self::NodeResourcesFit => "NodeResourcesFit",
            Self::PodTopologySpread => "PodTopologySpread",
            Self::InterPodAffinity => "InterPodAffinity",
            Self::NodeDeclaredFeatures => "NodeDeclaredFeatures",
            Self::NodeResourcesBalancedAllocation => "NodeResourcesBalancedAllocation",
            Self::ImageLocality => "ImageLocality",
        }
    }

    /// The extension points that it has.
    pub(crate) fn hooks(self) -> Hooks {
        let score = match self.default_weight() {
            0 => Hooks::NONE,
            _ => Hooks::SCORE,
        };
        score.or(match self {
            Self::NodeUnschedulable | Self::TaintToleration => Hooks::FILTER,
            Self::NodeAffinity
            | Self::NodePorts
            | Self::NodeResourcesFit
            | Self::PodTopologySpread
            | Self::InterPodAffinity
            | Self::NodeDeclaredFeatures => Hooks::PRE_FILTER.or(Hooks::FILTER),
            Self::NodeResourcesBalancedAllocation | Self::ImageLocality => Hooks::NONE,
        })
    }

    /// Its weight in the default profile; 0 for plugins that only filter.
    pub(crate) fn default_weight(self) -> i64 {
        match self {
            Self::TaintToleration => 3,
            Self::NodeAffinity | Self::PodTopologySpread | Self::InterPodAffinity => 2,
            Self::NodeResourcesFit | Self::NodeResourcesBalancedAllocation | Self::ImageLocality => 1,
            Self::NodeUnschedulable | Self::NodePorts | Self::NodeDeclaredFeatures => 0,
        }
    }
}

/// A set of plugins. All those that are components count as one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct PluginSet(u16);

impl PluginSet {
    /// Adds one.
    pub(crate) fn insert(&mut self, plugin: Plugin) {
        self.0 |= 1 << plugin as u16;
    }

    /// Takes one out.
    pub(crate) fn remove(&mut self, plugin: Plugin) {
        self.0 &= !(1 << plugin as u16);
    }

    /// Adds the components.
    pub(crate) fn insert_external(&mut self) {
        self.0 |= EXTERNAL;
    }

    /// Whether a component is in.
    pub(crate) fn has_external(self) -> bool {
        self.0 & EXTERNAL != 0
    }

    /// Whether it is in.
    pub(crate) fn contains(self, plugin: Plugin) -> bool {
        self.0 & (1 << plugin as u16) != 0
    }

    /// Whether none is in.
    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<Plugin> for PluginSet {
    fn from_iter<I: IntoIterator<Item = Plugin>>(plugins: I) -> Self {
        let mut set = Self::default();
        plugins.into_iter().for_each(|plugin| set.insert(plugin));
        set
    }
}

/// Why a node is out.
pub(crate) type Reason = Cow<'static, str>;

/// The first filter that rejects a node for what the node is, whoever runs on it.
pub(crate) fn rejected_by_spec(shape: &Shape, node: &Node, config: &Config) -> Option<Plugin> {
    let rejects =
        |plugin, accepted: fn(&Shape, &Node) -> bool| config.filters(plugin) && !accepted(shape, node);
    if rejects(Plugin::NodeUnschedulable, node_unschedulable::accepts) {
        Some(Plugin::NodeUnschedulable)
    } else if rejects(Plugin::TaintToleration, taint_toleration::accepts) {
        Some(Plugin::TaintToleration)
    } else if rejects(Plugin::NodeAffinity, node_affinity::accepts) {
        Some(Plugin::NodeAffinity)
    } else {
        None
    }
}

/// Whether the last filter rejects a node. It, too, looks only at what the node is, but what filters before it
/// say of a node goes first.
pub(crate) fn lacks_features(shape: &Shape, node: &Node, config: &Config) -> bool {
    config.filters(Plugin::NodeDeclaredFeatures) && !node_declared_features::accepts(shape, node)
}

/// The first filter that rejects a node for what is taken of it.
pub(crate) fn rejected_by_usage(shape: &Shape, node: &Node, config: &Config) -> Option<Plugin> {
    if config.filters(Plugin::NodePorts) && !node_ports::accepts(shape, node) {
        Some(Plugin::NodePorts)
    } else if config.filters(Plugin::NodeResourcesFit) && !node_resources::accepts(shape, node) {
        Some(Plugin::NodeResourcesFit)
    } else {
        None
    }
}

/// The reasons of a filter that judges a node alone.
pub(crate) fn reasons(plugin: Plugin, shape: &Shape, node: &Node) -> Vec<Reason> {
    match plugin {
        Plugin::NodeUnschedulable => vec![node_unschedulable::REASON.into()],
        Plugin::TaintToleration => vec![taint_toleration::REASON.into()],
        Plugin::NodeAffinity => vec![node_affinity::REASON.into()],
        Plugin::NodePorts => vec![node_ports::REASON.into()],
        Plugin::NodeResourcesFit => node_resources::shortages(shape, node),
        Plugin::NodeDeclaredFeatures => vec![node_declared_features::REASON.into()],
        _ => Vec::new(),
    }
}

/// Scales raw scores to 0..=100 by the best of them (`helper.DefaultNormalizeScore`).
pub(crate) fn default_normalize(raw: i64, best: i64) -> i64 {
    if best == 0 { 0 } else { raw * MAX_SCORE / best }
}

/// As [`default_normalize`], for raw scores of which the lowest is best.
pub(crate) fn reverse_normalize(raw: i64, worst: i64) -> i64 {
    MAX_SCORE - default_normalize(raw, worst)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalising_scales_by_the_largest_raw_score() {
        assert_eq!(default_normalize(1, 3), 33);
        assert_eq!(default_normalize(0, 0), 0);
        assert_eq!(reverse_normalize(1, 3), 67);
        assert_eq!(reverse_normalize(0, 0), 100);
    }
}
