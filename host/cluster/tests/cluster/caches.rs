//! How much of the objects the caches hold, and what happens when all together hold more
//! than they may.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use serde_json::Value;
use windlass_cluster::client::ApiClient;
use windlass_cluster::discovery::DiscoveryCache;
use windlass_cluster::reflector::ReflectorConfig;
use windlass_cluster::registry::InformerRegistry;
use windlass_cluster::subscription::Subscription;
use windlass_cluster::tenants::CrowdedOut;
use windlass_core::key::{ObjectKey, Resource, ResourceInfo};
use windlass_core::manifest::{View, WatchSpec, WatchTarget};
use windlass_core::permission::{Grants, PermissionRule};
use windlass_core::seams::ObjectReader;

use crate::informer::{PODS, changes, watch_of};
use crate::server::{Server, Watch, list, page, pod, server};

const NODES: &str = "/api/v1/nodes";
const KIB: usize = 1024;

fn registry() -> (InformerRegistry, Server) {
    let (client, server): (ApiClient, Server) = server();
    let info = |plural: &str, kind: &str| ResourceInfo {
        resource: Resource::new("", "v1", plural),
        kind: kind.into(),
        namespaced: true,
    };
    let known = vec![info("pods", "Pod"), info("nodes", "Node")];
    let discovery = Arc::new(DiscoveryCache::fixed(known));
    let registry = InformerRegistry::new(client, discovery, ReflectorConfig::default());
    (registry, server)
}

fn watch(plural: &str, view: View) -> WatchSpec {
    WatchSpec {
        view,
        ..watch_of(WatchTarget::One(Resource::new("", "v1", plural)))
    }
}

fn subscribe(registry: &InformerRegistry, module: &str, plural: &str, view: View) -> Subscription {
    let everything = Grants(vec![PermissionRule {
        api_groups: vec!["*".into()],
        resources: vec!["*".into()],
        verbs: vec!["get".into(), "list".into(), "watch".into()],
        namespaces: Vec::new(),
        resource_names: Vec::new(),
    }]);
    let watches = [watch(plural, view)];
    registry
        .subscribe_within(&module.into(), &watches, &everything)
        .unwrap()
}

/// An object whose body has so many KiB.
fn heavy(name: &str, revision: u64, kib: usize) -> Value {
    let mut object = pod(name, revision);
    object["spec"]["ballast"] = "x".repeat(kib * KIB).into();
    object
}

/// The same as a server sends it to whoever wants metadata alone.
fn bare(object: &Value) -> Value {
    let mut bare = object.clone();
    bare.as_object_mut().unwrap().remove("spec");
    bare.as_object_mut().unwrap().remove("status");
    bare
}

/// Lets everything happen that is due.
async fn settle() {
    tokio::time::sleep(Duration::from_secs(1)).await;
}

/// A module that serves: it has taken its whole content, a heavy pod.
async fn serving(registry: &InformerRegistry, server: &mut Server, kib: usize) -> (Subscription, Watch) {
    let mut first = subscribe(registry, "first", "pods", View::Full);
    server.expect_list(PODS).await.ok(&list(5, &[heavy("a", 1, kib)]));
    let watch = server.expect_watch(PODS, 5).await;
    assert_eq!(changes(&mut first).await, ["added a@1 initial"]);
    (first, watch)
}

#[tokio::test(start_paused = true)]
async fn a_list_stops_at_the_limit_and_the_module_that_waits_for_it_goes() {
    let (registry, mut server) = registry();
    registry.limit_caches(Some(100 * KIB));
    let (first, _watch) = serving(&registry, &mut server, 60).await;
    let second = subscribe(&registry, "second", "nodes", View::Full);
    let nodes: Vec<Value> = (0..20)
        .map(|number| heavy(&format!("n{number}"), 6, 10))
        .collect();
    server.expect_list(NODES).await.ok(&list(6, &nodes));
    let CrowdedOut {
        cached_bytes,
        limit_bytes,
        share_bytes,
    } = second.crowded_out().await;
    assert_eq!(limit_bytes, 100 * KIB);
    assert!((100 * KIB..111 * KIB).contains(&cached_bytes), "{cached_bytes}");
    assert!((40 * KIB..51 * KIB).contains(&share_bytes), "{share_bytes}");
    settle().await;
    assert_eq!(registry.cache_use().bytes, cached_bytes, "the list waits");
    assert!(first.crowded_out().now_or_never().is_none(), "one is enough");
    drop(second);
    settle().await;
    let left = registry.cache_use();
    assert!(left.bytes < 62 * KIB, "{left:?}");
    assert_eq!(left.shares.keys().collect::<Vec<_>>(), ["first"]);
    assert!(first.crowded_out().now_or_never().is_none());
}

#[tokio::test(start_paused = true)]
async fn of_modules_that_serve_the_one_with_the_largest_share_goes() {
    let (registry, mut server) = registry();
    registry.limit_caches(Some(100 * KIB));
    // Two share the pods, one has the nodes to itself.
    let mut small = subscribe(&registry, "small", "pods", View::Full);
    let mut large = subscribe(&registry, "large", "nodes", View::Full);
    for _ in 0..2 {
        let call = server.next().await;
        let kib = if call.path == PODS { 50 } else { 30 };
        call.ok(&list(5, &[heavy("a", 1, kib)]));
    }
    let watches = [server.next().await, server.next().await];
    let mut watches = watches.map(|call| (call.path.clone(), call.stream()));
    watches.sort_by(|(a, _), (b, _)| a.cmp(b));
    changes(&mut small).await;
    changes(&mut large).await;
    let mut other = subscribe(&registry, "other", "pods", View::Full);
    changes(&mut other).await;
    let shares = registry.cache_use().shares;
    let kib: Vec<usize> = shares.values().map(|bytes| bytes / KIB).collect();
    assert_eq!(kib, [30, 25, 25], "large, other, small");
    // What grows is the pods; the nodes are still charged with more than either half.
    watches[1].1.event("MODIFIED", &heavy("a", 6, 58));
    watches[0].1.event("MODIFIED", &heavy("a", 7, 43));
    large.crowded_out().await;
    settle().await;
    drop(large);
    settle().await;
    for kept in [&small, &other] {
        assert!(kept.crowded_out().now_or_never().is_none());
    }
    // Past the limit alone, both have to go, one after the other.
    watches[1].1.event("MODIFIED", &heavy("a", 8, 101));
    other.crowded_out().await;
    settle().await;
    assert!(
        small.crowded_out().now_or_never().is_none(),
        "the first by name goes first"
    );
    drop(other);
    small.crowded_out().await;
}

