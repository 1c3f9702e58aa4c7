//! One candidate for one lease.
//!
//! Follows client-go's `tools/leaderelection`: who may take a lease, what is written, how
//! long to wait. Differences, each on the safe side: a lease expires after the time that the
//! *record* names since this process saw its *version* change, so that a holder whose clock
//! stands still is not robbed; the holder counts its own time from before it sent the last
//! renewal that succeeded; a lease that vanishes is not free before its last known holder
//! would have expired. Every write names the version it replaces: a request that arrives
//! late changes nothing that was not meant.
//!
//! Promises: no I/O, no clock. One request at a time; an answer after the caller's time
//! limit is [`Answer::Failed`], whatever becomes of the request.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use smol_str::SmolStr;

use super::clock::{BootInstant, Clock};
use super::record::{LeaseRecord, MicroTime, ObservedLease};
use super::tenure::Tenure;

/// Failures after which a candidate that leaves gives the lease up to expiry.
const LEAVE_ATTEMPTS: u32 = 2;

/// The times of an election, with client-go's defaults.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ElectionConfig {
    /// How long others wait after the last renewal they saw; whole seconds.
    pub lease_duration: Duration,
    /// How long a holder goes on without a renewal that succeeded.
    pub renew_deadline: Duration,
    /// Time between attempts, and the longest a request may take.
    pub retry_period: Duration,
    /// A candidate's pause grows by up to this part of itself, at random.
    pub jitter: f64,
}

impl Default for ElectionConfig {
    fn default() -> Self {
        Self {
            lease_duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry_period: Duration::from_secs(2),
            jitter: 1.2,
        }
    }
}

/// Why election times do not work together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ElectionConfigError {
    /// A Lease has no room for less.
    #[error("lease duration {0:?} must be whole seconds, and at least one")]
    Seconds(Duration),
    /// Others would take over before the holder gives up.
    #[error("lease duration {lease_duration:?} must be greater than renew deadline {renew_deadline:?}")]
    RenewDeadline {
        /// As configured.
        lease_duration: Duration,
        /// As configured.
        renew_deadline: Duration,
    },
    /// One failure would cost the lease.
    #[error(
        "renew deadline {renew_deadline:?} must be greater than retry period {retry_period:?} times the jitter"
    )]
    RetryPeriod {
        /// As configured.
        renew_deadline: Duration,
        /// As configured.
        retry_period: Duration,
    },
    /// Attempts would never pause.
    #[error("retry period must be greater than zero")]
    NoPause,
}

impl ElectionConfig {
    /// Checks that the times work together.
    ///
    /// # Errors
    /// When they do not.
    pub fn validate(&self) -> Result<(), ElectionConfigError> {
        let (lease_duration, renew_deadline) = (self.lease_duration, self.renew_deadline);
        let retry_period = self.retry_period;
        if lease_duration.subsec_nanos() != 0
            || lease_duration.is_zero()
            || i32::try_from(lease_duration.as_secs()).is_err()
        {
            return Err(ElectionConfigError::Seconds(lease_duration));
        }
        if renew_deadline >= lease_duration {
            return Err(ElectionConfigError::RenewDeadline {
                lease_duration,
                renew_deadline,
            });
        }
        if renew_deadline <= retry_period.mul_f64(self.jitter) {
            return Err(ElectionConfigError::RetryPeriod {
                renew_deadline,
                retry_period,
            });
        }
        if retry_period.is_zero() {
            return Err(ElectionConfigError::NoPause);
        }
        Ok(())
    }

    fn duration_seconds(&self) -> i32 {
        i32::try_from(self.lease_duration.as_secs()).unwrap_or(i32::MAX)
    }
}

/// The time, by both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// What decisions are made on.
    pub boot: BootInstant,
    /// What is written into leases.
    pub wall: MicroTime,
}

