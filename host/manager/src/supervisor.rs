//! Keeps one module at work: starts it, starts it again after a failure with a back-off,
//! and replaces one version by another while it serves.
//!
//! At most one version *serves*. A version that is to take over, the *candidate*, fills
//! its caches and starts beside it; only when it could serve does it get the word, and the
//! one before takes no more keys. A candidate that fails changes nothing. Both work from
//! the same queue, which never hands out a key that is being synced, so the swap happens
//! between two syncs of each key. A guest with an observer keeps a model of its own that
//! may hold what it has not written yet; such a module lets go completely before the next
//! version begins, and that one first learns of everything that was written.
//!
//! Promises: a failure costs one instance; the queue and its keys outlive it; each new
//! instance sees the whole present content, and syncs every key of it.

mod status;

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use futures::future::BoxFuture;
use smol_str::SmolStr;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use windlass_cluster::subscription::Subscription;
use windlass_core::outcome::GuestFailure;
use windlass_core::permission::{Grants, PermissionRule};
use windlass_core::rate_limiter::{Backoff, BackoffConfig};
use windlass_core::shard::Share;
use windlass_telemetry::status::ReloadResult;

pub use self::status::{ModuleState, ModuleStatus, Reload};
use crate::config::ModuleEntry;
use crate::controller::Controller;
use crate::grace::Grace;
use crate::host::Surroundings;
use crate::mandate::{Authority, Mandate, Standing};
use crate::module::Module;
use crate::permissions;
use crate::run::{LoopEnd, Orders};
use crate::version::{self, Ended, Version};

/// What a supervisor is told.
#[derive(Debug)]
pub(crate) enum Command {
    /// Run this version, in place of any other.
    Run(Arc<Module>),
    /// A version was asked for that cannot run.
    Reject {
        entry: Arc<ModuleEntry>,
        digest: Option<String>,
        reason: String,
    },
    /// What was asked for is what it was told to run last.
    Unchanged,
    /// The same, after the source could not be fetched.
    Confirm,
    /// What the configuration grants from this moment on.
    Restrict(Granted),
    /// Run nothing.
    Disable,
    /// Drop the running instance as it stands, as a trap would.
    Restart,
    /// The caches may hold something else than before: start what had no room in them.
    MoreRoom,
}

/// What a configuration grants to a module.
#[derive(Clone, Debug)]
pub(crate) struct Granted {
    pub(crate) rules: Grants,
    /// Whatever its guest declares, besides.
    pub(crate) declared: bool,
    /// As far as this goes, if it is bounded.
    pub(crate) ceiling: Option<Grants>,
}

impl Granted {
    fn to(&self, module: &Module) -> Grants {
        let mut grants = self.rules.clone();
        if self.declared {
            let declared = permissions::required(&module.guest.manifest);
            grants.0.extend(match &self.ceiling {
                Some(ceiling) => permissions::within(&declared, ceiling),
                None => declared,
            });
        }
        grants
    }
}

/// A version with a run of its own.
struct Slot {
    version: Arc<Version>,
    orders: Orders,
    kill: CancellationToken,
    ready: oneshot::Receiver<()>,
    task: JoinHandle<Ended>,
}

/// A module under supervision.
pub(crate) struct Supervisor {
    controller: Arc<Controller>,
    surroundings: Surroundings,
    grace: Grace,
    status: watch::Sender<ModuleStatus>,
    mandate: Mandate,
    /// What the instances act on; nothing while they must not.
    authority: Option<Authority>,
    /// The share that was last acted on.
    share: Option<Share>,
    /// Ends when nothing is synced any more that a share took away.
    releasing: Option<BoxFuture<'static, Share>>,
    /// What the configuration grants; before it was told, what a module was loaded with.
    granted: Option<Granted>,
    /// The version that the configuration asks for.
    wanted: Option<Arc<Module>>,
    serving: Option<Slot>,
    candidate: Option<Slot>,
    retiring: JoinSet<()>,
    /// The version that served last.
    last_good: Option<Arc<Module>>,
    backoff: Backoff,
    /// What to start after a failure, and when.
    retry: Option<(tokio::time::Instant, Arc<Module>)>,
    /// Whether the caches were too full for what was to run.
    had_no_room: bool,
    /// Of the last instance, until the next has one.
    subscription: Option<Subscription>,
}

