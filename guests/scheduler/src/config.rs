//! The module's configuration: a subset of `KubeSchedulerConfiguration` with its names and defaults.

mod built_in;
mod profile;

use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

use self::built_in::BuiltIns;
pub use self::profile::{EnabledPlugin, Profile};
use crate::external::Available;
use crate::plugins::Plugin;

/// The profile of a configuration that names none.
const DEFAULT_PROFILE: &str = "default-scheduler";

/// How to schedule.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "ConfigJson")]
pub struct Config {
    /// Whose pods to schedule, and how each may differ from what follows.
    pub profiles: Vec<Profile>,
    /// How many of the nodes to look at before one is chosen.
    pub sampling: Sampling,
    /// The first back-off of a pod that found no node.
    pub initial_backoff_ms: u64,
    /// The longest back-off.
    pub max_backoff_ms: u64,
    built_in: BuiltIns,
}

/// How many of the nodes are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sampling {
    /// Every one.
    AllNodes,
    /// Until as many as upstream would take are found feasible; the larger the cluster, the smaller the share.
    Adaptive,
    /// Until this percentage of the cluster is found feasible.
    Percentage(u32),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ConfigJson {
    #[serde(default)]
    profiles: Option<Vec<Value>>,
    #[serde(default)]
    percentage_of_nodes_to_score: Option<u32>,
    #[serde(default)]
    pod_initial_backoff_seconds: Option<u64>,
    #[serde(default)]
    pod_max_backoff_seconds: Option<u64>,
    #[serde(default)]
    plugins: BTreeMap<String, PluginJson>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PluginJson {
    #[serde(default)]
    enabled: Option<bool>,
    #[serde(default)]
    weight: Option<i64>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            profiles: vec![Profile::named(DEFAULT_PROFILE, &BuiltIns::default())],
            sampling: Sampling::AllNodes,
            initial_backoff_ms: 1_000,
            max_backoff_ms: 10_000,
            built_in: BuiltIns::default(),
        }
    }
}

impl TryFrom<ConfigJson> for Config {
    type Error = String;

    fn try_from(json: ConfigJson) -> Result<Self, String> {
        Self::resolve(json, &[])
    }
}

impl Config {
    /// The configuration of a scheduler that has these components to use as plugins.
    pub(crate) fn resolve(json: ConfigJson, available: &[Available]) -> Result<Self, String> {
        if let Some(plugin) = available
            .iter()
            .find(|plugin| Plugin::named(&plugin.name).is_some())
        {
            return Err(format!(
                "the module's plugin {:?} has the name of a built-in plugin; give it another one",
                plugin.name
            ));
        }
        let mut config = Self::default();
        for (name, plugin) in json.plugins {
            config.set_plugin(&name, &plugin)?;
        }
        config.set_profiles(json.profiles, available)?;
        config.sampling = match json.percentage_of_nodes_to_score {
            None | Some(100) => Sampling::AllNodes,
            Some(0) => Sampling::Adaptive,
            Some(percentage @ 1..100) => Sampling::Percentage(percentage),
            Some(other) => {
                return Err(format!(
                    "percentageOfNodesToScore: {other} is not between 0 and 100"
                ));
            }
        };
        config.set_backoff(json.pod_initial_backoff_seconds, json.pod_max_backoff_seconds)?;
        Ok(config)
    }

    /// What counts for the pods of one profile.
    pub(crate) fn of_profile(&self, profile: &Profile) -> Self {
        Self {
            built_in: profile.built_in.clone(),
            ..self.clone()
        }
    }

    fn set_profiles(&mut self, entries: Option<Vec<Value>>, available: &[Available]) -> Result<(), String> {
        let entries = entries.unwrap_or_else(|| vec![DEFAULT_PROFILE.into()]);
        self.profiles.clear();
        for (position, entry) in entries.into_iter().enumerate() {
            let at = format!("profiles[{position}]");
            let profile = Profile::read(&at, entry, &self.built_in, available)?;
            let name = &profile.scheduler_name;
            if self.profiles.iter().any(|known| known.scheduler_name == *name) {
                return Err(format!("{at}: {name:?} is used twice; a pod has one profile"));
            }
            self.profiles.push(profile);
        }
        let is_empty = |profile: &Profile| profile.scheduler_name.is_empty();
        if self.profiles.is_empty() || self.profiles.iter().any(is_empty) {
            return Err("profiles: name at least one scheduler, and leave no name empty".to_owned());
        }
        Ok(())
    }

