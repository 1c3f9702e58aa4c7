use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;

use super::controller_modules::ObjectSource;
use super::identity::{ImpersonateEntry, ServiceAccountReference};
use super::leadership::{LeadershipEntry, LeadershipMode};
use super::module::LogLevel;
use super::signature::{KeyEntry, PolicyEntry, SignatureEntry};
use super::source::{ConfigMapSource, OciSource, SecretReference};
use super::*;

const HEAD: &str = "apiVersion: windlass.dev/v1alpha1\nkind: HostConfiguration\n";

fn parse(rest: &str) -> HostConfiguration {
    HostConfiguration::parse(&format!("{HEAD}{rest}")).expect("valid")
}

fn refusal(rest: &str) -> String {
    HostConfiguration::parse(&format!("{HEAD}{rest}"))
        .expect_err("must be refused")
        .to_string()
}

/// A module `mine` with these further keys.
fn module(rest: &str) -> String {
    format!("modules:\n- name: mine\n  source: {{stock: deployment}}\n  {rest}\n")
}

#[test]
fn a_full_entry_is_read() {
    let configuration = parse(
        "modules:\n- name: mine\n  source: {file: mine.wasm}\n  workers: 3\n  config: {a: 1}\n  \
         limits: {memory: 64Mi, cpuBudget: 250ms, apiQps: 20}\n  \
         permissions: [{apiGroups: [\"\"], resources: [pods], verbs: [create], namespaces: [shop]}]\n",
    );
    let module = &configuration.modules[0];
    assert_eq!(module.limits.memory, Bytes::mebibytes(64));
    assert_eq!(module.limits.cpu_budget, Span(Duration::from_millis(250)));
    assert_eq!(module.limits.api_qps, Some(20));
    assert_eq!((module.workers, module.enabled), (Some(3), true));
    assert_eq!(module.permissions[0].namespaces, ["shop"]);
}

#[test]
fn modules_from_objects_are_off_until_they_are_asked_for_and_then_bounded_as_written() {
    assert!(!parse("").controller_modules.enabled);
    let settings = parse(
        "controllerModules:\n  enabled: true\n  selector: team in (a, b)\n  sources: [oci]\n  \
         maxPermissions: [{apiGroups: [\"\"], resources: [pods], verbs: [get]}]\n",
    )
    .controller_modules;
    assert!(settings.enabled);
    assert_eq!(settings.sources, [ObjectSource::Oci]);
    assert_eq!(settings.max_permissions.map(|rules| rules.len()), Some(1));
}

#[test]
fn what_is_wrong_with_modules_from_objects_is_told_by_its_path() {
    for (rest, message) in [
        (
            "controllerModules: {enabeld: true}",
            "line 3 column 21: unknown field `enabeld`, did you mean `enabled`?",
        ),
        (
            "controllerModules: {selector: \"a in b\"}",
            "controllerModules.selector: ",
        ),
        (
            "controllerModules: {sources: []}",
            "controllerModules.sources: is empty, so no object could be a module; use `enabled: false` for that",
        ),
        (
            "controllerModules: {maxPermissions: [{apiGroups: [\"\"], resources: [pods], verbs: [lsit]}]}",
            "controllerModules.maxPermissions[0].verbs[0]: \"lsit\" is not a verb; did you mean \"list\"?",
        ),
    ] {
        let refusal = refusal(rest);
        assert!(refusal.starts_with(message), "{refusal}");
    }
    let file = refusal("controllerModules: {sources: [file]}");
    assert!(file.contains("unknown variant `file`"), "{file}");
}

#[test]
fn defaults_that_follow_from_other_fields_are_filled_in() {
    let configuration =
        parse("modules:\n- {name: a, source: {stock: deployment}}\n- {name: b, source: {file: b.wasm}}\n");
    let [stock, file] = &configuration.modules[..] else {
        panic!("two modules")
    };
    assert_eq!(
        (stock.grant_declared, file.grant_declared),
        (Some(true), Some(false))
    );
    assert_eq!(
        (stock.field_manager().as_str(), file.field_manager().as_str()),
        ("a", "b")
    );
    let manifest_name = "deployment-controller".into();
    assert_eq!(stock.event_source(&manifest_name), "deployment-controller");
    assert_eq!(file.event_source(&manifest_name), "b");
}

