//! Conditions of a Deployment: `SetDeploymentCondition` and its relatives.

use windlass_sdk::time::now;
use windlass_sdk::{Condition, ConditionStatus};

use crate::types::DeploymentStatus;

pub(crate) const AVAILABLE: &str = "Available";
pub(crate) const PROGRESSING: &str = "Progressing";
pub(crate) const REPLICA_FAILURE: &str = "ReplicaFailure";

/// A condition that was found just now.
pub(crate) fn condition(
    kind: &str,
    status: ConditionStatus,
    reason: &str,
    message: impl Into<String>,
) -> Condition {
    let now = Some(now().truncated());
    Condition {
        kind: kind.to_owned(),
        status,
        observed_generation: None,
        last_update_time: now,
        last_transition_time: now,
        reason: reason.to_owned(),
        message: message.into(),
    }
}

/// The reason of the condition of this type.
pub(crate) fn reason<'a>(status: &'a DeploymentStatus, kind: &str) -> Option<&'a str> {
    Condition::find(&status.conditions, kind).map(|condition| condition.reason.as_str())
}

/// Sets a condition unless its status and reason are known already; returns whether it
/// did. A set condition moves to the end.
pub(crate) fn set(status: &mut DeploymentStatus, mut condition: Condition) -> bool {
    if let Some(current) = Condition::find(&status.conditions, &condition.kind) {
        if current.status == condition.status && current.reason == condition.reason {
            return false;
        }
        if current.status == condition.status {
            condition.last_transition_time = current.last_transition_time;
        }
    }
    Condition::remove(&mut status.conditions, &condition.kind);
    status.conditions.push(condition);
    true
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use windlass_sdk::testing::Cluster;

    use super::*;
    use crate::DeploymentController;

    #[test]
    fn a_known_reason_is_not_refreshed_and_a_new_one_moves_to_the_end() {
        let cluster = Cluster::new::<DeploymentController>();
        let mut status = DeploymentStatus::default();
        assert!(set(
            &mut status,
            condition(PROGRESSING, ConditionStatus::True, "A", "first")
        ));
        assert!(set(
            &mut status,
            condition(AVAILABLE, ConditionStatus::True, "X", "")
        ));
        cluster.advance(Duration::from_secs(5));
        assert!(!set(
            &mut status,
            condition(PROGRESSING, ConditionStatus::True, "A", "second")
        ));
        assert_eq!(status.conditions[0].message, "first");
        assert!(set(
            &mut status,
            condition(PROGRESSING, ConditionStatus::True, "B", "third")
        ));
        let moved = &status.conditions[1];
        let times =
            [moved.last_transition_time, moved.last_update_time].map(|time| time.unwrap().to_string());
        assert_eq!(times, ["2026-01-01T00:00:00Z", "2026-01-01T00:00:05Z"]);
        assert!(set(
            &mut status,
            condition(PROGRESSING, ConditionStatus::False, "B", "")
        ));
        assert_eq!(status.conditions[1].last_transition_time, Some(cluster.now()));
    }
}