    fn set_backoff(&mut self, initial: Option<u64>, max: Option<u64>) -> Result<(), String> {
        let initial = initial.map_or(self.initial_backoff_ms, |seconds| seconds.saturating_mul(1000));
        let max = max.map_or(self.max_backoff_ms, |seconds| seconds.saturating_mul(1000));
        if initial == 0 {
            return Err("podInitialBackoffSeconds: must be at least 1".to_owned());
        }
        if max < initial {
            return Err("podMaxBackoffSeconds: must not be below podInitialBackoffSeconds".to_owned());
        }
        (self.initial_backoff_ms, self.max_backoff_ms) = (initial, max);
        Ok(())
    }

    fn set_plugin(&mut self, name: &str, json: &PluginJson) -> Result<(), String> {
        let Some(plugin) = Plugin::named(name) else {
            let known = Plugin::ALL.map(Plugin::name).join(", ");
            return Err(format!("plugins: there is no plugin {name:?}; known are {known}"));
        };
        if json.enabled == Some(false) {
            if json.weight.is_some() {
                return Err(format!("plugins.{name}.weight: the plugin is switched off"));
            }
            self.built_in.disable(plugin);
        }
        if let Some(weight) = json.weight {
            if plugin.default_weight() == 0 {
                return Err(format!("plugins.{name}.weight: this plugin does not score"));
            }
            if !(1..=100).contains(&weight) {
                return Err(format!(
                    "plugins.{name}.weight: {weight} is not between 1 and 100; to switch a plugin off, set enabled to false"
                ));
            }
            self.built_in.set_weight(plugin, weight);
        }
        Ok(())
    }

    /// Whether a plugin filters.
    pub(crate) fn filters(&self, plugin: Plugin) -> bool {
        self.built_in.filters(plugin)
    }

    /// Whether only those nodes come into question that a pod names, if it does.
    pub(crate) fn narrows(&self) -> bool {
        self.built_in.narrows()
    }

    /// A plugin's weight in the total score; 0 if it does not score.
    pub(crate) fn weight(&self, plugin: Plugin) -> i64 {
        self.built_in.weight(plugin)
    }

