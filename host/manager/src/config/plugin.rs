//! A plugin of the scheduler: a component that the guest of one module calls.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use windlass_engine::limits::Limits;
use windlass_registry::digest::Digest;

use super::ModuleEntry;
use super::checks::{Checked, ensure, refuse, short};
use super::signature::{SignatureEntry, SignaturesEntry};
use super::source::SourceEntry;
use super::units::{Bytes, Span};

/// A plugin judges all nodes for a pod in one call, so this is a lot.
const CPU_BUDGET: Span = Span(std::time::Duration::from_millis(100));
const MAX_NAME: usize = 63;

/// A component that the module's guest calls to judge nodes for pods. It takes part in the
/// profiles of the scheduler's own `config` that enable it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Plugin")]
pub struct PluginEntry {
    /// What profiles, messages and the log call it: letters, digits, `-`, `_` and `.`, at
    /// most 63, used once in the module.
    pub name: SmolStr,
    /// Where the component comes from: `file`, `configMap` or `oci`.
    pub source: SourceEntry,
    /// `sha256:…` of the component; one of another digest is refused.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub digest: Option<Digest>,
    /// Who must have signed the component; for sources in registries. Null: the host's
    /// default policy, if it has one.
    #[serde(default)]
    pub signature: Option<SignatureEntry>,
    /// Budgets of each of its instances: one for each profile that enables it.
    #[serde(default)]
    pub limits: PluginLimitsEntry,
}

/// Budgets of one instance of a plugin. Going over them costs the instance, and the attempt
/// to schedule the pod at hand; the next one is started after a back-off.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(rename = "PluginLimits")]
pub struct PluginLimitsEntry {
    /// Its memory, tables included.
    pub memory: Bytes,
    /// CPU time of one call, which judges all nodes for one pod.
    pub cpu_budget: Span,
    /// Log lines per second.
    pub log_lines_per_second: u32,
}

impl Default for PluginLimitsEntry {
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            memory: Bytes(limits.memory_bytes),
            cpu_budget: CPU_BUDGET,
            log_lines_per_second: limits.log_lines_per_second,
        }
    }
}

impl PluginEntry {
    /// An entry with all defaults.
    #[must_use]
    pub fn new(name: &str, source: SourceEntry) -> Self {
        Self {
            name: name.into(),
            source,
            digest: None,
            signature: None,
            limits: PluginLimitsEntry::default(),
        }
    }

    /// An entry to fetch it by, as if it were a module.
    #[must_use]
    pub(crate) fn to_fetch(&self, module: &str) -> ModuleEntry {
        ModuleEntry {
            digest: self.digest,
            signature: self.signature.clone(),
            ..ModuleEntry::new(&format!("{module}/{}", self.name), self.source.clone())
        }
    }

    pub(super) fn validate(&self, at: &str, signatures: &SignaturesEntry) -> Checked {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        ensure(
            (1..=MAX_NAME).contains(&self.name.len()) && self.name.bytes().all(is_plain),
            || format!("{at}.name"),
            || {
                format!(
                    "{:?} is not a name: 1 to {MAX_NAME} letters, digits, `-`, `_` and `.`",
                    short(&self.name)
                )
            },
        )?;
        self.source.validate(&format!("{at}.source"))?;
        if self.source.stock.is_some() || self.source.directory.is_some() {
            let problem = "a plugin is one component from `file`, `configMap` or `oci`";
            return Err(refuse(format!("{at}.source"), problem));
        }
        let budgets = [
            ("memory", self.limits.memory.0 == 0),
            ("cpuBudget", self.limits.cpu_budget.0.is_zero()),
        ];
        for (key, is_zero) in budgets {
            ensure(
                !is_zero,
                || format!("{at}.limits.{key}"),
                || "must not be 0".to_owned(),
            )?;
        }
        match &self.signature {
            Some(_) if self.source.oci.is_none() => Err(refuse(
                format!("{at}.signature"),
                "only components from a registry carry signatures; pin this one with `digest`",
            )),
            Some(signature) => signature.validate(&format!("{at}.signature"), signatures),
            None => Ok(()),
        }
    }
}
