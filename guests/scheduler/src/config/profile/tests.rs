//! What the lists of a profile come to, and what is refused.

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

fn read_entry(plugins: Value, plugin_config: Value) -> Result<Profile, String> {
    let entry = json!({"schedulerName": "s", "plugins": plugins, "pluginConfig": plugin_config});
    Profile::read("profiles[0]", entry, &BuiltIns::default(), &available())
}

fn read(plugins: Value) -> Result<Profile, String> {
    read_entry(plugins, json!([]))
}

#[track_caller]
fn assert_refused(plugins: Value, text: &str) {
    let error = read(plugins).unwrap_err();
    assert!(error.contains(text), "{error}");
}

fn component(name: &str, hooks: Hooks, weight: i64) -> EnabledPlugin {
    EnabledPlugin {
        name: name.to_owned(),
        hooks,
        weight,
        args: "{}".to_owned(),
    }
}

/// The plugins that filter, and those that score with their weights.
fn built_in(plugins: Value) -> (Vec<&'static str>, Vec<(&'static str, i64)>) {
    let built_in = read(plugins).unwrap().built_in;
    let filters = Plugin::ALL.into_iter().filter(|plugin| built_in.filters(*plugin));
    let scores = Plugin::ALL
        .into_iter()
        .filter(|plugin| built_in.weight(*plugin) > 0);
    (
        filters.map(Plugin::name).collect(),
        scores
            .map(|plugin| (plugin.name(), built_in.weight(plugin)))
            .collect(),
    )
}

#[test]
fn a_component_takes_part_where_it_is_enabled() {
    let profile = read(json!({
        "multiPoint": {"enabled": [{"name": "Quota"}]},
        "score": {"enabled": [{"name": "Cost", "weight": 5}]},
        "reserve": {"disabled": [{"name": "Quota"}]}
    }))
    .unwrap();
    assert_eq!(
        profile.external,
        [
            component("Quota", Hooks::FILTER, 1),
            component("Cost", Hooks::SCORE, 5)
        ]
    );
    assert!(profile.reserving.is_empty());
}

#[test]
fn an_extension_point_says_more_than_multi_point() {
    let profile = read(json!({
        "multiPoint": {"enabled": [{"name": "Cost", "weight": 5}, {"name": "Quota"}]},
        "filter": {"enabled": [{"name": "Quota"}]},
        "score": {"enabled": [{"name": "Cost", "weight": 2}]}
    }))
    .unwrap();
    assert_eq!(
        profile.external,
        [
            component("Quota", Hooks::FILTER.or(Hooks::RESERVE), 1),
            component("Cost", Hooks::ALL, 2)
        ],
        "the filter that is listed itself goes first"
    );
    assert_eq!(profile.reserving, [1, 0], "as `multiPoint` has them");
    // Without a weight it is 1, whatever `multiPoint` or the default profile say.
    let unsaid = json!({
        "multiPoint": {"enabled": [{"name": "Cost", "weight": 5}]},
        "score": {"enabled": [{"name": "Cost"}, {"name": "TaintToleration"}]}
    });
    assert_eq!(read(unsaid.clone()).unwrap().external[0].weight, 1);
    assert!(built_in(unsaid).1.contains(&("TaintToleration", 1)));
    let order = read(json!({
        "multiPoint": {"enabled": [{"name": "Quota"}, {"name": "Cost"}]},
        "reserve": {"disabled": [{"name": "*"}], "enabled": [{"name": "Cost"}, {"name": "Quota"}]}
    }));
    assert_eq!(order.unwrap().reserving, [1, 0]);
}

