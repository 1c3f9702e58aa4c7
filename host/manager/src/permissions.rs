//! What a guest needs, as rules, held against what it was granted.

use smol_str::SmolStr;
use windlass_core::key::Resource;
use windlass_core::manifest::{Manifest, WatchTarget};
use windlass_core::permission::{Grants, PermissionRule, READ_VERBS};

use crate::controller_modules::definition;

/// The verbs that recording events needs.
const EVENT_VERBS: [&str; 2] = ["create", "patch"];

/// Everything a guest needs: reading what it watches, what it declares, and events.
#[must_use]
pub fn required(manifest: &Manifest) -> Vec<PermissionRule> {
    let mut rules = reading(manifest);
    rules.extend(manifest.permissions.iter().cloned());
    rules.push(events());
    merge(rules)
}

/// What recording events needs.
#[must_use]
pub fn events() -> PermissionRule {
    rule(&["", "events.k8s.io"], &["events"], &EVENT_VERBS)
}

/// What its watches need.
#[must_use]
pub fn reading(manifest: &Manifest) -> Vec<PermissionRule> {
    let targets = manifest.watches.iter().map(|watch| &watch.target);
    targets.map(reading_target).collect()
}

/// What is required and granted on no object at all; empty when the module may start.
#[must_use]
pub fn missing(required: &[PermissionRule], grants: &Grants) -> Vec<PermissionRule> {
    let missing = each_verb(required).filter(|need| {
        let (plural, subresource) = need.resource.split_once('/').unwrap_or((need.resource, ""));
        grants
            .scope(need.verb, need.group, plural, subresource)
            .is_empty()
    });
    merge(missing.map(Need::rule).collect())
}

/// What of these rules reaches further than `most`.
#[must_use]
pub fn beyond(rules: &[PermissionRule], most: &Grants) -> Vec<PermissionRule> {
    let beyond = single(rules).filter(|rule| !covers(most, rule));
    merge(beyond.collect())
}

/// What of these rules `most` covers.
#[must_use]
pub fn within(rules: &[PermissionRule], most: &Grants) -> Vec<PermissionRule> {
    let within = single(rules).filter(|rule| covers(most, rule));
    merge(within.collect())
}

/// Rules taken apart: one verb on one resource, in one namespace and of one name where
/// they are limited.
fn single(rules: &[PermissionRule]) -> impl Iterator<Item = PermissionRule> {
    rules.iter().flat_map(|whole| {
        each_verb(std::slice::from_ref(whole)).flat_map(|need| {
            let (namespaces, names) = (parts(&whole.namespaces), parts(&whole.resource_names));
            let pairs = namespaces.into_iter().flat_map(move |namespace| {
                names
                    .clone()
                    .into_iter()
                    .map(move |name| (namespace.clone(), name))
            });
            pairs.map(move |(namespaces, resource_names)| PermissionRule {
                namespaces,
                resource_names,
                ..need.rule()
            })
        })
    })
}

/// Lists of one each; an empty list is no limit and stays one.
fn parts(list: &[SmolStr]) -> Vec<Vec<SmolStr>> {
    if list.is_empty() {
        return vec![Vec::new()];
    }
    list.iter().map(|item| vec![item.clone()]).collect()
}

/// Whether a rule of single parts grants nothing that `most` does not.
fn covers(most: &Grants, rule: &PermissionRule) -> bool {
    let within = |limits: &[SmolStr], part: &[SmolStr]| {
        limits.is_empty() || (!part.is_empty() && part.iter().all(|item| limits.contains(item)))
    };
    each_verb(std::slice::from_ref(rule)).all(|need| {
        let (plural, subresource) = need.resource.split_once('/').unwrap_or((need.resource, ""));
        let scope = most.scope(need.verb, need.group, plural, subresource);
        scope.parts().iter().any(|part| {
            within(&part.namespaces, &rule.namespaces) && within(&part.names, &rule.resource_names)
        })
    })
}

