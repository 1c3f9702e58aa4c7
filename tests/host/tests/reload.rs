//! Modules that change while they serve, in a host of the test's own process.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;
use futures::future::try_join_all;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, ListParams, PostParams};
use serde_json::json;
use windlass_manager::config::ModuleEntry;
use windlass_manager::supervisor::{ModuleState, ModuleStatus};
use windlass_telemetry::status::ReloadResult;
use windlass_tests::builds::{Build, Builds};
use windlass_tests::census::PodCensus;
use windlass_tests::fleet::{Fleet, PODS};
use windlass_tests::in_process::{InProcess, STOCK, from_file, stock};
use windlass_tests::wait;

const COUNTER: &str = "windlass-fixture-counter";
const MINIMAL: &str = "windlass-fixture-minimal";
const HOSTILE: &str = "windlass-fixture-hostile";

fn counters(numbers: std::ops::Range<usize>) -> Vec<ModuleEntry> {
    numbers
        .map(|number| from_file(&format!("counter-{number}"), &format!("{COUNTER}.wasm")))
        .collect()
}

/// 20 Deployments of 50 replicas are rolled pod by pod, while each stock guest is replaced
/// 50 times by new, old and broken builds.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_rollout_of_a_thousand_pods_survives_two_hundred_replacements() -> Result<()> {
    let builds = Builds::of(&STOCK)?;
    let cluster = InProcess::start(builds.path(), 100, stock()).await?;
    // What the builds compile to is cached now, as an operator's second replica would find it.
    let succession = Build::SUCCESSION.len();
    try_join_all(STOCK.map(|name| cluster.replace(&builds, name, succession))).await?;
    let namespace = &cluster.namespace;
    let census = PodCensus::start(namespace.pods(), "").await?;
    let fleet = Fleet::create(namespace).await?;
    let counted = || async { Ok(census.count()) };
    wait::until("every pod", counted, |count| *count == PODS).await?;

    let all_replaced = AtomicBool::new(false);
    // As often as it takes, so that all replacements meet a rollout.
    let rolling = async {
        let mut rollouts = 0;
        while !all_replaced.load(Ordering::Relaxed) {
            rollouts += 1;
            fleet.roll(&format!("pause:v{rollouts}")).await?;
        }
        anyhow::Ok(rollouts)
    };
    let replacing = async {
        let replaced = try_join_all(STOCK.map(|name| cluster.replace(&builds, name, 50))).await;
        all_replaced.store(true, Ordering::Relaxed);
        replaced
    };
    let (rollouts, _) = tokio::try_join!(rolling, replacing)?;
    println!("{rollouts} rollouts met 200 replacements");

    let pods = namespace.pods().list(&ListParams::default()).await?.items;
    let live: Vec<_> = pods
        .iter()
        .filter(|pod| pod.metadata.deletion_timestamp.is_none())
        .collect();
    assert_eq!(live.len(), PODS);
    let image = |pod: &k8s_openapi::api::core::v1::Pod| pod.spec.as_ref()?.containers.first()?.image.clone();
    assert!(
        live.iter()
            .all(|pod| image(pod).as_deref() == Some(&*format!("pause:v{rollouts}")))
    );
    assert_eq!(
        census.count(),
        (1 + rollouts) * PODS,
        "each pod replaced exactly once"
    );
    for name in STOCK {
        assert_eq!(cluster.restarts(name)?, 0, "{name} never failed");
    }
    cluster.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_modules_come_change_and_go_at_once_and_share_one_watch() -> Result<()> {
    let builds = Builds::of(&[COUNTER])?;
    let mut cluster = InProcess::start(builds.path(), 1, Vec::new()).await?;
    let config_maps = |cluster: &InProcess| {
        let informers = cluster.platform.informers.status();
        informers
            .iter()
            .filter(|informer| informer.resource.plural == "configmaps")
            .count()
    };
    assert_eq!(config_maps(&cluster), 0);
    // The server itself has one.
    let others = cluster.server.open_watches("v1", "configmaps");
    cluster.host.apply(counters(0..20));
    cluster.host.wait_until_running().await;
    assert_eq!((cluster.host.modules().len(), config_maps(&cluster)), (20, 1));
    assert_eq!(cluster.server.open_watches("v1", "configmaps"), others + 1);

    let mut changed = counters(10..30);
    for entry in &mut changed {
        entry.workers = Some(3);
    }
    changed[0].enabled = false;
    cluster.host.apply(changed);
    cluster
        .wait_for("counter-10", "disabled", |status| {
            status.state == ModuleState::Disabled
        })
        .await?;
    for number in 11..30 {
        let workers = |status: &ModuleStatus| {
            status
                .serving
                .as_ref()
                .is_some_and(|module| module.concurrency.in_each == 3)
        };
        cluster
            .wait_for(&format!("counter-{number}"), "three workers", workers)
            .await?;
    }
    assert_eq!((cluster.host.modules().len(), config_maps(&cluster)), (20, 1));

    cluster.host.apply(Vec::new());
    let gone = || async { Ok(config_maps(&cluster)) };
    wait::until("the last user to be gone", gone, |count| *count == 0).await?;
    cluster.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_idle_modules_share_one_watch_at_the_server() -> Result<()> {
    let builds = Builds::of(&[MINIMAL])?;
    let modules = (0..200).map(|number| from_file(&format!("idle-{number}"), &format!("{MINIMAL}.wasm")));
    let mut cluster = InProcess::start(builds.path(), 1, Vec::new()).await?;
    let others = cluster.server.open_watches("v1", "configmaps");
    cluster.host.apply(modules.collect());
    cluster.host.wait_until_running().await;
    assert_eq!(cluster.server.open_watches("v1", "configmaps"), others + 1);
    let namespace = &cluster.namespace;
    let config_maps: Api<ConfigMap> = Api::namespaced(namespace.client.clone(), "default");
    let object = serde_json::from_value(json!({"metadata": {"name": "a"}}))?;
    config_maps.create(&PostParams::default(), &object).await?;
    for module in cluster.host.modules() {
        tokio::time::timeout(wait::LIMIT, module.controller.synced(1)).await?;
    }
    cluster.stop().await;
    Ok(())
}

/// Candidates are overtaken while they compile, while they start and while they take over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_that_overtake_each_other_end_at_the_last() -> Result<()> {
    const CHANGES: u8 = 40;
    let builds = Builds::of(&[COUNTER])?;
    let mut cluster = InProcess::start(builds.path(), 1, counters(0..1)).await?;
    for number in 1..=CHANGES {
        let build = if number % 4 == 0 && number < CHANGES {
            Build::Truncated
        } else {
            Build::New(number)
        };
        builds.replace(COUNTER, build)?;
        let mut entries = counters(0..1);
        entries[0].workers = Some(u32::from(number));
        cluster.host.apply(entries);
        // Sooner and later than what a candidate does takes.
        tokio::time::sleep(Duration::from_millis(u64::from(number % 7) * 3)).await;
    }
    let last = sha256(&builds.bytes(COUNTER, Build::New(CHANGES))?);
    cluster
        .wait_for(COUNTER_MODULE, "the last change", |status| {
            let serving = status.serving.as_ref();
            serving.is_some_and(|module| {
                module.guest.digest == last && module.concurrency.in_each == usize::from(CHANGES)
            })
        })
        .await?;
    assert_eq!(cluster.restarts(COUNTER_MODULE)?, 0, "no instance failed");
    cluster.stop().await;
    Ok(())
}

