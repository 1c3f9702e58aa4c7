//! Watches over everything that discovery finds.

use std::sync::Arc;

use serde_json::Value;
use windlass_cluster::discovery::DiscoveryCache;
use windlass_cluster::reflector::ReflectorConfig;
use windlass_cluster::registry::InformerRegistry;
use windlass_cluster::subscription::Subscription;
use windlass_core::manifest::{View, WatchSpec, WatchTarget};
use windlass_core::permission::{Grants, PermissionRule};

use crate::discovery::{ALL, answer, group, resource};
use crate::informer::{sorted, watch_of};
use crate::server::{Server, Watch, list, page, pod, server};

const CARTS: &str = "/apis/shop.example/v1/carts";
const CARTS_V2: &str = "/apis/shop.example/v2/carts";
const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

fn carts() -> Value {
    group("shop.example", "Current", &[resource("carts", "Cart", ALL)])
}

/// The same in a version that the server prefers, while the first one is still served.
fn carts_v2() -> Value {
    let mut carts = carts();
    let mut newer = carts["versions"][0].clone();
    newer["version"] = "v2".into();
    newer["resources"][0]["responseKind"]["version"] = "v2".into();
    let versions = carts["versions"].as_array_mut().unwrap();
    versions.insert(0, newer);
    carts
}

fn definitions() -> Value {
    group(
        "apiextensions.k8s.io",
        "Current",
        &[resource(
            "customresourcedefinitions",
            "CustomResourceDefinition",
            ALL,
        )],
    )
}

fn everything(except: &[&str]) -> WatchSpec {
    let except = except.iter().map(|name| (*name).into()).collect();
    WatchSpec {
        view: View::Metadata,
        ..watch_of(WatchTarget::Discovered { except })
    }
}

fn subscribe(except: &[&str]) -> (InformerRegistry, Server, Subscription) {
    let (client, server) = server();
    let discovery = Arc::new(DiscoveryCache::new(client.clone()));
    let registry = InformerRegistry::new(client, discovery, ReflectorConfig::default());
    let subscription = registry.subscribe(&[everything(except)]).unwrap();
    (registry, server, subscription)
}

/// Serves lists and watches of any resource until there were this many watches.
async fn serve(server: &mut Server, count: usize) -> Vec<(String, Watch)> {
    let mut watches = Vec::new();
    while watches.len() < count {
        let call = server.next().await;
        if call.query.contains_key("watch") {
            watches.push((call.path.clone(), call.stream()));
        } else {
            let name = call.path.rsplit('/').next().unwrap().to_owned();
            call.ok(&list(5, &[pod(&name, 1)]));
        }
    }
    watches
}

async fn collect(subscription: &mut Subscription, count: usize) -> Vec<String> {
    let mut seen = Vec::new();
    while seen.len() < count {
        for batch in subscription.next().await {
            let words = |delta: &windlass_core::seams::Delta| {
                format!(
                    "{:?} {} {}",
                    delta.kind,
                    batch.source.kind,
                    delta.object.key().name
                )
            };
            seen.extend(batch.deltas.iter().map(words));
        }
    }
    sorted(seen)
}

#[tokio::test(start_paused = true)]
async fn every_deletable_resource_is_watched_but_for_the_excepted() {
    let (_registry, mut server, mut subscription) = subscribe(&["/events", "shop.example/tills"]);
    let core = [
        resource("pods", "Pod", ALL),
        resource("events", "Event", ALL),
        resource("bindings", "Binding", &["create"]),
    ];
    let shop = group(
        "shop.example",
        "Current",
        &[resource("carts", "Cart", ALL), resource("tills", "Till", ALL)],
    );
    answer(&mut server, &core, &[shop]).await;
    let watches = serve(&mut server, 2).await;
    assert_eq!(
        sorted(watches.iter().map(|(path, _)| path.clone()).collect()),
        ["/api/v1/pods", CARTS]
    );
    assert_eq!(
        collect(&mut subscription, 2).await,
        ["Added Cart carts", "Added Pod pods"]
    );
    assert!(subscription.has_synced());
}

