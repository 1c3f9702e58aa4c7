//! One simulated container: its state, its restarts, and when it changes by itself next.
//!
//! Pure: time comes in, events go out. Knows nothing of the pod around it beyond the
//! restart policy that applies to it; order between containers is `pod_worker`'s.

use std::time::Duration;

use smol_str::SmolStr;

use crate::pod::{self, ContainerSpec, RestartPolicy};
use crate::program::{ImageProblem, Program, Setting, image_problem, probe_succeeds};
use crate::time::Time;

const BACK_OFF_INITIAL: Duration = Duration::from_secs(10);
const BACK_OFF_MAX: Duration = Duration::from_secs(300);
const BACK_OFF_RESET: Duration = Duration::from_secs(600);
/// How long a failed pull is reported as such before the pod is looked at again and
/// reported as backing off.
const PULL_ERROR_SHOWN: Duration = Duration::from_secs(1);
/// Exit code of a program that SIGKILL ended.
pub const KILLED: i32 = 137;
/// Exit code of a program that SIGTERM ended.
pub const TERMINATED: i32 = 143;

/// Part a container plays in its pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Must succeed before the next one starts.
    Init,
    /// Starts among the init containers and runs as long as the pod.
    Sidecar,
    /// The pod's work.
    Regular,
}

/// Why a container is not running yet or again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// It waits for the pod's sandbox.
    ContainerCreating,
    /// It waits for init containers.
    PodInitializing,
    /// A pull just failed.
    ErrImagePull,
    /// The next pull waits.
    ImagePullBackOff,
    /// The image is absent and must not be pulled.
    ErrImageNeverPull,
    /// The image reference is malformed.
    InvalidImageName,
    /// The next start waits.
    CrashLoopBackOff,
}

impl Wait {
    /// The reason as it is reported.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::ContainerCreating => "ContainerCreating",
            Self::PodInitializing => "PodInitializing",
            Self::ErrImagePull => "ErrImagePull",
            Self::ImagePullBackOff => "ImagePullBackOff",
            Self::ErrImageNeverPull => "ErrImageNeverPull",
            Self::InvalidImageName => "InvalidImageName",
            Self::CrashLoopBackOff => "CrashLoopBackOff",
        }
    }
}

/// How a container ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// Exit code.
    pub code: i32,
    /// When it had started; absent if it never ran.
    pub started: Option<Time>,
    /// When it ended.
    pub finished: Time,
}

impl Exit {
    /// The reason as it is reported.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match (self.started, self.code) {
            (None, _) => "ContainerStatusUnknown",
            (Some(_), 0) => "Completed",
            (Some(_), _) => "Error",
        }
    }
}

/// State of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Not running.
    Waiting(Wait),
    /// Running since then.
    Running(Time),
    /// Ended.
    Terminated(Exit),
}

/// Something worth a Kubernetes event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    /// The image is there.
    Pulled,
    /// The container was created.
    Created,
    /// It was started.
    Started,
    /// It is being stopped.
    Killing,
    /// A pull failed.
    PullFailed,
    /// A pull waits.
    PullBackOff,
    /// The image reference is malformed.
    InvalidImageName,
    /// A start waits.
    CrashBackOff,
}

/// A container of a pod.
#[derive(Clone, Debug)]
pub struct Container {
    /// Name.
    pub name: SmolStr,
    /// Image reference.
    pub image: SmolStr,
    /// Part it plays.
    pub role: Role,
    /// State.
    pub state: State,
    /// How it ended before it was started again.
    pub last: Option<Exit>,
    /// How often it was started again.
    pub restarts: u32,
    /// Whether its own readiness probe succeeds while it runs.
    pub probe_succeeds: bool,
    restart_policy: RestartPolicy,
    program: Program,
    image_problem: Option<ImageProblem>,
    /// When the state ends by itself.
    due: Option<Time>,
    back_off: BackOff,
}

