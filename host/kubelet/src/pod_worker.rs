//! One simulated pod: what its containers do in which order, and what is to be reported.
//!
//! Pure: watch events and time come in, reports, deletions and occurrences go out. The
//! promises of a node agent are kept here: a terminal phase is never left, containers
//! start after their init containers and stop within the grace period, the API object
//! goes only after the containers are gone, and at most one write is in flight.

mod writes;

use std::net::Ipv4Addr;
use std::time::Duration;

use smol_str::SmolStr;

use crate::config::Latencies;
use crate::container::{Container, Happening, KILLED, Role, State, TERMINATED, Wait};
use crate::pod::{Annotations, Metadata, Pod, PodHead, PodSpec, PodStatus, RestartPolicy};
use crate::pod_status::{History, Life, Phase, phase};
use crate::program::Setting;
use crate::time::Time;

pub use self::writes::Write;
use self::writes::WriteState;

const DEFAULT_GRACE_SECONDS: u32 = 30;

/// Where a pod is in its life on the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Bound to the node; it is taken up at this time.
    Scheduled(Time),
    /// Its sandbox and images are made ready until this time.
    Creating(Time),
    /// Its containers start, run and end.
    Started,
    /// Its containers have been told to stop and will have by this time.
    Stopping(Time),
    /// Nothing runs and nothing will.
    Over,
}

/// Why a pod failed as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// CamelCase.
    pub reason: SmolStr,
    /// For people.
    pub message: String,
}

/// Something that happened to a container of the pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// The container.
    pub container: SmolStr,
    /// Its image.
    pub image: SmolStr,
    /// What happened.
    pub happening: Happening,
}

/// Where a pod lives.
#[derive(Clone, Copy, Debug)]
pub struct Placement {
    /// Index of its node.
    pub node: usize,
    /// Address of the node.
    pub host_ip: Ipv4Addr,
    /// Address of the pod.
    pub pod_ip: Ipv4Addr,
}

/// A pod on a node.
#[derive(Clone, Debug)]
pub struct PodWorker {
    uid: SmolStr,
    full_name: SmolStr,
    placement: Placement,
    generation: i64,
    restart_policy: RestartPolicy,
    grace: Duration,
    active_deadline: Option<Duration>,
    annotations: Annotations,
    gates: Vec<(SmolStr, Option<SmolStr>)>,
    containers: Vec<Container>,
    stage: Stage,
    start_time: Option<Time>,
    history: History,
    /// A phase that does not follow from the containers.
    decided: Option<Phase>,
    failure: Option<Failure>,
    /// When the grace period of a deletion ends.
    deletion: Option<Time>,
    has_finalizers: bool,
    dirty: bool,
    /// Phase that the server holds, as far as known.
    reported_phase: Option<Phase>,
    write: WriteState,
}

impl PodWorker {
    /// Takes up a pod, wherever an agent before this one left it.
    #[must_use]
    pub fn new(pod: Pod, full_name: SmolStr, placement: Placement, latencies: &Latencies, now: Time) -> Self {
        let mut worker = Self::unstarted(pod.metadata, &pod.spec, full_name, placement, latencies, now);
        worker.adopt(pod.status, latencies, now);
        worker
    }

    /// A pod that the node does not take.
    #[must_use]
    pub fn rejected(pod: Pod, full_name: SmolStr, placement: Placement, failure: Failure, now: Time) -> Self {
        let mut worker = Self::unstarted(
            pod.metadata,
            &PodSpec::default(),
            full_name,
            placement,
            &Latencies::default(),
            now,
        );
        worker.stage = Stage::Over;
        worker.decided = Some(Phase::Failed);
        worker.failure = Some(failure);
        worker.dirty = true;
        worker
    }

