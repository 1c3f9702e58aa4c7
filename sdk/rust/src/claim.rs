//! Adopting and releasing dependents, as `pkg/controller/controller_ref_manager.go` does.

use serde::Serialize;
use serde::de::IgnoredAny;

use crate::api_error::ApiError;
use crate::client::{Client, PatchType, SyncContext};
use crate::controller::Error;
use crate::debug;
use crate::object::{Object, ObjectMeta, OwnerReference};
use crate::selector::LabelSelector;

/// Reconciles who controls a set of objects with who should: the owner's own that match
/// its selector are kept, its own that do not are released, matching orphans are adopted.
#[derive(Debug)]
pub struct Claim<'a, O> {
    sync: &'a SyncContext,
    owner: &'a O,
    selector: &'a LabelSelector,
}

/// The metadata of an owner's live state, all that adoption wants to know.
#[derive(serde::Deserialize)]
struct Live {
    metadata: ObjectMeta,
}

/// Whether this sync may adopt, found out once at most.
type Adoption = Option<Result<(), String>>;

impl<'a, O: Object> Claim<'a, O> {
    /// On behalf of `owner`, for objects that `selector` matches.
    #[must_use]
    pub fn new(sync: &'a SyncContext, owner: &'a O, selector: &'a LabelSelector) -> Self {
        Self {
            sync,
            owner,
            selector,
        }
    }

    /// The candidates that the owner controls afterwards. One failure does not keep
    /// the rest from being tried; all are reported together.
    pub async fn run<T: Object>(&self, candidates: Vec<T>) -> Result<Vec<T>, Error> {
        let (mut claimed, mut errors, mut adoption) = (Vec::new(), Vec::new(), None);
        for candidate in candidates {
            match self.claim(&candidate, &mut adoption).await {
                Ok(true) => claimed.push(candidate),
                Ok(false) => {}
                Err(error) => errors.push(error),
            }
        }
        Error::aggregate(errors).map_or(Ok(claimed), Err)
    }

    async fn claim<T: Object>(&self, object: &T, adoption: &mut Adoption) -> Result<bool, Error> {
        let (meta, owner) = (object.meta(), self.owner.meta());
        let matches = self.selector.matches(&meta.labels);
        match meta.controller() {
            Some(controller) if controller.uid != owner.uid => Ok(false),
            Some(_) if matches => Ok(true),
            Some(_) if owner.is_deleting() => Ok(false),
            Some(_) => self.release(object).await.map(|()| false),
            None if owner.is_deleting()
                || !matches
                || meta.is_deleting()
                || meta.namespace != owner.namespace =>
            {
                Ok(false)
            }
            None => self.adopt(object, adoption).await,
        }
    }

    async fn adopt<T: Object>(&self, object: &T, adoption: &mut Adoption) -> Result<bool, Error> {
        if adoption.is_none() {
            *adoption = Some(self.may_adopt().await);
        }
        if let Some(Err(reason)) = adoption {
            let (kind, key, uid) = (T::KIND, object.key(), &object.meta().uid);
            return Err(Error::Retry(format!(
                "can't adopt {kind} {key} ({uid}): {reason}"
            )));
        }
        debug!("adopting", object = object.key());
        let patch = Patch::new(object, vec![OwnerPatch::Add(self.owner.controller_reference())]);
        match self.patch(object, &patch).await {
            Ok(()) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Gone, or no longer what it was: either way the reference is not ours any more.
    async fn release<T: Object>(&self, object: &T) -> Result<(), Error> {
        debug!("releasing", object = object.key());
        let patch = Patch::new(
            object,
            vec![OwnerPatch::Delete {
                patch: "delete",
                uid: &self.owner.meta().uid,
            }],
        );
        match self.patch(object, &patch).await {
            Err(error) if !error.is_not_found() && !error.is_invalid() => Err(error.into()),
            _ => Ok(()),
        }
    }

    async fn patch<T: Object>(&self, object: &T, patch: &Patch<'_>) -> Result<(), ApiError> {
        let client: Client<IgnoredAny> = Client::of(self.sync, T::RESOURCE);
        client
            .patch(&object.key(), PatchType::StrategicMergePatch, patch)
            .await
            .map(drop)
    }

    /// The cache may not know yet that the owner was deleted, or even replaced by
    /// another of the same name, so this asks the server.
    async fn may_adopt(&self) -> Result<(), String> {
        let owner = self.owner.meta();
        let key = self.owner.key();
        let client: Client<Live> = Client::of(self.sync, O::RESOURCE);
        let live = client
            .get(&key)
            .await
            .map_err(|error| error.to_string())?
            .metadata;
        if live.uid != owner.uid {
            return Err(format!(
                "original {} {key} is gone: got uid {}, wanted {}",
                O::KIND,
                live.uid,
                owner.uid
            ));
        }
        match live.deletion_timestamp {
            Some(time) => Err(format!("{key} has just been deleted at {time}")),
            None => Ok(()),
        }
    }
}

/// A change of owners, with the object's UID as a precondition.
#[derive(Serialize)]
struct Patch<'a> {
    metadata: PatchMeta<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PatchMeta<'a> {
    uid: &'a str,
    owner_references: Vec<OwnerPatch<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum OwnerPatch<'a> {
    Add(OwnerReference),
    Delete {
        #[serde(rename = "$patch")]
        patch: &'static str,
        uid: &'a str,
    },
}

impl<'a> Patch<'a> {
    fn new(object: &'a impl Object, owner_references: Vec<OwnerPatch<'a>>) -> Self {
        Self {
            metadata: PatchMeta {
                uid: &object.meta().uid,
                owner_references,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::{Cluster, api_error, block_on};
    use crate::{ApiErrorKind, Controller, Manifest, ObjectKey, Outcome, object};

    #[derive(serde::Deserialize)]
    struct Pod {
        metadata: ObjectMeta,
    }
    object!(Pod: "", "v1", "pods", "Pod");

    #[derive(serde::Deserialize)]
    struct ReplicaSet {
        metadata: ObjectMeta,
    }
    object!(ReplicaSet: "apps", "v1", "replicasets", "ReplicaSet");

    struct Nothing;
    impl Controller for Nothing {
        fn manifest() -> Manifest {
            Manifest::new("nothing", "1")
        }
        fn new() -> Self {
            Self
        }
        async fn sync_handler(&self, _: &SyncContext, _: ObjectKey) -> Result<Outcome, Error> {
            Ok(Outcome::Done)
        }
    }

    fn cluster() -> Cluster {
        let cluster = Cluster::new::<Nothing>();
        cluster.put(&json!({"apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": {"namespace": "default", "name": "web", "uid": "owner"}}));
        cluster
    }

    fn pod(name: &str, app: &str, owner: Option<&str>) -> Value {
        let owners: Vec<Value> = owner
            .iter()
            .map(|uid| json!({"uid": uid, "controller": true}))
            .collect();
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "default", "name": name, "uid": name,
            "labels": {"app": app}, "ownerReferences": owners}})
    }

