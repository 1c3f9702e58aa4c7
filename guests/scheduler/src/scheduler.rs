//! The scheduler as a whole: deltas in, decisions out. No clock, no I/O.

mod plugins;
mod pods;

use std::rc::Rc;

use crate::classes::{Classes, KnownFailure};
use crate::config::Config;
use crate::cycle::{self, Rotation, Wishes};
use crate::decision::{Assignment, ConditionChange, Decision, Failure, FailureReason};
use crate::events::Event;
use crate::external::{Available, External, PluginCalls, SeenNodes};
use crate::fit_error::FitError;
use crate::model::json::{LabelsOnly, read};
use crate::model::node::{Change, NodeSpec};
use crate::model::pod::{Place, Pod};
use crate::model::selectors::{owner_selector, service_selector};
use crate::model::template::{OwnerKind, TemplateId};
use crate::model::{Model, PodKey};
use crate::plugins::PluginSet;
use crate::queue::{Queue, QueueItem, QueueState};
use crate::reservations;

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
    profiles: Vec<Profile>,
    queue: Queue,
    rotation: Rotation,
    /// How many attempts plugins were told of.
    cycles: u64,
    calls: Box<dyn PluginCalls>,
    seen: SeenNodes,
}

/// What counts for the pods of one scheduler name.
struct Profile {
    config: Config,
    classes: Classes,
    external: External,
}

