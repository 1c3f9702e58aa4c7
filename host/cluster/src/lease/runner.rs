//! The loop that makes a group's requests.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt as _};
use jiff::Timestamp;
use smol_str::SmolStr;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use windlass_core::api_error::{ApiError, ApiErrorKind};
use windlass_core::lease::clock::Clock;
use windlass_core::lease::election::{Answer, Moment};
use windlass_core::lease::group::{Action, Group, Leadership, Members};
use windlass_core::lease::record::{MicroTime, ObservedLease};

use super::wire::Leases;
use super::{Command, LeaseError, Published};

/// Requests under way at one time; each of them takes a connection.
const MAX_IN_FLIGHT: usize = 64;
/// Longest sleep: the group always has a next time, but none of it is far away.
const IDLE: Duration = Duration::from_secs(60);

/// See the module.
pub(super) struct Runner {
    leases: Arc<Leases>,
    group: Group,
    clock: Arc<dyn Clock>,
    commands: mpsc::UnboundedReceiver<Command>,
    published: HashMap<SmolStr, Published>,
    members: watch::Sender<Members>,
    problem: watch::Sender<Option<LeaseError>>,
    requests: FuturesUnordered<BoxFuture<'static, Answered>>,
    permits: Arc<Semaphore>,
}

/// How a request ended.
enum Answered {
    List(Result<Vec<ObservedLease>, ApiError>),
    Lease {
        name: SmolStr,
        verb: &'static str,
        result: Result<ObservedLease, ApiError>,
    },
    Deleted,
}

enum Event {
    Command(Option<Command>),
    Answered(Answered),
    Wake,
    Stop,
}

impl Runner {
    pub(super) fn new(
        leases: Arc<Leases>,
        group: Group,
        clock: Arc<dyn Clock>,
        commands: mpsc::UnboundedReceiver<Command>,
        members: watch::Sender<Members>,
        problem: watch::Sender<Option<LeaseError>>,
    ) -> Self {
        Self {
            leases,
            group,
            clock,
            commands,
            published: HashMap::new(),
            members,
            problem,
            requests: FuturesUnordered::new(),
            permits: Arc::new(Semaphore::new(MAX_IN_FLIGHT)),
        }
    }

    pub(super) async fn run(mut self, stop: CancellationToken) {
        let (mut is_open, mut is_leaving) = (true, false);
        loop {
            self.drain_commands(&mut is_open);
            let poll = self.group.poll(self.moment());
            self.publish();
            if poll.finished {
                return;
            }
            for action in poll.actions {
                self.request(action);
            }
            let sleep = poll
                .wake_at
                .map_or(IDLE, |at| at.saturating_since(self.clock.now()).min(IDLE));
            let event = tokio::select! {
                () = stop.cancelled(), if !is_leaving => Event::Stop,
                command = self.commands.recv(), if is_open => Event::Command(command),
                Some(answered) = self.requests.next(), if !self.requests.is_empty() => Event::Answered(answered),
                () = tokio::time::sleep(sleep) => Event::Wake,
            };
            match event {
                Event::Stop => {
                    is_leaving = true;
                    self.group.leave();
                }
                Event::Command(Some(command)) => self.command(command),
                Event::Command(None) => is_open = false,
                Event::Answered(answered) => self.answered(answered),
                Event::Wake => {}
            }
        }
    }

    fn moment(&self) -> Moment {
        Moment {
            boot: self.clock.now(),
            wall: MicroTime(Timestamp::now().as_microsecond()),
        }
    }

    /// Takes everything that is ready, so that hundreds of leases cost few rounds.
    fn drain_commands(&mut self, is_open: &mut bool) {
        loop {
            match self.commands.try_recv() {
                Ok(command) => self.command(command),
                Err(mpsc::error::TryRecvError::Empty) => break,
                Err(mpsc::error::TryRecvError::Disconnected) => {
                    *is_open = false;
                    break;
                }
            }
        }
        while let Some(Some(answered)) = self.requests.next().now_or_never() {
            self.answered(answered);
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Join(lease, mode, published) => {
                let moment = self.moment();
                self.group.join(&lease, mode, moment);
                self.published.insert(lease, published);
            }
            Command::Withdraw(lease) => {
                self.group.withdraw(&lease);
                self.published.remove(&lease);
            }
            Command::StepDown(lease) => self.group.step_down(&lease),
            Command::Drained(lease, share) => self.group.drained(&lease, &share),
        }
    }