/// A request for the candidate's lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaseRequest {
    /// Read it, from the store and not from a cache.
    Get,
    /// Create it.
    Create(LeaseRecord),
    /// Replace it, if it is still at the version of `base`.
    Update {
        /// What is replaced; its labels and annotations stay.
        base: Arc<ObservedLease>,
        /// The new spec.
        record: LeaseRecord,
    },
}

/// What became of a request.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The lease as it was read or written.
    Lease(Arc<ObservedLease>),
    /// There is none; for a create: no namespace.
    NotFound,
    /// It is at another version; for a create: it exists.
    Conflict,
    /// Anything else, silence included: it may have been carried out, or may be later.
    Failed,
}

/// What a candidate wants next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// This request, now.
    Send(LeaseRequest),
    /// To be asked again at this time, or after an answer.
    Wait(BootInstant),
    /// To be asked again after an answer.
    Answer,
    /// Nothing any more.
    Finished,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Intent {
    Contend,
    /// Give it up, then contend again.
    Release,
    /// Give it up for good.
    Leave,
    Gone,
}

#[derive(Clone, Copy, Debug)]
struct InFlight {
    sent: BootInstant,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Get,
    Create,
    Update,
}

/// See the module.
pub struct Election {
    identity: SmolStr,
    config: ElectionConfig,
    clock: Arc<dyn Clock>,
    rng: StdRng,
    known: Option<Arc<ObservedLease>>,
    /// `known` must be read before anything can be written.
    stale: bool,
    /// When a lease of another may be taken.
    opens_at: BootInstant,
    /// Reads sent before this moment may be older than what is known.
    learned_at: BootInstant,
    tenure: Option<Tenure>,
    in_flight: Option<InFlight>,
    next_attempt: BootInstant,
    /// How long to let others try first.
    delay: Duration,
    renew_period: Duration,
    intent: Intent,
    /// Answers in a row that were no progress.
    setbacks: u32,
    slow_paths: u64,
}

impl Election {
    /// A candidate that knows nothing yet and may try at once. No two processes may ever
    /// have the same identity, not even one after the other.
    #[must_use]
    pub fn new(identity: SmolStr, config: ElectionConfig, clock: Arc<dyn Clock>, seed: u64) -> Self {
        let renew_period = config.retry_period;
        Self {
            identity,
            config,
            clock,
            rng: StdRng::seed_from_u64(seed),
            known: None,
            stale: true,
            opens_at: BootInstant::default(),
            learned_at: BootInstant::default(),
            tenure: None,
            in_flight: None,
            next_attempt: BootInstant::default(),
            delay: Duration::ZERO,
            renew_period,
            intent: Intent::Contend,
            setbacks: 0,
            slow_paths: 0,
        }
    }

    /// What to do now.
    pub fn poll(&mut self, now: Moment) -> Step {
        self.expire(now.boot);
        if self.in_flight.is_some() {
            return match &self.tenure {
                Some(tenure) => Step::Wait(tenure.deadline()),
                None => Step::Answer,
            };
        }
        self.settle_intent();
        if self.intent == Intent::Gone {
            return Step::Finished;
        }
        let due = self.due();
        if due > now.boot {
            let deadline = self.tenure.as_ref().map_or(due, Tenure::deadline);
            return Step::Wait(due.min(deadline));
        }
        let (kind, request) = self.request(now.wall);
        self.in_flight = Some(InFlight { sent: now.boot, kind });
        Step::Send(request)
    }