    /// How many feasible nodes are enough, out of `nodes` (`numFeasibleNodesToFind`).
    pub(crate) fn feasible_nodes_to_find(&self, nodes: usize) -> usize {
        let percentage = match self.sampling {
            Sampling::AllNodes => return nodes,
            Sampling::Percentage(percentage) => percentage as usize,
            Sampling::Adaptive => 50_usize.saturating_sub(nodes / 125).max(5),
        };
        if nodes < 100 {
            nodes
        } else {
            (nodes * percentage / 100).max(100)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Config {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn an_empty_configuration_is_the_default_profile() {
        assert_eq!(parse("{}"), Config::default());
    }

    #[test]
    fn every_key_takes_effect() {
        let config = parse(
            r#"{"profiles":["a","b"],"percentageOfNodesToScore":0,"podInitialBackoffSeconds":2,"podMaxBackoffSeconds":4,
                "plugins":{"ImageLocality":{"enabled":false},"NodeAffinity":{"weight":7}}}"#,
        );
        assert_eq!(
            config.profiles,
            ["a", "b"].map(|name| Profile::named(name, &config.built_in))
        );
        assert_eq!((config.initial_backoff_ms, config.max_backoff_ms), (2000, 4000));
        assert_eq!(
            (
                config.weight(Plugin::ImageLocality),
                config.weight(Plugin::NodeAffinity)
            ),
            (0, 7)
        );
        assert_eq!(config.sampling, Sampling::Adaptive);
    }

    #[test]
    fn mistakes_are_named() {
        let error = |json: &str| serde_json::from_str::<Config>(json).unwrap_err().to_string();
        assert!(error(r#"{"paralelism":1}"#).contains("unknown field `paralelism`"));
        assert!(
            error(r#"{"plugins":{"Nope":{}}}"#)
                .contains("there is no plugin \"Nope\"; known are NodeUnschedulable")
        );
        assert!(error(r#"{"plugins":{"NodePorts":{"weight":1}}}"#).contains("does not score"));
        assert!(
            error(r#"{"plugins":{"NodeAffinity":{"weight":1,"enabled":false}}}"#)
                .contains("plugins.NodeAffinity.weight: the plugin is switched off")
        );
        assert!(error(r#"{"percentageOfNodesToScore":101}"#).contains("not between 0 and 100"));
        assert!(error(r#"{"podInitialBackoffSeconds":20}"#).contains("podMaxBackoffSeconds"));
    }

    #[test]
    fn a_profile_differs_only_where_it_says_so() {
        let config = parse(
            r#"{"plugins":{"NodeAffinity":{"weight":7},"ImageLocality":{"enabled":false}},"profiles":["a",
                {"schedulerName":"b","plugins":{
                    "multiPoint":{"enabled":[{"name":"ImageLocality"}],"disabled":[{"name":"NodePorts"}]},
                    "score":{"enabled":[{"name":"NodeAffinity","weight":9}],"disabled":[{"name":"TaintToleration"}]}}}]}"#,
        );
        let [a, b] = [0, 1].map(|at| config.of_profile(&config.profiles[at]));
        let weights = |config: &Config| {
            [
                Plugin::NodeAffinity,
                Plugin::ImageLocality,
                Plugin::TaintToleration,
            ]
            .map(|plugin| config.weight(plugin))
        };
        assert_eq!(weights(&a), [7, 0, 3]);
        assert_eq!(weights(&b), [9, 1, 0]);
        assert!(a.filters(Plugin::NodePorts) && !b.filters(Plugin::NodePorts));
        assert!(b.filters(Plugin::TaintToleration));
        let twice = serde_json::from_str::<Config>(r#"{"profiles":["a",{"schedulerName":"a"}]}"#);
        assert!(
            twice
                .unwrap_err()
                .to_string()
                .contains("profiles[1]: \"a\" is used twice")
        );
    }

    #[test]
    fn what_all_profiles_have_in_common_comes_first_whatever_the_order_of_keys() {
        let config = parse(
            r#"{"profiles":[{"schedulerName":"a","plugins":{"score":{"disabled":[{"name":"*"}],"enabled":[{"name":"ImageLocality"}]}}}],
                "plugins":{"ImageLocality":{"weight":7},"NodePorts":{"enabled":false}}}"#,
        );
        let config = config.of_profile(&config.profiles[0]);
        assert_eq!(
            (
                config.weight(Plugin::ImageLocality),
                config.weight(Plugin::NodeAffinity)
            ),
            (1, 0)
        );
        assert!(!config.filters(Plugin::NodePorts));
    }

    #[test]
    fn no_component_takes_the_name_of_a_built_in_plugin() {
        let component = Available {
            name: "NodeAffinity".to_owned(),
            hooks: crate::external::Hooks::ALL,
            normalize: crate::external::Normalize::None,
            node_fields: Vec::new(),
            pod_fields: Vec::new(),
        };
        let json = serde_json::from_str("{}").unwrap();
        assert_eq!(
            Config::resolve(json, &[component]).unwrap_err(),
            "the module's plugin \"NodeAffinity\" has the name of a built-in plugin; give it another one"
        );
    }

    #[test]
    fn large_clusters_are_sampled_as_upstream_does() {
        let mut config = Config {
            sampling: Sampling::Adaptive,
            ..Config::default()
        };
        assert_eq!(
            [99, 100, 1000, 5000, 15000].map(|n| config.feasible_nodes_to_find(n)),
            [99, 100, 420, 500, 750]
        );
        config.sampling = Sampling::Percentage(30);
        assert_eq!([200, 1000].map(|n| config.feasible_nodes_to_find(n)), [100, 300]);
    }
}
