//! The Deployment controller: rolls pods from one template to the next, through ReplicaSets.
//!
//! Behaves as `pkg/controller/deployment` of Kubernetes does. It keeps no state. Unlike
//! its model it writes a Deployment's status at most once per sync: what several steps
//! have to say is gathered in the [`Pass`] and sent at its end.

mod annotations;
mod conditions;
mod history;
mod new_replica_set;
mod numbers;
mod pass;
mod recreate;
mod replica_sets;
mod rollback;
mod rolling;
mod scale;
mod status;
mod template;
mod types;

#[cfg(test)]
mod tests;

use windlass_sdk::{
    Controller, Error, EventKinds, Lister, Manifest, MappedEvent, Mapper, Object as _, ObjectKey, Orphans,
    Outcome, Snapshot, SyncContext, Watch, export,
};

use pass::Pass;
use types::{Deployment, Pod, ReplicaSet};

const DEPLOYMENTS: Lister<Deployment> = Lister::new(0);
const REPLICA_SETS: Lister<ReplicaSet> = Lister::new(1);
const PODS: Lister<Pod> = Lister::new(2);

struct DeploymentController;

impl Controller for DeploymentController {
    fn manifest() -> Manifest {
        Manifest::new("deployment-controller", env!("CARGO_PKG_VERSION"))
            .workers(5)
            .watch(Watch::new::<Deployment>().enqueue_itself())
            .watch(Watch::new::<ReplicaSet>().enqueue_owner::<Deployment>(Orphans::MatchingSelectors))
            .watch(
                Watch::new::<Pod>()
                    .fields(&["status.phase"])
                    .enqueue_mapped()
                    .on(EventKinds::DELETED),
            )
            .permit(
                &["apps"],
                &["deployments", "deployments/status", "deployments/finalizers"],
                &["update"],
            )
            .permit(
                &["apps"],
                &["replicasets"],
                &["create", "update", "patch", "delete"],
            )
    }

    fn new() -> Self {
        Self
    }

    /// In a namespace that is going, doing nothing is all that can be done.
    async fn sync_handler(&self, sync: &SyncContext, key: ObjectKey) -> Result<Outcome, Error> {
        let Some(deployment) = DEPLOYMENTS.typed::<Snapshot<Deployment>>().get(&key)? else {
            return Ok(Outcome::Done);
        };
        match Pass::new(sync, deployment).run().await {
            Err(error) if error.is_namespace_terminating() => Ok(Outcome::Done),
            result => result,
        }
    }
}

impl Mapper for DeploymentController {
    /// A pod's end matters only to a Deployment that recreates, and only if it was the last.
    fn keys_for(&self, event: MappedEvent) -> Vec<ObjectKey> {
        let recreating = serde_json::from_slice(&event.body)
            .ok()
            .and_then(|pod: Pod| deployment_without_pods(&pod));
        recreating.into_iter().collect()
    }
}

fn deployment_without_pods(gone: &Pod) -> Option<ObjectKey> {
    let namespace = &gone.metadata.namespace;
    let owner = gone.metadata.controller()?;
    let set = REPLICA_SETS.get(&ObjectKey::new(namespace, &owner.name)).ok()??;
    let grand_owner = set
        .metadata
        .controller()
        .filter(|_| set.metadata.uid == owner.uid)?;
    let deployment = DEPLOYMENTS
        .get(&ObjectKey::new(namespace, &grand_owner.name))
        .ok()??;
    if deployment.metadata.uid != grand_owner.uid || !deployment.spec.strategy.is_recreate() {
        return None;
    }
    for set in REPLICA_SETS.by_owner(&deployment.metadata.uid).ok()? {
        let pods = PODS.by_owner(&set.metadata.uid).ok()?;
        if pods.iter().any(|pod| pod.metadata.uid != gone.metadata.uid) {
            return None;
        }
    }
    Some(deployment.key())
}

export!(DeploymentController, mapper);