    fn request(&self, action: Action) {
        let (leases, permits) = (Arc::clone(&self.leases), Arc::clone(&self.permits));
        let request = async move {
            // Never closed. The wait counts: what is late is given up by its tenure.
            let _permit = permits.acquire().await;
            match action {
                Action::List => Answered::List(leases.list().await),
                Action::Get(name) => {
                    let result = leases.get(&name).await;
                    Answered::lease(name, "get", result)
                }
                Action::Create(lease) => {
                    let name = lease.name.clone();
                    Answered::lease(name, "create", leases.create(lease).await)
                }
                Action::Update(lease) => {
                    let name = lease.name.clone();
                    Answered::lease(name, "update", leases.update(lease).await)
                }
                Action::Delete {
                    name,
                    resource_version,
                } => {
                    // Somebody else may have been first, and it is tried again.
                    let _ = leases.delete(&name, &resource_version).await;
                    Answered::Deleted
                }
            }
        };
        self.requests.push(request.boxed());
    }

    fn answered(&mut self, answered: Answered) {
        let moment = self.moment();
        match answered {
            Answered::Deleted => {}
            Answered::List(result) => {
                let leases = match result {
                    Ok(leases) => {
                        self.works(|problem| matches!(problem, LeaseError::List { .. }));
                        Some(leases)
                    }
                    Err(source) => {
                        let namespace = self.leases.namespace.clone();
                        self.fails(LeaseError::List { namespace, source });
                        None
                    }
                };
                self.group.listed(moment, leases);
            }
            Answered::Lease { name, verb, result } => {
                let answer = self.interpret(&name, verb, result);
                self.group.answered(&name, moment, answer);
            }
        }
    }

    fn interpret(
        &self,
        name: &SmolStr,
        verb: &'static str,
        result: Result<ObservedLease, ApiError>,
    ) -> Answer {
        let source = match result {
            Ok(lease) => {
                self.works(|problem| !matches!(problem, LeaseError::List { .. }));
                return Answer::Lease(Arc::new(lease));
            }
            Err(source) => source,
        };
        let (lease, namespace) = (name.clone(), self.leases.namespace.clone());
        match source.kind {
            ApiErrorKind::Conflict | ApiErrorKind::AlreadyExists => Answer::Conflict,
            ApiErrorKind::NotFound if verb == "create" => {
                self.fails(LeaseError::NoNamespace { lease, namespace });
                Answer::NotFound
            }
            ApiErrorKind::NotFound => Answer::NotFound,
            _ => {
                self.fails(LeaseError::Request {
                    verb,
                    namespace,
                    lease,
                    source,
                });
                Answer::Failed
            }
        }
    }

    fn fails(&self, problem: LeaseError) {
        self.problem.send_if_modified(|present| {
            let is_news = present.as_ref() != Some(&problem);
            if is_news {
                warn!(error = %problem, "leader election is in trouble");
                *present = Some(problem);
            }
            is_news
        });
    }

    /// Takes back a problem of the kind that has just been seen to be over.
    fn works(&self, is_over: impl FnOnce(&LeaseError) -> bool) {
        self.problem
            .send_if_modified(|present| present.take_if(|problem| is_over(problem)).is_some());
    }

    fn publish(&mut self) {
        for (lease, published) in &self.published {
            let leadership = self.group.leadership(lease);
            published.leadership.send_if_modified(|present| {
                let is_news = *present != leadership;
                if is_news {
                    tell(lease, present, &leadership);
                    *present = leadership;
                }
                is_news
            });
            let share = self.group.share(lease);
            published.share.send_if_modified(|present| {
                let is_news = *present != share;
                *present = share;
                is_news
            });
            let (known, slow_paths) = (self.group.known(lease), self.group.slow_paths(lease));
            let leadership = published.leadership.borrow();
            published.sight.send_if_modified(|present| {
                let is_news = present.lease.as_ref() != known
                    || present.tenure.as_ref() != leadership.tenure()
                    || present.slow_paths != slow_paths;
                if is_news {
                    present.lease = known.cloned();
                    present.tenure = leadership.tenure().cloned();
                    present.slow_paths = slow_paths;
                }
                is_news
            });
        }
        let members = self.group.members();
        self.members.send_if_modified(|present| {
            let is_news = *present != members;
            *present = members;
            is_news
        });
    }
}

impl Answered {
    fn lease(name: SmolStr, verb: &'static str, result: Result<ObservedLease, ApiError>) -> Self {
        Self::Lease { name, verb, result }
    }
}

fn tell(lease: &str, before: &Leadership, now: &Leadership) {
    match (before.tenure().is_some(), now) {
        (false, Leadership::Leader(_) | Leadership::HandingOver { .. }) => info!(lease, "became leader"),
        (true, Leadership::Follower { holder }) => {
            info!(lease, holder = holder.as_deref(), "stopped leading");
        }
        (true, Leadership::HandingOver { to, .. }) => info!(lease, to = to.as_str(), "handing over"),
        _ => {}
    }
}
