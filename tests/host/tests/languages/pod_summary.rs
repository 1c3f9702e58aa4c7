//! A controller with a state of its own, fed by an observer: the state is right whatever
//! happens to the instance that holds it.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::json;
use windlass_tests::wait;

use crate::guest::Guest;

/// Two nodes take as many.
const PODS: usize = 150;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_are_counted_through_changes_a_crash_and_a_reload() -> Result<()> {
    let Some(guest) = Guest::find("pod-summary", "rust") else {
        return Ok(());
    };
    let running = guest.beside_stock(&[]).await?;
    let client = || running.cluster.namespace.client.clone();
    let (pods, maps) = (
        Api::<Pod>::namespaced(client(), "default"),
        Api::<ConfigMap>::namespaced(client(), "default"),
    );
    for number in 0..PODS {
        create(&pods, number).await?;
    }
    counts(&maps, &[("Running", PODS)]).await?;

    // Drift is put right, and what is gone is no longer counted.
    let drift = Patch::Merge(json!({"data": {"Running": "1", "Lost": "7"}}));
    maps.patch("pod-summary", &PatchParams::default(), &drift).await?;
    for number in 0..PODS / 3 {
        pods.delete(&name(number), &DeleteParams::default().grace_period(0))
            .await?;
    }
    counts(&maps, &[("Running", PODS - PODS / 3)]).await?;

    // A pod that no node takes, while another instance takes over from one that crashed.
    running.cluster.restart(&running.name).await?;
    let unschedulable = json!({
        "metadata": {"name": "nowhere"},
        "spec": {"nodeSelector": {"no": "such"}, "containers": [{"name": "web", "image": "pause"}]},
    });
    pods.create(&PostParams::default(), &serde_json::from_value(unschedulable)?)
        .await?;
    counts(&maps, &[("Pending", 1), ("Running", PODS - PODS / 3)]).await?;

    running.reload().await?;
    pods.delete("nowhere", &DeleteParams::default()).await?;
    counts(&maps, &[("Running", PODS - PODS / 3)]).await?;
    let everything = (DeleteParams::default().grace_period(0), ListParams::default());
    pods.delete_collection(&everything.0, &everything.1).await?;
    let is_there = || async { Ok(maps.get_opt("pod-summary").await?.is_some()) };
    wait::until("the summary to go with the last pod", is_there, |is_there| {
        !is_there
    })
    .await?;
    running.stop(1).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_config_map_of_somebody_else_is_left_alone() -> Result<()> {
    let Some(guest) = Guest::find("pod-summary", "rust") else {
        return Ok(());
    };
    let running = guest.beside_stock(&[]).await?;
    let client = || running.cluster.namespace.client.clone();
    let maps: Api<ConfigMap> = Api::namespaced(client(), "default");
    let theirs = json!({"metadata": {"name": "pod-summary"}, "data": {"theirs": "yes"}});
    maps.create(&PostParams::default(), &serde_json::from_value(theirs)?)
        .await?;
    create(&Api::namespaced(client(), "default"), 0).await?;
    let synced = || async {
        let module = running.cluster.module(&running.name)?;
        Ok(module.controller.syncs.snapshot().total())
    };
    wait::until("a sync", synced, |syncs| *syncs > 0).await?;
    let map = maps.get("pod-summary").await?;
    ensure!(map.data == Some([("theirs".to_owned(), "yes".to_owned())].into()));
    running.stop(0).await
}

fn name(number: usize) -> String {
    format!("pod-{number}")
}

async fn create(pods: &Api<Pod>, number: usize) -> Result<()> {
    let pod = json!({
        "metadata": {"name": name(number)},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "web", "image": "pause"}],
        },
    });
    pods.create(&PostParams::default(), &serde_json::from_value(pod)?)
        .await?;
    Ok(())
}

/// Waits until the summary says exactly this.
async fn counts(maps: &Api<ConfigMap>, expected: &[(&str, usize)]) -> Result<()> {
    let expected: BTreeMap<String, String> = expected
        .iter()
        .map(|(phase, count)| ((*phase).to_owned(), count.to_string()))
        .collect();
    let look = || async { Ok(maps.get_opt("pod-summary").await?.and_then(|map| map.data)) };
    let what = format!("the summary {expected:?}");
    wait::until(&what, look, |data| data.as_ref() == Some(&expected)).await?;
    Ok(())
}
