//! The least RBAC objects for a whole configuration.
//!
//! Two identities, or more: the host's ServiceAccount, which lists and watches for the
//! shared caches, sends events, holds Leases, reads sources and, for modules that
//! impersonate nobody, makes their calls; and those that modules impersonate, which get
//! what their modules call for.
//! Promises: a rule that is granted for namespaces becomes a Role in each of them. What
//! modules watch is an exception: the caches are shared, so the host reads all namespaces
//! and shows each module its own. Modules from objects are not known here: of them the
//! host gets what `maxPermissions` lets them have.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use smol_str::SmolStr;
use windlass_core::manifest::{Manifest, WatchTarget};
use windlass_core::permission::{Grants, PermissionRule, READ_VERBS, ScopePart};

use crate::config::controller_modules::ControllerModulesEntry;
use crate::config::identity::ImpersonateEntry;
use crate::config::source::SecretReference;
use crate::config::{HostConfiguration, ModuleEntry};
use crate::controller_modules::definition;
use crate::module::Module;
use crate::permissions::{self, each_verb, merge, rule};

const API_VERSION: &str = "rbac.authorization.k8s.io/v1";
const API_GROUP: &str = "rbac.authorization.k8s.io";

/// The ServiceAccount that the host runs as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostAccount {
    /// Its namespace.
    pub namespace: SmolStr,
    /// Its name, which the roles have too.
    pub name: SmolStr,
}

/// The objects for a configuration and its modules, in an order in which they can be created.
#[must_use]
pub fn objects(configuration: &HostConfiguration, modules: &[Module], account: &HostAccount) -> Vec<Value> {
    let mut host = Rules::default();
    let mut identities: Vec<(String, Value, Rules)> = Vec::new();
    for module in modules {
        host.add_reading(&module.guest.manifest);
        host.add_narrowed(&[permissions::events()], &module.grants);
        let calls = calls(&module.guest.manifest);
        match module.entry.impersonate.as_ref() {
            None => host.add_narrowed(&calls, &module.grants),
            Some(entry) => {
                host.add_impersonation(entry);
                let mut rules = Rules::default();
                rules.add_narrowed(&calls, &module.grants);
                if let Some(subject) = subject(entry) {
                    identities.push((format!("{}-{}", account.name, module.name), subject, rules));
                }
            }
        }
        host.add_source(&module.entry);
    }
    host.add_host(configuration);
    let mut objects = vec![json!({
        "apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"namespace": account.namespace, "name": account.name}
    })];
    let subject = service_account(&account.namespace, &account.name);
    objects.extend(host.objects(&account.name, &subject));
    for (name, subject, rules) in identities {
        objects.extend(rules.objects(&name, &subject));
    }
    objects
}

/// A ClusterRole of these rules.
#[must_use]
pub fn cluster_role(name: &str, rules: &[PermissionRule]) -> Value {
    json!({
        "apiVersion": API_VERSION, "kind": "ClusterRole", "metadata": {"name": name},
        "rules": policy_rules(rules)
    })
}

/// What a guest itself asks of the API server: what it declares, and live reads of what it
/// watches.
fn calls(manifest: &Manifest) -> Vec<PermissionRule> {
    let mut rules = manifest.permissions.clone();
    rules.extend(
        permissions::reading(manifest)
            .into_iter()
            .map(|rule| PermissionRule {
                verbs: vec!["get".into(), "list".into()],
                ..rule
            }),
    );
    merge(rules)
}

/// Rules of one identity, by where they hold.
#[derive(Default)]
struct Rules {
    everywhere: Vec<PermissionRule>,
    within: BTreeMap<SmolStr, Vec<PermissionRule>>,
}

impl Rules {
    fn add_within(&mut self, namespace: &SmolStr, rule: PermissionRule) {
        self.within.entry(namespace.clone()).or_default().push(rule);
    }

    /// What the shared informers ask for.
    fn add_reading(&mut self, manifest: &Manifest) {
        let verbs = ["list", "watch"];
        self.everywhere
            .extend(manifest.watches.iter().map(|watch| match &watch.target {
                WatchTarget::One(resource) => rule(&[&resource.group], &[&resource.plural], &verbs),
                WatchTarget::Discovered { .. } => rule(&["*"], &["*"], &verbs),
            }));
    }

    /// Rules as far as they are granted.
    fn add_narrowed(&mut self, rules: &[PermissionRule], grants: &Grants) {
        for need in each_verb(rules) {
            let (plural, subresource) = need.resource.split_once('/').unwrap_or((need.resource, ""));
            let scope = grants.scope(need.verb, need.group, plural, subresource);
            for ScopePart { namespaces, names } in scope.parts() {
                let rule = PermissionRule {
                    resource_names: names.clone(),
                    ..need.rule()
                };
                if namespaces.is_empty() {
                    self.everywhere.push(rule);
                } else {
                    for namespace in namespaces {
                        self.add_within(namespace, rule.clone());
                    }
                }
            }
        }
    }

