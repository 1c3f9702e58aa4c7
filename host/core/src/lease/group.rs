//! One replica's part in its group: its membership, the leases it contends for, the shares
//! it has, who else is there.
//!
//! Every replica of a group keeps one membership Lease, renewed like all others, and lists
//! the group's Leases once per retry period: that one request observes every lease and every
//! member. Followers therefore cost nothing more; a leader writes each lease that it leads.
//!
//! Promises: a state machine without I/O. What is asked for in [`Poll::actions`] is carried
//! out at once and answered exactly once; what comes later than the retry period is answered
//! as failed. Everything that a caller may act on ends by itself ([`Tenure`]).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use smol_str::SmolStr;

use self::census::Census;
use self::contest::Contest;
pub use self::contest::{Leadership, Mode};
use super::clock::{BootInstant, Clock};
use super::election::{Answer, Election, ElectionConfig, LeaseRequest, Moment, Step};
use super::record::ObservedLease;
use super::tenure::Tenure;
use crate::shard::Share;
use crate::shard::hash::score;

mod census;
mod content;
mod contest;
mod spread;

/// Label of every Lease of a group; its value names the group.
pub const GROUP_LABEL: &str = "windlass.dev/group";
/// Label that says what a Lease of a group is for: [`MEMBER`] or [`MODULE`].
pub const LEASE_LABEL: &str = "windlass.dev/lease";
/// A replica's membership.
pub const MEMBER: &str = "member";
/// Leadership of one module.
pub const MODULE: &str = "module";
/// Annotation of a membership: whose it is, also when it was given up.
pub const IDENTITY_ANNOTATION: &str = "windlass.dev/identity";
/// Annotation of a membership: the leases that the replica contends for, with commas.
pub const CONTENDS_ANNOTATION: &str = "windlass.dev/contends";
/// Annotation of a membership: what it says about its shares, JSON by lease.
pub const CLAIMS_ANNOTATION: &str = "windlass.dev/shares";
/// Annotation of a module's Lease: its shard table.
pub const TABLE_ANNOTATION: &str = "windlass.dev/shard-table";

/// When leases move to another replica though their leader is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RebalanceConfig {
    /// A lease stays at least this long.
    pub min_tenure: Duration,
    /// Nothing moves until the members have been the same for this long.
    pub settle: Duration,
    /// How many leases one replica hands over at the same time.
    pub at_once: usize,
}

impl Default for RebalanceConfig {
    fn default() -> Self {
        Self {
            min_tenure: Duration::from_secs(60),
            settle: Duration::from_secs(10),
            at_once: 4,
        }
    }
}

/// Who a replica is.
#[derive(Clone, Debug)]
pub struct GroupConfig {
    /// The group; a label value.
    pub name: SmolStr,
    /// The replica. Never used by another process, not even by the next one on this machine.
    pub identity: SmolStr,
    /// Times.
    pub election: ElectionConfig,
    /// When leases move.
    pub rebalance: RebalanceConfig,
}

/// A request to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Read all Leases with this group's label in one piece; answer with [`Group::listed`].
    List,
    /// Read one; answer, as to all that follow, with [`Group::answered`].
    Get(SmolStr),
    /// Create this one.
    Create(ObservedLease),
    /// Replace it, if it is still at the version that is given.
    Update(ObservedLease),
    /// Delete what a replica left behind, if it is still at this version. Needs no answer.
    Delete {
        /// Its name.
        name: SmolStr,
        /// Its version.
        resource_version: SmolStr,
    },
}

/// What a group wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Poll {
    /// Now.
    pub actions: Vec<Action>,
    /// To be polled again at this time, and after every answer and call.
    pub wake_at: Option<BootInstant>,
    /// All leases are given up after [`Group::leave`].
    pub finished: bool,
}

/// Who is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    /// Live replicas in order, this one among them while its membership holds.
    pub identities: Vec<SmolStr>,
    /// The own membership.
    pub tenure: Option<Tenure>,
}

struct Listing {
    under_way: Option<BootInstant>,
    next: BootInstant,
    /// Departure of the last list that was answered.
    confirmed: BootInstant,
    attempted: bool,
}

/// See the module.
pub struct Group {
    config: GroupConfig,
    clock: Arc<dyn Clock>,
    member_name: SmolStr,
    member: Election,
    /// The membership Lease should be written soon.
    member_is_dirty: bool,
    contests: BTreeMap<SmolStr, Contest>,
    sessions: u64,
    census: Census,
    /// Module leases as of the last list.
    leases: BTreeMap<SmolStr, Arc<ObservedLease>>,
    listing: Listing,
    /// Who was there, contending for what, and since when.
    company: (u64, BootInstant),
    is_leaving: bool,
    forget: Vec<Action>,
}