#[test]
fn arguments_are_those_of_the_profile() {
    let plugins = json!({"multiPoint": {"enabled": [{"name": "Cost"}]}});
    let args = |args: Value| {
        let profile = read_entry(plugins.clone(), json!([{"name": "Cost", "args": args}]));
        profile.unwrap().external[0].args.clone()
    };
    assert_eq!(args(json!({"limit": 3})), r#"{"limit":3}"#);
    assert_eq!(args(Value::Null), "{}");
    let refused = |config: Value, text: &str| {
        let error = read_entry(plugins.clone(), config).unwrap_err();
        assert!(error.contains(text), "{error}");
    };
    let twice = json!([{"name": "Cost", "args": {}}, {"name": "Cost", "args": {"limit": 3}}]);
    refused(
        twice,
        "profiles[0].pluginConfig[1]: there are arguments for \"Cost\" already",
    );
    refused(
        json!([{"name": "Quota", "args": {}}]),
        "profiles[0].pluginConfig[0]: the plugin \"Quota\" is not enabled in this profile",
    );
    refused(
        json!([{"name": "NodeAffinity", "args": {}}]),
        "profiles[0].pluginConfig[0]: the built-in \"NodeAffinity\" takes no arguments here",
    );
}

#[test]
fn built_in_plugins_can_be_off_or_only_filter_or_only_score() {
    let (filters, scores) = built_in(json!({
        "multiPoint": {"disabled": [{"name": "*"}], "enabled": [{"name": "NodeResourcesFit", "weight": 2}]},
        "score": {"enabled": [{"name": "ImageLocality", "weight": 4}]}
    }));
    assert_eq!(filters, ["NodeResourcesFit"]);
    assert_eq!(scores, [("NodeResourcesFit", 2), ("ImageLocality", 4)]);
    let (filters, scores) = built_in(json!({
        "filter": {"disabled": [{"name": "NodeResourcesFit"}]},
        "score": {"disabled": [{"name": "TaintToleration"}]}
    }));
    assert!(!filters.contains(&"NodeResourcesFit") && filters.contains(&"TaintToleration"));
    assert!(scores.contains(&("NodeResourcesFit", 1)));
    assert!(!scores.iter().any(|(name, _)| *name == "TaintToleration"));
    let (filters, scores) = built_in(json!({
        "multiPoint": {"disabled": [{"name": "*"}]},
        "score": {"enabled": [{"name": "NodeResourcesFit", "weight": 3}]}
    }));
    assert_eq!((filters, scores), (vec![], vec![("NodeResourcesFit", 3)]));
    let (filters, scores) = built_in(json!({
        "score": {"disabled": [{"name": "*"}], "enabled": [{"name": "NodeAffinity"}]}
    }));
    assert_eq!((filters.len(), scores), (8, vec![("NodeAffinity", 1)]));
}

#[test]
fn the_pre_filter_of_a_built_in_plugin_goes_with_its_filter() {
    let whole = json!({
        "multiPoint": {"disabled": [{"name": "*"}]},
        "preFilter": {"enabled": [{"name": "NodeResourcesFit"}]},
        "filter": {"enabled": [{"name": "NodeResourcesFit"}]}
    });
    assert_eq!(built_in(whole).0, ["NodeResourcesFit"]);
    let both = json!({
        "preFilter": {"disabled": [{"name": "NodePorts"}]}, "filter": {"disabled": [{"name": "NodePorts"}]}
    });
    assert_eq!(built_in(both).0.len(), 7);
    for name in ["NodePorts", "*"] {
        assert_refused(
            json!({"preFilter": {"disabled": [{"name": name}]}}),
            "profiles[0].plugins.preFilter.disabled[0]: the built-in \"Node",
        );
    }
    assert_refused(
        json!({
            "multiPoint": {"disabled": [{"name": "*"}]},
            "preFilter": {"enabled": [{"name": "NodePorts"}]}
        }),
        "profiles[0].plugins.preFilter.enabled[0]: the preFilter of the built-in \"NodePorts\" does nothing \
         without its `filter`, which is off",
    );
    let narrows = |plugins: Value| read(plugins).unwrap().built_in.narrows();
    assert!(narrows(
        json!({"filter": {"disabled": [{"name": "NodeAffinity"}]}})
    ));
    assert!(!narrows(
        json!({"multiPoint": {"disabled": [{"name": "NodeAffinity"}]}})
    ));
}

#[test]
fn mistakes_are_named() {
    assert_refused(
        json!({"score": {"enabled": [{"name": "Cost", "weight": 0}]}}),
        "profiles[0].plugins.score.enabled[0]: a weight of 0 for \"Cost\" is not between 1 and 100",
    );
    assert_refused(
        json!({"score": {"enabled": [{"name": "Cost", "weight": -3}]}}),
        "a weight of -3",
    );
    assert_refused(
        json!({"filter": {"enabled": [{"name": "Nope"}]}}),
        "profiles[0].plugins.filter.enabled[0]: there is no plugin \"Nope\"; built in are NodeUnschedulable",
    );
    assert_refused(
        json!({"filter": {"disabled": [{"name": "Nope"}]}}),
        "the module's own are Cost, Quota",
    );
    assert_refused(
        json!({"score": {"enabled": [{"name": "Quota"}]}}),
        "the plugin \"Quota\" has no score",
    );
    assert_refused(
        json!({"reserve": {"enabled": [{"name": "NodePorts"}]}}),
        "profiles[0].plugins.reserve.enabled[0]: the plugin \"NodePorts\" has no reserve",
    );
    assert_refused(
        json!({"preFilter": {"disabled": [{"name": "ImageLocality"}]}}),
        "profiles[0].plugins.preFilter.disabled[0]: the plugin \"ImageLocality\" has no preFilter",
    );
    assert_refused(
        json!({"filter": {"enabled": [{"name": "Cost", "weight": 2}]}}),
        "which only `score` and `multiPoint` take",
    );
    assert_refused(
        json!({"multiPoint": {"enabled": [{"name": "Quota", "weight": 2}]}}),
        "profiles[0].plugins.multiPoint.enabled[0]: the plugin \"Quota\" does not score",
    );
    assert_refused(
        json!({"filter": {"enabled": [{"name": "Quota"}, {"name": "Quota"}]}}),
        "profiles[0].plugins.filter.enabled[1]: \"Quota\" is listed twice",
    );
    assert_refused(json!({"bind": {}}), "unknown field `bind`");
}
