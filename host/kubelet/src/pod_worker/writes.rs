//! What a pod worker writes: which report or deletion is due, and what became of it.

use bytes::Bytes;

use super::{PodWorker, Stage};
use crate::config::FinalReport;
use crate::container::{Container, State};
use crate::pod::RestartPolicy;
use crate::pod_status::{Facts, Life, Phase, conditions, phase};
use crate::status_patch::Report;
use crate::time::Time;

/// A write that the pod needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Patch its status.
    Report(Bytes),
    /// Remove the object, grace period 0.
    Delete,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WriteKind {
    Report,
    Delete,
}

/// The one write that may be in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WriteState {
    Idle,
    InFlight,
    /// Failed; the next try is at this time.
    Waiting(Time),
    /// The object was deleted: there is nothing more to write.
    Done,
}

impl PodWorker {
    /// The phase to report. A terminal one is held back while containers still run.
    fn phase(&self) -> Phase {
        let life = if self.stage == Stage::Over {
            Life::Over
        } else {
            Life::Live
        };
        let phase = self.decided.unwrap_or_else(|| phase(&self.containers, life));
        let known = self.reported_phase.is_some_and(Phase::is_terminal);
        if phase.is_terminal() && !known && self.containers.iter().any(Container::is_running) {
            return Phase::Running;
        }
        phase
    }

    /// Whether a write is due.
    #[must_use]
    pub fn wants_write(&self, now: Time, final_report: FinalReport) -> bool {
        self.due_write(now, final_report).is_some()
    }

    /// The write that is due now, which the caller must make and answer with
    /// [`PodWorker::written`], [`PodWorker::write_failed`] or [`PodWorker::write_refused`].
    pub fn next_write(&mut self, now: Time, final_report: FinalReport) -> Option<Write> {
        let write = match self.due_write(now, final_report)? {
            WriteKind::Report => Write::Report(self.report(now)),
            WriteKind::Delete => Write::Delete,
        };
        self.write = WriteState::InFlight;
        Some(write)
    }

    fn due_write(&self, now: Time, final_report: FinalReport) -> Option<WriteKind> {
        match self.write {
            WriteState::InFlight | WriteState::Done => return None,
            WriteState::Waiting(at) if at > now => return None,
            WriteState::Waiting(_) | WriteState::Idle => {}
        }
        let goes = self.stage == Stage::Over && self.deletion.is_some();
        let skips_report = goes && !self.final_report_matters(final_report);
        if self.dirty && !skips_report {
            Some(WriteKind::Report)
        } else {
            goes.then_some(WriteKind::Delete)
        }
    }

    /// Whether anybody can act on the final status of a pod that is deleted right after.
    fn final_report_matters(&self, final_report: FinalReport) -> bool {
        final_report == FinalReport::Always
            || self.has_finalizers
            || self.restart_policy != RestartPolicy::Always
    }

    fn report(&mut self, now: Time) -> Bytes {
        let phase = self.phase();
        let forced_unready = self.annotations.ready.as_deref() == Some("false");
        let sandbox = matches!(self.stage, Stage::Started | Stage::Stopping(_));
        let facts = Facts {
            containers: &self.containers,
            phase,
            sandbox,
            forced_unready,
            gates: &self.gates,
        };
        let conditions = if self.start_time.is_some() {
            self.history.report(conditions(&facts), now)
        } else {
            // It never was on the node, as far as its status tells.
            &[]
        };
        self.dirty = false;
        self.reported_phase = Some(phase);
        let had_sandbox = sandbox || self.containers.iter().any(|c| c.last.is_some() || ran(c));
        Report {
            uid: &self.uid,
            full_name: &self.full_name,
            generation: self.generation,
            phase,
            failure: self
                .failure
                .as_ref()
                .map(|failure| (failure.reason.as_str(), failure.message.as_str())),
            conditions,
            start_time: self.start_time,
            host_ip: self.placement.host_ip,
            pod_ip: had_sandbox.then_some(self.placement.pod_ip),
            containers: &self.containers,
            forced_unready,
        }
        .to_patch()
    }

    /// A write succeeded.
    pub fn written(&mut self, write: &Write) {
        self.write = match write {
            Write::Report(_) => WriteState::Idle,
            Write::Delete => WriteState::Done,
        };
    }

    /// A write failed and is worth another try at this time; a report is made anew then.
    pub fn write_failed(&mut self, write: &Write, retry: Time) {
        self.dirty |= matches!(write, Write::Report(_));
        self.write = WriteState::Waiting(retry);
    }

    /// A write failed in a way that trying again cannot mend, such as an object that is gone.
    pub fn write_refused(&mut self, write: &Write) {
        self.written(write);
    }
}

fn ran(container: &Container) -> bool {
    match &container.state {
        State::Running(_) => true,
        State::Terminated(exit) => exit.started.is_some(),
        State::Waiting(_) => false,
    }
}
