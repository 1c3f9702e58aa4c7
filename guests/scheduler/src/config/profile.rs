//! A profile: whose pods it schedules, and with which plugins.
//!
//! The keys are those of a `KubeSchedulerProfile` as far as they go, and come to what they
//! come to there: `multiPoint` starts from the default plugins, each extension point takes
//! from it whoever has that point and is not disabled there, and what an extension point
//! enables itself goes before. Plugins that are components are no defaults, so they run
//! where they are enabled.
//!
//! Whatever cannot be done is an error with the key that asks for it. The order of
//! built-in plugins is theirs, and components come after them: that changes what a pod
//! is told, not where it may go.

use serde::Deserialize;
use serde_json::Value;

use super::built_in::BuiltIns;
use crate::external::{Available, Hooks};
use crate::plugins::Plugin;

/// The name that stands for all plugins.
const ALL: &str = "*";
const WEIGHTS: std::ops::RangeInclusive<i64> = 1..=100;
/// Of a plugin that is enabled without one.
const WEIGHT: i64 = 1;

/// A profile with everything resolved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// `spec.schedulerName` of its pods.
    pub scheduler_name: String,
    /// What the built-in plugins do for them.
    pub(crate) built_in: BuiltIns,
    /// Plugins that are components, in the order in which they are asked.
    pub(crate) external: Vec<EnabledPlugin>,
    /// Positions of those that reserve, in the order in which they do.
    pub(crate) reserving: Vec<usize>,
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
const PRE_FILTER: Point = Point {
    key: "preFilter",
    hooks: Hooks::PRE_FILTER,
};
const FILTER: Point = Point {
    key: "filter",
    hooks: Hooks::FILTER,
};
const SCORE: Point = Point {
    key: "score",
    hooks: Hooks::SCORE,
};
const RESERVE: Point = Point {
    key: "reserve",
    hooks: Hooks::RESERVE,
};

/// A plugin that there is.
#[derive(Clone, Copy)]
enum Known<'a> {
    BuiltIn(Plugin),
    Component(&'a Available),
}

/// A plugin in a list.
#[derive(Clone)]
struct Entry<'a> {
    /// Where it is listed.
    at: String,
    plugin: Known<'a>,
    weight: Option<i64>,
}

/// What is listed for one extension point.
struct List<'a> {
    enabled: Vec<Entry<'a>>,
    disabled: Vec<Entry<'a>>,
    /// Where all plugins are disabled.
    all_disabled: Option<String>,
}

impl Profile {
    /// A profile that differs from others in its name alone.
    pub(crate) fn named(name: &str, built_in: &BuiltIns) -> Self {
        Self {
            scheduler_name: name.to_owned(),
            built_in: built_in.clone(),
            ..Self::default()
        }
    }

    /// Reads an entry of `profiles`: a name or a whole profile, which starts from these defaults.
    pub(super) fn read(
        at: &str,
        entry: Value,
        defaults: &BuiltIns,
        available: &[Available],
    ) -> Result<Self, String> {
        if let Value::String(name) = entry {
            return Ok(Self::named(&name, defaults));
        }
        let json: ProfileJson = serde_json::from_value(entry).map_err(|error| format!("{at}: {error}"))?;
        let list =
            |point: Point, json| List::read(&format!("{at}.plugins.{}", point.key), point, json, available);
        let plugins = json.plugins;
        let multi_point = list(MULTI_POINT, plugins.multi_point)?.on_top_of(defaults);
        let pre_filter = list(PRE_FILTER, plugins.pre_filter)?;
        let filter = list(FILTER, plugins.filter)?.expand(FILTER, &multi_point);
        let score = list(SCORE, plugins.score)?.expand(SCORE, &multi_point);
        let reserve = list(RESERVE, plugins.reserve)?.expand(RESERVE, &multi_point);
        pre_filter.check_built_in(&filter)?;
        let pre_filter = pre_filter.expand(PRE_FILTER, &multi_point);
        let mut profile = Self::named(&json.scheduler_name, &built_in(&pre_filter, &filter, &score));
        // Who only looks at pods spares others a look at nodes.
        let has_filter = |entry: &&Entry<'_>| filter.iter().any(|other| other.plugin.is(entry.plugin));
        for entry in pre_filter.iter().filter(|entry| !has_filter(entry)) {
            profile.add(entry, PRE_FILTER);
        }
        filter.iter().for_each(|entry| profile.add(entry, FILTER));
        pre_filter.iter().for_each(|entry| profile.add(entry, PRE_FILTER));
        score.iter().for_each(|entry| profile.add(entry, SCORE));
        reserve.iter().for_each(|entry| profile.add(entry, RESERVE));
        let mut configured: Vec<String> = Vec::new();
        for (position, config) in json.plugin_config.into_iter().enumerate() {
            let at = format!("{at}.pluginConfig[{position}]");
            if configured.contains(&config.name) {
                return Err(format!("{at}: there are arguments for {:?} already", config.name));
            }
            configured.push(config.name.clone());
            profile.set_args(&at, config)?;
        }
        Ok(profile)
    }

