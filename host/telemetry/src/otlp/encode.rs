//! OTLP's JSON: identifiers in hexadecimal, 64-bit numbers as strings.

use std::fmt::Display;

use serde::{Serialize, Serializer};

use super::OtlpConfig;
use super::span::{Outcome, Record, Value};

/// Status of a span that failed.
const ERROR: u8 = 2;

/// The body of an `ExportTraceServiceRequest`.
pub(super) fn spans(config: &OtlpConfig, records: &[Record]) -> Vec<u8> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct ScopeSpans<'a> {
        scope: Scope<'a>,
        spans: Vec<Span<'a>>,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct ResourceSpans<'a> {
        resource: Resource<'a>,
        scope_spans: [ScopeSpans<'a>; 1],
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Request<'a> {
        resource_spans: [ResourceSpans<'a>; 1],
    }
    to_json(&Request {
        resource_spans: [ResourceSpans {
            resource: Resource::of(config),
            scope_spans: [ScopeSpans {
                scope: Scope::of(config),
                spans: records.iter().map(Span::of).collect(),
            }],
        }],
    })
}

/// Writing what has only text keys cannot fail; an empty body would be refused and counted.
pub(super) fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

/// What sends.
#[derive(Serialize)]
pub(super) struct Resource<'a> {
    attributes: Vec<Attribute<'a>>,
}

impl<'a> Resource<'a> {
    pub(super) fn of(config: &'a OtlpConfig) -> Self {
        let attributes = config.resource.iter();
        Self {
            attributes: attributes
                .map(|(key, value)| Attribute::text(key, value))
                .collect(),
        }
    }
}

/// What made the telemetry.
#[derive(Serialize)]
pub(super) struct Scope<'a> {
    name: &'static str,
    version: &'a str,
}

impl<'a> Scope<'a> {
    pub(super) fn of(config: &'a OtlpConfig) -> Self {
        Self {
            name: "windlass",
            version: config.resource("service.version"),
        }
    }
}

/// One attribute of anything.
#[derive(Serialize)]
pub(super) struct Attribute<'a> {
    key: &'a str,
    value: AnyValue<'a>,
}

#[derive(Serialize)]
enum AnyValue<'a> {
    #[serde(rename = "stringValue")]
    String(&'a str),
    #[serde(rename = "intValue")]
    Int(Text<u64>),
    #[serde(rename = "doubleValue")]
    Double(f64),
}

impl<'a> Attribute<'a> {
    pub(super) fn text(key: &'a str, value: &'a str) -> Self {
        Self {
            key,
            value: AnyValue::String(value),
        }
    }

    fn of((key, value): &'a (&'static str, Value)) -> Self {
        let value = match value {
            Value::Text(text) => AnyValue::String(text),
            Value::Number(number) => AnyValue::Int(Text(*number)),
            Value::Seconds(seconds) => AnyValue::Double(*seconds),
        };
        Self { key, value }
    }
}

/// Written as a string.
pub(super) struct Text<T>(pub(super) T);

impl<T: Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// So many hexadecimal digits.
struct Hex<const DIGITS: usize>(u128);

impl<const DIGITS: usize> Serialize for Hex<DIGITS> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:0DIGITS$x}", self.0))
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Span<'a> {
    trace_id: Hex<32>,
    span_id: Hex<16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_span_id: Option<Hex<16>>,
    name: &'a str,
    kind: u8,
    start_time_unix_nano: Text<u64>,
    end_time_unix_nano: Text<u64>,
    attributes: Vec<Attribute<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status<'a>>,
}

#[derive(Serialize)]
struct Status<'a> {
    code: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
}

impl<'a> Span<'a> {
    fn of(record: &'a Record) -> Self {
        Self {
            trace_id: Hex(record.context.trace),
            span_id: Hex(record.context.span.into()),
            parent_span_id: (record.parent != 0).then(|| Hex(record.parent.into())),
            name: &record.name,
            kind: record.kind as u8,
            start_time_unix_nano: Text(record.start),
            end_time_unix_nano: Text(record.end),
            attributes: record.attributes.iter().map(Attribute::of).collect(),
            status: match &record.outcome {
                Outcome::Fine => None,
                Outcome::Error(message) => Some(Status {
                    code: ERROR,
                    message: message.as_deref(),
                }),
            },
        }
    }
}
