//! Whether a module may act in this replica, and for which keys.
//!
//! Replicas agree through Leases ([`windlass_cluster::lease`]); this turns what they agreed
//! on into what a supervisor does. What counts is asked synchronously, by the clock that
//! also runs while the process is stopped: [`Authority::owns`] before each sync, and the
//! tenure before each call to the API server.

use std::time::Duration;

use smol_str::{SmolStr, format_smolstr};
use tokio::sync::watch;
use windlass_cluster::lease::{LeaderContest, LeaseElector, LeaseSight, ShareContest};
use windlass_core::key::ObjectKey;
use windlass_core::lease::group::Leadership;
use windlass_core::lease::tenure::Tenure;
use windlass_core::shard::Share;

use crate::config::leadership::LeadershipMode;

/// How replicas share modules.
#[derive(Clone)]
pub struct Replicas {
    /// Contends for the leases.
    pub elector: LeaseElector,
    /// The group that this replica belongs to; part of the leases' names.
    pub group: SmolStr,
    /// This replica.
    pub identity: SmolStr,
}

/// A module's claim to act.
pub(crate) enum Mandate {
    /// There is nobody to agree with.
    Always,
    /// One replica at a time acts.
    Led {
        contest: LeaderContest,
        leadership: watch::Receiver<Leadership>,
    },
    /// Each replica acts for its share of the keys.
    Shared {
        contest: ShareContest,
        share: watch::Receiver<Share>,
    },
}

/// A mandate as somebody sees it who does not act on it. Cheap to clone.
#[derive(Clone)]
pub(crate) struct MandateView {
    /// The module's lease.
    pub(crate) sight: watch::Receiver<LeaseSight>,
    /// This replica's share, if the keys are shared.
    pub(crate) share: Option<watch::Receiver<Share>>,
}

/// What a module is to do at one moment.
pub(crate) enum Standing {
    /// Nothing. Who acts instead, as far as is known.
    Standby { holder: Option<SmolStr> },
    /// Sync what it owns.
    Acting(Authority),
    /// Finish what it does and let go.
    HandingOver,
}

/// On what grounds an instance acts; by default without any limit. Clones are the same.
#[derive(Clone, Default)]
pub struct Authority {
    tenure: Option<Tenure>,
    share: Option<watch::Receiver<Share>>,
}

impl Authority {
    /// Whether a sync of this key may start at this moment.
    #[must_use]
    pub fn owns(&self, key: &ObjectKey) -> bool {
        let is_ours = |share: &watch::Receiver<Share>| share.borrow().owns(key);
        self.tenure.as_ref().is_none_or(Tenure::is_valid_now) && self.share.as_ref().is_none_or(is_ours)
    }

    /// What every call to the API server is held against.
    pub(crate) fn tenure(&self) -> Option<&Tenure> {
        self.tenure.as_ref()
    }

    /// Whether the other is the same claim, which may have been renewed.
    pub(crate) fn continues(&self, other: &Self) -> bool {
        self.tenure == other.tenure
    }
}

impl Mandate {
    /// Joins the contest for a module.
    pub(crate) fn of(module: &str, mode: LeadershipMode, replicas: Option<&Replicas>) -> Self {
        let Some(Replicas { elector, group, .. }) = replicas else {
            return Self::Always;
        };
        let lease = format_smolstr!("{group}-{module}");
        match mode {
            LeadershipMode::None => Self::Always,
            LeadershipMode::Lease => {
                let contest = elector.lead(&lease);
                let leadership = contest.leadership();
                Self::Led { contest, leadership }
            }
            LeadershipMode::Sharded => {
                let contest = elector.share(&lease);
                let share = contest.share();
                Self::Shared { contest, share }
            }
        }
    }

    /// What there is to see of it; nothing where there is nobody to agree with.
    pub(crate) fn view(&self) -> Option<MandateView> {
        match self {
            Self::Always => None,
            Self::Led { contest, .. } => Some(MandateView {
                sight: contest.sight(),
                share: None,
            }),
            Self::Shared { contest, share } => Some(MandateView {
                sight: contest.sight(),
                share: Some(share.clone()),
            }),
        }
    }

    /// What follows from the latest news.
    pub(crate) fn standing(&self) -> Standing {
        match self {
            Self::Always => Standing::Acting(Authority::default()),
            Self::Led { leadership, .. } => match &*leadership.borrow() {
                Leadership::Leader(tenure) if tenure.is_valid_now() => Standing::Acting(Authority {
                    tenure: Some(tenure.clone()),
                    share: None,
                }),
                Leadership::HandingOver { tenure, .. } if tenure.is_valid_now() => Standing::HandingOver,
                Leadership::Follower { holder } => Standing::Standby {
                    holder: holder.clone(),
                },
                Leadership::Leader(_) | Leadership::HandingOver { .. } => Standing::Standby { holder: None },
            },
            Self::Shared { share, .. } => match share.borrow().tenure() {
                Some(tenure) if tenure.is_valid_now() => Standing::Acting(Authority {
                    tenure: Some(tenure.clone()),
                    share: Some(share.clone()),
                }),
                _ => Standing::Standby { holder: None },
            },
        }
    }

    /// The share that is in force, of a module that is shared.
    pub(crate) fn share(&self) -> Option<Share> {
        match self {
            Self::Shared { share, .. } => Some(share.borrow().clone()),
            Self::Always | Self::Led { .. } => None,
        }
    }

    /// Waits for news, or for the end of what holds now. Cancelling loses nothing.
    pub(crate) async fn changed(&mut self) {
        let (told, remaining) = match self {
            Self::Always => return std::future::pending().await,
            Self::Led { leadership, .. } => {
                let remaining = remaining(leadership.borrow().tenure());
                (news(leadership, remaining).await, remaining)
            }
            Self::Shared { share, .. } => {
                let remaining = remaining(share.borrow().tenure());
                (news(share, remaining).await, remaining)
            }
        };
        if !told && remaining.is_none() {
            // The task that tells is gone, and nothing is left to end.
            std::future::pending::<()>().await;
        }
    }

    /// Lets the lease go; everything has stopped.
    pub(crate) fn step_down(&self) {
        if let Self::Led { contest, .. } = self {
            contest.step_down();
        }
    }

    /// Nothing is synced any more that this share does not own.
    pub(crate) fn drained(&self, share: &Share) {
        if let Self::Shared { contest, .. } = self {
            contest.drained(share);
        }
    }
}

/// How long a tenure lasts that has not ended.
fn remaining(tenure: Option<&Tenure>) -> Option<Duration> {
    tenure
        .filter(|tenure| tenure.is_valid_now())
        .map(Tenure::remaining)
}

/// Whether there was news, within the limit if there is one.
async fn news<T>(receiver: &mut watch::Receiver<T>, limit: Option<Duration>) -> bool
where
    T: Send + Sync,
{
    match limit {
        Some(limit) => matches!(tokio::time::timeout(limit, receiver.changed()).await, Ok(Ok(()))),
        None => receiver.changed().await.is_ok(),
    }
}
