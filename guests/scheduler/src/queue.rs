//! The standing of pending pods: due, backing off, waiting for a change, or gated.
//!
//! The host's work queue holds what is due, by priority and then first in, first out. Here is the rest of
//! upstream's `backend/queue`. Its list of in-flight events has no counterpart because nothing can happen
//! between a decision and the pod's entry here.

use crate::config::Config;
use crate::events::Event;
use crate::hash::{FastMap, FastSet};
use crate::model::pod::{Pending, Place};
use crate::model::template::TemplateId;
use crate::model::{Model, PodKey};
use crate::plugins::PluginSet;

/// How long a pod waits for an event before it is tried anyway.
const UNSCHEDULABLE_TIMEOUT_MS: u64 = 300_000;
/// Back-off ends on whole windows, so that pods come back together.
const WINDOW_MS: u64 = 1_000;

/// A pod's standing.
#[derive(Clone, Debug, Default)]
pub(crate) struct QueueInfo {
    /// Where it stands.
    pub(crate) state: QueueState,
    /// How often plugins have rejected it.
    unschedulable_count: u32,
    /// How often in a row something else went wrong.
    consecutive_errors: u32,
    /// When it last failed.
    failed_ms: u64,
}

/// Where a pending pod stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum QueueState {
    /// In the host's queue, or about to be.
    #[default]
    Due,
    /// In the host's queue for later.
    BackingOff {
        /// When it is due.
        until_ms: u64,
    },
    /// Waiting for an event that these plugins care about.
    Unschedulable(PluginSet),
    /// Not to be scheduled until its gates are gone.
    Gated,
}

impl QueueInfo {
    fn backoff_until(&self, config: &Config) -> u64 {
        let count = if self.consecutive_errors > 0 {
            self.consecutive_errors
        } else {
            self.unschedulable_count
        };
        if count == 0 {
            return 0;
        }
        let factor = 1_u64.checked_shl(count - 1).unwrap_or(u64::MAX);
        let duration = config
            .initial_backoff_ms
            .saturating_mul(factor)
            .min(config.max_backoff_ms);
        // The window in which the back-off expires still counts as backing off.
        (self.failed_ms.saturating_add(duration) / WINDOW_MS + 1) * WINDOW_MS
    }
}

/// A key for the host's queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueItem {
    /// The pod.
    pub key: PodKey,
    /// How long to wait first.
    pub after_ms: u64,
    /// The pod's priority.
    pub priority: i32,
}

/// The pods that wait, and the keys to be handed to the host.
#[derive(Default)]
pub(crate) struct Queue {
    /// Pods of one template that the same plugins rejected wait for the same events.
    waiting: FastMap<(TemplateId, PluginSet), FastSet<PodKey>>,
    /// How many of these groups a component rejected.
    rejected_by_components: usize,
    items: Vec<QueueItem>,
}

impl Queue {
    /// The keys that have become due, or will.
    pub(crate) fn take_items(&mut self) -> Vec<QueueItem> {
        std::mem::take(&mut self.items)
    }

    /// A pod that is new or has lost its last gate: due now, unless gated.
    pub(crate) fn add(&mut self, key: &PodKey, pending: &mut Pending) {
        if !pending.gates.is_empty() {
            pending.queue.state = QueueState::Gated;
            return;
        }
        pending.queue.state = QueueState::Due;
        self.items.push(QueueItem {
            key: key.clone(),
            after_ms: 0,
            priority: pending.priority,
        });
    }

    /// A pod that plugins rejected: waits for an event. One that failed otherwise: backs off.
    pub(crate) fn fail(
        &mut self,
        key: &PodKey,
        template: TemplateId,
        pending: &mut Pending,
        rejected_by: PluginSet,
        now_ms: u64,
        config: &Config,
    ) {
        pending.queue.failed_ms = now_ms;
        if rejected_by.is_empty() {
            pending.queue.consecutive_errors += 1;
            self.back_off(key, pending, now_ms, config);
            return;
        }
        pending.queue.unschedulable_count += 1;
        pending.queue.consecutive_errors = 0;
        pending.queue.state = QueueState::Unschedulable(rejected_by);
        self.wait(key, template, rejected_by);
    }

    /// Lists a pod among those that these plugins rejected.
    pub(crate) fn wait(&mut self, key: &PodKey, template: TemplateId, rejected_by: PluginSet) {
        let group = self.waiting.entry((template, rejected_by)).or_default();
        if group.is_empty() && rejected_by.has_external() {
            self.rejected_by_components += 1;
        }
        group.insert(key.clone());
    }

    /// A pod that is gone, bound, or about to be looked at anew.
    pub(crate) fn remove(&mut self, key: &PodKey, template: TemplateId, state: QueueState) {
        let QueueState::Unschedulable(rejected_by) = state else {
            return;
        };
        if let Some(pods) = self.waiting.get_mut(&(template, rejected_by)) {
            pods.remove(key);
            if pods.is_empty() {
                self.take_group((template, rejected_by));
            }
        }
    }

