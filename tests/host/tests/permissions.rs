//! What guests are refused: each attempt is answered with the reason, and logged once.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::{ConfigMap, Event, Namespace, Secret};
use kube::api::{Api, ListParams, PostParams};
use serde_json::{Value, json};
use windlass_core::permission::PermissionRule;
use windlass_manager::config::identity::{ImpersonateEntry, ServiceAccountReference};
use windlass_manager::config::{HostConfiguration, ModuleEntry};
use windlass_manager::rbac::{self, HostAccount};
use windlass_tests::in_process::{InProcess, from_file};
use windlass_tests::log::Log;
use windlass_tests::wait;

/// The namespace that the prober is granted.
const OWN: &str = "probed";

/// What the prober reported of an attempt.
fn report(log: &Log, attempt: &str) -> Option<String> {
    let prefix = format!("{attempt}: ");
    let lines = log.lines().into_iter();
    let mut errors = lines.filter_map(|line| line["error"].as_str().map(str::to_owned));
    errors.find_map(|error| error.strip_prefix(&prefix).map(str::to_owned))
}

/// How many lines tell of a refusal with this text.
fn refusals(log: &Log, text: &str) -> usize {
    let told = |line: &Value| {
        line["refusal"]
            .as_str()
            .is_some_and(|refusal| refusal.contains(text))
    };
    log.lines().iter().filter(|line| told(line)).count()
}

fn rule(groups: &[&str], resources: &[&str], verbs: &[&str], names: &[&str]) -> PermissionRule {
    let list = |items: &[&str]| items.iter().map(|item| (*item).into()).collect();
    PermissionRule {
        api_groups: list(groups),
        resources: list(resources),
        verbs: list(verbs),
        namespaces: list(&[OWN]),
        resource_names: list(names),
    }
}

/// A module with everything a wildcard gives in one namespace, but for deleting, and one
/// Secret of it.
fn prober() -> ModuleEntry {
    let mut entry = from_file("prober", "windlass-fixture-prober.wasm");
    entry.grant_declared = Some(false);
    let verbs = ["get", "list", "watch", "create", "update", "patch"];
    entry.permissions = vec![
        rule(&["*"], &["*"], &verbs, &[]),
        rule(&[""], &["secrets"], &["get"], &["granted"]),
    ];
    entry
}

fn guests() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/guests")
}

async fn create_config_map(cluster: &InProcess, namespace: &str, name: &str) -> Result<()> {
    let maps: Api<ConfigMap> = Api::namespaced(cluster.namespace.client.clone(), namespace);
    let map = serde_json::from_value(json!({"metadata": {"name": name}, "data": {"a": "b"}}))?;
    maps.create(&PostParams::default(), &map).await?;
    Ok(())
}

async fn prepare(cluster: &InProcess) -> Result<()> {
    let client = &cluster.namespace.client;
    let namespaces: Api<Namespace> = Api::all(client.clone());
    for name in [OWN, "other"] {
        let namespace = serde_json::from_value(json!({"metadata": {"name": name}}))?;
        namespaces.create(&PostParams::default(), &namespace).await?;
    }
    let secrets: Api<Secret> = Api::namespaced(client.clone(), OWN);
    for name in ["hidden", "granted"] {
        let secret = json!({"metadata": {"name": name}, "stringData": {"password": "swordfish-9"}});
        secrets
            .create(&PostParams::default(), &serde_json::from_value(secret)?)
            .await?;
    }
    create_config_map(cluster, "other", "hidden").await
}

