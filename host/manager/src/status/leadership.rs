//! Leases, and what part a replica has in its modules.

use jiff::Timestamp;
use smol_str::SmolStr;
use windlass_cluster::lease::LeaseSight;
use windlass_core::lease::record::LeaseRecord;
use windlass_core::shard::SLOTS;
use windlass_telemetry::status::{Check, CheckScope, LeadershipStatus, LeaseStatus, Role, ShareStatus};

use crate::host::ModuleHandle;
use crate::mandate::{MandateView, Replicas};

/// What part this replica has in a module.
pub(super) fn leadership(view: &MandateView) -> LeadershipStatus {
    let sight = view.sight.borrow();
    let share = view.share.as_ref().map(|share| {
        let share = share.borrow();
        let slots = if share.is_valid_now() {
            share.slots().len()
        } else {
            0
        };
        ShareStatus {
            slots: slots.into(),
            of: SLOTS.into(),
        }
    });
    let acts = share.map_or_else(|| sight.is_held(), |share| share.slots > 0);
    LeadershipStatus {
        role: if acts { Role::Leader } else { Role::Follower },
        holder: holder(&sight).to_string(),
        share,
    }
}

/// The lease of a module, if it has one.
pub(super) fn lease(module: &ModuleHandle) -> Option<LeaseStatus> {
    let view = module.mandate()?;
    let sight = view.sight.borrow();
    let record = record(&sight);
    let renewed = record.and_then(|record| record.renew_time);
    Some(LeaseStatus {
        name: sight.name.to_string(),
        modules: vec![module.name.to_string()],
        holder: holder(&sight).to_string(),
        held: sight.is_held(),
        renewed: renewed.and_then(|time| Timestamp::from_microsecond(time.0).ok()),
        duration_seconds: record.map_or(0, |record| record.duration().as_secs()),
        transitions: record.map_or(0, |record| u64::try_from(record.transitions).unwrap_or_default()),
        slow_paths: sight.slow_paths,
    })
}

/// Whether leases can be read and written. A replica of which that is not true does not
/// lead for long, and does not take over.
pub(super) fn election_check(replicas: &Replicas) -> Check {
    let problem = replicas.elector.problem();
    let reason = problem.borrow().as_ref().map(ToString::to_string);
    Check {
        name: "leader-election".to_owned(),
        scope: CheckScope::Ready,
        passes: reason.is_none(),
        reason,
    }
}

fn record(sight: &LeaseSight) -> Option<&LeaseRecord> {
    sight.lease.as_ref().map(|lease| &lease.record)
}

/// Who holds a lease; empty if nobody does.
fn holder(sight: &LeaseSight) -> SmolStr {
    record(sight).map_or(SmolStr::default(), |record| record.holder.clone())
}
