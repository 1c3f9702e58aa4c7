//! Shared informers while the server behaves.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use smol_str::SmolStr;
use windlass_cluster::client::ApiClient;
use windlass_cluster::discovery::DiscoveryCache;
use windlass_cluster::reflector::ReflectorConfig;
use windlass_cluster::registry::{InformerRegistry, SubscribeError};
use windlass_cluster::subscription::Subscription;
use windlass_core::gate::CacheProgress;
use windlass_core::key::{ObjectKey, Resource, ResourceInfo};
use windlass_core::manifest::{EnqueueRule, EventKinds, IndexSpec, View, WatchSpec, WatchTarget};
use windlass_core::seams::{Delta, DeltaKind, ObjectReader, ReadError};

use crate::server::{Server, Watch, list, page, pod, server};

pub(crate) const PODS: &str = "/api/v1/pods";

pub(crate) fn pods() -> Resource {
    Resource::new("", "v1", "pods")
}

pub(crate) fn watch_of(target: WatchTarget) -> WatchSpec {
    WatchSpec {
        target,
        label_selector: String::new(),
        view: View::Full,
        enqueue: EnqueueRule::None,
        on: EventKinds::ALL,
        observe: true,
        old_bodies: true,
        indexes: Vec::new(),
    }
}

pub(crate) fn watch_pods() -> WatchSpec {
    watch_of(WatchTarget::One(pods()))
}

pub(crate) fn registry(client: ApiClient, config: ReflectorConfig) -> InformerRegistry {
    let info = ResourceInfo {
        resource: pods(),
        kind: "Pod".into(),
        namespaced: true,
    };
    InformerRegistry::new(client, Arc::new(DiscoveryCache::fixed(vec![info])), config)
}

/// A registry, its server, and one subscription to all pods.
pub(crate) fn subscribed() -> (InformerRegistry, Server, Subscription) {
    let (client, server) = server();
    let registry = registry(client, ReflectorConfig::default());
    let subscription = registry.subscribe(&[watch_pods()]).unwrap();
    (registry, server, subscription)
}

/// A subscription that has the pods `a` (1) and `b` (2) and watches from 5.
pub(crate) async fn synced() -> (InformerRegistry, Server, Subscription, Watch) {
    let (registry, mut server, mut subscription) = subscribed();
    server
        .expect_list(PODS)
        .await
        .ok(&list(5, &[pod("a", 1), pod("b", 2)]));
    let watch = server.expect_watch(PODS, 5).await;
    let initial = changes(&mut subscription).await;
    assert_eq!(sorted(initial), ["added a@1 initial", "added b@2 initial"]);
    (registry, server, subscription, watch)
}

/// What the next batches say, in words, an empty answer included.
pub(crate) async fn changes(subscription: &mut Subscription) -> Vec<String> {
    let batches = subscription.next().await;
    batches
        .iter()
        .flat_map(|batch| &batch.deltas)
        .map(words)
        .collect()
}

fn words(delta: &Delta) -> String {
    let kind = match delta.kind {
        DeltaKind::Added => "added",
        DeltaKind::Updated => "updated",
        DeltaKind::Deleted => "deleted",
    };
    let old = delta
        .old
        .as_ref()
        .map_or(String::new(), |old| format!(" from {}", old.resource_version()));
    let initial = if delta.initial { " initial" } else { "" };
    format!(
        "{kind} {}@{}{old}{initial}",
        delta.object.key().name,
        delta.object.resource_version()
    )
}

pub(crate) fn sorted(mut changes: Vec<String>) -> Vec<String> {
    changes.sort();
    changes
}