    fn add_impersonation(&mut self, entry: &ImpersonateEntry) {
        let named = |resource: &str, names: &[SmolStr]| PermissionRule {
            resource_names: names.to_vec(),
            ..rule(&[""], &[resource], &["impersonate"])
        };
        if let Some(account) = &entry.service_account {
            let rule = named("serviceaccounts", std::slice::from_ref(&account.name));
            self.add_within(&account.namespace, rule);
        }
        if let Some(user) = &entry.user {
            self.everywhere.push(named("users", &[SmolStr::new(user)]));
        }
        if !entry.groups.is_empty() {
            let groups: Vec<SmolStr> = entry.groups.iter().map(SmolStr::new).collect();
            self.everywhere.push(named("groups", &groups));
        }
    }

    fn add_source(&mut self, entry: &ModuleEntry) {
        if let Some(source) = &entry.source.config_map {
            let mut rule = rule(&[""], &["configmaps"], &["get", "list", "watch"]);
            rule.resource_names = vec![source.name.clone()];
            self.add_within(&source.namespace, rule);
        }
        let secret = entry.source.oci.as_ref().and_then(|oci| oci.pull_secret.as_ref());
        secret.into_iter().for_each(|secret| self.add_secret(secret));
    }

    fn add_secret(&mut self, secret: &SecretReference) {
        let mut rule = rule(&[""], &["secrets"], &["get"]);
        rule.resource_names = vec![secret.name.clone()];
        self.add_within(&secret.namespace, rule);
    }

    fn add_host(&mut self, configuration: &HostConfiguration) {
        let secrets = &configuration.registry.pull_secrets;
        secrets.iter().for_each(|secret| self.add_secret(secret));
        if configuration.leader_election.enabled {
            let verbs = ["get", "list", "create", "update", "delete"];
            let rule = rule(&["coordination.k8s.io"], &["leases"], &verbs);
            self.add_within(&configuration.leader_election.namespace, rule);
        }
        if configuration.controller_modules.enabled {
            self.add_objects(&configuration.controller_modules);
        }
    }

    /// What following ControllerModules takes, and what they may come to need.
    fn add_objects(&mut self, settings: &ControllerModulesEntry) {
        let status = format!("{}/status", definition::PLURAL);
        let mut definitions = rule(
            &["apiextensions.k8s.io"],
            &["customresourcedefinitions"],
            &["list", "watch"],
        );
        definitions.resource_names = vec![definition::NAME.into()];
        self.everywhere.extend([
            rule(&[definition::GROUP], &[definition::PLURAL], &READ_VERBS),
            rule(&[definition::GROUP], &[&status], &["patch"]),
            definitions,
        ]);
        for most in settings.max_permissions.iter().flatten() {
            let has = |verb: &str| most.verbs.iter().any(|item| item == "*" || item == verb);
            if READ_VERBS.into_iter().all(has) {
                // The caches are shared, whatever a module sees of them.
                self.everywhere.push(PermissionRule {
                    verbs: vec!["list".into(), "watch".into()],
                    namespaces: Vec::new(),
                    resource_names: Vec::new(),
                    ..most.clone()
                });
            }
            if most.namespaces.is_empty() {
                self.everywhere.push(most.clone());
            }
            for namespace in &most.namespaces {
                let rule = PermissionRule {
                    namespaces: Vec::new(),
                    ..most.clone()
                };
                self.add_within(namespace, rule);
            }
        }
    }

    /// Roles with their bindings.
    fn objects(self, name: &str, subject: &Value) -> Vec<Value> {
        let mut objects = Vec::new();
        let everywhere = merge(self.everywhere);
        if !everywhere.is_empty() {
            objects.push(cluster_role(name, &everywhere));
            objects.push(binding("ClusterRole", json!({"name": name}), name, subject));
        }
        for (namespace, rules) in self.within {
            let metadata = json!({"namespace": namespace, "name": name});
            objects.push(json!({
                "apiVersion": API_VERSION, "kind": "Role", "metadata": metadata,
                "rules": policy_rules(&merge(rules))
            }));
            objects.push(binding("Role", metadata, name, subject));
        }
        objects
    }
}

fn binding(kind: &str, metadata: Value, role: &str, subject: &Value) -> Value {
    json!({
        "apiVersion": API_VERSION, "kind": format!("{kind}Binding"), "metadata": metadata,
        "roleRef": {"apiGroup": API_GROUP, "kind": kind, "name": role},
        "subjects": [subject]
    })
}

fn service_account(namespace: &str, name: &str) -> Value {
    json!({"kind": "ServiceAccount", "namespace": namespace, "name": name})
}

