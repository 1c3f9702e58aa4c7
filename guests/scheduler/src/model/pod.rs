//! What is remembered of each pod.

use super::template::TemplateId;
use crate::queue::QueueInfo;

/// The `PodScheduled` condition as it stands at the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ScheduledCondition {
    /// `True`, `False` or `Unknown`.
    pub(crate) status: String,
    /// Why.
    pub(crate) reason: String,
    /// For people.
    pub(crate) message: String,
    /// The pod's generation it is about.
    pub(crate) observed_generation: i64,
}

/// What is remembered of a pod.
#[derive(Debug)]
pub(crate) struct Pod {
    /// Identity.
    pub(crate) uid: Box<str>,
    /// What matters to scheduling.
    pub(crate) template: TemplateId,
    /// The version of the spec that `template` was read from; 0 when the server does not count.
    pub(crate) generation: i64,
    /// Being deleted.
    pub(crate) terminating: bool,
    /// The node agent holds other resources than the spec asks for.
    pub(crate) resizing: bool,
    /// Where it is.
    pub(crate) place: Place,
}

/// Where a pod is in its life, as far as the scheduler cares.
#[derive(Debug)]
pub(crate) enum Place {
    /// Ours to schedule.
    Pending(Box<Pending>),
    /// We chose this node slot; the server has not confirmed.
    Assumed(u32, Box<Pending>),
    /// On this node slot.
    Assigned(u32),
}

impl Pod {
    /// The node set aside for it, and its priority. A pod that may not be scheduled yet holds nothing.
    pub(crate) fn nomination(&self) -> Option<(&str, i32)> {
        match &self.place {
            Place::Pending(pending) if pending.gates.is_empty() => {
                Some((pending.nominated_node.as_deref()?, pending.priority))
            }
            _ => None,
        }
    }
}

impl Place {
    /// The node slot it occupies.
    pub(crate) fn slot(&self) -> Option<u32> {
        match self {
            Self::Pending(_) => None,
            Self::Assumed(slot, _) | Self::Assigned(slot) => Some(*slot),
        }
    }
}

/// What only an unscheduled pod needs.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    /// For event references.
    pub(crate) resource_version: Box<str>,
    /// Who is to schedule it.
    pub(crate) scheduler_name: Box<str>,
    /// Higher goes first.
    pub(crate) priority: i32,
    /// What still holds it back.
    pub(crate) gates: Vec<Box<str>>,
    /// The condition as it stands.
    pub(crate) condition: Option<ScheduledCondition>,
    /// A node that was set aside for it.
    pub(crate) nominated_node: Option<Box<str>>,
    /// Stands for its annotations, which only components look at.
    pub(crate) annotations: u64,
    /// Its standing in the queue.
    pub(crate) queue: QueueInfo,
}
