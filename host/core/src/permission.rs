//! What a module may do at the API server.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// One rule, in the form of a Kubernetes `PolicyRule`: these verbs on these resources.
/// A resource is `pods` or `pods/status`; `*` matches everything in its list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PermissionRule {
    /// API groups; the core group is the empty string.
    pub api_groups: Vec<SmolStr>,
    /// Resources, with `/subresource` where one is meant.
    pub resources: Vec<SmolStr>,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub verbs: Vec<SmolStr>,
}

impl PermissionRule {
    fn allows(&self, verb: &str, group: &str, resource: &str, subresource: &str) -> bool {
        contains(&self.verbs, verb)
            && contains(&self.api_groups, group)
            && self.resources.iter().any(|rule| match rule.split_once('/') {
                _ if rule == "*" => true,
                Some((plural, sub)) => {
                    (plural == "*" || plural == resource) && (sub == "*" || sub == subresource)
                }
                None => rule == resource && subresource.is_empty(),
            })
    }
}

fn contains(list: &[SmolStr], value: &str) -> bool {
    list.iter().any(|item| item == "*" || item == value)
}

/// All that a module was granted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants(pub Vec<PermissionRule>);

impl Grants {
    /// Whether a request is covered by some rule.
    #[must_use]
    pub fn allow(&self, verb: &str, group: &str, resource: &str, subresource: &str) -> bool {
        self.0
            .iter()
            .any(|rule| rule.allows(verb, group, resource, subresource))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(groups: &[&str], resources: &[&str], verbs: &[&str]) -> Grants {
        let list = |items: &[&str]| items.iter().copied().map(SmolStr::from).collect();
        Grants(vec![PermissionRule {
            api_groups: list(groups),
            resources: list(resources),
            verbs: list(verbs),
        }])
    }

    #[test]
    fn a_resource_does_not_imply_its_subresources() {
        let grants = grants(&[""], &["pods"], &["update"]);
        assert!(grants.allow("update", "", "pods", ""));
        assert!(!grants.allow("update", "", "pods", "status"));
        assert!(!grants.allow("delete", "", "pods", ""));
        assert!(!grants.allow("update", "apps", "pods", ""));
    }

    #[test]
    fn wildcards_match_as_in_rbac() {
        assert!(grants(&["*"], &["*"], &["get"]).allow("get", "apps", "deployments", "scale"));
        assert!(grants(&[""], &["*/status"], &["*"]).allow("patch", "", "nodes", "status"));
        assert!(!grants(&[""], &["*/status"], &["*"]).allow("patch", "", "nodes", ""));
    }
}
