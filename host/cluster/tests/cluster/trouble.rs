//! Shared informers while the server does not behave.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use serde_json::json;
use tokio::time::Instant;
use windlass_core::key::ObjectKey;
use windlass_core::seams::ObjectReader;

use crate::informer::{PODS, changes, sorted, subscribed, synced};
use crate::server::{Watch, list, page, pod};

fn expired(watch: &Watch) {
    watch.event(
        "ERROR",
        &json!({ "kind": "Status", "code": 410, "reason": "Expired", "message": "too old" }),
    );
}

#[tokio::test(start_paused = true)]
async fn a_list_that_expires_between_pages_is_taken_again_in_one_piece() {
    let (_registry, mut server, mut subscription) = subscribed();
    server
        .expect_list(PODS)
        .await
        .ok(&page(7, "next", &[pod("a", 1), pod("gone", 2)]));
    server.expect_list(PODS).await.status(410, "Expired");
    let whole = server.expect_list(PODS).await;
    assert_eq!(
        (whole.query.get("limit"), whole.query.get("continue")),
        (None, None)
    );
    whole.ok(&list(9, &[pod("a", 1), pod("b", 8)]));
    let _watch = server.expect_watch(PODS, 9).await;
    assert_eq!(
        sorted(changes(&mut subscription).await),
        ["added a@1 initial", "added b@8 initial"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_gap_in_the_watch_is_closed_by_the_difference() {
    let (_registry, mut server, mut subscription, watch) = synced().await;
    watch.event("ADDED", &pod("c", 6));
    assert_eq!(changes(&mut subscription).await, ["added c@6"]);
    expired(&watch);
    let mut reborn = pod("c", 21);
    reborn["metadata"]["uid"] = "another".into();
    server
        .expect_list(PODS)
        .await
        .ok(&list(30, &[pod("a", 20), reborn, pod("d", 22)]));
    let _watch = server.expect_watch(PODS, 30).await;
    let mut seen = Vec::new();
    while seen.len() < 5 {
        seen.extend(changes(&mut subscription).await);
    }
    assert_eq!(
        seen,
        [
            "updated a@20 from 1 initial",
            "deleted c@6 initial",
            "added c@21 initial",
            "added d@22 initial",
            "deleted b@2 initial"
        ]
    );
    assert_eq!(subscription.lister().list(0, None, "").unwrap().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_unchanged_relist_says_nothing() {
    let (_registry, mut server, mut subscription, watch) = synced().await;
    expired(&watch);
    server
        .expect_list(PODS)
        .await
        .ok(&list(40, &[pod("a", 1), pod("b", 2)]));
    let watch = server.expect_watch(PODS, 40).await;
    watch.event("MODIFIED", &pod("a", 41));
    assert_eq!(changes(&mut subscription).await, ["updated a@41 from 1"]);
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_ends_is_resumed_where_it_was_without_a_list() {
    let (_registry, mut server, mut subscription, watch) = synced().await;
    watch.event("ADDED", &pod("c", 6));
    assert_eq!(changes(&mut subscription).await, ["added c@6"]);
    watch.close();
    let watch = server.expect_watch(PODS, 6).await;
    watch.bookmark(50);
    watch.close();
    let watch = server.expect_watch(PODS, 50).await;
    watch.fail();
    let watch = server.expect_watch(PODS, 50).await;
    // Cut off in the middle of a frame.
    watch.raw("{\"type\":\"ADDED\",\"obj");
    watch.close();
    server.expect_watch(PODS, 50).await;
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_ends_at_once_is_not_reopened_at_once() {
    let (_registry, mut server, _subscription, watch) = synced().await;
    let start = Instant::now();
    watch.close();
    server.expect_watch(PODS, 5).await.close();
    server.expect_watch(PODS, 5).await.close();
    server.expect_watch(PODS, 5).await.close();
    assert!(
        start.elapsed() >= Duration::from_millis(800 + 1600 + 3200),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_silent_watch_is_replaced() {
    let (_registry, mut server, mut subscription, silent) = synced().await;
    let start = Instant::now();
    let watch = server.expect_watch(PODS, 5).await;
    assert_eq!(start.elapsed(), Duration::from_secs(150));
    silent.dropped().await;
    watch.event("ADDED", &pod("c", 6));
    assert_eq!(changes(&mut subscription).await, ["added c@6"]);
}

#[tokio::test(start_paused = true)]
async fn a_request_without_an_answer_is_given_up() {
    let (_registry, mut server, _subscription) = subscribed();
    let start = Instant::now();
    let _unanswered = server.expect_list(PODS).await;
    let again = server.expect_list(PODS).await;
    assert!(start.elapsed() >= Duration::from_secs(65));
    again.reset();
    server.expect_list(PODS).await.ok(&list(5, &[]));
    server.expect_watch(PODS, 5).await;
}

#[tokio::test(start_paused = true)]
async fn duplicate_and_older_frames_say_nothing() {
    let (_registry, _server, mut subscription, watch) = synced().await;
    watch.event("MODIFIED", &pod("a", 8));
    watch.event("MODIFIED", &pod("a", 8));
    watch.event("MODIFIED", &pod("a", 7));
    watch.event("ADDED", &pod("a", 1));
    watch.event("DELETED", &pod("b", 9));
    watch.event("DELETED", &pod("b", 9));
    watch.event("ADDED", &pod("b", 2));
    watch.event("DELETED", &pod("a", 3));
    watch.event("ADDED", &pod("end", 10));
    let mut seen = Vec::new();
    while seen.len() < 3 {
        seen.extend(changes(&mut subscription).await);
    }
    assert_eq!(seen, ["updated a@8 from 1", "deleted b@9", "added end@10"]);
    assert!(
        subscription
            .lister()
            .get(0, &ObjectKey::new("ns", "a"))
            .unwrap()
            .is_some()
    );
}

#[tokio::test(start_paused = true)]
async fn trouble_with_the_server_keeps_the_version_and_backs_off() {
    let (registry, mut server, _subscription, watch) = synced().await;
    watch.fail();
    let mut last = Instant::now();
    for (code, seconds) in [(429, 40), (500, 0), (503, 0)] {
        let call = server.expect(PODS).await;
        assert_eq!(call.query["resourceVersion"], "5", "after {code}");
        assert!(last.elapsed() >= Duration::from_millis(800));
        last = Instant::now();
        call.retry_after(code, seconds);
    }
    let last_error = registry.status()[0].last_error.clone().unwrap();
    assert!(last_error.contains("HTTP status 500"), "{last_error}");
    let watch = server.expect_watch(PODS, 5).await;
    watch.bookmark(6);
    server.expect_quiet().await;
    assert_eq!(registry.status()[0].last_error, None);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_asks_for_time_gets_it() {
    let (_registry, mut server, _subscription) = subscribed();
    let start = Instant::now();
    server.expect_list(PODS).await.retry_after(429, 40);
    server.expect_list(PODS).await.retry_after(503, 0);
    assert!((40..42).contains(&start.elapsed().as_secs()));
    server.expect_list(PODS).await.ok(&list(5, &[]));
    server.expect_watch(PODS, 5).await;
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_is_refused_leads_to_a_list() {
    let (_registry, mut server, _subscription, watch) = synced().await;
    watch.fail();
    server.expect(PODS).await.status(403, "Forbidden");
    server.expect_list(PODS).await.ok(&list(9, &[]));
    server.expect_watch(PODS, 9).await;
}

/// What is logged, as text.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_list_is_logged_with_its_steps() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let (_registry, mut server, _subscription) = subscribed();
    let first = server.expect_list(PODS).await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    first.ok(&page(7, "next", &[pod("a", 1), pod("b", 2)]));
    let second = server.expect_list(PODS).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    second.ok(&list(7, &[pod("c", 3)]));
    let _watch = server.expect_watch(PODS, 7).await;
    let text = String::from_utf8(log.0.lock().clone()).unwrap();
    let line = text.lines().find(|line| line.contains("slow list")).unwrap();
    for part in [
        "resource=pods",
        "took=600ms",
        "items: 2, fetched: 400ms",
        "items: 1, fetched: 200ms",
    ] {
        assert!(line.contains(part), "{part} is missing in: {line}");
    }
}

#[tokio::test(start_paused = true)]
async fn malformed_pages_change_nothing_and_are_asked_for_again() {
    let (_registry, mut server, mut subscription) = subscribed();
    server.expect_list(PODS).await.raw(
        200,
        r#"{"metadata":{"resourceVersion":"5"},"items":[{"metadata":"#,
    );
    server.expect_list(PODS).await.raw(200, "<html>");
    server
        .expect_list(PODS)
        .await
        .ok(&json!({ "metadata": {}, "items": [{ "metadata": { "uid": "nameless" } }] }));
    server.expect_list(PODS).await.ok(&list(5, &[pod("a", 1)]));
    assert_eq!(changes(&mut subscription).await, ["added a@1 initial"]);
}

#[tokio::test(start_paused = true)]
async fn a_malformed_frame_is_got_past() {
    let (_registry, mut server, mut subscription, watch) = synced().await;
    watch.raw("{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":nul}}}\n");
    let watch = server.expect_watch(PODS, 5).await;
    watch.raw("nonsense\n");
    server
        .expect_list(PODS)
        .await
        .ok(&list(9, &[pod("a", 1), pod("b", 8)]));
    server.expect_watch(PODS, 9).await;
    assert_eq!(changes(&mut subscription).await, ["updated b@8 from 2 initial"]);
}

#[tokio::test(start_paused = true)]
async fn frames_may_be_cut_anywhere() {
    let (_registry, _server, mut subscription, watch) = synced().await;
    let frame = format!("{}\n", json!({ "type": "ADDED", "object": pod("c", 6) }));
    for piece in frame.as_bytes().chunks(7) {
        watch.raw(std::str::from_utf8(piece).unwrap());
    }
    assert_eq!(changes(&mut subscription).await, ["added c@6"]);
}
