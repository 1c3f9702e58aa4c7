//! Leadership, membership and shares of one replica, over Leases of `coordination.k8s.io/v1`.
//!
//! Carries out what [`windlass_core::lease::group`] decides, for any number of leases in one
//! task, and publishes the outcome. Promises: what may be acted on ends by itself, also while
//! this task does not run; requests are at most as slow as the retry period; on the way out
//! every lease is given up. Give it a client of its own, so that no guest's calls are in its
//! way. Deliberately not here: what follows from leadership, and the namespace, which
//! somebody else has to create.

use std::sync::Arc;

use smol_str::{SmolStr, format_smolstr};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use windlass_core::api_error::ApiError;
use windlass_core::lease::clock::{BootClock, Clock};
use windlass_core::lease::election::{ElectionConfig, ElectionConfigError};
use windlass_core::lease::group::{Group, GroupConfig, Leadership, Members, Mode, RebalanceConfig};
use windlass_core::lease::record::ObservedLease;
use windlass_core::lease::tenure::Tenure;
use windlass_core::shard::Share;

use self::runner::Runner;
use crate::client::ApiClient;

mod runner;
mod wire;

/// Which group a replica belongs to, and who it is.
#[derive(Clone)]
pub struct LeaseElectorConfig {
    /// Where the Leases are.
    pub namespace: SmolStr,
    /// The group: replicas with the same modules. A label value.
    pub group: SmolStr,
    /// The replica. Must be new with each process, such as `<hostname>_<uuid>`.
    pub identity: SmolStr,
    /// Times.
    pub election: ElectionConfig,
    /// When leases move to another replica though their leader is well.
    pub rebalance: RebalanceConfig,
    /// The clock on which everything ends; another than the machine's for tests.
    pub clock: Arc<dyn Clock>,
}

impl LeaseElectorConfig {
    /// With the usual times.
    #[must_use]
    pub fn new(namespace: &str, group: &str, identity: &str) -> Self {
        Self {
            namespace: namespace.into(),
            group: group.into(),
            identity: identity.into(),
            election: ElectionConfig::default(),
            rebalance: RebalanceConfig::default(),
            clock: Arc::new(BootClock),
        }
    }
}

/// Why leases cannot be read or written at present.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeaseError {
    /// The namespace is missing.
    #[error("cannot create lease {lease}: namespace {namespace} does not exist; create it or name another")]
    NoNamespace {
        /// The lease.
        lease: SmolStr,
        /// The namespace.
        namespace: SmolStr,
    },
    /// The server refuses, or does not answer.
    #[error("cannot {verb} lease {namespace}/{lease}: {source}")]
    Request {
        /// As RBAC knows it.
        verb: &'static str,
        /// The namespace.
        namespace: SmolStr,
        /// The lease.
        lease: SmolStr,
        /// Why.
        source: ApiError,
    },
    /// The group's leases cannot be listed.
    #[error("cannot list leases in namespace {namespace}: {source}")]
    List {
        /// The namespace.
        namespace: SmolStr,
        /// Why.
        source: ApiError,
    },
}

/// One lease as this replica sees it, for people. What may be acted on is said by
/// [`LeaderContest::leadership`] and [`ShareContest::share`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeaseSight {
    /// `namespace/name`.
    pub name: SmolStr,
    /// As it was last read or written; nothing before that.
    pub lease: Option<Arc<ObservedLease>>,
    /// As long as this replica holds it.
    pub tenure: Option<Tenure>,
    /// How often a write met a version that it did not expect:
    /// `leader_election_slowpath_total`.
    pub slow_paths: u64,
}

impl LeaseSight {
    /// Whether this replica holds it at this moment.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.tenure.as_ref().is_some_and(Tenure::is_valid_now)
    }
}

/// Joins contests. Cheap to clone.
#[derive(Clone)]
pub struct LeaseElector {
    namespace: SmolStr,
    identity: SmolStr,
    // Unbounded, yet never longer than a few commands for each module.
    commands: mpsc::UnboundedSender<Command>,
    members: watch::Receiver<Members>,
    problem: watch::Receiver<Option<LeaseError>>,
}

/// The task behind a [`LeaseElector`].
pub struct LeaseTask(Runner);

enum Command {
    Join(SmolStr, Mode, Published),
    Withdraw(SmolStr),
    StepDown(SmolStr),
    Drained(SmolStr, Share),
}

/// Where the state of one contest goes.
struct Published {
    leadership: watch::Sender<Leadership>,
    share: watch::Sender<Share>,
    sight: watch::Sender<LeaseSight>,
}

