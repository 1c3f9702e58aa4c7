//! What an object says of its module: the form of its status, and what goes there.
//!
//! Two conditions. `Accepted` says whether the latest change, of the object or of its
//! component, was taken up; `Ready` whether the module serves, be it as the last good
//! version. Pure: the same judgement and the same state of the module give the same
//! status, so that nothing is written without news.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::object::ControllerModule;
use super::roll::Judgement;
use crate::config::ModuleEntry;
use crate::module::Module;
use crate::supervisor::{ModuleState, ModuleStatus};

/// Whether the latest change was taken up.
pub const ACCEPTED: &str = "Accepted";
/// Whether the module serves.
pub const READY: &str = "Ready";

/// Longest message, in characters; API servers take 32,768.
const MAX_MESSAGE: usize = 2000;

/// What a host says of a module. Written by the replica that leads it, or where none does
/// by the one that holds the Lease `<group>.controllermodules`.
// Written as a merge patch, in which null takes a field away.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ControllerModuleStatus {
    /// The generation of the object that this is about.
    pub observed_generation: Option<i64>,
    /// Where the module stands: Starting, Running, BackOff, Failed, Standby, Disabled, Stopped, or
    /// Rejected when there is no module because the object was refused.
    pub state: Option<String>,
    /// The name that the guest which serves, or served last, gives itself.
    pub guest: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// Its component's digest.
    pub digest: Option<String>,
    /// Where the component came from.
    pub origin: Option<String>,
    /// The host that runs the module: the group of its replicas.
    pub host: Option<String>,
    /// The replica that says all this.
    pub replica: Option<String>,
    /// Accepted: the latest change, of the object or its component, was taken up. Ready: the
    /// module serves.
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// One aspect of a module's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Accepted or Ready.
    #[serde(rename = "type")]
    #[schemars(length(max = 316))]
    pub kind: String,
    /// Whether it holds.
    pub status: ConditionStatus,
    /// The generation of the object that this is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// When `status` changed last.
    #[schemars(extend("format" = "date-time"))]
    pub last_transition_time: String,
    /// Why, in one word.
    #[schemars(length(min = 1, max = 1024))]
    pub reason: String,
    /// Why, for people.
    #[schemars(length(max = 32768))]
    pub message: String,
}

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConditionStatus {
    /// Yes.
    True,
    /// No.
    False,
    /// Not decided yet.
    Unknown,
}

/// Who says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reporter {
    /// The group of the host's replicas.
    pub host: SmolStr,
    /// This one.
    pub replica: SmolStr,
}

/// A condition without its times.
struct Finding {
    kind: &'static str,
    status: ConditionStatus,
    reason: &'static str,
    message: String,
}

impl Finding {
    fn new(
        kind: &'static str,
        status: ConditionStatus,
        reason: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            status,
            reason,
            message: message.into(),
        }
    }
}

/// What an object should say, given how it was judged and where its module stands.
#[must_use]
pub fn status_of(
    object: &ControllerModule,
    judgement: &Judgement,
    module: Option<&ModuleStatus>,
    reporter: &Reporter,
    now: Timestamp,
) -> ControllerModuleStatus {
    let serving = module.and_then(|module| module.serving.as_deref());
    let findings = [accepted(judgement, module), ready(judgement, module)];
    ControllerModuleStatus {
        state: Some(state(judgement, module).to_owned()),
        guest: serving.map(|module| module.guest.manifest.name.to_string()),
        version: serving.map(|module| module.guest.manifest.version.to_string()),
        digest: serving.map(digest),
        origin: serving.map(|module| module.origin.clone()),
        ..status(object, findings, reporter, now)
    }
}

/// What an object should say that no host of this group runs any more.
#[must_use]
pub fn released(object: &ControllerModule, reporter: &Reporter, now: Timestamp) -> ControllerModuleStatus {
    let message = format!(
        "host {} follows this object no more: its selector leaves it out, or it follows none",
        reporter.host
    );
    let findings = [
        Finding::new(ACCEPTED, ConditionStatus::Unknown, "NotFollowed", message.clone()),
        Finding::new(READY, ConditionStatus::False, "NotFollowed", message),
    ];
    ControllerModuleStatus {
        host: None,
        ..status(object, findings, reporter, now)
    }
}

