//! What a module may do at the API server.
//!
//! Rules have the form and the meaning of Kubernetes' own `PolicyRule`, with three
//! differences that all grant less. A rule may name the namespaces it holds for, and then
//! covers neither cluster-scoped objects nor requests that span all namespaces. `*` never
//! covers Secrets, the tokens of ServiceAccounts, nor ControllerModules, which grant
//! permissions themselves: who is to have them is named. And
//! `get`, `list` and `watch` limit what a module sees of the shared caches, too
//! ([`Grants::scope`]).

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::key::{ObjectKey, Resource};

/// The verbs that rules are written with, besides `*`.
pub const VERBS: [&str; 8] = [
    "get",
    "list",
    "watch",
    "create",
    "update",
    "patch",
    "delete",
    "deletecollection",
];

/// One rule, in the form of a Kubernetes `PolicyRule`: these verbs on these resources.
/// `*` matches everything in its list, but never Secrets, ServiceAccounts' tokens and
/// ControllerModules: those have to be named, with their API group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PermissionRule {
    /// API groups; the core group is the empty string.
    pub api_groups: Vec<SmolStr>,
    /// Resources by their plural, `pods`, with `/subresource` where one is meant,
    /// `pods/status`.
    pub resources: Vec<SmolStr>,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub verbs: Vec<SmolStr>,
    /// Only in these namespaces; empty: in all, and for cluster-scoped objects.
    #[serde(default)]
    pub namespaces: Vec<SmolStr>,
    /// Only the objects of these names; empty: all. Such a rule covers no `create`, and a
    /// `list` only with the field selector `metadata.name=<name>`.
    #[serde(default)]
    pub resource_names: Vec<SmolStr>,
}

/// One request, as far as permissions go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access<'a> {
    /// As in [`VERBS`].
    pub verb: &'a str,
    /// API group.
    pub group: &'a str,
    /// Plural.
    pub resource: &'a str,
    /// Empty for the object itself.
    pub subresource: &'a str,
    /// Empty for cluster-scoped objects and for requests that span all namespaces.
    pub namespace: &'a str,
    /// Empty for requests on a collection.
    pub name: &'a str,
}

impl PermissionRule {
    fn covers_kind(&self, verb: &str, group: &str, resource: &str, subresource: &str) -> bool {
        if !contains(&self.verbs, verb) {
            return false;
        }
        if is_sensitive(group, resource, subresource) {
            let named = |list: &[SmolStr], value: &str| list.iter().any(|item| item == value);
            let name = full_name(resource, subresource);
            return named(&self.api_groups, group) && named(&self.resources, &name);
        }
        contains(&self.api_groups, group)
            && self.resources.iter().any(|rule| match rule.split_once('/') {
                _ if rule == "*" => true,
                Some((plural, sub)) => {
                    (plural == "*" || plural == resource) && (sub == "*" || sub == subresource)
                }
                None => rule == resource && subresource.is_empty(),
            })
    }

    fn covers_object(&self, namespace: &str, name: &str) -> bool {
        let within = |list: &[SmolStr], value: &str| list.is_empty() || list.iter().any(|item| item == value);
        within(&self.namespaces, namespace) && within(&self.resource_names, name)
    }
}

/// The verbs that a watch needs.
pub const READ_VERBS: [&str; 3] = ["get", "list", "watch"];

/// What no wildcard covers: what is secret, and what grants permissions itself.
fn is_sensitive(group: &str, resource: &str, subresource: &str) -> bool {
    matches!(
        (group, resource, subresource),
        ("", "secrets", _) | ("", "serviceaccounts", "token") | ("windlass.dev", "controllermodules", _)
    )
}

fn contains(list: &[SmolStr], value: &str) -> bool {
    list.iter().any(|item| item == "*" || item == value)
}

fn full_name(resource: &str, subresource: &str) -> String {
    if subresource.is_empty() {
        resource.to_owned()
    } else {
        format!("{resource}/{subresource}")
    }
}

impl Access<'_> {
    /// The smallest rule that would allow it.
    #[must_use]
    pub fn missing_rule(&self) -> PermissionRule {
        let list = |item: &str| vec![SmolStr::new(item)];
        PermissionRule {
            api_groups: list(self.group),
            resources: list(&full_name(self.resource, self.subresource)),
            verbs: list(self.verb),
            namespaces: if self.namespace.is_empty() {
                Vec::new()
            } else {
                list(self.namespace)
            },
            resource_names: Vec::new(),
        }
    }
}

