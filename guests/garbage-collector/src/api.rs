//! Calls to the API server about objects of any kind, and the exact shapes of the
//! patches that the garbage collector sends.

use serde::Serialize;
use windlass_sdk::{
    ApiError, ApiErrorKind, ApiResource, Client, DeleteOptions, Error, ObjectKey, OwnerReference, PatchType,
    Preconditions, PropagationPolicy, SyncContext, resolve,
};

use crate::identity::{Coordinates, Identity, OwnerRef, Symbol, Uid};
use crate::metadata::{LiveMetadata, LiveObject};

/// Conflicts in a row after which a finalizer is left for a later sync.
const MAX_UPDATE_RETRIES: u32 = 5;

/// Why work on an object ended early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// A cluster-scoped object names an owner of a namespaced kind, which nothing can
    /// ever resolve.
    NamespacedOwner,
    /// Something failed that may succeed later.
    Failed(Error),
}

impl From<ApiError> for Stop {
    fn from(error: ApiError) -> Self {
        Self::Failed(error.into())
    }
}

/// A place that discovery knows.
#[derive(Clone, Debug)]
pub(crate) struct Location {
    resource: ApiResource,
    key: ObjectKey,
}

/// Finds the resource of an object.
pub(crate) fn locate(at: &Coordinates) -> Result<Location, Stop> {
    let (group, version) = at.group_version();
    let Some(mapping) = resolve(group, version, at.kind.as_str()) else {
        let message = format!("unable to get REST mapping for {}/{}.", at.api_version, at.kind);
        return Err(Stop::Failed(Error::Retry(message)));
    };
    if mapping.namespaced && at.namespace.is_empty() {
        return Err(Stop::NamespacedOwner);
    }
    let mut key = at.key();
    if !mapping.namespaced {
        key.namespace.clear();
    }
    // Resources are few and named again and again.
    let keep = |text: &str| Symbol::new(text).as_str();
    let resource = ApiResource {
        group: keep(&mapping.resource.group),
        version: keep(&mapping.resource.version),
        plural: keep(&mapping.resource.plural),
    };
    Ok(Location { resource, key })
}

impl Location {
    pub(crate) fn is_cluster_scoped(&self) -> bool {
        self.key.namespace.is_empty()
    }

    fn client(&self, sync: &SyncContext) -> Client<LiveObject> {
        Client::of(sync, self.resource)
    }

    /// The metadata of what is there; nothing if there is nothing.
    pub(crate) async fn get(&self, sync: &SyncContext) -> Result<Option<LiveMetadata>, ApiError> {
        match self.client(sync).get(&self.key).await {
            Ok(object) => Ok(Some(object.metadata)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn patch(
        &self,
        sync: &SyncContext,
        kind: PatchType,
        body: &impl Serialize,
    ) -> Result<(), ApiError> {
        self.client(sync).patch(&self.key, kind, body).await.map(drop)
    }

    async fn delete(
        &self,
        sync: &SyncContext,
        policy: PropagationPolicy,
        preconditions: Preconditions,
    ) -> Result<(), ApiError> {
        let options = DeleteOptions {
            propagation_policy: Some(policy),
            grace_period_seconds: None,
            preconditions,
        };
        self.client(sync).delete(&self.key, options).await
    }
}

#[derive(Serialize)]
struct MetadataPatch<T> {
    metadata: T,
}

/// Strategic: these references change, the others stay.
#[derive(Serialize)]
struct ReferencesByUid<'a, T> {
    uid: String,
    #[serde(rename = "ownerReferences")]
    owner_references: &'a [T],
}

#[derive(Serialize)]
struct DeletedReference<'a> {
    #[serde(rename = "$patch")]
    directive: &'static str,
    uid: &'a str,
}

/// Merge: this is the whole list from now on, if nothing else changed.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReferencesAtVersion<'a> {
    resource_version: &'a str,
    owner_references: &'a [OwnerReference],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FinalizersAtVersion<'a> {
    resource_version: &'a str,
    finalizers: &'a [&'a str],
}

/// Takes references to these owners off an object.
pub(crate) async fn drop_owners(sync: &SyncContext, object: &Identity, owners: &[Uid]) -> Result<(), Stop> {
    let uids: Vec<String> = owners.iter().map(ToString::to_string).collect();
    let deleted: Vec<_> = uids
        .iter()
        .map(|uid| DeletedReference {
            directive: "delete",
            uid,
        })
        .collect();
    let keeps = |reference: OwnerReference| (!uids.contains(&reference.uid)).then_some(reference);
    patch_references(sync, object, &deleted, keeps).await
}

