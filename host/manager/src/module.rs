//! One module as the host sees it: a loaded guest with what it was granted, resolved
//! from its configuration entry.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use smol_str::SmolStr;
use windlass_cluster::impersonation::Impersonation;
use windlass_core::manifest::Manifest;
use windlass_core::permission::{Grants, PermissionRule};
use windlass_core::seams::LogLevel;
use windlass_core::selector::{Selector, SelectorError};
use windlass_engine::engine::Engine;
use windlass_engine::limits::Limits;
use windlass_engine::load::{LoadError, LoadedGuest};
use windlass_engine::plugin::Plugins;
use windlass_registry::digest::Digest;

use crate::config::identity::ImpersonateEntry;
use crate::config::module::LogLevel as ConfiguredLevel;
use crate::config::{ModuleEntry, PluginEntry};
use crate::lanes::Concurrency;
use crate::permissions;
use crate::sources::{Artifact, Fetched};

/// What a guest gets that says nothing of its API calls, as many as kube-controller-manager
/// makes unless it is told otherwise.
const DEFAULT_API_QPS: u32 = 20;

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
    /// Who owns the fields that it writes.
    pub field_manager: SmolStr,
    /// The source of its events.
    pub event_source: SmolStr,
    /// On whose behalf it calls.
    pub impersonate: Option<Impersonation>,
    /// Its instances, and syncs in flight.
    pub concurrency: Concurrency,
    /// Budgets of its instances.
    pub limits: Limits,
    /// API calls.
    pub api_rate: ApiRate,
    /// API calls in flight.
    pub api_in_flight: usize,
    /// Most keys its guest may have in the queue; nothing is unlimited.
    pub queue_length: Option<usize>,
    /// Most bytes that its watches may need of the caches; nothing is unlimited.
    pub cached_bytes: Option<usize>,
}

/// How fast a module may call the API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiRate {
    /// Calls per second; 0 is unlimited.
    pub qps: u32,
    /// Calls at once after a pause.
    pub burst: u32,
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
    /// A plugin of it is none.
    #[error("module {module}: plugin {plugin}: {origin}: {source}")]
    Plugin {
        /// The module.
        module: SmolStr,
        /// The plugin.
        plugin: SmolStr,
        /// File, or wherever else it came from.
        origin: String,
        /// What is wrong.
        source: Box<LoadError>,
    },
    /// Its component is another one than the configuration pins.
    #[error(
        "module {module}: {origin} is sha256:{found}, and the configuration pins {pinned}; fetch that one, or \
         change `digest` if the new one is meant"
    )]
    Digest {
        /// The module.
        module: SmolStr,
        /// File or stock name.
        origin: String,
        /// What it is.
        found: String,
        /// What it should be.
        pinned: Digest,
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
    /// It would be granted more than whoever asks for it may grant.
    #[error(
        "module {module}: its guest declares more than the host lets a ControllerModule grant \
         (`controllerModules.maxPermissions`): {beyond}"
    )]
    BeyondCeiling {
        /// The module.
        module: SmolStr,
        /// The rules, one line each, joined.
        beyond: String,
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
        fetched: Fetched,
    ) -> Result<Self, ModuleError> {
        let Fetched {
            guest: artifact,
            plugins,
            ..
        } = fetched;
        check_digest(entry, &artifact)?;
        let limits = limits(entry);
        let config = Bytes::from(entry.config.to_string());
        let Artifact { bytes, origin, .. } = artifact;
        let plugins = load_plugins(engine, entry, plugins).await?;
        let guest = engine
            .load_with(&entry.name, bytes, config.clone(), &limits, plugins)
            .await
            .map_err(|source| ModuleError::Load {
                module: entry.name.clone(),
                origin: origin.clone(),
                source,
            })?;
        check_selectors(&entry.name, &guest.manifest)?;
        let grants = granted(entry, &guest.manifest)?;
        Ok(Self {
            name: entry.name.clone(),
            entry: Arc::clone(entry),
            origin,
            config,
            grants,
            field_manager: entry.field_manager().clone(),
            event_source: entry.event_source(&guest.manifest.name),
            impersonate: entry.impersonate.as_ref().and_then(ImpersonateEntry::resolve),
            concurrency: concurrency(entry, guest.manifest.workers),
            limits,
            api_rate: api_rate(entry, &guest.manifest),
            api_in_flight: MAX_CALLS_IN_FLIGHT,
            queue_length: entry.limits.queue_length,
            cached_bytes: entry.limits.cached_bytes.map(|bytes| bytes.0),
            guest,
        })
    }

    /// Stands for the components that it is made of.
    #[must_use]
    pub fn digest(&self) -> String {
        let plugins = self.guest.plugins().iter().map(|plugin| &plugin.digest);
        let digests: Vec<&str> = [&self.guest.digest]
            .into_iter()
            .chain(plugins)
            .map(String::as_str)
            .collect();
        digests.join("+")
    }

    /// How long an instance may take from instantiated to serving.
    #[must_use]
    pub fn start_timeout(&self) -> Duration {
        self.limits.start_timeout
    }
}

