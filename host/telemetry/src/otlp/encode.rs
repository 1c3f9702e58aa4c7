//! Spans as OTLP's JSON: identifiers in hexadecimal, 64-bit numbers as strings.

use serde_json::{Value as Json, json};

use super::span::{Record, Value};

/// Status of a span that failed.
const ERROR: u8 = 2;

/// The body of an `ExportTraceServiceRequest`.
pub(super) fn request(resource: &[(String, String)], version: &str, spans: &[Record]) -> Json {
    let resource: Vec<Json> = resource.iter().map(|(key, value)| text(key, value)).collect();
    let spans: Vec<Json> = spans.iter().map(span).collect();
    json!({
        "resourceSpans": [{
            "resource": { "attributes": resource },
            "scopeSpans": [{ "scope": { "name": "windlass", "version": version }, "spans": spans }],
        }],
    })
}

fn span(record: &Record) -> Json {
    let attributes: Vec<Json> = record
        .attributes
        .iter()
        .map(|(key, value)| match value {
            Value::Text(value) => text(key, value),
            Value::Number(value) => json!({ "key": key, "value": { "intValue": value.to_string() } }),
        })
        .collect();
    let mut span = json!({
        "traceId": format!("{:032x}", record.trace),
        "spanId": format!("{:016x}", record.span),
        "name": record.name,
        "kind": record.kind as u8,
        "startTimeUnixNano": record.start.to_string(),
        "endTimeUnixNano": record.end.to_string(),
        "attributes": attributes,
    });
    if record.parent != 0 {
        span["parentSpanId"] = json!(format!("{:016x}", record.parent));
    }
    if let Some(message) = &record.error {
        span["status"] = json!({ "code": ERROR, "message": message });
    }
    span
}

fn text(key: &str, value: &str) -> Json {
    json!({ "key": key, "value": { "stringValue": value } })
}
