//! Events on their way to the server.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;
use windlass_cluster::call_budget::Seat;
use windlass_cluster::recorder::EventRecorder;
use windlass_core::seams::{Event, EventType, ObjectReference};

use crate::server::server;

const EVENTS: &str = "/api/v1/namespaces/ns/events";
const GRACE: Duration = Duration::from_secs(5);

fn event(message: &str, action: &str) -> Event {
    Event {
        regarding: ObjectReference {
            api_version: "v1".into(),
            kind: "Pod".into(),
            namespace: "ns".into(),
            name: "web".into(),
            uid: "u1".into(),
            resource_version: String::new(),
        },
        event_type: EventType::Warning,
        reason: "Failed".into(),
        message: message.into(),
        action: action.into(),
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_is_created_and_its_repetition_counted() {
    let (client, mut server) = server();
    let recorder = EventRecorder::start(&client, "host-1", Seat::default());
    let sink = recorder.sink("deployment-controller");
    sink.record(event("no", ""));
    sink.record(event("no", ""));
    let call = server.expect(EVENTS).await;
    let body = call.json();
    assert_eq!(
        body["involvedObject"],
        json!({ "apiVersion": "v1", "kind": "Pod", "namespace": "ns", "name": "web", "uid": "u1" })
    );
    assert_eq!(
        (&body["source"], &body["count"]),
        (&json!({ "component": "deployment-controller" }), &json!(1))
    );
    assert_eq!(
        (body["type"].as_str(), body["message"].as_str()),
        (Some("Warning"), Some("no"))
    );
    let name = body["metadata"]["name"].as_str().unwrap().to_owned();
    assert!(name.starts_with("web."), "{name}");
    call.ok(&body);
    let call = server.expect(&format!("{EVENTS}/{name}")).await;
    assert_eq!(
        (call.method.as_str(), call.header("content-type")),
        ("PATCH", "application/strategic-merge-patch+json")
    );
    assert_eq!(call.json()["count"], 2);
    call.status(404, "NotFound");
    // It expired meanwhile: the next one starts anew.
    server.expect(EVENTS).await.ok(&json!({}));
    recorder.shut_down(GRACE).await;
}

#[tokio::test(start_paused = true)]
async fn an_event_with_an_action_goes_through_the_newer_api() {
    let (client, mut server) = server();
    let recorder = EventRecorder::start(&client, "host-1", Seat::default());
    let sink = recorder.sink("scheduler");
    sink.record(event("first", "Scheduling"));
    sink.record(event("second", "Scheduling"));
    let call = server.expect("/apis/events.k8s.io/v1/namespaces/ns/events").await;
    let body = call.json();
    assert_eq!(
        (body["note"].as_str(), body["action"].as_str()),
        (Some("first"), Some("Scheduling"))
    );
    assert_eq!(
        (
            body["reportingController"].as_str(),
            body["reportingInstance"].as_str()
        ),
        (Some("scheduler"), Some("scheduler-host-1"))
    );
    assert_eq!(
        body["eventTime"].as_str().unwrap().len(),
        "2026-01-01T00:00:00.000000Z".len()
    );
    call.ok(&body);
    let call = server.next().await;
    assert_eq!(call.json()["series"]["count"], 2);
    call.ok(&json!({}));
    recorder.shut_down(GRACE).await;
}

#[tokio::test(start_paused = true)]
async fn trouble_with_the_server_is_retried_and_a_refusal_is_not() {
    let (client, mut server) = server();
    let recorder = EventRecorder::start(&client, "host-1", Seat::default());
    let sink = recorder.sink("c");
    let start = Instant::now();
    sink.record(event("lost", ""));
    for _ in 0..12 {
        let call = server.expect(EVENTS).await;
        assert_eq!(call.json()["message"], "lost");
        call.status(503, "ServiceUnavailable");
    }
    assert_eq!(start.elapsed(), Duration::from_secs(110));
    sink.record(event("refused", ""));
    server.expect(EVENTS).await.status(403, "Forbidden");
    sink.record(event("kept", ""));
    assert_eq!(server.expect(EVENTS).await.json()["message"], "kept");
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_drops_and_counts_without_blocking() {
    let (client, _server) = server();
    let recorder = EventRecorder::start(&client, "host-1", Seat::default());
    let sink = recorder.sink("c");
    for number in 0..2000 {
        sink.record(event(&number.to_string(), ""));
    }
    assert_eq!(recorder.dropped(), 1750);
}

#[tokio::test(start_paused = true)]
async fn what_is_queued_at_shutdown_is_tried_once_more() {
    let (client, mut server) = server();
    let recorder = EventRecorder::start(&client, "host-1", Seat::default());
    let sink = recorder.sink("c");
    for message in ["a", "b", "c"] {
        sink.record(event(message, ""));
    }
    let served = async {
        for message in ["a", "b", "c"] {
            let call = server.expect(EVENTS).await;
            assert_eq!(call.json()["message"], message);
            call.status(503, "ServiceUnavailable");
        }
    };
    let start = Instant::now();
    tokio::join!(recorder.shut_down(GRACE), served);
    assert_eq!(start.elapsed(), Duration::ZERO);
    sink.record(event("late", ""));
    assert_eq!(recorder.dropped(), 1);
}

#[tokio::test(start_paused = true)]
async fn long_messages_and_names_are_cut_at_a_character() {
    let (client, mut server) = server();
    let recorder = EventRecorder::start(&client, "host-1", Seat::default());
    let mut long = event(&"ü".repeat(600), "");
    long.regarding.name = "n".repeat(253);
    long.regarding.namespace.clear();
    recorder.sink("c").record(long);
    let body = server.expect("/api/v1/namespaces/default/events").await.json();
    assert_eq!(body["message"].as_str().unwrap().len(), 1024);
    assert_eq!(body["metadata"]["name"].as_str().unwrap().len(), 253);
}
