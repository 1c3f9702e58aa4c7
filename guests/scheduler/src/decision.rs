//! What comes of looking at a pod: a binding, a failure to report, or nothing.

use crate::external::Reservation;
use crate::model::PodKey;
use crate::model::pod::ScheduledCondition;

/// A pod to be bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The pod.
    pub key: PodKey,
    /// Which pod of that name.
    pub uid: Box<str>,
    /// As the event's reference has it.
    pub resource_version: Box<str>,
    /// Where it goes.
    pub node: Box<str>,
    /// What plugins hold for it, to be settled.
    pub reservation: Option<Reservation>,
}

/// A pod that cannot be placed now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The pod.
    pub key: PodKey,
    /// Which pod of that name.
    pub uid: Box<str>,
    /// As the event's reference has it.
    pub resource_version: Box<str>,
    /// The condition's reason.
    pub reason: FailureReason,
    /// For event and condition.
    pub message: String,
    /// The generation that was judged; 0 when the server does not count.
    pub generation: i64,
    /// Whether the condition at the server says something else.
    pub condition: ConditionChange,
}

/// What has to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConditionChange {
    /// Nothing.
    None,
    /// Reason or message; the status was `False` before.
    Text,
    /// The status.
    Transition,
}

/// Why a pod cannot be placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureReason {
    /// Plugins rejected every node.
    Unschedulable,
    /// Something else.
    SchedulerError,
}

impl FailureReason {
    /// The condition's reason.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unschedulable => "Unschedulable",
            Self::SchedulerError => "SchedulerError",
        }
    }
}

/// What to do about a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing: gone, bound, gated, or waiting for an event.
    Nothing,
    /// It backs off: come again.
    Later(
        /// In so many milliseconds.
        u64,
    ),
    /// It is being deleted; an event says so.
    Deleting {
        /// Which pod of that name.
        uid: Box<str>,
        /// As the event's reference has it.
        resource_version: Box<str>,
    },
    /// Bind it, then report back.
    Bind(Assignment),
    /// Report the failure.
    Fail(Failure),
}

impl ConditionChange {
    /// From the condition at the server to one with this reason and message about this generation.
    pub(crate) fn to(
        condition: Option<&ScheduledCondition>,
        reason: FailureReason,
        message: &str,
        generation: i64,
    ) -> Self {
        match condition {
            Some(condition) if condition.status == "False" => {
                let same = condition.reason == reason.as_str()
                    && condition.message == message
                    && condition.observed_generation == generation;
                if same { Self::None } else { Self::Text }
            }
            _ => Self::Transition,
        }
    }
}
