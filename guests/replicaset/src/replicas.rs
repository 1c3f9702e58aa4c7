//! Creating what is missing and deleting what is too much.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::value::RawValue;
use windlass_sdk::recorder::{normal, warning};
use windlass_sdk::{
    Error, Object as _, OwnerReference, StringMap, SyncContext, default_delete, join_all, slow_start,
};

use crate::ranking;
use crate::types::{Pod, ReplicaSet};
use crate::{PODS, REPLICA_SETS};

/// No sync creates or deletes more pods than this.
const BURST: usize = 500;

/// A pod's name may be this long.
const MAX_NAME: usize = 253;

pub(crate) async fn manage(
    sync: &SyncContext,
    replica_set: &ReplicaSet,
    active: &[Pod],
) -> Result<(), Error> {
    let wanted = replica_set.spec.replicas;
    match active.len().cmp(&wanted) {
        Ordering::Less => create(sync, replica_set, (wanted - active.len()).min(BURST)).await,
        Ordering::Greater => delete(sync, replica_set, active, (active.len() - wanted).min(BURST)).await,
        Ordering::Equal => Ok(()),
    }
}

async fn create(sync: &SyncContext, replica_set: &ReplicaSet, count: usize) -> Result<(), Error> {
    let body = pod_from_template(replica_set)?;
    let (_, failure) = slow_start(count, |_| create_one(sync, replica_set, &body)).await;
    failure.map_or(Ok(()), Err)
}

/// In a namespace that is going, creating nothing is all that can be done.
async fn create_one(sync: &SyncContext, replica_set: &ReplicaSet, body: &RawValue) -> Result<(), Error> {
    match sync
        .client::<Pod>()
        .create(&replica_set.metadata.namespace, body)
        .await
    {
        Ok(pod) => normal(
            replica_set,
            "SuccessfulCreate",
            format!("Created pod: {}", pod.metadata.name),
        ),
        Err(error) if error.is_namespace_terminating() => {}
        Err(error) => {
            warning(replica_set, "FailedCreate", format!("Error creating: {error}"));
            return Err(error.into());
        }
    }
    Ok(())
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NewPod<'a> {
    api_version: &'static str,
    kind: &'static str,
    metadata: NewMeta<'a>,
    spec: &'a Option<Box<RawValue>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NewMeta<'a> {
    generate_name: String,
    labels: &'a StringMap,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: &'a StringMap,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    finalizers: &'a [String],
    owner_references: [OwnerReference; 1],
}

/// The pod that all of a batch ask for; the server gives each its name.
fn pod_from_template(replica_set: &ReplicaSet) -> Result<Box<RawValue>, Error> {
    let template = &replica_set.spec.template;
    if template.metadata.labels.is_empty() {
        return Err(Error::Retry("unable to create pods, no labels".to_owned()));
    }
    let pod = NewPod {
        api_version: "v1",
        kind: Pod::KIND,
        metadata: NewMeta {
            generate_name: generate_name(&replica_set.metadata.name),
            labels: &template.metadata.labels,
            annotations: &template.metadata.annotations,
            finalizers: &template.metadata.finalizers,
            owner_references: [replica_set.controller_reference()],
        },
        spec: &template.spec,
    };
    serde_json::value::to_raw_value(&pod).map_err(|error| Error::Terminal(error.to_string()))
}

/// With a dash, unless that would make it too long for a name's beginning.
fn generate_name(owner: &str) -> String {
    if owner.len() < MAX_NAME {
        format!("{owner}-")
    } else {
        owner.to_owned()
    }
}

async fn delete(
    sync: &SyncContext,
    replica_set: &ReplicaSet,
    active: &[Pod],
    count: usize,
) -> Result<(), Error> {
    let victims = if count < active.len() {
        ranking::first_to_go(active, &related_pods(replica_set)?, count)
    } else {
        active.iter().collect()
    };
    let results = join_all(victims.into_iter().map(|pod| delete_one(sync, replica_set, pod))).await;
    results.into_iter().collect()
}

/// A pod that is gone already is as good as deleted.
async fn delete_one(sync: &SyncContext, replica_set: &ReplicaSet, pod: &Pod) -> Result<(), Error> {
    match sync.client::<Pod>().delete(&pod.key(), default_delete()).await {
        Ok(()) => normal(
            replica_set,
            "SuccessfulDelete",
            format!("Deleted pod: {}", pod.metadata.name),
        ),
        Err(error) if error.is_not_found() => {}
        Err(error) => {
            warning(replica_set, "FailedDelete", format!("Error deleting: {error}"));
            return Err(Error::Retry(format!("unable to delete pods: {error}")));
        }
    }
    Ok(())
}

/// The pods of all ReplicaSets that have the same controller, so that scaling one down
/// relieves the nodes that its siblings crowd.
fn related_pods(replica_set: &ReplicaSet) -> Result<Vec<Pod>, Error> {
    let Some(controller) = replica_set.metadata.controller() else {
        return Ok(Vec::new());
    };
    let (mut related, mut seen) = (Vec::new(), BTreeSet::new());
    for sibling in REPLICA_SETS.by_owner(&controller.uid)? {
        let pods = PODS.list(
            Some(&sibling.metadata.namespace),
            &sibling.spec.selector.to_string(),
        )?;
        related.extend(
            pods.into_iter()
                .filter(|pod| seen.insert(pod.metadata.uid.clone())),
        );
    }
    Ok(related)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dash_goes_when_the_name_would_be_too_long() {
        assert_eq!(generate_name("web"), "web-");
        assert_eq!(generate_name(&"a".repeat(252)).len(), 253);
        assert_eq!(generate_name(&"a".repeat(253)).len(), 253);
    }
}
