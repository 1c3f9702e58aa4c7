//! Rolling back by annotation, the legacy way: `pkg/controller/deployment/rollback.go`.

use windlass_sdk::recorder::{normal, warning};
use windlass_sdk::{Client, Error, Object as _, Snapshot, StringMap};

use crate::annotations::{self, ROLLBACK_TO};
use crate::pass::{Pass, malformed};
use crate::replica_sets::ReplicaSets;
use crate::template;
use crate::types::{Deployment, Set};

const NOT_FOUND: &str = "DeploymentRollbackRevisionNotFound";

impl Pass<'_> {
    /// Takes template and annotations over from the ReplicaSet of a revision (0: the
    /// last), and removes the request whether or not that was possible.
    pub(crate) async fn roll_back(&mut self, sets: &mut ReplicaSets, revision: i64) -> Result<(), Error> {
        self.ensure_new(sets).await?;
        // What follows replaces the Deployment, which must not undo what was gathered so far.
        self.write_status().await?;
        let revision = if revision == 0 {
            last_revision(sets)
        } else {
            revision
        };
        let found = sets
            .all()
            .find(|set| annotations::revision(&set.metadata) == Some(revision));
        let rolled_back = match found {
            _ if revision == 0 => {
                warning(&self.deployment, NOT_FOUND, "Unable to find last revision.");
                false
            }
            None => {
                warning(
                    &self.deployment,
                    NOT_FOUND,
                    "Unable to find the revision to rollback to.",
                );
                false
            }
            Some(set) => self.take_over(set)?,
        };
        self.clear_request().await?;
        if rolled_back {
            let message = format!(
                "Rolled back deployment {:?} to revision {revision}",
                self.deployment.metadata.name
            );
            normal(&self.deployment, "DeploymentRollback", message);
        }
        Ok(())
    }

    fn take_over(&mut self, set: &Set) -> Result<bool, Error> {
        let current = template::parse(&self.deployment.spec.template)?;
        if template::matches(&current, &set.spec.template)? {
            let name = &self.deployment.metadata.name;
            let message =
                format!("The rollback revision contains the same template as current deployment {name:?}");
            warning(&self.deployment, "DeploymentRollbackTemplateUnchanged", message);
            return Ok(false);
        }
        let template = template::parse(&set.spec.template)?;
        self.document
            .set(&["spec", "template"], &template)
            .map_err(malformed)?;
        let own = self
            .deployment
            .metadata
            .annotations
            .iter()
            .filter(|(name, _)| annotations::stays(name));
        let copied = set
            .metadata
            .annotations
            .iter()
            .filter(|(name, _)| !annotations::stays(name));
        let annotations: StringMap = own
            .chain(copied)
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        self.document
            .set(&["metadata", "annotations"], &annotations)
            .map_err(malformed)?;
        Ok(true)
    }

    async fn clear_request(&mut self) -> Result<(), Error> {
        self.document
            .remove(&["metadata", "annotations", ROLLBACK_TO])
            .map_err(malformed)?;
        let client: Client<Snapshot<Deployment>> = self.sync.client();
        let written = client
            .update(&self.deployment.key(), self.document.clone())
            .await?;
        (self.deployment, self.document) = written.into_parts();
        Ok(())
    }
}

/// The second highest revision; 0 if there is none.
fn last_revision(sets: &ReplicaSets) -> i64 {
    let mut revisions: Vec<i64> = sets
        .all()
        .filter_map(|set| annotations::revision(&set.metadata))
        .collect();
    revisions.sort_unstable();
    revisions.iter().rev().nth(1).copied().unwrap_or(0)
}