impl Group {
    /// A replica that is no member yet.
    #[must_use]
    pub fn new(config: GroupConfig, clock: Arc<dyn Clock>) -> Self {
        let member_name = member_lease_name(&config.name, &config.identity);
        let seed = score(&member_name, &config.identity);
        Self {
            member: Election::new(config.identity.clone(), config.election, clock.clone(), seed),
            census: Census::new(&config),
            member_name,
            config,
            clock,
            member_is_dirty: false,
            contests: BTreeMap::new(),
            sessions: 0,
            leases: BTreeMap::new(),
            listing: Listing {
                under_way: None,
                next: BootInstant::default(),
                confirmed: BootInstant::default(),
                attempted: false,
            },
            company: (0, BootInstant::default()),
            is_leaving: false,
            forget: Vec::new(),
        }
    }

    /// Contends for a lease from now on. Joining twice changes nothing.
    pub fn join(&mut self, lease: &SmolStr, mode: Mode, now: Moment) {
        if self.is_leaving {
            return;
        }
        let session = self.next_session();
        let identity = &self.config.identity;
        let contest = self.contests.entry(lease.clone()).or_insert_with(|| {
            let seed = score(lease, identity);
            Contest::new(Election::new(
                identity.clone(),
                self.config.election,
                self.clock.clone(),
                seed,
            ))
        });
        contest.join(mode, identity, session);
        if let Some(known) = self.leases.get(lease) {
            contest
                .election
                .observe(known.clone(), self.listing.confirmed, now.boot);
        }
        self.member_is_dirty = true;
        self.follow();
    }

    /// Contends no more, and gives up what it has at once. The caller has drained before.
    pub fn withdraw(&mut self, lease: &str) {
        if let Some(contest) = self.contests.get_mut(lease) {
            contest.withdraw();
            self.member_is_dirty = true;
        }
    }

    /// Gives up a lease, as [`Leadership::HandingOver`] asks. The caller has drained before.
    pub fn step_down(&mut self, lease: &str) {
        let turn = self.turn();
        if let Some(contest) = self.contests.get_mut(lease) {
            contest.step_down();
            // Until the next list says how many others should try first.
            contest.election.set_delay(turn);
        }
    }

    /// No sync is running any more of a key of this module that this share does not own. To be
    /// called for every share, also one that seems to have lost nothing.
    pub fn drained(&mut self, lease: &str, share: &Share) {
        if let Some(contest) = self.contests.get_mut(lease) {
            self.member_is_dirty |= contest.drained(share);
        }
    }

    /// Gives up everything, at once. The caller has drained before.
    pub fn leave(&mut self) {
        self.is_leaving = true;
        for contest in self.contests.values_mut() {
            contest.withdraw();
        }
        self.member.leave();
    }

    /// What to do now.
    pub fn poll(&mut self, now: Moment) -> Poll {
        let mut poll = Poll::default();
        self.poll_list(now, &mut poll);
        self.poll_member(now, &mut poll);
        self.follow();
        // The first list saves a read of every lease.
        if self.listing.attempted || self.is_leaving {
            self.poll_contests(now, &mut poll);
        }
        poll.actions.append(&mut self.forget);
        poll
    }

    /// The answer about one lease.
    pub fn answered(&mut self, lease: &str, now: Moment, answer: Answer) {
        if lease == self.member_name {
            self.member.answered(now, answer);
        } else if let Some(contest) = self.contests.get_mut(lease) {
            contest.answered(now, answer);
        }
        self.follow();
    }

    /// The answer to a list: all Leases of the group, or none if it failed.
    pub fn listed(&mut self, now: Moment, leases: Option<Vec<ObservedLease>>) {
        let Some(sent) = self.listing.under_way.take() else {
            return;
        };
        self.listing.attempted = true;
        self.listing.next = sent + self.list_period();
        let Some(leases) = leases else { return };
        self.listing.confirmed = sent;
        let leases = leases.into_iter().map(Arc::new);
        let (members, modules): (Vec<_>, Vec<_>) =
            leases.partition(|lease| lease.labels.get(LEASE_LABEL).is_some_and(|value| value == MEMBER));
        self.census.listed(members, sent, now.boot);
        self.leases = modules
            .into_iter()
            .map(|lease| (lease.name.clone(), lease))
            .collect();
        for (name, contest) in &mut self.contests {
            contest.listed(self.leases.get(name), sent, now.boot);
        }
        self.follow();
        self.rebalance(now.boot);
        self.forget = self.census.forgettable(&self.config.identity);
    }