impl Scheduler {
    /// A scheduler that knows nothing yet and has no components to call.
    #[cfg(not(target_arch = "wasm32"))]
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self::with_plugins(config, &[], Box::new(crate::external::NoPlugins))
            .expect("a configuration that was read without components enables none")
    }

    /// A scheduler that knows nothing yet and has the components to call that its
    /// profiles enable.
    ///
    /// # Errors
    /// When one of them does not start.
    pub(crate) fn with_plugins(
        config: Config,
        available: &[Available],
        mut calls: Box<dyn PluginCalls>,
    ) -> Result<Self, String> {
        let mut profiles = Vec::with_capacity(config.profiles.len());
        for profile in &config.profiles {
            profiles.push(Profile {
                config: config.of_profile(profile),
                classes: Classes::default(),
                external: External::open(profile, available, &mut *calls)?,
            });
        }
        Ok(Self {
            config,
            model: Model::default(),
            profiles,
            queue: Queue::default(),
            rotation: Rotation::default(),
            cycles: 0,
            calls,
            seen: SeenNodes::default(),
        })
    }

    /// The profile of a pending pod.
    fn profile_of(&self, scheduler_name: &str) -> Option<usize> {
        let mut profiles = self.config.profiles.iter();
        profiles.position(|profile| profile.scheduler_name == scheduler_name)
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
            Resource::Nodes => self.upsert_node(name, body, now_ms)?,
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
        let Some(profile) = self.profile_of(&pending.scheduler_name) else {
            return Decision::Nothing;
        };
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
        if !self.profiles[profile].external.is_empty() {
            return self.schedule_with_plugins(profile, key, template, now_ms);
        }
        match self.find_node(profile, key, template) {
            Ok(slot) => self.assume(key, slot, now_ms),
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
        let profile = &mut self.profiles[0];
        (&mut profile.classes, &mut self.model, &profile.config)
    }

    fn find_node(&mut self, profile: usize, key: &PodKey, id: TemplateId) -> Result<u32, Rc<FitError>> {
        let Self {
            profiles,
            model,
            rotation,
            ..
        } = self;
        let Profile { config, classes, .. } = &mut profiles[profile];
        let template = model.templates.get(id).map(Rc::clone);
        let pinned = template.as_ref().and_then(|template| template.pinned.as_deref());
        let (nominated, priority) = match model.pod(key).map(|pod| &pod.place) {
            Some(Place::Pending(pending)) => (pending.nominated_node.clone(), pending.priority),
            _ => (None, 0),
        };
        let class = classes
            .class_of(id, model, config)
            .expect("a pod in the model has a template, and so a class");
        let bars = reservations::bars(key, priority, class, model, config);
        let revision = model.revision();
        if let Some(known) = class.failure.as_ref().filter(|_| pinned.is_none()) {
            if known.revision == revision && known.bars == bars {
                return Err(Rc::clone(&known.error));
            }
        }
        let wishes = Wishes {
            pinned,
            nominated: nominated.as_deref(),
        };
        class.bar(&bars);
        let chosen = cycle::choose(class, model, wishes, rotation, config);
        class.lift(&bars, &model.nodes, config);
        chosen.ok_or_else(|| {
            let error = Rc::new(FitError::diagnose(class, pinned, &bars, model, config, &[]));
            class.failure = pinned.is_none().then(|| KnownFailure {
                revision,
                bars,
                error: Rc::clone(&error),
            });
            error
        })
    }

    fn assume(&mut self, key: &PodKey, slot: u32, now_ms: u64) -> Decision {
        let nomination = self.model.pod(key).and_then(|pod| {
            let (node, priority) = pod.nomination()?;
            Some((Box::from(node), priority, Rc::clone(self.model.template(pod)?)))
        });
        let node = self
            .model
            .nodes
            .get(slot)
            .map(|node| node.name.clone())
            .unwrap_or_default();
        self.model.assume(key, slot);
        if let Some((_, priority, template)) = nomination.filter(|(nominated, ..)| *nominated != node) {
            self.raise_up_to(priority, &Event::PodDeleted(&template), now_ms);
        }
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
                reservation: None,
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
        self.raise_up_to(i32::MAX, event, now_ms);
    }

    /// An event that does not concern pods of higher priority.
    fn raise_up_to(&mut self, highest: i32, event: &Event<'_>, now_ms: u64) {
        if !self.queue.nobody_waits() {
            self.queue
                .on_event(event, highest, &mut self.model, now_ms, &self.config);
        }
    }

    fn upsert_node(&mut self, name: &str, body: &[u8], now_ms: u64) -> Result<(), String> {
        let (slot, change) = self.model.nodes.set(name, NodeSpec::parse(name, body)?);
        let has_components = self.profiles.iter().any(|profile| !profile.external.is_empty());
        // A status that comes again and again says nothing new to components either.
        let is_news = has_components && self.seen.is_news(slot, body);
        if is_news {
            self.note_node(slot, name);
        }
        if self.queue.nobody_waits() {
            return Ok(());
        }
        let new = self.model.nodes.get(slot).map(|node| &node.spec);
        match (change, new) {
            (Change::None, _) if is_news => self.raise(&Event::ForComponents, now_ms),
            (Change::None, _) | (_, None) => {}
            (Change::Added, Some(new)) => {
                let new = new.clone();
                self.raise(&Event::NodeAdded(name, &new), now_ms);
            }
            (Change::From(old), Some(new)) => {
                let (old, new) = (&old, &new.clone());
                self.raise(&Event::NodeUpdated { name, old, new }, now_ms);
            }
        }
        Ok(())
    }

    fn note_node(&mut self, slot: u32, name: &str) {
        for profile in &mut self.profiles {
            profile.external.note_node(slot, name);
        }
    }

    fn delete_node(&mut self, name: &str, now_ms: u64) {
        if let Some(slot) = self.model.nodes.slot(name) {
            self.seen.forget(slot);
            self.note_node(slot, name);
        }
        if let Some(spec) = self.model.nodes.remove(name) {
            self.raise(&Event::NodeDeleted(&spec), now_ms);
        }
    }

    fn set_namespace(&mut self, name: &str, labels: Option<crate::labels::Labels>) {
        if self.model.set_namespace(name, labels) {
            for profile in &mut self.profiles {
                profile.classes.clear(&mut self.model);
            }
        }
    }

    fn set_owner(&mut self, kind: OwnerKind, namespace: &str, name: &str, body: &[u8]) -> Result<(), String> {
        let selector = owner_selector(kind, name, body)?;
        self.model
            .selectors
            .set_owner(kind, namespace, name, Some(selector));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
