//! How a sync or a guest ends.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a finished sync asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Nothing until something changes. Clears the key's failures.
    Done,
    /// Sync again after this long unless an event comes first. Clears the key's failures.
    RequeueAfter(Duration),
}

/// What the guest itself reported as a failed sync.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum SyncError {
    /// Try again with exponential back-off.
    #[error("{0}")]
    Retry(String),
    /// Log it and wait for the next change.
    #[error("{0} (not retried)")]
    Terminal(String),
}

/// Why a guest instance ended, or a call into it could not be made. Every variant maps
/// to one metric label ([`GuestFailure::label`]) and one outcome: the keys in flight are
/// requeued and the supervisor starts a new instance after a back-off, unless that would
/// be of no use ([`GuestFailure::is_final`]).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GuestFailure {
    /// The component could not be instantiated.
    #[error("could not be instantiated: {0}")]
    Instantiation(String),
    /// `start` returned an error, or `describe` differs from what the module was admitted with.
    #[error("start failed: {0}")]
    Start(String),
    /// The guest trapped: a panic, an unreachable, an out-of-bounds access. Its message;
    /// the backtrace is in the log.
    #[error("trapped: {0}")]
    Trap(String),
    /// It computed past its CPU budget without waiting.
    #[error("exceeded its CPU budget of {budget:?} without waiting")]
    Cpu {
        /// The budget.
        budget: Duration,
    },
    /// It tried to grow past its memory limit.
    #[error("exceeded its memory limit of {limit_bytes} bytes")]
    Memory {
        /// The limit.
        limit_bytes: usize,
    },
    /// It overflowed its stack.
    #[error("overflowed its stack of {limit_bytes} bytes")]
    Stack {
        /// The limit.
        limit_bytes: usize,
    },
    /// It broke the contract: a result too large, an unknown watch, a wrong handle.
    #[error("broke the contract: {0}")]
    Contract(String),
    /// What it watches takes more room in the caches than it may have.
    #[error(
        "what it watches takes {cached_bytes} bytes in the caches, and its limit is {limit_bytes}; raise \
         `limits.cachedBytes`, or watch less"
    )]
    CachedBytes {
        /// What it takes.
        cached_bytes: usize,
        /// The limit.
        limit_bytes: usize,
    },
    /// All caches of the host together take more room than they may have, and this module
    /// has the largest share of them.
    #[error(
        "all caches together take {cached_bytes} bytes, their limit is {limit_bytes}, and of all modules that \
         could go this one has the largest share, {share_bytes} bytes; raise `caches.limit`, or watch less"
    )]
    CachesFull {
        /// What all caches take.
        cached_bytes: usize,
        /// Their limit.
        limit_bytes: usize,
        /// The module's share.
        share_bytes: usize,
    },
    /// The instance is gone; the call was never made or its answer is lost.
    #[error("instance stopped")]
    Stopped,
}

impl GuestFailure {
    /// A constant name for metrics.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Instantiation(_) => "instantiation",
            Self::Start(_) => "start",
            Self::Trap(_) => "trap",
            Self::Cpu { .. } => "cpu",
            Self::Memory { .. } => "memory",
            Self::Stack { .. } => "stack",
            Self::Contract(_) => "contract",
            Self::CachedBytes { .. } => "cached-bytes",
            Self::CachesFull { .. } => "caches-full",
            Self::Stopped => "stopped",
        }
    }

    /// Whether every other instance would fail alike until somebody changes something.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self, Self::CachedBytes { .. } | Self::CachesFull { .. })
    }
}