#[tokio::test(start_paused = true)]
async fn pages_are_joined_and_the_watch_starts_where_the_list_ended() {
    let (_registry, mut server, mut subscription) = subscribed();
    let first = server.expect_list(PODS).await;
    assert_eq!(
        (first.query["limit"].as_str(), first.header("accept-encoding")),
        ("500", "identity")
    );
    first.ok(&page(7, "tok en", &[pod("a", 1)]));
    let second = server.expect_list(PODS).await;
    assert_eq!(second.query["continue"], "tok%20en");
    assert!(!subscription.has_synced());
    second.ok(&list(7, &[pod("b", 2)]));
    let call = server.expect(PODS).await;
    assert_eq!(
        (
            call.query["resourceVersion"].as_str(),
            call.query["allowWatchBookmarks"].as_str()
        ),
        ("7", "true")
    );
    assert!((300..600).contains(&call.query["timeoutSeconds"].parse::<u64>().unwrap()));
    assert_eq!(
        sorted(changes(&mut subscription).await),
        ["added a@1 initial", "added b@2 initial"]
    );
    assert!(subscription.has_synced());
    assert_eq!(subscription.lister().observed_revision(&pods()), Some(7));
}

#[tokio::test(start_paused = true)]
async fn changes_come_in_order_with_old_and_new() {
    let (_registry, _server, mut subscription, watch) = synced().await;
    watch.event("MODIFIED", &pod("a", 6));
    watch.event("ADDED", &pod("c", 7));
    watch.event("DELETED", &pod("b", 8));
    let mut seen = Vec::new();
    while seen.len() < 3 {
        seen.extend(changes(&mut subscription).await);
    }
    assert_eq!(seen, ["updated a@6 from 1", "added c@7", "deleted b@8"]);
}

#[tokio::test(start_paused = true)]
async fn cached_objects_have_their_kind_and_no_managed_fields() {
    let (_registry, _server, subscription, _watch) = synced().await;
    let object = subscription
        .lister()
        .get(0, &ObjectKey::new("ns", "a"))
        .unwrap()
        .unwrap();
    let body: serde_json::Value = serde_json::from_slice(object.body()).unwrap();
    assert_eq!(
        (body["kind"].as_str(), body["apiVersion"].as_str()),
        (Some("Pod"), Some("v1"))
    );
    assert_eq!(body["metadata"].get("managedFields"), None);
    assert_eq!(body["spec"]["nodeName"], "n1");
}

