//! One module: a guest and what it gets.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use smol_str::SmolStr;
use windlass_core::permission::{Grants, PermissionRule};
use windlass_registry::digest::Digest;

use super::checks::{Checked, dns_label, ensure, refuse, short};
use super::identity::ImpersonateEntry;
use super::leadership::{LeadershipEntry, LeadershipMode};
use super::limits::LimitsEntry;
use super::plugin::PluginEntry;
use super::rules;
use super::signature::{SignatureEntry, SignaturesEntry};
use super::source::SourceEntry;

/// Longest field manager that API servers take
/// (`apimachinery/pkg/apis/meta/v1/validation`).
const MAX_FIELD_MANAGER: usize = 128;

/// One module: a guest and what it gets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Module")]
pub struct ModuleEntry {
    /// Names the module in logs, status and metrics: a DNS label, used once.
    pub name: SmolStr,
    /// Where the component comes from.
    pub source: SourceEntry,
    /// `sha256:…` of the component, as `windlass inspect` prints it; a component of another
    /// digest is refused. To pin what a registry serves, put the digest of the manifest
    /// into the reference.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub digest: Option<Digest>,
    /// Who must have signed the component; for sources in registries. Null: the host's
    /// default policy, if it has one.
    #[serde(default)]
    pub signature: Option<SignatureEntry>,
    /// Whether it runs.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Passed to the guest as JSON.
    #[serde(default = "empty_object")]
    #[schemars(with = "Map<String, Value>")]
    pub config: Value,
    /// Plugins that the guest may call; for the scheduler.
    #[serde(default)]
    pub plugins: Vec<PluginEntry>,
    /// What the guest may do. What it declares and is not granted refuses the module.
    #[serde(default)]
    pub permissions: Vec<PermissionRule>,
    /// Grant whatever the guest's manifest declares, besides `permissions`. Null: true for
    /// stock guests, false for all others.
    #[serde(default)]
    pub grant_declared: Option<bool>,
    /// Whom the host impersonates in its API calls; null: nobody, they are the host's own.
    #[serde(default)]
    pub impersonate: Option<ImpersonateEntry>,
    /// Who owns the fields that it writes; null: the module's name. A guest cannot choose it.
    #[serde(default)]
    pub field_manager: Option<SmolStr>,
    /// The source of its events; null: the module's name, or for stock guests the name that
    /// Kubernetes gives the controller. A guest cannot choose it.
    #[serde(default)]
    pub event_source: Option<SmolStr>,
    /// Syncs in flight per instance; null: what the manifest says, which is also the most.
    #[serde(default)]
    pub workers: Option<u32>,
    /// Budgets.
    #[serde(default)]
    pub limits: LimitsEntry,
    /// Where it runs when the host has several replicas.
    #[serde(default)]
    pub leadership: LeadershipEntry,
    /// The least severe lines of the guest that are logged.
    #[serde(default)]
    pub log_level: LogLevel,
    /// Whether its writes are captured instead of sent, to be compared with what another
    /// version does. A shadow stands beside that version in every replica that runs it,
    /// whatever `leadership` says.
    #[serde(default)]
    pub shadow: bool,
    /// The most that it may be granted, for entries whose author does not decide that; never
    /// read or written.
    #[serde(skip)]
    pub ceiling: Option<Grants>,
}

/// How severe a log line is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Needs an operator.
    Error,
    /// Degraded but coping.
    Warn,
    /// What happens.
    #[default]
    Info,
    /// A line per sync.
    Debug,
    /// Everything.
    Trace,
}

impl ModuleEntry {
    /// An entry with all defaults.
    #[must_use]
    pub fn new(name: &str, source: SourceEntry) -> Self {
        Self {
            name: name.into(),
            source,
            digest: None,
            signature: None,
            enabled: true,
            config: empty_object(),
            plugins: Vec::new(),
            permissions: Vec::new(),
            grant_declared: None,
            impersonate: None,
            field_manager: None,
            event_source: None,
            workers: None,
            limits: LimitsEntry::default(),
            leadership: LeadershipEntry::default(),
            log_level: LogLevel::default(),
            shadow: false,
            ceiling: None,
        }
    }