/// Lets none of an object's owners wait for it any more.
pub(crate) async fn unblock_owners(
    sync: &SyncContext,
    object: &Identity,
    owners: &[OwnerRef],
) -> Result<(), Stop> {
    let unblocked = |reference| OwnerReference {
        block_owner_deletion: Some(false),
        ..reference
    };
    let blocking = owners.iter().filter(|owner| owner.blocks());
    let changed: Vec<_> = blocking.map(|owner| unblocked(owner.to_reference())).collect();
    patch_references(sync, object, &changed, |reference| Some(unblocked(reference))).await
}

/// A strategic merge patch, or where that is not supported a merge patch of what `edit`
/// makes of the present list.
async fn patch_references<T: Serialize>(
    sync: &SyncContext,
    object: &Identity,
    changes: &[T],
    edit: impl FnMut(OwnerReference) -> Option<OwnerReference>,
) -> Result<(), Stop> {
    let location = locate(&object.at)?;
    let metadata = ReferencesByUid {
        uid: object.uid.to_string(),
        owner_references: changes,
    };
    let strategic = location
        .patch(sync, PatchType::StrategicMergePatch, &MetadataPatch { metadata })
        .await;
    match strategic {
        Err(error) if error.kind == ApiErrorKind::UnsupportedMediaType => {}
        result => return result.map_err(Stop::from),
    }
    let Some(live) = location.get(sync).await? else {
        return Ok(());
    };
    let references: Vec<_> = live.owner_references.into_iter().filter_map(edit).collect();
    let metadata = ReferencesAtVersion {
        resource_version: &live.resource_version,
        owner_references: &references,
    };
    Ok(location
        .patch(sync, PatchType::MergePatch, &MetadataPatch { metadata })
        .await?)
}

/// Takes a finalizer off an object, if both are still there.
pub(crate) async fn remove_finalizer(
    sync: &SyncContext,
    object: &Identity,
    finalizer: &str,
) -> Result<(), Stop> {
    let location = locate(&object.at)?;
    for _ in 0..MAX_UPDATE_RETRIES {
        let Some(live) = location.get(sync).await? else {
            return Ok(());
        };
        if !live.has_finalizer(finalizer) {
            return Ok(());
        }
        let others = live
            .finalizers
            .iter()
            .map(String::as_str)
            .filter(|other| *other != finalizer);
        let others: Vec<&str> = others.collect();
        let metadata = FinalizersAtVersion {
            resource_version: &live.resource_version,
            finalizers: &others,
        };
        match location
            .patch(sync, PatchType::MergePatch, &MetadataPatch { metadata })
            .await
        {
            Err(error) if error.is_conflict() => {}
            result => return result.map_err(Stop::from),
        }
    }
    let message = format!(
        "updateMaxRetries({MAX_UPDATE_RETRIES}) has reached. The garbage collector will retry later for owner {object}"
    );
    Err(Stop::Failed(Error::Retry(message)))
}

/// Deletes an object as it was read. One that changed meanwhile is deleted all the same
/// if its owners are what they were, so that busy objects cannot escape.
pub(crate) async fn delete_object(
    sync: &SyncContext,
    object: &Identity,
    seen: &LiveMetadata,
    policy: PropagationPolicy,
) -> Result<(), Stop> {
    let location = locate(&object.at)?;
    let precondition = |resource_version: Option<&str>| Preconditions {
        uid: Some(object.uid.to_string()),
        resource_version: resource_version.map(ToOwned::to_owned),
    };
    match location
        .delete(sync, policy, precondition(Some(&seen.resource_version)))
        .await
    {
        Err(error) if error.is_not_found() => return Ok(()),
        Err(error) if error.is_conflict() => {
            let Some(live) = location.get(sync).await? else {
                return Ok(());
            };
            let same_owners = live.uid == seen.uid && live.owner_references == seen.owner_references;
            if !same_owners || live.resource_version == seen.resource_version {
                return Err(error.into());
            }
        }
        result => return result.map_err(Stop::from),
    }
    match location.delete(sync, policy, precondition(None)).await {
        Err(error) if error.is_not_found() => Ok(()),
        result => result.map_err(Stop::from),
    }
}
