//! Every line of `/metrics`, held against the format and against upstream's names.

use std::collections::{BTreeMap, BTreeSet};

use windlass_telemetry::metrics::{Format, render};
use windlass_telemetry::status::StatusSource;

use crate::fake::{FakeHost, HOSTILE};

fn metrics() -> String {
    let host = FakeHost::default();
    host.status();
    render(&host.status(), Format::Prometheus)
}

/// The series name and labels of a sample line.
fn series(line: &str) -> &str {
    line.rsplit_once(' ').map_or(line, |(series, _)| series)
}

/// The bounds of one histogram series whose labels contain `label`.
fn bounds(text: &str, family: &str, label: &str) -> Vec<String> {
    let prefix = format!("{family}_bucket{{");
    let lines = text
        .lines()
        .filter(|line| line.starts_with(&prefix) && line.contains(label));
    lines
        .filter_map(|line| line.split(",le=\"").nth(1)?.split('"').next())
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_sample_belongs_to_the_family_above_it_and_comes_once() {
    let text = metrics();
    let (mut family, mut kind, mut seen) = ("", "", BTreeSet::new());
    let mut families = Vec::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            family = rest.split(' ').next().unwrap_or_default();
            families.push(family.to_owned());
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            assert_eq!(rest.split(' ').next(), Some(family));
            kind = rest.split(' ').nth(1).unwrap_or_default();
        } else {
            let name = series(line).split('{').next().unwrap_or_default();
            let suffix = name.strip_prefix(family).expect("a sample of its family");
            let suffixes: &[&str] = if kind == "histogram" {
                &["_bucket", "_sum", "_count"]
            } else {
                &[""]
            };
            assert!(suffixes.contains(&suffix), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            assert!(seen.insert(series(line).to_owned()), "twice: {line}");
            let value = line.rsplit(' ').next().unwrap_or_default();
            assert!(value.parse::<f64>().is_ok(), "{line}");
        }
    }
    let mut sorted = families.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!(families, sorted);
}

#[test]
fn upstream_names_have_upstream_labels_and_a_module() {
    let upstream: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("workqueue_depth", &["module", "name"] as &[&str]),
        ("workqueue_adds_total", &["module", "name"]),
        ("workqueue_retries_total", &["module", "name"]),
        ("workqueue_unfinished_work_seconds", &["module", "name"]),
        ("workqueue_longest_running_processor_seconds", &["module", "name"]),
        ("workqueue_queue_duration_seconds_count", &["module", "name"]),
        ("workqueue_work_duration_seconds_count", &["module", "name"]),
        (
            "rest_client_requests_total",
            &["code", "host", "method", "module"],
        ),
        (
            "rest_client_request_duration_seconds_count",
            &["host", "module", "verb"],
        ),
        (
            "rest_client_rate_limiter_duration_seconds_count",
            &["host", "module", "verb"],
        ),
        ("leader_election_master_status", &["module", "name"]),
        ("leader_election_slowpath_total", &["module", "name"]),
        ("running_managed_controllers", &["manager", "module", "name"]),
        ("kubernetes_healthcheck", &["name", "type"]),
        (
            "controller_runtime_reconcile_total",
            &["controller", "module", "result"],
        ),
        (
            "controller_runtime_reconcile_errors_total",
            &["controller", "module"],
        ),
        (
            "controller_runtime_terminal_reconcile_errors_total",
            &["controller", "module"],
        ),
        (
            "controller_runtime_reconcile_panics_total",
            &["controller", "module"],
        ),
        (
            "controller_runtime_reconcile_time_seconds_count",
            &["controller", "module"],
        ),
        (
            "controller_runtime_max_concurrent_reconciles",
            &["controller", "module"],
        ),
        ("controller_runtime_active_workers", &["controller", "module"]),
    ]);
    let text = metrics();
    for (name, labels) in upstream {
        let line = text
            .lines()
            .find(|line| line.starts_with(&format!("{name}{{")))
            .unwrap_or_else(|| panic!("{name} is missing"));
        let inside = series(line).split_once('{').map_or("", |(_, rest)| rest);
        let found: Vec<&str> = inside
            .split(',')
            .filter_map(|pair| pair.split_once('=').map(|(label, _)| label))
            .collect();
        assert_eq!(found, labels, "{line}");
    }
}

#[test]
fn upstream_histograms_have_upstream_buckets() {
    let text = metrics();
    let name = "name=\"deployment\"";
    let decades = "1e-08 1e-07 1e-06 1e-05 0.0001 0.001 0.01 0.1 1 10 +Inf";
    for family in [
        "workqueue_queue_duration_seconds",
        "workqueue_work_duration_seconds",
    ] {
        assert_eq!(bounds(&text, family, name).join(" "), decades);
    }
    assert_eq!(
        bounds(
            &text,
            "rest_client_request_duration_seconds",
            "module=\"deployment\",verb=\"PUT\""
        )
        .join(" "),
        "0.005 0.025 0.1 0.25 0.5 1 2 4 8 15 30 60 +Inf"
    );
    assert_eq!(
        bounds(
            &text,
            "controller_runtime_reconcile_time_seconds",
            "module=\"deployment\""
        )
        .join(" "),
        "0.005 0.01 0.025 0.05 0.1 0.15 0.2 0.25 0.3 0.35 0.4 0.45 0.5 0.6 0.7 0.8 0.9 1 1.25 1.5 1.75 2 2.5 3 3.5 \
         4 4.5 5 6 7 8 9 10 15 20 25 30 40 50 60 +Inf"
    );
}

#[test]
fn the_same_syncs_are_in_both_latency_histograms() {
    let text = metrics();
    let value = |start: &str| {
        let line = text.lines().find(|line| line.starts_with(start));
        line.and_then(|line| line.rsplit(' ').next())
            .unwrap_or_else(|| panic!("{start} is missing"))
            .to_owned()
    };
    for suffix in ["_count{", "_sum{"] {
        let upstream = format!("controller_runtime_reconcile_time_seconds{suffix}controller=\"scheduler\"");
        let ours = format!("windlass_sync_duration_seconds{suffix}module=\"scheduler\"");
        assert_eq!(value(&upstream), value(&ours));
    }
    let upstream = "controller_runtime_reconcile_time_seconds_bucket{controller=\"scheduler\",module=\"scheduler\",le=\"0.005\"}";
    let ours = "windlass_sync_duration_seconds_bucket{module=\"scheduler\",le=\"0.005\"}";
    assert_eq!(value(upstream), value(ours));
}

#[test]
fn what_guests_say_never_becomes_a_label() {
    assert!(!metrics().contains(&HOSTILE[..12]));
}
