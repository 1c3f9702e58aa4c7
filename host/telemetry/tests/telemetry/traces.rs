//! Spans, as a collector of the test's own receives them.

use std::time::Duration;

use anyhow::{Context, Result};
use smol_str::SmolStr;
use windlass_core::key::{ObjectKey, Resource};
use windlass_core::seams::{ApiRequest, ApiVerb};
use windlass_telemetry::otlp::{
    Exporter, ModuleTracer, OtlpConfig, Parent, SyncSpan, SyncStart, TracedModule, Tracer,
};
use windlass_telemetry::status::SyncResult;
use windlass_test_collector::{Attributed, Collector, Span};

const GRACE: Duration = Duration::from_secs(30);

fn config(collector: &Collector) -> OtlpConfig {
    OtlpConfig {
        headers: vec![("x-tenant".to_owned(), "team-a".to_owned())],
        ..OtlpConfig::new(&collector.url(), "windlass-0", "0.1.0")
    }
}

/// One that sends each span as it ends.
fn hasty(collector: &Collector) -> OtlpConfig {
    OtlpConfig {
        period: Duration::ZERO,
        ..config(collector)
    }
}

fn of_module(tracer: &Tracer) -> Option<ModuleTracer> {
    let name = SmolStr::new_static;
    tracer.of_module(TracedModule {
        module: &name("web"),
        guest: &name("deployment"),
        version: &name("1.2.3"),
        digest: "00ff",
        api_server: "https://10.0.0.1:6443",
    })
}

fn begin(tracer: &ModuleTracer, id: u64) -> SyncSpan {
    tracer.sync(SyncStart {
        id,
        key: &ObjectKey::new("team-a", "web"),
        queued: Duration::from_millis(250),
        held: Duration::from_millis(1500),
    })
}

fn request(verb: ApiVerb, subresource: &str) -> ApiRequest {
    ApiRequest {
        resource: Resource::new("apps", "v1", "deployments"),
        key: ObjectKey::new("team-a", "web"),
        subresource: subresource.into(),
        verb,
    }
}

fn started(config: OtlpConfig) -> Result<(ModuleTracer, Exporter)> {
    let exporter = Exporter::start(config)?;
    let tracer = of_module(&exporter.tracer()).context("it is on")?;
    Ok((tracer, exporter))
}

fn named<'a>(spans: &'a [Span], name: &str) -> Result<&'a Span> {
    let found = spans.iter().find(|span| span.name == name);
    found.with_context(|| format!("no span {name:?} among {spans:#?}"))
}

#[track_caller]
fn assert_attributes(span: &Span, expected: &[(&str, &str)]) {
    for (key, value) in expected {
        assert_eq!(span.attribute(key).as_deref(), Some(*value), "{key} of {span:#?}");
    }
}

#[tokio::test]
async fn a_sync_arrives_with_its_api_calls_inside() -> Result<()> {
    let collector = Collector::start().await?;
    let (tracer, exporter) = started(config(&collector))?;
    let sync = begin(&tracer, 42);
    let parent = sync.context().map(Parent::Span).context("it is traced")?;
    let status = request(ApiVerb::Update(Default::default()), "status");
    let mut call = tracer.api_call(parent, &status).context("it is traced")?;
    let traceparent = call.traceparent().context("it is traced")?;
    let path = "/apis/apps/v1/namespaces/team-a/deployments/web/status?fieldManager=web";
    call.sent(path, Duration::from_millis(750));
    call.answered(409, "Conflict");
    let mut call = tracer
        .api_call(parent, &request(ApiVerb::Get, ""))
        .context("it is traced")?;
    call.sent("/apis/apps/v1/namespaces/team-a/deployments/web", Duration::ZERO);
    call.answered(200, "");
    sync.end(SyncResult::Retry, Some("conflict"));
    exporter.shut_down(GRACE).await;

    let request = collector.request(1).await?;
    let head = &request.head;
    assert!(head.starts_with("post /v1/traces http/1.1\r\n"), "{head}");
    assert!(
        head.contains("content-type: application/json") && head.contains("x-tenant: team-a"),
        "{head}"
    );
    let resource = request.resource()?;
    for (key, value) in [
        ("service.name", "windlass"),
        ("service.instance.id", "windlass-0"),
    ] {
        assert!(
            resource.contains(&(key.to_owned(), value.to_owned())),
            "{resource:?}"
        );
    }

    let spans = request.spans()?;
    assert_eq!(spans.len(), 3);
    let route = "/apis/apps/v1/namespaces/{namespace}/deployments/{name}";
    let sync = named(&spans, "sync web")?;
    let update = named(&spans, &format!("PUT {route}/status"))?;
    let get = named(&spans, &format!("GET {route}"))?;
    assert_eq!((sync.kind, sync.parent_span_id.as_str()), (1, ""));
    assert_attributes(
        sync,
        &[
            ("windlass.module", "web"),
            ("windlass.guest.name", "deployment"),
            ("windlass.guest.version", "1.2.3"),
            ("windlass.guest.digest", "sha256:00ff"),
            ("windlass.sync.id", "42"),
            ("windlass.sync.key", "team-a/web"),
            ("k8s.namespace.name", "team-a"),
            ("windlass.sync.queued", "0.25"),
            ("windlass.sync.held", "1.5"),
            ("windlass.sync.result", "retry"),
            ("error.type", "retry"),
        ],
    );
    assert_eq!(sync.error(), Some("conflict"));
    for call in [update, get] {
        assert_eq!((call.kind, &call.parent_span_id), (3, &sync.span_id));
        assert_eq!(call.trace_id, sync.trace_id);
        let ((start, end), (sync_start, sync_end)) = (call.nanos(), sync.nanos());
        // The clock of the wall and the one that never goes back may differ a little.
        assert!(sync_start <= start && start <= end && end <= sync_end + 1_000_000);
        assert_attributes(
            call,
            &[
                ("windlass.module", "web"),
                ("server.address", "10.0.0.1"),
                ("server.port", "6443"),
                ("windlass.api.object", "team-a/web"),
            ],
        );
    }
    assert_attributes(
        update,
        &[
            ("http.request.method", "PUT"),
            ("http.response.status_code", "409"),
            ("error.type", "409"),
            ("url.full", &format!("https://10.0.0.1:6443{path}")),
            ("url.template", &format!("{route}/status")),
            ("windlass.api.verb", "update"),
            ("windlass.api.resource", "deployments.apps/status"),
            ("windlass.api.reason", "Conflict"),
            ("windlass.api.throttled", "0.75"),
        ],
    );
    // What the status code says needs no words.
    assert_eq!(update.error(), Some(""));
    assert_eq!((get.status.as_ref(), get.attribute("error.type")), (None, None));
    assert_eq!(
        traceparent,
        format!("00-{}-{}-01", update.trace_id, update.span_id)
    );
    for span in &spans {
        assert_eq!((span.trace_id.len(), span.span_id.len()), (32, 16));
        assert!(u128::from_str_radix(&span.trace_id, 16).is_ok_and(|id| id != 0));
        assert!(u64::from_str_radix(&span.span_id, 16).is_ok_and(|id| id != 0));
    }
    Ok(())
}