    /// What a replica is in one lease.
    #[must_use]
    pub fn leadership(&self, lease: &str) -> Leadership {
        self.contests
            .get(lease)
            .map_or(Leadership::Follower { holder: None }, Contest::leadership)
    }

    /// A lease as it was last read or written.
    #[must_use]
    pub fn known(&self, lease: &str) -> Option<&Arc<ObservedLease>> {
        self.contests.get(lease)?.election.known()
    }

    /// What it may sync of a sharded module.
    #[must_use]
    pub fn share(&self, lease: &str) -> Share {
        self.contests
            .get(lease)
            .and_then(Contest::share)
            .unwrap_or_default()
    }

    /// Who is there.
    #[must_use]
    pub fn members(&self) -> Members {
        let tenure = self.member.tenure().cloned();
        let mut identities: Vec<SmolStr> = self
            .census
            .alive()
            .map(|member| member.identity.clone())
            .collect();
        if tenure.is_some() {
            identities.push(self.config.identity.clone());
        }
        identities.sort();
        Members { identities, tenure }
    }

    /// How often a write of a lease met another version.
    #[must_use]
    pub fn slow_paths(&self, lease: &str) -> u64 {
        self.contests
            .get(lease)
            .map_or(0, |contest| contest.election.slow_paths())
    }

    /// How long one who should try first is waited for: it may have to wait for its next list.
    fn turn(&self) -> Duration {
        self.config.election.retry_period * 2
    }

    fn next_session(&mut self) -> u64 {
        self.sessions += 1;
        self.sessions
    }

    fn list_period(&self) -> Duration {
        let settling = self.contests.values().any(Contest::is_settling);
        let retry_period = self.config.election.retry_period;
        if settling { retry_period / 4 } else { retry_period }
    }

    fn poll_list(&mut self, now: Moment, poll: &mut Poll) {
        if self.is_leaving || self.listing.under_way.is_some() {
            return;
        }
        if now.boot < self.listing.next {
            wake(poll, self.listing.next);
            return;
        }
        self.listing.under_way = Some(now.boot);
        poll.actions.push(Action::List);
    }

    fn poll_member(&mut self, now: Moment, poll: &mut Poll) {
        if self.member_is_dirty {
            self.member.touch(now.boot);
        }
        match self.member.poll(now) {
            Step::Finished => poll.finished = self.is_leaving,
            Step::Answer => {}
            Step::Wait(until) => wake(poll, until),
            Step::Send(request) => {
                self.member_is_dirty = false;
                let annotations = self.member_annotations();
                let action = self.action(&self.member_name, request, MEMBER, annotations);
                poll.actions.push(action);
            }
        }
    }

    fn poll_contests(&mut self, now: Moment, poll: &mut Poll) {
        let names: Vec<SmolStr> = self.contests.keys().cloned().collect();
        for name in names {
            let is_due = self.has_news(&name);
            let Some(contest) = self.contests.get_mut(&name) else {
                continue;
            };
            if is_due {
                contest.election.touch(now.boot);
            }
            match contest.election.poll(now) {
                Step::Finished => {
                    self.contests.remove(&name);
                }
                Step::Answer => poll.finished = false,
                Step::Wait(until) => {
                    poll.finished = false;
                    wake(poll, until);
                }
                Step::Send(request) => {
                    poll.finished = false;
                    let table = match &request {
                        LeaseRequest::Update { base, .. } => self.next_table(&name, Some(base)),
                        LeaseRequest::Create(_) => self.next_table(&name, None),
                        LeaseRequest::Get => None,
                    };
                    let annotations = table.map(|table| (TABLE_ANNOTATION, table.encode()));
                    let action = self.action(&name, request, MODULE, annotations.into_iter().collect());
                    poll.actions.push(action);
                }
            }
        }
    }

    /// Brings the shares in line with the membership and the tables that are known.
    fn follow(&mut self) {
        let tenure = self.member.tenure().cloned();
        for contest in self.contests.values_mut() {
            self.member_is_dirty |= contest.follow(tenure.as_ref(), &mut self.sessions);
        }
    }
}

fn wake(poll: &mut Poll, at: BootInstant) {
    poll.wake_at = Some(poll.wake_at.map_or(at, |earlier| earlier.min(at)));
}

/// The name of a replica's membership Lease: a DNS subdomain.
#[must_use]
pub fn member_lease_name(group: &str, identity: &str) -> SmolStr {
    let name: String = format!("windlass-{group}-{identity}")
        .chars()
        .map(|letter| match letter.to_ascii_lowercase() {
            letter @ ('a'..='z' | '0'..='9' | '.') => letter,
            _ => '-',
        })
        .collect();
    name.trim_end_matches(['-', '.']).into()
}

#[cfg(test)]
mod tests;
