//! The metrics that belong to no single module: the build, health, caches, leases, and
//! the exporter of traces.

use super::exposition::{Exposition, Kind};
use crate::status::{
    CacheStatus, CacheUseStatus, CheckScope, ExporterStatus, HostStatus, LeaseStatus, WatchState,
};

/// Which manager `running_managed_controllers` speaks of.
const MANAGER: &str = "windlass";

/// Adds everything.
pub(super) fn add(exposition: &mut Exposition, status: &HostStatus) {
    exposition
        .family(
            "windlass_build_info",
            Kind::Gauge,
            "Always 1; the version is in the label.",
        )
        .count(&[("version", &status.version)], 1);
    health(exposition, status);
    caches(exposition, &status.caches);
    cache_use(exposition, &status.cache_use);
    leases(exposition, &status.leases);
    running(exposition, status);
    if let Some(exporter) = &status.tracing {
        spans(exposition, exporter);
    }
}

fn health(exposition: &mut Exposition, status: &HostStatus) {
    let mut series = exposition.family(
        "kubernetes_healthcheck",
        Kind::Gauge,
        "Whether a health check passes, by the endpoint that asks it.",
    );
    for check in &status.checks {
        let endpoints: &[&str] = match check.scope {
            CheckScope::Live => &["healthz", "livez", "readyz"],
            CheckScope::Ready => &["readyz"],
        };
        for endpoint in endpoints {
            series.count(
                &[("name", &check.name), ("type", endpoint)],
                u64::from(check.passes),
            );
        }
    }
}

fn running(exposition: &mut Exposition, status: &HostStatus) {
    use crate::status::ModulePhase::{BackOff, Running, Starting};
    let mut series = exposition.family(
        "running_managed_controllers",
        Kind::Gauge,
        "Whether this process runs a controller.",
    );
    for module in &status.modules {
        let runs = matches!(module.state.phase, Starting | Running | BackOff);
        series.count(
            &[
                ("manager", MANAGER),
                ("name", &module.name),
                ("module", &module.name),
            ],
            u64::from(runs),
        );
    }
}

fn caches(exposition: &mut Exposition, caches: &[CacheStatus]) {
    type Read = fn(&CacheStatus) -> u64;
    let families: [(&'static str, Kind, &'static str, Read); 6] = [
        (
            "windlass_cache_objects",
            Kind::Gauge,
            "Objects in a shared cache.",
            |cache| cache.objects,
        ),
        (
            "windlass_cache_bytes",
            Kind::Gauge,
            "Bytes held by the objects of a shared cache.",
            |cache| cache.bytes,
        ),
        (
            "windlass_cache_subscribers",
            Kind::Gauge,
            "Modules that read a shared cache.",
            |cache| cache.subscribers,
        ),
        (
            "windlass_cache_synced",
            Kind::Gauge,
            "Whether a shared cache has had all content once.",
            |cache| u64::from(cache.synced),
        ),
        (
            "windlass_cache_watching",
            Kind::Gauge,
            "Whether the watch of a shared cache is open.",
            |cache| u64::from(cache.watch == WatchState::Watching),
        ),
        (
            "windlass_cache_relists_total",
            Kind::Counter,
            "Lists of a shared cache after the first.",
            |cache| cache.relists,
        ),
    ];
    for (name, kind, help, read) in families {
        let mut series = exposition.family(name, kind, help);
        for cache in caches {
            series.count(
                &[
                    ("resource", &cache.resource),
                    ("version", &cache.version),
                    ("view", &cache.view),
                ],
                read(cache),
            );
        }
    }
}

fn cache_use(exposition: &mut Exposition, cache_use: &CacheUseStatus) {
    exposition
        .family(
            "windlass_caches_bytes",
            Kind::Gauge,
            "Bytes held by the objects of all shared caches.",
        )
        .count(&[], cache_use.bytes);
    if let Some(limit) = cache_use.limit_bytes {
        exposition
            .family(
                "windlass_caches_limit_bytes",
                Kind::Gauge,
                "Bytes that the objects of all shared caches may take.",
            )
            .count(&[], limit);
    }
    let mut series = exposition.family(
        "windlass_caches_share_bytes",
        Kind::Gauge,
        "Bytes of the shared caches that are charged to a module.",
    );
    for (module, share) in &cache_use.shares {
        series.count(&[("module", module)], *share);
    }
}

fn leases(exposition: &mut Exposition, leases: &[LeaseStatus]) {
    let mut series = exposition.family(
        "leader_election_master_status",
        Kind::Gauge,
        "Whether this process holds a lease.",
    );
    for lease in leases {
        series.count(&lease_labels(lease), u64::from(lease.held));
    }
    let mut series = exposition.family(
        "leader_election_slowpath_total",
        Kind::Counter,
        "Writes of a lease that met another version and had to read it anew.",
    );
    for lease in leases {
        series.count(&lease_labels(lease), lease.slow_paths);
    }
}

/// A lease that gates one module carries its name; one for several belongs to none.
fn lease_labels(lease: &LeaseStatus) -> [(&'static str, &str); 2] {
    let module = match lease.modules.as_slice() {
        [module] => module.as_str(),
        _ => "",
    };
    [("name", &lease.name), ("module", module)]
}

fn spans(exposition: &mut Exposition, exporter: &ExporterStatus) {
    exposition
        .family(
            "windlass_spans_exported_total",
            Kind::Counter,
            "Spans that the collector took.",
        )
        .count(&[], exporter.exported);
    let mut series = exposition.family(
        "windlass_spans_dropped_total",
        Kind::Counter,
        "Spans that were lost, by reason.",
    );
    for (reason, count) in &exporter.dropped {
        series.count(&[("reason", reason)], *count);
    }
}
