//! Traces, as a collector of the test's own receives them.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use windlass_telemetry::otlp::{OtlpConfig, SpanEnd, Tracer};
use windlass_telemetry::status::SyncResult;

const GRACE: Duration = Duration::from_secs(30);

/// An `ExportTraceServiceRequest` in OTLP's JSON; what the protocol does not know fails.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Request {
    resource_spans: Vec<ResourceSpans>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ResourceSpans {
    resource: Resource,
    scope_spans: Vec<ScopeSpans>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Resource {
    attributes: Vec<Attribute>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ScopeSpans {
    scope: Scope,
    spans: Vec<Span>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scope {
    name: String,
    version: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Span {
    trace_id: String,
    span_id: String,
    #[serde(default)]
    parent_span_id: String,
    name: String,
    kind: u8,
    start_time_unix_nano: String,
    end_time_unix_nano: String,
    attributes: Vec<Attribute>,
    status: Option<Status>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Status {
    code: u8,
    message: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Attribute {
    key: String,
    value: AnyValue,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
enum AnyValue {
    StringValue(String),
    IntValue(String),
}

impl Span {
    fn nanos(&self) -> (u64, u64) {
        let parse = |text: &str| text.parse().expect("64-bit numbers are strings of digits");
        (parse(&self.start_time_unix_nano), parse(&self.end_time_unix_nano))
    }

    fn attribute(&self, key: &str) -> Option<&str> {
        find(&self.attributes, key)
    }
}

fn find<'a>(attributes: &'a [Attribute], key: &str) -> Option<&'a str> {
    let attribute = attributes.iter().find(|attribute| attribute.key == key)?;
    match &attribute.value {
        AnyValue::StringValue(value) | AnyValue::IntValue(value) => Some(value),
    }
}

/// Takes requests, answers them with these codes and then with 200, and hands them on.
async fn collector(
    codes: &'static [u16],
) -> anyhow::Result<(SocketAddr, mpsc::UnboundedReceiver<(String, Vec<u8>)>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (sender, received) = mpsc::unbounded_channel();
    let mut codes = codes.iter().copied();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (mut bytes, mut chunk) = (Vec::new(), [0_u8; 8192]);
            let (head, body) = loop {
                let read = stream.read(&mut chunk).await.unwrap_or(0);
                bytes.extend_from_slice(&chunk[..read]);
                if let Some((head, body)) = complete(&bytes) {
                    break (head, body);
                }
                assert!(read > 0, "the request ends in the middle");
            };
            let code = codes.next().unwrap_or(200);
            let answer = format!("HTTP/1.1 {code} X\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}");
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = sender.send((head, body));
        }
    });
    Ok((address, received))
}

/// Head and body of a request, once all of it is there.
fn complete(bytes: &[u8]) -> Option<(String, Vec<u8>)> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
    let length: usize = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))?
        .parse()
        .ok()?;
    let body = bytes.get(end + 4..end + 4 + length)?;
    Some((head, body.to_vec()))
}

/// The next request that the collector took.
async fn next(
    received: &mut mpsc::UnboundedReceiver<(String, Vec<u8>)>,
) -> anyhow::Result<(String, Vec<u8>)> {
    let request = tokio::time::timeout(GRACE, received.recv()).await;
    request.context("no spans came")?.context("the collector ended")
}

fn config(address: SocketAddr) -> OtlpConfig {
    OtlpConfig {
        headers: vec![("x-tenant".to_owned(), "team-a".to_owned())],
        ..OtlpConfig::new(&format!("http://{address}"), "windlass-0", "0.1.0")
    }
}

fn sync(tracer: &Tracer) {
    let sync = tracer.sync_span("deployment", "team-a/web", 42);
    let call = sync.api_span("update", "deployments.apps/status", "team-a/web");
    call.end(SpanEnd {
        code: 409,
        error: Some("the object has been modified"),
    });
    let call = sync.api_span("create", "replicasets.apps", "team-a/");
    call.end(SpanEnd {
        code: 201,
        error: None,
    });
    sync.end(SyncResult::Retry, Some("conflict"));
}