impl Container {
    /// A container that has not been started and waits for this. `setting` is that of its pod.
    #[must_use]
    pub fn new(spec: &ContainerSpec, role: Role, setting: Setting, waits: Wait) -> Self {
        let restart_policy = spec
            .restart_policy
            .unwrap_or(match (role, setting.restart_policy) {
                // Init containers of a pod that always restarts are run until they succeed.
                (Role::Init, RestartPolicy::Always) => RestartPolicy::OnFailure,
                (_, policy) => policy,
            });
        let setting = Setting {
            restart_policy,
            runs_to_completion: role == Role::Init || role == Role::Regular && setting.runs_to_completion,
            ..setting
        };
        Self {
            name: spec.name.clone(),
            image: spec.image.clone(),
            role,
            state: State::Waiting(waits),
            last: None,
            restarts: 0,
            probe_succeeds: spec
                .readiness_probe
                .as_ref()
                .and_then(|probe| probe.exec.as_ref())
                .is_none_or(|exec| probe_succeeds(&exec.command)),
            restart_policy,
            program: Program::of(spec, setting),
            image_problem: image_problem(spec),
            due: None,
            back_off: BackOff::default(),
        }
    }

    /// Takes over what an agent before this one reported.
    pub fn adopt(&mut self, status: &pod::ContainerStatus, now: Time) {
        self.restarts = status.restart_count;
        self.last = status
            .last_state
            .terminated
            .as_ref()
            .map(|ended| Self::adopt_exit(ended, now));
        if let Some(running) = &status.state.running {
            self.run(running.started_at.unwrap_or(now));
        } else if let Some(terminated) = &status.state.terminated {
            self.state = State::Terminated(Self::adopt_exit(terminated, now));
            if self.may_restart() {
                self.due = Some(now);
            }
        }
    }

    fn adopt_exit(ended: &pod::Terminated, now: Time) -> Exit {
        Exit {
            code: ended.exit_code,
            started: ended.started_at,
            finished: ended.finished_at.unwrap_or(now),
        }
    }

    /// When it changes by itself next.
    #[must_use]
    pub fn due(&self) -> Option<Time> {
        self.due
    }

