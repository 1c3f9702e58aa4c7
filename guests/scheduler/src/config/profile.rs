//! A profile: whose pods it schedules, and with which plugins.
//!
//! The keys are those of a `KubeSchedulerProfile` as far as they go. Built-in plugins run
//! unless they are disabled; plugins that are components run where they are enabled.

use serde::Deserialize;
use serde_json::Value;

use crate::external::{Available, Hooks};
use crate::plugins::{Plugin, PluginSet};

/// The name that stands for all plugins.
const ALL: &str = "*";
const WEIGHTS: std::ops::RangeInclusive<i64> = 1..=100;

/// A profile with everything resolved but what all profiles have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// `spec.schedulerName` of its pods.
    pub scheduler_name: String,
    /// Built-in plugins that are off, or on whatever all profiles have in common says.
    pub(crate) disabled: PluginSet,
    pub(crate) enabled: PluginSet,
    /// Built-in plugins that filter at most.
    pub(crate) scoreless: PluginSet,
    /// Weights other than those that all profiles have in common.
    pub(crate) weights: Vec<(Plugin, i64)>,
    /// Plugins that are components, in the order in which they are asked.
    pub(crate) external: Vec<EnabledPlugin>,
}

/// A component that takes part in a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnabledPlugin {
    /// What the module's configuration calls it.
    pub(crate) name: String,
    /// Where it takes part.
    pub(crate) hooks: Hooks,
    /// In the total score.
    pub(crate) weight: i64,
    /// Its arguments, JSON.
    pub(crate) args: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ProfileJson {
    scheduler_name: String,
    #[serde(default)]
    plugins: PointsJson,
    #[serde(default)]
    plugin_config: Vec<ArgsJson>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct PointsJson {
    multi_point: PointJson,
    pre_filter: PointJson,
    filter: PointJson,
    score: PointJson,
    reserve: PointJson,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PointJson {
    enabled: Vec<EnabledJson>,
    disabled: Vec<DisabledJson>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EnabledJson {
    name: String,
    #[serde(default)]
    weight: Option<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DisabledJson {
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ArgsJson {
    name: String,
    args: Value,
}

/// An extension point: its key, and the hooks that it stands for.
#[derive(Clone, Copy)]
struct Point {
    key: &'static str,
    hooks: Hooks,
}

const MULTI_POINT: Point = Point {
    key: "multiPoint",
    hooks: Hooks::ALL,
};

impl Profile {
    /// A profile that is nothing but a name.
    pub(crate) fn named(name: &str) -> Self {
        Self {
            scheduler_name: name.to_owned(),
            ..Self::default()
        }
    }

    /// Reads an entry of `profiles`: a name or a whole profile.
    pub(super) fn read(at: &str, entry: Value, available: &[Available]) -> Result<Self, String> {
        if let Value::String(name) = entry {
            return Ok(Self::named(&name));
        }
        let json: ProfileJson = serde_json::from_value(entry).map_err(|error| format!("{at}: {error}"))?;
        let mut profile = Self::named(&json.scheduler_name);
        let point = |key, hooks| Point { key, hooks };
        let points = [
            (MULTI_POINT, json.plugins.multi_point),
            (point("preFilter", Hooks::PRE_FILTER), json.plugins.pre_filter),
            (point("filter", Hooks::FILTER), json.plugins.filter),
            (point("score", Hooks::SCORE), json.plugins.score),
            (point("reserve", Hooks::RESERVE), json.plugins.reserve),
        ];
        for (point, plugins) in points {
            let at = format!("{at}.plugins.{}", point.key);
            for (position, plugin) in plugins.disabled.into_iter().enumerate() {
                profile.disable(
                    &format!("{at}.disabled[{position}]"),
                    point,
                    &plugin.name,
                    available,
                )?;
            }
            for (position, plugin) in plugins.enabled.into_iter().enumerate() {
                profile.enable(&format!("{at}.enabled[{position}]"), point, &plugin, available)?;
            }
        }
        profile.external.retain(|plugin| plugin.hooks != Hooks::NONE);
        for (position, config) in json.plugin_config.into_iter().enumerate() {
            profile.set_args(&format!("{at}.pluginConfig[{position}]"), config)?;
        }
        Ok(profile)
    }

    fn enable(
        &mut self,
        at: &str,
        point: Point,
        json: &EnabledJson,
        available: &[Available],
    ) -> Result<(), String> {
        let name = &json.name;
        if let Some(weight) = json.weight.filter(|weight| !WEIGHTS.contains(weight)) {
            return Err(format!(
                "{at}: a weight of {weight} for {name:?} is not between 1 and 100; to switch a plugin off, list \
                 it under `disabled`"
            ));
        }
        if json.weight.is_some() && !point.hooks.contains(Hooks::SCORE) {
            return Err(format!(
                "{at}: {name:?} has a weight, which only `score` and `multiPoint` take"
            ));
        }
        if let Some(plugin) = Plugin::named(name) {
            return self.enable_built_in(at, point, plugin, json.weight);
        }
        let has = find(at, name, available)?.hooks;
        let added = has.and(point.hooks);
        if added == Hooks::NONE {
            return Err(format!("{at}: the plugin {name:?} has no {}", point.key));
        }
        let known = self.external.iter_mut().find(|plugin| plugin.name == *name);
        match known {
            Some(plugin) => {
                plugin.hooks = plugin.hooks.or(added);
                plugin.weight = json.weight.unwrap_or(plugin.weight);
            }
            None => self.external.push(EnabledPlugin {
                name: name.clone(),
                hooks: added,
                weight: json.weight.unwrap_or(1),
                args: "{}".to_owned(),
            }),
        }
        Ok(())
    }

    fn enable_built_in(
        &mut self,
        at: &str,
        point: Point,
        plugin: Plugin,
        weight: Option<i64>,
    ) -> Result<(), String> {
        if let Some(weight) = weight {
            if plugin.default_weight() == 0 {
                return Err(format!("{at}: the plugin {:?} does not score", plugin.name()));
            }
            self.weights.push((plugin, weight));
        }
        if point.hooks.contains(Hooks::FILTER) {
            self.disabled.remove(plugin);
            self.enabled.insert(plugin);
        }
        if point.hooks.contains(Hooks::SCORE) {
            self.scoreless.remove(plugin);
        }
        Ok(())
    }

    fn disable(&mut self, at: &str, point: Point, name: &str, available: &[Available]) -> Result<(), String> {
        if name == ALL {
            for plugin in Plugin::ALL {
                self.disable_built_in(at, point, plugin)?;
            }
            for plugin in &mut self.external {
                plugin.hooks = plugin.hooks.without(point.hooks);
            }
            return Ok(());
        }
        if let Some(plugin) = Plugin::named(name) {
            return self.disable_built_in(at, point, plugin);
        }
        find(at, name, available)?;
        if let Some(plugin) = self.external.iter_mut().find(|plugin| plugin.name == name) {
            plugin.hooks = plugin.hooks.without(point.hooks);
        }
        Ok(())
    }

    fn disable_built_in(&mut self, at: &str, point: Point, plugin: Plugin) -> Result<(), String> {
        if point.hooks == Hooks::ALL {
            self.disabled.insert(plugin);
            self.enabled.remove(plugin);
        } else if point.hooks == Hooks::SCORE {
            self.scoreless.insert(plugin);
        } else if point.hooks == Hooks::FILTER {
            return Err(format!(
                "{at}: the filter of the built-in {:?} cannot be switched off alone; use `multiPoint`",
                plugin.name()
            ));
        }
        Ok(())
    }

    fn set_args(&mut self, at: &str, ArgsJson { name, args }: ArgsJson) -> Result<(), String> {
        if Plugin::named(&name).is_some() {
            return Err(format!("{at}: the built-in {name:?} takes no arguments here"));
        }
        let plugin = self.external.iter_mut().find(|plugin| plugin.name == name);
        let plugin =
            plugin.ok_or_else(|| format!("{at}: the plugin {name:?} is not enabled in this profile"))?;
        plugin.args = args.to_string();
        Ok(())
    }
}

fn find<'a>(at: &str, name: &str, available: &'a [Available]) -> Result<&'a Available, String> {
    let found = available.iter().find(|plugin| plugin.name == name);
    found.ok_or_else(|| {
        let built_in = Plugin::ALL.map(Plugin::name).join(", ");
        let components: Vec<&str> = available.iter().map(|plugin| plugin.name.as_str()).collect();
        let components = match components.is_empty() {
            true => "the module has no others".to_owned(),
            false => format!("the module's own are {}", components.join(", ")),
        };
        format!("{at}: there is no plugin {name:?}; built in are {built_in}; {components}")
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::external::Normalize;

    fn available() -> Vec<Available> {
        let plugin = |name: &str, hooks| Available {
            name: name.to_owned(),
            hooks,
            normalize: Normalize::None,
            node_fields: Vec::new(),
            pod_fields: Vec::new(),
        };
        vec![
            plugin("Cost", Hooks::ALL),
            plugin("Quota", Hooks::FILTER.or(Hooks::RESERVE)),
        ]
    }

    fn read(plugins: Value) -> Result<Profile, String> {
        let entry = json!({"schedulerName": "s", "plugins": plugins});
        Profile::read("profiles[0]", entry, &available())
    }

    #[test]
    fn a_component_takes_part_where_it_is_enabled() {
        let profile = read(json!({
            "multiPoint": {"enabled": [{"name": "Quota"}]},
            "score": {"enabled": [{"name": "Cost", "weight": 5}]},
            "reserve": {"disabled": [{"name": "Quota"}]}
        }))
        .unwrap();
        let plugin = |name: &str, hooks, weight| EnabledPlugin {
            name: name.to_owned(),
            hooks,
            weight,
            args: "{}".to_owned(),
        };
        assert_eq!(
            profile.external,
            [plugin("Quota", Hooks::FILTER, 1), plugin("Cost", Hooks::SCORE, 5)]
        );
    }

    #[test]
    fn arguments_are_those_of_the_profile() {
        let entry = json!({
            "schedulerName": "s",
            "plugins": {"multiPoint": {"enabled": [{"name": "Cost"}]}},
            "pluginConfig": [{"name": "Cost", "args": {"limit": 3}}]
        });
        let profile = Profile::read("profiles[0]", entry, &available()).unwrap();
        assert_eq!(profile.external[0].args, r#"{"limit":3}"#);
    }

    #[test]
    fn built_in_plugins_can_be_off_or_only_filter() {
        let profile = read(json!({
            "multiPoint": {"disabled": [{"name": "*"}], "enabled": [{"name": "NodeResourcesFit", "weight": 2}]},
            "score": {"disabled": [{"name": "TaintToleration"}]}
        }))
        .unwrap();
        assert!(!profile.disabled.contains(Plugin::NodeResourcesFit));
        assert!(profile.disabled.contains(Plugin::NodePorts));
        assert!(profile.scoreless.contains(Plugin::TaintToleration));
        assert_eq!(profile.weights, [(Plugin::NodeResourcesFit, 2)]);
    }

    #[test]
    fn mistakes_are_named() {
        let refused = |plugins: Value, text: &str| {
            let error = read(plugins).unwrap_err();
            assert!(error.contains(text), "{error}");
        };
        refused(
            json!({"score": {"enabled": [{"name": "Cost", "weight": 0}]}}),
            "profiles[0].plugins.score.enabled[0]: a weight of 0 for \"Cost\" is not between 1 and 100",
        );
        refused(
            json!({"score": {"enabled": [{"name": "Cost", "weight": -3}]}}),
            "a weight of -3",
        );
        refused(
            json!({"filter": {"enabled": [{"name": "Nope"}]}}),
            "profiles[0].plugins.filter.enabled[0]: there is no plugin \"Nope\"; built in are NodeUnschedulable",
        );
        refused(
            json!({"filter": {"disabled": [{"name": "Nope"}]}}),
            "the module's own are Cost, Quota",
        );
        refused(
            json!({"score": {"enabled": [{"name": "Quota"}]}}),
            "the plugin \"Quota\" has no score",
        );
        refused(
            json!({"filter": {"enabled": [{"name": "Cost", "weight": 2}]}}),
            "which only `score` and `multiPoint` take",
        );
        refused(json!({"bind": {}}), "unknown field `bind`");
        let entry = json!({"schedulerName": "s", "pluginConfig": [{"name": "Cost", "args": {}}]});
        assert!(
            Profile::read("profiles[0]", entry, &available())
                .unwrap_err()
                .contains("profiles[0].pluginConfig[0]: the plugin \"Cost\" is not enabled in this profile")
        );
    }
}