    /// The answer to the request that is under way. Returns whether a lease was replaced.
    pub fn answered(&mut self, now: Moment, answer: Answer) -> bool {
        let Some(in_flight) = self.in_flight.take() else {
            return false;
        };
        let replaced = in_flight.kind == Kind::Update && matches!(answer, Answer::Lease(_));
        self.expire(now.boot);
        self.learned_at = now.boot;
        match (answer, in_flight.kind) {
            (Answer::Lease(lease), kind) => {
                let read = kind == Kind::Get;
                self.learn(lease, now.boot);
                if read {
                    self.next_attempt = now.boot;
                } else {
                    self.setbacks = 0;
                    self.wrote(in_flight.sent, now.boot);
                }
            }
            (Answer::NotFound, Kind::Get | Kind::Update) => {
                self.learn_absence(now.boot);
                self.next_attempt = now.boot;
            }
            (Answer::Conflict, Kind::Create | Kind::Update) => {
                self.stale = true;
                self.slow_paths += 1;
                self.set_back(now.boot, 1);
            }
            (Answer::NotFound | Answer::Conflict | Answer::Failed, _) => self.set_back(now.boot, 0),
        }
        replaced
    }

    /// What somebody read in passing. Ignored when it may be older than what is known.
    pub fn observe(&mut self, lease: Arc<ObservedLease>, sent: BootInstant, arrived: BootInstant) {
        if self.in_flight.is_none() && sent >= self.learned_at {
            self.expire(arrived);
            self.learn(lease, arrived);
        }
    }

    /// Somebody looked and did not find it, which a read of its own must confirm.
    pub fn miss(&mut self, sent: BootInstant) {
        if self.in_flight.is_none() && sent >= self.learned_at && self.known.is_some() {
            self.stale = true;
        }
    }

    /// Gives up the tenure at once and the lease as soon as possible, and contends again.
    pub fn step_down(&mut self) {
        if self.intent == Intent::Contend {
            self.give_up(Intent::Release);
        }
    }

    /// Gives up tenure and lease and contends no more.
    pub fn leave(&mut self) {
        if self.intent != Intent::Gone {
            self.give_up(Intent::Leave);
        }
    }

    /// Contends again, also after [`Election::leave`].
    pub fn contend(&mut self) {
        self.intent = Intent::Contend;
    }

    /// How long to let others try first when the lease becomes free.
    pub fn set_delay(&mut self, delay: Duration) {
        self.delay = delay;
    }

    /// Time between renewals; kept at or above the retry period and below half the renew deadline.
    pub fn set_renew_period(&mut self, period: Duration) {
        let longest = (self.config.renew_deadline / 2).max(self.config.retry_period);
        self.renew_period = period.clamp(self.config.retry_period, longest);
    }

    /// Brings the next renewal forward to now, because there is something to write with it.
    pub fn touch(&mut self, now: BootInstant) {
        if self.tenure.is_some() && self.setbacks == 0 {
            self.next_attempt = self.next_attempt.min(now);
        }
    }

    /// The tenure, if the lease is held. Its own clock tells whether it is still valid.
    #[must_use]
    pub fn tenure(&self) -> Option<&Tenure> {
        self.tenure.as_ref()
    }

    /// The lease as last known.
    #[must_use]
    pub fn known(&self) -> Option<&Arc<ObservedLease>> {
        self.known.as_ref()
    }