impl LeaseElector {
    /// An elector and the task that serves it, which somebody must run.
    ///
    /// # Errors
    /// When the times do not work together.
    pub fn new(
        client: ApiClient,
        config: LeaseElectorConfig,
    ) -> Result<(Self, LeaseTask), ElectionConfigError> {
        config.election.validate()?;
        let (namespace, identity) = (config.namespace.clone(), config.identity.clone());
        let group = GroupConfig {
            name: config.group,
            identity: config.identity,
            election: config.election,
            rebalance: config.rebalance,
        };
        let (commands, receiver) = mpsc::unbounded_channel();
        let (members_sender, members) = watch::channel(Members::default());
        let (problem_sender, problem) = watch::channel(None);
        let task = LeaseTask(Runner::new(
            Arc::new(wire::Leases::new(
                client,
                config.namespace,
                group.name.clone(),
                config.election.retry_period,
            )),
            Group::new(group, Arc::clone(&config.clock)),
            config.clock,
            receiver,
            members_sender,
            problem_sender,
        ));
        let elector = Self {
            namespace,
            identity,
            commands,
            members,
            problem,
        };
        Ok((elector, task))
    }

    /// Contends for leading a module. One contest for each lease at a time.
    #[must_use]
    pub fn lead(&self, lease: &str) -> LeaderContest {
        let (contest, leadership, _) = self.join(lease, Mode::Led);
        LeaderContest { contest, leadership }
    }

    /// Takes part in a sharded module. One contest for each lease at a time.
    #[must_use]
    pub fn share(&self, lease: &str) -> ShareContest {
        let (contest, _, share) = self.join(lease, Mode::Shared);
        ShareContest { contest, share }
    }

    /// Where the Leases are.
    #[must_use]
    pub fn namespace(&self) -> &SmolStr {
        &self.namespace
    }

    /// What this replica is called in them.
    #[must_use]
    pub fn identity(&self) -> &SmolStr {
        &self.identity
    }

    /// Who is there.
    #[must_use]
    pub fn members(&self) -> watch::Receiver<Members> {
        self.members.clone()
    }

    /// What went wrong last, until something works again.
    #[must_use]
    pub fn problem(&self) -> watch::Receiver<Option<LeaseError>> {
        self.problem.clone()
    }

    fn join(
        &self,
        lease: &str,
        mode: Mode,
    ) -> (Contest, watch::Receiver<Leadership>, watch::Receiver<Share>) {
        let (leadership, leadership_receiver) = watch::channel(Leadership::Follower { holder: None });
        let (share, share_receiver) = watch::channel(Share::default());
        let (sight, sight_receiver) = watch::channel(LeaseSight {
            name: format_smolstr!("{}/{lease}", self.namespace),
            ..LeaseSight::default()
        });
        let contest = Contest {
            lease: lease.into(),
            commands: self.commands.clone(),
            sight: sight_receiver,
        };
        let published = Published {
            leadership,
            share,
            sight,
        };
        contest.send(Command::Join(contest.lease.clone(), mode, published));
        (contest, leadership_receiver, share_receiver)
    }
}

impl LeaseTask {
    /// Runs until everything is given up after `stop`. Stop it only when no sync is running.
    pub async fn run(self, stop: CancellationToken) {
        self.0.run(stop).await;
    }
}

struct Contest {
    lease: SmolStr,
    commands: mpsc::UnboundedSender<Command>,
    sight: watch::Receiver<LeaseSight>,
}

impl Contest {
    fn send(&self, command: Command) {
        // Without a task there is nothing to lead; the tenures end by themselves.
        let _ = self.commands.send(command);
    }
}

impl Drop for Contest {
    fn drop(&mut self) {
        self.send(Command::Withdraw(self.lease.clone()));
    }
}

/// Part in the contest for one lease. Dropping it gives the lease up: drain first.
pub struct LeaderContest {
    contest: Contest,
    leadership: watch::Receiver<Leadership>,
}

impl LeaderContest {
    /// What this replica is. A leader's [`windlass_core::lease::tenure::Tenure`] is what
    /// counts: this channel may say too late that it ended.
    #[must_use]
    pub fn leadership(&self) -> watch::Receiver<Leadership> {
        self.leadership.clone()
    }

    /// Gives the lease up and goes on as a follower, as [`Leadership::HandingOver`] asks.
    /// Call it when no sync is running.
    pub fn step_down(&self) {
        self.contest.send(Command::StepDown(self.contest.lease.clone()));
    }

    /// How the lease looks.
    #[must_use]
    pub fn sight(&self) -> watch::Receiver<LeaseSight> {
        self.contest.sight.clone()
    }
}

/// Part in a sharded module. Dropping it gives the share up: drain first.
pub struct ShareContest {
    contest: Contest,
    share: watch::Receiver<Share>,
}

impl ShareContest {
    /// What may be synced. [`Share::owns`] is what counts: this channel may say too late
    /// that it ended.
    #[must_use]
    pub fn share(&self) -> watch::Receiver<Share> {
        self.share.clone()
    }

    /// How the lease looks whose holder keeps the shard table.
    #[must_use]
    pub fn sight(&self) -> watch::Receiver<LeaseSight> {
        self.contest.sight.clone()
    }

    /// Says that no sync is running, or will start, of a key that this share does not own. To
    /// be called for *every* share that is published, at once if nothing was running: the
    /// channel may have skipped one in which keys were lost, and until it is said nobody else
    /// gets them.
    pub fn drained(&self, share: &Share) {
        self.contest
            .send(Command::Drained(self.contest.lease.clone(), share.clone()));
    }
}
