//! The metrics of one module.

use super::exposition::{Exposition, Kind, Labels};
use crate::histogram::Histogram;
use crate::status::{
    ModulePhase, ModuleStatus, QueueStatus, ReloadResult, SyncResult, SyncStatus, UsageStatus,
};

/// Where controller-runtime's buckets begin.
const RECONCILE_FROM: f64 = 0.005;
/// The bounds of `windlass_sync_duration_seconds`, all of them bounds of the recorder.
const SYNC_FIT: [f64; 21] = [
    1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
    10.0, 30.0, 60.0,
];

/// The labels of `GuestFailure`, there from the start: an alert on an increase would not
/// see the first of each.
const CAUSES: [&str; 10] = [
    "instantiation",
    "start",
    "trap",
    "cpu",
    "memory",
    "stack",
    "contract",
    "cached-bytes",
    "caches-full",
    "stopped",
];

/// Adds everything that a module has. `api_server` is the `host` of its requests.
pub(super) fn add(exposition: &mut Exposition, module: &ModuleStatus, api_server: &str) {
    queue(exposition, &module.name, &module.queue);
    syncs(exposition, &module.name, &module.syncs);
    workers(exposition, module);
    requests(exposition, module, api_server);
    lifecycle(exposition, module);
    usage(exposition, &module.name, &module.usage);
    let mut series = exposition.family(
        "windlass_import_calls_total",
        Kind::Counter,
        "Calls of the host's imports by a guest.",
    );
    for (import, count) in &module.imports {
        series.count(&[("module", &module.name), ("import", import)], *count);
    }
    shadow(exposition, module);
}

fn queue(exposition: &mut Exposition, module: &str, queue: &QueueStatus) {
    let upstream: Labels<'_> = &[("module", module), ("name", module)];
    let ours: Labels<'_> = &[("module", module)];
    let depth = queue.depth as f64;
    let numbers = [
        (
            "workqueue_depth",
            Kind::Gauge,
            "Keys ready to be taken.",
            depth,
            upstream,
        ),
        (
            "workqueue_adds_total",
            Kind::Counter,
            "Adds that were not merged into an earlier one.",
            queue.adds as f64,
            upstream,
        ),
        (
            "workqueue_retries_total",
            Kind::Counter,
            "Delayed and rate-limited adds.",
            queue.retries as f64,
            upstream,
        ),
        (
            "workqueue_unfinished_work_seconds",
            Kind::Gauge,
            "Ages of all keys in processing together.",
            queue.unfinished_work,
            upstream,
        ),
        (
            "workqueue_longest_running_processor_seconds",
            Kind::Gauge,
            "Age of the oldest key in processing.",
            queue.longest_running,
            upstream,
        ),
        (
            "windlass_queue_delayed",
            Kind::Gauge,
            "Keys waiting for their time.",
            queue.delayed as f64,
            ours,
        ),
        (
            "windlass_queue_dropped_total",
            Kind::Counter,
            "New keys refused because the queue was at its limit.",
            queue.dropped as f64,
            ours,
        ),
    ];
    for (name, kind, help, value, labels) in numbers {
        exposition.family(name, kind, help).number(labels, value);
    }
    exposition
        .family(
            "workqueue_queue_duration_seconds",
            Kind::Histogram,
            "How long keys waited from add to get.",
        )
        .histogram(upstream, queue.wait.clone());
    exposition
        .family(
            "workqueue_work_duration_seconds",
            Kind::Histogram,
            "How long keys were held from get to done.",
        )
        .histogram(upstream, queue.work.clone());
}

