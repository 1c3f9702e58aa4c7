//! The wire form of a status report: a strategic merge patch of `pods/status`.
//!
//! Conditions merge by type on the server, container statuses are replaced. A `null`
//! takes back what an earlier report said and this one does not.

use std::net::Ipv4Addr;

use bytes::Bytes;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::container::{Container, Exit, Role, State};
use crate::pod_status::{Phase, Reported, is_ready, wait_message};
use crate::time::Time;

/// Everything a report says.
#[derive(Debug)]
pub struct Report<'a> {
    /// UID of the pod: the patch fails if the pod was replaced.
    pub uid: &'a str,
    /// `name_namespace(uid)`, for messages.
    pub full_name: &'a str,
    /// Generation of the spec that the report is about.
    pub generation: i64,
    /// Phase.
    pub phase: Phase,
    /// Why the pod failed as a whole: reason and message.
    pub failure: Option<(&'a str, &'a str)>,
    /// Conditions; empty for a pod that was rejected.
    pub conditions: &'a [Reported],
    /// When the pod arrived; absent for a pod that was rejected.
    pub start_time: Option<Time>,
    /// Address of the node.
    pub host_ip: Ipv4Addr,
    /// Address of the pod.
    pub pod_ip: Option<Ipv4Addr>,
    /// All containers, init containers first; empty for a pod that was rejected.
    pub containers: &'a [Container],
    /// Whether readiness probes were told to fail.
    pub forced_unready: bool,
}

impl Report<'_> {
    /// The patch.
    #[must_use]
    pub fn to_patch(&self) -> Bytes {
        #[derive(Serialize)]
        struct Patch<'a> {
            metadata: Uid<'a>,
            status: &'a Report<'a>,
        }
        #[derive(Serialize)]
        struct Uid<'a> {
            uid: &'a str,
        }
        let patch = Patch {
            metadata: Uid { uid: self.uid },
            status: self,
        };
        serde_json::to_vec(&patch)
            .expect("a report has string keys only and writes to memory")
            .into()
    }

    fn container_statuses(&self, select: impl Fn(Role) -> bool) -> Vec<ContainerStatus<'_>> {
        let selected = self.containers.iter().filter(|container| select(container.role));
        selected
            .map(|container| ContainerStatus {
                report: self,
                container,
            })
            .collect()
    }
}

#[derive(Serialize)]
struct Address {
    ip: Ipv4Addr,
}

impl Serialize for Report<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut status = serializer.serialize_map(None)?;
        status.serialize_entry("observedGeneration", &self.generation)?;
        status.serialize_entry("phase", &self.phase)?;
        if let Some((reason, message)) = self.failure {
            status.serialize_entry("reason", reason)?;
            status.serialize_entry("message", message)?;
        }
        if let Some(start_time) = self.start_time {
            status.serialize_entry("startTime", &start_time)?;
            status.serialize_entry("hostIP", &self.host_ip)?;
            status.serialize_entry("hostIPs", &[Address { ip: self.host_ip }])?;
        }
        if let Some(ip) = self.pod_ip {
            status.serialize_entry("podIP", &ip)?;
            status.serialize_entry("podIPs", &[Address { ip }])?;
        }
        if !self.conditions.is_empty() {
            let conditions: Vec<_> = self
                .conditions
                .iter()
                .map(|reported| ConditionEntry(reported, self.generation))
                .collect();
            status.serialize_entry("conditions", &conditions)?;
        }
        let init = self.container_statuses(|role| role != Role::Regular);
        if !init.is_empty() {
            status.serialize_entry("initContainerStatuses", &init)?;
        }
        let regular = self.container_statuses(|role| role == Role::Regular);
        if !regular.is_empty() {
            status.serialize_entry("containerStatuses", &regular)?;
        }
        status.end()
    }
}

struct ConditionEntry<'a>(&'a Reported, i64);

