//! Deletion by the three propagation policies, and adoption of what was left behind.

use anyhow::Result;
use kube::api::{DeleteParams, ListParams, PropagationPolicy};
use serde_json::json;
use windlass_tests::census::PodCensus;
use windlass_tests::cluster::{Cluster, Namespace};
use windlass_tests::wait;

async fn cluster_with_deployment(arguments: &[&str]) -> Result<(Cluster, Namespace)> {
    let cluster = Cluster::up(arguments).await?;
    let namespace = cluster.namespace("default").await?;
    namespace.create_deployment("web", json!({"replicas": 3})).await?;
    namespace.wait_complete("web").await?;
    Ok((cluster, namespace))
}

fn policy(propagation_policy: PropagationPolicy) -> DeleteParams {
    DeleteParams {
        propagation_policy: Some(propagation_policy),
        ..DeleteParams::default()
    }
}

async fn replica_sets(namespace: &Namespace) -> Result<usize> {
    Ok(namespace
        .replica_sets()
        .list(&ListParams::default().labels("app=web"))
        .await?
        .items
        .len())
}

#[tokio::test(flavor = "multi_thread")]
async fn background_deletion_takes_the_dependents_afterwards() -> Result<()> {
    let (_cluster, namespace) = cluster_with_deployment(&["--nodes", "2"]).await?;
    namespace
        .deployments()
        .delete("web", &policy(PropagationPolicy::Background))
        .await?;
    assert!(
        namespace.deployments().get_opt("web").await?.is_none(),
        "the owner goes at once"
    );
    namespace.wait_pods("app=web", 0).await?;
    wait::until("no ReplicaSet", || replica_sets(&namespace), |count| *count == 0).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn foreground_deletion_keeps_the_owner_until_its_dependents_are_gone() -> Result<()> {
    let (_cluster, namespace) =
        cluster_with_deployment(&["--nodes", "2", "--pod-stop-latency", "300ms"]).await?;
    namespace
        .deployments()
        .delete("web", &policy(PropagationPolicy::Foreground))
        .await?;
    let owner_and_pods = || async {
        // In this order, so that an owner seen gone was gone while these pods were listed.
        let owner = namespace.deployments().get_opt("web").await?;
        let pods = namespace.pods_with("app=web").await?.len();
        if let Some(owner) = &owner {
            let finalizers = owner.metadata.finalizers.clone().unwrap_or_default();
            assert_eq!(finalizers, ["foregroundDeletion"]);
        } else {
            assert_eq!(pods, 0, "the owner went before its pods");
        }
        Ok((owner.is_some(), pods))
    };
    wait::until("everything gone", owner_and_pods, |state| *state == (false, 0)).await?;
    wait::until("no ReplicaSet", || replica_sets(&namespace), |count| *count == 0).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn orphans_stay_and_are_adopted_by_a_new_owner() -> Result<()> {
    let (_cluster, namespace) = cluster_with_deployment(&["--nodes", "2"]).await?;
    let census = PodCensus::start(namespace.pods(), "app=web").await?;
    let old = namespace.deployments().get("web").await?;
    namespace
        .deployments()
        .delete("web", &policy(PropagationPolicy::Orphan))
        .await?;
    let owners = || async {
        let gone = namespace.deployments().get_opt("web").await?.is_none();
        let sets = namespace
            .replica_sets()
            .list(&ListParams::default().labels("app=web"))
            .await?;
        let owners: Vec<String> = sets
            .items
            .iter()
            .flat_map(|set| {
                set.metadata
                    .owner_references
                    .iter()
                    .flatten()
                    .map(|owner| owner.uid.clone())
            })
            .collect();
        Ok((gone, sets.items.len(), owners))
    };
    wait::until(
        "the ReplicaSet without an owner",
        owners,
        |(gone, sets, owners)| *gone && *sets == 1 && owners.is_empty(),
    )
    .await?;
    assert_eq!(namespace.pods_with("app=web").await?.len(), 3);

    let new = namespace.create_deployment("web", json!({"replicas": 3})).await?;
    assert_ne!(old.metadata.uid, new.metadata.uid);
    let uid = new.metadata.uid.unwrap_or_default();
    wait::until("adoption", owners, |(_, sets, owners)| {
        *sets == 1 && *owners == [uid.as_str()]
    })
    .await?;
    namespace.wait_complete("web").await?;
    assert_eq!(census.count(), 3, "the pods of before still serve");
    Ok(())
}