#[test]
fn an_unknown_key_is_refused_with_its_place_and_what_was_meant() {
    let message = refusal(&module("wrokers: 3"));
    assert!(
        message.starts_with("line 6 column 3: unknown field `wrokers`, did you mean `workers`?"),
        "{message}"
    );
    let message = refusal("leaderElection: {leaseduration: 15s}\n");
    assert!(message.contains("did you mean `leaseDuration`?"), "{message}");
    let message = refusal(&module("leadership: {mode: lease}"));
    assert!(
        message.contains("unknown variant `lease`, did you mean `Lease`?"),
        "{message}"
    );
}

#[test]
fn a_bad_amount_is_refused_with_its_place_and_the_right_form() {
    let message = refusal(&module("limits: {cpuBudget: fast}"));
    assert!(message.starts_with("line 6"), "{message}");
    assert!(
        message.contains("a duration with its unit such as 500ms, 1s or 2m"),
        "{message}"
    );
    let message = refusal(&module("limits: {memory: lots}"));
    assert!(message.contains("a number of bytes such as 64Mi"), "{message}");
}

#[test]
fn names_and_sources_are_checked() {
    assert_eq!(
        refusal("modules:\n- {name: a, source: {stock: x}}\n- {name: a, source: {stock: y}}\n"),
        "modules[1].name: \"a\" is used twice; every module needs a name of its own"
    );
    assert_eq!(
        refusal("modules:\n- {name: a, source: {stock: x, file: y}}\n"),
        "modules[0].source: needs exactly one of `stock`, `file`, `directory`, `configMap` or `oci`, and has `stock` and `file`"
    );
    assert_eq!(
        refusal("modules:\n- {name: a, source: {}}\n"),
        "modules[0].source: needs exactly one of `stock`, `file`, `directory`, `configMap` or `oci`, and has none"
    );
    assert!(
        refusal("modules:\n- {name: A, source: {stock: x}}\n")
            .starts_with("modules[0].name: \"A\" is not a DNS label")
    );
    let message = refusal("modules:\n- {name: a, source: {oci: {reference: acme/guest}}}\n");
    assert!(message.contains("does not name a registry"), "{message}");
}

#[test]
fn a_digest_of_another_form_is_refused() {
    let message = refusal(&module("digest: sha256:abc"));
    assert!(
        message.contains("`sha256:abc` is not a digest: write `sha256:` and 64 hexadecimal digits"),
        "{message}"
    );
}

#[test]
fn rules_that_can_never_match_are_refused() {
    let rule = |rest: &str| refusal(&module(&format!("permissions: [{{{rest}}}]")));
    assert_eq!(
        rule("apiGroups: [\"\"], resources: [pods], verbs: [read]"),
        "modules[0].permissions[0].verbs[0]: \"read\" is not a verb; the verbs are get, list, watch, create, update, \
         patch, delete, deletecollection and \"*\""
    );
    assert!(
        rule("apiGroups: [\"\"], resources: [pods], verbs: [updates]").contains("did you mean \"update\"?")
    );
    assert_eq!(
        rule("apiGroups: [\"\"], resources: [], verbs: [get]"),
        "modules[0].permissions[0].resources: is empty, so the rule allows nothing"
    );
    assert_eq!(
        rule("apiGroups: [\"*\"], resources: [secrets], verbs: [get]"),
        "modules[0].permissions[0].apiGroups: \"*\" does not cover Secrets; name the core group, \"\""
    );
    assert!(
        rule("apiGroups: [\"\"], resources: [Pod], verbs: [get]").contains("write its plural in lower case")
    );
    assert!(
        rule("apiGroups: [\"\"], resources: [pods], verbs: [get], namespaces: [\"*\"]")
            .contains("is not a DNS label")
    );
}

#[test]
fn signatures_refer_to_policies_that_exist() {
    let oci = "modules:\n- name: a\n  source: {oci: {reference: \"ghcr.io/acme/guest:1\"}}\n  ";
    assert_eq!(
        refusal(&format!("{oci}signature: {{policy: release}}\n")),
        "modules[0].signature.policy: there is no policy \"release\"; there are none under `signatures.policies`"
    );
    assert_eq!(
        refusal(&module("signature: {policy: release}")),
        "modules[0].signature: only components from a registry carry signatures; pin this one with `digest`"
    );
    let policies = "signatures: {policies: {release: {key: {file: cosign.pub}}}}\n";
    let configuration = parse(&format!("{policies}{oci}signature: {{policy: release}}\n"));
    let signature = configuration.modules[0].signature.as_ref().expect("has one");
    let policy = signature.resolve(&configuration.signatures).expect("known");
    assert_eq!(policy.key.expect("by key").file.as_deref(), Some("cosign.pub"));
    let keyless = "signature: {keyless: {identity: me@example.com, issuer: \"https://issuer\", roots: {fulcio: ca.pem}}}\n";
    assert_eq!(
        refusal(&format!("{oci}{keyless}")),
        "modules[0].signature.keyless.roots: `fulcio` and `rekor` belong together"
    );
}