fn syncs(exposition: &mut Exposition, module: &str, syncs: &SyncStatus) {
    let labels: Labels<'_> = &[("controller", module), ("module", module)];
    let of = |result: SyncResult| syncs.results.get(&result).copied().unwrap_or_default();
    let mut series = exposition.family(
        "controller_runtime_reconcile_total",
        Kind::Counter,
        "Syncs by result.",
    );
    let results = [
        ("success", of(SyncResult::Success)),
        ("requeue_after", of(SyncResult::RequeueAfter)),
        // Only there so that queries over all results find what they know.
        ("requeue", 0),
        ("error", syncs.error_total()),
    ];
    for (result, count) in results {
        series.count(
            &[("controller", module), ("module", module), ("result", result)],
            count,
        );
    }
    let counters = [
        (
            "controller_runtime_reconcile_errors_total",
            "Syncs that were errors.",
            syncs.error_total(),
        ),
        (
            "controller_runtime_terminal_reconcile_errors_total",
            "Syncs that were errors and are not tried again.",
            of(SyncResult::Terminal),
        ),
        (
            "controller_runtime_reconcile_panics_total",
            "Syncs that the guest instance did not survive.",
            of(SyncResult::Failed),
        ),
    ];
    for (name, help, count) in counters {
        exposition.family(name, Kind::Counter, help).count(labels, count);
    }
    let upstream: Vec<f64> = syncs
        .latency
        .bounds
        .iter()
        .copied()
        .filter(|bound| *bound >= RECONCILE_FROM)
        .collect();
    exposition
        .family(
            "controller_runtime_reconcile_time_seconds",
            Kind::Histogram,
            "How long syncs took, in controller-runtime's buckets.",
        )
        .histogram(labels, rebucket(&syncs.latency, &upstream));
    exposition
        .family(
            "windlass_sync_duration_seconds",
            Kind::Histogram,
            "How long syncs took, in buckets that fit guests.",
        )
        .histogram(&[("module", module)], rebucket(&syncs.latency, &SYNC_FIT));
    exposition
        .family(
            "windlass_sync_due_to_done_seconds",
            Kind::Histogram,
            "From the moment when a key was due to the end of its sync, initial lists and resyncs aside.",
        )
        .histogram(&[("module", module)], rebucket(&syncs.due_to_done, &SYNC_FIT));
}

/// The same observations under a subset of the bounds.
fn rebucket(histogram: &Histogram, bounds: &[f64]) -> Histogram {
    let mut before = 0;
    let mut counts: Vec<u64> = Vec::with_capacity(bounds.len() + 1);
    for bound in bounds {
        let at_most = histogram.at_most(*bound);
        counts.push(at_most - before);
        before = at_most;
    }
    counts.push(histogram.count() - before);
    Histogram {
        bounds: bounds.to_vec(),
        counts,
        sum: histogram.sum,
    }
}

fn workers(exposition: &mut Exposition, module: &ModuleStatus) {
    let labels: Labels<'_> = &[("controller", &module.name), ("module", &module.name)];
    exposition
        .family(
            "controller_runtime_max_concurrent_reconciles",
            Kind::Gauge,
            "Most syncs at once.",
        )
        .count(labels, module.workers.limit);
    exposition
        .family(
            "controller_runtime_active_workers",
            Kind::Gauge,
            "Syncs that are running.",
        )
        .count(labels, module.workers.active);
}

fn requests(exposition: &mut Exposition, module: &ModuleStatus, host: &str) {
    let name = module.name.as_str();
    let mut upstream = exposition.family(
        "rest_client_requests_total",
        Kind::Counter,
        "Requests to the API server by status code, method and host.",
    );
    for call in &module.api.calls {
        let labels = [
            ("code", call.code.as_str()),
            ("host", host),
            ("method", &call.method),
            ("module", name),
        ];
        upstream.count(&labels, call.count);
    }
    let mut ours = exposition.family(
        "windlass_api_calls_total",
        Kind::Counter,
        "Requests to the API server by verb, resource and status code.",
    );
    for call in &module.api.calls {
        let labels = [
            ("code", call.code.as_str()),
            ("module", name),
            ("resource", &call.resource),
            ("verb", &call.verb),
        ];
        ours.count(&labels, call.count);
    }
    let histograms = [
        (
            "rest_client_request_duration_seconds",
            "How long requests to the API server took.",
            &module.api.latency,
        ),
        (
            "rest_client_rate_limiter_duration_seconds",
            "How long requests waited for the client's rate limit.",
            &module.api.throttled,
        ),
    ];
    for (family, help, by_method) in histograms {
        let mut series = exposition.family(family, Kind::Histogram, help);
        for (method, histogram) in by_method {
            let labels = [("host", host), ("module", name), ("verb", method)];
            series.histogram(&labels, histogram.clone());
        }
    }
    exposition
        .family(
            "windlass_api_budget_wait_seconds",
            Kind::Histogram,
            "How long requests waited for the budget that all modules share.",
        )
        .histogram(&[("module", name)], module.api.budget_wait.clone());
}

