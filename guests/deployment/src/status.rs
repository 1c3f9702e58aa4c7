//! The status: counts, conditions, and whether a rollout moves.

use std::time::Duration;

use windlass_sdk::time::{Timestamp, now};
use windlass_sdk::{Condition, ConditionStatus};

use crate::conditions::{self, AVAILABLE, PROGRESSING, REPLICA_FAILURE, condition};
use crate::numbers;
use crate::pass::Pass;
use crate::replica_sets::ReplicaSets;
use crate::types::{Deployment, DeploymentStatus, Set};

/// A rollout that ended well.
const COMPLETE: &str = "NewReplicaSetAvailable";
/// A rollout that did not move in time.
const TIMED_OUT: &str = "ProgressDeadlineExceeded";

impl Pass<'_> {
    /// Counts, without a judgement about progress: while scaling, paused or deleting.
    pub(crate) fn sync_status(&mut self, sets: &ReplicaSets) {
        let status = compute(&self.deployment, sets);
        self.replace_status(status);
    }

    /// Counts, and judges the progress of the rollout.
    pub(crate) fn sync_rollout_status(&mut self, sets: &ReplicaSets) {
        let mut status = compute(&self.deployment, sets);
        match numbers::progress_deadline(&self.deployment) {
            Some(deadline) => self.judge_progress(&mut status, sets, deadline),
            None => Condition::remove(&mut status.conditions, PROGRESSING),
        }
        match replica_failure(sets) {
            Some(failure) => drop(conditions::set(&mut status, failure)),
            None => Condition::remove(&mut status.conditions, REPLICA_FAILURE),
        }
        self.replace_status(status);
        self.requeue = self.deadline_check();
    }

    fn replace_status(&mut self, status: DeploymentStatus) {
        self.dirty |= status != self.deployment.status;
        self.deployment.status = status;
    }

    /// Nothing is said about a rollout that ended well, until there are old pods again.
    fn judge_progress(&self, status: &mut DeploymentStatus, sets: &ReplicaSets, deadline: Duration) {
        let current = Condition::find(&self.deployment.status.conditions, PROGRESSING).cloned();
        let ended = current.as_ref().is_some_and(|current| current.reason == COMPLETE);
        if ended && status.replicas == status.updated_replicas {
            return;
        }
        let subject = match &sets.new {
            Some(set) => format!("ReplicaSet {:?}", set.metadata.name),
            None => format!("Deployment {:?}", self.deployment.metadata.name),
        };
        if is_complete(&self.deployment, status) {
            let message = format!("{subject} has successfully progressed.");
            conditions::set(
                status,
                condition(PROGRESSING, ConditionStatus::True, COMPLETE, message),
            );
        } else if is_progressing(&self.deployment, status) {
            // Replaced even if nothing but the time changes: the deadline counts from here.
            let message = format!("{subject} is progressing.");
            let mut moved = condition(PROGRESSING, ConditionStatus::True, "ReplicaSetUpdated", message);
            if let Some(current) = current.filter(|current| current.status == ConditionStatus::True) {
                moved.last_transition_time = current.last_transition_time;
            }
            Condition::remove(&mut status.conditions, PROGRESSING);
            conditions::set(status, moved);
        } else if is_timed_out(status, deadline) {
            let message = format!("{subject} has timed out progressing.");
            conditions::set(
                status,
                condition(PROGRESSING, ConditionStatus::False, TIMED_OUT, message),
            );
        }
    }

    /// Nothing may happen to a stuck rollout any more, so its deadline needs a look of its own.
    /// One that ended, well or not, cannot miss it.
    fn deadline_check(&self) -> Option<Duration> {
        let deadline = numbers::progress_deadline(&self.deployment)?;
        let status = &self.deployment.status;
        let current = Condition::find(&status.conditions, PROGRESSING)?;
        if is_complete(&self.deployment, status) || [COMPLETE, TIMED_OUT].contains(&current.reason.as_str()) {
            return None;
        }
        Some((last_update(current) + deadline).since(now()) + Duration::from_secs(1))
    }
}

fn compute(deployment: &Deployment, sets: &ReplicaSets) -> DeploymentStatus {
    let available = sets.available();
    let mut status = DeploymentStatus {
        observed_generation: deployment.metadata.generation,
        replicas: sets.all().map(|set| set.status.replicas).sum(),
        updated_replicas: sets.new.as_ref().map_or(0, |set| set.status.replicas),
        ready_replicas: sets.all().map(|set| set.status.ready_replicas).sum(),
        available_replicas: available,
        unavailable_replicas: (sets.wanted() - available).max(0),
        terminating_replicas: terminating(sets),
        conditions: deployment.status.conditions.clone(),
        collision_count: deployment.status.collision_count,
    };
    let minimum = if available >= deployment.spec.replicas - numbers::max_unavailable(deployment) {
        let message = "Deployment has minimum availability.";
        condition(
            AVAILABLE,
            ConditionStatus::True,
            "MinimumReplicasAvailable",
            message,
        )
    } else {
        let message = "Deployment does not have minimum availability.";
        condition(
            AVAILABLE,
            ConditionStatus::False,
            "MinimumReplicasUnavailable",
            message,
        )
    };
    conditions::set(&mut status, minimum);
    status
}

/// Unknown as long as a ReplicaSet was last seen by a controller that does not count these.
fn terminating(sets: &ReplicaSets) -> Option<i64> {
    sets.all()
        .map(|set| {
            set.status
                .terminating_replicas
                .or((set.status.observed_generation == 0).then_some(0))
        })
        .sum()
}

/// Everything wanted is there, updated and available.
pub(crate) fn is_complete(deployment: &Deployment, status: &DeploymentStatus) -> bool {
    let wanted = deployment.spec.replicas;
    [
        status.updated_replicas,
        status.replicas,
        status.available_replicas,
    ] == [wanted; 3]
        && status.observed_generation >= deployment.metadata.generation
}

/// More new pods, fewer old ones, more ready or more available than before.
fn is_progressing(deployment: &Deployment, status: &DeploymentStatus) -> bool {
    let before = &deployment.status;
    let old = |status: &DeploymentStatus| status.replicas - status.updated_replicas;
    status.updated_replicas > before.updated_replicas
        || old(status) < old(before)
        || status.ready_replicas > before.ready_replicas
        || status.available_replicas > before.available_replicas
}

fn is_timed_out(status: &DeploymentStatus, deadline: Duration) -> bool {
    match Condition::find(&status.conditions, PROGRESSING) {
        None => false,
        Some(current) => match current.reason.as_str() {
            COMPLETE => false,
            TIMED_OUT => true,
            _ => last_update(current) + deadline < now(),
        },
    }
}

fn last_update(condition: &Condition) -> Timestamp {
    condition.last_update_time.unwrap_or(Timestamp::from_seconds(0))
}

/// Why a ReplicaSet cannot create pods, the new one's reason first.
fn replica_failure(sets: &ReplicaSets) -> Option<Condition> {
    let failure = |set: &Set| Condition::find(&set.status.conditions, REPLICA_FAILURE).cloned();
    let found = sets
        .new
        .as_ref()
        .and_then(failure)
        .or_else(|| sets.all().find_map(failure))?;
    Some(Condition {
        last_update_time: found.last_transition_time,
        ..found
    })
}
