//! From a simulated pod to the `status` that is reported: phase, conditions, containers.
//!
//! Pure, and the only place that knows how the kubelet words things. What it promises:
//! conditions keep their transition time while their status stays the same, and a patch
//! names only what the agent owns, so that conditions of others survive.

use serde::Serialize;
use smol_str::{SmolStr, format_smolstr};

use crate::container::{Container, Role, State, Wait};
use crate::pod;
use crate::time::Time;

/// Phase of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Phase {
    /// Something has not started yet.
    Pending,
    /// At least one container runs or will run again.
    Running,
    /// All ended with exit code 0, for good.
    Succeeded,
    /// All ended, at least one badly, for good.
    Failed,
}

impl Phase {
    /// Reads a phase; nothing for `Unknown` and the like.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "Pending" => Some(Self::Pending),
            "Running" => Some(Self::Running),
            "Succeeded" => Some(Self::Succeeded),
            "Failed" => Some(Self::Failed),
            _ => None,
        }
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
        }
    }

    /// Whether it is never left.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed)
    }
}

/// Whether a pod may still start containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It may.
    Live,
    /// Nothing will run any more, whatever the restart policy says.
    Over,
}

/// The phase that the containers' states add up to.
#[must_use]
pub fn phase(containers: &[Container], life: Life) -> Phase {
    let failed_init = |container: &&Container| {
        container.role == Role::Init && container.ended_for_good().is_some_and(|exit| exit.code != 0)
    };
    if containers.iter().any(|container| failed_init(&container)) {
        return Phase::Failed;
    }
    let pending = containers
        .iter()
        .any(|container| match (container.role, &container.state) {
            (Role::Init, State::Terminated(exit)) => exit.code != 0 && life == Life::Live,
            (Role::Init, _) => true,
            (_, State::Waiting(_)) => container.last.is_none(),
            _ => false,
        });
    if pending {
        return if life == Life::Over {
            Phase::Failed
        } else {
            Phase::Pending
        };
    }
    let regular = || {
        containers
            .iter()
            .filter(|container| container.role == Role::Regular)
    };
    if regular().any(Container::is_running) {
        return Phase::Running;
    }
    if life == Life::Live && regular().any(Container::may_restart) {
        return Phase::Running;
    }
    let succeeded =
        |container: &Container| matches!(&container.state, State::Terminated(exit) if exit.code == 0);
    if regular().all(succeeded) {
        Phase::Succeeded
    } else {
        Phase::Failed
    }
}

/// Types of the conditions a kubelet owns, in the order they are reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum ConditionType {
    /// The sandbox with its network exists.
    PodReadyToStartContainers,
    /// All init containers are done.
    Initialized,
    /// All of the above and the readiness gates.
    Ready,
    /// All containers are ready.
    ContainersReady,
    /// The pod has a node.
    PodScheduled,
}

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Type.
    pub kind: ConditionType,
    /// Status; a kubelet never reports `Unknown`.
    pub holds: bool,
    /// Reason; empty for none.
    pub reason: &'static str,
    /// Message; empty for none.
    pub message: SmolStr,
}

impl Condition {
    fn holds(kind: ConditionType) -> Self {
        Self {
            kind,
            holds: true,
            reason: "",
            message: SmolStr::default(),
        }
    }

    fn fails(kind: ConditionType, reason: &'static str, message: impl Into<SmolStr>) -> Self {
        Self {
            kind,
            holds: false,
            reason,
            message: message.into(),
        }
    }
}

/// What the conditions depend on.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// All containers, init containers first.
    pub containers: &'a [Container],
    /// The pod's phase.
    pub phase: Phase,
    /// Whether the sandbox exists.
    pub sandbox: bool,
    /// Whether readiness probes were told to fail.
    pub forced_unready: bool,
    /// Readiness gates with the status of their conditions.
    pub gates: &'a [(SmolStr, Option<SmolStr>)],
}