impl fmt::Display for PermissionRule {
    /// In one line, as it would stand in a configuration.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |items: &[SmolStr]| {
            let quoted: Vec<String> = items.iter().map(|item| format!("{:?}", item.as_str())).collect();
            quoted.join(", ")
        };
        write!(
            f,
            "{{apiGroups: [{}], resources: [{}], verbs: [{}]",
            list(&self.api_groups),
            list(&self.resources),
            list(&self.verbs)
        )?;
        if !self.namespaces.is_empty() {
            write!(f, ", namespaces: [{}]", list(&self.namespaces))?;
        }
        if !self.resource_names.is_empty() {
            write!(f, ", resourceNames: [{}]", list(&self.resource_names))?;
        }
        f.write_str("}")
    }
}

/// Which objects of one resource: a union of parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    parts: Vec<ScopePart>,
}

/// Objects in these namespaces and of these names; an empty list is no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScopePart {
    /// Namespaces.
    pub namespaces: Vec<SmolStr>,
    /// Names.
    pub names: Vec<SmolStr>,
}

impl Scope {
    /// Every object.
    #[must_use]
    pub fn everything() -> Self {
        Self {
            parts: vec![ScopePart::default()],
        }
    }

    /// A part without limits makes the others meaningless.
    fn of(mut parts: Vec<ScopePart>) -> Self {
        if parts.contains(&ScopePart::default()) {
            return Self::everything();
        }
        let mut seen = Vec::new();
        parts.retain(|part| {
            let new = !seen.contains(part);
            seen.push(part.clone());
            new
        });
        Self { parts }
    }

    /// The objects that are in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let pairs = self
            .parts
            .iter()
            .flat_map(|one| other.parts.iter().map(move |another| (one, another)));
        let parts = pairs.filter_map(|(one, another)| {
            Some(ScopePart {
                namespaces: common(&one.namespaces, &another.namespaces)?,
                names: common(&one.names, &another.names)?,
            })
        });
        Self::of(parts.collect())
    }

    /// Whether it is every object.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.parts
            .iter()
            .any(|part| part.namespaces.is_empty() && part.names.is_empty())
    }

    /// Whether it is no object at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Its parts.
    #[must_use]
    pub fn parts(&self) -> &[ScopePart] {
        &self.parts
    }

    /// Whether it has this object.
    #[must_use]
    pub fn contains(&self, key: &ObjectKey) -> bool {
        let within = |list: &[SmolStr], value: &SmolStr| list.is_empty() || list.contains(value);
        self.parts
            .iter()
            .any(|part| within(&part.namespaces, &key.namespace) && within(&part.names, &key.name))
    }
}

/// What is in both lists, an empty one being no limit; nothing if they exclude each other.
fn common(one: &[SmolStr], other: &[SmolStr]) -> Option<Vec<SmolStr>> {
    match (one, other) {
        ([], list) | (list, []) => Some(list.to_vec()),
        (one, other) => {
            let both: Vec<SmolStr> = one.iter().filter(|item| other.contains(item)).cloned().collect();
            (!both.is_empty()).then_some(both)
        }
    }
}

/// All that a module was granted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants(pub Vec<PermissionRule>);

impl Grants {
    /// Whether a request is covered by some rule.
    #[must_use]
    pub fn allow(&self, access: &Access<'_>) -> bool {
        self.0.iter().any(|rule| {
            rule.covers_kind(access.verb, access.group, access.resource, access.subresource)
                && rule.covers_object(access.namespace, access.name)
        })
    }

    /// The objects of a resource that a verb is granted on.
    #[must_use]
    pub fn scope(&self, verb: &str, group: &str, resource: &str, subresource: &str) -> Scope {
        let rules = self
            .0
            .iter()
            .filter(|rule| rule.covers_kind(verb, group, resource, subresource));
        let parts = rules.map(|rule| ScopePart {
            namespaces: rule.namespaces.clone(),
            names: rule.resource_names.clone(),
        });
        Scope::of(parts.collect())
    }

    /// The objects of a resource that may be watched: those that each verb of
    /// [`READ_VERBS`] is granted on.
    #[must_use]
    pub fn readable(&self, resource: &Resource) -> Scope {
        let scopes = READ_VERBS.map(|verb| self.scope(verb, &resource.group, &resource.plural, ""));
        scopes.iter().fold(Scope::everything(), |readable, scope| {
            readable.intersection(scope)
        })
    }
}

#[cfg(test)]
mod tests;
