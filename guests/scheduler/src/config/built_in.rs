//! What the built-in plugins do.

use crate::external::Hooks;
use crate::plugins::{Plugin, PluginSet};

/// Which of them filter, and what the scores of those that score weigh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BuiltIns {
    filters: PluginSet,
    /// Whether only those nodes come into question that a pod names: `NodeAffinity` before its filter.
    narrows: bool,
    /// 0 for those that do not score.
    weights: [i64; Plugin::ALL.len()],
}

impl Default for BuiltIns {
    /// All of them, with the weights of the default profile.
    fn default() -> Self {
        let filters = |plugin: &Plugin| plugin.hooks().contains(Hooks::FILTER);
        Self {
            filters: Plugin::ALL.into_iter().filter(filters).collect(),
            narrows: true,
            weights: Plugin::ALL.map(Plugin::default_weight),
        }
    }
}

impl BuiltIns {
    /// None of them.
    pub(super) fn none() -> Self {
        Self {
            filters: PluginSet::default(),
            narrows: false,
            weights: [0; Plugin::ALL.len()],
        }
    }

    /// Takes a plugin out altogether.
    pub(super) fn disable(&mut self, plugin: Plugin) {
        self.filters.remove(plugin);
        self.set_weight(plugin, 0);
        self.narrows &= plugin != Plugin::NodeAffinity;
    }

    /// A plugin filters. What its filter needs comes along.
    pub(super) fn set_filter(&mut self, plugin: Plugin) {
        self.filters.insert(plugin);
        self.narrows |= plugin == Plugin::NodeAffinity;
    }

    /// Only the nodes that a pod names come into question.
    pub(super) fn set_narrows(&mut self) {
        self.narrows = true;
    }

    /// A plugin scores.
    pub(super) fn set_weight(&mut self, plugin: Plugin, weight: i64) {
        self.weights[plugin as usize] = weight;
    }

    /// Whether a plugin takes part at all.
    pub(super) fn runs(&self, plugin: Plugin) -> bool {
        self.filters(plugin) || self.weight(plugin) > 0
    }

    pub(super) fn filters(&self, plugin: Plugin) -> bool {
        self.filters.contains(plugin)
    }

    pub(super) fn narrows(&self) -> bool {
        self.narrows
    }

    pub(super) fn weight(&self, plugin: Plugin) -> i64 {
        self.weights[plugin as usize]
    }
}
