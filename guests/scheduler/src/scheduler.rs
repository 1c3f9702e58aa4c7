//! The scheduler as a whole: deltas in, decisions out. No clock, no I/O.

use std::rc::Rc;

use crate::classes::Classes;
use crate::config::Config;
use crate::cycle::{self, Rotation, Wishes};
use crate::decision::{Assignment, ConditionChange, Decision, Failure, FailureReason};
use crate::events::Event;
use crate::fit_error::FitError;
use crate::model::json::{LabelsOnly, read};
use crate::model::node::NodeSpec;
use crate::model::pod::{Pending, Place, Pod};
use crate::model::read::{PodPeek, PodRead};
use crate::model::selectors::{owner_selector, service_selector};
use crate::model::template::{OwnerKind, Template, TemplateId};
use crate::model::{Model, PodKey};
use crate::plugins::PluginSet;
use crate::queue::{Queue, QueueItem, QueueState};

/// A resource that the scheduler watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// `v1 pods`.
    Pods,
    /// `v1 nodes`.
    Nodes,
    /// `v1 namespaces`.
    Namespaces,
    /// `v1 services`.
    Services,
    /// `v1 replicationcontrollers`.
    ReplicationControllers,
    /// `apps/v1 replicasets`.
    ReplicaSets,
    /// `apps/v1 statefulsets`.
    StatefulSets,
}

/// The scheduler.
pub struct Scheduler {
    config: Config,
    model: Model,
    classes: Classes,
    queue: Queue,
    rotation: Rotation,
}

