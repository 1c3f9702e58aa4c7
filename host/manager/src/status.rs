//! A host in the form that the status page, the metrics and the terminal show.

mod custom;
mod leadership;

use std::collections::BTreeMap;
use std::time::SystemTime;

use jiff::Timestamp;
use smol_str::SmolStr;
use windlass_cluster::informer::InformerStatus;
use windlass_cluster::registry::InformerRegistry;
use windlass_core::key::Resource;
use windlass_telemetry::otlp::Tracer;
use windlass_telemetry::status::{
    CacheStatus, CacheUseStatus, Check, CheckScope, GuestIdentity, HostStatus, ModulePhase,
    ModuleState as ShownState, ModuleStatus as ShownModule, PoisonKey, QueueStatus, ReloadAttempt,
    ReloadResult, ReloadStatus, ShadowDifference, ShadowStatus, StatusSource, UsageStatus, WatchState,
    WorkerStatus,
};

use self::leadership::{election_check, leadership, lease};
use crate::host::{ModuleHandle, Platform, Roster};
use crate::mandate::Replicas;
use crate::module::Module;
use crate::record::report::Difference;
use crate::record::shadow::ShadowView;
use crate::supervisor::{ModuleState, ModuleStatus};

/// Looks at a host.
pub struct HostView {
    identity: String,
    started: Timestamp,
    api_server: String,
    informers: InformerRegistry,
    replicas: Option<Replicas>,
    roster: Roster,
    tracer: Tracer,
}

impl HostView {
    /// A view of these modules on this platform. `identity` names the process, if leases
    /// do not.
    #[must_use]
    pub fn new(identity: &str, platform: &Platform, replicas: Option<Replicas>, roster: Roster) -> Self {
        let elected = replicas.as_ref().map(|replicas| replicas.elector.identity());
        Self {
            identity: elected.map_or(identity, |identity| identity).to_owned(),
            started: Timestamp::now(),
            api_server: platform.client.address().to_owned(),
            informers: platform.informers.clone(),
            replicas,
            roster,
            tracer: Tracer::off(),
        }
    }

    /// Shows how the sending of spans goes, too.
    #[must_use]
    pub fn with_tracer(self, tracer: Tracer) -> Self {
        Self { tracer, ..self }
    }
}

impl StatusSource for HostView {
    fn status(&self) -> HostStatus {
        let informers = self.informers.status();
        let modules = self.roster.modules();
        let mut caches: Vec<CacheStatus> = informers.iter().map(cache).collect();
        caches.sort_by(|a, b| a.resource.cmp(&b.resource));
        let mut checks = checks(&modules, &informers);
        checks.extend(self.replicas.as_ref().map(election_check));
        HostStatus {
            identity: self.identity.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started: self.started,
            at: Timestamp::now(),
            api_server: self.api_server.clone(),
            checks,
            modules: modules.iter().map(module).collect(),
            caches,
            leases: modules.iter().filter_map(lease).collect(),
            tracing: self.tracer.status(),
            cache_use: cache_use(&self.informers),
            ..HostStatus::default()
        }
    }
}

/// The process lives as long as it answers. It is ready when every module has got past
/// its first start and every cache has been filled once: a module that cannot run is the
/// operator's business, and no reason to take the others out of service.
fn checks(modules: &[ModuleHandle], informers: &[InformerStatus]) -> Vec<Check> {
    let mut checks = vec![Check {
        name: "ping".to_owned(),
        scope: CheckScope::Live,
        passes: true,
        reason: None,
    }];
    let unsynced: Vec<String> = informers
        .iter()
        .filter(|informer| !informer.synced)
        .map(|informer| match &informer.last_error {
            Some(error) => format!("{}: {error}", resource_name(&informer.resource)),
            None => resource_name(&informer.resource),
        })
        .collect();
    checks.push(Check {
        name: "informer-sync".to_owned(),
        scope: CheckScope::Ready,
        passes: unsynced.is_empty(),
        reason: (!unsynced.is_empty()).then(|| format!("not synced: {}", unsynced.join(", "))),
    });
    checks.extend(modules.iter().map(|module| {
        let starting = module.status.borrow().state == ModuleState::Starting;
        Check {
            name: format!("module/{}", module.name),
            scope: CheckScope::Ready,
            passes: !starting,
            reason: starting.then(|| "starting".to_owned()),
        }
    }));
    checks
}

fn module(handle: &ModuleHandle) -> ShownModule {
    let status = handle.status.borrow().clone();
    let controller = &handle.controller;
    let queue = controller.queue.metrics();
    let serving = status.serving.as_deref();
    ShownModule {
        name: handle.name.to_string(),
        state: state(&status),
        guest: serving.map(guest).unwrap_or_default(),
        reload: reload(&status),
        leadership: handle.mandate().as_deref().map(leadership),
        workers: WorkerStatus {
            limit: serving.map_or(0, |module| module.concurrency.in_all as u64),
            active: controller.running_syncs() as u64,
        },
        queue: QueueStatus::from(&queue),
        syncs: controller.syncs.snapshot(),
        usage: usage(handle, &status),
        imports: imports(handle),
        custom: custom::status(handle.controller.usage.custom()),
        api: controller.calls.snapshot(),
        poison_keys: poison_keys(handle),
        shadow: handle.shadow().as_ref().map(shadow),
    }
}

