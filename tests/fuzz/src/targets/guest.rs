//! What a running guest hands the host.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use serde::Deserialize;
use serde::de::IgnoredAny;
use windlass_cluster::call_budget::Seat;
use windlass_cluster::module_client::{ModuleClient, ModuleClientConfig};
use windlass_cluster::recorder::EventRecorder;
use windlass_core::key::{ObjectKey, Resource};
use windlass_core::permission::{Grants, PermissionRule};
use windlass_core::seams::{
    ApiRequest, ApiVerb, DeleteOptions, Event, EventType, ListOptions, ObjectReference, ObjectWriter,
    PatchType, PropagationPolicy,
};
use windlass_core::workqueue::{QueueConfig, Workqueue};

use crate::Target;
use crate::input::{Record, records};
use crate::service::{Asked, FakeServer, runtime};

/// What is sent reaches the object that the permission was checked for and nothing else,
/// and says nothing that only the host may say.
pub(crate) const API_CALL: Target = Target {
    name: "api_call",
    run: api_call,
    mutations: 12_000,
};

/// Events are about what they say, from whom they are, and no longer than allowed.
pub(crate) const EVENTS: Target = Target {
    name: "events",
    run: events,
    mutations: 5_000,
};

/// A line stays a line, and has no value of a Secret in it.
pub(crate) const LOG: Target = Target {
    name: "log",
    run: log,
    mutations: 10_000,
};

/// No number that a guest asks for upsets the queue.
pub(crate) const QUEUE: Target = Target {
    name: "queue",
    run: queue,
    mutations: 20_000,
};

const OWN: &str = "shop";

/// Records of verb, group, version, plural, namespace, name, subresource and options.
fn api_call(data: &[u8]) {
    for record in records(data) {
        let request = api_request(&record);
        for asked in sent(request.clone(), PermissionRule::default()) {
            assert_eq!(segments(&asked), expected(&request), "{}", asked.uri);
            check_query(&asked);
            check_body(&request, &asked);
        }
        let namespaced = PermissionRule {
            namespaces: vec!["ns".into()],
            ..PermissionRule::default()
        };
        for asked in sent(request, namespaced) {
            let path = asked.uri.path();
            assert!(path.contains("/namespaces/ns/"), "{path}");
        }
    }
}

fn sent(request: ApiRequest, rule: PermissionRule) -> Vec<Asked> {
    let server = FakeServer::new(|_| (200, Bytes::from_static(b"{}")));
    let all = || vec!["*".into()];
    let config = ModuleClientConfig {
        module: OWN.into(),
        field_manager: OWN.into(),
        event_source: OWN.into(),
        grants: Grants(vec![PermissionRule {
            api_groups: all(),
            resources: all(),
            verbs: all(),
            ..rule
        }]),
        qps: 0,
        burst: 0,
        seat: Seat::default(),
        max_in_flight: 1,
        impersonate: None,
        tenure: None,
    };
    let client = ModuleClient::new(server.client(), config, None).expect("the names are good");
    let _ = runtime().block_on(client.call(1, request));
    server.take_asked()
}

fn api_request(record: &Record<'_>) -> ApiRequest {
    let body = Bytes::copy_from_slice(record.body);
    let option = |position| Some(record.text(position)).filter(|text| !text.is_empty());
    let verb = match record.text(0).as_str() {
        "get" => ApiVerb::Get,
        "list" => ApiVerb::List(ListOptions {
            label_selector: record.text(7),
            field_selector: record.text(8),
            limit: u32::try_from(record.number(9)).unwrap_or(u32::MAX),
            continue_token: record.text(10),
        }),
        "create" => ApiVerb::Create(body),
        "update" => ApiVerb::Update(body),
        "delete" => ApiVerb::Delete(DeleteOptions {
            propagation_policy: option(7).map(|_| PropagationPolicy::Foreground),
            grace_period_seconds: u32::try_from(record.number(8)).ok(),
            precondition_uid: option(9),
            precondition_resource_version: option(10),
        }),
        "json" => ApiVerb::Patch(PatchType::Json, body),
        "strategic" => ApiVerb::Patch(PatchType::StrategicMerge, body),
        _ => ApiVerb::Patch(PatchType::Merge, body),
    };
    ApiRequest {
        resource: Resource::new(&record.text(1), &record.text(2), &record.text(3)),
        key: ObjectKey::new(&record.text(4), &record.text(5)),
        subresource: record.text(6).into(),
        verb,
    }
}

