//! Traces by OTLP: a span per sync with its API calls inside, in batches to a collector.
//!
//! OTLP over HTTP with JSON bodies, which is part of the protocol and taken by every
//! collector; written out here because the usual crates would bring some sixty others.
//!
//! Promises: making and ending a span never waits; the queue is bounded, and spans that
//! find no room are counted and lost. Without an endpoint nothing is recorded at all.
//! Deliberately not here: sampling and TLS, which the collector or its agent does.

mod encode;
mod export;
mod span;

use std::sync::Arc;
use std::time::Duration;

pub use export::{Exporter, OtlpError};
pub use span::{ApiSpan, SpanEnd, SyncSpan};

use crate::http_client::Endpoint;
use export::Outbox;

/// Spans that wait to be sent.
const QUEUE: usize = 4096;
/// Spans in one request.
const BATCH: usize = 512;

/// Where spans go, and as what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtlpConfig {
    /// URL that batches are posted to, such as `http://127.0.0.1:4318/v1/traces`.
    pub endpoint: String,
    /// Headers of each request, such as a tenant's name.
    pub headers: Vec<(String, String)>,
    /// What the spans are of: `service.name` and more.
    pub resource: Vec<(String, String)>,
    /// How long a span waits for others at most.
    pub period: Duration,
    /// How long one request may take.
    pub timeout: Duration,
}

impl OtlpConfig {
    /// The configuration for a collector's base URL, to which `/v1/traces` is added.
    /// `identity` and `version` are those of this process.
    #[must_use]
    pub fn new(base: &str, identity: &str, version: &str) -> Self {
        let resource = [
            ("service.name", "windlass"),
            ("service.version", version),
            ("service.instance.id", identity),
        ];
        Self {
            endpoint: format!("{}/v1/traces", base.trim_end_matches('/')),
            headers: Vec::new(),
            resource: resource
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
            period: Duration::from_secs(5),
            timeout: Duration::from_secs(10),
        }
    }

    /// What OpenTelemetry's environment variables say; `None` if they name no endpoint.
    /// `variable` looks one up. Known are `OTEL_EXPORTER_OTLP_ENDPOINT`, `…_HEADERS` and
    /// `…_TIMEOUT`, each also as `OTEL_EXPORTER_OTLP_TRACES_…`, `OTEL_SERVICE_NAME`,
    /// `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_BSP_SCHEDULE_DELAY` and `OTEL_SDK_DISABLED`.
    #[must_use]
    pub fn from_environment(
        variable: impl Fn(&str) -> Option<String>,
        identity: &str,
        version: &str,
    ) -> Option<Self> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let specific = |name: &str| {
            set(&format!("OTEL_EXPORTER_OTLP_TRACES_{name}"))
                .or_else(|| set(&format!("OTEL_EXPORTER_OTLP_{name}")))
        };
        if set("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return None;
        }
        let base = set("OTEL_EXPORTER_OTLP_ENDPOINT");
        let mut config = Self::new(base.as_deref().unwrap_or_default(), identity, version);
        match (set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"), base) {
            // This one is taken as it is.
            (Some(endpoint), _) => config.endpoint = endpoint,
            (None, Some(_)) => {}
            (None, None) => return None,
        }
        config.headers = specific("HEADERS").as_deref().map(pairs).unwrap_or_default();
        let milliseconds = |value: String| value.parse().ok().map(Duration::from_millis);
        config.timeout = specific("TIMEOUT")
            .and_then(milliseconds)
            .unwrap_or(config.timeout);
        config.period = set("OTEL_BSP_SCHEDULE_DELAY")
            .and_then(milliseconds)
            .unwrap_or(config.period);
        for (key, value) in set("OTEL_RESOURCE_ATTRIBUTES")
            .as_deref()
            .map(pairs)
            .unwrap_or_default()
        {
            config.set_resource(key, value);
        }
        if let Some(name) = set("OTEL_SERVICE_NAME") {
            config.set_resource("service.name".to_owned(), name);
        }
        Some(config)
    }

    fn set_resource(&mut self, key: String, value: String) {
        self.resource.retain(|(present, _)| *present != key);
        self.resource.push((key, value));
    }
}

/// `key=value` pairs, separated by commas, values percent-encoded.
fn pairs(text: &str) -> Vec<(String, String)> {
    let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(key, value)| {
            let value = percent_encoding::percent_decode_str(value.trim());
            (key.trim().to_owned(), value.decode_utf8_lossy().into_owned())
        })
        .filter(|(key, _)| !key.is_empty())
        .collect()
}

/// Makes spans. Cheap to clone; one that is off costs nothing.
#[derive(Clone, Debug, Default)]
pub struct Tracer(Option<Arc<Outbox>>);

impl Tracer {
    /// One that records nothing.
    #[must_use]
    pub fn off() -> Self {
        Self(None)
    }

    /// Starts sending to a collector, which need not be there yet. Must be called within
    /// a Tokio runtime.
    ///
    /// # Errors
    /// When the endpoint is no URL that can be asked.
    pub fn start(config: OtlpConfig) -> Result<(Self, Exporter), OtlpError> {
        let endpoint = Endpoint::parse(&config.endpoint)?;
        let (outbox, spans) = Outbox::new(QUEUE);
        let outbox = Arc::new(outbox);
        let exporter = Exporter::spawn(endpoint, config, Arc::clone(&outbox), spans)?;
        Ok((Self(Some(outbox)), exporter))
    }

    /// Begins the span of a sync. It ends, and is sent, when [`SyncSpan::end`] is called
    /// or it is dropped.
    #[must_use]
    pub fn sync_span(&self, module: &str, key: &str, sync_id: u64) -> SyncSpan {
        SyncSpan::begin(self.0.clone(), module, key, sync_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(variables: &[(&str, &str)]) -> Option<OtlpConfig> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        OtlpConfig::from_environment(variable, "windlass-0", "0.1.0")
    }

    #[test]
    fn the_standard_variables_are_understood() {
        let config = config(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=team%20a, empty"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "2500"),
            (
                "OTEL_RESOURCE_ATTRIBUTES",
                "deployment.environment=test,service.name=other",
            ),
            ("OTEL_SERVICE_NAME", "mine"),
        ])
        .expect("an endpoint is named");
        assert_eq!(config.endpoint, "http://collector:4318/v1/traces");
        assert_eq!(config.headers, [("x-tenant".to_owned(), "team a".to_owned())]);
        assert_eq!(config.timeout, Duration::from_millis(2500));
        let named = config.resource.iter().filter(|(key, _)| key == "service.name");
        assert_eq!(
            named.map(|(_, value)| value.as_str()).collect::<Vec<_>>(),
            ["mine"]
        );
    }

    #[test]
    fn an_endpoint_for_traces_is_taken_as_it_is() {
        let config = config(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:4318"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://b:4318/custom"),
        ]);
        assert_eq!(
            config.map(|config| config.endpoint).as_deref(),
            Some("http://b:4318/custom")
        );
    }

    #[test]
    fn without_an_endpoint_or_when_disabled_there_are_no_traces() {
        assert_eq!(config(&[("OTEL_SERVICE_NAME", "mine")]), None);
        assert_eq!(
            config(&[
                ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:4318"),
                ("OTEL_SDK_DISABLED", "TRUE")
            ]),
            None
        );
    }
}