    fn take_group(&mut self, group: (TemplateId, PluginSet)) -> FastSet<PodKey> {
        let pods = self.waiting.remove(&group);
        if pods.is_some() && group.1.has_external() {
            self.rejected_by_components -= 1;
        }
        pods.unwrap_or_default()
    }

    /// Whether nobody waits for anything.
    pub(crate) fn nobody_waits(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Something happened: pods that it may help and whose priority is not above `highest` come back, after
    /// their back-off.
    pub(crate) fn on_event(
        &mut self,
        event: &Event<'_>,
        highest: i32,
        model: &mut Model,
        now_ms: u64,
        config: &Config,
    ) {
        if matches!(event, Event::ForComponents) && self.rejected_by_components == 0 {
            return;
        }
        let helps = |(template, rejected_by): &(TemplateId, PluginSet)| {
            let template = model.templates.get(*template);
            template.is_none_or(|waiting| event.helps(waiting, *rejected_by, model.namespaces()))
        };
        let helped: Vec<_> = self
            .waiting
            .keys()
            .filter(|group| helps(group))
            .copied()
            .collect();
        for group in helped {
            for key in self.take_group(group) {
                let pod = model.pod(&key).map(|pod| &pod.place);
                if matches!(pod, Some(Place::Pending(pending)) if pending.priority > highest) {
                    self.wait(&key, group.0, group.1);
                } else {
                    self.wake(&key, model, now_ms, config);
                }
            }
        }
    }

    /// A change of the pod itself may help it.
    pub(crate) fn wake(&mut self, key: &PodKey, model: &mut Model, now_ms: u64, config: &Config) {
        let Some(pod) = model.pod_mut(key) else { return };
        let template = pod.template;
        if let Place::Pending(pending) = &mut pod.place {
            self.remove(key, template, pending.queue.state);
            self.back_off(key, pending, now_ms, config);
        }
    }

    /// Pods that have waited too long for an event are tried anyway.
    pub(crate) fn flush_leftovers(&mut self, model: &mut Model, now_ms: u64, config: &Config) {
        let is_overdue = |key: &PodKey| match model.pod(key).map(|pod| &pod.place) {
            Some(Place::Pending(pending)) => {
                now_ms.saturating_sub(pending.queue.failed_ms) > UNSCHEDULABLE_TIMEOUT_MS
            }
            _ => true,
        };
        let overdue: Vec<PodKey> = self
            .waiting
            .values()
            .flatten()
            .filter(|key| is_overdue(key))
            .cloned()
            .collect();
        for key in overdue {
            self.wake(&key, model, now_ms, config);
        }
    }

    fn back_off(&mut self, key: &PodKey, pending: &mut Pending, now_ms: u64, config: &Config) {
        let until_ms = pending.queue.backoff_until(config);
        let after_ms = until_ms.saturating_sub(now_ms);
        pending.queue.state = if after_ms == 0 {
            QueueState::Due
        } else {
            QueueState::BackingOff { until_ms }
        };
        self.items.push(QueueItem {
            key: key.clone(),
            after_ms,
            priority: pending.priority,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn until(unschedulable: u32, errors: u32, failed_ms: u64) -> u64 {
        let info = QueueInfo {
            unschedulable_count: unschedulable,
            consecutive_errors: errors,
            failed_ms,
            ..QueueInfo::default()
        };
        info.backoff_until(&Config::default())
    }

    #[test]
    fn back_off_doubles_from_one_second_to_ten_and_ends_on_a_whole_second() {
        assert_eq!(until(0, 0, 5_300), 0);
        // Expires at 6.3 s, in the window that starts at 6 s and ends at 7 s.
        assert_eq!(until(1, 0, 5_300), 7_000);
        assert_eq!(until(2, 0, 5_300), 8_000);
        assert_eq!(until(4, 0, 5_000), 14_000);
        assert_eq!(until(5, 0, 5_000), 16_000);
        assert_eq!(until(200, 0, 5_000), 16_000);
    }

    #[test]
    fn groups_that_components_rejected_are_counted() {
        let mut queue = Queue::default();
        let mut by_component = PluginSet::default();
        by_component.insert_external();
        let (template, key) = (TemplateId(0), |name| PodKey::new("ns", name));
        queue.wait(&key("a"), template, by_component);
        queue.wait(&key("b"), template, by_component);
        queue.wait(
            &key("c"),
            template,
            PluginSet::from_iter([crate::plugins::Plugin::NodePorts]),
        );
        assert_eq!(queue.rejected_by_components, 1);
        let state = QueueState::Unschedulable(by_component);
        queue.remove(&key("a"), template, state);
        assert_eq!(queue.rejected_by_components, 1);
        queue.remove(&key("b"), template, state);
        assert_eq!(queue.rejected_by_components, 0);
        queue.wait(&key("b"), template, by_component);
        let config = Config::default();
        queue.on_event(&Event::ForComponents, i32::MAX, &mut Model::default(), 0, &config);
        assert_eq!(queue.rejected_by_components, 0);
    }

    #[test]
    fn errors_count_on_their_own() {
        assert_eq!(until(7, 1, 5_000), 7_000);
    }
}
