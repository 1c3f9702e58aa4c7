//! Attempts of profiles with plugins that are components.
//!
//! The built-in plugins judge first, from the evaluation that the pod's class shares; what
//! a component says is asked anew for each pod, so that nothing of it is ever out of date.

use super::Scheduler;
use crate::cycle::{self, Wishes};
use crate::decision::{Assignment, Decision};
use crate::events::Event;
use crate::external::{Attempt, Reservation, Stop};
use crate::fit_error::FitError;
use crate::model::PodKey;
use crate::model::pod::Place;
use crate::model::template::TemplateId;
use crate::plugins::PluginSet;
use crate::reservations;

/// Why an attempt failed.
struct Rejection {
    /// Nobody, if something went wrong.
    by: PluginSet,
    message: String,
}

impl From<FitError> for Rejection {
    fn from(error: FitError) -> Self {
        Self {
            by: error.rejected_by,
            message: error.message,
        }
    }
}

impl Rejection {
    /// A plugin stopped an attempt that looked at so many nodes.
    fn of(stop: Stop, nodes: usize, with_count: bool) -> Self {
        match stop {
            Stop::Failed(message) => Self {
                by: PluginSet::default(),
                message,
            },
            Stop::Rejected(reason) => {
                let count = if with_count { "1 " } else { "" };
                let mut by = PluginSet::default();
                by.insert_external();
                Self {
                    by,
                    message: format!("0/{nodes} nodes are available: {count}{reason}."),
                }
            }
        }
    }
}

impl Scheduler {
    /// Decides about a pod of a profile with components.
    pub(super) fn schedule_with_plugins(
        &mut self,
        profile: usize,
        key: &PodKey,
        template: TemplateId,
        now_ms: u64,
    ) -> Decision {
        // A pod that is not there any more: that it went is yet to be told.
        let Some(body) = self.calls.pod(&key.namespace, &key.name) else {
            return Decision::Nothing;
        };
        self.cycles += 1;
        let mut attempt = Attempt::new(self.cycles, &body);
        match self.find_and_reserve(profile, key, template, &mut attempt) {
            Ok(slot) => {
                let reservation = attempt.reservation(profile, slot);
                // Plugins go by its number until they are told what became of the pod.
                self.model.nodes.hold(slot);
                match self.assume(key, slot, now_ms) {
                    Decision::Bind(assignment) => Decision::Bind(Assignment {
                        reservation: Some(reservation),
                        ..assignment
                    }),
                    other => {
                        self.settle_reservation(&reservation, false, now_ms);
                        other
                    }
                }
            }
            Err(Rejection { by, message }) => {
                self.profiles[profile]
                    .external
                    .abandon(&attempt, &mut *self.calls);
                self.fail(key, by, message, now_ms)
            }
        }
    }

    /// The pod of an assignment was bound, or was not. To be called once for each.
    pub fn conclude(&mut self, assignment: &Assignment, is_bound: bool, now_ms: u64) {
        if let Some(reservation) = &assignment.reservation {
            self.settle_reservation(reservation, is_bound, now_ms);
        }
    }

    fn settle_reservation(&mut self, reservation: &Reservation, is_bound: bool, now_ms: u64) {
        let Some(profile) = self.profiles.get_mut(reservation.profile) else {
            return;
        };
        let external = &mut profile.external;
        external.settle(reservation, is_bound, &mut *self.calls);
        let has_let_go = external.has_reserved(reservation);
        self.model.nodes.let_go(reservation.slot);
        // Others may have been rejected for what is not held any more. That the pod left its
        // node, or came to it, may have been told before.
        if has_let_go {
            self.raise(&Event::ForComponents, now_ms);
        }
    }

    fn find_and_reserve(
        &mut self,
        profile: usize,
        key: &PodKey,
        template: TemplateId,
        attempt: &mut Attempt<'_>,
    ) -> Result<u32, Rejection> {
        let slot = self.find_node_with_plugins(profile, key, template, attempt)?;
        let external = &mut self.profiles[profile].external;
        external
            .reserve(attempt, slot, &self.model, &mut *self.calls)
            .map_err(|stop| Rejection::of(stop, 1, true))?;
        Ok(slot)
    }

    fn find_node_with_plugins(
        &mut self,
        profile: usize,
        key: &PodKey,
        id: TemplateId,
        attempt: &mut Attempt<'_>,
    ) -> Result<u32, Rejection> {
        let Self {
            profiles,
            model,
            rotation,
            calls,
            ..
        } = self;
        let profile = &mut profiles[profile];
        let (config, external) = (&profile.config, &mut profile.external);
        let template = model.templates.get(id).cloned();
        let pinned = template.as_ref().and_then(|template| template.pinned.as_deref());
        let (nominated, priority) = match model.pod(key).map(|pod| &pod.place) {
            Some(Place::Pending(pending)) => (pending.nominated_node.clone(), pending.priority),
            _ => (None, 0),
        };
        let class = profile
            .classes
            .class_of(id, model, config)
            .expect("a pod in the model has a template, and so a class");
        let bars = reservations::bars(key, priority, class, model, config);
        let wishes = Wishes {
            pinned,
            nominated: nominated.as_deref(),
        };
        class.bar(&bars);
        let feasible = cycle::feasible(class, model, wishes, rotation, config);
        class.lift(&bars, &model.nodes, config);
        let nodes = model.nodes.present();
        let rejected = |stop| Rejection::of(stop, nodes, false);
        if let Some(slot) = feasible.nominated {
            let accepted = external.accept(attempt, slot, model, &mut **calls);
            if accepted.map_err(rejected)? {
                return Ok(slot);
            }
        }
        let judged = external.judge(attempt, feasible.slots, model, &mut **calls);
        let judged = judged.map_err(rejected)?;
        let best = cycle::best_of(class, judged.accepted, &judged.scores, rotation, config);
        best.ok_or_else(|| {
            let error = FitError::diagnose(class, pinned, &bars, model, config, &judged.rejected);
            error.into()
        })
    }
}
