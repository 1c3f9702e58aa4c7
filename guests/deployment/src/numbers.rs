//! How many pods, where: the arithmetic of `deployment_util.go`, without any object.

use std::time::Duration;

use crate::types::{Deployment, IntOrPercent, RollingUpdate};

/// What API clients write for "no deadline" and "no limit".
const UNLIMITED: i64 = i32::MAX as i64;

/// How many pods above the wanted number a rolling update may run.
pub(crate) fn max_surge(deployment: &Deployment) -> i64 {
    fenceposts(deployment).0
}

/// How many pods below the wanted number a rolling update may have available.
pub(crate) fn max_unavailable(deployment: &Deployment) -> i64 {
    let replicas = deployment.spec.replicas;
    if replicas == 0 {
        0
    } else {
        fenceposts(deployment).1.min(replicas)
    }
}

/// Surge is rounded up and unavailability down; if both came to nothing, no rolling
/// update could ever move, so one pod may be unavailable.
fn fenceposts(deployment: &Deployment) -> (i64, i64) {
    if !deployment.spec.strategy.is_rolling_update() {
        return (0, 0);
    }
    let nothing = RollingUpdate::default();
    let bounds = deployment
        .spec
        .strategy
        .rolling_update
        .as_ref()
        .unwrap_or(&nothing);
    let replicas = deployment.spec.replicas;
    let surge = bounds
        .max_surge
        .as_ref()
        .map_or(0, |bound| resolve(bound, replicas, Rounding::Up));
    let unavailable = bounds
        .max_unavailable
        .as_ref()
        .map_or(0, |bound| resolve(bound, replicas, Rounding::Down));
    if surge == 0 && unavailable == 0 {
        (0, 1)
    } else {
        (surge, unavailable)
    }
}

enum Rounding {
    Up,
    Down,
}

/// The server has validated it; what is no percentage counts as nothing.
fn resolve(bound: &IntOrPercent, of: i64, rounding: Rounding) -> i64 {
    match bound {
        IntOrPercent::Int(number) => *number,
        IntOrPercent::Percent(text) => {
            let percent: i64 = text
                .strip_suffix('%')
                .and_then(|text| text.parse().ok())
                .unwrap_or(0);
            let remainder = match rounding {
                Rounding::Up => 99,
                Rounding::Down => 0,
            };
            (percent * of + remainder) / 100
        }
    }
}

/// The size that the new ReplicaSet may have now, given its own and everybody's together.
pub(crate) fn new_replicas(deployment: &Deployment, current: i64, total: i64) -> i64 {
    let wanted = deployment.spec.replicas;
    if !deployment.spec.strategy.is_rolling_update() {
        return wanted;
    }
    let room = wanted + max_surge(deployment) - total;
    if room <= 0 {
        current
    } else {
        current + room.min(wanted - current)
    }
}

/// How much of a change one ReplicaSet takes over, in proportion to its size.
/// `max_before` is what all were allowed together when it got that size.
pub(crate) fn proportion(
    deployment: &Deployment,
    size: i64,
    max_before: Option<i64>,
    to_add: i64,
    added: i64,
) -> i64 {
    if size == 0 || to_add == added {
        return 0;
    }
    let share = fraction(deployment, size, max_before);
    if to_add > 0 {
        share.min(to_add - added)
    } else {
        share.max(to_add - added)
    }
}

fn fraction(deployment: &Deployment, size: i64, max_before: Option<i64>) -> i64 {
    if deployment.spec.replicas == 0 {
        return -size;
    }
    let before = max_before
        .filter(|max| *max != 0)
        .unwrap_or(deployment.status.replicas);
    if before == 0 {
        return 0;
    }
    let max = deployment.spec.replicas + max_surge(deployment);
    // Halves are rounded away from zero; none of these is negative.
    (2 * size * max + before) / (2 * before) - size
}