#[tokio::test(start_paused = true)]
async fn a_resource_that_cannot_be_listed_does_not_hold_up_the_others() {
    let (_registry, mut server, mut subscription) = subscribe(&[]);
    answer(&mut server, &[resource("pods", "Pod", ALL)], &[carts()]).await;
    let mut watch = None;
    for _ in 0..3 {
        let call = server.next().await;
        match (call.path.as_str(), call.query.contains_key("watch")) {
            (CARTS, _) => call.status(403, "Forbidden"),
            (_, true) => watch = Some(call.stream()),
            (_, false) => call.ok(&list(5, &[pod("a", 1)])),
        }
    }
    assert!(watch.is_some());
    while !subscription.has_synced() {
        subscription.next().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_definition_that_changes_is_followed_at_once_and_a_vanished_resource_ends_no_object() {
    let (registry, mut server, mut subscription) =
        subscribe(&["apiextensions.k8s.io/customresourcedefinitions"]);
    answer(&mut server, &[], &[definitions()]).await;
    let mut watches = serve(&mut server, 1).await;
    let (path, definition_watch) = watches.remove(0);
    assert_eq!(path, DEFINITIONS);
    while !subscription.has_synced() {
        subscription.next().await;
    }

    let start = tokio::time::Instant::now();
    definition_watch.event("ADDED", &pod("carts.shop.example", 9));
    answer(&mut server, &[], &[definitions(), carts()]).await;
    assert!(start.elapsed().as_secs() < 5, "waited for the period");
    server.expect_list(CARTS).await.ok(&page(5, "", &[pod("c", 3)]));
    let carts_watch = server.expect_watch(CARTS, 5).await;
    assert_eq!(collect(&mut subscription, 1).await, ["Added Cart c"]);

    // Its watch goes on until it was missing twice.
    answer(&mut server, &[], &[definitions()]).await;
    carts_watch.event("ADDED", &pod("d", 10));
    assert_eq!(collect(&mut subscription, 1).await, ["Added Cart d"]);
    answer(&mut server, &[], &[definitions()]).await;
    carts_watch.dropped().await;
    assert_eq!(registry.status().len(), 1);

    // It comes back in another version, and one of its objects went meanwhile.
    answer(&mut server, &[], &[definitions(), carts_v2()]).await;
    server
        .expect_list(CARTS_V2)
        .await
        .ok(&page(12, "", &[pod("d", 10), pod("e", 11)]));
    let carts_watch = server.expect_watch(CARTS_V2, 12).await;
    assert_eq!(
        collect(&mut subscription, 3).await,
        ["Added Cart d", "Added Cart e", "Deleted Cart c"]
    );
    drop(carts_watch);
    drop(subscription);
    definition_watch.dropped().await;
}

#[tokio::test(start_paused = true)]
async fn another_version_that_is_preferred_ends_no_object_that_is_still_there() {
    let (registry, mut server, mut subscription) = subscribe(&[]);
    answer(&mut server, &[], &[carts()]).await;
    server
        .expect_list(CARTS)
        .await
        .ok(&page(5, "", &[pod("a", 3), pod("b", 4)]));
    let watch = server.expect_watch(CARTS, 5).await;
    assert_eq!(
        collect(&mut subscription, 2).await,
        ["Added Cart a", "Added Cart b"]
    );
    answer(&mut server, &[], &[carts_v2()]).await;
    watch.dropped().await;
    server
        .expect_list(CARTS_V2)
        .await
        .ok(&page(7, "", &[pod("b", 4), pod("c", 6)]));
    let watch = server.expect_watch(CARTS_V2, 7).await;
    assert_eq!(
        collect(&mut subscription, 3).await,
        ["Added Cart b", "Added Cart c", "Deleted Cart a"]
    );
    watch.event("DELETED", &pod("b", 8));
    assert_eq!(collect(&mut subscription, 1).await, ["Deleted Cart b"]);
    assert_eq!(registry.status().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_group_that_fails_keeps_its_watches() {
    let (registry, mut server, mut subscription) = subscribe(&[]);
    answer(&mut server, &[], &[carts()]).await;
    let _watches = serve(&mut server, 1).await;
    assert_eq!(collect(&mut subscription, 1).await, ["Added Cart carts"]);
    answer(&mut server, &[], &[group("shop.example", "Stale", &[])]).await;
    server.expect("/api").await.status(500, "InternalError");
    answer(&mut server, &[], &[carts()]).await;
    server.expect_quiet().await;
    assert_eq!(registry.status()[0].objects, 1);
}

#[tokio::test(start_paused = true)]
async fn what_may_not_be_read_is_left_out_and_no_wildcard_covers_secrets() {
    let (client, mut server) = server();
    let discovery = Arc::new(DiscoveryCache::new(client.clone()));
    let registry = InformerRegistry::new(client, discovery, ReflectorConfig::default());
    let anything = || vec!["*".into()];
    let grants = Grants(vec![PermissionRule {
        api_groups: anything(),
        resources: anything(),
        verbs: anything(),
        ..PermissionRule::default()
    }]);
    let mut subscription = registry
        .subscribe_within(&"collector".into(), &[everything(&[])], &grants)
        .unwrap();
    let core = [resource("pods", "Pod", ALL), resource("secrets", "Secret", ALL)];
    answer(&mut server, &core, &[]).await;
    let watches = serve(&mut server, 1).await;
    assert_eq!(watches[0].0, "/api/v1/pods");
    assert_eq!(collect(&mut subscription, 1).await, ["Added Pod pods"]);
    assert!(subscription.has_synced());
    server.expect_quiet().await;
}
