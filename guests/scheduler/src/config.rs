//! The module's configuration: a subset of `KubeSchedulerConfiguration` with its names and defaults.

use serde::Deserialize;
use std::collections::BTreeMap;

use crate::plugins::{Plugin, PluginSet};

/// How to schedule.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "ConfigJson")]
pub struct Config {
    /// `spec.schedulerName` of the pods to schedule.
    pub profiles: Vec<String>,
    /// How many of the nodes to look at before one is chosen.
    pub sampling: Sampling,
    /// The first back-off of a pod that found no node.
    pub initial_backoff_ms: u64,
    /// The longest back-off.
    pub max_backoff_ms: u64,
    disabled: PluginSet,
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
struct ConfigJson {
    #[serde(default)]
    profiles: Option<Vec<String>>,
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
            profiles: vec!["default-scheduler".to_owned()],
            sampling: Sampling::AllNodes,
            initial_backoff_ms: 1_000,
            max_backoff_ms: 10_000,
            disabled: PluginSet::default(),
            weights: Plugin::ALL.map(Plugin::default_weight),
        }
    }
}

impl TryFrom<ConfigJson> for Config {
    type Error = String;

    fn try_from(json: ConfigJson) -> Result<Self, String> {
        let mut config = Self::default();
        if let Some(profiles) = json.profiles {
            if profiles.is_empty() || profiles.iter().any(String::is_empty) {
                return Err("profiles: name at least one scheduler, and leave no name empty".to_owned());
            }
            config.profiles = profiles;
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
}

impl Config {
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
        let Some(plugin) = Plugin::ALL.into_iter().find(|plugin| plugin.name() == name) else {
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
        if self.runs(plugin) {
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
        assert_eq!(config.profiles, ["a", "b"]);
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