    fn unstarted(
        metadata: Metadata,
        spec: &PodSpec,
        full_name: SmolStr,
        placement: Placement,
        latencies: &Latencies,
        now: Time,
    ) -> Self {
        let belongs_to_job = metadata
            .owner_references
            .iter()
            .any(|owner| owner.controller == Some(true) && owner.kind == "Job");
        let setting = Setting {
            restart_policy: spec.restart_policy,
            runs_to_completion: belongs_to_job,
            run_time: latencies.run_time,
        };
        Self {
            uid: metadata.uid,
            full_name,
            placement,
            generation: metadata.generation,
            restart_policy: spec.restart_policy,
            grace: Duration::from_secs(
                spec.termination_grace_period_seconds
                    .unwrap_or(DEFAULT_GRACE_SECONDS)
                    .into(),
            ),
            active_deadline: spec.active_deadline_seconds.map(Duration::from_secs),
            annotations: metadata.annotations,
            gates: spec
                .readiness_gates
                .iter()
                .map(|gate| (gate.condition_type.clone(), None))
                .collect(),
            containers: containers_of(spec, setting),
            stage: Stage::Scheduled(now.plus(latencies.schedule_to_creating)),
            start_time: None,
            history: History::Found(Vec::new()),
            decided: None,
            failure: None,
            deletion: metadata.deletion_timestamp,
            has_finalizers: !metadata.finalizers.is_empty(),
            dirty: false,
            reported_phase: None,
            write: WriteState::Idle,
        }
    }

    fn adopt(&mut self, status: PodStatus, latencies: &Latencies, now: Time) {
        self.reported_phase = Phase::parse(&status.phase);
        self.read_gates(&status);
        self.start_time = status.start_time;
        if let Some(terminal) = self.reported_phase.filter(|phase| phase.is_terminal()) {
            self.decided = Some(terminal);
            self.stage = Stage::Over;
            self.containers.clear();
        } else if let Some(ip) = status.pod_ip.parse().ok().filter(|_| status.start_time.is_some()) {
            self.placement.pod_ip = ip;
            self.stage = Stage::Started;
            for container in &mut self.containers {
                let mut found = status
                    .container_statuses
                    .iter()
                    .chain(&status.init_container_statuses);
                if let Some(found) = found.find(|found| found.name == container.name) {
                    container.adopt(found, now);
                }
            }
        } else if status.start_time.is_some() {
            self.stage = Stage::Creating(now.plus(latencies.creating_to_running));
        }
        self.history = History::Found(status.conditions);
    }

    /// Identity of the pod.
    #[must_use]
    pub fn uid(&self) -> &SmolStr {
        &self.uid
    }

    /// Where it lives.
    #[must_use]
    pub fn placement(&self) -> &Placement {
        &self.placement
    }

    /// Generation of the spec that it runs.
    #[must_use]
    pub fn generation(&self) -> i64 {
        self.generation
    }

    /// Whether it holds resources of the node.
    #[must_use]
    pub fn holds_resources(&self) -> bool {
        self.stage != Stage::Over
    }

    /// Whether it is being deleted.
    #[must_use]
    pub fn is_deleting(&self) -> bool {
        self.deletion.is_some()
    }

    /// Takes in a change of the object that left its spec alone.
    pub fn update(&mut self, head: PodHead, now: Time) {
        let PodHead { metadata, status } = head;
        self.has_finalizers = !metadata.finalizers.is_empty();
        self.deletion = metadata.deletion_timestamp.or(self.deletion);
        if self.annotations != metadata.annotations {
            self.annotations = metadata.annotations;
            self.dirty |= self.start_time.is_some() && self.stage != Stage::Over;
        }
        self.dirty |= self.read_gates(&status) && self.stage == Stage::Started;
        let found = Phase::parse(&status.phase);
        match found {
            // Somebody ended the pod: its containers stop, and it stays that way.
            Some(terminal) if terminal.is_terminal() && self.decided.is_none() => {
                self.decided = Some(terminal);
                self.reported_phase = found;
            }
            _ => self.dirty |= self.was_overwritten(found, &status),
        }
        if let Stage::Stopping(due) = self.stage {
            // The grace period may have been shortened.
            self.stage = Stage::Stopping(self.deletion.map_or(due, |deadline| due.min(deadline.max(now))));
        }
    }

