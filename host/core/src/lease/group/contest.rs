//! One lease that a replica contends for, with its share if the module is sharded.

use std::sync::Arc;
use std::time::Duration;

use smol_str::SmolStr;

use super::TABLE_ANNOTATION;
use crate::lease::clock::BootInstant;
use crate::lease::election::{Answer, Election, Moment};
use crate::lease::record::ObservedLease;
use crate::lease::tenure::Tenure;
use crate::shard::Share;
use crate::shard::member::{Claim, ShareMember};
use crate::shard::table::Table;

/// What a lease is contended for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Its holder does everything.
    Led,
    /// Its holder keeps the shard table, and all share the keys.
    Shared,
}

/// What a replica is in one lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leadership {
    /// Another leads, or nobody.
    Follower {
        /// Who, as far as is known.
        holder: Option<SmolStr>,
    },
    /// This one leads.
    Leader(Tenure),
    /// This one leads and should stop: drain, then step down. It is not withdrawn.
    HandingOver {
        /// As long as it lasts.
        tenure: Tenure,
        /// Who is expected to lead next.
        to: SmolStr,
    },
}

impl Leadership {
    /// The tenure of a leader.
    #[must_use]
    pub fn tenure(&self) -> Option<&Tenure> {
        match self {
            Self::Follower { .. } => None,
            Self::Leader(tenure) | Self::HandingOver { tenure, .. } => Some(tenure),
        }
    }

    /// Whether this replica leads at this moment.
    #[must_use]
    pub fn is_valid_now(&self) -> bool {
        self.tenure().is_some_and(Tenure::is_valid_now)
    }
}

/// See the module.
pub(super) struct Contest {
    pub(super) election: Election,
    share: Option<ShareMember>,
    /// The tenure that is to be handed over, and to whom.
    offered: Option<(Tenure, SmolStr)>,
    /// The version of the lease that the members were read with, or that was written since.
    basis: SmolStr,
    /// The version whose table the share has seen.
    followed: SmolStr,
    /// Something happened that may call for another table.
    pub(super) review: bool,
}

impl Contest {
    pub(super) fn new(election: Election) -> Self {
        Self {
            election,
            share: None,
            offered: None,
            basis: SmolStr::default(),
            followed: SmolStr::default(),
            review: false,
        }
    }

    pub(super) fn join(&mut self, mode: Mode, identity: &SmolStr, session: u64) {
        self.election.contend();
        match mode {
            Mode::Led => self.share = None,
            Mode::Shared if self.share.is_none() => {
                self.followed = SmolStr::default();
                self.share = Some(ShareMember::new(identity.clone(), session));
            }
            Mode::Shared => {}
        }
    }

    pub(super) fn withdraw(&mut self) {
        self.election.leave();
        self.share = None;
        self.offered = None;
    }

    pub(super) fn step_down(&mut self) {
        self.election.step_down();
        self.offered = None;
    }

    /// Whether that changes what is said.
    pub(super) fn drained(&mut self, drained: &Share) -> bool {
        self.changes_claim(|share| share.drained(drained))
    }

    pub(super) fn answered(&mut self, now: Moment, answer: Answer) {
        let before = self.version();
        let replaced = self.election.answered(now, answer);
        // A table of one's own follows from the members it was computed from.
        if replaced && self.is_based_on(&before) {
            self.basis = self.version();
        }
        self.review = true;
    }

    pub(super) fn listed(
        &mut self,
        lease: Option<&Arc<ObservedLease>>,
        sent: BootInstant,
        arrived: BootInstant,
    ) {
        match lease {
            Some(lease) => {
                self.election.observe(lease.clone(), sent, arrived);
                self.basis = lease.resource_version.clone();
            }
            None => {
                self.election.miss(sent);
                self.basis = SmolStr::default();
            }
        }
        self.review = true;
    }

    /// Whether the members were read with this version of the lease or after it.
    pub(super) fn is_based_on(&self, version: &str) -> bool {
        !version.is_empty() && self.basis == version
    }

    /// Whether that changes what is said.
    pub(super) fn follow(&mut self, membership: Option<&Tenure>, sessions: &mut u64) -> bool {
        let version = self.version();
        let known = self.election.known().filter(|_| version != self.followed);
        let table = known.and_then(|lease| table_of(lease)).map(Arc::new);
        self.followed = version;
        self.changes_claim(|share| {
            share.set_tenure(membership, || {
                *sessions += 1;
                *sessions
            });
            if let Some(table) = &table {
                share.see(table);
            }
        })
    }

    pub(super) fn leadership(&self) -> Leadership {
        match (self.election.tenure(), &self.offered) {
            (Some(tenure), Some((offered, to))) if tenure == offered => Leadership::HandingOver {
                tenure: tenure.clone(),
                to: to.clone(),
            },
            (Some(tenure), _) => Leadership::Leader(tenure.clone()),
            (None, _) => Leadership::Follower {
                holder: self
                    .election
                    .known()
                    .map(|lease| lease.record.holder.clone())
                    .filter(|holder| !holder.is_empty()),
            },
        }
    }

    pub(super) fn share(&self) -> Option<Share> {
        self.share.as_ref().map(ShareMember::share)
    }

    pub(super) fn claim(&self) -> Option<Claim> {
        self.share.as_ref().map(ShareMember::claim)
    }

    pub(super) fn is_settling(&self) -> bool {
        self.share.as_ref().is_some_and(ShareMember::is_settling)
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.election.is_leaving()
    }

    pub(super) fn is_led(&self) -> bool {
        self.election.tenure().is_some()
    }

    pub(super) fn is_handing_over(&self) -> bool {
        matches!(self.leadership(), Leadership::HandingOver { .. })
    }

    /// Asks to hand the lease over, unless it has not been held for long or is asked already.
    pub(super) fn offer(&mut self, to: &SmolStr, now: BootInstant, min_tenure: Duration) -> bool {
        if self.is_handing_over() {
            return false;
        }
        let tenure = self
            .election
            .tenure()
            .filter(|tenure| now.saturating_since(tenure.since()) >= min_tenure);
        self.offered = tenure.map(|tenure| (tenure.clone(), to.clone()));
        self.offered.is_some()
    }

    fn version(&self) -> SmolStr {
        self.election
            .known()
            .map_or(SmolStr::default(), |lease| lease.resource_version.clone())
    }

    fn changes_claim(&mut self, change: impl FnOnce(&mut ShareMember)) -> bool {
        let Some(share) = &mut self.share else {
            return false;
        };
        let before = share.claim();
        change(share);
        let changed = share.claim() != before;
        self.review |= changed;
        changed
    }
}

/// The shard table of a lease, if there is one that can be read.
pub(super) fn table_of(lease: &ObservedLease) -> Option<Table> {
    Table::parse(lease.annotations.get(TABLE_ANNOTATION)?).ok()
}
