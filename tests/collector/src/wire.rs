//! OTLP's requests as JSON; what the protocol does not know is an error.

use anyhow::{Context, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

/// Something with attributes.
pub trait Attributed {
    /// All of them, in their order.
    fn attributes(&self) -> &[Attribute];

    /// One of them, as text.
    fn attribute(&self, key: &str) -> Option<String> {
        let found = self.attributes().iter().find(|attribute| attribute.key == key);
        found.map(|attribute| attribute.value.to_text())
    }
}

/// A name and a value.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attribute {
    key: String,
    value: AnyValue,
}

#[derive(Clone, Debug, Deserialize)]
enum AnyValue {
    #[serde(rename = "stringValue")]
    String(String),
    #[serde(rename = "intValue")]
    Int(Number),
    #[serde(rename = "doubleValue")]
    Double(f64),
}

impl AnyValue {
    fn to_text(&self) -> String {
        match self {
            Self::String(text) => text.clone(),
            Self::Int(number) => number.0.to_string(),
            Self::Double(number) => number.to_string(),
        }
    }
}

/// A 64-bit number, which this protocol writes as a string of digits.
#[derive(Clone, Copy, Debug)]
struct Number(u64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(serde::de::Error::custom)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Resource {
    attributes: Vec<Attribute>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scope {
    name: String,
    version: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ScopeSpans {
    scope: Scope,
    spans: Vec<Span>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ResourceSpans {
    resource: Resource,
    scope_spans: Vec<ScopeSpans>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TraceRequest {
    resource_spans: Vec<ResourceSpans>,
}

/// One span.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Span {
    /// 32 hexadecimal digits.
    pub trace_id: String,
    /// 16 hexadecimal digits.
    pub span_id: String,
    /// Empty for the first span of a trace.
    #[serde(default)]
    pub parent_span_id: String,
    /// Its name.
    pub name: String,
    /// 1 is internal, 3 a client.
    pub kind: u8,
    start_time_unix_nano: Number,
    end_time_unix_nano: Number,
    attributes: Vec<Attribute>,
    /// Whether it failed; nothing if there is nothing to say.
    pub status: Option<Status>,
}

/// How a span ended.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Status {
    /// 2 is an error.
    pub code: u8,
    /// For people; may be empty.
    #[serde(default)]
    pub message: String,
}

impl Span {
    /// Nanoseconds since the epoch at its beginning and at its end.
    #[must_use]
    pub fn nanos(&self) -> (u64, u64) {
        (self.start_time_unix_nano.0, self.end_time_unix_nano.0)
    }

    /// The message of its error; `None` if it is none.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        let status = self.status.as_ref().filter(|status| status.code == 2);
        status.map(|status| status.message.as_str())
    }
}

impl Attributed for Span {
    fn attributes(&self) -> &[Attribute] {
        &self.attributes
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ScopeMetrics {
    scope: Scope,
    metrics: Vec<Metric>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ResourceMetrics {
    resource: Resource,
    scope_metrics: Vec<ScopeMetrics>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct MetricsRequest {
    resource_metrics: Vec<ResourceMetrics>,
}

/// One metric.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metric {
    /// Its name.
    pub name: String,
    /// For people.
    pub description: String,
    sum: Option<Data>,
    gauge: Option<Data>,
    histogram: Option<Data>,
}

impl Metric {
    /// What kind it is, and its series.
    ///
    /// # Errors
    /// When it is not exactly one.
    pub fn data(&self) -> Result<(&'static str, &Data)> {
        let kinds = [
            ("sum", &self.sum),
            ("gauge", &self.gauge),
            ("histogram", &self.histogram),
        ];
        let mut present = kinds
            .iter()
            .filter_map(|(kind, data)| Some((*kind, data.as_ref()?)));
        let first = present
            .next()
            .with_context(|| format!("{} has no data", self.name))?;
        anyhow::ensure!(present.next().is_none(), "{} is of two kinds", self.name);
        Ok(first)
    }
}

/// The series of a metric.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Data {
    /// 2 is since the start.
    #[serde(default)]
    pub aggregation_temporality: u8,
    /// Of sums: whether they only grow.
    #[serde(default)]
    pub is_monotonic: bool,
    /// The series.
    pub data_points: Vec<Point>,
}

/// One series.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Point {
    attributes: Vec<Attribute>,
    start_time_unix_nano: Number,
    time_unix_nano: Number,
    /// Of sums and gauges.
    pub as_double: Option<f64>,
    count: Option<Number>,
    /// Of histograms: all observations together.
    pub sum: Option<f64>,
    #[serde(default)]
    bucket_counts: Vec<Number>,
    /// Of histograms: the upper bounds.
    #[serde(default)]
    pub explicit_bounds: Vec<f64>,
}

impl Point {
    /// Since when it counts and as of when, in nanoseconds since the epoch.
    #[must_use]
    pub fn nanos(&self) -> (u64, u64) {
        (self.start_time_unix_nano.0, self.time_unix_nano.0)
    }

    /// Of histograms: how many observations there were, and how many in each bucket.
    #[must_use]
    pub fn counts(&self) -> (Option<u64>, Vec<u64>) {
        let buckets = self.bucket_counts.iter().map(|count| count.0).collect();
        (self.count.map(|count| count.0), buckets)
    }
}

impl Attributed for Point {
    fn attributes(&self) -> &[Attribute] {
        &self.attributes
    }
}

/// The spans of a request.
pub(crate) fn spans(body: &[u8]) -> Result<Vec<Span>> {
    let request: TraceRequest = parse(body)?;
    let of_process = one(request.resource_spans)?;
    let of_scope = one(of_process.scope_spans)?;
    check(&of_scope.scope)?;
    Ok(of_scope.spans)
}

/// What a request with spans says that sent them.
pub(crate) fn resource(body: &[u8]) -> Result<Vec<(String, String)>> {
    let request: TraceRequest = parse(body)?;
    let attributes = one(request.resource_spans)?.resource.attributes.into_iter();
    Ok(attributes
        .map(|attribute| (attribute.key, attribute.value.to_text()))
        .collect())
}

/// The metrics of a request.
pub(crate) fn metrics(body: &[u8]) -> Result<Vec<Metric>> {
    let request: MetricsRequest = parse(body)?;
    let of_process = one(request.resource_metrics)?;
    anyhow::ensure!(!of_process.resource.attributes.is_empty(), "nobody sent it");
    let of_scope = one(of_process.scope_metrics)?;
    check(&of_scope.scope)?;
    Ok(of_scope.metrics)
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    serde_json::from_slice(body).with_context(|| format!("not OTLP: {}", String::from_utf8_lossy(body)))
}

fn check(scope: &Scope) -> Result<()> {
    anyhow::ensure!(scope.name == "windlass", "the scope is {}", scope.name);
    anyhow::ensure!(!scope.version.is_empty(), "the scope has no version");
    Ok(())
}

fn one<T>(mut items: Vec<T>) -> Result<T> {
    let item = items.pop().context("an empty list")?;
    anyhow::ensure!(items.is_empty(), "more than one");
    Ok(item)
}
