//! Plugins of the scheduler in whole hosts: what they keep pods off, what they prefer, what
//! they are told when a binding fails, and that nothing they do wrong ends the scheduler.

use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use windlass_engine::custom_metrics::CustomValue;
use windlass_manager::config::{ModuleEntry, PluginEntry, SourceEntry, Span};
use windlass_manager::supervisor::ModuleState;
use windlass_tests::builds::{Build, Builds};
use windlass_tests::in_process::{InProcess, from_file};
use windlass_tests::{process, wait};

const HOSTILE: &str = "windlass-fixture-hostile-plugin";
const COST: &str = "node-cost.windlass.dev/cost";
const MAINTENANCE: &str = "node-cost.windlass.dev/maintenance";
/// The same plugin in each language.
const SAMPLES: [&str; 2] = ["node-cost-rust", "node-cost-go"];

/// A scheduler whose default profile has one plugin in it.
fn scheduler(file: &str, args: Value, score_weight: u32) -> ModuleEntry {
    let mut entry = from_file("scheduler", "scheduler.wasm");
    let source = SourceEntry::file(&format!("{file}.wasm"));
    entry.plugins = vec![PluginEntry::new("Plugin", source)];
    entry.config = json!({"profiles": [{
        "schedulerName": "default-scheduler",
        "plugins": {"multiPoint": {"enabled": [{"name": "Plugin", "weight": score_weight}]}},
        "pluginConfig": [{"name": "Plugin", "args": args}]
    }]});
    entry
}

async fn start(nodes: u32, entry: ModuleEntry) -> Result<InProcess> {
    let guests = process::repository().join("target/guests");
    InProcess::start(&guests, nodes, vec![entry]).await
}

/// Whether a sample was built; those that need a toolchain may not be.
fn is_built(name: &str) -> bool {
    let built = process::repository()
        .join("target/guests")
        .join(format!("{name}.wasm"))
        .exists();
    if !built {
        eprintln!("skipped: {name} is not built");
    }
    built
}

async fn annotate(host: &InProcess, node: &str, annotations: Value) -> Result<()> {
    let patch = json!({"metadata": {"annotations": annotations}});
    host.namespace
        .nodes()
        .patch(node, &PatchParams::default(), &Patch::Merge(patch))
        .await?;
    Ok(())
}

async fn create(host: &InProcess, name: &str, metadata: Value) -> Result<()> {
    let mut pod = json!({
        "metadata": metadata,
        "spec": {"containers": [{"name": "c", "image": "pause"}]}
    });
    pod["metadata"]["name"] = name.into();
    let pod: Pod = serde_json::from_value(pod)?;
    host.namespace.pods().create(&Default::default(), &pod).await?;
    Ok(())
}

async fn wait_bound(host: &InProcess, name: &str) -> Result<String> {
    let node = |pod: &Pod| pod.spec.as_ref().and_then(|spec| spec.node_name.clone());
    let pod = wait::until(
        &format!("{name} bound"),
        || async { Ok(host.namespace.pods().get(name).await?) },
        |pod| node(pod).is_some(),
    )
    .await?;
    node(&pod).context("bound")
}

/// Waits until a pod says why it is not scheduled: the reason and this message.
async fn wait_told(host: &InProcess, name: &str, reason: &str, message: &str) -> Result<()> {
    let told = |pod: &Pod| {
        let conditions = pod.status.as_ref()?.conditions.as_ref()?;
        let condition = conditions.iter().find(|one| one.type_ == "PodScheduled")?;
        Some((condition.reason.clone()?, condition.message.clone()?))
    };
    let expected = Some((reason.to_owned(), message.to_owned()));
    wait::until(
        &format!("{name} told {message:?}"),
        || async { Ok(told(&host.namespace.pods().get(name).await?)) },
        |told| *told == expected,
    )
    .await?;
    Ok(())
}