fn sha256(bytes: &[u8]) -> String {
    windlass_registry::digest::Digest::of(bytes).hex()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_module_that_is_renamed_starts_when_the_old_name_has_drained() -> Result<()> {
    let builds = Builds::of(&[COUNTER])?;
    let mut cluster = InProcess::start(builds.path(), 1, counters(0..1)).await?;
    let old = cluster.module("counter-0")?;
    cluster.host.apply(counters(1..2));
    cluster
        .wait_for("counter-1", "running", |status| {
            status.state == ModuleState::Running
        })
        .await?;
    assert_eq!(old.status.borrow().state, ModuleState::Stopped);
    // And back again, while the other one may still be draining.
    cluster.host.apply(counters(0..1));
    cluster
        .wait_for("counter-0", "running", |status| {
            status.state == ModuleState::Running
        })
        .await?;
    cluster.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_module_becomes_good_again_and_says_what_was_wrong() -> Result<()> {
    let builds = Builds::of(&[COUNTER])?;
    builds.replace(COUNTER, Build::NoHandler)?;
    let mut cluster = InProcess::start(builds.path(), 1, Vec::new()).await?;
    cluster.host.apply(counters(0..1));
    let failed = |status: &ModuleStatus| matches!(&status.state, ModuleState::Failed { .. });
    let status = cluster.wait_for("counter-0", "failed", failed).await?;
    let reason = status
        .reload
        .and_then(|reload| reload.rejected)
        .unwrap_or_default();
    assert!(
        reason.contains("exports neither windlass:controller/handler nor blocking-handler"),
        "{reason}"
    );
    builds.replace(COUNTER, Build::Original)?;
    cluster
        .wait_for("counter-0", "running", |status| {
            status.state == ModuleState::Running
        })
        .await?;
    cluster.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_attempt_is_counted_as_what_became_of_it() -> Result<()> {
    let builds = Builds::of(&[HOSTILE])?;
    let hostile = |misdeed: &str| {
        let mut entry = from_file("hostile", &format!("{HOSTILE}.wasm"));
        entry.config = json!({"misdeed": misdeed});
        vec![entry]
    };
    let mut cluster = InProcess::start(builds.path(), 1, hostile("none")).await?;
    cluster.host.apply(hostile("start-error"));
    let last = |status: &ModuleStatus| status.reload.as_ref().map(|reload| reload.result);
    let status = cluster
        .wait_for("hostile", "no start", |status| {
            last(status) == Some(ReloadResult::NotStarted)
        })
        .await?;
    let reason = status.reload.and_then(|reload| reload.rejected);
    assert_eq!(reason.as_deref(), Some("start failed: no flux capacitor"));
    assert_eq!(status.state, ModuleState::Running, "the one before goes on");

    builds.replace(HOSTILE, Build::Truncated)?;
    cluster.host.apply(hostile("none"));
    let refused = |status: &ModuleStatus| last(status) == Some(ReloadResult::Refused);
    cluster.wait_for("hostile", "a refusal", refused).await?;
    builds.replace(HOSTILE, Build::New(1))?;
    cluster
        .wait_for("hostile", "a swap", |status| status.reloads_applied == 2)
        .await?;
    builds.replace(HOSTILE, Build::New(1))?;
    let status = cluster
        .wait_for("hostile", "nothing new", |status| status.reloads_unchanged > 0)
        .await?;
    assert_eq!(
        last(&status),
        Some(ReloadResult::Swapped),
        "that is the last change"
    );
    assert_eq!((status.reloads_applied, status.reloads_not_started), (2, 1));
    assert!(
        status.reloads_rejected >= 1,
        "one for each look at the broken file"
    );
    cluster.stop().await;
    Ok(())
}

const COUNTER_MODULE: &str = "counter-0";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_longer_granted_ends_at_once() -> Result<()> {
    let builds = Builds::of(&[COUNTER])?;
    let mut cluster = InProcess::start(builds.path(), 1, counters(0..1)).await?;
    let mut entries = counters(0..1);
    entries[0].grant_declared = Some(false);
    cluster.host.apply(entries);
    let failed = |status: &ModuleStatus| matches!(&status.state, ModuleState::Failed { .. });
    cluster.wait_for(COUNTER_MODULE, "failed", failed).await?;
    cluster.host.apply(counters(0..1));
    cluster
        .wait_for(COUNTER_MODULE, "running", |status| {
            status.state == ModuleState::Running
        })
        .await?;
    tokio::time::timeout(Duration::from_secs(30), cluster.stop()).await?;
    Ok(())
}