#[tokio::test(start_paused = true)]
async fn late_subscribers_get_the_present_content_without_another_request() {
    let (registry, mut server, _first, watch) = synced().await;
    let mut second = registry.subscribe(&[watch_pods()]).unwrap();
    assert_eq!(
        sorted(changes(&mut second).await),
        ["added a@1 initial", "added b@2 initial"]
    );
    assert!(second.has_synced());
    watch.event("DELETED", &pod("a", 6));
    assert_eq!(changes(&mut second).await, ["deleted a@6"]);
    server.expect_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn an_informer_stops_with_its_last_subscription_and_starts_anew_with_the_next() {
    let (registry, mut server, first, watch) = synced().await;
    let second = registry.subscribe(&[watch_pods()]).unwrap();
    drop(first);
    server.expect_quiet().await;
    assert_eq!(registry.status().len(), 1);
    drop(second);
    watch.dropped().await;
    assert!(registry.status().is_empty());
    let _third = registry.subscribe(&[watch_pods()]).unwrap();
    server.expect_list(PODS).await.ok(&list(9, &[]));
}

#[tokio::test(start_paused = true)]
async fn shutting_down_ends_every_informer() {
    let (registry, _server, subscription, watch) = synced().await;
    registry.shut_down().await;
    watch.dropped().await;
    assert_eq!(subscription.lister().list(0, None, "").unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn metadata_is_all_that_is_asked_for_until_somebody_wants_more() {
    let (client, mut server) = server();
    let registry = registry(client, ReflectorConfig::default());
    let mut narrow = registry
        .subscribe(&[WatchSpec {
            view: View::Metadata,
            ..watch_pods()
        }])
        .unwrap();
    let call = server.expect_list(PODS).await;
    assert!(
        call.header("accept")
            .starts_with("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1")
    );
    let mut partial = pod("a", 1);
    partial["kind"] = "PartialObjectMetadata".into();
    partial.as_object_mut().unwrap().remove("spec");
    call.ok(&list(5, &[partial]));
    let watch = server.expect_watch(PODS, 5).await;
    assert_eq!(changes(&mut narrow).await, ["added a@1 initial"]);

    let mut wide = registry.subscribe(&[watch_pods()]).unwrap();
    let call = server.expect_list(PODS).await;
    assert_eq!(call.header("accept"), "application/json");
    watch.dropped().await;
    assert!(!wide.has_synced());
    call.ok(&list(6, &[pod("a", 1), pod("b", 6)]));
    server.expect_watch(PODS, 6).await;
    // The body grew, the object did not change.
    assert_eq!(changes(&mut narrow).await, ["added b@6 initial"]);
    assert_eq!(
        sorted(changes(&mut wide).await),
        ["added a@1 initial", "added b@6 initial"]
    );
    let object = wide.lister().get(0, &ObjectKey::new("ns", "a")).unwrap().unwrap();
    let body: serde_json::Value = serde_json::from_slice(object.body()).unwrap();
    assert_eq!(
        (body["spec"]["nodeName"].as_str(), body["kind"].as_str()),
        (Some("n1"), Some("Pod"))
    );
}

#[tokio::test(start_paused = true)]
async fn a_view_keeps_what_is_declared_and_what_indexes_need() {
    let (client, mut server) = server();
    let registry = registry(client, ReflectorConfig::default());
    let spec = WatchSpec {
        view: View::Fields(vec!["status.phase".into()]),
        indexes: vec![IndexSpec {
            name: "node".into(),
            path: "spec.nodeName".into(),
        }],
        ..watch_pods()
    };
    let mut subscription = registry.subscribe(&[spec]).unwrap();
    let mut verbose = pod("a", 1);
    verbose["spec"]["containers"] = json!([{ "name": "c" }]);
    server.expect_list(PODS).await.ok(&list(5, &[verbose]));
    let watch = server.expect_watch(PODS, 5).await;
    subscription.next().await;
    let lister = subscription.lister();
    let object = lister.by_index(0, "node", "n1").unwrap().pop().unwrap();
    let body: serde_json::Value = serde_json::from_slice(object.body()).unwrap();
    assert_eq!(
        (&body["spec"], &body["status"]),
        (&json!({ "nodeName": "n1" }), &json!({ "phase": "Running" }))
    );
    let mut moved = pod("a", 6);
    moved["spec"]["nodeName"] = "n2".into();
    watch.event("MODIFIED", &moved);
    subscription.next().await;
    assert!(lister.by_index(0, "node", "n1").unwrap().is_empty());
    assert_eq!(lister.by_index(0, "node", "n2").unwrap().len(), 1);
    assert!(matches!(
        lister.by_index(0, "zone", "x"),
        Err(ReadError::Invalid(_))
    ));
    assert!(matches!(
        lister.by_index(1, "node", "x"),
        Err(ReadError::UnknownWatch(1))
    ));
}

#[tokio::test(start_paused = true)]
async fn an_index_declared_late_covers_what_is_cached() {
    let (registry, _server, _first, _watch) = synced().await;
    let spec = WatchSpec {
        indexes: vec![IndexSpec {
            name: "phase".into(),
            path: "status.phase".into(),
        }],
        ..watch_pods()
    };
    let second = registry.subscribe(&[spec]).unwrap();
    assert_eq!(second.lister().by_index(0, "phase", "Running").unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn owners_and_orphans_follow_adoption_and_release() {
    let (_registry, _server, mut subscription, watch) = synced().await;
    let lister = subscription.lister();
    let names = |objects: Vec<Arc<windlass_core::object::Object>>| -> Vec<SmolStr> {
        objects.iter().map(|object| object.key().name.clone()).collect()
    };
    assert_eq!(lister.orphans(0, "ns").unwrap().len(), 2);
    let mut adopted = pod("a", 6);
    adopted["metadata"]["ownerReferences"] = json!([{ "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "rs", "uid": "u9", "controller": true }]);
    watch.event("MODIFIED", &adopted);
    subscription.next().await;
    assert_eq!(names(lister.by_owner(0, "u9").unwrap()), ["a"]);
    assert_eq!(names(lister.orphans(0, "ns").unwrap()), ["b"]);
    watch.event("MODIFIED", &pod("a", 7));
    subscription.next().await;
    assert!(lister.by_owner(0, "u9").unwrap().is_empty());
    assert_eq!(lister.orphans(0, "ns").unwrap().len(), 2);
    assert_eq!(lister.list(0, Some("elsewhere"), "").unwrap().len(), 0);
    assert_eq!(lister.list(0, Some("ns"), "app!=x").unwrap().len(), 2);
    assert!(matches!(lister.list(0, None, "=="), Err(ReadError::Invalid(_))));
}

#[tokio::test(start_paused = true)]
async fn objects_come_and_go_as_their_labels_match_a_selector() {
    let (registry, _server, _first, watch) = synced().await;
    let mut selected = registry
        .subscribe(&[WatchSpec {
            label_selector: "app=web".into(),
            ..watch_pods()
        }])
        .unwrap();
    assert!(changes(&mut selected).await.is_empty());
    assert!(selected.has_synced());
    let labelled = |revision, app: &str| {
        let mut pod = pod("a", revision);
        pod["metadata"]["labels"] = json!({ "app": app });
        pod
    };
    for (revision, app) in [(6, "web"), (7, "web"), (8, "db"), (9, "db"), (10, "web")] {
        watch.event("MODIFIED", &labelled(revision, app));
    }
    // The last finalizer went together with the label.
    watch.event("DELETED", &labelled(11, "db"));
    let mut seen = Vec::new();
    while seen.len() < 5 {
        seen.extend(changes(&mut selected).await);
    }
    assert_eq!(
        seen,
        [
            "added a@6",
            "updated a@7 from 6",
            "deleted a@8",
            "added a@10",
            "deleted a@11"
        ]
    );
    assert!(selected.lister().list(0, None, "").unwrap().is_empty());
    let wrong = registry.subscribe(&[WatchSpec {
        label_selector: "a==b==c".into(),
        ..watch_pods()
    }]);
    assert!(matches!(
        wrong.err(),
        Some(SubscribeError::Selector { watch: 0, .. })
    ));
}

#[tokio::test(start_paused = true)]
async fn a_resync_delivers_everything_once_more() {
    let (client, mut server) = server();
    let config = ReflectorConfig {
        resync: Some(Duration::from_secs(30)),
        ..ReflectorConfig::default()
    };
    let registry = registry(client, config);
    let mut subscription = registry.subscribe(&[watch_pods()]).unwrap();
    server.expect_list(PODS).await.ok(&list(5, &[pod("a", 1)]));
    let _watch = server.expect_watch(PODS, 5).await;
    assert_eq!(changes(&mut subscription).await, ["added a@1 initial"]);
    assert_eq!(changes(&mut subscription).await, ["updated a@1 from 1 initial"]);
}

#[tokio::test(start_paused = true)]
async fn progress_ticks_for_bookmarks_too() {
    let (_registry, _server, subscription, watch) = synced().await;
    let mut progressed = subscription.progressed();
    progressed.borrow_and_update();
    watch.bookmark(50);
    progressed.changed().await.unwrap();
    assert_eq!(subscription.lister().observed_revision(&pods()), Some(50));
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_that_stops_taking_changes_costs_as_much_as_there_are_objects() {
    let (_registry, _server, mut subscription, watch) = synced().await;
    for revision in 6..25_000 {
        watch.event("MODIFIED", &pod("a", revision));
    }
    watch.event("DELETED", &pod("b", 25_000));
    while subscription.lister().observed_revision(&pods()) < Some(25_000) {
        tokio::task::yield_now().await;
    }
    assert!(
        subscription.waiting() <= 20_000,
        "{} waiting",
        subscription.waiting()
    );
    let mut seen = Vec::new();
    while seen.last().is_none_or(|last: &String| last != "deleted b@25000") {
        seen.extend(changes(&mut subscription).await);
    }
    let last_of_a = seen.iter().rfind(|change| change.contains(" a@")).unwrap();
    assert!(last_of_a.starts_with("updated a@24999"), "{last_of_a}");
    assert!(seen[0].ends_with("from 1"), "{}", seen[0]);
}