/// The value of a metric of the scheduler's plugins, by the value of its label if it has one.
fn figure(host: &InProcess, metric: &str, label: Option<&str>) -> Result<f64> {
    let families = host.module("scheduler")?.controller.usage.custom().families();
    let family = families
        .into_iter()
        .find(|family| family.declaration.name == metric);
    let series = family.into_iter().flat_map(|family| family.series);
    let mut matching = series.filter(|(labels, _)| label.is_none_or(|label| *labels == [label]));
    Ok(match matching.next() {
        Some((_, CustomValue::Number(value))) => value,
        _ => 0.0,
    })
}

async fn wait_figure(host: &InProcess, metric: &str, label: Option<&str>, value: f64) -> Result<()> {
    let read = || async { figure(host, metric, label) };
    wait::until(&format!("{metric} {label:?} = {value}"), read, |read| {
        *read == value
    })
    .await?;
    Ok(())
}

/// Creates a pod while bindings fail; they do until [`set_faults`] is called again.
async fn create_unlucky(host: &InProcess, name: &str) -> Result<()> {
    // Creating a pod would fail as well, so it waits at a gate for the faults.
    let gates = |gates: Value| json!({"spec": {"schedulingGates": gates}});
    let mut pod = gates(json!([{"name": "example.com/wait"}]));
    pod["metadata"] = json!({"name": name});
    pod["spec"]["containers"] = json!([{"name": "c", "image": "pause"}]);
    let pod: Pod = serde_json::from_value(pod)?;
    let pods = host.namespace.pods();
    pods.create(&Default::default(), &pod).await?;
    let rule =
        json!({"kind": "internal-error", "probability": 1.0, "verbs": ["create"], "resources": ["pods"]});
    set_faults(host, json!({"rules": [rule]})).await?;
    pods.patch(name, &PatchParams::default(), &Patch::Merge(gates(json!([]))))
        .await?;
    Ok(())
}

async fn set_faults(host: &InProcess, policy: Value) -> Result<()> {
    let request = http::Request::put("/debug/windlass/faults").header("content-type", "application/json");
    host.namespace
        .client
        .request_text(request.body(policy.to_string().into_bytes())?)
        .await?;
    Ok(())
}

