//! The ReplicaSet with the Deployment's present template, and the Deployment's revision.

use serde_json::{Value, json};
use windlass_sdk::recorder::{normal, warning};
use windlass_sdk::{ApiError, Client, ConditionStatus, Error, Object as _, ObjectKey, info};

use crate::conditions::{PROGRESSING, condition};
use crate::pass::{Pass, malformed};
use crate::replica_sets::ReplicaSets;
use crate::types::Set;
use crate::{REPLICA_SETS, annotations, numbers, template};

/// A name may be this long.
const MAX_NAME: usize = 253;

/// A ReplicaSet that is to be created.
struct Draft {
    name: String,
    replicas: i64,
    revision: i64,
    body: Value,
}

impl Pass<'_> {
    /// Brings annotations and revision in line with the new ReplicaSet, if there is one.
    pub(crate) async fn sync_revision(&mut self, sets: &mut ReplicaSets) -> Result<(), Error> {
        let revision = next_revision(sets);
        let Some(set) = &mut sets.new else { return Ok(()) };
        if self.refresh(set, revision).await? {
            return Ok(());
        }
        if let Some(revision) = set.metadata.annotation(annotations::REVISION) {
            self.set_revision(revision)?;
        }
        if self.wants_progress()
            && !self
                .deployment
                .status
                .conditions
                .iter()
                .any(|known| known.kind == PROGRESSING)
        {
            let message = format!("Found new replica set {:?}", set.metadata.name);
            self.set_condition(condition(
                PROGRESSING,
                ConditionStatus::True,
                "FoundNewReplicaSet",
                message,
            ));
        }
        Ok(())
    }

    /// Writes what the Deployment says about its new ReplicaSet; returns whether that
    /// was necessary.
    async fn refresh(&self, set: &mut Set, revision: i64) -> Result<bool, Error> {
        let wanted = annotations::of_new_replica_set(&self.deployment, &set.metadata.annotations, revision);
        let min_ready_seconds = self.deployment.spec.min_ready_seconds;
        if wanted == set.metadata.annotations && set.spec.min_ready_seconds == min_ready_seconds {
            return Ok(false);
        }
        let mut document = set.document();
        document
            .set(&["metadata", "annotations"], &wanted)
            .map_err(malformed)?;
        document
            .set(&["spec", "minReadySeconds"], &min_ready_seconds)
            .map_err(malformed)?;
        let client: Client<Set> = self.sync.client();
        *set = client.update(&set.key(), document).await?;
        Ok(true)
    }

    /// Creates the new ReplicaSet unless there is one.
    pub(crate) async fn ensure_new(&mut self, sets: &mut ReplicaSets) -> Result<(), Error> {
        if sets.new.is_some() {
            return Ok(());
        }
        let draft = self.draft(sets)?;
        let client: Client<Set> = self.sync.client();
        match client
            .create(&self.deployment.metadata.namespace, &draft.body)
            .await
        {
            Ok(set) => sets.new = Some(self.created(&draft, set)),
            Err(error) if error.is_already_exists() => {
                sets.new = Some(self.recover_collision(&draft, error)?)
            }
            Err(error) => return Err(self.create_failed(&draft, error)),
        }
        self.set_revision(&draft.revision.to_string())
    }

    fn draft(&self, sets: &ReplicaSets) -> Result<Draft, Error> {
        let deployment = &self.deployment;
        let mut pods = template::parse(&deployment.spec.template)?;
        let hash = template::hash(&pods, deployment.status.collision_count);
        pods["metadata"]["labels"][template::HASH_LABEL] = hash.as_str().into();
        let mut selector = deployment.spec.selector.clone();
        selector
            .match_labels
            .insert(template::HASH_LABEL.to_owned(), hash.clone());

        let (name, revision) = (
            replica_set_name(&deployment.metadata.name, &hash),
            next_revision(sets),
        );
        let replicas = numbers::new_replicas(deployment, 0, sets.wanted());
        let wanted = deployment.spec.replicas;
        let mut notes = annotations::of_new_replica_set(deployment, &Default::default(), revision);
        let sizes = annotations::sizes(wanted, wanted + numbers::max_surge(deployment));
        notes.extend(sizes.map(|(name, value)| (name.to_owned(), value)));
        let body = json!({
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {
                "name": name,
                "namespace": deployment.metadata.namespace,
                "labels": pods["metadata"]["labels"],
                "annotations": notes,
                "ownerReferences": [deployment.controller_reference()],
            },
            "spec": {
                "replicas": replicas,
                "minReadySeconds": deployment.spec.min_ready_seconds,
                "selector": selector,
                "template": pods,
            },
        });
        Ok(Draft {
            name,
            replicas,
            revision,
            body,
        })
    }

    fn created(&mut self, draft: &Draft, set: Set) -> Set {
        let name = &set.metadata.name;
        if draft.replicas > 0 {
            let message = format!("Scaled up replica set {name} from 0 to {}", draft.replicas);
            normal(&self.deployment, "ScalingReplicaSet", message);
        }
        if self.wants_progress() {
            let message = format!("Created new replica set {name:?}");
            self.set_condition(condition(
                PROGRESSING,
                ConditionStatus::True,
                "NewReplicaSetCreated",
                message,
            ));
        }
        set
    }

    /// The name is taken: by this very ReplicaSet, which the cache did not show before, or
    /// by one with another template, so that the next sync has to try another hash.
    fn recover_collision(&mut self, draft: &Draft, error: ApiError) -> Result<Set, Error> {
        let key = ObjectKey::new(&self.deployment.metadata.namespace, &draft.name);
        let missing = || Error::Retry(format!("replicaset.apps {:?} not found", draft.name));
        let existing = REPLICA_SETS.typed::<Set>().get(&key)?.ok_or_else(missing)?;
        let wanted = template::parse(&self.deployment.spec.template)?;
        let ours = existing.metadata.is_controlled_by(&self.deployment.metadata.uid);
        if ours && template::matches(&wanted, &existing.spec.template)? {
            return Ok(existing);
        }
        let count = self
            .deployment
            .status
            .collision_count
            .unwrap_or(0)
            .wrapping_add(1);
        info!(
            "a hash is taken, trying the next",
            replica_set = draft.name,
            collision_count = count
        );
        self.deployment.status.collision_count = Some(count);
        self.dirty = true;
        Err(error.into())
    }

    fn create_failed(&mut self, draft: &Draft, error: ApiError) -> Error {
        if !error.is_namespace_terminating() {
            let reason = "ReplicaSetCreateError";
            let message = format!("Failed to create new replica set {:?}: {error}", draft.name);
            warning(&self.deployment, reason, message.clone());
            if self.wants_progress() {
                self.set_condition(condition(PROGRESSING, ConditionStatus::False, reason, message));
            }
        }
        error.into()
    }

    fn wants_progress(&self) -> bool {
        numbers::progress_deadline(&self.deployment).is_some()
    }
}

/// One more than any old ReplicaSet has.
fn next_revision(sets: &ReplicaSets) -> i64 {
    sets.old
        .iter()
        .filter_map(|set| annotations::revision(&set.metadata))
        .max()
        .unwrap_or(0)
        .saturating_add(1)
}

fn replica_set_name(deployment: &str, hash: &str) -> String {
    let room = MAX_NAME - 1 - hash.len();
    format!("{}-{hash}", deployment.get(..room).unwrap_or(deployment))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_never_gets_too_long() {
        assert_eq!(replica_set_name("web", "abc"), "web-abc");
        assert_eq!(replica_set_name(&"w".repeat(253), "abc").len(), 253);
    }
}