#[test]
fn lease_times_are_held_against_each_other() {
    assert_eq!(
        refusal("leaderElection: {leaseDuration: 5s}\n"),
        "leaderElection.leaseDuration: 5s must be longer than renewDeadline, 10s, or two replicas could lead at once"
    );
    assert!(
        refusal("leaderElection: {retryPeriod: 9s}\n")
            .starts_with("leaderElection.renewDeadline: 10s must be longer")
    );
}

#[test]
fn a_collector_is_one_that_can_be_asked() {
    let otlp = |rest: &str| refusal(&format!("otlp: {{{rest}}}\n"));
    let advice = "is not an http:// URL with a host; https is not spoken, use an agent or a local address; write \
                  one such as http://otel-collector:4318";
    assert_eq!(
        otlp("endpoint: \"https://collector:4318\""),
        format!("otlp.endpoint: \"https://collector:4318\" {advice}")
    );
    assert_eq!(
        otlp("endpoint: \"collector:4318\""),
        format!("otlp.endpoint: \"collector:4318\" {advice}")
    );
    let known = "endpoint: \"http://c:4318\"";
    assert_eq!(
        otlp(&format!("{known}, sampleRatio: 10")),
        "otlp.sampleRatio: 10 is not a share; write a number from 0 to 1"
    );
    assert_eq!(
        otlp(&format!("{known}, headers: {{\"x tenant\": a}}")),
        "otlp.headers.x tenant: \"x tenant\" with its value is no HTTP header"
    );
    for key in ["interval", "timeout"] {
        assert_eq!(
            otlp(&format!("{known}, {key}: 0s")),
            format!("otlp.{key}: must be longer than 0s")
        );
    }
    assert!(otlp("interval: 1s").contains("missing field `endpoint`"));
}