    /// A component takes part in an extension point, after those that were added before.
    fn add(&mut self, entry: &Entry<'_>, point: Point) {
        let Known::Component(component) = entry.plugin else {
            return;
        };
        let known = self
            .external
            .iter()
            .position(|plugin| plugin.name == component.name);
        let at = known.unwrap_or(self.external.len());
        if known.is_none() {
            self.external.push(EnabledPlugin {
                name: component.name.clone(),
                hooks: Hooks::NONE,
                weight: WEIGHT,
                args: "{}".to_owned(),
            });
        }
        if let Some(plugin) = self.external.get_mut(at) {
            plugin.hooks = plugin.hooks.or(point.hooks);
            if point.hooks == Hooks::SCORE {
                plugin.weight = entry.weight.unwrap_or(WEIGHT);
            }
        }
        if point.hooks == Hooks::RESERVE {
            self.reserving.push(at);
        }
    }

    fn set_args(&mut self, at: &str, ArgsJson { name, args }: ArgsJson) -> Result<(), String> {
        if Plugin::named(&name).is_some() {
            return Err(format!("{at}: the built-in {name:?} takes no arguments here"));
        }
        let plugin = self.external.iter_mut().find(|plugin| plugin.name == name);
        let plugin =
            plugin.ok_or_else(|| format!("{at}: the plugin {name:?} is not enabled in this profile"))?;
        if !args.is_null() {
            plugin.args = args.to_string();
        }
        Ok(())
    }
}

/// What the built-in plugins among these do.
fn built_in(pre_filter: &[Entry<'_>], filter: &[Entry<'_>], score: &[Entry<'_>]) -> BuiltIns {
    let is_affinity = |entry: &Entry<'_>| entry.plugin.is(Known::BuiltIn(Plugin::NodeAffinity));
    let mut built_in = BuiltIns::none();
    for entry in filter {
        if let Known::BuiltIn(plugin) = entry.plugin {
            built_in.set_filter(plugin);
        }
    }
    for entry in score {
        if let Known::BuiltIn(plugin) = entry.plugin {
            built_in.set_weight(plugin, entry.weight.unwrap_or(WEIGHT));
        }
    }
    if pre_filter.iter().any(is_affinity) {
        built_in.set_narrows();
    }
    built_in
}

impl<'a> Known<'a> {
    fn find(at: &str, name: &str, available: &'a [Available]) -> Result<Self, String> {
        if let Some(plugin) = Plugin::named(name) {
            return Ok(Self::BuiltIn(plugin));
        }
        let found = available.iter().find(|plugin| plugin.name == name);
        found.map(Self::Component).ok_or_else(|| {
            let built_in = Plugin::ALL.map(Plugin::name).join(", ");
            let components: Vec<&str> = available.iter().map(|plugin| plugin.name.as_str()).collect();
            let components = match components.is_empty() {
                true => "the module has no others".to_owned(),
                false => format!("the module's own are {}", components.join(", ")),
            };
            format!("{at}: there is no plugin {name:?}; built in are {built_in}; {components}")
        })
    }

    fn name(self) -> &'a str {
        match self {
            Self::BuiltIn(plugin) => plugin.name(),
            Self::Component(component) => &component.name,
        }
    }

    fn hooks(self) -> Hooks {
        match self {
            Self::BuiltIn(plugin) => plugin.hooks(),
            Self::Component(component) => component.hooks,
        }
    }

    /// Whether both are the same: no component has the name of a built-in plugin.
    fn is(self, other: Known<'_>) -> bool {
        self.name() == other.name()
    }
}

impl<'a> Entry<'a> {
    fn find(at: String, name: &str, point: Point, available: &'a [Available]) -> Result<Self, String> {
        let plugin = Known::find(&at, name, available)?;
        if plugin.hooks().and(point.hooks) == Hooks::NONE {
            return Err(format!("{at}: the plugin {name:?} has no {}", point.key));
        }
        Ok(Self {
            at,
            plugin,
            weight: None,
        })
    }

    fn with_weight(self, weight: Option<i64>, point: Point) -> Result<Self, String> {
        let (at, name) = (&self.at, self.plugin.name());
        if let Some(weight) = weight {
            if !WEIGHTS.contains(&weight) {
                return Err(format!(
                    "{at}: a weight of {weight} for {name:?} is not between 1 and 100; to switch a plugin off, \
                     list it under `disabled`"
                ));
            }
            if !point.hooks.contains(Hooks::SCORE) {
                return Err(format!(
                    "{at}: {name:?} has a weight, which only `score` and `multiPoint` take"
                ));
            }
            if !self.plugin.hooks().contains(Hooks::SCORE) {
                return Err(format!("{at}: the plugin {name:?} does not score"));
            }
        }
        Ok(Self { weight, ..self })
    }
}