enum Event {
    Stop,
    Command(Command),
    ServingEnded(Ended),
    CandidateReady,
    CandidateEnded(Ended),
    Mandate,
    Released(Share),
    /// What the last instance left has no room in the caches.
    NoRoom(GuestFailure),
    Retry,
}

impl Supervisor {
    pub(crate) fn new(controller: Arc<Controller>, surroundings: Surroundings, grace: Grace) -> Self {
        let (status, _) = watch::channel(ModuleStatus::starting());
        Self {
            controller,
            surroundings,
            grace,
            status,
            mandate: Mandate::Always,
            granted: None,
            authority: None,
            share: None,
            releasing: None,
            wanted: None,
            serving: None,
            candidate: None,
            retiring: JoinSet::new(),
            last_good: None,
            backoff: Backoff::new(BackoffConfig::GUEST),
            retry: None,
            had_no_room: false,
            subscription: None,
        }
    }

    /// Where the module stands.
    pub(crate) fn status(&self) -> watch::Receiver<ModuleStatus> {
        self.status.subscribe()
    }

    /// Does as it is told, and as far as the mandate goes, until `stop` is cancelled or
    /// nobody can tell it anything any more, then drains within the grace period.
    pub(crate) async fn run(
        mut self,
        mandate: Mandate,
        mut commands: mpsc::UnboundedReceiver<Command>,
        stop: CancellationToken,
    ) {
        self.mandate = mandate;
        self.review().await;
        loop {
            match self.next(&mut commands, &stop).await {
                Event::Stop => break,
                Event::Command(command) => self.obey(command).await,
                Event::ServingEnded(ended) => self.serving_failed(ended),
                Event::CandidateReady => self.swap().await,
                Event::CandidateEnded(ended) => self.candidate_failed(ended),
                Event::Mandate => self.review().await,
                Event::Released(share) => {
                    self.releasing = None;
                    self.mandate.drained(&share);
                }
                Event::NoRoom(failure) => self.no_room(&failure),
                Event::Retry => self.retry(),
            }
        }
        self.controller.queue.shut_down();
        self.stand_down().await;
        self.enter(ModuleState::Stopped);
    }

    async fn next(
        &mut self,
        commands: &mut mpsc::UnboundedReceiver<Command>,
        stop: &CancellationToken,
    ) -> Event {
        let Self {
            serving,
            candidate,
            retry,
            mandate,
            releasing,
            subscription,
            ..
        } = self;
        let retry_at = retry.as_ref().map(|(at, _)| *at);
        tokio::select! {
            biased;
            () = stop.cancelled() => Event::Stop,
            () = mandate.changed() => Event::Mandate,
            share = released(releasing) => Event::Released(share),
            ended = end_of(serving) => Event::ServingEnded(ended),
            event = progress_of(candidate) => event,
            failure = no_room_for(subscription.as_ref()) => Event::NoRoom(failure),
            command = commands.recv() => command.map_or(Event::Stop, Event::Command),
            () = until(retry_at) => Event::Retry,
        }
    }

    async fn obey(&mut self, command: Command) {
        match command {
            Command::Run(module) => {
                self.wanted = Some(Arc::clone(&module));
                if self.authority.is_some() {
                    self.prepare(module).await;
                } else {
                    self.review().await;
                }
            }
            Command::Reject {
                entry,
                digest,
                reason,
            } => self.reject(ReloadResult::Refused, entry, digest, reason),
            Command::Unchanged => self.status.send_modify(|status| status.reloads_unchanged += 1),
            Command::Confirm => self.confirm().await,
            Command::Restrict(granted) => self.restrict(granted),
            Command::Restart => {
                if let Some(slot) = &self.serving {
                    slot.kill.cancel();
                }
            }
            Command::MoreRoom => {
                if std::mem::take(&mut self.had_no_room) && self.authority.is_some() {
                    if let Some(module) = self.wanted.clone().or_else(|| self.last_good.clone()) {
                        self.prepare(module).await;
                    }
                }
            }
            Command::Disable => {
                self.stand_down().await;
                self.wanted = None;
                self.last_good = None;
                self.enter(ModuleState::Disabled);
            }
        }
    }

    /// What was refused last was the source, not the version.
    async fn confirm(&mut self) {
        let Some(module) = self.wanted.clone() else {
            return;
        };
        let is_good = |good: &Arc<Module>| Arc::ptr_eq(good, &module);
        if self.last_good.as_ref().is_some_and(is_good) {
            self.status.send_modify(|status| {
                status.reloads_unchanged += 1;
                status.reload = Some(Reload::new(ReloadResult::Unchanged, &module));
            });
        } else if self.authority.is_none() {
            self.review().await;
        } else if self.candidate.is_none() {
            self.prepare(module).await;
        }
    }

