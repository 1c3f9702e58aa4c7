//! Spans of whole hosts, as a collector receives them: one per sync, with the API calls
//! inside; and syncs that do not care how the collector fares.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, Result};
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};
use windlass_apiserver::{FaultKind, FaultPolicy, FaultRule};
use windlass_core::key::ObjectKey;
use windlass_core::permission::PermissionRule;
use windlass_manager::host::ModuleHandle;
use windlass_telemetry::otlp::{Exporter, OtlpConfig, Tracer};
use windlass_telemetry::status::{ApiStatus, SyncResult, SyncStatus};
use windlass_test_collector::{Attributed, Collector, Span};
use windlass_tests::builds::Builds;
use windlass_tests::cluster::{Cluster, STOCK_CONFIGURATION};
use windlass_tests::in_process::{Followers, GRACE, InProcess, STOCK, from_file, stock};
use windlass_tests::log::Log;
use windlass_tests::wait;

const HOSTILE: &str = "windlass-fixture-hostile";
const REPLICAS: usize = 10;

/// What was said of telemetry to this collector.
fn of_telemetry(log: &Log, collector: &str) -> Vec<(String, Value)> {
    let is_to = |line: &Value| {
        let endpoint = line["endpoint"].as_str();
        line["signal"].is_string() && endpoint.is_some_and(|url| url.starts_with(collector))
    };
    let lines = log.lines().into_iter().filter(is_to);
    lines
        .map(|line| (line["message"].as_str().unwrap_or_default().to_owned(), line))
        .collect()
}

/// What the host itself counted of a module.
struct Counted {
    name: String,
    syncs: SyncStatus,
    calls: ApiStatus,
}

impl Counted {
    fn of(module: &ModuleHandle) -> Self {
        Self {
            name: module.name.to_string(),
            syncs: module.controller.syncs.snapshot(),
            calls: module.controller.calls.snapshot(),
        }
    }

    fn syncs_by_result(&self) -> BTreeMap<String, u64> {
        let name = |result| match result {
            SyncResult::Success => "success",
            SyncResult::RequeueAfter => "requeue_after",
            SyncResult::Retry => "retry",
            SyncResult::Terminal => "terminal",
            SyncResult::Failed => "failed",
        };
        let results = self.syncs.results.iter().filter(|(_, count)| **count > 0);
        results
            .map(|(result, count)| (name(*result).to_owned(), *count))
            .collect()
    }

    fn calls_by_code(&self) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for call in &self.calls.calls {
            *counts.entry(call.code.clone()).or_default() += call.count;
        }
        counts
    }
}

fn is_sync(span: &Span) -> bool {
    span.name.starts_with("sync ")
}

fn of_module<'a>(spans: &'a [Span], name: &str) -> Vec<&'a Span> {
    let spans = spans.iter();
    spans
        .filter(|span| span.attribute("windlass.module").as_deref() == Some(name))
        .collect()
}

/// How many spans have which value of an attribute.
fn count_by(spans: &[&Span], key: &str) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for span in spans {
        let value = span.attribute(key).unwrap_or_else(|| format!("no {key}"));
        *counts.entry(value).or_default() += 1;
    }
    counts
}

fn config(collector: &Collector) -> OtlpConfig {
    OtlpConfig::new(&collector.url(), "test", "0.1.0")
}

/// One that sends each span as it ends.
fn hasty(collector: &Collector) -> OtlpConfig {
    OtlpConfig {
        period: Duration::ZERO,
        ..config(collector)
    }
}

fn traced(tracer: Tracer) -> Followers {
    Followers {
        tracer,
        ..Followers::default()
    }
}

async fn roll(cluster: &InProcess, name: &str, image: &str) -> Result<()> {
    let patch = json!({"spec": {"template": {"spec": {"containers": [{"name": "web", "image": image}]}}}});
    let deployments = cluster.namespace.deployments();
    deployments
        .patch(name, &PatchParams::default(), &Patch::Strategic(patch))
        .await?;
    cluster.namespace.wait_complete(name).await?;
    Ok(())
}