/// Whether a container counts as ready.
#[must_use]
pub fn is_ready(container: &Container, forced_unready: bool) -> bool {
    match (container.role, &container.state) {
        (Role::Init, State::Terminated(exit)) => exit.code == 0,
        (Role::Init, _) => false,
        _ => container.is_running() && container.probe_succeeds && !forced_unready,
    }
}

/// The conditions a kubelet owns.
#[must_use]
pub fn conditions(facts: &Facts<'_>) -> [Condition; 5] {
    let containers_ready = containers_ready(facts);
    [
        if facts.sandbox {
            Condition::holds(ConditionType::PodReadyToStartContainers)
        } else {
            Condition::fails(ConditionType::PodReadyToStartContainers, "", "")
        },
        initialized(facts),
        ready(facts, &containers_ready),
        containers_ready,
        Condition::holds(ConditionType::PodScheduled),
    ]
}

fn initialized(facts: &Facts<'_>) -> Condition {
    let kind = ConditionType::Initialized;
    if facts.phase == Phase::Succeeded {
        return Condition {
            reason: "PodCompleted",
            ..Condition::holds(kind)
        };
    }
    let regular_started = facts.containers.iter().any(|container| {
        container.role == Role::Regular
            && (container.last.is_some()
                || !matches!(container.state, State::Waiting(_)) && !never_ran(container))
    });
    if regular_started {
        return Condition::holds(kind);
    }
    let incomplete = names(facts.containers, |container| match container.role {
        Role::Init => !is_ready(container, false),
        Role::Sidecar => !container.is_running(),
        Role::Regular => false,
    });
    if incomplete.is_empty() {
        return Condition::holds(kind);
    }
    Condition::fails(
        kind,
        "ContainersNotInitialized",
        format_smolstr!("containers with incomplete status: [{incomplete}]"),
    )
}

fn never_ran(container: &Container) -> bool {
    matches!(&container.state, State::Terminated(exit) if exit.started.is_none())
}

fn containers_ready(facts: &Facts<'_>) -> Condition {
    let kind = ConditionType::ContainersReady;
    match facts.phase {
        Phase::Succeeded => return Condition::fails(kind, "PodCompleted", ""),
        Phase::Failed => return Condition::fails(kind, "PodFailed", ""),
        Phase::Pending | Phase::Running => {}
    }
    let unready = names(facts.containers, |container| {
        container.role != Role::Init && !is_ready(container, facts.forced_unready)
    });
    if unready.is_empty() {
        return Condition::holds(kind);
    }
    Condition::fails(
        kind,
        "ContainersNotReady",
        format_smolstr!("containers with unready status: [{unready}]"),
    )
}

fn ready(facts: &Facts<'_>, containers_ready: &Condition) -> Condition {
    if !containers_ready.holds {
        return Condition {
            kind: ConditionType::Ready,
            ..containers_ready.clone()
        };
    }
    let missing: Vec<String> = facts
        .gates
        .iter()
        .filter_map(|(gate, status)| gate_problem(gate, status))
        .collect();
    if missing.is_empty() {
        return Condition::holds(ConditionType::Ready);
    }
    Condition::fails(ConditionType::Ready, "ReadinessGatesNotReady", missing.join(", "))
}

fn gate_problem(gate: &SmolStr, status: &Option<SmolStr>) -> Option<String> {
    match status.as_deref() {
        Some("True") => None,
        Some(status) => Some(format!(
            "the status of pod readiness gate {gate:?} is not \"True\", but {status}"
        )),
        None => Some(format!(
            "corresponding condition of pod readiness gate {gate:?} does not exist."
        )),
    }
}

fn names(containers: &[Container], select: impl Fn(&Container) -> bool) -> String {
    let names: Vec<&str> = containers
        .iter()
        .filter(|c| select(c))
        .map(|c| c.name.as_str())
        .collect();
    names.join(" ")
}