#[tokio::test(start_paused = true)]
async fn a_module_that_wants_more_of_each_object_than_there_is_room_for_leaves_no_trace() {
    let (registry, mut server) = registry();
    registry.limit_caches(Some(50 * KIB));
    let objects: Vec<Value> = (0..10)
        .map(|number| heavy(&format!("p{number}"), 1, 10))
        .collect();
    let bare: Vec<Value> = objects.iter().map(bare).collect();
    let mut narrow = subscribe(&registry, "narrow", "pods", View::Metadata);
    server.expect_list(PODS).await.ok(&list(5, &bare));
    let watch = server.expect_watch(PODS, 5).await;
    assert_eq!(changes(&mut narrow).await.len(), 10);
    let before = registry.cache_use().bytes;

    let wide = subscribe(&registry, "wide", "pods", View::Full);
    server.expect_list(PODS).await.ok(&list(6, &objects));
    watch.dropped().await;
    wide.crowded_out().await;
    settle().await;
    assert!(registry.cache_use().bytes < 62 * KIB, "the list waits");
    drop(wide);
    let call = server.expect_list(PODS).await;
    assert!(call.header("accept").contains("PartialObjectMetadataList"));
    settle().await;
    assert!(
        narrow.crowded_out().now_or_never().is_none(),
        "what comes free is waited for"
    );
    call.ok(&list(6, &bare));
    let watch = server.expect_watch(PODS, 6).await;
    settle().await;
    assert_eq!(registry.cache_use().bytes, before);
    watch.event("DELETED", &self::bare(&heavy("p3", 7, 0)));
    assert_eq!(
        changes(&mut narrow).await,
        ["deleted p3@7"],
        "nothing else happened to it"
    );
    assert!(narrow.crowded_out().now_or_never().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_list_that_waits_goes_on_when_the_limit_is_raised() {
    let (registry, mut server) = registry();
    // The host's own subscriptions are told nothing.
    registry.limit_caches(Some(30 * KIB));
    let mut own = registry.subscribe(&[watch("pods", View::Full)]).unwrap();
    let objects: Vec<Value> = (0..10)
        .map(|number| heavy(&format!("p{number}"), 1, 10))
        .collect();
    server.expect_list(PODS).await.ok(&list(5, &objects));
    settle().await;
    assert!(registry.cache_use().bytes < 42 * KIB);
    assert!(own.crowded_out().now_or_never().is_none());
    registry.limit_caches(None);
    let _watch = server.expect_watch(PODS, 5).await;
    assert_eq!(changes(&mut own).await.len(), 10);
    assert_eq!(registry.cache_use().limit_bytes, None);
}

#[tokio::test(start_paused = true)]
async fn a_cache_is_pruned_again_when_nobody_wants_all_of_it_any_more() {
    let (registry, mut server) = registry();
    let mut wide = subscribe(&registry, "wide", "pods", View::Full);
    let mut narrow = subscribe(&registry, "narrow", "pods", View::Metadata);
    let object = heavy("a", 1, 10);
    server
        .expect_list(PODS)
        .await
        .ok(&list(5, std::slice::from_ref(&object)));
    let watch = server.expect_watch(PODS, 5).await;
    changes(&mut wide).await;
    changes(&mut narrow).await;
    drop(wide);
    watch.dropped().await;
    server.expect_list(PODS).await.ok(&list(5, &[bare(&object)]));
    let _watch = server.expect_watch(PODS, 5).await;
    assert!(registry.cache_use().bytes < KIB);
    let lister = narrow.lister();
    let held = lister.get(0, &ObjectKey::new("ns", "a")).unwrap().unwrap();
    let body: Value = serde_json::from_slice(held.body()).unwrap();
    assert_eq!(body.get("spec"), None);
    assert_eq!(narrow.waiting(), 0, "the object did not change");
}

#[tokio::test(start_paused = true)]
async fn a_list_for_a_wider_view_replaces_what_one_broken_off_has_stored() {
    let (registry, mut server) = registry();
    let _narrow = subscribe(&registry, "narrow", "pods", View::Metadata);
    let object = pod("a", 1);
    server
        .expect_list(PODS)
        .await
        .ok(&page(5, "more", &[bare(&object)]));
    let call = server.expect_list(PODS).await;
    let mut wide = subscribe(&registry, "wide", "pods", View::Full);
    call.status(500, "InternalError");
    let call = server.expect_list(PODS).await;
    assert_eq!(call.header("accept"), "application/json");
    call.ok(&list(5, &[object]));
    let _watch = server.expect_watch(PODS, 5).await;
    changes(&mut wide).await;
    let held = wide.lister().get(0, &ObjectKey::new("ns", "a")).unwrap().unwrap();
    let body: Value = serde_json::from_slice(held.body()).unwrap();
    assert_eq!(body["spec"]["nodeName"], "n1");
}
