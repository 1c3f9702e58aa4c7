//! What a guest needs, as rules: for the check before it starts, and for RBAC.

use smol_str::SmolStr;
use windlass_core::manifest::{Manifest, WatchTarget};
use windlass_core::permission::{Grants, PermissionRule};

/// The verbs that a watch needs.
const WATCH_VERBS: [&str; 3] = ["get", "list", "watch"];
/// The verbs that recording events needs.
const EVENT_VERBS: [&str; 2] = ["create", "patch"];

/// Everything a guest needs: reading what it watches, what it declares, and events.
#[must_use]
pub fn required(manifest: &Manifest) -> Vec<PermissionRule> {
    let mut rules = reading(manifest);
    rules.extend(manifest.permissions.iter().cloned());
    rules.push(rule(&["", "events.k8s.io"], &["events"], &EVENT_VERBS));
    merge(rules)
}

/// What its watches need.
#[must_use]
pub fn reading(manifest: &Manifest) -> Vec<PermissionRule> {
    let targets = manifest.watches.iter().map(|watch| &watch.target);
    targets.map(reading_target).collect()
}

/// What is required and not granted; empty when the module may start.
#[must_use]
pub fn missing(required: &[PermissionRule], grants: &Grants) -> Vec<PermissionRule> {
    let mut missing = Vec::new();
    for needed in required {
        for group in &needed.api_groups {
            for resource in &needed.resources {
                let (plural, subresource) = resource.split_once('/').unwrap_or((resource, ""));
                let refused = |verb: &&SmolStr| !grants.allow(verb, group, plural, subresource);
                let verbs: Vec<SmolStr> = needed.verbs.iter().filter(refused).cloned().collect();
                if !verbs.is_empty() {
                    missing.push(PermissionRule {
                        api_groups: vec![group.clone()],
                        resources: vec![resource.clone()],
                        verbs,
                    });
                }
            }
        }
    }
    merge(missing)
}

/// A rule in one line, as it would stand in a configuration.
#[must_use]
pub fn one_line(rule: &PermissionRule) -> String {
    let list = |items: &[SmolStr]| {
        items
            .iter()
            .map(|item| format!("{:?}", item.as_str()))
            .collect::<Vec<_>>()
            .join(", ")
    };
    format!(
        "{{apiGroups: [{}], resources: [{}], verbs: [{}]}}",
        list(&rule.api_groups),
        list(&rule.resources),
        list(&rule.verbs)
    )
}

/// A ClusterRole of these rules, as YAML.
#[must_use]
pub fn cluster_role(name: &str, rules: &[PermissionRule]) -> String {
    let mut text = format!(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata:\n  name: {name}\nrules:\n"
    );
    for rule in rules {
        text.push_str("- ");
        text.push_str(&one_line(rule).trim_matches(['{', '}']).replace("], ", "]\n  "));
        text.push('\n');
    }
    text
}

fn reading_target(target: &WatchTarget) -> PermissionRule {
    match target {
        WatchTarget::One(resource) => rule(&[&resource.group], &[&resource.plural], &WATCH_VERBS),
        WatchTarget::Discovered { .. } => rule(&["*"], &["*"], &WATCH_VERBS),
    }
}

fn rule(api_groups: &[&str], resources: &[&str], verbs: &[&str]) -> PermissionRule {
    let list = |items: &[&str]| items.iter().copied().map(SmolStr::new).collect();
    PermissionRule {
        api_groups: list(api_groups),
        resources: list(resources),
        verbs: list(verbs),
    }
}

/// Joins rules that differ in one list only: first resources of the same group and verbs,
/// then groups of the same resources and verbs. The order of first appearance stays.
fn merge(rules: Vec<PermissionRule>) -> Vec<PermissionRule> {
    let mut merged: Vec<PermissionRule> = Vec::new();
    for rule in rules {
        let same = merged
            .iter_mut()
            .find(|earlier| earlier.api_groups == rule.api_groups && earlier.resources == rule.resources);
        match same {
            Some(earlier) => union(&mut earlier.verbs, rule.verbs),
            None => merged.push(rule),
        }
    }
    let mut joined: Vec<PermissionRule> = Vec::new();
    for rule in merged {
        match joined
            .iter_mut()
            .find(|earlier| earlier.api_groups == rule.api_groups && earlier.verbs == rule.verbs)
        {
            Some(earlier) => union(&mut earlier.resources, rule.resources),
            None => joined.push(rule),
        }
    }
    joined
}

fn union(into: &mut Vec<SmolStr>, more: Vec<SmolStr>) {
    for item in more {
        if !into.contains(&item) {
            into.push(item);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_rule_by_rule() {
        let required = vec![
            rule(&[""], &["pods"], &["get", "create"]),
            rule(&["apps"], &["replicasets/status"], &["update"]),
        ];
        let grants = Grants(vec![rule(&[""], &["pods"], &["get"])]);
        let missing = missing(&required, &grants);
        let lines: Vec<String> = missing.iter().map(one_line).collect();
        assert_eq!(
            lines,
            [
                r#"{apiGroups: [""], resources: ["pods"], verbs: ["create"]}"#,
                r#"{apiGroups: ["apps"], resources: ["replicasets/status"], verbs: ["update"]}"#
            ]
        );
        assert!(super::missing(&required, &Grants(required.clone())).is_empty());
    }

    #[test]
    fn a_wildcard_need_is_met_by_a_wildcard_grant_only() {
        let required = vec![rule(&["*"], &["*"], &["list"])];
        assert!(!missing(&required, &Grants(vec![rule(&[""], &["pods"], &["list"])])).is_empty());
        assert!(missing(&required, &Grants(vec![rule(&["*"], &["*"], &["list"])])).is_empty());
    }

    #[test]
    fn a_cluster_role_is_valid_yaml_with_the_same_rules() {
        let rules = vec![rule(&["apps"], &["deployments", "replicasets"], &WATCH_VERBS)];
        let text = cluster_role("windlass-x", &rules);
        let value: serde_json::Value = serde_saphyr::from_str(&text).expect("YAML");
        assert_eq!(
            value["rules"][0]["resources"],
            serde_json::json!(["deployments", "replicasets"])
        );
        assert_eq!(
            value["rules"][0]["verbs"],
            serde_json::json!(["get", "list", "watch"])
        );
    }
}