/// A condition with what survives from one report to the next.
#[derive(Clone, Debug)]
pub struct Reported {
    /// The condition.
    pub condition: Condition,
    /// Since when its status is what it is.
    pub since: Time,
    /// Whether the server may hold a reason, which must be taken back if there is none now.
    pub had_reason: bool,
    /// Whether the server may hold a message.
    pub had_message: bool,
}

impl Reported {
    /// The first report of a condition, given what is found on the pod.
    fn first(condition: Condition, found: &[pod::Condition], now: Time) -> Self {
        let before = found.iter().find(|found| found.kind == condition.kind.as_str());
        let same = before.filter(|before| (before.status == "True") == condition.holds);
        Self {
            since: same.and_then(|before| before.last_transition_time).unwrap_or(now),
            had_reason: before.is_some_and(|before| before.reason.is_some()),
            had_message: before.is_some_and(|before| before.message.is_some()),
            condition,
        }
    }

    /// The next one.
    fn then(&mut self, condition: Condition, now: Time) {
        if self.condition.holds != condition.holds {
            self.since = now;
        }
        self.had_reason |= !self.condition.reason.is_empty();
        self.had_message |= !self.condition.message.is_empty();
        self.condition = condition;
    }
}

/// The conditions as they were reported last.
#[derive(Clone, Debug)]
pub enum History {
    /// Not by this agent yet; these were found on the pod.
    Found(Vec<pod::Condition>),
    /// By this agent.
    Reported(Box<[Reported; 5]>),
}

impl History {
    /// Moves on to new conditions and returns them with their times.
    pub fn report(&mut self, computed: [Condition; 5], now: Time) -> &[Reported] {
        match self {
            Self::Reported(reported) => {
                for (reported, condition) in reported.iter_mut().zip(computed) {
                    reported.then(condition, now);
                }
            }
            Self::Found(found) => {
                let first = computed.map(|condition| Reported::first(condition, found, now));
                *self = Self::Reported(Box::new(first));
            }
        }
        match self {
            Self::Reported(reported) => reported.as_slice(),
            Self::Found(_) => &[],
        }
    }

    /// Whether the pod was reported ready.
    #[must_use]
    pub fn ready(&self) -> bool {
        match self {
            Self::Reported(reported) => reported
                .iter()
                .any(|r| r.condition.kind == ConditionType::Ready && r.condition.holds),
            Self::Found(found) => found
                .iter()
                .any(|found| found.kind == "Ready" && found.status == "True"),
        }
    }
}

impl ConditionType {
    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PodReadyToStartContainers => "PodReadyToStartContainers",
            Self::Initialized => "Initialized",
            Self::Ready => "Ready",
            Self::ContainersReady => "ContainersReady",
            Self::PodScheduled => "PodScheduled",
        }
    }
}

/// The message of a waiting container.
#[must_use]
pub fn wait_message(container: &Container, wait: Wait, pod: &str) -> Option<String> {
    let image = &container.image;
    match wait {
        Wait::ContainerCreating | Wait::PodInitializing => None,
        Wait::ErrImagePull => Some(format!(
            "failed to pull and unpack image \"{image}\": failed to resolve reference \"{image}\": {image}: not found"
        )),
        Wait::ImagePullBackOff => Some(format!("Back-off pulling image \"{image}\"")),
        Wait::ErrImageNeverPull => Some(format!(
            "Container image \"{image}\" is not present with pull policy of Never"
        )),
        Wait::InvalidImageName => Some(format!(
            "Failed to apply default image tag \"{image}\": couldn't parse image name \"{image}\": invalid reference format"
        )),
        Wait::CrashLoopBackOff => Some(format!(
            "back-off {} restarting failed container={} pod={pod}",
            go_duration(container.back_off_delay().as_secs()),
            container.name
        )),
    }
}

/// Seconds as Go prints durations: `10s`, `1m20s`, `5m0s`.
fn go_duration(seconds: u64) -> String {
    if seconds < 60 {
        format!("{seconds}s")
    } else {
        format!("{}m{}s", seconds / 60, seconds % 60)
    }
}

#[cfg(test)]
mod tests;