/// Most plugins must never cost the scheduler anything.
async fn assert_unharmed(host: &InProcess) -> Result<()> {
    assert_eq!(host.restarts("scheduler")?, 0);
    assert_eq!(
        host.module("scheduler")?.status.borrow().state,
        ModuleState::Running
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_keeps_pods_off_nodes_and_says_why() -> Result<()> {
    for sample in SAMPLES.into_iter().filter(|sample| is_built(sample)) {
        let host = start(3, scheduler(sample, json!({}), 1)).await?;
        for node in ["node-0", "node-1", "node-2"] {
            annotate(&host, node, json!({MAINTENANCE: "true"})).await?;
        }
        create(&host, "waiting", json!({})).await?;
        let message = "0/3 nodes are available: 3 node(s) were under maintenance.";
        wait_told(&host, "waiting", "Unschedulable", message).await?;
        create(
            &host,
            "held",
            json!({"annotations": {"node-cost.windlass.dev/hold": "true"}}),
        )
        .await?;
        wait_told(
            &host,
            "held",
            "Unschedulable",
            "0/3 nodes are available: pod is on hold.",
        )
        .await?;

        // An annotation that no built-in plugin looks at brings the pod back.
        annotate(&host, "node-1", json!({MAINTENANCE: null})).await?;
        assert_eq!(wait_bound(&host, "waiting").await?, "node-1", "{sample}");
        let released = json!({"metadata": {"annotations": {"node-cost.windlass.dev/hold": null}}});
        host.namespace
            .pods()
            .patch("held", &PatchParams::default(), &Patch::Merge(released))
            .await?;
        assert_eq!(wait_bound(&host, "held").await?, "node-1", "{sample}");
        assert_unharmed(&host).await?;
        host.stop().await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn scores_decide_by_their_weight() -> Result<()> {
    for sample in SAMPLES.into_iter().filter(|sample| is_built(sample)) {
        // node-2 is the cheap one, and node-0 has an image that the pod needs.
        for (weight, expected) in [(100, "node-2"), (1, "node-0")] {
            let mut entry = scheduler(sample, json!({"defaultCost": 50}), weight);
            entry.config["plugins"] = json!({"ImageLocality": {"weight": 50}});
            let host = start(3, entry).await?;
            annotate(&host, "node-2", json!({COST: "5"})).await?;
            let images =
                json!({"status": {"images": [{"names": ["pause:latest"], "sizeBytes": 1_000_000_000}]}});
            host.namespace
                .nodes()
                .patch_status("node-0", &PatchParams::default(), &Patch::Merge(images))
                .await?;
            // What the scheduler knows of nodes and of pods comes in by ways of their own.
            tokio::time::sleep(Duration::from_secs(1)).await;
            create(&host, "pod", json!({})).await?;
            assert_eq!(
                wait_bound(&host, "pod").await?,
                expected,
                "{sample}, weight {weight}"
            );
            host.stop().await;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reservation_ends_with_the_binding_and_is_taken_back_when_that_fails() -> Result<()> {
    for sample in SAMPLES.into_iter().filter(|sample| is_built(sample)) {
        // With one place at a time, a reservation that is not given back blocks all that follows.
        let host = start(1, scheduler(sample, json!({"maxReserved": 1}), 1)).await?;
        for number in 0..5 {
            create(&host, &format!("before-{number}"), json!({})).await?;
        }
        for number in 0..5 {
            wait_bound(&host, &format!("before-{number}")).await?;
        }
        wait_figure(&host, "node_cost_reserved_pods", None, 0.0).await?;
        create_unlucky(&host, "unlucky").await?;
        let message = "running Bind plugin \"DefaultBinder\": Internal error occurred: injected fault";
        wait_told(&host, "unlucky", "SchedulerError", message).await?;
        wait_figure(&host, "node_cost_reserved_pods", None, 0.0).await?;
        set_faults(&host, json!({"rules": []})).await?;
        wait_bound(&host, "unlucky").await?;
        wait_figure(&host, "node_cost_reserved_pods", None, 0.0).await?;
        assert_unharmed(&host).await?;
        host.stop().await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_is_repeated_starts_afresh() -> Result<()> {
    let host = start(2, scheduler(HOSTILE, json!({}), 1)).await?;
    create_unlucky(&host, "pod").await?;
    // The fixture panics over an attempt that comes twice and a node that is reserved twice.
    let calls = |function| figure(&host, "plugin_calls_total", Some(function));
    wait::until(
        "three attempts",
        || async { calls("unreserve") },
        |count| *count >= 3.0,
    )
    .await?;
    set_faults(&host, json!({"rules": []})).await?;
    wait_bound(&host, "pod").await?;
    let reserved = calls("reserve")?;
    wait_figure(&host, "plugin_calls_total", Some("end-cycle"), reserved).await?;
    assert_eq!(calls("unreserve")?, reserved - 1.0, "all but the last");
    assert_eq!(calls("evaluate")?, reserved, "one call for each attempt");
    assert_eq!(calls("start")?, 1.0, "it never panicked");
    assert_unharmed(&host).await?;
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_plugin_does_wrong_fails_the_attempt_and_nothing_else() -> Result<()> {
    let mut entry = scheduler(HOSTILE, json!({}), 1);
    entry.plugins[0].limits.cpu_budget = Span(Duration::from_millis(50));
    let host = start(2, entry).await?;
    let misdeeds = [
        (
            "few-verdicts",
            "running \"Plugin\" filter plugin: it answered for 1 nodes and was asked about 2",
        ),
        (
            "many-scores",
            "running Score plugins: plugin \"Plugin\" failed with: it scored 3 nodes and was asked about 2",
        ),
        (
            "no-reason",
            "running \"Plugin\" filter plugin: it gave no reason number 7",
        ),
        (
            "high-score",
            "running Score plugins: plugin \"Plugin\" returns an invalid score 101, it should be in the range of \
             [0, 100] after normalizing",
        ),
        (
            "fail-pre-filter",
            "running PreFilter plugin \"Plugin\": out of luck",
        ),
        ("fail-filter", "running \"Plugin\" filter plugin: out of luck"),
        (
            "fail-score",
            "running Score plugins: plugin \"Plugin\" failed with: out of luck",
        ),
        (
            "loop",
            "running plugin \"Plugin\": evaluate: exceeded its CPU budget of 50ms without waiting",
        ),
        (
            "grow",
            "running plugin \"Plugin\": evaluate: exceeded its memory limit of 67108864 bytes",
        ),
        (
            "trap-in-reserve",
            "running Reserve plugin \"Plugin\": trapped: wasm trap: wasm `unreachable` instruction executed",
        ),
        (
            "trap",
            "running plugin \"Plugin\": evaluate: trapped: wasm trap: wasm `unreachable` instruction executed",
        ),
    ];
    for (misdeed, message) in misdeeds {
        create(&host, misdeed, json!({"labels": {"misdeed": misdeed}})).await?;
        wait_told(&host, misdeed, "SchedulerError", message).await?;
        host.namespace.pods().delete(misdeed, &Default::default()).await?;
        // Others are not held up, once a new instance is there.
        let after = format!("after-{misdeed}");
        create(&host, &after, json!({})).await?;
        wait_bound(&host, &after).await?;
    }
    create(&host, "unwanted", json!({"labels": {"misdeed": "object"}})).await?;
    let message = "0/1 nodes are available: 1 node(s) were too good for it.";
    wait_told(&host, "unwanted", "Unschedulable", message).await?;
    assert_unharmed(&host).await?;
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_with_wrong_plugins_is_refused_and_says_what_is_wrong() -> Result<()> {
    let refused = async |entry: ModuleEntry, text: &str| -> Result<()> {
        let mut host = start(1, from_file("scheduler", "scheduler.wasm")).await?;
        host.host.apply(vec![entry]);
        host.wait_refused("scheduler", text).await?;
        host.stop().await;
        Ok(())
    };
    let mut entry = scheduler(HOSTILE, json!({}), 1);
    entry.plugins[0].source = SourceEntry::file("scheduler.wasm");
    refused(entry, "plugin Plugin: file scheduler.wasm: ").await?;
    refused(
        scheduler(HOSTILE, json!({"limit": 1}), 1),
        "plugin \"Plugin\": start failed: takes no arguments",
    )
    .await?;
    let mut entry = scheduler(HOSTILE, json!({}), 1);
    entry.plugins.clear();
    refused(entry, "there is no plugin \"Plugin\"").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_changes_is_taken_up() -> Result<()> {
    let sample = SAMPLES[0];
    let builds = Builds::of(&["scheduler", sample])?;
    let host = InProcess::start(builds.path(), 1, vec![scheduler(sample, json!({}), 1)]).await?;
    create(&host, "before", json!({})).await?;
    wait_bound(&host, "before").await?;
    builds.replace(sample, Build::NoHandler)?;
    host.wait_refused(
        "scheduler",
        "plugin Plugin: file node-cost-rust.wasm: does not export windlass:scheduler/plugin",
    )
    .await?;
    create(&host, "meanwhile", json!({})).await?;
    wait_bound(&host, "meanwhile").await?;
    builds.replace(sample, Build::New(1))?;
    host.wait_for("scheduler", "the new plugin", |status| {
        status.state == ModuleState::Running
            && status
                .reload
                .as_ref()
                .is_some_and(|reload| reload.rejected.is_none())
    })
    .await?;
    create(&host, "after", json!({})).await?;
    wait_bound(&host, "after").await?;
    host.stop().await;
    Ok(())
}