#[test]
fn what_is_said_of_a_collector_reaches_the_exporter() {
    let otlp = |rest: &str| {
        let text = format!("otlp: {{endpoint: \"http://c:4318\"{rest}}}\n");
        let configuration = parse(&text);
        let yaml = configuration.to_yaml().expect("YAML");
        let again = HostConfiguration::parse(&yaml).map_err(|error| error.to_string());
        assert_eq!(again.as_ref(), Ok(&configuration), "{yaml}");
        configuration
            .otlp
            .expect("has one")
            .resolve("windlass-0", "0.1.0")
    };
    let plain = otlp("");
    assert_eq!(plain.metrics_interval, Some(Duration::from_secs(15)));
    assert_eq!(
        (plain.sample_ratio, plain.timeout),
        (1.0, Duration::from_secs(10))
    );
    let full = otlp(
        ", interval: null, timeout: 2s, sampleRatio: 0.25, headers: {x-scope-orgid: team-a}, \
         resourceAttributes: {service.name: mine, deployment.environment.name: test}",
    );
    assert_eq!((full.metrics_interval, full.sample_ratio), (None, 0.25));
    assert_eq!(full.timeout, Duration::from_secs(2));
    assert_eq!(full.headers, [("x-scope-orgid".to_owned(), "team-a".to_owned())]);
    let named = |key: &str| {
        let resource = full.resource.iter().filter(|(present, _)| present == key);
        resource.map(|(_, value)| value.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(named("service.name"), ["mine"]);
    assert_eq!(named("service.instance.id"), ["windlass-0"]);
    assert_eq!(named("deployment.environment.name"), ["test"]);
}

#[test]
fn a_limit_on_all_caches_is_an_amount_or_nothing() {
    let limit = |text: &str| parse(&format!("caches: {{limit: {text}}}\n")).caches.limit;
    assert_eq!(limit("1Gi"), Some(Bytes(1 << 30)));
    assert_eq!(limit("null"), None);
    assert_eq!(parse("").caches.limit, None);
    assert_eq!(
        refusal("caches: {limit: 0}\n"),
        "caches.limit: 0 would stop every module; write null for no limit"
    );
    assert!(refusal("caches: {limit: lots}\n").contains("a number of bytes such as 64Mi"));
    assert!(refusal("caches: {bytes: 1Gi}\n").contains("bytes"));
}

#[test]
fn impersonation_is_of_one_identity() {
    assert_eq!(
        refusal(&module(
            "impersonate: {user: a, serviceAccount: {namespace: b, name: c}}"
        )),
        "modules[0].impersonate: needs exactly one of `serviceAccount` or `user`, and has `serviceAccount` and `user`"
    );
    assert!(
        refusal(&module(
            "impersonate: {serviceAccount: {namespace: b, name: c}, groups: [d]}"
        ))
        .starts_with("modules[0].impersonate.groups: belong to a `user`")
    );
}

#[test]
fn another_version_is_refused_by_name() {
    let message = HostConfiguration::parse("apiVersion: windlass.dev/v9\nkind: HostConfiguration\n")
        .expect_err("refused")
        .to_string();
    assert_eq!(
        message,
        "apiVersion: \"windlass.dev/v9\" is not served by this host; write windlass.dev/v1alpha1"
    );
}

#[test]
fn every_default_is_written_out() {
    let yaml = HostConfiguration {
        modules: vec![ModuleEntry::stock("deployment")],
        ..HostConfiguration::default()
    }
    .with_defaults()
    .to_yaml()
    .expect("YAML");
    for line in [
        "statusAddress: 127.0.0.1:10270",
        "leaseDuration: 15s",
        "memory: 64Mi",
        "cpuBudget: 1s",
        "grantDeclared: true",
        "fieldManager: deployment",
        "logLevel: info",
    ] {
        assert!(yaml.contains(line), "{line} is missing in:\n{yaml}");
    }
}

#[test]
fn the_schema_knows_every_key_that_is_written_and_no_other() {
    let schema = HostConfiguration::schema();
    let written = serde_json::to_value(HostConfiguration::default()).expect("JSON");
    let keys = |value: &serde_json::Value| -> Vec<String> {
        value
            .as_object()
            .into_iter()
            .flatten()
            .map(|(key, _)| key.clone())
            .collect()
    };
    assert_eq!(keys(&schema["properties"]), keys(&written));
    let module = serde_json::to_value(ModuleEntry::stock("a")).expect("JSON");
    assert_eq!(keys(&schema["$defs"]["Module"]["properties"]), keys(&module));
    assert_eq!(schema["$defs"]["Module"]["additionalProperties"], json!(false));
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{1,12}",
        "(yes|no|null|~|1|1e3|0x1|true|[a-z]+: b|- a|#|'|\"|\\n)",
        "\\PC{1,8}"
    ]
}

fn label() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]([a-z0-9-]{0,8}[a-z0-9])?",
        "[0-9]{1,6}",
        Just("null".to_owned()),
        Just("true".to_owned())
    ]
}

fn source() -> impl Strategy<Value = SourceEntry> {
    let file = text().prop_map(|file| SourceEntry::file(&file));
    let stock = label().prop_map(|name| SourceEntry::stock(&name));
    let config_map = (label(), label(), text()).prop_map(|(namespace, name, key)| SourceEntry {
        config_map: Some(ConfigMapSource {
            namespace: namespace.into(),
            name: name.into(),
            key,
        }),
        ..SourceEntry::default()
    });
    let oci = (label(), 1_u64..1_000_000, prop::option::of((label(), label()))).prop_map(
        |(tag, seconds, secret)| SourceEntry {
            oci: Some(OciSource {
                reference: format!("ghcr.io/acme/guest:{tag}").parse().expect("a reference"),
                pull_interval: Span::seconds(seconds),
                pull_secret: secret.map(|(namespace, name)| SecretReference {
                    namespace: namespace.into(),
                    name: name.into(),
                }),
            }),
            ..SourceEntry::default()
        },
    );
    prop_oneof![file, stock, config_map, oci]
}

prop_compose! {
    fn limits()(
        memory in any::<usize>(), milliseconds in 1_u64..u64::MAX, instances in 1_u32..=256, qps in any::<Option<u32>>(),
        cached in any::<Option<usize>>(), queue_length in any::<Option<usize>>()
    ) -> LimitsEntry {
        LimitsEntry {
            memory: Bytes(memory),
            cpu_budget: Span(Duration::from_millis(milliseconds)),
            instances,
            api_qps: qps,
            cached_bytes: cached.map(Bytes),
            queue_length,
            ..LimitsEntry::default()
        }
    }
}