fn state(status: &ModuleStatus) -> ShownState {
    let (phase, reason) = match &status.state {
        ModuleState::Starting => (ModulePhase::Starting, None),
        ModuleState::Running => (ModulePhase::Running, None),
        ModuleState::BackOff { failure, delay } => {
            let reason = format!("{failure}; again {delay:.1?} after that");
            (ModulePhase::BackOff, Some(reason))
        }
        ModuleState::Failed { reason } => (ModulePhase::Failed, Some(reason.clone())),
        ModuleState::Standby { holder } => {
            let reason = holder.as_ref().map(|holder| format!("{holder} leads"));
            (ModulePhase::Standby, reason)
        }
        ModuleState::Disabled => (ModulePhase::Disabled, None),
        ModuleState::Stopped => (ModulePhase::Stopped, None),
    };
    ShownState {
        phase,
        since: timestamp(status.since),
        reason,
    }
}

fn guest(module: &Module) -> GuestIdentity {
    GuestIdentity {
        name: module.guest.manifest.name.to_string(),
        version: module.guest.manifest.version.to_string(),
        digest: format!("sha256:{}", module.guest.digest),
        origin: module.origin.clone(),
    }
}

fn reload(status: &ModuleStatus) -> ReloadStatus {
    let last = status.reload.as_ref().map(|reload| ReloadAttempt {
        result: reload.result,
        at: timestamp(reload.at),
        digest: reload
            .digest
            .as_ref()
            .map(|digest| format!("sha256:{digest}"))
            .unwrap_or_default(),
        reason: reload.rejected.clone(),
    });
    let totals = [
        (ReloadResult::Swapped, status.reloads_applied),
        (ReloadResult::Refused, status.reloads_rejected),
        (ReloadResult::NotStarted, status.reloads_not_started),
        (ReloadResult::Unchanged, status.reloads_unchanged),
    ];
    ReloadStatus {
        generation: status.reloads_applied,
        totals: totals.into(),
        last,
    }
}

fn usage(handle: &ModuleHandle, status: &ModuleStatus) -> UsageStatus {
    let usage = &handle.controller.usage;
    let failures = handle.controller.failures().into_iter();
    let restarts = failures.map(|(cause, count)| (cause.to_owned(), count));
    UsageStatus {
        memory_bytes: usage.memory_bytes(),
        memory_limit_bytes: status
            .serving
            .as_ref()
            .map_or(0, |module| module.limits.memory_bytes as u64),
        cpu_seconds: usage.cpu_time().as_secs_f64(),
        instances: usage.instances(),
        restarts: restarts.collect(),
    }
}

fn imports(handle: &ModuleHandle) -> BTreeMap<String, u64> {
    let calls = handle.controller.usage.calls();
    calls
        .map(|(import, count)| (import.name().to_owned(), count))
        .collect()
}

/// The newest differences come first.
fn shadow(view: &ShadowView) -> ShadowStatus {
    let difference = |difference: &Difference| ShadowDifference {
        at: timestamp(difference.at),
        key: difference.key.clone().unwrap_or_default(),
        summary: difference.kind.to_string(),
    };
    ShadowStatus {
        guest: guest(&view.module),
        same: view.findings.same_syncs(),
        different: view.findings.different_syncs(),
        recent: view.findings.latest().iter().rev().map(difference).collect(),
    }
}

fn poison_keys(handle: &ModuleHandle) -> Vec<PoisonKey> {
    let now = Timestamp::now();
    let set_aside = handle.controller.set_aside().into_iter();
    set_aside
        .map(|key| PoisonKey {
            key: key.key.to_string(),
            failures: u64::from(key.strikes),
            retry_at: now.checked_add(key.pause).ok(),
            reason: key.reason,
        })
        .collect()
}

fn cache(informer: &InformerStatus) -> CacheStatus {
    let watch = match (&informer.last_error, informer.synced) {
        (Some(_), _) => WatchState::BackOff,
        (None, true) => WatchState::Watching,
        (None, false) => WatchState::Listing,
    };
    CacheStatus {
        resource: resource_name(&informer.resource),
        version: informer.resource.version.to_string(),
        view: String::new(),
        objects: informer.objects as u64,
        bytes: informer.bytes as u64,
        subscribers: informer.subscribers as u64,
        watch,
        reason: informer.last_error.clone(),
        synced: informer.synced,
        relists: informer.lists.saturating_sub(1),
        resource_version: informer.revision,
    }
}

/// Such as `deployments.apps`.
fn resource_name(resource: &Resource) -> String {
    let Resource { group, plural, .. } = resource;
    let name: SmolStr = if group.is_empty() {
        plural.clone()
    } else {
        smol_str::format_smolstr!("{plural}.{group}")
    };
    name.to_string()
}

fn cache_use(informers: &InformerRegistry) -> CacheUseStatus {
    let cache_use = informers.cache_use();
    let shares = cache_use.shares.into_iter();
    CacheUseStatus {
        bytes: cache_use.bytes as u64,
        limit_bytes: cache_use.limit_bytes.map(|limit| limit as u64),
        shares: shares
            .map(|(module, bytes)| (module.to_string(), bytes as u64))
            .collect(),
    }
}

fn timestamp(time: SystemTime) -> Timestamp {
    Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH)
}