impl Scheduler {
    /// A scheduler that knows nothing yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            config,
            model: Model::default(),
            classes: Classes::default(),
            queue: Queue::default(),
            rotation: Rotation::default(),
        }
    }

    /// An object was added or changed. `relisted` objects may have missed changes in between.
    ///
    /// # Errors
    ///
    /// Names the object that cannot be read; it counts as it did before.
    pub fn upsert(
        &mut self,
        resource: Resource,
        key: &PodKey,
        body: &[u8],
        relisted: bool,
        now_ms: u64,
    ) -> Result<(), String> {
        let (namespace, name) = (&*key.namespace, &*key.name);
        match resource {
            Resource::Pods => return self.upsert_pod(key, body, relisted, now_ms),
            Resource::Nodes => self.upsert_node(name, NodeSpec::parse(name, body)?, now_ms),
            Resource::Namespaces => {
                let labels = read::<LabelsOnly<'_>>("namespace", name, body)?.labels();
                self.set_namespace(name, Some(labels));
            }
            Resource::Services => {
                self.model
                    .selectors
                    .set_service(namespace, name, service_selector(name, body)?);
            }
            Resource::ReplicationControllers => {
                self.set_owner(OwnerKind::ReplicationController, namespace, name, body)?;
            }
            Resource::ReplicaSets => self.set_owner(OwnerKind::ReplicaSet, namespace, name, body)?,
            Resource::StatefulSets => self.set_owner(OwnerKind::StatefulSet, namespace, name, body)?,
        }
        Ok(())
    }

    /// An object was deleted.
    pub fn delete(&mut self, resource: Resource, key: &PodKey, now_ms: u64) {
        let (namespace, name) = (&*key.namespace, &*key.name);
        let selectors = &mut self.model.selectors;
        match resource {
            Resource::Pods => self.delete_pod(key, now_ms),
            Resource::Nodes => self.delete_node(name, now_ms),
            Resource::Namespaces => self.set_namespace(name, None),
            Resource::Services => selectors.set_service(namespace, name, None),
            Resource::ReplicationControllers => {
                selectors.set_owner(OwnerKind::ReplicationController, namespace, name, None);
            }
            Resource::ReplicaSets => selectors.set_owner(OwnerKind::ReplicaSet, namespace, name, None),
            Resource::StatefulSets => selectors.set_owner(OwnerKind::StatefulSet, namespace, name, None),
        }
    }

    /// The keys to hand to the host's queue since the last call.
    pub fn take_items(&mut self) -> Vec<QueueItem> {
        self.queue.take_items()
    }

    /// Tries pods again that have waited five minutes for an event. To be called every 30 seconds.
    pub fn flush_leftovers(&mut self, now_ms: u64) {
        self.queue.flush_leftovers(&mut self.model, now_ms, &self.config);
    }

    /// Decides about a pod. A pod to be bound occupies its node from now on; see [`Self::bind_failed`].
    pub fn schedule(&mut self, key: &PodKey, now_ms: u64) -> Decision {
        let Some(pod) = self.model.pod(key) else {
            return Decision::Nothing;
        };
        let Place::Pending(pending) = &pod.place else {
            return Decision::Nothing;
        };
        match pending.queue.state {
            QueueState::Unschedulable(_) | QueueState::Gated => return Decision::Nothing,
            QueueState::BackingOff { until_ms } if until_ms > now_ms => {
                return Decision::Later(until_ms - now_ms);
            }
            QueueState::BackingOff { .. } | QueueState::Due => {}
        }
        if pod.terminating {
            return Decision::Deleting {
                uid: pod.uid.clone(),
                resource_version: pending.resource_version.clone(),
            };
        }
        let template = pod.template;
        if self.model.nodes.present() == 0 {
            let message = "no nodes available to schedule pods".to_owned();
            return self.fail(key, PluginSet::default(), message, now_ms);
        }
        match self.find_node(key, template) {
            Ok(slot) => self.assume(key, slot),
            Err(error) => self.fail(key, error.rejected_by, error.message.clone(), now_ms),
        }
    }

    /// The binding of an assumed pod failed. The node is free again; the failure is to be reported, unless the
    /// pod is gone or bound by now.
    pub fn bind_failed(&mut self, assignment: &Assignment, error: &str, now_ms: u64) -> Option<Failure> {
        let pod = self
            .model
            .pod(&assignment.key)
            .filter(|pod| pod.uid == assignment.uid)?;
        if !matches!(pod.place, Place::Assumed(..)) {
            return None;
        }
        let template = Rc::clone(self.model.template(pod)?);
        self.model.unassume(&assignment.key)?;
        self.raise(&Event::PodDeleted(&template), now_ms);
        let message = format!("running Bind plugin \"DefaultBinder\": {error}");
        match self.fail(&assignment.key, PluginSet::default(), message, now_ms) {
            Decision::Fail(failure) => Some(failure),
            _ => None,
        }
    }

    /// What decisions are made from.
    #[cfg(test)]
    pub(crate) fn parts_for_test(&mut self) -> (&mut Classes, &mut Model, &Config) {
        (&mut self.classes, &mut self.model, &self.config)
    }

    fn find_node(&mut self, key: &PodKey, id: TemplateId) -> Result<u32, Rc<FitError>> {
        let Self {
            config,
            model,
            classes,
            rotation,
            ..
        } = self;
        let template = model.templates.get(id).map(Rc::clone);
        let pinned = template.as_ref().and_then(|template| template.pinned.as_deref());
        let nominated = match model.pod(key).map(|pod| &pod.place) {
            Some(Place::Pending(pending)) => pending.nominated_node.clone(),
            _ => None,
        };
        let class = classes
            .class_of(id, model, config)
            .expect("a pod in the model has a template, and so a class");
        let revision = model.revision();
        if let Some((known, error)) = class.failure.as_ref().filter(|_| pinned.is_none()) {
            if *known == revision {
                return Err(Rc::clone(error));
            }
        }
        let wishes = Wishes {
            pinned,
            nominated: nominated.as_deref(),
        };
        cycle::choose(class, model, wishes, rotation, config).ok_or_else(|| {
            let error = Rc::new(FitError::diagnose(class, pinned, model, config));
            class.failure = pinned.is_none().then(|| (revision, Rc::clone(&error)));
            error
        })
    }

    fn assume(&mut self, key: &PodKey, slot: u32) -> Decision {
        let node = self
            .model
            .nodes
            .get(slot)
            .map(|node| node.name.clone())
            .unwrap_or_default();
        self.model.assume(key, slot);
        match self.model.pod(key) {
            Some(Pod {
                uid,
                place: Place::Assumed(_, pending),
                ..
            }) => Decision::Bind(Assignment {
                key: key.clone(),
                uid: uid.clone(),
                resource_version: pending.resource_version.clone(),
                node,
            }),
            _ => Decision::Nothing,
        }
    }

    fn fail(&mut self, key: &PodKey, rejected_by: PluginSet, message: String, now_ms: u64) -> Decision {
        let Some(pod) = self.model.pod_mut(key) else {
            return Decision::Nothing;
        };
        let (template, uid, generation) = (pod.template, pod.uid.clone(), pod.generation);
        let Place::Pending(pending) = &mut pod.place else {
            return Decision::Nothing;
        };
        self.queue
            .fail(key, template, pending, rejected_by, now_ms, &self.config);
        let reason = if rejected_by.is_empty() {
            FailureReason::SchedulerError
        } else {
            FailureReason::Unschedulable
        };
        Decision::Fail(Failure {
            key: key.clone(),
            uid,
            resource_version: pending.resource_version.clone(),
            reason,
            condition: ConditionChange::to(pending.condition.as_ref(), reason, &message, generation),
            message,
            generation,
        })
    }

    fn raise(&mut self, event: &Event<'_>, now_ms: u64) {
        if !self.queue.nobody_waits() {
            self.queue.on_event(event, &mut self.model, now_ms, &self.config);
        }
    }

    fn upsert_node(&mut self, name: &str, spec: NodeSpec, now_ms: u64) {
        let (slot, before) = self.model.nodes.set(name, spec);
        if self.queue.nobody_waits() {
            return;
        }
        let Some(new) = self.model.nodes.get(slot).map(|node| node.spec.clone()) else {
            return;
        };
        match &before {
            Some(old) if *old == new => {}
            Some(old) => self.raise(&Event::NodeUpdated { name, old, new: &new }, now_ms),
            None => self.raise(&Event::NodeAdded(name, &new), now_ms),
        }
    }

    fn delete_node(&mut self, name: &str, now_ms: u64) {
        if let Some(spec) = self.model.nodes.remove(name) {
            self.raise(&Event::NodeDeleted(&spec), now_ms);
        }
    }

    fn set_namespace(&mut self, name: &str, labels: Option<crate::labels::Labels>) {
        if self.model.set_namespace(name, labels) {
            self.classes.clear(&mut self.model);
        }
    }

    fn set_owner(&mut self, kind: OwnerKind, namespace: &str, name: &str, body: &[u8]) -> Result<(), String> {
        let selector = owner_selector(kind, name, body)?;
        self.model
            .selectors
            .set_owner(kind, namespace, name, Some(selector));
        Ok(())
    }

    fn upsert_pod(&mut self, key: &PodKey, body: &[u8], relisted: bool, now_ms: u64) -> Result<(), String> {
        if !relisted && self.settle(key, body, now_ms)? {
            return Ok(());
        }
        let read = PodRead::parse(&key.namespace, &key.name, body)?;
        let is_ours = self
            .config
            .profiles
            .iter()
            .any(|name| **name == *read.pending.scheduler_name);
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
        let id = self.model.templates.acquire(read.template);
        let new = self.model.templates.get(id).map(Rc::clone);
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
        if is_pending {
            self.on_own_change(key, &old, &new, now_ms);
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
    fn on_own_change(&mut self, key: &PodKey, old: &Template, new: &Template, now_ms: u64) {
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
        if crate::events::own_change_helps(old, new, rejected_by) {
            self.queue.wake(key, &mut self.model, now_ms, &self.config);
        }
    }

    fn delete_pod(&mut self, key: &PodKey, now_ms: u64) {
        let Some(pod) = self.model.remove(key) else { return };
        self.leave_queue(key, pod.template, &pod.place);
        let template = self.model.template(&pod).map(Rc::clone);
        self.release(pod.template);
        if let (Some(_), Some(template)) = (pod.place.slot(), template) {
            self.raise(&Event::PodDeleted(&template), now_ms);
        }
    }

    fn leave_queue(&mut self, key: &PodKey, template: TemplateId, place: &Place) {
        if let Place::Pending(pending) = place {
            self.queue.remove(key, template, pending.queue.state);
        }
    }

    fn release(&mut self, id: TemplateId) {
        if self.model.release(id) {
            self.classes.forget(id);
        }
    }
}

#[cfg(test)]
mod tests;
