//! What is sent to a collector by OTLP: a span per sync with its API calls inside, and
//! the metrics of `/metrics`.
//!
//! OTLP over HTTP with JSON bodies, which is part of the protocol and taken by every
//! collector; written out here because the usual crates would bring some sixty others.
//!
//! Promises: making and ending a span never waits; the queue is bounded, and spans that
//! find no room are counted and lost. Without a collector nothing is recorded at all.
//! Deliberately not here: TLS, which the collector or its agent does, and the choice of
//! spans by how they ended, which a collector can make that has seen the whole trace.

mod delivery;
mod encode;
mod export;
mod metrics;
mod outbox;
mod span;
mod tracer;

use std::time::Duration;

pub use export::Exporter;
pub use span::{ApiSpan, SpanContext, SyncSpan};
pub use tracer::{ModuleTracer, Parent, SyncStart, TracedModule, Tracer};

use crate::http_client::{Endpoint, RequestError};

/// Where telemetry goes, and as what.
#[derive(Clone, Debug, PartialEq)]
pub struct OtlpConfig {
    /// The collector's URL, such as `http://127.0.0.1:4318`, to which `/v1/traces` and
    /// `/v1/metrics` are added.
    pub endpoint: String,
    /// Headers of each request, such as a tenant's name.
    pub headers: Vec<(String, String)>,
    /// What sends: `service.name` and more.
    pub resource: Vec<(String, String)>,
    /// How long a span waits for others at most.
    pub period: Duration,
    /// How often metrics are sent; `None`: never.
    pub metrics_interval: Option<Duration>,
    /// How long one request may take.
    pub timeout: Duration,
    /// The share of traces that are recorded, from 0 to 1.
    pub sample_ratio: f64,
}

/// Why nothing can be sent at all.
#[derive(Debug, thiserror::Error)]
pub enum OtlpError {
    /// The endpoint is no URL that can be asked.
    #[error(transparent)]
    Endpoint(#[from] RequestError),
    /// A header cannot be sent.
    #[error("{name:?} with its value is no HTTP header")]
    Header {
        /// Its name.
        name: String,
    },
}

impl OtlpConfig {
    /// The configuration for a collector. `identity` and `version` are those of this process.
    #[must_use]
    pub fn new(endpoint: &str, identity: &str, version: &str) -> Self {
        let resource = [
            ("service.name", "windlass"),
            ("service.version", version),
            ("service.instance.id", identity),
        ];
        Self {
            endpoint: endpoint.to_owned(),
            headers: Vec::new(),
            resource: resource
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
            period: Duration::from_secs(5),
            metrics_interval: None,
            timeout: Duration::from_secs(10),
            sample_ratio: 1.0,
        }
    }

    /// Says what sends, in place of what was said under this key before.
    pub fn set_resource(&mut self, key: &str, value: &str) {
        self.resource.retain(|(present, _)| present != key);
        self.resource.push((key.to_owned(), value.to_owned()));
    }

    fn resource(&self, key: &str) -> &str {
        let found = self.resource.iter().find(|(present, _)| present == key);
        found.map_or("", |(_, value)| value)
    }
}

/// Whether a collector can be asked at this URL.
///
/// # Errors
/// When it cannot, with the reason.
pub fn check_endpoint(url: &str) -> Result<(), OtlpError> {
    signal(url, "traces").map(drop)
}

/// Whether this can be a header of each request.
///
/// # Errors
/// When it cannot.
pub fn check_header(name: &str, value: &str) -> Result<(), OtlpError> {
    delivery::header(name, value).map(drop)
}

/// Where one kind of telemetry goes.
fn signal(url: &str, name: &str) -> Result<Endpoint, OtlpError> {
    let wrong = || RequestError::Url { url: url.to_owned() };
    // A path cannot be added to a query, and nobody means port 80 of a host called `http`.
    if url.contains(['?', '#']) || !url.contains("://") {
        return Err(wrong().into());
    }
    let full = format!("{}/v1/{name}", url.trim_end_matches('/'));
    Endpoint::parse(&full).map_err(|_| wrong().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_telemetry_has_a_path_of_its_own_below_the_collectors() {
        let at = |url| signal(url, "traces").map(|endpoint| endpoint.to_string()).ok();
        assert_eq!(at("http://c:4318").as_deref(), Some("http://c:4318/v1/traces"));
        assert_eq!(at("http://c:4318/").as_deref(), Some("http://c:4318/v1/traces"));
        assert_eq!(at("http://c/otlp/").as_deref(), Some("http://c/otlp/v1/traces"));
    }

    #[test]
    fn what_cannot_be_asked_is_refused_as_it_was_written() {
        for wrong in [
            "https://c:4318",
            "c:4318",
            "http://",
            "http://c?tenant=a",
            "grpc://c:4317",
            "",
        ] {
            let error = check_endpoint(wrong).expect_err(wrong).to_string();
            assert!(
                error.starts_with(&format!("{wrong:?} is not an http:// URL")),
                "{error}"
            );
        }
        let error = check_header("no header", "x").expect_err("a space").to_string();
        assert_eq!(error, "\"no header\" with its value is no HTTP header");
    }

    #[test]
    fn what_is_said_of_the_sender_last_counts() {
        let mut config = OtlpConfig::new("http://c:4318", "windlass-0", "0.1.0");
        config.set_resource("service.name", "mine");
        assert_eq!(config.resource("service.name"), "mine");
        assert_eq!(config.resource.len(), 3);
    }
}
