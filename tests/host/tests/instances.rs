//! One module with several instances: every key is synced, by the same instance each time,
//! and never twice at once, also while instances end and are replaced.

use std::collections::BTreeSet;

use anyhow::Result;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::Api;
use windlass_manager::config::ModuleEntry;
use windlass_tests::in_process::{InProcess, from_file};
use windlass_tests::ledger::Ledger;
use windlass_tests::process::repository;
use windlass_tests::wait;

const KEYS: usize = 40;

fn ledger(instances: u32, syncs_in_flight: u32) -> ModuleEntry {
    let mut entry = from_file("ledger", "windlass-fixture-ledger.wasm");
    entry.workers = Some(4);
    entry.limits.instances = instances;
    entry.limits.syncs_in_flight = Some(syncs_in_flight);
    entry
}

/// Every key has been with so many instances, one after the other, and all of them were
/// so many.
fn assert_instances(ledger: &Ledger, of_each: usize, of_all: usize) {
    let instances = ledger.instances();
    assert_eq!(instances.len(), KEYS);
    assert!(
        instances.values().all(|list| list.len() == of_each),
        "{instances:?}"
    );
    let all: BTreeSet<&String> = instances.values().flatten().collect();
    assert_eq!(all.len(), of_all, "{instances:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_share_the_keys_and_each_key_stays_with_one() -> Result<()> {
    let folder = repository().join("target/guests");
    let mut cluster = InProcess::start(&folder, 1, vec![ledger(4, 6)]).await?;
    let module = cluster.module("ledger")?;
    assert_eq!(module.controller.usage.instances(), 4);
    let objects: Api<ConfigMap> = Api::namespaced(cluster.namespace.client.clone(), "default");
    let syncs = Ledger::start(objects, KEYS).await?;
    syncs.wait_for_syncs_of_all().await?;
    assert_instances(&syncs, 1, 4);
    assert!(syncs.most_at_once() <= 6, "{}", syncs.most_at_once());

    cluster.restart("ledger").await?;
    syncs.wait_for_syncs_of_all().await?;
    assert_instances(&syncs, 2, 8);

    cluster.host.apply(vec![ledger(3, 12)]);
    let limit = |status: &windlass_manager::supervisor::ModuleStatus| {
        let serving = status.serving.as_ref();
        serving.is_some_and(|module| module.concurrency.instances == 3)
    };
    cluster.wait_for("ledger", "three instances", limit).await?;
    syncs.wait_for_syncs_of_all().await?;
    assert_instances(&syncs, 3, 11);
    let live = || async { Ok(module.controller.usage.instances()) };
    wait::until("the old instances to go", live, |count| *count == 3).await?;

    assert_eq!(syncs.overlaps(), Vec::<String>::new());
    cluster.stop().await;
    Ok(())
}
