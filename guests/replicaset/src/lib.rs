//! The ReplicaSet controller: as many pods as asked for, no more, no fewer.
//!
//! Behaves as `pkg/controller/replicaset` of Kubernetes does. It keeps no state and no
//! expectations: the host starts no sync before the caches hold what earlier syncs of
//! the same ReplicaSet wrote.

mod ranking;
mod replicas;
mod status;
mod types;

#[cfg(test)]
mod tests;

use windlass_sdk::{
    Claim, Controller, Error, Lister, Manifest, Object as _, ObjectKey, Orphans, Outcome, Snapshot,
    SyncContext, Watch, export,
};

use types::{Pod, ReplicaSet};

const REPLICA_SETS: Lister<ReplicaSet> = Lister::new(0);
const PODS: Lister<Pod> = Lister::new(1);

struct ReplicaSetController;

impl Controller for ReplicaSetController {
    fn manifest() -> Manifest {
        Manifest::new("replicaset-controller", env!("CARGO_PKG_VERSION"))
            .workers(5)
            .watch(Watch::new::<ReplicaSet>().enqueue_itself())
            .watch(
                Watch::new::<Pod>()
                    .fields(Pod::FIELDS)
                    .enqueue_owner::<ReplicaSet>(Orphans::MatchingSelectors),
            )
            .permit(&[""], &["pods"], &["create", "delete", "patch"])
            .permit(
                &["apps"],
                &["replicasets/status", "replicasets/finalizers"],
                &["update"],
            )
    }

    fn new() -> Self {
        Self
    }

    async fn sync_handler(&self, sync: &SyncContext, key: ObjectKey) -> Result<Outcome, Error> {
        match REPLICA_SETS.typed::<Snapshot<ReplicaSet>>().get(&key)? {
            Some(replica_set) => self.sync(sync, &replica_set).await,
            None => Ok(Outcome::Done),
        }
    }
}

impl ReplicaSetController {
    /// The status is written whether or not the pods could be brought in line, so that
    /// people see why they could not.
    async fn sync(&self, sync: &SyncContext, replica_set: &Snapshot<ReplicaSet>) -> Result<Outcome, Error> {
        let meta = &replica_set.metadata;
        let mut pods = PODS.by_owner(&meta.uid)?;
        pods.extend(PODS.orphans(&meta.namespace)?);
        let terminating = count_terminating(replica_set, &pods);
        pods.retain(Pod::is_active);
        let active = Claim::new(sync, &**replica_set, &replica_set.spec.selector)
            .run(pods)
            .await?;
        let managed = if meta.is_deleting() {
            Ok(())
        } else {
            replicas::manage(sync, replica_set, &active).await
        };
        let next = status::update(sync, replica_set, &active, terminating, managed.as_ref().err()).await?;
        managed?;
        Ok(next.map_or(Outcome::Done, Outcome::RequeueAfter))
    }
}

/// Pods on their way out that still count as this ReplicaSet's.
fn count_terminating(replica_set: &ReplicaSet, pods: &[Pod]) -> usize {
    let ours = |pod: &&Pod| {
        pod.meta().is_controlled_by(&replica_set.metadata.uid)
            && replica_set.spec.selector.matches(&pod.metadata.labels)
    };
    pods.iter()
        .filter(|pod| pod.is_terminating())
        .filter(ours)
        .count()
}

export!(ReplicaSetController);
