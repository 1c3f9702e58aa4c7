//! One module as the host sees it: a loaded guest with what it was granted, resolved
//! from its configuration entry.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use smol_str::SmolStr;
use windlass_core::manifest::Manifest;
use windlass_core::permission::Grants;
use windlass_core::selector::{Selector, SelectorError};
use windlass_engine::engine::Engine;
use windlass_engine::limits::Limits;
use windlass_engine::load::{LoadError, LoadedGuest};

use crate::config::{LimitsEntry, ModuleEntry};
use crate::permissions;
use crate::sources::Artifact;

/// Calls to the API server that one module may have in flight.
const MAX_CALLS_IN_FLIGHT: usize = 512;

/// A module that is ready to run.
#[derive(Clone, Debug)]
pub struct Module {
    /// Its name.
    pub name: SmolStr,
    /// The configuration it was made from.
    pub entry: Arc<ModuleEntry>,
    /// Where its component came from, for people.
    pub origin: String,
    /// Its guest.
    pub guest: LoadedGuest,
    /// Its configuration, JSON.
    pub config: Bytes,
    /// What it may do at the API server.
    pub grants: Grants,
    /// Syncs in flight.
    pub workers: usize,
    /// Budgets of its instances.
    pub limits: Limits,
    /// API calls per second; 0 is unlimited.
    pub api_qps: u32,
    /// Burst of the same.
    pub api_burst: u32,
    /// API calls in flight.
    pub api_in_flight: usize,
    /// Most keys its guest may have in the queue; nothing is unlimited.
    pub queue_length: Option<usize>,
}

/// Why a module cannot run.
#[derive(Debug, thiserror::Error)]
pub enum ModuleError {
    /// Its component is no guest of this host.
    #[error("module {module}: {origin}: {source}")]
    Load {
        /// The module.
        module: SmolStr,
        /// File or stock name.
        origin: String,
        /// What is wrong.
        source: LoadError,
    },
    /// A watch of it cannot be served.
    #[error("module {module}: label selector of watch {watch}: {source}")]
    Selector {
        /// The module.
        module: SmolStr,
        /// Position in the manifest.
        watch: usize,
        /// What is wrong with it.
        source: SelectorError,
    },
    /// It needs more than it was granted.
    #[error(
        "module {module}: its guest declares permissions that the configuration does not grant; add to its \
         `permissions`, or set `grantDeclared: true`: {missing}"
    )]
    NotGranted {
        /// The module.
        module: SmolStr,
        /// The rules, one line each, joined.
        missing: String,
    },
}

impl Module {
    /// Loads a module's component and holds its declared needs against its grants.
    ///
    /// # Errors
    /// See [`ModuleError`].
    pub async fn load(
        engine: &Engine,
        entry: &Arc<ModuleEntry>,
        artifact: Artifact,
    ) -> Result<Self, ModuleError> {
        let limits = limits(&entry.limits);
        let config = Bytes::from(entry.config.to_string());
        let Artifact { bytes, origin } = artifact;
        let guest = engine
            .load(&entry.name, bytes, config.clone(), &limits)
            .await
            .map_err(|source| ModuleError::Load {
                module: entry.name.clone(),
                origin: origin.clone(),
                source,
            })?;
        check_selectors(&entry.name, &guest.manifest)?;
        let required = permissions::required(&guest.manifest);
        let mut grants = Grants(entry.permissions.clone());
        if entry.grants_declared() {
            grants.0.extend(required.iter().cloned());
        }
        let missing = permissions::missing(&required, &grants);
        if !missing.is_empty() {
            let missing = missing
                .iter()
                .map(permissions::one_line)
                .collect::<Vec<_>>()
                .join(", ");
            return Err(ModuleError::NotGranted {
                module: entry.name.clone(),
                missing,
            });
        }
        let declared = guest.manifest.workers;
        Ok(Self {
            name: entry.name.clone(),
            entry: Arc::clone(entry),
            origin,
            config,
            grants,
            workers: entry.workers.map_or(declared, |workers| workers.min(declared)) as usize,
            limits,
            api_qps: entry.limits.api_qps.unwrap_or(guest.manifest.api_qps),
            api_burst: entry.limits.api_burst.unwrap_or(guest.manifest.api_burst),
            api_in_flight: MAX_CALLS_IN_FLIGHT,
            queue_length: entry.limits.queue_length,
            guest,
        })
    }

    /// How long an instance may take from instantiated to serving.
    #[must_use]
    pub fn start_timeout(&self) -> Duration {
        self.limits.start_timeout
    }
}

fn check_selectors(module: &SmolStr, manifest: &Manifest) -> Result<(), ModuleError> {
    for (watch, spec) in manifest.watches.iter().enumerate() {
        Selector::parse(&spec.label_selector).map_err(|source| ModuleError::Selector {
            module: module.clone(),
            watch,
            source,
        })?;
    }
    Ok(())
}

fn limits(entry: &LimitsEntry) -> Limits {
    let default = Limits::default();
    Limits {
        memory_bytes: entry.memory.map_or(default.memory_bytes, |bytes| bytes.0),
        cpu_budget: entry.cpu_budget.map_or(default.cpu_budget, |span| span.0),
        result_bytes: entry.result.map_or(default.result_bytes, |bytes| bytes.0),
        start_timeout: entry.start_timeout.map_or(default.start_timeout, |span| span.0),
        log_lines_per_second: entry.log_lines_per_second.unwrap_or(default.log_lines_per_second),
    }
}