fn subject(entry: &ImpersonateEntry) -> Option<Value> {
    match (&entry.service_account, &entry.user) {
        (Some(account), _) => Some(service_account(&account.namespace, &account.name)),
        (None, Some(user)) => Some(json!({"apiGroup": API_GROUP, "kind": "User", "name": user})),
        (None, None) => None,
    }
}

fn policy_rules(rules: &[PermissionRule]) -> Vec<Value> {
    let one = |rule: &PermissionRule| {
        let mut policy = json!({
            "apiGroups": rule.api_groups, "resources": rule.resources, "verbs": rule.verbs
        });
        if !rule.resource_names.is_empty() {
            policy["resourceNames"] = json!(rule.resource_names);
        }
        policy
    };
    rules.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(objects: &[Value]) -> Vec<&str> {
        objects
            .iter()
            .filter_map(|object| object["kind"].as_str())
            .collect()
    }

    #[test]
    fn a_rule_for_namespaces_becomes_a_role_in_each() {
        let need = rule(&[""], &["configmaps"], &["create", "delete"]);
        let granted = PermissionRule {
            namespaces: vec!["shop".into(), "bank".into()],
            ..need.clone()
        };
        let mut rules = Rules::default();
        rules.add_narrowed(&[need], &Grants(vec![granted]));
        let objects = rules.objects("windlass", &service_account("kube-system", "windlass"));
        assert_eq!(kinds(&objects), ["Role", "RoleBinding", "Role", "RoleBinding"]);
        assert_eq!(
            objects[0],
            json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
                "metadata": {"namespace": "bank", "name": "windlass"},
                "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create", "delete"]}]
            })
        );
        assert_eq!(
            objects[1]["roleRef"],
            json!({"apiGroup": API_GROUP, "kind": "Role", "name": "windlass"})
        );
    }

    #[test]
    fn a_rule_for_names_keeps_them_and_what_is_not_granted_is_left_out() {
        let needs = [
            rule(&[""], &["configmaps"], &["update"]),
            rule(&[""], &["pods"], &["delete"]),
        ];
        let granted = PermissionRule {
            resource_names: vec!["till".into()],
            ..needs[0].clone()
        };
        let mut rules = Rules::default();
        rules.add_narrowed(&needs, &Grants(vec![granted]));
        let objects = rules.objects("windlass", &Value::Null);
        assert_eq!(kinds(&objects), ["ClusterRole", "ClusterRoleBinding"]);
        assert_eq!(
            objects[0]["rules"],
            json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["update"], "resourceNames": ["till"]}])
        );
    }

    #[test]
    fn following_objects_takes_their_definition_their_status_and_what_they_may_be_granted() {
        let mut configuration = HostConfiguration::default();
        configuration.leader_election.enabled = false;
        configuration.controller_modules.enabled = true;
        let mut most = rule(&[""], &["configmaps"], &["get", "list", "watch", "update"]);
        most.namespaces = vec!["shop".into()];
        configuration.controller_modules.max_permissions = Some(vec![most]);
        let mut rules = Rules::default();
        rules.add_host(&configuration);
        let objects = rules.objects("windlass", &Value::Null);
        assert_eq!(
            kinds(&objects),
            ["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"]
        );
        assert_eq!(
            objects[0]["rules"],
            json!([
                {"apiGroups": ["windlass.dev"], "resources": ["controllermodules"], "verbs": ["get", "list", "watch"]},
                {"apiGroups": ["windlass.dev"], "resources": ["controllermodules/status"], "verbs": ["patch"]},
                {
                    "apiGroups": ["apiextensions.k8s.io"], "resources": ["customresourcedefinitions"],
                    "verbs": ["list", "watch"], "resourceNames": ["controllermodules.windlass.dev"]
                },
                {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list", "watch"]}
            ])
        );
        assert_eq!(
            objects[2]["rules"],
            json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "watch", "update"]}])
        );
    }

    #[test]
    fn whom_the_host_impersonates_is_named() {
        let text = "{serviceAccount: {namespace: shop, name: till}}";
        let account: ImpersonateEntry = serde_saphyr::from_str(text).expect("valid");
        let user: ImpersonateEntry = serde_saphyr::from_str("{user: me, groups: [us]}").expect("valid");
        let mut rules = Rules::default();
        rules.add_impersonation(&account);
        rules.add_impersonation(&user);
        let objects = rules.objects("windlass", &Value::Null);
        assert_eq!(
            kinds(&objects),
            ["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"]
        );
        assert_eq!(objects[0]["rules"][0]["resources"], json!(["users"]));
        assert_eq!(objects[0]["rules"][1]["resourceNames"], json!(["us"]));
        assert_eq!(objects[2]["metadata"]["namespace"], "shop");
        assert_eq!(
            objects[2]["rules"],
            json!([{"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["impersonate"], "resourceNames": ["till"]}])
        );
    }
}