    /// Starts a version beside the one that serves.
    async fn prepare(&mut self, module: Arc<Module>) {
        if let Some(earlier) = self.candidate.take() {
            earlier.end().await;
        }
        self.retry = None;
        self.had_no_room = false;
        self.controller.queue.set_limit(module.queue_length);
        self.start(module);
    }

    fn start(&mut self, module: Arc<Module>) {
        let Some(authority) = self.authority.clone() else {
            return;
        };
        let controller = Arc::clone(&self.controller);
        let granted = self.granted.as_ref().map(|granted| granted.to(&module));
        let entry = Arc::clone(&module.entry);
        let version = match Version::new(module, controller, &self.surroundings, authority) {
            Ok(version) => Arc::new(version),
            Err(error) => return self.reject(ReloadResult::Refused, entry, None, error.to_string()),
        };
        if let Some(granted) = granted {
            // It may have been loaded under a configuration that granted more.
            let unread = version.unreadable_under(&granted);
            if !unread.is_empty() {
                return self.forbid(&unread);
            }
            version.set_grants(granted);
        }
        let (orders, kill) = (Orders::default(), CancellationToken::new());
        let (started, ready) = oneshot::channel();
        let started = move || {
            // Nobody waits only if the candidate was given up meanwhile.
            let _ = started.send(());
        };
        let run = Arc::clone(&version).run(orders.clone(), kill.clone(), self.grace.clone(), started);
        let task = tokio::spawn(run);
        self.candidate = Some(Slot {
            version,
            orders,
            kill,
            ready,
            task,
        });
        if self.serving.is_none() {
            self.enter(ModuleState::Starting);
        }
    }

    /// The candidate could serve: it takes over.
    async fn swap(&mut self) {
        let Some(candidate) = self.candidate.take() else {
            return;
        };
        let first = self.last_good.is_none();
        while self.retiring.try_join_next().is_some() {}
        if let Some(earlier) = self.serving.take() {
            earlier.orders.drain.cancel();
            self.retiring.spawn(async move { drop(earlier.task.await) });
        }
        if candidate.version.module.guest.exports.observer {
            // What earlier models hold and nobody else knows has to be written first.
            self.retired().await;
        }
        let module = Arc::clone(&candidate.version.module);
        let changed = !self
            .last_good
            .as_ref()
            .is_some_and(|good| Arc::ptr_eq(good, &module));
        if changed {
            self.controller.pardon();
        }
        candidate.orders.go.cancel();
        self.serving = Some(candidate);
        self.subscription = None;
        self.last_good = Some(Arc::clone(&module));
        let manifest = &module.guest.manifest;
        tracing::info!(
            controller = %self.controller.name, guest = %manifest.name, version = %manifest.version, digest = module.guest.digest,
            "{}", if first { "controller started" } else if changed { "controller replaced" } else { "controller restarted" }
        );
        self.enter(ModuleState::Running);
        self.status.send_modify(|status| {
            if changed {
                status.reloads_applied += 1;
                status.reload = Some(Reload::new(ReloadResult::Swapped, &module));
            }
            status.serving = Some(module);
        });
    }

    fn candidate_failed(&mut self, ended: Ended) {
        let Some(candidate) = self.candidate.take() else {
            return;
        };
        let LoopEnd::Failed(failure) = ended.end else {
            return;
        };
        self.had_no_room |= matches!(failure, GuestFailure::CachesFull { .. });
        let label = failure.label();
        let module = &candidate.version.module;
        let is_new = !self
            .last_good
            .as_ref()
            .is_some_and(|good| Arc::ptr_eq(good, module));
        if is_new {
            let (entry, digest) = (Arc::clone(&module.entry), module.guest.digest.clone());
            self.reject(ReloadResult::NotStarted, entry, Some(digest), failure.to_string());
        }
        if self.serving.is_none() {
            self.subscription = ended.subscription.or(self.subscription.take());
            let again = Arc::clone(self.last_good.as_ref().unwrap_or(module));
            if Arc::ptr_eq(&again, module) && failure.is_final() {
                self.give_up(&failure);
            } else {
                self.back_off(again, failure);
            }
        }
        self.controller.count_failure(label);
    }