/// The path as a server splits it.
fn segments(asked: &Asked) -> Vec<String> {
    let path = asked.uri.path().strip_prefix('/').expect("an absolute path");
    path.split('/').map(decode).collect()
}

fn decode(segment: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = segment.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = tail
            .first_chunk::<2>()
            .filter(|_| *first == b'%')
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(escaped.unwrap_or(*first));
        rest = tail
            .get(if escaped.is_some() { 2 } else { 0 }..)
            .unwrap_or_default();
    }
    String::from_utf8(bytes).expect("names are UTF-8")
}

fn expected(request: &ApiRequest) -> Vec<String> {
    let Resource {
        group,
        version,
        plural,
    } = &request.resource;
    let collection = match request.verb {
        ApiVerb::List(_) => true,
        ApiVerb::Create(_) => request.subresource.is_empty(),
        _ => false,
    };
    let (root, namespaces) = if group.is_empty() {
        (&["api", version.as_str()][..], "namespaces")
    } else {
        (&["apis", group.as_str(), version.as_str()][..], "namespaces")
    };
    let mut segments = root.to_vec();
    if !request.key.namespace.is_empty() {
        segments.extend([namespaces, request.key.namespace.as_str()]);
    }
    segments.push(plural);
    if !collection {
        segments.push(&request.key.name);
    }
    if !request.subresource.is_empty() && !matches!(request.verb, ApiVerb::List(_)) {
        segments.push(&request.subresource);
    }
    segments.into_iter().map(str::to_owned).collect()
}

fn check_query(asked: &Asked) {
    let known = [
        "fieldManager",
        "labelSelector",
        "fieldSelector",
        "limit",
        "continue",
    ];
    let mut seen = BTreeSet::new();
    for pair in asked.uri.query().into_iter().flat_map(|query| query.split('&')) {
        let (name, value) = pair.split_once('=').expect("a value for each parameter");
        assert!(known.contains(&name) && seen.insert(name), "{pair}");
        assert!(name != "fieldManager" || value == OWN, "{value}");
    }
    let writes = [Method::POST, Method::PUT, Method::PATCH].contains(&asked.method);
    assert_eq!(writes, seen.contains("fieldManager"));
}