prop_compose! {
    fn entry()(
        source in source(), limits in limits(), config in prop::collection::btree_map(text(), text(), 0..4),
        namespaces in prop::collection::vec(label(), 0..3), account in prop::option::of((label(), label())),
        field_manager in prop::option::of("[!-~]{1,20}"), mode in 0_usize..3, level in 0_usize..3, flags in any::<(bool, Option<bool>, bool)>(),
        key in prop::option::of(text()), digest in prop::option::of(text())
    ) -> ModuleEntry {
        let signature = key.filter(|_| source.oci.is_some()).map(|pem| SignatureEntry {
            key: Some(KeyEntry { pem: Some(pem), file: None }),
            ..SignatureEntry::default()
        });
        ModuleEntry {
            signature,
            digest: digest.map(|content| windlass_registry::digest::Digest::of(content.as_bytes())),
            config: json!(config),
            limits,
            permissions: vec![windlass_core::permission::PermissionRule {
                api_groups: vec!["".into(), "apps".into()],
                resources: vec!["pods/status".into(), "*".into()],
                verbs: vec!["get".into()],
                namespaces: namespaces.into_iter().map(Into::into).collect(),
                resource_names: Vec::new(),
            }],
            impersonate: account.map(|(namespace, name)| ImpersonateEntry {
                service_account: Some(ServiceAccountReference { namespace: namespace.into(), name: name.into() }),
                ..ImpersonateEntry::default()
            }),
            field_manager: field_manager.map(Into::into),
            leadership: LeadershipEntry {
                mode: [LeadershipMode::Lease, LeadershipMode::Sharded, LeadershipMode::None][mode],
            },
            log_level: [LogLevel::Error, LogLevel::Info, LogLevel::Trace][level],
            enabled: flags.0,
            grant_declared: flags.1,
            shadow: flags.2,
            ..ModuleEntry::new("replaced", source)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn a_configuration_reads_back_as_it_was_written(
        entries in prop::collection::vec(entry(), 0..4), level in "(off|INFO|h2=warn|info,windlass_cluster=debug)", cache_dir in prop::option::of(text()),
        policies in prop::collection::btree_map(label(), text(), 0..3), has_status in any::<bool>(),
        limit in prop::option::of(1_usize..)
    ) {
        let mut configuration = HostConfiguration::default();
        configuration.log.level = level;
        configuration.caches.limit = limit.map(Bytes);
        configuration.cache_dir = cache_dir;
        configuration.status_address = configuration.status_address.filter(|_| has_status);
        configuration.signatures.policies = policies
            .into_iter()
            .map(|(name, file)| {
                let key = Some(KeyEntry { file: Some(file), pem: None });
                (name.into(), PolicyEntry { key, keyless: None })
            })
            .collect();
        configuration.modules = entries;
        for (position, module) in configuration.modules.iter_mut().enumerate() {
            module.name = format!("module-{position}").into();
        }
        let configuration = configuration.with_defaults();
        let yaml = configuration.to_yaml().expect("YAML");
        let read = HostConfiguration::parse(&yaml);
        prop_assert_eq!(read.map_err(|error| format!("{error}\n{yaml}")), Ok(configuration));
    }
}

#[test]
fn a_log_level_is_a_level_or_pairs_of_targets_and_levels() {
    for level in [
        "off",
        "INFO",
        "info,windlass_cluster=debug",
        "h2=warn,my-crate::a=trace",
    ] {
        let configuration = parse(&format!("log: {{level: \"{level}\"}}\n"));
        assert_eq!(configuration.log.level, level);
    }
    for (level, part) in [
        ("", ""),
        ("loud", "loud"),
        ("windlass_cluster", "windlass_cluster"),
        ("info,", ""),
        ("info,a=", "a="),
        ("=info", "=info"),
        ("a[b]=info", "a[b]=info"),
    ] {
        assert_eq!(
            refusal(&format!("log: {{level: \"{level}\"}}\n")),
            format!(
                "log.level: {part:?} is not a log filter; write a level (off, error, warn, info, debug, \
                 trace), or pairs such as info,windlass_cluster=debug"
            )
        );
    }
}

#[test]
fn instances_are_between_one_and_a_few_hundred() {
    assert_eq!(
        refusal(&module("limits: {instances: 0}")),
        "modules[0].limits.instances: must be at least 1"
    );
    assert_eq!(
        refusal(&module("limits: {instances: 257}")),
        "modules[0].limits.instances: 257 is too many; write at most 256"
    );
}