#[tokio::test]
async fn spans_that_never_end_by_themselves_say_so() -> Result<()> {
    let collector = Collector::start().await?;
    let (tracer, exporter) = started(config(&collector))?;
    let sync = begin(&tracer, 1);
    let parent = sync.context().map(Parent::Span).context("it is traced")?;
    drop(tracer.api_call(parent, &request(ApiVerb::Get, "")));
    drop(sync);
    begin(&tracer, 2).fail("trap", "trapped: unreachable");
    exporter.shut_down(GRACE).await;
    let spans = collector.spans()?;
    let errors: Vec<_> = spans
        .iter()
        .map(|span| (span.name.as_str(), span.attribute("error.type"), span.error()))
        .collect();
    let (abandoned, trap) = (Some("abandoned".to_owned()), Some("trap".to_owned()));
    assert_eq!(
        errors,
        [
            // It was not sent, so what it would have been sent to is not in its name.
            ("GET", abandoned.clone(), Some("the call was given up")),
            ("sync web", abandoned, Some("the sync did not end")),
            ("sync web", trap, Some("trapped: unreachable")),
        ]
    );
    assert_attributes(&spans[2], &[("windlass.sync.result", "failed")]);
    Ok(())
}

#[tokio::test]
async fn a_call_for_no_sync_is_a_trace_of_its_own_and_one_of_an_untraced_sync_is_none() -> Result<()> {
    let collector = Collector::start().await?;
    let (tracer, exporter) = started(config(&collector))?;
    let get = request(ApiVerb::Get, "");
    assert!(tracer.api_call(Parent::Untraced, &get).is_none());
    let call = tracer.api_call(Parent::None, &get).context("it is traced")?;
    call.failed("unavailable", "cannot connect");
    exporter.shut_down(GRACE).await;
    let spans = collector.spans()?;
    assert_eq!(spans.len(), 1);
    assert_eq!(spans[0].parent_span_id, "");
    assert_eq!(spans[0].error(), Some("cannot connect"));
    Ok(())
}

#[tokio::test]
async fn of_what_is_not_chosen_nothing_is_sent() -> Result<()> {
    let collector = Collector::start().await?;
    let config = OtlpConfig {
        sample_ratio: 0.0,
        ..config(&collector)
    };
    let (tracer, exporter) = started(config)?;
    let sync = begin(&tracer, 1);
    assert_eq!(sync.context(), None);
    sync.end(SyncResult::Success, None);
    assert!(
        tracer
            .api_call(Parent::None, &request(ApiVerb::Get, ""))
            .is_none()
    );
    exporter.shut_down(GRACE).await;
    assert!(collector.requests().is_empty());
    Ok(())
}

