//! Answers: which representation a client accepts, and objects in it.

use bytes::Bytes;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::body::Body;
use crate::object::Stored;
use crate::query::Query;
use crate::request::Request;
use crate::resource::Resource;
use crate::status::Status;
use crate::types::table::{self, IncludeObject};

/// A response.
pub(crate) type Response = http::Response<Body>;

/// How objects are represented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Representation {
    /// As they are.
    Whole,
    /// `metadata` only.
    Partial,
    /// Rows for people.
    Table(IncludeObject),
}

const ACCEPTED: &str = "application/json";

/// Picks the first acceptable representation in the order the client gives.
pub(crate) fn negotiate(headers: &HeaderMap, query: Query<'_>) -> Result<Representation, Status> {
    let Some(accept) = headers.get(ACCEPT).and_then(|value| value.to_str().ok()) else {
        return Ok(Representation::Whole);
    };
    accept
        .split(',')
        .find_map(|range| acceptable(range, query))
        .ok_or_else(|| Status::not_acceptable(ACCEPTED))
}

fn acceptable(range: &str, query: Query<'_>) -> Option<Representation> {
    let mut parts = range.split(';').map(str::trim);
    if !matches!(parts.next(), Some("application/json" | "*/*" | "application/*")) {
        return None;
    }
    let parameters: Vec<(&str, &str)> = parts.filter_map(|part| part.split_once('=')).collect();
    let parameter = |name: &str| {
        parameters
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| *value)
    };
    let in_group = parameter("g") == Some("meta.k8s.io") && parameter("v") == Some("v1");
    match parameter("as") {
        None => Some(Representation::Whole),
        Some("Table") if in_group => Some(Representation::Table(include_object(query))),
        Some("PartialObjectMetadata" | "PartialObjectMetadataList") if in_group => {
            Some(Representation::Partial)
        }
        Some(_) => None,
    }
}

fn include_object(query: Query<'_>) -> IncludeObject {
    query
        .get("includeObject")
        .and_then(|text| IncludeObject::parse(&text))
        .unwrap_or_default()
}

/// A JSON response.
pub(crate) fn json_bytes(code: StatusCode, body: Bytes) -> Response {
    json_body(code, Body::full(body))
}

/// A JSON response with any body.
pub(crate) fn json_body(code: StatusCode, body: Body) -> Response {
    let mut response = http::Response::new(body);
    *response.status_mut() = code;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    response
}

/// A JSON response from a value.
pub(crate) fn json_value(code: StatusCode, value: &Value) -> Response {
    json_bytes(code, value.to_string().into())
}

/// A stored object in the representation asked for.
pub(crate) fn object(request: &Request<'_>, code: StatusCode, stored: &Stored) -> Result<Response, Status> {
    let representation = negotiate(request.headers, request.query)?;
    Ok(json_bytes(
        code,
        represent(&request.resource, stored, representation),
    ))
}

/// An object that is not stored, such as the result of a dry run.
pub(crate) fn unstored(code: StatusCode, resource: &Resource, mut object: Value) -> Response {
    object["apiVersion"] = resource.spec.api_version().as_str().into();
    object["kind"] = resource.spec.kind.as_str().into();
    json_value(code, &object)
}

/// One object as bytes.
pub(crate) fn represent(resource: &Resource, stored: &Stored, representation: Representation) -> Bytes {
    match representation {
        Representation::Whole => resource.body(stored),
        Representation::Partial => partial(stored),
        Representation::Table(include) => {
            let value = resource.value(stored);
            let mut table = render(resource, &[&value], include);
            table["metadata"] = json!({"resourceVersion": stored.revision().to_string()});
            table.to_string().into()
        }
    }
}

/// Several objects as a Table without list metadata.
pub(crate) fn render(resource: &Resource, objects: &[&Value], include: IncludeObject) -> Value {
    let columns = resource.custom.as_ref().map(|custom| custom.columns.as_slice());
    match columns {
        Some(columns) if !columns.is_empty() => crate::custom::render(columns, objects, include),
        _ => table::render(
            &resource.spec.group,
            &resource.spec.kind,
            objects,
            include,
            Timestamp::now(),
        ),
    }
}

/// `PartialObjectMetadata` without parsing.
fn partial(stored: &Stored) -> Bytes {
    const HEAD: &[u8] = br#"{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":"#;
    let metadata = stored.metadata();
    let mut body = Vec::with_capacity(HEAD.len() + metadata.len() + 1);
    body.extend_from_slice(HEAD);
    body.extend_from_slice(metadata);
    body.push(b'}');
    body.into()
}

/// `Status` of success, as deletes and bindings answer.
pub(crate) fn success(code: StatusCode, details: Option<Value>) -> Response {
    let mut status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"});
    if code == StatusCode::CREATED {
        status["code"] = 201.into();
    }
    if let Some(details) = details {
        status["details"] = details;
    }
    json_value(code, &status)
}