/// How long a rollout may go without progress, if there is a limit.
pub(crate) fn progress_deadline(deployment: &Deployment) -> Option<Duration> {
    let seconds = deployment
        .spec
        .progress_deadline_seconds
        .filter(|seconds| *seconds != UNLIMITED)?;
    Some(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

/// How many old ReplicaSets are kept, if there is a limit.
pub(crate) fn history_limit(deployment: &Deployment) -> Option<usize> {
    let limit = deployment
        .spec
        .revision_history_limit
        .filter(|limit| *limit != UNLIMITED)?;
    usize::try_from(limit).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn deployment(replicas: i64, surge: Value, unavailable: Value) -> Deployment {
        serde_json::from_value(json!({"metadata": {}, "status": {"replicas": 7}, "spec": {"replicas": replicas, "template": {},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}}}))
        .unwrap()
    }

    #[test]
    fn surge_is_rounded_up_and_unavailability_down() {
        let bounds = |deployment: Deployment| (max_surge(&deployment), max_unavailable(&deployment));
        assert_eq!(bounds(deployment(10, "25%".into(), "25%".into())), (3, 2));
        assert_eq!(bounds(deployment(1, "25%".into(), "25%".into())), (1, 0));
        assert_eq!(
            bounds(deployment(3, 0.into(), "25%".into())),
            (0, 1),
            "something must move"
        );
        assert_eq!(
            bounds(deployment(2, 0.into(), 5.into())),
            (0, 2),
            "no more than there are"
        );
        assert_eq!(bounds(deployment(0, 1.into(), 1.into())), (1, 0));
        assert_eq!(bounds(deployment(4, "100%".into(), "50%".into())), (4, 2));
    }

    #[test]
    fn recreate_has_no_surge_and_wants_everything_at_once() {
        let mut deployment = deployment(10, "25%".into(), "25%".into());
        deployment.spec.strategy.kind = "Recreate".to_owned();
        assert_eq!((max_surge(&deployment), max_unavailable(&deployment)), (0, 0));
        assert_eq!(new_replicas(&deployment, 0, 10), 10);
    }

    #[test]
    fn a_new_set_grows_into_the_room_that_surge_leaves() {
        let deployment = deployment(10, 3.into(), 0.into());
        assert_eq!(new_replicas(&deployment, 0, 10), 3);
        assert_eq!(new_replicas(&deployment, 3, 13), 3);
        assert_eq!(new_replicas(&deployment, 3, 11), 5);
        assert_eq!(new_replicas(&deployment, 8, 8), 10, "never beyond what is wanted");
    }

    #[test]
    fn shares_follow_the_size_and_stay_within_what_is_left() {
        let deployment = deployment(20, 0.into(), 1.into());
        assert_eq!(proportion(&deployment, 5, Some(10), 10, 0), 5);
        assert_eq!(proportion(&deployment, 5, Some(10), 10, 8), 2);
        assert_eq!(proportion(&deployment, 0, Some(10), 10, 0), 0);
        assert_eq!(proportion(&deployment, 5, Some(10), 10, 10), 0);
        assert_eq!(proportion(&deployment, 30, Some(40), -20, 0), -15);
        assert_eq!(proportion(&deployment, 30, Some(40), -20, -18), -2);
    }

    #[test]
    fn a_share_is_rounded_half_away_from_zero() {
        let deployment = deployment(3, 0.into(), 1.into());
        assert_eq!(fraction(&deployment, 1, Some(2)), 1, "1.5 becomes 2");
        assert_eq!(fraction(&deployment, 5, Some(6)), -2, "2.5 becomes 3");
    }

    #[test]
    fn without_the_annotation_the_status_is_the_base() {
        let deployment = deployment(14, 0.into(), 1.into());
        assert_eq!(fraction(&deployment, 3, None), 3);
        assert_eq!(fraction(&deployment, 3, Some(0)), 3);
    }

    #[test]
    fn scaling_to_zero_takes_everything() {
        assert_eq!(fraction(&deployment(0, 1.into(), 0.into()), 4, Some(9)), -4);
    }

    #[test]
    fn the_largest_number_means_no_limit() {
        let mut deployment = deployment(1, 1.into(), 0.into());
        assert_eq!(progress_deadline(&deployment), None);
        deployment.spec.progress_deadline_seconds = Some(600);
        deployment.spec.revision_history_limit = Some(10);
        assert_eq!(progress_deadline(&deployment), Some(Duration::from_secs(600)));
        assert_eq!(history_limit(&deployment), Some(10));
        deployment.spec.progress_deadline_seconds = Some(UNLIMITED);
        deployment.spec.revision_history_limit = Some(UNLIMITED);
        assert_eq!(
            (progress_deadline(&deployment), history_limit(&deployment)),
            (None, None)
        );
    }
}
