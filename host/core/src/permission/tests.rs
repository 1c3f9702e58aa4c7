use proptest::prelude::*;

use super::*;

fn list(items: &[&str]) -> Vec<SmolStr> {
    items.iter().copied().map(SmolStr::from).collect()
}

fn rule(groups: &[&str], resources: &[&str], verbs: &[&str]) -> PermissionRule {
    PermissionRule {
        api_groups: list(groups),
        resources: list(resources),
        verbs: list(verbs),
        ..PermissionRule::default()
    }
}

fn access<'a>(verb: &'a str, group: &'a str, resource: &'a str) -> Access<'a> {
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    Access {
        verb,
        group,
        resource,
        subresource,
        namespace: "shop",
        name: "till",
    }
}

fn allows(rule: &PermissionRule, verb: &str, group: &str, resource: &str) -> bool {
    Grants(vec![rule.clone()]).allow(&access(verb, group, resource))
}

#[test]
fn a_resource_does_not_imply_its_subresources() {
    let pods = rule(&[""], &["pods"], &["update"]);
    assert!(allows(&pods, "update", "", "pods"));
    assert!(!allows(&pods, "update", "", "pods/status"));
    assert!(!allows(&pods, "delete", "", "pods"));
    assert!(!allows(&pods, "update", "apps", "pods"));
}

#[test]
fn wildcards_match_as_in_rbac() {
    assert!(allows(
        &rule(&["*"], &["*"], &["get"]),
        "get",
        "apps",
        "deployments/scale"
    ));
    let status = rule(&[""], &["*/status"], &["*"]);
    assert!(allows(&status, "patch", "", "nodes/status"));
    assert!(!allows(&status, "patch", "", "nodes"));
}

#[test]
fn wildcards_never_cover_secrets_and_tokens() {
    let wildcards = [
        rule(&["*"], &["*"], &["*"]),
        rule(&[""], &["*"], &["*"]),
        rule(&["*"], &["secrets", "serviceaccounts/token"], &["*"]),
        rule(
            &[""],
            &["*/*", "*/token", "serviceaccounts/*", "secrets/*"],
            &["*"],
        ),
    ];
    for wildcard in &wildcards {
        assert!(!allows(wildcard, "get", "", "secrets"), "{wildcard}");
        assert!(
            !allows(wildcard, "create", "", "serviceaccounts/token"),
            "{wildcard}"
        );
        assert!(
            Grants(vec![wildcard.clone()])
                .scope("get", "", "secrets", "")
                .is_empty()
        );
    }
    assert!(allows(
        &rule(&["", "apps"], &["secrets"], &["*"]),
        "get",
        "",
        "secrets"
    ));
    assert!(allows(
        &rule(&[""], &["serviceaccounts/token"], &["create"]),
        "create",
        "",
        "serviceaccounts/token"
    ));
    assert!(allows(
        &rule(&["*"], &["*"], &["get"]),
        "get",
        "shop.example",
        "secrets"
    ));
}

#[test]
fn wildcards_never_cover_objects_that_grant_permissions_themselves() {
    for wildcard in [
        rule(&["*"], &["*"], &["*"]),
        rule(&["windlass.dev"], &["*", "controllermodules/*"], &["*"]),
        rule(&["*"], &["controllermodules"], &["*"]),
    ] {
        for resource in ["controllermodules", "controllermodules/status"] {
            assert!(
                !allows(&wildcard, "patch", "windlass.dev", resource),
                "{wildcard}"
            );
        }
    }
    let named = rule(&["windlass.dev"], &["controllermodules"], &["*"]);
    assert!(allows(&named, "create", "windlass.dev", "controllermodules"));
}

