//! `HostConfiguration`: which modules a host runs, and with what.
//!
//! A file per noun. Strict: an unknown key, a value of the wrong shape, a name used twice
//! or a rule that can never match is an error that says where, and what to write instead.
//! Promises: [`HostConfiguration::to_yaml`] writes every default out and reads back as the
//! same configuration. Reading a file is the caller's business; this module only parses.

pub mod controller_modules;
pub mod host;
pub mod identity;
pub mod leadership;
pub mod limits;
pub mod module;
pub mod plugin;
pub mod reference;
pub mod signature;
pub mod source;
pub mod units;

mod checks;
mod hints;
mod rules;

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::checks::{Checked, ensure, refuse};
use self::controller_modules::ControllerModulesEntry;
use self::host::{ApiServerEntry, CachesEntry, LogEntry, OtlpEntry, RegistryEntry};
use self::leadership::LeaderElectionEntry;
pub use self::limits::LimitsEntry;
pub use self::module::ModuleEntry;
pub use self::plugin::PluginEntry;
use self::signature::SignaturesEntry;
pub use self::source::SourceEntry;
pub use self::units::{Bytes, Span, parse_bytes, parse_span};

/// The `apiVersion` this host reads.
pub const API_VERSION: &str = "windlass.dev/v1alpha1";
/// The `kind` this host reads.
pub const KIND: &str = "HostConfiguration";

/// What a host does and which modules it runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HostConfiguration {
    /// The version of this format: `windlass.dev/v1alpha1`.
    pub api_version: String,
    /// `HostConfiguration`.
    pub kind: String,
    /// Where `/metrics`, `/livez`, `/readyz` and the status page are served, over plain HTTP
    /// and to everybody who can connect; null: nowhere.
    #[serde(default = "status_address")]
    #[schemars(with = "Option<String>")]
    pub status_address: Option<SocketAddr>,
    /// Where traces and metrics are sent; null: nowhere. Read once, when the host starts.
    #[serde(default)]
    pub otlp: Option<OtlpEntry>,
    /// What goes to standard error.
    #[serde(default)]
    pub log: LogEntry,
    /// How replicas of the host agree on who runs what.
    #[serde(default)]
    pub leader_election: LeaderElectionEntry,
    /// How much the host as a whole asks of the API server.
    #[serde(default)]
    pub api_server: ApiServerEntry,
    /// How much the shared caches of API objects may hold.
    #[serde(default)]
    pub caches: CachesEntry,
    /// Where compiled guests and pulled components are kept; null:
    /// `$XDG_CACHE_HOME/windlass` or `~/.cache/windlass`. The flag `--cache-dir` comes before it.
    #[serde(default)]
    pub cache_dir: Option<String>,
    /// How registries are talked to.
    #[serde(default)]
    pub registry: RegistryEntry,
    /// Signature policies.
    #[serde(default)]
    pub signatures: SignaturesEntry,
    /// How long running syncs get to end when a module stops, changes hands or is replaced.
    /// The flag `--shutdown-grace` comes before it. A change counts at once.
    #[serde(default = "shutdown_grace")]
    pub shutdown_grace: Span,
    /// Modules from objects of the cluster.
    #[serde(default)]
    pub controller_modules: ControllerModulesEntry,
    /// The modules, each with a name of its own.
    #[serde(default)]
    pub modules: Vec<ModuleEntry>,
}

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not YAML, an unknown key, or a value of the wrong shape. Carries line and column.
    #[error("{0}")]
    Syntax(String),
    /// Right shape, wrong meaning.
    #[error("{at}: {problem}")]
    Value {
        /// Path within the document.
        at: String,
        /// What is wrong and what to write instead.
        problem: String,
    },
}

impl Default for HostConfiguration {
    fn default() -> Self {
        Self {
            api_version: API_VERSION.to_owned(),
            kind: KIND.to_owned(),
            status_address: status_address(),
            otlp: None,
            log: LogEntry::default(),
            leader_election: LeaderElectionEntry::default(),
            api_server: ApiServerEntry::default(),
            caches: CachesEntry::default(),
            cache_dir: None,
            registry: RegistryEntry::default(),
            signatures: SignaturesEntry::default(),
            shutdown_grace: shutdown_grace(),
            controller_modules: ControllerModulesEntry::default(),
            modules: Vec::new(),
        }
    }
}

fn status_address() -> Option<SocketAddr> {
    Some((Ipv4Addr::LOCALHOST, 10270).into())
}

fn shutdown_grace() -> Span {
    Span::seconds(10)
}

impl HostConfiguration {
    /// Parses and validates a configuration, and fills in the defaults that follow from
    /// other fields.
    ///
    /// # Errors
    /// See [`ConfigError`]; the message of a syntax error begins with its line and column.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let configuration: Self = serde_saphyr::from_str(text)
            .map_err(|error| ConfigError::Syntax(hints::readable(&error.to_string())))?;
        configuration.validate()?;
        Ok(configuration.with_defaults())
    }

    /// Fills in the defaults that follow from other fields.
    #[must_use]
    pub fn with_defaults(mut self) -> Self {
        let modules = std::mem::take(&mut self.modules);
        self.modules = modules.into_iter().map(ModuleEntry::with_defaults).collect();
        self
    }

    /// Writes it with every default.
    ///
    /// # Errors
    /// When something in it cannot be written as YAML, which nothing that was parsed can cause.
    pub fn to_yaml(&self) -> Result<String, serde_saphyr::ser::Error> {
        serde_saphyr::to_string(self)
    }

    /// The JSON Schema of the format.
    #[must_use]
    pub fn schema() -> serde_json::Value {
        schemars::schema_for!(Self).to_value()
    }

    fn validate(&self) -> Checked {
        ensure(
            self.api_version == API_VERSION,
            || "apiVersion".to_owned(),
            || {
                format!(
                    "{:?} is not served by this host; write {API_VERSION}",
                    self.api_version
                )
            },
        )?;
        ensure(
            self.kind == KIND,
            || "kind".to_owned(),
            || format!("{:?} is not known; write {KIND}", self.kind),
        )?;
        if let Some(otlp) = &self.otlp {
            otlp.validate("otlp")?;
        }
        self.log.validate("log")?;
        self.leader_election.validate("leaderElection")?;
        self.api_server.validate("apiServer")?;
        self.caches.validate("caches")?;
        self.registry.validate("registry")?;
        self.signatures.validate("signatures")?;
        self.controller_modules.validate("controllerModules")?;
        self.validate_modules()
    }

    fn validate_modules(&self) -> Checked {
        let mut names = BTreeSet::new();
        for (position, module) in self.modules.iter().enumerate() {
            let at = format!("modules[{position}]");
            module.validate(&at, &self.signatures)?;
            if !names.insert(&module.name) {
                let problem = format!(
                    "{:?} is used twice; every module needs a name of its own",
                    module.name
                );
                return Err(refuse(format!("{at}.name"), problem));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