#[tokio::test]
async fn texts_are_cut_however_long_a_guest_makes_them() -> Result<()> {
    let collector = Collector::start().await?;
    let (tracer, exporter) = started(config(&collector))?;
    let mut huge = request(ApiVerb::Get, "");
    huge.key.name = "ü".repeat(1 << 20).into();
    huge.resource.plural = "p".repeat(1 << 20).into();
    let call = tracer.api_call(Parent::None, &huge).context("it is traced")?;
    call.failed("bad_request", &"x".repeat(1 << 20));
    begin(&tracer, 1).end(SyncResult::Terminal, Some(&"ü".repeat(1 << 20)));
    exporter.shut_down(GRACE).await;
    let request = collector.request(1).await?;
    assert!(request.body.len() < 16 * 1024, "{} bytes", request.body.len());
    assert_eq!(request.spans()?.len(), 2);
    Ok(())
}

#[tokio::test]
async fn a_collector_that_is_busy_is_tried_again() -> Result<()> {
    let collector = Collector::start().await?;
    collector.answer(503, "");
    let (tracer, exporter) = started(hasty(&collector))?;
    begin(&tracer, 1).end(SyncResult::Success, None);
    let second = collector.request(2).await?;
    assert_eq!(
        second.body,
        collector.request(1).await?.body,
        "the same spans again"
    );
    exporter.shut_down(GRACE).await;
    assert_eq!(collector.spans()?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn what_a_collector_refuses_is_counted_and_not_sent_again() -> Result<()> {
    let collector = Collector::start().await?;
    collector.answer(400, "no");
    let (tracer, exporter) = started(hasty(&collector))?;
    begin(&tracer, 1).end(SyncResult::Success, None);
    collector.request(1).await?;
    while exporter.status().dropped["refused"] == 0 {
        tokio::task::yield_now().await;
    }
    let error = exporter.status().last_error.unwrap_or_default();
    assert_eq!(
        error,
        format!("{}/v1/traces answered 400 Bad Request: no", collector.url())
    );
    begin(&tracer, 2).end(SyncResult::Success, None);
    exporter.shut_down(GRACE).await;
    let spans = collector.request(2).await?.spans()?;
    assert_eq!(spans.len(), 1);
    assert_attributes(&spans[0], &[("windlass.sync.id", "2")]);
    Ok(())
}

#[tokio::test]
async fn what_a_collector_leaves_out_is_counted() -> Result<()> {
    let collector = Collector::start().await?;
    let left_out = r#"{"partialSuccess":{"rejectedSpans":"2","errorMessage":"too old"}}"#;
    collector.answer(200, left_out);
    let (tracer, exporter) = started(config(&collector))?;
    let status = exporter.tracer();
    for id in 0..5 {
        begin(&tracer, id).end(SyncResult::Success, None);
    }
    exporter.shut_down(GRACE).await;
    let status = status.status().context("it is on")?;
    assert_eq!((status.exported, status.dropped["refused"]), (3, 2));
    assert_eq!(status.last_error.as_deref(), Some("it left some out: too old"));
    Ok(())
}

#[tokio::test]
async fn spans_without_room_are_counted() -> Result<()> {
    let collector = Collector::start().await?;
    let (tracer, exporter) = started(config(&collector))?;
    // Nothing is sent meanwhile: the exporter's task has no turn.
    for id in 0..5000 {
        begin(&tracer, id).end(SyncResult::Success, None);
    }
    assert_eq!(exporter.status().dropped["queueFull"], 5000 - 4096);
    exporter.shut_down(GRACE).await;
    assert_eq!(collector.spans()?.len(), 4096);
    Ok(())
}

#[tokio::test]
async fn a_process_that_stops_waits_for_its_last_spans_no_longer_than_it_may() -> Result<()> {
    let collector = Collector::start().await?;
    collector.hold();
    let (tracer, exporter) = started(hasty(&collector))?;
    begin(&tracer, 1).end(SyncResult::Success, None);
    collector
        .wait_until("a request", |collector| collector.unanswered() == 1)
        .await?;
    // Returns, though no answer ever comes.
    exporter.shut_down(Duration::from_millis(50)).await;
    assert_eq!(collector.unanswered(), 1);
    Ok(())
}

#[tokio::test]
async fn a_process_that_stops_does_not_wait_for_a_collector_that_is_away() -> Result<()> {
    let collector = Collector::start().await?;
    let (tracer, exporter) = started(config(&collector))?;
    let status = exporter.tracer();
    drop(collector);
    begin(&tracer, 1).end(SyncResult::Success, None);
    let stopped = tokio::time::timeout(GRACE, exporter.shut_down(GRACE * 10)).await;
    stopped.context("it waits for the whole grace period")?;
    let status = status.status().context("it is on")?;
    assert_eq!(status.dropped["unreachable"], 1);
    Ok(())
}

#[test]
fn without_a_collector_nothing_is_recorded() {
    assert!(of_module(&Tracer::off()).is_none());
    assert_eq!(Tracer::off().status(), None);
    assert_eq!(SyncSpan::default().context(), None);
}

#[tokio::test]
async fn an_endpoint_that_cannot_be_asked_is_refused_at_once() {
    let config = OtlpConfig::new("https://collector:4318", "windlass-0", "0.1.0");
    let error = Exporter::start(config).expect_err("https is not spoken");
    assert_eq!(
        error.to_string(),
        "\"https://collector:4318\" is not an http:// URL with a host; https is not spoken, use an agent or a \
         local address"
    );
}