    fn serving_failed(&mut self, ended: Ended) {
        self.serving = None;
        self.subscription = ended.subscription;
        let LoopEnd::Failed(failure) = ended.end else {
            return;
        };
        self.had_no_room |= matches!(failure, GuestFailure::CachesFull { .. });
        // Counted last, so that whoever sees the count sees the state that follows, too.
        let label = failure.label();
        if self.candidate.is_some() {
            // It is the next instance.
            self.enter(ModuleState::Starting);
        } else if failure.is_final() {
            self.give_up(&failure);
        } else if let Some(module) = self.last_good.clone() {
            self.back_off(module, failure);
        }
        self.controller.count_failure(label);
    }

    /// Lets go of what was kept for the next instance, and of the next instance with it.
    fn no_room(&mut self, failure: &GuestFailure) {
        self.subscription = None;
        self.had_no_room = true;
        if self.serving.is_none() && self.candidate.is_none() {
            self.retry = None;
            self.give_up(failure);
        }
    }

    /// Starts nothing until something about the module changes.
    fn give_up(&mut self, failure: &GuestFailure) {
        tracing::error!(
            controller = %self.controller.name, reason = failure.label(), error = %failure,
            "guest failed, will not start again"
        );
        self.subscription = None;
        self.enter(ModuleState::Failed {
            reason: failure.to_string(),
        });
    }

    fn back_off(&mut self, module: Arc<Module>, failure: GuestFailure) {
        let delay = self.backoff.next_delay(Instant::now());
        tracing::error!(
            controller = %self.controller.name, reason = failure.label(), error = %failure, ?delay,
            "guest failed, will start again"
        );
        self.retry = Some((tokio::time::Instant::now() + delay, module));
        self.enter(ModuleState::BackOff { failure, delay });
    }

    fn retry(&mut self) {
        if let Some((_, module)) = self.retry.take() {
            self.start(module);
        }
    }

    fn reject(
        &mut self,
        result: ReloadResult,
        entry: Arc<ModuleEntry>,
        digest: Option<String>,
        reason: String,
    ) {
        let keeps = self.serving.is_some() || self.last_good.is_some();
        tracing::error!(
            controller = %self.controller.name, reason, digest,
            "{}", if keeps { "change rejected, the last good version goes on" } else { "module cannot run" }
        );
        self.status.send_modify(|status| {
            match result {
                ReloadResult::NotStarted => status.reloads_not_started += 1,
                _ => status.reloads_rejected += 1,
            }
            status.reload = Some(Reload {
                result,
                entry,
                rejected: Some(reason.clone()),
                digest,
                at: SystemTime::now(),
            });
        });
        if !keeps && self.candidate.is_none() {
            self.enter(ModuleState::Failed { reason });
        }
    }

    /// Applies what the configuration grants to what runs already, and to whatever starts
    /// from here on. A version that may not read what it watches any more ends at once.
    fn restrict(&mut self, granted: Granted) {
        let apply = |slot: &Slot| {
            let grants = granted.to(&slot.version.module);
            let unread = slot.version.unreadable_under(&grants);
            slot.version.set_grants(grants);
            unread
        };
        let serving = self.serving.as_ref().map(apply);
        let candidate = self.candidate.as_ref().map(apply);
        self.granted = Some(granted);
        match (serving, candidate) {
            (Some(unread), _) | (None, Some(unread)) if !unread.is_empty() => self.forbid(&unread),
            (Some(_), Some(unread)) if !unread.is_empty() => self.drop_candidate(),
            _ => {}
        }
    }

    /// Nothing that watches as the last good version did can start any more.
    fn forbid(&mut self, unread: &[PermissionRule]) {
        let missing: Vec<String> = unread.iter().map(ToString::to_string).collect();
        tracing::error!(
            controller = %self.controller.name, missing = missing.join(", "),
            "what it watches is no longer granted; it stops"
        );
        self.abandon();
        (self.wanted, self.last_good) = (None, None);
        self.enter(ModuleState::Failed {
            reason: "what it watches is no longer granted".to_owned(),
        });
    }

