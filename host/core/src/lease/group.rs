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
use super::placement::{self, Contested};
use super::record::{LeaseRecord, ObservedLease};
use super::tenure::Tenure;
use crate::shard::hash::{hash, score};
use crate::shard::member::Claim;
use crate::shard::table::Table;
use crate::shard::{Epoch, Share};

mod census;
mod contest;

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

/// A replica renews about this many leases a second before it begins to stretch the period.
const RENEWALS_PER_SECOND: f64 = 25.0;

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

    /// No sync is running any more of a key of this module that the share of this epoch does
    /// not own.
    pub fn drained(&mut self, lease: &str, epoch: Epoch) {
        if let Some(contest) = self.contests.get_mut(lease) {
            self.member_is_dirty |= contest.drained(epoch);
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

    /// How often a write met another version, over all leases that are contended for.
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

    /// Whether the shard table of a lease that is led should be replaced.
    fn has_news(&mut self, name: &SmolStr) -> bool {
        let Some(contest) = self.contests.get_mut(name) else {
            return false;
        };
        if !std::mem::take(&mut contest.review) || contest.election.tenure().is_none() {
            return false;
        }
        let base = contest.election.known().cloned();
        self.next_table(name, base.as_deref()).is_some()
    }

    fn next_table(&mut self, name: &SmolStr, base: Option<&ObservedLease>) -> Option<Table> {
        let own = self.own_claim(name)?;
        self.member.tenure()?;
        let contest = self.contests.get(name)?;
        if base.is_some_and(|base| !contest.is_based_on(&base.resource_version)) {
            return None;
        }
        let table = base.and_then(contest::table_of);
        for participant in table.iter().flat_map(|table| &table.participants) {
            self.census.expect(&participant.identity, self.listing.confirmed);
        }
        let view = self.census.view(name, own);
        // Unique because the identity is, and nobody's session is used twice.
        let session = self.next_session();
        let lineage = score(&format!("{name}/{session}"), &self.config.identity);
        crate::shard::sequencer::advance(table.as_ref(), &view, lineage)
    }

    fn own_claim(&self, name: &SmolStr) -> Option<Claim> {
        self.contests.get(name)?.claim()
    }

    fn action(
        &self,
        name: &SmolStr,
        request: LeaseRequest,
        role: &str,
        annotations: Vec<(&str, String)>,
    ) -> Action {
        let fill = |base: &ObservedLease, record: LeaseRecord| {
            let mut lease = base.clone();
            lease.name = name.clone();
            lease.record = record;
            lease
                .labels
                .insert(GROUP_LABEL.to_owned(), self.config.name.to_string());
            lease.labels.insert(LEASE_LABEL.to_owned(), role.to_owned());
            for (key, value) in annotations {
                lease.annotations.insert(key.to_owned(), value);
            }
            lease
        };
        match request {
            LeaseRequest::Get => Action::Get(name.clone()),
            LeaseRequest::Create(record) => Action::Create(fill(&ObservedLease::default(), record)),
            LeaseRequest::Update { base, record } => Action::Update(fill(&base, record)),
        }
    }

    fn member_annotations(&self) -> Vec<(&'static str, String)> {
        let staying = || self.contests.iter().filter(|(_, contest)| !contest.is_leaving());
        let contends: Vec<&str> = staying().map(|(name, _)| name.as_str()).collect();
        let claims: BTreeMap<&SmolStr, Claim> = staying()
            .filter_map(|(name, contest)| Some((name, contest.claim()?)))
            .collect();
        vec![
            (IDENTITY_ANNOTATION, self.config.identity.to_string()),
            (CONTENDS_ANNOTATION, contends.join(",")),
            (
                CLAIMS_ANNOTATION,
                serde_json::to_string(&claims).unwrap_or_default(),
            ),
        ]
    }

    /// Brings the shares in line with the membership and the tables that are known.
    fn follow(&mut self) {
        let tenure = self.member.tenure().cloned();
        for contest in self.contests.values_mut() {
            self.member_is_dirty |= contest.follow(tenure.as_ref(), &mut self.sessions);
        }
    }

    fn rebalance(&mut self, now: BootInstant) {
        let contested = self.contested();
        let positions = placement::positions(&contested, &self.config.identity);
        let turn = self.turn();
        let led = self.contests.values().filter(|contest| contest.is_led()).count();
        let period = Duration::from_secs_f64(led as f64 / RENEWALS_PER_SECOND);
        for (name, contest) in &mut self.contests {
            let position = positions.get(name).copied().unwrap_or_default();
            let delay = turn.saturating_mul(position);
            contest
                .election
                .set_delay(delay.min(self.config.election.lease_duration));
            contest.election.set_renew_period(period);
        }
        self.note_company(now);
        if now.saturating_since(self.company.1) >= self.config.rebalance.settle {
            self.offer(&contested, now);
        }
    }

    fn offer(&mut self, contested: &BTreeMap<SmolStr, Contested>, now: BootInstant) {
        let under_way = self
            .contests
            .values()
            .filter(|contest| contest.is_handing_over())
            .count();
        let mut left = self.config.rebalance.at_once.saturating_sub(under_way);
        for one in placement::moves(contested) {
            if left == 0 {
                break;
            }
            if one.from != self.config.identity {
                continue;
            }
            if let Some(contest) = self.contests.get_mut(&one.lease) {
                if contest.offer(&one.to, now, self.config.rebalance.min_tenure) {
                    left -= 1;
                }
            }
        }
    }

    /// Leases that are worth spreading: a sharded module's costs next to nothing.
    fn contested(&self) -> BTreeMap<SmolStr, Contested> {
        let own = self.contests.iter().filter(|(_, contest)| !contest.is_leaving());
        let names = self.leases.keys().chain(own.map(|(name, _)| name));
        let mut contested: BTreeMap<SmolStr, Contested> =
            names.map(|name| (name.clone(), Contested::default())).collect();
        contested.retain(|name, _| {
            let is_shared = self
                .contests
                .get(name)
                .is_some_and(|contest| contest.claim().is_some());
            let has_table = self
                .leases
                .get(name)
                .is_some_and(|lease| lease.annotations.contains_key(TABLE_ANNOTATION));
            !is_shared && !has_table
        });
        for member in self.census.alive() {
            for name in &member.contends {
                if let Some(lease) = contested.get_mut(name) {
                    lease.candidates.push(member.identity.clone());
                }
            }
        }
        for (name, lease) in &mut contested {
            if self
                .contests
                .get(name)
                .is_some_and(|contest| !contest.is_leaving())
            {
                lease.candidates.push(self.config.identity.clone());
            }
            let listed = self.leases.get(name).map(|lease| &lease.record.holder);
            lease.holder = match self.contests.get(name) {
                Some(contest) if contest.is_led() => Some(self.config.identity.clone()),
                _ => listed
                    .filter(|holder| lease.candidates.contains(holder) && **holder != self.config.identity)
                    .cloned(),
            };
        }
        contested
    }

    fn note_company(&mut self, now: BootInstant) {
        let mut print = 0_u64;
        for member in self.census.alive() {
            let contends: Vec<&[u8]> = member.contends.iter().map(|name| name.as_bytes()).collect();
            let one = hash(&[member.identity.as_bytes(), &hash(&contends).to_be_bytes()]);
            print = hash(&[&print.to_be_bytes(), &one.to_be_bytes()]);
        }
        if print != self.company.0 || self.company.1 == BootInstant::default() {
            self.company = (print, now);
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