    /// Takes in a new spec. Only images and the deadline of a pod can change.
    pub fn update_spec(&mut self, generation: i64, spec: &PodSpec, now: Time) -> Vec<Occurrence> {
        self.generation = generation;
        self.active_deadline = spec.active_deadline_seconds.map(Duration::from_secs);
        self.dirty |= self.stage != Stage::Over && self.start_time.is_some();
        let mut log = Vec::new();
        if self.stage == Stage::Started {
            for container in &mut self.containers {
                let specs = spec.containers.iter().chain(&spec.init_containers);
                if let Some(spec) = specs.into_iter().find(|spec| spec.name == container.name) {
                    record(&mut log, container, |container, happenings| {
                        container.change_image(spec, now, happenings);
                    });
                }
            }
        }
        log
    }

    /// Whether somebody else wrote what this agent owns. What its own write in flight
    /// will change does not count.
    fn was_overwritten(&self, phase: Option<Phase>, status: &PodStatus) -> bool {
        let settled = self.write == WriteState::Idle && !self.dirty && self.reported_phase.is_some();
        settled && self.stage == Stage::Started && {
            phase != self.reported_phase
                || (status.condition("Ready") == Some("True")) != self.history.ready()
        }
    }

    fn read_gates(&mut self, status: &PodStatus) -> bool {
        let mut changed = false;
        for (gate, known) in &mut self.gates {
            let found = status.condition(gate).map(SmolStr::from);
            changed |= *known != found;
            *known = found;
        }
        changed
    }

    /// Makes every change that is due.
    pub fn advance(&mut self, now: Time, latencies: &Latencies) -> Vec<Occurrence> {
        let mut log = Vec::new();
        while self.step(now, latencies, &mut log) {
            self.dirty = true;
        }
        log
    }

    fn step(&mut self, now: Time, latencies: &Latencies, log: &mut Vec<Occurrence>) -> bool {
        let ends = self.deletion.is_some() || self.decided.is_some();
        match self.stage {
            Stage::Scheduled(_) | Stage::Creating(_) | Stage::Started if ends => {
                self.stop(now, latencies, log)
            }
            Stage::Scheduled(due) if due <= now => {
                self.start_time.get_or_insert(now);
                self.stage = Stage::Creating(now.plus(latencies.creating_to_running));
            }
            Stage::Creating(due) if due <= now => self.stage = Stage::Started,
            Stage::Started => return self.step_started(now, latencies, log),
            Stage::Stopping(due) if due <= now => self.finish_stop(now),
            Stage::Scheduled(_) | Stage::Creating(_) | Stage::Stopping(_) | Stage::Over => return false,
        }
        true
    }

    fn step_started(&mut self, now: Time, latencies: &Latencies, log: &mut Vec<Occurrence>) -> bool {
        if self.deadline().is_some_and(|deadline| deadline <= now) {
            self.decided = Some(Phase::Failed);
            self.failure = Some(Failure {
                reason: "DeadlineExceeded".into(),
                message: "Pod was active on the node longer than the specified deadline".into(),
            });
            return true;
        }
        for container in &mut self.containers {
            let mut stepped = false;
            record(log, container, |container, happenings| {
                stepped = container.step(now, happenings)
            });
            if stepped {
                return true;
            }
        }
        if self.start_next(now, log) {
            return true;
        }
        if phase(&self.containers, Life::Live).is_terminal() {
            self.stop(now, latencies, log);
            return true;
        }
        false
    }

    /// Starts what may start now: one init container after another, then all others.
    fn start_next(&mut self, now: Time, log: &mut Vec<Occurrence>) -> bool {
        let blocking = self
            .containers
            .iter_mut()
            .find(|container| !is_initialized(container));
        if let Some(container) = blocking {
            let startable = container.is_untouched();
            if startable {
                record(log, container, |container, happenings| {
                    container.start(now, happenings)
                });
            }
            return startable;
        }
        let mut started = false;
        for container in self
            .containers
            .iter_mut()
            .filter(|container| container.is_untouched())
        {
            record(log, container, |container, happenings| {
                container.start(now, happenings)
            });
            started = true;
        }
        started
    }

