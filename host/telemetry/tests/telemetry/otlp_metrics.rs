//! Metrics, as a collector of the test's own receives them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use windlass_telemetry::metrics::{Format, render};
use windlass_telemetry::otlp::{Exporter, OtlpConfig};
use windlass_telemetry::status::{HostStatus, StatusSource};
use windlass_test_collector::{Attributed, Collector};

use crate::fake::FakeHost;

const GRACE: Duration = Duration::from_secs(30);

fn config(collector: &Collector, interval: Duration) -> OtlpConfig {
    OtlpConfig {
        metrics_interval: Some(interval),
        ..OtlpConfig::new(&collector.url(), "windlass-0", "0.1.0")
    }
}

/// The number of series of each family with any, by its name.
fn scraped(text: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    let mut series = BTreeSet::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, labels) = line.split_once(['{', ' ']).unwrap_or((line, ""));
        // Each series of a histogram has exactly one count.
        let name = match name.strip_suffix("_count") {
            Some(family) => family,
            None if name.ends_with("_bucket") || name.ends_with("_sum") => continue,
            None => name,
        };
        if series.insert((name, labels.rsplit_once(' ').map_or("", |(labels, _)| labels))) {
            *counts.entry(name.to_owned()).or_default() += 1;
        }
    }
    counts
}

#[tokio::test]
async fn the_same_metrics_are_sent_as_are_served() -> Result<()> {
    let collector = Collector::start().await?;
    let host = FakeHost::default();
    host.status();
    let status = host.status();
    let text = render(&status, Format::Prometheus);
    let mut exporter = Exporter::start(config(&collector, Duration::from_secs(3600)))?;
    let (started, at) = (status.started, status.at);
    exporter.send_metrics(Arc::new(move || status.clone()))?;
    exporter.shut_down(GRACE).await;

    let metrics = collector.metrics()?;
    let mut sent = BTreeMap::new();
    for metric in &metrics {
        let (kind, data) = metric.data()?;
        assert!(!metric.description.is_empty(), "{metric:?}");
        assert!(
            text.contains(&format!(
                "# TYPE {} {}\n",
                metric.name,
                match kind {
                    "sum" => "counter",
                    other => other,
                }
            )),
            "{} is a {kind}",
            metric.name
        );
        assert_eq!(data.is_monotonic, kind == "sum");
        assert_eq!(data.aggregation_temporality, if kind == "gauge" { 0 } else { 2 });
        for point in &data.data_points {
            let nanos = [started, at].map(|time| time.as_nanosecond());
            let (start, end) = point.nanos();
            assert_eq!([start, end].map(i128::from), nanos);
            let (count, buckets) = point.counts();
            assert_eq!(count.is_some(), kind == "histogram");
            assert_eq!(point.as_double.is_some(), kind != "histogram");
            if let Some(count) = count {
                assert_eq!(buckets.iter().sum::<u64>(), count);
                assert_eq!(buckets.len(), point.explicit_bounds.len() + 1);
                assert!(point.sum.is_some());
            }
        }
        sent.insert(metric.name.clone(), data.data_points.len());
    }
    assert_eq!(sent, scraped(&text));
    Ok(())
}

#[tokio::test]
async fn a_number_arrives_with_its_labels() -> Result<()> {
    let collector = Collector::start().await?;
    let host = FakeHost::default();
    host.status();
    let status = host.status();
    let trap = status.modules[3].usage.restarts["trap"];
    let mut exporter = Exporter::start(config(&collector, Duration::from_secs(3600)))?;
    exporter.send_metrics(Arc::new(move || status.clone()))?;
    exporter.shut_down(GRACE).await;
    let metrics = collector.metrics()?;
    let restarts = metrics
        .iter()
        .find(|metric| metric.name == "windlass_guest_restarts_total")
        .context("restarts are sent")?;
    let (_, data) = restarts.data()?;
    let labelled = data.data_points.iter().find(|point| {
        point.attribute("module").as_deref() == Some("checkout-operator")
            && point.attribute("cause").as_deref() == Some("trap")
    });
    assert_eq!(
        labelled.and_then(|point| point.as_double),
        Some(f64::from(u32::try_from(trap)?))
    );
    Ok(())
}

#[tokio::test]
async fn metrics_go_on_after_a_collector_refused_some() -> Result<()> {
    let collector = Collector::start().await?;
    collector.answer(404, "no such path");
    collector.answer(503, "");
    let mut exporter = Exporter::start(config(&collector, Duration::from_millis(1)))?;
    exporter.send_metrics(Arc::new(HostStatus::default))?;
    let third = collector.request(3).await?;
    assert_eq!(third.code, 200);
    exporter.shut_down(GRACE).await;
    assert!(!collector.metrics()?.is_empty());
    Ok(())
}

#[tokio::test]
async fn without_an_interval_no_metrics_are_sent() -> Result<()> {
    let collector = Collector::start().await?;
    let config = OtlpConfig {
        metrics_interval: None,
        ..config(&collector, Duration::ZERO)
    };
    let mut exporter = Exporter::start(config)?;
    exporter.send_metrics(Arc::new(HostStatus::default))?;
    exporter.shut_down(GRACE).await;
    assert!(collector.requests().is_empty());
    Ok(())
}