/// What a server believes of a body.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Claims {
    metadata: Option<Metadata>,
    source: Option<Source>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Metadata {
    name: Option<String>,
    namespace: Option<String>,
    managed_fields: Option<Vec<IgnoredAny>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Source {
    component: Option<String>,
}

fn check_body(request: &ApiRequest, asked: &Asked) {
    if matches!(
        request.verb,
        ApiVerb::Get | ApiVerb::List(_) | ApiVerb::Delete(_) | ApiVerb::Patch(PatchType::Json, _)
    ) {
        return;
    }
    let claims: Claims = serde_json::from_slice(&asked.body).expect("a body that was checked is JSON");
    let metadata = claims.metadata.unwrap_or_default();
    assert!(metadata.managed_fields.unwrap_or_default().is_empty());
    let same = |said: Option<String>, asked: &str| {
        let said = said.unwrap_or_default();
        assert!(said.is_empty() || said == asked, "{said:?} is not {asked:?}");
    };
    same(metadata.namespace, &request.key.namespace);
    if !request.key.name.is_empty() {
        same(metadata.name, &request.key.name);
    }
    let resource = &request.resource;
    if resource.plural == "events" && matches!(resource.group.as_str(), "" | "events.k8s.io") {
        same(claims.source.unwrap_or_default().component, OWN);
    }
}

/// Records of API version, kind, namespace, name, UID, reason and action.
fn events(data: &[u8]) {
    let server = FakeServer::new(|_| (201, Bytes::from_static(b"{}")));
    let mut namespaces = BTreeSet::from(["default".to_owned()]);
    runtime().block_on(async {
        let recorder = EventRecorder::start(&server.client(), "host", Seat::default());
        let sink = recorder.sink(OWN);
        for record in records(data) {
            namespaces.insert(record.text(2));
            sink.record(Event {
                regarding: ObjectReference {
                    api_version: record.text(0),
                    kind: record.text(1),
                    namespace: record.text(2),
                    name: record.text(3),
                    uid: record.text(4),
                    resource_version: String::new(),
                },
                event_type: EventType::Normal,
                reason: record.text(5),
                action: record.text(6),
                message: String::from_utf8_lossy(record.body).into_owned(),
            });
        }
        recorder.shut_down(Duration::from_secs(10)).await;
    });
    for asked in server.take_asked() {
        check_event(&asked, &namespaces);
    }
}

fn check_event(asked: &Asked, namespaces: &BTreeSet<String>) {
    let segments = segments(asked);
    let at = segments
        .iter()
        .position(|segment| segment == "namespaces")
        .expect("events have a namespace");
    assert!(namespaces.contains(&segments[at + 1]) && segments[at + 2] == "events");
    let body: serde_json::Value = serde_json::from_slice(&asked.body).expect("events are JSON");
    let text = |field: &str| body[field].as_str().unwrap_or_default().len();
    assert!(text("message").max(text("note")) <= 1024, "{}", text("message"));
    if asked.method == Method::POST {
        assert_eq!(segments.len(), at + 3);
        let name = body["metadata"]["name"].as_str().unwrap_or_default();
        assert!((1..=253).contains(&name.len()), "{name}");
        assert_eq!(body["metadata"]["namespace"], segments[at + 1].as_str());
        let sources = [&body["source"]["component"], &body["reportingController"]];
        assert!(sources.into_iter().any(|source| source == OWN));
    }
}

/// Records of a Secret's value, then names and values by turns; the body is the message.
fn log(data: &[u8]) {
    for record in records(data) {
        let secret = record.text(0);
        let document = serde_json::json!({ "stringData": { "key": secret } }).to_string();
        let texts: Vec<String> = record.fields().skip(1).collect();
        let pair = |pair: &[String]| (pair[0].clone(), pair.get(1).cloned().unwrap_or_default());
        let fields: Vec<_> = texts.chunks(2).map(pair).collect();
        let message = String::from_utf8_lossy(record.body).into_owned();
        // Escapes have letters of their own, which may complete what looks like a value.
        let is_plain = !record.fields().any(|text| text.contains(char::is_control))
            && !message.contains(char::is_control);
        let (message, fields) = windlass_engine::fuzzing::log_line(document.as_bytes(), message, fields);
        for text in [&message, &fields] {
            assert!(!text.contains(char::is_control), "{text:?}");
            let is_telling = secret.len() >= 8
                && secret.bytes().all(|byte| byte.is_ascii_alphanumeric())
                && !"[redacted]".contains(&secret);
            assert!(!(is_plain && is_telling && text.contains(&secret)), "{text:?}");
        }
    }
}

/// Records of what to do, a name, a priority and milliseconds.
fn queue(data: &[u8]) {
    let config = QueueConfig {
        limit: Some(64),
        ..QueueConfig::default()
    };
    let queue: Workqueue<ObjectKey> = Workqueue::new(config);
    let mut taken = Vec::new();
    for record in records(data) {
        let key = ObjectKey::new("ns", &record.text(1));
        let priority: i32 = record.text(2).parse().unwrap_or_default();
        let after = Duration::from_millis(record.number(3));
        match record.text(0).as_str() {
            "add" => queue.add_with(key, priority, after),
            "after" => queue.add_after(key, after),
            "limited" => queue.add_rate_limited(key),
            "forget" => queue.forget(&key),
            "take" => taken.extend(queue.try_get()),
            "done" => {
                for key in taken.drain(..) {
                    queue.done(&key);
                }
            }
            _ => drop(queue.try_add(key, priority, after)),
        }
        assert!(taken.len() >= queue.processing());
        let _ = queue.metrics();
    }
}