    /// Tells all containers to stop.
    fn stop(&mut self, now: Time, latencies: &Latencies, log: &mut Vec<Occurrence>) {
        for container in self
            .containers
            .iter_mut()
            .filter(|container| container.is_running())
        {
            record(log, container, |_, happenings| {
                happenings.push(Happening::Killing)
            });
        }
        let grace_ends = self.deletion.unwrap_or_else(|| now.plus(self.grace)).max(now);
        let stopped = if self.ignores_sigterm() {
            grace_ends
        } else {
            now.plus(latencies.termination).min(grace_ends)
        };
        let anything_runs = self.containers.iter().any(Container::is_running);
        self.stage = Stage::Stopping(if anything_runs { stopped } else { now });
    }

    fn finish_stop(&mut self, now: Time) {
        let code = match (self.ignores_sigterm(), self.restart_policy) {
            (true, _) => KILLED,
            // Servers shut down in order; what should have run to its end did not.
            (false, RestartPolicy::Always) => 0,
            (false, _) => TERMINATED,
        };
        let initialized = self.containers.iter().all(is_initialized);
        for container in &mut self.containers {
            container.stop(code, now);
            if initialized || container.role != Role::Regular {
                container.give_up(now);
            }
        }
        self.stage = Stage::Over;
    }

    fn ignores_sigterm(&self) -> bool {
        self.annotations.ignore_sigterm.as_deref() == Some("true")
    }

    fn deadline(&self) -> Option<Time> {
        Some(self.start_time?.plus(self.active_deadline?))
    }

    /// When something changes by itself next, or a failed write is tried again.
    #[must_use]
    pub fn next_due(&self) -> Option<Time> {
        let change = match self.stage {
            Stage::Scheduled(due) | Stage::Creating(due) | Stage::Stopping(due) => Some(due),
            Stage::Started => self
                .containers
                .iter()
                .filter_map(Container::due)
                .chain(self.deadline())
                .min(),
            Stage::Over => None,
        };
        let retry = match self.write {
            WriteState::Waiting(at) => Some(at),
            WriteState::Idle | WriteState::InFlight | WriteState::Done => None,
        };
        change.into_iter().chain(retry).min()
    }
}

fn containers_of(spec: &PodSpec, setting: Setting) -> Vec<Container> {
    let waits = if spec.init_containers.is_empty() {
        Wait::ContainerCreating
    } else {
        Wait::PodInitializing
    };
    let init = spec.init_containers.iter().map(|container| {
        let sidecar = container.restart_policy == Some(RestartPolicy::Always);
        (container, if sidecar { Role::Sidecar } else { Role::Init })
    });
    let regular = spec.containers.iter().map(|container| (container, Role::Regular));
    init.chain(regular)
        .map(|(container, role)| Container::new(container, role, setting, waits))
        .collect()
}

/// Whether the containers after this one may start.
fn is_initialized(container: &Container) -> bool {
    match container.role {
        Role::Init => matches!(&container.state, State::Terminated(exit) if exit.code == 0),
        // One that crashed later does not hold up what already started.
        Role::Sidecar => container.is_running() || container.restarts > 0,
        Role::Regular => true,
    }
}

fn record(
    log: &mut Vec<Occurrence>,
    container: &mut Container,
    act: impl FnOnce(&mut Container, &mut Vec<Happening>),
) {
    let mut happenings = Vec::new();
    act(container, &mut happenings);
    log.extend(happenings.into_iter().map(|happening| Occurrence {
        container: container.name.clone(),
        image: container.image.clone(),
        happening,
    }));
}

#[cfg(test)]
mod tests;