    fn claim(cluster: &Cluster, pods: &[Value]) -> Result<Vec<String>, Error> {
        let pods = pods
            .iter()
            .map(|pod| serde_json::from_value::<Pod>(cluster.put(pod)).unwrap())
            .collect();
        let owner: ReplicaSet = cluster.read("default/web");
        let selector: LabelSelector = serde_json::from_value(json!({"matchLabels": {"app": "web"}})).unwrap();
        let claimed = block_on(Claim::new(&SyncContext::NONE, &owner, &selector).run(pods))?;
        Ok(claimed.into_iter().map(|pod: Pod| pod.metadata.name).collect())
    }

    #[test]
    fn own_are_kept_foreign_are_ignored_and_matching_orphans_adopted_after_one_live_read() {
        let cluster = cluster();
        let pods = [
            pod("own", "web", Some("owner")),
            pod("foreign", "web", Some("x")),
            pod("a", "web", None),
            pod("b", "web", None),
            pod("c", "other", None),
        ];
        assert_eq!(claim(&cluster, &pods).unwrap(), ["own", "a", "b"]);
        let calls = cluster.take_bodies();
        let names: Vec<&str> = calls.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "get replicasets default/web",
                "patch pods default/a",
                "patch pods default/b"
            ]
        );
        let expected = json!({"metadata": {"uid": "a", "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet",
            "name": "web", "uid": "owner", "controller": true, "blockOwnerDeletion": true}]}});
        assert_eq!(calls[1].1, expected);
    }

    #[test]
    fn own_that_no_longer_match_are_released() {
        let cluster = cluster();
        assert_eq!(
            claim(&cluster, &[pod("own", "other", Some("owner"))]).unwrap(),
            [""; 0]
        );
        let calls = cluster.take_bodies();
        let expected =
            json!({"metadata": {"uid": "own", "ownerReferences": [{"$patch": "delete", "uid": "owner"}]}});
        assert_eq!(calls, [("patch pods default/own".to_owned(), expected)]);
        assert_eq!(
            cluster.get("pods", "default/own")["metadata"]["ownerReferences"],
            json!([])
        );
    }

    #[test]
    fn a_release_refused_as_invalid_or_not_found_is_fine() {
        for kind in [ApiErrorKind::Invalid, ApiErrorKind::NotFound] {
            let cluster = cluster();
            cluster.fail(move |_| Some(api_error(kind, "no")));
            assert_eq!(
                claim(&cluster, &[pod("own", "other", Some("owner"))]).unwrap(),
                [""; 0]
            );
        }
    }

    #[test]
    fn a_replaced_owner_adopts_nothing() {
        let cluster = cluster();
        let owner: ReplicaSet = cluster.read("default/web");
        cluster.edit("replicasets", "default/web", |owner| {
            owner["metadata"]["uid"] = "another".into()
        });
        let orphan: Pod = serde_json::from_value(cluster.put(&pod("a", "web", None))).unwrap();
        let selector: LabelSelector = serde_json::from_value(json!({"matchLabels": {"app": "web"}})).unwrap();
        let error = block_on(Claim::new(&SyncContext::NONE, &owner, &selector).run(vec![orphan]))
            .map(|_| ())
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "can't adopt Pod default/a (a): original ReplicaSet default/web is gone: got uid another, wanted owner"
        );
    }

    #[test]
    fn a_deleting_owner_neither_adopts_nor_releases() {
        let cluster = cluster();
        cluster.edit("replicasets", "default/web", |owner| {
            owner["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        });
        let pods = [
            pod("own", "other", Some("owner")),
            pod("orphan", "web", None),
            pod("kept", "web", Some("owner")),
        ];
        assert_eq!(claim(&cluster, &pods).unwrap(), ["kept"]);
        assert!(cluster.take_calls().is_empty());
    }
}