/// What a guest watches and may read less of now than before.
#[must_use]
pub fn no_longer_readable(manifest: &Manifest, before: &Grants, now: &Grants) -> Vec<PermissionRule> {
    let named = [
        Resource::new("", "v1", "secrets"),
        Resource::new(definition::GROUP, definition::VERSION, definition::PLURAL),
    ];
    let lost = |resource: &Resource| {
        let readable = before.readable(resource);
        readable.intersection(&now.readable(resource)) != readable
    };
    let mut rules = missing(&reading(manifest), now);
    for watch in &manifest.watches {
        let resources = match &watch.target {
            WatchTarget::One(resource) => std::slice::from_ref(resource),
            // Of everything there is, only these depend on more than the wildcard.
            WatchTarget::Discovered { .. } => &named,
        };
        let lost = resources.iter().filter(|resource| lost(resource));
        rules.extend(lost.map(|resource| rule(&[&resource.group], &[&resource.plural], &READ_VERBS)));
    }
    merge(rules)
}

/// One verb on one resource.
#[derive(Clone, Copy)]
pub(crate) struct Need<'a> {
    pub(crate) verb: &'a str,
    pub(crate) group: &'a str,
    /// With its subresource.
    pub(crate) resource: &'a str,
}

impl Need<'_> {
    pub(crate) fn rule(self) -> PermissionRule {
        rule(&[self.group], &[self.resource], &[self.verb])
    }
}

/// Rules taken apart.
pub(crate) fn each_verb(rules: &[PermissionRule]) -> impl Iterator<Item = Need<'_>> {
    rules.iter().flat_map(|rule| {
        rule.api_groups.iter().flat_map(move |group| {
            rule.resources.iter().flat_map(move |resource| {
                rule.verbs.iter().map(move |verb| Need {
                    verb,
                    group,
                    resource,
                })
            })
        })
    })
}

fn reading_target(target: &WatchTarget) -> PermissionRule {
    match target {
        WatchTarget::One(resource) => rule(&[&resource.group], &[&resource.plural], &READ_VERBS),
        WatchTarget::Discovered { .. } => rule(&["*"], &["*"], &READ_VERBS),
    }
}

pub(crate) fn rule(api_groups: &[&str], resources: &[&str], verbs: &[&str]) -> PermissionRule {
    let list = |items: &[&str]| items.iter().copied().map(SmolStr::new).collect();
    PermissionRule {
        api_groups: list(api_groups),
        resources: list(resources),
        verbs: list(verbs),
        ..PermissionRule::default()
    }
}