    /// Acts, stands by or lets go, as the mandate says at this moment.
    async fn review(&mut self) {
        match self.mandate.standing() {
            Standing::Acting(authority) => {
                self.act(true);
                let continues = self
                    .authority
                    .as_ref()
                    .is_some_and(|held| held.continues(&authority));
                if !continues {
                    self.abandon();
                    self.authority = Some(authority);
                    if let Some(module) = self.wanted.clone().or_else(|| self.last_good.clone()) {
                        self.prepare(module).await;
                    }
                }
                self.review_share(continues);
            }
            Standing::Standby { holder } => {
                self.act(false);
                self.abandon();
                self.authority = None;
                self.review_share(false);
                self.stand_by(holder);
            }
            Standing::HandingOver => {
                self.act(false);
                self.stand_down().await;
                self.authority = None;
                self.mandate.step_down();
                self.stand_by(None);
            }
        }
    }

    /// There is nothing to stand by with while nothing could run.
    fn stand_by(&self, holder: Option<SmolStr>) {
        if self.wanted.is_some() {
            self.enter(ModuleState::Standby { holder });
        }
    }

    /// Lets go of the keys that a new share took away, and has those that came synced.
    fn review_share(&mut self, continues: bool) {
        let Some(share) = self.mandate.share() else {
            return;
        };
        let before = self.share.replace(share.clone()).unwrap_or_default();
        let (controller, kept) = (Arc::clone(&self.controller), share.clone());
        self.releasing = Some(Box::pin(async move {
            controller.finished(|key| !kept.assigns(key)).await;
            kept
        }));
        let gained = !share.slots().is_subset(before.slots());
        if continues && gained && self.candidate.is_none() {
            if let Some(serving) = &self.serving {
                // A new instance syncs every key of the whole content.
                let module = Arc::clone(&serving.version.module);
                self.start(module);
            }
        }
    }

    /// Ends whatever runs at once: it must not act any more.
    fn abandon(&mut self) {
        self.retry = None;
        self.drop_candidate();
        if let Some(serving) = self.serving.take() {
            self.retiring.spawn(serving.end());
        }
    }

    fn drop_candidate(&mut self) {
        if let Some(candidate) = self.candidate.take() {
            self.retiring.spawn(candidate.end());
        }
    }

    /// Ends whatever runs, in order.
    async fn stand_down(&mut self) {
        self.retry = None;
        if let Some(candidate) = self.candidate.take() {
            candidate.end().await;
        }
        if let Some(serving) = self.serving.take() {
            serving.orders.drain.cancel();
            drop(serving.task.await);
        }
        self.retired().await;
        self.subscription = None;
    }

    /// Waits for the versions that were replaced or abandoned.
    async fn retired(&mut self) {
        while self.retiring.join_next().await.is_some() {}
    }

    fn act(&self, acts: bool) {
        self.status.send_if_modified(|status| {
            let changed = status.acts != acts;
            status.acts = acts;
            changed
        });
    }

    fn enter(&self, state: ModuleState) {
        self.status.send_if_modified(|status| {
            let changed = status.state != state;
            if changed {
                status.state = state;
                status.since = SystemTime::now();
            }
            changed
        });
    }
}

impl Slot {
    async fn end(self) {
        self.kill.cancel();
        drop(self.task.await);
    }
}

async fn end_of(slot: &mut Option<Slot>) -> Ended {
    match slot {
        Some(slot) => joined((&mut slot.task).await),
        None => std::future::pending().await,
    }
}

async fn progress_of(slot: &mut Option<Slot>) -> Event {
    let Some(slot) = slot else {
        return std::future::pending().await;
    };
    tokio::select! {
        // It ends without a word if its task is about to end, and must not be asked again.
        Ok(()) = &mut slot.ready, if !slot.ready.is_terminated() => Event::CandidateReady,
        ended = &mut slot.task => Event::CandidateEnded(joined(ended)),
    }
}

/// A task that panicked is a bug of the host; the module starts again all the same.
fn joined(ended: Result<Ended, tokio::task::JoinError>) -> Ended {
    ended.unwrap_or_else(|error| Ended {
        end: LoopEnd::Failed(GuestFailure::Instantiation(format!("its task ended: {error}"))),
        subscription: None,
    })
}

async fn no_room_for(subscription: Option<&Subscription>) -> GuestFailure {
    match subscription {
        Some(subscription) => version::caches_full(subscription.crowded_out().await),
        None => std::future::pending().await,
    }
}

async fn released(releasing: &mut Option<BoxFuture<'static, Share>>) -> Share {
    match releasing {
        Some(releasing) => releasing.await,
        None => std::future::pending().await,
    }
}

async fn until(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