fn status(
    object: &ControllerModule,
    findings: [Finding; 2],
    reporter: &Reporter,
    now: Timestamp,
) -> ControllerModuleStatus {
    let condition = |finding: Finding| {
        let before = object
            .status
            .conditions
            .iter()
            .find(|before| before.kind == finding.kind);
        let since = before.filter(|before| before.status == finding.status);
        Condition {
            kind: finding.kind.to_owned(),
            status: finding.status,
            observed_generation: Some(object.generation),
            last_transition_time: since.map_or_else(
                || now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
                |before| before.last_transition_time.clone(),
            ),
            reason: finding.reason.to_owned(),
            message: finding.message.chars().take(MAX_MESSAGE).collect(),
        }
    };
    ControllerModuleStatus {
        observed_generation: Some(object.generation),
        host: Some(reporter.host.to_string()),
        replica: Some(reporter.replica.to_string()),
        conditions: findings.map(condition).into(),
        ..ControllerModuleStatus::default()
    }
}

fn state(judgement: &Judgement, module: Option<&ModuleStatus>) -> &'static str {
    match (module, judgement) {
        (Some(module), _) => module.state.label(),
        (None, Judgement::Runs(_)) => ModuleState::Starting.label(),
        (None, Judgement::Refused { .. }) => "Rejected",
        (None, Judgement::Ends) => ModuleState::Stopped.label(),
    }
}

fn accepted(judgement: &Judgement, module: Option<&ModuleStatus>) -> Finding {
    let finding = |status, reason, message: &str| Finding::new(ACCEPTED, status, reason, message);
    let entry = match judgement {
        Judgement::Runs(entry) => entry,
        Judgement::Refused { refusal, .. } => {
            return finding(ConditionStatus::False, refusal.reason(), &refusal.to_string());
        }
        Judgement::Ends => {
            return finding(
                ConditionStatus::Unknown,
                "Deleting",
                "the object is being deleted",
            );
        }
    };
    if !entry.enabled {
        return finding(
            ConditionStatus::True,
            "Accepted",
            "as the object says, it does not run",
        );
    }
    let latest = module
        .and_then(|module| module.reload.as_ref())
        .filter(|latest| is_of(&latest.entry, entry));
    match latest.map(|latest| &latest.rejected) {
        Some(None) => finding(
            ConditionStatus::True,
            "Accepted",
            "the module is as the object says",
        ),
        Some(Some(reason)) => finding(ConditionStatus::False, "Rejected", reason),
        None => finding(
            ConditionStatus::Unknown,
            "Loading",
            "the component is being fetched, compiled and started",
        ),
    }
}

fn ready(judgement: &Judgement, module: Option<&ModuleStatus>) -> Finding {
    let no = |reason, message: &str| Finding::new(READY, ConditionStatus::False, reason, message);
    let Some(module) = module else {
        return match judgement {
            Judgement::Runs(_) => no("Starting", "the module is about to start"),
            Judgement::Refused { .. } => no("Rejected", "there is no module, because the object was refused"),
            Judgement::Ends => no("Deleting", "the object is being deleted"),
        };
    };
    let label = module.state.label();
    match &module.state {
        ModuleState::Running => Finding::new(READY, ConditionStatus::True, label, running(module)),
        ModuleState::Starting => no(label, "its component is being loaded, or its caches are filling"),
        // Without the delay, which differs each time.
        ModuleState::BackOff { failure, .. } => {
            no(label, &format!("{failure}; it starts again after a while"))
        }
        ModuleState::Failed { reason } => no(label, reason),
        ModuleState::Standby { holder: None } => no(label, "no replica leads it yet"),
        ModuleState::Standby { holder: Some(holder) } => no(label, &format!("{holder} leads")),
        ModuleState::Disabled => no(label, "the object says `enabled: false`"),
        ModuleState::Stopped => no(label, "it has stopped"),
    }
}

fn running(module: &ModuleStatus) -> String {
    let rejected = module
        .reload
        .as_ref()
        .is_some_and(|latest| latest.rejected.is_some());
    if rejected {
        "the last good version serves".to_owned()
    } else {
        "it serves".to_owned()
    }
}

fn digest(module: &Module) -> String {
    format!("sha256:{}", module.guest.digest)
}

fn is_of(reload: &std::sync::Arc<ModuleEntry>, entry: &std::sync::Arc<ModuleEntry>) -> bool {
    std::sync::Arc::ptr_eq(reload, entry) || reload == entry
}

#[cfg(test)]
mod tests;
