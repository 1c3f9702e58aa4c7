//! How pods come, change and go.

use std::rc::Rc;

use super::Scheduler;
use crate::events::Event;
use crate::model::PodKey;
use crate::model::json::read;
use crate::model::pod::{Pending, Place, Pod};
use crate::model::read::{PodPeek, PodRead};
use crate::model::template::{Template, TemplateId};
use crate::queue::QueueState;

impl Scheduler {
    pub(super) fn upsert_pod(
        &mut self,
        key: &PodKey,
        body: &[u8],
        relisted: bool,
        now_ms: u64,
    ) -> Result<(), String> {
        if !relisted && self.settle(key, body, now_ms)? {
            return Ok(());
        }
        let read = PodRead::parse(&key.namespace, &key.name, body)?;
        let is_ours = self.profile_of(&read.pending.scheduler_name).is_some();
        let is_unassigned = read.node_name.is_empty();
        if read.finished || (is_unassigned && !is_ours) {
            self.delete_pod(key, now_ms);
        } else if self.model.pod(key).is_some_and(|known| known.uid != read.uid) {
            self.delete_pod(key, now_ms);
            self.add_pod(key, read, now_ms);
        } else if self.model.pod(key).is_none() {
            self.add_pod(key, read, now_ms);
        } else {
            self.update_pod(key, read, now_ms);
        }
        Ok(())
    }

    /// Deals with the frequent updates that change nothing here: that a pod is where it was put, and what its
    /// node says of it. Returns false when the pod has to be read in full.
    fn settle(&mut self, key: &PodKey, body: &[u8], now_ms: u64) -> Result<bool, String> {
        let Some(pod) = self.model.pod(key) else {
            return Ok(false);
        };
        let (slot, is_assumed) = match pod.place {
            Place::Pending(_) => return Ok(false),
            Place::Assumed(slot, _) => (slot, true),
            Place::Assigned(slot) => (slot, false),
        };
        let peek: PodPeek<'_> = read("pod", &key.name, body)?;
        let same_spec =
            is_assumed || (peek.metadata.generation > 0 && peek.metadata.generation == pod.generation);
        let same_labels = || {
            self.model
                .template(pod)
                .is_some_and(|template| template.labels.equals(&peek.metadata.labels.strs()))
        };
        let is_there = self
            .model
            .nodes
            .get(slot)
            .is_some_and(|node| *node.name == *peek.spec.node_name);
        let is_known =
            *pod.uid == *peek.metadata.uid && is_there && same_spec && !pod.resizing && same_labels();
        if !is_known || peek.is_finished() {
            return Ok(false);
        }
        let (generation, terminating) = (peek.metadata.generation, peek.metadata.deletion_timestamp.0);
        let template = is_assumed
            .then(|| self.model.template(pod).map(Rc::clone))
            .flatten();
        if terminating {
            self.model.set_terminating(key);
        }
        if let Some(pod) = self.model.pod_mut(key) {
            pod.generation = generation;
            pod.place = Place::Assigned(slot);
        }
        if let Some(template) = template {
            self.raise(&Event::PodAdded(&template), now_ms);
        }
        Ok(true)
    }

    fn add_pod(&mut self, key: &PodKey, read: PodRead, now_ms: u64) {
        let id = self.model.templates.acquire(read.template);
        let mut pending = read.pending;
        let place = if read.node_name.is_empty() {
            self.queue.add(key, &mut pending);
            Place::Pending(Box::new(pending))
        } else {
            Place::Assigned(self.model.nodes.slot_for(&read.node_name))
        };
        let is_assigned = place.slot().is_some();
        let pod = Pod {
            uid: read.uid,
            template: id,
            generation: read.generation,
            terminating: read.terminating,
            resizing: read.resizing,
            place,
        };
        self.model.insert(key.clone(), pod);
        if is_assigned {
            if let Some(template) = self.model.templates.get(id).map(Rc::clone) {
                self.raise(&Event::PodAdded(&template), now_ms);
            }
        }
    }

