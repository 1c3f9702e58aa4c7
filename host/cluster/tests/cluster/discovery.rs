//! Discovery in both of its forms.

use serde_json::{Value, json};
use windlass_cluster::discovery::DiscoveryCache;
use windlass_core::key::Resource;
use windlass_core::seams::Discovery;

use crate::server::{Server, server};

pub(crate) fn resource(plural: &str, kind: &str, verbs: &[&str]) -> Value {
    json!({ "resource": plural, "responseKind": { "kind": kind }, "scope": "Namespaced", "verbs": verbs })
}

pub(crate) fn group(name: &str, freshness: &str, resources: &[Value]) -> Value {
    json!({
        "metadata": { "name": name },
        "versions": [{ "version": "v1", "freshness": freshness, "resources": resources }]
    })
}

pub(crate) const ALL: &[&str] = &["create", "delete", "get", "list", "watch"];

/// Answers one round of aggregated discovery.
pub(crate) async fn answer(server: &mut Server, core: &[Value], groups: &[Value]) {
    let call = server.expect("/api").await;
    assert!(
        call.header("accept")
            .starts_with("application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList")
    );
    call.ok(&json!({ "kind": "APIGroupDiscoveryList", "items": [group("", "Current", core)] }));
    server
        .expect("/apis")
        .await
        .ok(&json!({ "kind": "APIGroupDiscoveryList", "items": groups }));
}

async fn refresh(discovery: &DiscoveryCache, script: impl Future<Output = ()>) {
    let (refreshed, ()) = tokio::join!(discovery.refresh(), script);
    refreshed.unwrap();
}

#[tokio::test(start_paused = true)]
async fn kinds_lead_to_resources_and_a_group_prefers_its_first_version() {
    let (client, mut server) = server();
    let discovery = DiscoveryCache::new(client);
    let groups = json!({
        "metadata": { "name": "shop.example" },
        "versions": [
            { "version": "v2", "freshness": "Current", "resources": [resource("carts", "Cart", ALL)] },
            { "version": "v1", "freshness": "Current",
              "resources": [resource("carts", "Cart", ALL), resource("tills", "Till", ALL)] },
        ]
    });
    let core = [
        resource("pods", "Pod", ALL),
        resource("bindings", "Binding", &["create"]),
    ];
    refresh(&discovery, answer(&mut server, &core, &[groups])).await;
    let info = discovery.resolve("shop.example", "v1", "Cart").unwrap();
    assert_eq!((info.resource.plural.as_str(), info.namespaced), ("carts", true));
    assert_eq!(discovery.resolve("shop.example", "v3", "Cart"), None);
    assert!(discovery.lookup(&Resource::new("", "v1", "bindings")).is_some());
    let deletable: Vec<String> = discovery
        .deletable()
        .iter()
        .map(|info| info.resource.path(""))
        .collect();
    assert_eq!(
        deletable,
        [
            "/api/v1/pods",
            "/apis/shop.example/v2/carts",
            "/apis/shop.example/v1/tills"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_server_without_aggregation_is_asked_group_by_group() {
    let (client, mut server) = server();
    let discovery = DiscoveryCache::new(client);
    let script = async {
        server
            .expect("/api")
            .await
            .ok(&json!({ "kind": "APIVersions", "versions": ["v1"] }));
        server
            .expect("/api/v1")
            .await
            .ok(&json!({ "kind": "APIResourceList", "resources": [
                { "name": "pods", "kind": "Pod", "namespaced": true, "verbs": ALL },
                { "name": "pods/status", "kind": "Pod", "namespaced": true, "verbs": ["get"] },
            ]}));
        server.expect("/apis").await.status(406, "NotAcceptable");
        server
            .expect("/apis")
            .await
            .ok(&json!({ "kind": "APIGroupList", "groups": [{
                "name": "apps", "versions": [{ "version": "v1beta1" }, { "version": "v1" }],
                "preferredVersion": { "version": "v1" }
            }]}));
        for _ in 0..2 {
            let call = server.next().await;
            if call.path.ends_with("/v1") {
                call.ok(&json!({ "resources": [{ "name": "deployments", "kind": "Deployment", "namespaced": true, "verbs": ALL }] }));
            } else {
                call.status(503, "ServiceUnavailable");
            }
        }
    };
    refresh(&discovery, script).await;
    assert!(discovery.resolve("apps", "v1", "Deployment").is_some());
    assert_eq!(discovery.deletable().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_group_that_cannot_be_asked_keeps_what_was_known() {
    let (client, mut server) = server();
    let discovery = DiscoveryCache::new(client);
    let carts = group("shop.example", "Current", &[resource("carts", "Cart", ALL)]);
    refresh(&discovery, answer(&mut server, &[], &[carts])).await;
    refresh(
        &discovery,
        answer(&mut server, &[], &[group("shop.example", "Stale", &[])]),
    )
    .await;
    assert!(discovery.resolve("shop.example", "v1", "Cart").is_some());
    refresh(&discovery, answer(&mut server, &[], &[])).await;
    assert_eq!(discovery.resolve("shop.example", "v1", "Cart"), None);
}

#[tokio::test(start_paused = true)]
async fn a_failed_round_leaves_everything_as_it_was() {
    let (client, mut server) = server();
    let discovery = DiscoveryCache::new(client);
    refresh(
        &discovery,
        answer(&mut server, &[resource("pods", "Pod", ALL)], &[]),
    )
    .await;
    let (failed, ()) = tokio::join!(discovery.refresh(), async {
        server.expect("/api").await.status(500, "InternalError")
    });
    assert!(failed.is_err());
    assert!(discovery.resolve("", "v1", "Pod").is_some());
}