/// What is tried, how it is answered, and which refusal the log has, once.
const ATTEMPTS: [(&str, &str, &str); 28] = [
    (
        "secret",
        "ApiErrorKind::NotPermitted: module prober is not permitted to get secrets in API group \"\" in namespace \"probed\"; grant {apiGroups: [\"\"], resources: [\"secrets\"], verbs: [\"get\"], namespaces: [\"probed\"]}",
        "to get secrets",
    ),
    (
        "secrets",
        "ApiErrorKind::NotPermitted: module prober is not permitted to list secrets",
        "to list secrets",
    ),
    (
        "token",
        "ApiErrorKind::NotPermitted: module prober is not permitted to create serviceaccounts/token",
        "serviceaccounts/token",
    ),
    (
        "other-namespace",
        "ApiErrorKind::NotPermitted: module prober is not permitted to get configmaps in API group \"\" in namespace \"other\"; grant",
        "to get configmaps in API group \"\" in namespace \"other\"",
    ),
    (
        "all-namespaces",
        "ApiErrorKind::NotPermitted: module prober is not permitted to list configmaps in API group \"\" without a namespace; grant",
        "to list configmaps",
    ),
    (
        "cluster-scoped",
        "ApiErrorKind::NotPermitted: module prober is not permitted to get namespaces",
        "to get namespaces",
    ),
    (
        "other-verb",
        "ApiErrorKind::NotPermitted: module prober is not permitted to delete configmaps",
        "to delete configmaps",
    ),
    (
        "body-of-other-namespace",
        "ApiErrorKind::BadRequest: the body is of namespace \"other\", the request of \"probed\"",
        "the body is of namespace",
    ),
    (
        "body-of-other-name",
        "ApiErrorKind::BadRequest: the body is of \"b\", the request of \"a\"",
        "the body is of \"b\"",
    ),
    (
        "body-twice",
        "ApiErrorKind::BadRequest: the body is not a JSON object: duplicate field",
        "duplicate field",
    ),
    (
        "field-manager",
        "ApiErrorKind::BadRequest: the body has `metadata.managedFields`",
        "the body has `metadata.managedFields`",
    ),
    (
        "field-manager-by-patch",
        "ApiErrorKind::BadRequest: the patch changes \"/metadata/managedFields/0\"",
        "/metadata/managedFields/0",
    ),
    (
        "event-source",
        "ApiErrorKind::BadRequest: the event claims to come from \"kubelet\"; this module's events come from \"prober\"",
        "the event claims to come from",
    ),
    ("event", "recorded", ""),
    (
        "event-elsewhere",
        "recorded",
        "to create events in API group \"\" in namespace \"other\"",
    ),
    (
        "name-empty",
        "ApiErrorKind::BadRequest: the object's name is empty",
        "name is empty",
    ),
    (
        "name-dots",
        "ApiErrorKind::BadRequest: \"..\" cannot be an object's name",
        "\"..\" cannot",
    ),
    (
        "name-up",
        "ApiErrorKind::BadRequest: \"../secrets/hidden\" cannot be an object's name",
        "\"../secrets/hidden\" cannot",
    ),
    (
        "name-encoded",
        "ApiErrorKind::BadRequest: \"..%2fsecrets%2fhidden\" cannot be an object's name",
        "%2f",
    ),
    (
        "name-huge",
        "ApiErrorKind::BadRequest: \"xxxxx",
        "it has 10000 bytes, and names have at most 253",
    ),
    (
        "namespace-up",
        "ApiErrorKind::NotPermitted: module prober is not permitted to get configmaps in API group \"\" in namespace \"probed/../other\"",
        "probed/../other",
    ),
    (
        "resource-up",
        "ApiErrorKind::BadRequest: \"configmaps/../secrets\" is not a resource",
        "configmaps/../secrets",
    ),
    (
        "resource-huge",
        "ApiErrorKind::BadRequest: \"xxxxx",
        "…\" is not a resource",
    ),
    (
        "subresource-query",
        "ApiErrorKind::BadRequest: \"status?fieldManager=kubectl\" is not a subresource",
        "status?fieldManager=kubectl",
    ),
    (
        "subresource-up",
        "ApiErrorKind::BadRequest: \"../../secrets/hidden\" is not a subresource",
        "\"../../secrets/hidden\" is not",
    ),
    (
        "subresource-huge",
        "ApiErrorKind::BadRequest: \"xxxxx",
        "…\" is not a subresource",
    ),
    (
        "again-and-again",
        "ApiErrorKind::NotPermitted: module prober is not permitted to get pods in API group \"\" in namespace \"other\"",
        "to get pods",
    ),
    ("caches", "found false, listed [0, 0], told of probed", ""),
];

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_guest_tries_beyond_its_grants_is_refused_with_the_reason_and_logged_once() -> Result<()> {
    let log = Log::install();
    let cluster = InProcess::start(&guests(), 0, vec![prober()]).await?;
    prepare(&cluster).await?;
    for (attempt, _, _) in ATTEMPTS {
        create_config_map(&cluster, OWN, attempt).await?;
    }
    for (attempt, answer, refusal) in ATTEMPTS {
        let reported = || async { report(&log, attempt).context("not reported yet") };
        let report = wait::until(attempt, reported, |_| true).await?;
        assert!(report.starts_with(answer), "{attempt}: {report}");
        if !refusal.is_empty() {
            assert_eq!(
                refusals(&log, refusal),
                1,
                "lines on {refusal:?}: {:#?}",
                log.lines()
            );
        }
    }
    let synced_elsewhere = log
        .lines()
        .iter()
        .any(|line| line.to_string().contains("synced a key of"));
    assert!(!synced_elsewhere, "a key of another namespace was synced");
    events_come_from_the_module(&cluster).await?;
    secrets_stay_secret(&cluster, &log).await?;
    what_is_taken_away_is_refused_from_then_on(cluster, &log).await
}