    fn update_pod(&mut self, key: &PodKey, read: PodRead, now_ms: u64) {
        let Some(before) = self.model.remove(key) else {
            return;
        };
        let old = self.model.template(&before).map(Rc::clone);
        let nomination = before
            .nomination()
            .map(|(node, priority)| (Box::from(node), priority));
        let id = self.model.templates.acquire(read.template);
        let new = self.model.templates.get(id).map(Rc::clone);
        let is_touched = before.generation != read.generation
            || matches!(&before.place, Place::Pending(pending) if pending.annotations != read.pending.annotations);
        let was_assigned = matches!(before.place, Place::Assigned(_));
        let place = match before.place {
            _ if !read.node_name.is_empty() => {
                self.leave_queue(key, before.template, &before.place);
                Place::Assigned(self.model.nodes.slot_for(&read.node_name))
            }
            Place::Pending(pending) => {
                Place::Pending(self.keep_pending(key, before.template, id, *pending, read.pending))
            }
            // Changes to an assumed pod count, but it stays where it was put until the binding is decided.
            Place::Assumed(slot, pending) => {
                let queue = pending.queue.clone();
                Place::Assumed(
                    slot,
                    Box::new(Pending {
                        queue,
                        ..read.pending
                    }),
                )
            }
            Place::Assigned(slot) => Place::Assigned(slot),
        };
        let is_pending = place.slot().is_none();
        let pod = Pod {
            uid: before.uid,
            template: id,
            generation: read.generation,
            terminating: read.terminating,
            resizing: read.resizing,
            place,
        };
        self.model.insert(key.clone(), pod);
        self.release(before.template);
        let (Some(old), Some(new)) = (old, new) else {
            return;
        };
        self.on_own_nomination(key, &old, nomination, now_ms);
        if is_pending {
            self.on_own_change(key, &old, &new, is_touched, now_ms);
        } else if !was_assigned {
            self.raise(&Event::PodAdded(&new), now_ms);
        } else if old != new {
            self.raise(&Event::PodUpdated { old: &old, new: &new }, now_ms);
        }
    }

    /// The new state of a pod that is still pending, with its former standing in the queue.
    fn keep_pending(
        &mut self,
        key: &PodKey,
        old: TemplateId,
        new: TemplateId,
        before: Pending,
        mut now: Pending,
    ) -> Box<Pending> {
        now.queue = before.queue;
        let rejected_by = match now.queue.state {
            QueueState::Gated if now.gates.is_empty() => {
                self.queue.add(key, &mut now);
                return Box::new(now);
            }
            QueueState::Unschedulable(rejected_by) if old != new => rejected_by,
            _ => return Box::new(now),
        };
        self.queue.remove(key, old, now.queue.state);
        self.queue.wait(key, new, rejected_by);
        Box::new(now)
    }

    /// A change of a waiting pod may have removed what it was rejected for.
    fn on_own_change(&mut self, key: &PodKey, old: &Template, new: &Template, is_touched: bool, now_ms: u64) {
        let Some(Pod {
            place: Place::Pending(pending),
            ..
        }) = self.model.pod(key)
        else {
            return;
        };
        let QueueState::Unschedulable(rejected_by) = pending.queue.state else {
            return;
        };
        let may_help_components = rejected_by.has_external() && (is_touched || old != new);
        if may_help_components || crate::events::own_change_helps(old, new, rejected_by) {
            self.queue.wake(key, &mut self.model, now_ms, &self.config);
        }
    }

    pub(super) fn delete_pod(&mut self, key: &PodKey, now_ms: u64) {
        let Some(pod) = self.model.remove(key) else { return };
        let nomination = pod
            .nomination()
            .map(|(node, priority)| (Box::from(node), priority));
        self.leave_queue(key, pod.template, &pod.place);
        let template = self.model.template(&pod).map(Rc::clone);
        self.release(pod.template);
        let Some(template) = template else { return };
        self.on_own_nomination(key, &template, nomination, now_ms);
        if pod.place.slot().is_some() {
            self.raise(&Event::PodDeleted(&template), now_ms);
        }
    }

    /// Room that was set aside for a pod and is not any more is as good as that of a pod that left, to all that
    /// had to heed it.
    fn on_own_nomination(
        &mut self,
        key: &PodKey,
        template: &Template,
        before: Option<(Box<str>, i32)>,
        now_ms: u64,
    ) {
        let Some((node, priority)) = before else { return };
        let is_kept = self.model.pod(key).is_some_and(|pod| match pod.place.slot() {
            Some(slot) => self.model.nodes.slot(&node) == Some(slot),
            None => pod.nomination().is_some_and(|(now, _)| *now == *node),
        });
        if !is_kept {
            self.raise_up_to(priority, &Event::PodDeleted(template), now_ms);
        }
    }

    fn leave_queue(&mut self, key: &PodKey, template: TemplateId, place: &Place) {
        if let Place::Pending(pending) = place {
            self.queue.remove(key, template, pending.queue.state);
        }
    }

    fn release(&mut self, id: TemplateId) {
        if self.model.release(id) {
            for profile in &mut self.profiles {
                profile.classes.forget(id);
            }
        }
    }
}