/// Loads a module's plugins, in the order of its entry.
async fn load_plugins(
    engine: &Engine,
    entry: &ModuleEntry,
    artifacts: Vec<Artifact>,
) -> Result<Plugins, ModuleError> {
    let mut plugins = Vec::with_capacity(artifacts.len());
    for (plugin, artifact) in entry.plugins.iter().zip(artifacts) {
        check_digest(&plugin.to_fetch(&entry.name), &artifact)?;
        let Artifact { bytes, origin, .. } = artifact;
        let limits = plugin_limits(entry, plugin);
        let loaded = engine
            .load_plugin(&entry.name, &plugin.name, bytes, &limits)
            .await;
        plugins.push(loaded.map_err(|source| ModuleError::Plugin {
            module: entry.name.clone(),
            plugin: plugin.name.clone(),
            origin,
            source: Box::new(source),
        })?);
    }
    Ok(plugins.into_iter().collect())
}

fn plugin_limits(entry: &ModuleEntry, plugin: &PluginEntry) -> Limits {
    Limits {
        memory_bytes: plugin.limits.memory.0,
        cpu_budget: plugin.limits.cpu_budget.0,
        log_lines_per_second: plugin.limits.log_lines_per_second,
        ..limits(entry)
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

fn check_digest(entry: &ModuleEntry, artifact: &Artifact) -> Result<(), ModuleError> {
    let Some(pinned) = entry.digest else {
        return Ok(());
    };
    let found = Digest::of(&artifact.bytes);
    if found == pinned {
        return Ok(());
    }
    Err(ModuleError::Digest {
        module: entry.name.clone(),
        origin: artifact.origin.clone(),
        found: found.hex(),
        pinned,
    })
}

/// What the module gets, if that is as much as its guest needs.
fn granted(entry: &ModuleEntry, manifest: &Manifest) -> Result<Grants, ModuleError> {
    let required = permissions::required(manifest);
    let mut grants = Grants(entry.permissions.clone());
    if entry.grants_declared() {
        if let Some(ceiling) = &entry.ceiling {
            let beyond = permissions::beyond(&required, ceiling);
            if !beyond.is_empty() {
                return Err(ModuleError::BeyondCeiling {
                    module: entry.name.clone(),
                    beyond: lines(&beyond),
                });
            }
        }
        grants.0.extend(required.iter().cloned());
    }
    let missing = permissions::missing(&required, &grants);
    if missing.is_empty() {
        return Ok(grants);
    }
    Err(ModuleError::NotGranted {
        module: entry.name.clone(),
        missing: lines(&missing),
    })
}

/// Syncs in flight: as many as the guest declares, within what the operator allows.
fn concurrency(entry: &ModuleEntry, declared: u32) -> Concurrency {
    let limit = entry.limits.syncs_in_flight.unwrap_or(u32::MAX);
    let in_each = declared.min(entry.workers.unwrap_or(declared)).min(limit);
    let instances = entry.limits.instances;
    Concurrency {
        instances: instances as usize,
        in_each: in_each as usize,
        in_all: in_each.saturating_mul(instances).min(limit) as usize,
    }
}

fn lines(rules: &[PermissionRule]) -> String {
    let lines: Vec<String> = rules.iter().map(ToString::to_string).collect();
    lines.join(", ")
}

/// What the guest asks for, as far as the operator lets it.
fn api_rate(entry: &ModuleEntry, manifest: &Manifest) -> ApiRate {
    let is_stock = entry.source.stock.is_some();
    let default = if is_stock { 0 } else { DEFAULT_API_QPS };
    let qps = match (manifest.api_qps, entry.limits.api_qps) {
        (_, Some(0)) => 0,
        (0, limit) => limit.unwrap_or(default),
        (asked, limit) => asked.min(limit.unwrap_or(asked)),
    };
    let burst = match (manifest.api_burst, entry.limits.api_burst) {
        // In the proportion of kube-controller-manager, 30 to 20.
        (0, limit) => limit.unwrap_or(qps.saturating_add(qps / 2)),
        (asked, limit) => asked.min(limit.unwrap_or(asked)),
    };
    ApiRate { qps, burst }
}

fn limits(entry: &ModuleEntry) -> Limits {
    let limits = &entry.limits;
    Limits {
        memory_bytes: limits.memory.0,
        cpu_budget: limits.cpu_budget.0,
        result_bytes: limits.result.0,
        start_timeout: limits.start_timeout.0,
        log_lines_per_second: limits.log_lines_per_second,
        log_level: match entry.log_level {
            ConfiguredLevel::Error => LogLevel::Error,
            ConfiguredLevel::Warn => LogLevel::Warn,
            ConfiguredLevel::Info => LogLevel::Info,
            ConfiguredLevel::Debug => LogLevel::Debug,
            ConfiguredLevel::Trace => LogLevel::Trace,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SourceEntry;

    fn asking(qps: u32, burst: u32) -> Manifest {
        Manifest {
            name: "guest".into(),
            version: "1".into(),
            watches: Vec::new(),
            workers: 1,
            permissions: Vec::new(),
            api_qps: qps,
            api_burst: burst,
        }
    }

    fn allowing(qps: Option<u32>, burst: Option<u32>) -> ModuleEntry {
        let mut entry = ModuleEntry::new("module", SourceEntry::file("guest.wasm"));
        (entry.limits.api_qps, entry.limits.api_burst) = (qps, burst);
        entry
    }

    #[track_caller]
    fn assert_rate(entry: &ModuleEntry, manifest: &Manifest, qps: u32, burst: u32) {
        assert_eq!(api_rate(entry, manifest), ApiRate { qps, burst });
    }

    #[test]
    fn syncs_in_flight_are_limited_in_each_instance_and_over_all() {
        let assert = |workers, syncs_in_flight, instances, expected: (usize, usize)| {
            let mut entry = ModuleEntry::new("module", SourceEntry::file("guest.wasm"));
            entry.workers = workers;
            (entry.limits.syncs_in_flight, entry.limits.instances) = (syncs_in_flight, instances);
            let found = concurrency(&entry, 16);
            assert_eq!(found.instances, instances as usize);
            assert_eq!((found.in_each, found.in_all), expected);
        };
        assert(None, None, 1, (16, 16));
        assert(Some(5), None, 1, (5, 5));
        assert(Some(50), None, 1, (16, 16));
        assert(None, Some(3), 1, (3, 3));
        assert(None, None, 4, (16, 64));
        assert(Some(5), Some(12), 4, (5, 12));
        assert(Some(5), Some(3), 4, (3, 3));
    }

    #[test]
    fn a_guest_gets_the_api_calls_it_asks_for_up_to_the_limit() {
        assert_rate(&allowing(None, None), &asking(50, 100), 50, 100);
        assert_rate(&allowing(Some(10), None), &asking(50, 100), 10, 100);
        assert_rate(&allowing(Some(10), Some(20)), &asking(50, 100), 10, 20);
        assert_rate(&allowing(Some(500), Some(500)), &asking(50, 100), 50, 100);
    }

    #[test]
    fn a_guest_that_asks_for_nothing_gets_the_limit_or_the_default() {
        assert_rate(&allowing(None, None), &asking(0, 0), 20, 30);
        assert_rate(&allowing(Some(100), None), &asking(0, 0), 100, 150);
        assert_rate(&allowing(Some(100), Some(1)), &asking(0, 0), 100, 1);
        assert_rate(&ModuleEntry::stock("deployment"), &asking(0, 0), 0, 0);
    }

    #[test]
    fn only_an_operator_lifts_the_limit() {
        assert_eq!(api_rate(&allowing(Some(0), None), &asking(50, 100)).qps, 0);
        assert_eq!(api_rate(&allowing(Some(0), None), &asking(0, 0)).qps, 0);
    }
}