    /// Whether it contends no more.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        matches!(self.intent, Intent::Leave | Intent::Gone)
    }

    /// How often a write met another version: `leader_election_slowpath_total`.
    #[must_use]
    pub fn slow_paths(&self) -> u64 {
        self.slow_paths
    }

    fn holds(&self) -> bool {
        self.known
            .as_ref()
            .is_some_and(|lease| lease.record.holder == self.identity)
    }

    fn expire(&mut self, now: BootInstant) {
        self.tenure.take_if(|tenure| !tenure.is_valid_at(now));
    }

    fn end_tenure(&mut self) {
        if let Some(tenure) = self.tenure.take() {
            tenure.end();
        }
    }

    fn give_up(&mut self, intent: Intent) {
        self.end_tenure();
        self.intent = intent;
        self.setbacks = 0;
        self.next_attempt = BootInstant::default();
    }

    fn settle_intent(&mut self) {
        let tired = self.intent == Intent::Leave && self.setbacks >= LEAVE_ATTEMPTS;
        if !self.holds() || tired {
            match self.intent {
                Intent::Release => self.intent = Intent::Contend,
                Intent::Leave => self.intent = Intent::Gone,
                Intent::Contend | Intent::Gone => {}
            }
        }
    }

    fn due(&self) -> BootInstant {
        let may_act = self.stale || self.holds() || self.tenure.is_some();
        if may_act || self.intent != Intent::Contend {
            self.next_attempt
        } else {
            self.next_attempt.max(self.opens_at + self.delay)
        }
    }

    fn request(&self, wall: MicroTime) -> (Kind, LeaseRequest) {
        match &self.known {
            _ if self.stale => (Kind::Get, LeaseRequest::Get),
            None => (Kind::Create, LeaseRequest::Create(self.claim(None, wall))),
            Some(base) => {
                let record = if self.intent == Intent::Contend {
                    self.claim(Some(&base.record), wall)
                } else {
                    released(&base.record, wall)
                };
                let base = base.clone();
                (Kind::Update, LeaseRequest::Update { base, record })
            }
        }
    }

    fn claim(&self, old: Option<&LeaseRecord>, wall: MicroTime) -> LeaseRecord {
        let kept = old.filter(|old| old.holder == self.identity);
        LeaseRecord {
            holder: self.identity.clone(),
            duration_seconds: self.config.duration_seconds(),
            acquire_time: kept.map_or(Some(wall), |old| old.acquire_time),
            renew_time: Some(wall),
            transitions: match (old, kept) {
                (None, _) => 0,
                (Some(old), Some(_)) => old.transitions,
                (Some(old), None) => old.transitions.saturating_add(1),
            },
        }
    }

    /// A write of ours is in place since some time after `sent`.
    fn wrote(&mut self, sent: BootInstant, now: BootInstant) {
        if !self.holds() {
            self.next_attempt = now;
            return;
        }
        let deadline = sent + self.config.renew_deadline;
        self.next_attempt = sent + self.renew_period;
        if let Some(tenure) = &self.tenure {
            tenure.extend(deadline);
        } else if self.intent == Intent::Contend && deadline > now {
            self.tenure = Some(Tenure::begin(self.clock.clone(), now, deadline));
            // Leases that were taken together are not renewed together.
            let part = self.rng.random_range(0.3..1.0);
            self.next_attempt = sent + self.renew_period.mul_f64(part);
        }
    }

    fn learn(&mut self, lease: Arc<ObservedLease>, now: BootInstant) {
        self.stale = false;
        let unchanged = self
            .known
            .as_ref()
            .is_some_and(|known| known.resource_version == lease.resource_version);
        if unchanged {
            return;
        }
        self.opens_at = if lease.record.holder.is_empty() {
            now
        } else {
            now + lease.record.duration()
        };
        self.known = Some(lease);
        if !self.holds() {
            self.end_tenure();
        }
    }

    fn learn_absence(&mut self, now: BootInstant) {
        if self.holds() {
            self.opens_at = now;
        }
        self.stale = false;
        self.known = None;
    }

    /// After `tolerated` setbacks in a row the next attempt waits.
    fn set_back(&mut self, now: BootInstant, tolerated: u32) {
        self.setbacks += 1;
        self.next_attempt = now;
        if self.setbacks > tolerated {
            self.next_attempt = now + self.pause();
        }
    }

    fn pause(&mut self) -> Duration {
        let retry_period = self.config.retry_period;
        if self.tenure.is_some() {
            return retry_period;
        }
        retry_period.mul_f64(1.0 + self.config.jitter * self.rng.random::<f64>())
    }
}

/// What client-go writes when it gives a lease up: nobody's, and for one second only.
fn released(old: &LeaseRecord, wall: MicroTime) -> LeaseRecord {
    LeaseRecord {
        holder: SmolStr::default(),
        duration_seconds: 1,
        acquire_time: Some(wall),
        renew_time: Some(wall),
        transitions: old.transitions,
    }
}

#[cfg(test)]
mod tests;