#[tokio::test]
async fn a_sync_arrives_with_its_api_calls_inside() -> anyhow::Result<()> {
    let (address, mut received) = collector(&[]).await?;
    let (tracer, exporter) = Tracer::start(config(address))?;
    sync(&tracer);
    exporter.shut_down(GRACE).await;

    let (head, body) = next(&mut received).await?;
    assert!(head.starts_with("post /v1/traces http/1.1\r\n"), "{head}");
    assert!(
        head.contains("content-type: application/json") && head.contains("x-tenant: team-a"),
        "{head}"
    );
    let request: Request = serde_json::from_slice(&body)?;
    let of_process = &request.resource_spans[0];
    let resource = &of_process.resource.attributes;
    assert_eq!(find(resource, "service.name"), Some("windlass"));
    assert_eq!(find(resource, "service.instance.id"), Some("windlass-0"));
    let scope = &of_process.scope_spans[0].scope;
    assert_eq!(
        (scope.name.as_str(), scope.version.as_str()),
        ("windlass", "0.1.0")
    );

    let spans = &of_process.scope_spans[0].spans;
    let names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "update deployments.apps/status",
            "create replicasets.apps",
            "sync deployment"
        ]
    );
    let sync = &spans[2];
    assert_eq!((sync.kind, sync.parent_span_id.as_str()), (1, ""));
    assert_eq!(sync.attribute("windlass.sync.id"), Some("42"));
    assert_eq!(sync.attribute("windlass.sync.result"), Some("error, retried"));
    let status = sync.status.clone().expect("it failed");
    assert_eq!((status.code, status.message.as_str()), (2, "conflict"));
    for span in spans {
        assert_eq!((span.trace_id.len(), span.span_id.len()), (32, 16));
        assert!(u128::from_str_radix(&span.trace_id, 16).is_ok_and(|id| id != 0));
        assert_eq!(span.trace_id, sync.trace_id);
        assert_eq!(
            span.attribute("k8s.object.key")
                .map(|key| key.starts_with("team-a/")),
            Some(true)
        );
    }
    for call in &spans[..2] {
        assert_eq!((call.kind, &call.parent_span_id), (3, &sync.span_id));
        let ((start, end), (sync_start, sync_end)) = (call.nanos(), sync.nanos());
        assert!(sync_start <= start && start <= end && end <= sync_end + 1_000_000);
    }
    assert_eq!(spans[0].attribute("http.response.status_code"), Some("409"));
    assert!(spans[1].status.is_none());
    Ok(())
}

#[tokio::test]
async fn spans_that_are_dropped_say_so() -> anyhow::Result<()> {
    let (address, mut received) = collector(&[]).await?;
    let (tracer, exporter) = Tracer::start(config(address))?;
    drop(tracer.sync_span("deployment", "team-a/web", 1));
    exporter.shut_down(GRACE).await;
    let (_, body) = next(&mut received).await?;
    let request: Request = serde_json::from_slice(&body)?;
    let status = request.resource_spans[0].scope_spans[0].spans[0].status.clone();
    assert_eq!(
        status.map(|status| status.message).as_deref(),
        Some("the sync did not end")
    );
    Ok(())
}

#[tokio::test]
async fn a_collector_that_is_busy_is_tried_again() -> anyhow::Result<()> {
    let (address, mut received) = collector(&[503]).await?;
    let config = OtlpConfig {
        period: Duration::ZERO,
        ..config(address)
    };
    let (tracer, exporter) = Tracer::start(config)?;
    drop(tracer.sync_span("deployment", "team-a/web", 1));
    let first = next(&mut received).await?;
    let second = next(&mut received).await?;
    assert_eq!(first.1, second.1, "the same spans again");
    exporter.shut_down(GRACE).await;
    Ok(())
}

#[tokio::test]
async fn what_a_collector_refuses_is_counted_and_not_sent_again() -> anyhow::Result<()> {
    let (address, mut received) = collector(&[400]).await?;
    let config = OtlpConfig {
        period: Duration::ZERO,
        ..config(address)
    };
    let (tracer, exporter) = Tracer::start(config)?;
    drop(tracer.sync_span("deployment", "team-a/web", 1));
    next(&mut received).await?;
    while exporter.status().dropped["refused"] == 0 {
        tokio::task::yield_now().await;
    }
    let error = exporter.status().last_error.unwrap_or_default();
    assert_eq!(
        error,
        format!("http://{address}/v1/traces answered 400 Bad Request: {{}}")
    );
    drop(tracer.sync_span("deployment", "team-a/web", 2));
    let (_, body) = next(&mut received).await?;
    let request: Request = serde_json::from_slice(&body)?;
    assert_eq!(request.resource_spans[0].scope_spans[0].spans.len(), 1);
    Ok(())
}

#[tokio::test]
async fn spans_without_room_are_counted() -> anyhow::Result<()> {
    let (address, _received) = collector(&[]).await?;
    let (tracer, exporter) = Tracer::start(config(address))?;
    // Nothing is sent meanwhile: the exporter's task has no turn.
    for id in 0..5000 {
        tracer
            .sync_span("deployment", "team-a/web", id)
            .end(SyncResult::Success, None);
    }
    assert_eq!(exporter.status().dropped["queueFull"], 5000 - 4096);
    Ok(())
}

#[test]
fn without_a_collector_nothing_is_recorded() {
    let sync = Tracer::off().sync_span("deployment", "team-a/web", 1);
    assert_eq!(sync.trace_id(), None);
    sync.api_span("get", "pods", "team-a/web").end(SpanEnd::default());
}

#[tokio::test]
async fn an_endpoint_that_cannot_be_asked_is_refused_at_once() {
    let config = OtlpConfig::new("https://collector:4318", "windlass-0", "0.1.0");
    let error = Tracer::start(config).expect_err("https is not spoken");
    assert_eq!(
        error.to_string(),
        "cannot send traces: \"https://collector:4318/v1/traces\" is not an http:// URL with a host; https is not \
         spoken, use an agent or a local address"
    );
}