impl Serialize for ConditionEntry<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(
            Reported {
                condition,
                since,
                had_reason,
                had_message,
            },
            generation,
        ) = self;
        let mut entry = serializer.serialize_map(None)?;
        entry.serialize_entry("type", &condition.kind)?;
        entry.serialize_entry("status", if condition.holds { "True" } else { "False" })?;
        entry.serialize_entry("lastTransitionTime", since)?;
        entry.serialize_entry("observedGeneration", generation)?;
        for (key, value, had) in [
            ("reason", condition.reason, *had_reason),
            ("message", condition.message.as_str(), *had_message),
        ] {
            if !value.is_empty() {
                entry.serialize_entry(key, value)?;
            } else if had {
                entry.serialize_entry(key, &())?;
            }
        }
        entry.end()
    }
}

struct ContainerStatus<'a> {
    report: &'a Report<'a>,
    container: &'a Container,
}

impl ContainerStatus<'_> {
    fn container_id(&self, instance: u32) -> String {
        format!(
            "windlass://{}-{}-{instance}",
            self.report.uid, self.container.name
        )
    }

    /// Which instance of the container the state speaks of; nothing before the first one.
    fn instance(&self) -> Option<u32> {
        let Container {
            state,
            restarts,
            last,
            ..
        } = self.container;
        match state {
            State::Running(_) => Some(*restarts),
            State::Terminated(exit) => exit.started.map(|_| *restarts),
            State::Waiting(_) => last.map(|_| *restarts),
        }
    }
}

impl Serialize for ContainerStatus<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let container = self.container;
        let instance = self.instance();
        let mut status = serializer.serialize_map(None)?;
        status.serialize_entry("name", &container.name)?;
        status.serialize_entry("image", &container.image)?;
        status.serialize_entry(
            "imageID",
            if instance.is_some() {
                container.image.as_str()
            } else {
                ""
            },
        )?;
        if let Some(instance) = instance {
            status.serialize_entry("containerID", &self.container_id(instance))?;
        }
        status.serialize_entry("ready", &is_ready(container, self.report.forced_unready))?;
        status.serialize_entry("started", &container.is_running())?;
        status.serialize_entry("restartCount", &container.restarts)?;
        status.serialize_entry("state", &StateEntry(self))?;
        status.serialize_entry("lastState", &LastState(self))?;
        status.end()
    }
}

struct StateEntry<'a>(&'a ContainerStatus<'a>);

impl Serialize for StateEntry<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Waiting<'a> {
            reason: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            message: Option<String>,
        }
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Running {
            started_at: Time,
        }
        let Self(status) = self;
        let container = status.container;
        let mut state = serializer.serialize_map(Some(1))?;
        match container.state {
            State::Waiting(wait) => {
                let message = wait_message(container, wait, status.report.full_name);
                state.serialize_entry(
                    "waiting",
                    &Waiting {
                        reason: wait.reason(),
                        message,
                    },
                )?;
            }
            State::Running(started_at) => state.serialize_entry("running", &Running { started_at })?,
            State::Terminated(exit) => {
                state.serialize_entry("terminated", &Terminated::new(status, &exit, container.restarts))?;
            }
        }
        state.end()
    }
}

struct LastState<'a>(&'a ContainerStatus<'a>);

impl Serialize for LastState<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(status) = self;
        let mut state = serializer.serialize_map(None)?;
        if let Some(exit) = &status.container.last {
            // A crashed container that waits still is the instance that crashed.
            let waits = matches!(status.container.state, State::Waiting(_));
            let instance = status.container.restarts.saturating_sub(u32::from(!waits));
            state.serialize_entry("terminated", &Terminated::new(status, exit, instance))?;
        }
        state.end()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Terminated {
    exit_code: i32,
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<Time>,
    finished_at: Time,
    #[serde(rename = "containerID", skip_serializing_if = "Option::is_none")]
    container_id: Option<String>,
}

impl Terminated {
    fn new(status: &ContainerStatus<'_>, exit: &Exit, instance: u32) -> Self {
        let lost = "The container could not be located when the pod was terminated";
        Self {
            exit_code: exit.code,
            reason: exit.reason(),
            message: exit.started.is_none().then_some(lost),
            started_at: exit.started,
            finished_at: exit.finished,
            container_id: exit.started.map(|_| status.container_id(instance)),
        }
    }
}