/// The guest goes on; its next call is refused.
async fn what_is_taken_away_is_refused_from_then_on(mut cluster: InProcess, log: &Log) -> Result<()> {
    let answer = async |attempt: &'static str| {
        let reported = || async { report(log, attempt).context("not reported yet") };
        wait::until(attempt, reported, |_| true).await
    };
    create_config_map(&cluster, OWN, "own").await?;
    assert_eq!(answer("own").await?, "it was allowed");
    let mut entry = prober();
    entry.permissions[0].verbs.retain(|verb| *verb != "create");
    cluster.host.apply(vec![entry]);
    // A new instance would be refused for want of it; the one that serves has less.
    cluster.wait_refused("prober", "create").await?;
    create_config_map(&cluster, OWN, "own-again").await?;
    let refused = answer("own-again").await?;
    assert!(
        refused
            .starts_with("ApiErrorKind::NotPermitted: module prober is not permitted to create configmaps"),
        "{refused}"
    );
    assert_eq!(cluster.restarts("prober")?, 0, "the guest goes on");
    cluster.stop().await;
    Ok(())
}

/// Although its guest calls itself `kubelet`.
async fn events_come_from_the_module(cluster: &InProcess) -> Result<()> {
    let events: Api<Event> = Api::all(cluster.namespace.client.clone());
    let probed = || async {
        let list = events.list(&ListParams::default()).await?.items;
        Ok(list
            .into_iter()
            .filter(|event| event.reason.as_deref() == Some("Probed"))
            .collect::<Vec<_>>())
    };
    let events = wait::until("the event", probed, |events| !events.is_empty()).await?;
    assert_eq!(events.len(), 1, "{events:#?}");
    assert_eq!(events[0].metadata.namespace.as_deref(), Some(OWN));
    let source = events[0].source.clone().context("it has a source")?;
    assert_eq!(source.component.as_deref(), Some("prober"));
    Ok(())
}

async fn secrets_stay_secret(cluster: &InProcess, log: &Log) -> Result<()> {
    create_config_map(cluster, OWN, "leak").await?;
    let reported = || async { report(log, "leak").context("not reported yet") };
    let report = wait::until("the leak", reported, |_| true).await?;
    assert_eq!(report, "cannot log in with [redacted] or [redacted]");
    let logged = log
        .lines()
        .iter()
        .any(|line| line.to_string().contains("logging in with [redacted]"));
    assert!(logged, "the guest's line is there");
    let leaked = log
        .lines()
        .into_iter()
        .find(|line| line.to_string().contains("swordfish-9"));
    assert_eq!(leaked, None);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_rbac_prints_is_taken_by_the_api_server() -> Result<()> {
    let cluster = InProcess::start(&guests(), 0, vec![prober()]).await?;
    prepare(&cluster).await?;
    let mut impersonating = prober();
    impersonating.name = "impersonating".into();
    impersonating.impersonate = Some(ImpersonateEntry {
        service_account: Some(ServiceAccountReference {
            namespace: OWN.into(),
            name: "till".into(),
        }),
        ..ImpersonateEntry::default()
    });
    let mut modules = Vec::new();
    let mut entries = windlass_tests::in_process::stock();
    entries.extend([prober(), impersonating]);
    for entry in entries {
        modules.push(cluster.workshop.load(&Arc::new(entry)).await?);
    }
    let account = HostAccount {
        namespace: "kube-system".into(),
        name: "windlass".into(),
    };
    let objects = rbac::objects(&HostConfiguration::default(), &modules, &account);
    for object in &objects {
        let created = create(&cluster, object).await;
        created.with_context(|| format!("{object:#}"))?;
    }
    let kinds: Vec<&str> = objects
        .iter()
        .filter_map(|object| object["kind"].as_str())
        .collect();
    for kind in [
        "ServiceAccount",
        "ClusterRole",
        "ClusterRoleBinding",
        "Role",
        "RoleBinding",
    ] {
        assert!(kinds.contains(&kind), "{kind} is missing in {kinds:?}");
    }
    cluster.stop().await;
    Ok(())
}

async fn create(cluster: &InProcess, object: &Value) -> Result<Value> {
    let kind = object["kind"].as_str().context("it has a kind")?;
    let group = match object["apiVersion"].as_str().context("it has a version")? {
        "v1" => "/api/v1".to_owned(),
        version => format!("/apis/{version}"),
    };
    let namespace = match object["metadata"]["namespace"].as_str() {
        Some(namespace) => format!("/namespaces/{namespace}"),
        None => String::new(),
    };
    let path = format!("{group}{namespace}/{}s", kind.to_lowercase());
    let request = http::Request::post(path)
        .header("content-type", "application/json")
        .body(object.to_string().into_bytes())?;
    Ok(cluster.namespace.client.request(request).await?)
}
