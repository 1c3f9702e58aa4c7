//! The module's configuration: a subset of `KubeSchedulerConfiguration` with its names and defaults.

mod profile;

use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

pub use self::profile::{EnabledPlugin, Profile};
use crate::external::Available;
use crate::plugins::{Plugin, PluginSet};

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
    disabled: PluginSet,
    scoreless: PluginSet,
    weights: [i64; Plugin::ALL.len()],
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
            profiles: vec![Profile::named("default-scheduler")],
            sampling: Sampling::AllNodes,
            initial_backoff_ms: 1_000,
            max_backoff_ms: 10_000,
            disabled: PluginSet::default(),
            scoreless: PluginSet::default(),
            weights: Plugin::ALL.map(Plugin::default_weight),
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
        let mut config = Self::default();
        if let Some(profiles) = json.profiles {
            config.set_profiles(profiles, available)?;
        }
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
        for (name, plugin) in json.plugins {
            config.set_plugin(&name, &plugin)?;
        }
        Ok(config)
    }

    /// What counts for the pods of one profile.
    pub(crate) fn of_profile(&self, profile: &Profile) -> Self {
        let mut config = self.clone();
        for plugin in Plugin::ALL {
            if profile.disabled.contains(plugin) {
                config.disabled.insert(plugin);
            } else if profile.enabled.contains(plugin) {
                config.disabled.remove(plugin);
            }
        }
        config.scoreless = profile.scoreless;
        for (plugin, weight) in &profile.weights {
            config.weights[*plugin as usize] = *weight;
        }
        config
    }

    fn set_profiles(&mut self, entries: Vec<Value>, available: &[Available]) -> Result<(), String> {
        self.profiles.clear();
        for (position, entry) in entries.into_iter().enumerate() {
            let at = format!("profiles[{position}]");
            let profile = Profile::read(&at, entry, available)?;
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
            self.disabled.insert(plugin);
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
            self.weights[plugin as usize] = weight;
        }
        Ok(())
    }

    /// Whether a plugin takes part.
    pub(crate) fn runs(&self, plugin: Plugin) -> bool {
        !self.disabled.contains(plugin)
    }

    /// A plugin's weight in the total score.
    pub(crate) fn weight(&self, plugin: Plugin) -> i64 {
        if self.runs(plugin) && !self.scoreless.contains(plugin) {
            self.weights[plugin as usize]
        } else {
            0
        }
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
        assert_eq!(config.profiles, ["a", "b"].map(Profile::named));
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
        assert!(a.runs(Plugin::NodePorts) && !b.runs(Plugin::NodePorts));
        assert!(b.runs(Plugin::TaintToleration));
        let twice = serde_json::from_str::<Config>(r#"{"profiles":["a",{"schedulerName":"a"}]}"#);
        assert!(
            twice
                .unwrap_err()
                .to_string()
                .contains("profiles[1]: \"a\" is used twice")
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
