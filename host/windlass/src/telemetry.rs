//! What is sent to a collector, if the configuration names one: traces and metrics.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use windlass_manager::config::HostConfiguration;
use windlass_telemetry::otlp::{Exporter, Tracer};
use windlass_telemetry::status::StatusSource;

/// A running exporter, or none.
#[derive(Default)]
pub(crate) struct Telemetry(Option<Exporter>);

impl Telemetry {
    /// Starts sending what a configuration asks for. `host` names the machine; there may
    /// be several processes on it.
    pub(crate) fn start(configuration: Option<&HostConfiguration>, host: &str) -> anyhow::Result<Self> {
        let Some(entry) = configuration.and_then(|configuration| configuration.otlp.as_ref()) else {
            return Ok(Self::default());
        };
        let identity = format!("{host}_{}", std::process::id());
        let config = entry.resolve(&identity, env!("CARGO_PKG_VERSION"));
        let exporter = Exporter::start(config).context("otlp")?;
        tracing::info!(endpoint = entry.endpoint, identity, "sending telemetry");
        Ok(Self(Some(exporter)))
    }

    /// Makes the spans that are sent.
    pub(crate) fn tracer(&self) -> Tracer {
        self.0.as_ref().map(Exporter::tracer).unwrap_or_default()
    }

    /// Sends metrics from now on, too, if that is asked for.
    pub(crate) fn send_metrics(&mut self, source: Arc<dyn StatusSource>) -> anyhow::Result<()> {
        match &mut self.0 {
            Some(exporter) => exporter.send_metrics(source).context("otlp"),
            None => Ok(()),
        }
    }

    /// Sends what is left, for at most `grace`.
    pub(crate) async fn stop(self, grace: Duration) {
        if let Some(exporter) = self.0 {
            exporter.shut_down(grace).await;
        }
    }
}
