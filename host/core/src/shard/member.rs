//! One replica's part in a sharded module: follows the table, says what it has drained.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::table::{Participant, Table};
use super::{Epoch, Share, SlotSet};
use crate::lease::tenure::Tenure;

/// What a replica says in its membership Lease about one module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// Which stay in the module it speaks of.
    pub session: u64,
    /// The lineage of the table that is confirmed; 0 when none was seen.
    pub lineage: u64,
    /// Its number. Confirmed means: no sync is running, or will start, of a key that this
    /// table does not give to this session.
    pub epoch: u64,
}

/// See the module.
pub struct ShareMember {
    participant: Participant,
    tenure: Option<Tenure>,
    table: Option<Arc<Table>>,
    owned: SlotSet,
    /// Syncs of keys that were lost may still be running.
    draining: bool,
    confirmed: Epoch,
}

impl ShareMember {
    /// A replica that does not own anything yet.
    #[must_use]
    pub fn new(identity: SmolStr, session: u64) -> Self {
        Self {
            participant: Participant { identity, session },
            tenure: None,
            table: None,
            owned: SlotSet::default(),
            draining: false,
            confirmed: Epoch::default(),
        }
    }

    /// Follows the membership. With every change of it nothing that was given before counts,
    /// and a new session begins, which is numbered by `next_session`: one session lives
    /// under one tenure, so that when it was seen to expire it is over for good.
    pub fn set_tenure(&mut self, tenure: Option<&Tenure>, next_session: impl FnOnce() -> u64) {
        if self.tenure.as_ref() == tenure {
            return;
        }
        // Also when one begins: what was said without a membership may have been answered with
        // slots that others have since been given.
        self.participant.session = next_session();
        self.draining |= !self.owned.is_empty();
        self.owned = SlotSet::default();
        self.tenure = tenure.cloned();
        self.follow();
    }

    /// A table was read. One older than the last is ignored.
    pub fn see(&mut self, table: &Arc<Table>) {
        let is_newer = self.table.as_ref().is_none_or(|known| {
            known.epoch.lineage != table.epoch.lineage || known.epoch.number < table.epoch.number
        });
        if is_newer {
            self.table = Some(table.clone());
            self.follow();
        }
    }

    /// No sync is running any more of a key that this share does not own. Of no effect when
    /// the share is another by now.
    pub fn drained(&mut self, share: &Share) {
        if *share == self.share() {
            self.draining = false;
            self.confirmed = share.epoch();
        }
    }

    /// What to say in the membership Lease.
    #[must_use]
    pub fn claim(&self) -> Claim {
        Claim {
            session: self.participant.session,
            lineage: self.confirmed.lineage,
            epoch: self.confirmed.number,
        }
    }

    /// What may be synced.
    #[must_use]
    pub fn share(&self) -> Share {
        Share::new(self.owned, self.tenure.clone(), self.epoch())
    }

    /// Whether slots are on their way, so that news is worth looking for more often.
    #[must_use]
    pub fn is_settling(&self) -> bool {
        self.draining || self.table.as_ref().is_none_or(|table| !table.is_settled())
    }

    fn epoch(&self) -> Epoch {
        self.table.as_ref().map_or(Epoch::default(), |table| table.epoch)
    }

    fn follow(&mut self) {
        let Some(table) = &self.table else { return };
        let owned = match &self.tenure {
            Some(_) => table.owned_by(&self.participant),
            None => SlotSet::default(),
        };
        self.draining |= !self.owned.is_subset(&owned);
        self.owned = owned;
        if !self.draining {
            self.confirmed = table.epoch;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::lease::clock::{BootInstant, Clock};
    use crate::shard::SLOTS;
    use crate::shard::table::Slot;

    struct StoppedClock;

    impl Clock for StoppedClock {
        fn now(&self) -> BootInstant {
            BootInstant::default()
        }
    }

    fn tenure() -> Tenure {
        let now = StoppedClock.now();
        Tenure::begin(Arc::new(StoppedClock), now, now + Duration::from_secs(10))
    }

    fn all_to(session: u64, number: u64) -> Arc<Table> {
        Arc::new(Table {
            epoch: Epoch { lineage: 1, number },
            participants: vec![Participant {
                identity: "a".into(),
                session,
            }],
            slots: vec![Slot::Owned(0); usize::from(SLOTS)],
        })
    }

    #[test]
    fn what_was_given_before_a_membership_began_is_not_owned_under_it() {
        let mut member = ShareMember::new("a".into(), 1);
        member.see(&all_to(1, 1));
        let membership = tenure();
        member.set_tenure(Some(&membership), || 2);
        assert!(member.share().slots().is_empty());
        member.see(&all_to(2, 2));
        assert_eq!(member.share().slots().len(), u32::from(SLOTS));
    }

    #[test]
    fn only_the_share_that_is_current_can_be_drained() {
        let mut member = ShareMember::new("a".into(), 1);
        member.set_tenure(Some(&tenure()), || 2);
        member.see(&all_to(2, 1));
        let before = member.share();
        member.set_tenure(None, || 3);
        member.see(&all_to(2, 2));
        member.drained(&before);
        assert_eq!((member.claim().session, member.claim().epoch), (3, 1));
        member.drained(&member.share());
        assert_eq!(member.claim().epoch, 2);
    }
}