    /// The entry of a stock guest with all defaults.
    #[must_use]
    pub fn stock(name: &str) -> Self {
        Self::new(name, SourceEntry::stock(name))
    }

    /// Whether it is granted whatever its guest's manifest declares.
    #[must_use]
    pub fn grants_declared(&self) -> bool {
        self.grant_declared.unwrap_or(self.source.stock.is_some())
    }

    /// How the replicas share it. A shadow acts nowhere, so it needs nobody's leave.
    #[must_use]
    pub fn leadership_mode(&self) -> LeadershipMode {
        if self.shadow {
            LeadershipMode::None
        } else {
            self.leadership.mode
        }
    }

    /// Who owns the fields that it writes.
    #[must_use]
    pub fn field_manager(&self) -> &SmolStr {
        self.field_manager.as_ref().unwrap_or(&self.name)
    }

    /// The source of its events, for a guest whose manifest has this name.
    #[must_use]
    pub fn event_source(&self, manifest_name: &SmolStr) -> SmolStr {
        match &self.event_source {
            Some(source) => source.clone(),
            None if self.source.stock.is_some() => manifest_name.clone(),
            None => self.name.clone(),
        }
    }

    /// Writes out the defaults that follow from other fields.
    #[must_use]
    pub(crate) fn with_defaults(mut self) -> Self {
        self.grant_declared = Some(self.grants_declared());
        if self.source.directory.is_some() {
            // The rest follows from the name, and each module of a directory has its own.
            return self;
        }
        self.field_manager = Some(self.field_manager().clone());
        if self.source.stock.is_none() && self.event_source.is_none() {
            self.event_source = Some(self.name.clone());
        }
        self
    }

    pub(super) fn validate(&self, at: &str, signatures: &SignaturesEntry) -> Checked {
        dns_label(&format!("{at}.name"), &self.name)?;
        self.source.validate(&format!("{at}.source"))?;
        ensure(
            self.config.is_object(),
            || format!("{at}.config"),
            || "must be a mapping".to_owned(),
        )?;
        ensure(
            self.workers != Some(0),
            || format!("{at}.workers"),
            || "must be at least 1; use `enabled: false` to stop a module".to_owned(),
        )?;
        for (position, rule) in self.permissions.iter().enumerate() {
            rules::validate(&format!("{at}.permissions[{position}]"), rule)?;
        }
        for (position, plugin) in self.plugins.iter().enumerate() {
            let at = format!("{at}.plugins[{position}]");
            plugin.validate(&at, signatures)?;
            let mut before = self.plugins.iter().take(position);
            ensure(
                before.all(|other| other.name != plugin.name),
                || format!("{at}.name"),
                || {
                    format!(
                        "{:?} is used twice; every plugin needs a name of its own",
                        plugin.name
                    )
                },
            )?;
        }
        self.limits.validate(&format!("{at}.limits"))?;
        if let Some(impersonate) = &self.impersonate {
            impersonate.validate(&format!("{at}.impersonate"))?;
        }
        self.validate_names(at)?;
        self.validate_signature(&format!("{at}.signature"), signatures)
    }

    fn validate_names(&self, at: &str) -> Checked {
        for (key, name) in [
            ("fieldManager", &self.field_manager),
            ("eventSource", &self.event_source),
        ] {
            let Some(name) = name else { continue };
            ensure(
                (1..=MAX_FIELD_MANAGER).contains(&name.len())
                    && name.bytes().all(|byte| byte.is_ascii_graphic()),
                || format!("{at}.{key}"),
                || {
                    format!(
                        "{:?} is not a name: 1 to {MAX_FIELD_MANAGER} printable ASCII characters without spaces",
                        short(name)
                    )
                },
            )?;
        }
        Ok(())
    }

    fn validate_signature(&self, at: &str, signatures: &SignaturesEntry) -> Checked {
        let Some(signature) = &self.signature else {
            return Ok(());
        };
        if self.source.oci.is_none() {
            let problem = "only components from a registry carry signatures; pin this one with `digest`";
            return Err(refuse(at, problem));
        }
        signature.validate(at, signatures)
    }
}

fn yes() -> bool {
    true
}

fn empty_object() -> Value {
    Value::Object(Map::new())
}
