//! `metrics`: the controller's own figures.

use crate::bindings::windlass::controller::metrics as wit;
use crate::custom_metrics::{Change, CustomKind, Declaration};
use crate::host::HostState;
use crate::usage::Import;

impl wit::Host for HostState {
    fn declare(&mut self, metric: wit::Metric) -> wasmtime::Result<Result<u32, String>> {
        self.called(Import::MetricsDeclare);
        let declaration = Declaration {
            name: metric.name,
            help: self.redactor.redact(metric.help),
            kind: match metric.kind {
                wit::MetricKind::Counter => CustomKind::Counter,
                wit::MetricKind::Gauge => CustomKind::Gauge,
                wit::MetricKind::Histogram(bounds) => CustomKind::Histogram(bounds),
            },
            labels: metric.labels,
        };
        Ok(self
            .metrics
            .declare(declaration)
            .map_err(|error| error.to_string()))
    }

    fn add(&mut self, metric: u32, labels: Vec<String>, value: f64) -> wasmtime::Result<()> {
        self.change(Import::MetricsAdd, metric, labels, Change::Add(value))
    }

    fn set(&mut self, metric: u32, labels: Vec<String>, value: f64) -> wasmtime::Result<()> {
        self.change(Import::MetricsSet, metric, labels, Change::Set(value))
    }

    fn observe(&mut self, metric: u32, labels: Vec<String>, value: f64) -> wasmtime::Result<()> {
        self.change(Import::MetricsObserve, metric, labels, Change::Observe(value))
    }
}

impl HostState {
    fn change(
        &mut self,
        import: Import,
        metric: u32,
        labels: Vec<String>,
        change: Change,
    ) -> wasmtime::Result<()> {
        self.called(import);
        let redacted = labels.into_iter().map(|value| self.redactor.redact(value));
        let labels = redacted.collect();
        self.metrics.change(metric, labels, change);
        Ok(())
    }
}