/// Stops the host, and returns what it counted of its modules.
async fn stopped(cluster: InProcess, exporter: Exporter) -> Vec<Counted> {
    let modules = cluster.host.modules();
    cluster.stop().await;
    exporter.shut_down(GRACE).await;
    modules.iter().map(Counted::of).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollout_gives_a_span_for_each_sync_with_its_api_calls_inside() -> Result<()> {
    let collector = Collector::start().await?;
    let exporter = Exporter::start(config(&collector))?;
    let builds = Builds::of(&STOCK)?;
    let followers = traced(exporter.tracer());
    let cluster = InProcess::start_followed(builds.path(), 3, stock(), followers).await?;
    cluster
        .namespace
        .create_deployment("web", json!({"replicas": REPLICAS}))
        .await?;
    cluster.namespace.wait_complete("web").await?;
    roll(&cluster, "web", "pause:v2").await?;
    let modules = stopped(cluster, exporter).await;
    let spans = collector.spans()?;

    let ids: BTreeSet<&String> = spans.iter().map(|span| &span.span_id).collect();
    assert_eq!(ids.len(), spans.len(), "two spans of one name");
    let syncs: BTreeMap<&String, &Span> = spans
        .iter()
        .filter(|span| is_sync(span))
        .map(|span| (&span.span_id, span))
        .collect();
    let traces: BTreeSet<&String> = syncs.values().map(|span| &span.trace_id).collect();
    assert_eq!(traces.len(), syncs.len(), "each sync is a trace");
    for module in &modules {
        let of_module = of_module(&spans, &module.name);
        let (syncs, calls): (Vec<&Span>, Vec<&Span>) = of_module.into_iter().partition(|span| is_sync(span));
        assert_eq!(
            count_by(&syncs, "windlass.sync.result"),
            module.syncs_by_result(),
            "syncs of {}",
            module.name
        );
        assert_eq!(
            count_by(&calls, "http.response.status_code"),
            module.calls_by_code(),
            "calls of {}",
            module.name
        );
        let numbers = count_by(&syncs, "windlass.sync.id");
        assert!(numbers.values().all(|count| *count == 1), "a sync with two spans");
    }
    for call in spans.iter().filter(|span| !is_sync(span)) {
        let sync = syncs.get(&call.parent_span_id);
        let sync = sync.with_context(|| format!("a call in no sync: {call:?}"))?;
        assert_eq!((&call.trace_id, call.kind, sync.kind), (&sync.trace_id, 3, 1));
        assert_eq!(
            call.attribute("windlass.module"),
            sync.attribute("windlass.module")
        );
        let ((start, end), (sync_start, sync_end)) = (call.nanos(), sync.nanos());
        // The clock of the wall and the one that never goes back may differ a little.
        assert!(sync_start <= start && start <= end && end <= sync_end + 1_000_000);
        let code = call.attribute("http.response.status_code").context("answered")?;
        assert_eq!(call.error().is_some(), code.parse::<u16>()? >= 400, "{call:?}");
    }

    // Two generations of pods, each made and bound once.
    let pods = "/api/v1/namespaces/{namespace}/pods";
    for (route, module, code) in [
        (format!("POST {pods}"), "replicaset", "201"),
        (format!("POST {pods}/{{name}}/binding"), "scheduler", "201"),
    ] {
        let made: Vec<&Span> = spans
            .iter()
            .filter(|span| span.name == route && span.error().is_none())
            .collect();
        assert_eq!(made.len(), 2 * REPLICAS, "{route}");
        for span in made {
            assert_eq!(span.attribute("windlass.module").as_deref(), Some(module));
            assert_eq!(span.attribute("http.response.status_code").as_deref(), Some(code));
            assert_eq!(span.attribute("k8s.namespace.name").as_deref(), Some("default"));
        }
    }
    for sync in syncs.values() {
        for key in ["windlass.sync.queued", "windlass.sync.held"] {
            let seconds: f64 = sync.attribute(key).context(key)?.parse()?;
            assert!((0.0..300.0).contains(&seconds), "{key} of {sync:?}");
        }
        assert!(
            sync.attribute("windlass.guest.digest")
                .is_some_and(|digest| digest.len() == 71)
        );
    }
    assert!(
        syncs
            .values()
            .any(|sync| sync.attribute("windlass.sync.key").as_deref() == Some("default/web"))
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sync_that_fails_and_the_call_that_made_it_fail_are_errors() -> Result<()> {
    let collector = Collector::start().await?;
    let exporter = Exporter::start(config(&collector))?;
    let builds = Builds::of(&STOCK)?;
    let followers = traced(exporter.tracer());
    let cluster = InProcess::start_followed(builds.path(), 1, stock(), followers).await?;
    cluster.server.set_faults(FaultPolicy {
        seed: 7,
        rules: vec![FaultRule {
            kind: FaultKind::InternalError,
            probability: 1.0,
            verbs: vec!["create".to_owned()],
            resources: vec!["pods".to_owned()],
        }],
    });
    cluster
        .namespace
        .create_deployment("web", json!({"replicas": 1}))
        .await?;
    let replicaset = cluster.module("replicaset")?;
    let failed = || async { Ok(replicaset.controller.syncs.snapshot().error_total()) };
    wait::until("a sync that fails", failed, |errors| *errors > 0).await?;
    cluster.server.set_faults(FaultPolicy::default());
    cluster.namespace.wait_complete("web").await?;
    stopped(cluster, exporter).await;
    let spans = collector.spans()?;

    let failed = spans
        .iter()
        .find(|span| is_sync(span) && span.attribute("windlass.sync.result").as_deref() == Some("retry"))
        .context("a sync failed")?;
    assert_eq!(failed.attribute("windlass.module").as_deref(), Some("replicaset"));
    assert_eq!(failed.attribute("error.type").as_deref(), Some("retry"));
    assert!(failed.error().is_some_and(|message| !message.is_empty()));
    let call = spans
        .iter()
        .find(|span| span.parent_span_id == failed.span_id && span.error().is_some())
        .context("a call of it failed")?;
    assert_eq!(call.name, "POST /api/v1/namespaces/{namespace}/pods");
    assert_eq!(
        call.attribute("http.response.status_code").as_deref(),
        Some("500")
    );
    assert_eq!(call.attribute("error.type").as_deref(), Some("500"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sync_that_its_guest_does_not_survive_is_an_error_that_says_why() -> Result<()> {
    let collector = Collector::start().await?;
    let exporter = Exporter::start(config(&collector))?;
    let builds = Builds::of(&[HOSTILE])?;
    let modules = vec![from_file("hostile-one", &format!("{HOSTILE}.wasm"))];
    let followers = traced(exporter.tracer());
    let cluster = InProcess::start_followed(builds.path(), 1, modules, followers).await?;
    let module = cluster.module("hostile-one")?;
    module.controller.queue.add(ObjectKey::new("default", "panic"));
    let restarts = || async { cluster.restarts("hostile-one") };
    wait::until("the guest to end", restarts, |restarts| *restarts > 0).await?;
    stopped(cluster, exporter).await;
    let spans = collector.spans()?;
    let panicked = spans.first().context("the sync has a span")?;
    assert_eq!(panicked.name, "sync hostile-one");
    assert_eq!(
        panicked.attribute("windlass.sync.key").as_deref(),
        Some("default/panic")
    );
    assert_eq!(
        panicked.attribute("windlass.sync.result").as_deref(),
        Some("failed")
    );
    assert_eq!(panicked.attribute("error.type").as_deref(), Some("trap"));
    assert_eq!(
        panicked.error(),
        Some("trapped: panicked: the key \"panic\" is cursed")
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_of_start_is_a_trace_of_its_own() -> Result<()> {
    let collector = Collector::start().await?;
    let exporter = Exporter::start(config(&collector))?;
    let builds = Builds::of(&[HOSTILE])?;
    let mut module = from_file("hostile", &format!("{HOSTILE}.wasm"));
    module.config = json!({"misdeed": "start-wait"});
    module.permissions = vec![PermissionRule {
        api_groups: vec!["".into()],
        resources: vec!["configmaps".into()],
        verbs: vec!["get".into()],
        ..PermissionRule::default()
    }];
    let followers = traced(exporter.tracer());
    let cluster = InProcess::start_followed(builds.path(), 1, vec![module], followers).await?;
    stopped(cluster, exporter).await;
    let spans = collector.spans()?;
    assert_eq!(spans.len(), 1, "{spans:#?}");
    assert_eq!(
        (spans[0].name.as_str(), spans[0].parent_span_id.as_str()),
        ("GET /api/v1/namespaces/{namespace}/configmaps/{name}", "")
    );
    assert_eq!(spans[0].attribute("error.type").as_deref(), Some("404"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_share_of_the_syncs_is_traced_and_of_the_others_no_call_either() -> Result<()> {
    let collector = Collector::start().await?;
    let exporter = Exporter::start(OtlpConfig {
        sample_ratio: 0.5,
        ..config(&collector)
    })?;
    let builds = Builds::of(&STOCK)?;
    let followers = traced(exporter.tracer());
    let cluster = InProcess::start_followed(builds.path(), 3, stock(), followers).await?;
    cluster
        .namespace
        .create_deployment("web", json!({"replicas": 3 * REPLICAS}))
        .await?;
    cluster.namespace.wait_complete("web").await?;
    let modules = stopped(cluster, exporter).await;
    let spans = collector.spans()?;
    let (syncs, calls): (Vec<&Span>, Vec<&Span>) = spans.iter().partition(|span| is_sync(span));
    let all: u64 = modules.iter().map(|module| module.syncs.total()).sum();
    let traced = syncs.len() as u64;
    assert!(0 < traced && traced < all, "{traced} of {all}");
    let traced: BTreeSet<&String> = syncs.iter().map(|span| &span.span_id).collect();
    assert!(!calls.is_empty());
    assert!(calls.iter().all(|call| traced.contains(&call.parent_span_id)));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_away_is_told_of_once_and_again_when_it_is_back() -> Result<()> {
    let log = Log::install();
    let collector = Collector::start().await?;
    let (address, url) = (collector.address, collector.url());
    let exporter = Exporter::start(hasty(&collector))?;
    drop(collector);
    let tracer = exporter.tracer();
    let builds = Builds::of(&STOCK)?;
    let cluster = InProcess::start_followed(builds.path(), 3, stock(), traced(tracer.clone())).await?;
    cluster
        .namespace
        .create_deployment("web", json!({"replicas": REPLICAS}))
        .await?;
    // Nothing of it has gone anywhere.
    cluster.namespace.wait_complete("web").await?;
    let lost = |tracer: &Tracer| {
        let status = tracer.status().unwrap_or_default();
        status.dropped.values().sum::<u64>()
    };
    let losses = || async { Ok(lost(&tracer)) };
    // Two batches, so that there is a second loss to be silent about.
    wait::until("spans to be given up", losses, |lost| *lost >= 2).await?;
    let told = of_telemetry(&log, &url);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].0, "telemetry cannot be delivered, some is lost");
    assert!(
        told[0].1["error"]
            .as_str()
            .is_some_and(|error| error.contains("cannot connect to")),
        "{told:?}"
    );

    let collector = Collector::at(address).await?;
    roll(&cluster, "web", "pause:v2").await?;
    collector
        .wait_until("spans", |collector| {
            collector.spans().is_ok_and(|spans| spans.len() >= 10)
        })
        .await?;
    stopped(cluster, exporter).await;
    let told = of_telemetry(&log, &url);
    let messages: Vec<&str> = told.iter().map(|(message, _)| message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "telemetry cannot be delivered, some is lost",
            "telemetry is delivered again"
        ]
    );
    let status = tracer.status().context("it is on")?;
    assert_eq!(status.exported, collector.spans()?.len() as u64);
    assert_eq!(told[1].1["lost"].as_u64(), Some(lost(&tracer)));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn syncs_do_not_wait_for_a_collector_that_does_not_answer() -> Result<()> {
    let collector = Collector::start().await?;
    collector.hold();
    let exporter = Exporter::start(OtlpConfig {
        timeout: wait::LIMIT,
        ..hasty(&collector)
    })?;
    let tracer = exporter.tracer();
    let builds = Builds::of(&STOCK)?;
    let cluster = InProcess::start_followed(builds.path(), 3, stock(), traced(tracer.clone())).await?;
    cluster
        .namespace
        .create_deployment("web", json!({"replicas": REPLICAS}))
        .await?;
    cluster.namespace.wait_complete("web").await?;
    roll(&cluster, "web", "pause:v2").await?;
    collector
        .wait_until("a request", |collector| collector.unanswered() > 0)
        .await?;
    // The whole rollout is over, and the collector has not answered once.
    assert_eq!((collector.unanswered(), collector.requests().len()), (1, 0));
    collector.release();
    let modules = stopped(cluster, exporter).await;
    let status = tracer.status().context("it is on")?;
    let lost: u64 = status.dropped.values().sum();
    let counted = modules
        .iter()
        .map(|module| module.syncs.total() + module.calls.total());
    assert_eq!(status.exported + lost, counted.sum::<u64>());
    assert_eq!(status.exported, collector.spans()?.len() as u64);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_binary_sends_what_its_configuration_asks_for_and_the_rest_when_it_stops() -> Result<()> {
    let collector = Collector::start().await?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("host.yaml");
    let otlp = format!(
        "otlp: {{endpoint: \"{}\", interval: 1h, headers: {{x-scope-orgid: team-a}}, \
         resourceAttributes: {{deployment.environment.name: test}}}}\n",
        collector.url()
    );
    std::fs::write(&file, format!("{STOCK_CONFIGURATION}{otlp}"))?;
    let file = file.to_str().context("temporary path is not UTF-8")?;
    let mut cluster = Cluster::up(&["--nodes", "1", "--config", file]).await?;
    let namespace = cluster.namespace("default").await?;
    namespace.create_deployment("web", json!({"replicas": 2})).await?;
    namespace.wait_complete("web").await?;
    // Of all that the collector of garbage is told, only a deletion makes sure of a sync.
    let deployments = namespace.deployments();
    deployments.delete("web", &DeleteParams::foreground()).await?;
    namespace.wait_pods("app=web", 0).await?;
    cluster.process.signal("INT")?;
    assert_eq!(cluster.process.wait(wait::LIMIT)?, Some(0));

    let requests = collector.requests();
    let first = requests
        .iter()
        .find(|request| request.head.starts_with("post /v1/traces"))
        .context("spans came")?;
    assert!(first.head.contains("x-scope-orgid: team-a"), "{}", first.head);
    let environment = ("deployment.environment.name".to_owned(), "test".to_owned());
    assert!(first.resource()?.contains(&environment));
    let spans = collector.spans()?;
    for name in STOCK {
        assert!(
            of_module(&spans, name).into_iter().any(is_sync),
            "no sync of {name}"
        );
    }
    // The interval is an hour, so these are the ones that are sent at the end.
    let metrics = collector.metrics()?;
    let names: BTreeSet<&str> = metrics.iter().map(|metric| metric.name.as_str()).collect();
    for name in [
        "workqueue_adds_total",
        "windlass_sync_duration_seconds",
        "windlass_spans_exported_total",
    ] {
        assert!(names.contains(name), "no {name}");
    }
    Ok(())
}