impl<'a> List<'a> {
    fn read(at: &str, point: Point, json: PointJson, available: &'a [Available]) -> Result<Self, String> {
        let mut list = Self {
            enabled: Vec::with_capacity(json.enabled.len()),
            disabled: Vec::with_capacity(json.disabled.len()),
            all_disabled: None,
        };
        for (position, plugin) in json.disabled.into_iter().enumerate() {
            let at = format!("{at}.disabled[{position}]");
            if plugin.name == ALL {
                list.all_disabled = Some(at);
            } else {
                let entry = Entry::find(at, &plugin.name, point, available)?;
                list.disabled.push(entry);
            }
        }
        for (position, plugin) in json.enabled.into_iter().enumerate() {
            let at = format!("{at}.enabled[{position}]");
            let entry = Entry::find(at, &plugin.name, point, available)?.with_weight(plugin.weight, point)?;
            if list.enables(entry.plugin) {
                return Err(format!("{}: {:?} is listed twice", entry.at, plugin.name));
            }
            list.enabled.push(entry);
        }
        Ok(list)
    }

    fn enables(&self, plugin: Known<'_>) -> bool {
        self.enabled.iter().any(|entry| entry.plugin.is(plugin))
    }

    /// Where a plugin is disabled.
    fn disables(&self, plugin: Known<'_>) -> Option<&str> {
        let named = self.disabled.iter().find(|entry| entry.plugin.is(plugin));
        named
            .map(|entry| entry.at.as_str())
            .or(self.all_disabled.as_deref())
    }

    /// What comes of the default plugins with this list of `multiPoint`.
    fn on_top_of(self, defaults: &BuiltIns) -> Vec<Entry<'a>> {
        let default = |plugin: Plugin| Entry {
            at: String::new(),
            plugin: Known::BuiltIn(plugin),
            weight: Some(defaults.weight(plugin)),
        };
        let defaults = Plugin::ALL
            .into_iter()
            .filter(|plugin| defaults.runs(*plugin))
            .map(default);
        let is_kept =
            |entry: &Entry<'_>| !self.enables(entry.plugin) && self.disables(entry.plugin).is_none();
        let mut plugins: Vec<Entry<'a>> = defaults.filter(is_kept).collect();
        plugins.extend(self.enabled);
        plugins
    }

    /// Who takes part in an extension point, in order: those of `multiPoint` that are listed
    /// here as well, in the order here, the others of `multiPoint`, and those that are only
    /// listed here.
    fn expand(&self, point: Point, multi_point: &[Entry<'a>]) -> Vec<Entry<'a>> {
        let has_point = |entry: &&Entry<'a>| {
            entry.plugin.hooks().contains(point.hooks) && self.disables(entry.plugin).is_none()
        };
        let expanded: Vec<&Entry<'a>> = multi_point.iter().filter(has_point).collect();
        let is_expanded = |plugin: Known<'_>| expanded.iter().any(|entry| entry.plugin.is(plugin));
        let (first, last): (Vec<&Entry<'a>>, Vec<&Entry<'a>>) =
            self.enabled.iter().partition(|entry| is_expanded(entry.plugin));
        let between = expanded.iter().filter(|entry| !self.enables(entry.plugin));
        first
            .into_iter()
            .chain(between.copied())
            .chain(last)
            .cloned()
            .collect()
    }

    /// Refuses what this list of `preFilter` says of built-in plugins and cannot be done. What
    /// a built-in plugin looks up once for its filter is no step of its own here, but for the
    /// nodes that a pod names.
    fn check_built_in(&self, filter: &[Entry<'_>]) -> Result<(), String> {
        let filters = |plugin: Plugin| filter.iter().any(|entry| entry.plugin.is(Known::BuiltIn(plugin)));
        for plugin in Plugin::ALL {
            let (known, name) = (Known::BuiltIn(plugin), plugin.name());
            if !plugin.hooks().contains(Hooks::PRE_FILTER) || self.enables(known) {
                continue;
            }
            if let Some(at) = self.disables(known).filter(|_| filters(plugin)) {
                return Err(format!(
                    "{at}: the built-in {name:?} filters, and cannot without its preFilter; disable its `filter` \
                     as well"
                ));
            }
        }
        for entry in &self.enabled {
            let Known::BuiltIn(plugin) = entry.plugin else {
                continue;
            };
            if !filters(plugin) && plugin != Plugin::NodeAffinity {
                return Err(format!(
                    "{}: the preFilter of the built-in {:?} does nothing without its `filter`, which is off",
                    entry.at,
                    plugin.name()
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
