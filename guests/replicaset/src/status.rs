//! The status: counted from the pods that were there before this sync changed any.

use std::time::Duration;

use serde::de::IgnoredAny;
use windlass_sdk::time::{Timestamp, now};
use windlass_sdk::{
    Client, Condition, ConditionStatus, Error, Object as _, Snapshot, SyncContext, is_subset,
};

use crate::types::{Pod, ReplicaSet, ReplicaSetStatus};

const REPLICA_FAILURE: &str = "ReplicaFailure";

/// Writes the status if it changed. Returns when to look again, if only time keeps a
/// ready pod from being available.
pub(crate) async fn update(
    sync: &SyncContext,
    replica_set: &Snapshot<ReplicaSet>,
    active: &[Pod],
    terminating: usize,
    failure: Option<&Error>,
) -> Result<Option<Duration>, Error> {
    let now = now();
    let status = compute(replica_set, active, terminating, failure, now);
    if status != replica_set.status {
        write(sync, replica_set, &status).await?;
    }
    let min_ready = min_ready(replica_set);
    if min_ready.is_zero() || status.ready_replicas == status.available_replicas {
        return Ok(None);
    }
    let next = active
        .iter()
        .filter_map(|pod| pod.available_in(min_ready, now))
        .min();
    Ok(Some(next.unwrap_or(min_ready)))
}

fn min_ready(replica_set: &ReplicaSet) -> Duration {
    Duration::from_secs(replica_set.spec.min_ready_seconds.into())
}

fn compute(
    replica_set: &ReplicaSet,
    active: &[Pod],
    terminating: usize,
    failure: Option<&Error>,
    now: Timestamp,
) -> ReplicaSetStatus {
    let count = |wanted: &dyn Fn(&Pod) -> bool| active.iter().filter(|pod| wanted(pod)).count();
    let template_labels = &replica_set.spec.template.metadata.labels;
    let min_ready = min_ready(replica_set);
    ReplicaSetStatus {
        replicas: active.len(),
        fully_labeled_replicas: count(&|pod| is_subset(template_labels, &pod.metadata.labels)),
        ready_replicas: count(&|pod| pod.ready().is_some()),
        available_replicas: count(&|pod| pod.is_available(min_ready, now)),
        terminating_replicas: Some(terminating),
        observed_generation: replica_set.metadata.generation,
        conditions: conditions(replica_set, active.len(), failure, now),
    }
}

/// `ReplicaFailure` appears with the first failure and goes with the first success; it
/// is not refreshed in between.
fn conditions(
    replica_set: &ReplicaSet,
    active: usize,
    failure: Option<&Error>,
    now: Timestamp,
) -> Vec<Condition> {
    let mut conditions = replica_set.status.conditions.clone();
    match (failure, Condition::find(&conditions, REPLICA_FAILURE)) {
        (Some(failure), None) => conditions.push(Condition {
            kind: REPLICA_FAILURE.to_owned(),
            status: ConditionStatus::True,
            observed_generation: None,
            last_update_time: None,
            last_transition_time: Some(now.truncated()),
            reason: if active < replica_set.spec.replicas {
                "FailedCreate"
            } else {
                "FailedDelete"
            }
            .to_owned(),
            message: failure.to_string(),
        }),
        (None, Some(_)) => Condition::remove(&mut conditions, REPLICA_FAILURE),
        (Some(_), Some(_)) | (None, None) => {}
    }
    conditions
}

/// Tries again once on top of the live object: a conflict here is common (the owner
/// scales, the status follows) and the counts do not depend on what changed.
async fn write(
    sync: &SyncContext,
    replica_set: &Snapshot<ReplicaSet>,
    status: &ReplicaSetStatus,
) -> Result<(), Error> {
    if put(sync, replica_set, status).await.is_ok() {
        return Ok(());
    }
    let client: Client<Snapshot<ReplicaSet>> = sync.client();
    let live = client.get(&replica_set.key()).await?;
    put(sync, &live, status).await
}

async fn put(
    sync: &SyncContext,
    replica_set: &Snapshot<ReplicaSet>,
    status: &ReplicaSetStatus,
) -> Result<(), Error> {
    let mut document = replica_set.document();
    document
        .set(&["status"], status)
        .map_err(|error| Error::Terminal(error.to_string()))?;
    let client: Client<IgnoredAny> = Client::of(sync, ReplicaSet::RESOURCE);
    client.update_status(&replica_set.key(), document).await?;
    Ok(())
}