    /// Whether it runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        matches!(self.state, State::Running(_))
    }

    /// Whether it was never started and nobody has tried to.
    #[must_use]
    pub fn is_untouched(&self) -> bool {
        self.due.is_none()
            && matches!(
                self.state,
                State::Waiting(Wait::ContainerCreating | Wait::PodInitializing)
            )
    }

    /// How it ended, if it has and stays so.
    #[must_use]
    pub fn ended_for_good(&self) -> Option<&Exit> {
        match &self.state {
            State::Terminated(exit) if !self.may_restart() => Some(exit),
            _ => None,
        }
    }

    /// Whether it would be started again if it ended the way it did.
    #[must_use]
    pub fn may_restart(&self) -> bool {
        match self.state {
            State::Terminated(exit) => self.restart_policy.allows_restart(exit.code),
            _ => true,
        }
    }

    /// How long it waits between crashes now.
    #[must_use]
    pub fn back_off_delay(&self) -> Duration {
        self.back_off.waited
    }

    /// Starts it, if its image can be had.
    pub fn start(&mut self, now: Time, happenings: &mut Vec<Happening>) {
        match self.image_problem {
            None => {
                happenings.extend([Happening::Pulled, Happening::Created, Happening::Started]);
                self.run(now);
            }
            Some(ImageProblem::NotPullable) => {
                happenings.push(Happening::PullFailed);
                self.back_off.next_pull(now);
                self.wait(Wait::ErrImagePull, Some(now.plus(PULL_ERROR_SHOWN)));
            }
            Some(ImageProblem::NeverPulled) => self.wait(Wait::ErrImageNeverPull, None),
            Some(ImageProblem::InvalidName) => {
                happenings.push(Happening::InvalidImageName);
                self.wait(Wait::InvalidImageName, None);
            }
        }
    }

    /// Makes the change that is due, if one is. Tells whether there was one.
    pub fn step(&mut self, now: Time, happenings: &mut Vec<Happening>) -> bool {
        let Some(due) = self.due.filter(|due| *due <= now) else {
            return false;
        };
        match self.state {
            State::Running(_) => match self.program {
                Program::Exits { code, .. } => self.exit(code, due),
                Program::Forever => self.due = None,
            },
            State::Terminated(exit) => self.restart_or_back_off(exit, now, happenings),
            State::Waiting(Wait::CrashLoopBackOff) => self.start_again(now, happenings),
            State::Waiting(Wait::ErrImagePull) => {
                happenings.push(Happening::PullBackOff);
                let again = due.plus(self.back_off.waited.saturating_sub(PULL_ERROR_SHOWN));
                self.wait(Wait::ImagePullBackOff, Some(again));
            }
            State::Waiting(_) => self.start(now, happenings),
        }
        true
    }

    /// Ends it with this exit code, for good.
    pub fn stop(&mut self, code: i32, now: Time) {
        if let State::Running(started) = self.state {
            self.state = State::Terminated(Exit {
                code,
                started: Some(started),
                finished: now,
            });
        }
        self.due = None;
    }

    /// Marks one that never ran as lost, because its pod is over.
    pub fn give_up(&mut self, now: Time) {
        if let State::Waiting(_) = self.state {
            self.state = State::Terminated(Exit {
                code: KILLED,
                started: None,
                finished: now,
            });
        }
        self.due = None;
    }

    /// Replaces the image of a live container, as an update of the pod may.
    pub fn change_image(&mut self, spec: &ContainerSpec, now: Time, happenings: &mut Vec<Happening>) {
        if self.image == spec.image {
            return;
        }
        self.image = spec.image.clone();
        self.image_problem = image_problem(spec);
        match self.state {
            State::Running(_) => {
                happenings.push(Happening::Killing);
                self.stop(0, now);
                self.start_again(now, happenings);
            }
            State::Waiting(Wait::ContainerCreating | Wait::PodInitializing) | State::Terminated(_) => {}
            State::Waiting(_) => {
                self.back_off = BackOff::default();
                self.start(now, happenings);
            }
        }
    }

    /// What a container that ended reports from then on, or how it is started again.
    fn restart_or_back_off(&mut self, exit: Exit, now: Time, happenings: &mut Vec<Happening>) {
        let again = self.back_off.next_start(exit.finished);
        if again <= now {
            self.start_again(now, happenings);
        } else {
            self.last = Some(exit);
            happenings.push(Happening::CrashBackOff);
            self.wait(Wait::CrashLoopBackOff, Some(again));
        }
    }

    fn start_again(&mut self, now: Time, happenings: &mut Vec<Happening>) {
        if let State::Terminated(exit) = self.state {
            self.last = Some(exit);
        }
        self.restarts += 1;
        self.start(now, happenings);
    }

    fn run(&mut self, started: Time) {
        self.state = State::Running(started);
        self.due = match self.program {
            Program::Forever => None,
            Program::Exits { after, .. } => Some(started.plus(after)),
        };
    }

    fn exit(&mut self, code: i32, now: Time) {
        self.stop(code, now);
        if self.may_restart() {
            self.due = Some(now);
        }
    }

    fn wait(&mut self, wait: Wait, due: Option<Time>) {
        self.state = State::Waiting(wait);
        self.due = due;
    }
}

/// The kubelet's back-off: 10 s doubling to 5 min; ten quiet minutes start it anew.
#[derive(Clone, Debug, Default)]
struct BackOff {
    delay: Duration,
    waited: Duration,
    updated: Option<Time>,
}

impl BackOff {
    /// When a program that ended at this time may be started again: the first time at once.
    fn next_start(&mut self, ended: Time) -> Time {
        self.forget_old(ended);
        self.waited = self.delay;
        self.grow();
        let again = ended.plus(self.waited);
        self.updated = Some(again);
        again
    }

    /// Counts a failed pull.
    fn next_pull(&mut self, failed: Time) {
        self.forget_old(failed);
        self.grow();
        self.waited = self.delay;
        self.updated = Some(failed);
    }

    fn forget_old(&mut self, now: Time) {
        if self
            .updated
            .is_none_or(|updated| now.since(updated) > BACK_OFF_RESET)
        {
            self.delay = Duration::ZERO;
        }
    }

    fn grow(&mut self) {
        self.delay = (self.delay * 2).clamp(BACK_OFF_INITIAL, BACK_OFF_MAX);
    }
}

#[cfg(test)]
mod tests;