fn lifecycle(exposition: &mut Exposition, module: &ModuleStatus) {
    let name = module.name.as_str();
    let guest = &module.guest;
    let labels = [
        ("module", name),
        ("guest", &guest.name),
        ("version", &guest.version),
        ("digest", &guest.digest),
        ("origin", &guest.origin),
    ];
    exposition
        .family(
            "windlass_module_info",
            Kind::Gauge,
            "Always 1; which guest a module runs is in the labels.",
        )
        .count(&labels, 1);
    let mut states = exposition.family(
        "windlass_module_state",
        Kind::Gauge,
        "1 for the state that a module is in, 0 for the others.",
    );
    for phase in ModulePhase::ALL {
        states.count(
            &[("module", name), ("state", phase.name())],
            u64::from(phase == module.state.phase),
        );
    }
    let mut reloads = exposition.family(
        "windlass_reloads_total",
        Kind::Counter,
        "Attempts to reload a module, by result.",
    );
    for result in ReloadResult::ALL {
        let count = module.reload.totals.get(&result).copied().unwrap_or_default();
        reloads.count(&[("module", name), ("result", result.name())], count);
    }
    exposition
        .family(
            "windlass_module_generation",
            Kind::Gauge,
            "How many versions of a module have served.",
        )
        .count(&[("module", name)], module.reload.generation);
    exposition
        .family(
            "windlass_poison_keys",
            Kind::Gauge,
            "Keys that are set aside because their syncs end the guest instance.",
        )
        .count(&[("module", name)], module.poison_keys.len() as u64);
}

fn usage(exposition: &mut Exposition, module: &str, usage: &UsageStatus) {
    let gauges = [
        (
            "windlass_guest_memory_bytes",
            "Linear memory of a module's instances.",
            usage.memory_bytes,
        ),
        (
            "windlass_guest_memory_limit_bytes",
            "Most linear memory that one instance may have.",
            usage.memory_limit_bytes,
        ),
        (
            "windlass_guest_instances",
            "Live instances of a module.",
            usage.instances,
        ),
    ];
    for (name, help, value) in gauges {
        exposition
            .family(name, Kind::Gauge, help)
            .count(&[("module", module)], value);
    }
    exposition
        .family(
            "windlass_guest_cpu_seconds_total",
            Kind::Counter,
            "CPU time spent in guest code, in seconds.",
        )
        .number(&[("module", module)], usage.cpu_seconds);
    let mut restarts = exposition.family(
        "windlass_guest_restarts_total",
        Kind::Counter,
        "Instances that ended by themselves, by cause.",
    );
    for cause in CAUSES {
        restarts.count(&[("module", module), ("cause", cause)], 0);
    }
    for (cause, count) in &usage.restarts {
        restarts.count(&[("module", module), ("cause", cause)], *count);
    }
}

fn shadow(exposition: &mut Exposition, module: &ModuleStatus) {
    let mut series = exposition.family(
        "windlass_shadow_syncs_total",
        Kind::Counter,
        "Syncs of a shadow compared with those of the version that serves.",
    );
    if let Some(shadow) = &module.shadow {
        for (result, count) in [("same", shadow.same), ("different", shadow.different)] {
            series.count(&[("module", &module.name), ("result", result)], count);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use windlass_core::outcome::GuestFailure;

    use super::*;

    #[test]
    fn every_cause_of_a_restart_is_there_from_the_start() {
        let failures = [
            GuestFailure::Instantiation(String::new()),
            GuestFailure::Start(String::new()),
            GuestFailure::Trap(String::new()),
            GuestFailure::Cpu {
                budget: Duration::ZERO,
            },
            GuestFailure::Memory { limit_bytes: 0 },
            GuestFailure::Stack { limit_bytes: 0 },
            GuestFailure::Contract(String::new()),
            GuestFailure::CachedBytes {
                cached_bytes: 0,
                limit_bytes: 0,
            },
            GuestFailure::CachesFull {
                cached_bytes: 0,
                limit_bytes: 0,
                share_bytes: 0,
            },
            GuestFailure::Stopped,
        ];
        assert_eq!(failures.map(|failure| failure.label()), CAUSES);
    }
}