/// Joins rules that differ in one list only: first the verbs of the same resources, then
/// resources of the same group and verbs. The order of first appearance stays.
pub(crate) fn merge(rules: Vec<PermissionRule>) -> Vec<PermissionRule> {
    let same_objects = |one: &PermissionRule, other: &PermissionRule| {
        one.api_groups == other.api_groups
            && one.namespaces == other.namespaces
            && one.resource_names == other.resource_names
    };
    let mut merged: Vec<PermissionRule> = Vec::new();
    for rule in rules {
        let same = merged
            .iter_mut()
            .find(|earlier| same_objects(earlier, &rule) && earlier.resources == rule.resources);
        match same {
            Some(earlier) => union(&mut earlier.verbs, rule.verbs),
            None => merged.push(rule),
        }
    }
    let mut joined: Vec<PermissionRule> = Vec::new();
    for rule in merged {
        let same = joined
            .iter_mut()
            .find(|earlier| same_objects(earlier, &rule) && earlier.verbs == rule.verbs);
        match same {
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
        let lines: Vec<String> = missing.iter().map(ToString::to_string).collect();
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
    fn a_grant_in_one_namespace_is_enough_to_start() {
        let required = vec![rule(&[""], &["pods"], &["create"])];
        let mut granted = required[0].clone();
        granted.namespaces = vec!["shop".into()];
        assert!(missing(&required, &Grants(vec![granted])).is_empty());
    }

    #[test]
    fn what_reaches_further_is_told_part_by_part() {
        let limited = |namespaces: &[&str], names: &[&str]| PermissionRule {
            namespaces: namespaces.iter().copied().map(SmolStr::new).collect(),
            resource_names: names.iter().copied().map(SmolStr::new).collect(),
            ..rule(&[""], &["configmaps"], &["get"])
        };
        let most = Grants(vec![limited(&["a"], &[]), limited(&["b"], &["x"])]);
        assert_eq!(
            beyond(&[limited(&["a"], &["y"]), limited(&["b"], &["x"])], &most),
            []
        );
        assert_eq!(
            beyond(&[limited(&["a", "b"], &["x", "y"])], &most),
            [limited(&["b"], &["y"])]
        );
        for wider in [limited(&[], &[]), limited(&[], &["x"]), limited(&["b"], &[])] {
            assert_eq!(beyond(std::slice::from_ref(&wider), &most), [wider]);
        }
    }

    #[test]
    fn a_wildcard_reaches_as_far_as_a_wildcard_and_never_to_secrets() {
        let everything = Grants(vec![rule(&["*"], &["*"], &["*"])]);
        let asked = [
            rule(&["*"], &["*"], &["*"]),
            rule(&["apps"], &["deployments/scale"], &["update"]),
            rule(&[""], &["secrets"], &["get"]),
        ];
        assert_eq!(beyond(&asked, &everything), [rule(&[""], &["secrets"], &["get"])]);
        assert_eq!(within(&asked, &everything), &asked[..2]);
        let pods = Grants(vec![rule(&[""], &["pods"], &["get"])]);
        assert_eq!(beyond(&asked[..1], &pods), &asked[..1]);
    }

    #[test]
    fn secrets_are_missing_until_they_are_named() {
        let required = vec![
            rule(&["*"], &["*"], &["get"]),
            rule(&[""], &["secrets"], &["get"]),
        ];
        let wildcard = Grants(vec![rule(&["*"], &["*"], &["*"])]);
        assert_eq!(
            missing(&required, &wildcard),
            [rule(&[""], &["secrets"], &["get"])]
        );
    }

    #[test]
    fn what_is_read_less_than_before_is_told() {
        let watch = |target| windlass_core::manifest::WatchSpec {
            target,
            label_selector: String::new(),
            view: windlass_core::manifest::View::Metadata,
            enqueue: windlass_core::manifest::EnqueueRule::None,
            on: windlass_core::manifest::EventKinds::ALL,
            observe: false,
            old_bodies: false,
            indexes: Vec::new(),
        };
        let manifest = |target| Manifest {
            name: "a".into(),
            version: "1".into(),
            watches: vec![watch(target)],
            workers: 1,
            permissions: Vec::new(),
            api_qps: 0,
            api_burst: 0,
        };
        let grants = |namespaces: &[&str]| {
            let mut pods = rule(&[""], &["pods"], &READ_VERBS);
            pods.namespaces = namespaces.iter().copied().map(SmolStr::new).collect();
            Grants(vec![pods])
        };
        let pods = manifest(WatchTarget::One(Resource::new("", "v1", "pods")));
        let lost = |before: &[&str], now: &[&str]| {
            !no_longer_readable(&pods, &grants(before), &grants(now)).is_empty()
        };
        assert!(lost(&[], &["a"]) && lost(&["a", "b"], &["a"]) && lost(&["a"], &["b"]));
        assert!(!lost(&["a"], &["a", "b"]) && !lost(&["a"], &[]) && !lost(&[], &[]));
        let everything = manifest(WatchTarget::Discovered { except: Vec::new() });
        let wildcard = rule(&["*"], &["*"], &["*"]);
        for (group, plural) in [("", "secrets"), ("windlass.dev", "controllermodules")] {
            let with = Grants(vec![wildcard.clone(), rule(&[group], &[plural], &["*"])]);
            let lost = no_longer_readable(&everything, &with, &Grants(vec![wildcard.clone()]));
            assert_eq!(lost, [rule(&[group], &[plural], &READ_VERBS)]);
        }
    }
}