#[test]
fn a_rule_for_namespaces_covers_nothing_outside_them() {
    let mut pods = rule(&[""], &["pods"], &["list", "create"]);
    pods.namespaces = list(&["shop"]);
    let grants = Grants(vec![pods]);
    let within = access("list", "", "pods");
    assert!(grants.allow(&within));
    assert!(
        !grants.allow(&Access {
            namespace: "",
            ..within
        }),
        "all namespaces"
    );
    assert!(!grants.allow(&Access {
        namespace: "bank",
        ..within
    }));
    let scope = grants.scope("list", "", "pods", "");
    assert!(scope.contains(&ObjectKey::new("shop", "a")) && !scope.contains(&ObjectKey::new("bank", "a")));
    assert!(!scope.is_everything() && !scope.is_empty());
}

#[test]
fn a_rule_for_names_covers_no_request_without_a_name() {
    let mut maps = rule(&[""], &["configmaps"], &["*"]);
    maps.resource_names = list(&["till"]);
    let grants = Grants(vec![maps]);
    let named = access("update", "", "configmaps");
    assert!(grants.allow(&named));
    assert!(!grants.allow(&Access {
        name: "safe",
        ..named
    }));
    assert!(!grants.allow(&Access {
        verb: "create",
        name: "",
        ..named
    }));
    assert!(!grants.allow(&Access {
        verb: "list",
        name: "",
        ..named
    }));
}

#[test]
fn a_missing_rule_is_written_as_in_a_configuration() {
    let missing = access("update", "apps", "deployments/status").missing_rule();
    assert_eq!(
        missing.to_string(),
        r#"{apiGroups: ["apps"], resources: ["deployments/status"], verbs: ["update"], namespaces: ["shop"]}"#
    );
}

fn word() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["*", "", "a", "b", "secrets", "serviceaccounts"]).prop_map(str::to_owned)
}

fn any_rule() -> impl Strategy<Value = PermissionRule> {
    let words = || prop::collection::vec(word(), 0..3);
    let resources = prop::collection::vec(
        prop::sample::select(vec![
            "*",
            "a",
            "a/b",
            "*/b",
            "a/*",
            "secrets",
            "serviceaccounts/token",
        ]),
        0..3,
    );
    (words(), resources, words(), words(), words()).prop_map(
        |(groups, resources, verbs, namespaces, names)| {
            let list = |items: Vec<String>| items.into_iter().map(SmolStr::from).collect();
            PermissionRule {
                api_groups: list(groups),
                resources: resources.into_iter().map(SmolStr::from).collect(),
                verbs: list(verbs),
                namespaces: list(namespaces),
                resource_names: list(names),
            }
        },
    )
}

proptest! {
    #[test]
    fn what_a_scope_has_is_what_is_allowed(
        rules in prop::collection::vec(any_rule(), 0..4), verb in word(), group in word(), resource in word(),
        namespace in word(), name in word()
    ) {
        let grants = Grants(rules);
        let request = Access {
            verb: &verb, group: &group, resource: &resource, subresource: "", namespace: &namespace, name: &name,
        };
        let scope = grants.scope(&verb, &group, &resource, "");
        prop_assert_eq!(grants.allow(&request), scope.contains(&ObjectKey::new(&namespace, &name)));
    }

    #[test]
    fn what_is_readable_is_what_every_verb_of_a_watch_is_granted_on(
        rules in prop::collection::vec(any_rule(), 0..4), namespace in word(), name in word()
    ) {
        let rename = |verb: &SmolStr| match verb.as_str() {
            "a" => "get".into(),
            "b" => "list".into(),
            "" => "watch".into(),
            _ => verb.clone(),
        };
        let mut grants = Grants(rules);
        for rule in &mut grants.0 {
            rule.verbs = rule.verbs.iter().map(rename).collect();
        }
        let key = ObjectKey::new(&namespace, &name);
        let all = READ_VERBS.iter().all(|verb| grants.scope(verb, "a", "a", "").contains(&key));
        prop_assert_eq!(grants.readable(&Resource::new("a", "v1", "a")).contains(&key), all);
    }

    #[test]
    fn the_missing_rule_is_enough(verb in word(), group in word(), resource in word(), namespace in word()) {
        let request = Access {
            verb: &verb, group: &group, resource: &resource, subresource: "", namespace: &namespace, name: "x",
        };
        prop_assert!(Grants(vec![request.missing_rule()]).allow(&request));
    }
}
