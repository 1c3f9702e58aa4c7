//! One sync of one Deployment, from its cached state to the one write of its status.

use std::time::Duration;

use windlass_sdk::json::Document;
use windlass_sdk::recorder::warning;
use windlass_sdk::{Claim, Client, ConditionStatus, Error, Object as _, Outcome, Snapshot, SyncContext};

use crate::conditions::{self, PROGRESSING, condition};
use crate::replica_sets::ReplicaSets;
use crate::types::{Deployment, Set};
use crate::{REPLICA_SETS, annotations, numbers};

/// A Deployment as this sync wants it to be; [`run`](Self::run) writes what changed.
pub(crate) struct Pass<'a> {
    pub(crate) sync: &'a SyncContext,
    pub(crate) deployment: Deployment,
    /// The Deployment's JSON without the changes in `deployment.status`.
    pub(crate) document: Document,
    /// Whether status or annotations differ from what the server has.
    pub(crate) dirty: bool,
    /// When the progress deadline has to be looked at again.
    pub(crate) requeue: Option<Duration>,
}

impl<'a> Pass<'a> {
    pub(crate) fn new(sync: &'a SyncContext, deployment: Snapshot<Deployment>) -> Self {
        let (deployment, document) = deployment.into_parts();
        Self {
            sync,
            deployment,
            document,
            dirty: false,
            requeue: None,
        }
    }

    /// A failure's own error is reported rather than that of writing what led to it.
    pub(crate) async fn run(mut self) -> Result<Outcome, Error> {
        let reconciled = self.reconcile().await;
        let written = self.write_status().await;
        reconciled.and(written)?;
        Ok(self.requeue.map_or(Outcome::Done, Outcome::RequeueAfter))
    }

    async fn reconcile(&mut self) -> Result<(), Error> {
        if self.deployment.spec.selector.is_empty() {
            self.refuse_selecting_all();
            return Ok(());
        }
        let mut sets = self.claim_replica_sets().await?;
        if self.deployment.metadata.is_deleting() {
            self.sync_revision(&mut sets).await?;
            self.sync_status(&sets);
            return Ok(());
        }
        self.check_paused();
        self.sync_revision(&mut sets).await?;
        if self.deployment.spec.paused {
            return self.sync_scale(&mut sets).await;
        }
        if let Some(revision) = annotations::rollback_to(&self.deployment.metadata) {
            return self.roll_back(&mut sets, revision).await;
        }
        if self.is_scaling_event(&sets) {
            return self.sync_scale(&mut sets).await;
        }
        let strategy = &self.deployment.spec.strategy;
        if strategy.is_recreate() {
            self.recreate(&mut sets).await
        } else if strategy.is_rolling_update() {
            self.roll(&mut sets).await
        } else {
            Err(Error::Retry(format!(
                "unexpected deployment strategy type: {}",
                strategy.kind
            )))
        }
    }

    fn refuse_selecting_all(&mut self) {
        let message = "This deployment is selecting all pods. A non-empty selector is required.";
        warning(&self.deployment, "SelectingAll", message);
        if self.deployment.status.observed_generation < self.deployment.metadata.generation {
            self.deployment.status.observed_generation = self.deployment.metadata.generation;
            self.dirty = true;
        }
    }

    async fn claim_replica_sets(&self) -> Result<ReplicaSets, Error> {
        let lister = REPLICA_SETS.typed::<Set>();
        let mut candidates = lister.by_owner(&self.deployment.metadata.uid)?;
        candidates.extend(lister.orphans(&self.deployment.metadata.namespace)?);
        let claim = Claim::new(self.sync, &self.deployment, &self.deployment.spec.selector);
        ReplicaSets::split(claim.run(candidates).await?, &self.deployment)
    }

    /// Says in the condition Progressing that the Deployment is paused or resumed,
    /// unless it has already been found stuck.
    fn check_paused(&mut self) {
        let progressing = conditions::reason(&self.deployment.status, PROGRESSING);
        if numbers::progress_deadline(&self.deployment).is_none()
            || progressing == Some("ProgressDeadlineExceeded")
        {
            return;
        }
        let (reason, message) = match (
            self.deployment.spec.paused,
            progressing == Some("DeploymentPaused"),
        ) {
            (true, false) => ("DeploymentPaused", "Deployment is paused"),
            (false, true) => ("DeploymentResumed", "Deployment is resumed"),
            _ => return,
        };
        self.set_condition(condition(PROGRESSING, ConditionStatus::Unknown, reason, message));
    }

    /// Some active ReplicaSet was sized for another number of replicas.
    fn is_scaling_event(&self, sets: &ReplicaSets) -> bool {
        let desired = |set: &Set| annotations::number(&set.metadata, annotations::DESIRED_REPLICAS);
        let mut active = sets.all().filter(|set| set.spec.replicas > 0);
        active.any(|set| desired(set).is_some_and(|desired| desired != self.deployment.spec.replicas))
    }

    pub(crate) fn set_condition(&mut self, condition: windlass_sdk::Condition) {
        self.dirty |= conditions::set(&mut self.deployment.status, condition);
    }

    /// The revision travels with the status: the status endpoint takes annotations.
    pub(crate) fn set_revision(&mut self, revision: &str) -> Result<(), Error> {
        if self.deployment.metadata.annotation(annotations::REVISION) == Some(revision) {
            return Ok(());
        }
        self.deployment
            .metadata
            .annotations
            .insert(annotations::REVISION.to_owned(), revision.to_owned());
        self.document
            .set(&["metadata", "annotations", annotations::REVISION], &revision)
            .map_err(malformed)?;
        self.dirty = true;
        Ok(())
    }

    /// Writes status and annotations if they changed.
    pub(crate) async fn write_status(&mut self) -> Result<(), Error> {
        if !self.dirty {
            return Ok(());
        }
        self.document
            .set(&["status"], &self.deployment.status)
            .map_err(malformed)?;
        let client: Client<Snapshot<Deployment>> = self.sync.client();
        let written = client
            .update_status(&self.deployment.key(), self.document.clone())
            .await?;
        (self.deployment, self.document) = written.into_parts();
        self.dirty = false;
        Ok(())
    }
}

/// The server's own JSON cannot be edited: nothing to try again.
pub(crate) fn malformed(error: serde_json::Error) -> Error {
    Error::Terminal(format!("an object is not well-formed: {error}"))
}
