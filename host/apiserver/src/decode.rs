//! Request bodies: from bytes to a JSON object that belongs at this endpoint.

use std::borrow::Cow;

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde_json::{Map, Value};

use crate::fields;
use crate::meta;
use crate::protobuf;
use crate::request::Request;
use crate::resource::Subresource;
use crate::status::Status;

const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
const ACCEPTED: &str = "application/json, application/yaml, application/vnd.kubernetes.protobuf";

/// The media type of the body without parameters; JSON if none is given.
pub(crate) fn media_type(headers: &HeaderMap) -> &str {
    let given = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("application/json");
    given.split(';').next().unwrap_or_default().trim()
}

/// Parses a body as a JSON object.
pub(crate) fn value(headers: &HeaderMap, body: &[u8]) -> Result<Value, Status> {
    let json = match media_type(headers) {
        "application/json" | "*/*" | "" => Cow::Borrowed(body),
        "application/yaml" => Cow::Owned(yaml_to_json(body)?),
        PROTOBUF => {
            return protobuf::decode(body).map_err(|error| {
                Status::bad_request(format!("the object provided is not valid protobuf: {error}"))
            });
        }
        _ => return Err(Status::unsupported_media_type(ACCEPTED)),
    };
    let value: Value = serde_json::from_slice(&json)
        .map_err(|error| Status::bad_request(format!("the object provided is not valid JSON: {error}")))?;
    if value.is_object() {
        Ok(value)
    } else {
        Err(Status::bad_request("the object provided is not a JSON object"))
    }
}

fn yaml_to_json(body: &[u8]) -> Result<Vec<u8>, Status> {
    let invalid = |error: &dyn std::fmt::Display| {
        Status::bad_request(format!("error converting YAML to JSON: {error}"))
    };
    let text = std::str::from_utf8(body).map_err(|error| invalid(&error))?;
    let value: Value = serde_saphyr::from_str(text).map_err(|error| invalid(&error))?;
    Ok(value.to_string().into_bytes())
}

/// Parses the object of a create or update and checks that it belongs here.
pub(crate) fn object(request: &Request<'_>) -> Result<Value, Status> {
    let mut object = value(request.headers, &request.body)?;
    let (group, version, kind) = expected_kind(request);
    check_kind(&object, group, version, kind)?;
    type_check(request, version, kind, &mut object)?;
    if meta::metadata_mut(&mut object).is_none() {
        return Err(Status::bad_request(
            "metadata of the object provided is not a JSON object",
        ));
    }
    place(request, &mut object)?;
    Ok(object)
}

/// Makes of an object what a typed server would have decoded: nothing that is `null`,
/// unknown or of the wrong type. Whether unknown members are an error, a warning or
/// nothing is up to the request.
pub(crate) fn type_check(
    request: &Request<'_>,
    version: &str,
    kind: &str,
    object: &mut Value,
) -> Result<(), Status> {
    let cannot = |why: &str| {
        Status::bad_request(format!(
            "{kind} in version \"{version}\" cannot be handled as a {kind}: {why}"
        ))
    };
    let group = expected_kind(request).0;
    // A Scale of a custom resource is a built-in type.
    let own = group == request.spec().group && kind == request.spec().kind;
    let unknown = match request.resource.custom.as_ref().filter(|_| own) {
        Some(custom) => {
            let unknown = fields::prune_metadata(object).map_err(|why| cannot(&why))?;
            unknown.into_iter().chain(custom.prune(object)).collect()
        }
        None => {
            drop_nulls(object);
            fields::prune(&api_version(group, version), kind, object).map_err(|why| cannot(&why))?
        }
    };
    if unknown.is_empty() {
        return Ok(());
    }
    let unknown = unknown.iter().map(|path| format!("unknown field \"{path}\""));
    match request.query.get("fieldValidation").as_deref() {
        Some("Strict") => Err(cannot(&format!(
            "strict decoding error: {}",
            unknown.collect::<Vec<_>>().join(", ")
        ))),
        Some("Ignore") => Ok(()),
        _ => {
            request.warn(unknown);
            Ok(())
        }
    }
}

fn api_version<'a>(group: &str, version: &'a str) -> Cow<'a, str> {
    if group.is_empty() {
        Cow::Borrowed(version)
    } else {
        Cow::Owned(format!("{group}/{version}"))
    }
}

fn expected_kind<'a>(request: &'a Request<'_>) -> (&'a str, &'a str, &'a str) {
    let spec = request.spec();
    let own = (spec.group.as_str(), spec.version.as_str(), spec.kind.as_str());
    request
        .resource
        .subresource(request.path.subresource)
        .and_then(Subresource::kind)
        .unwrap_or(own)
}

/// Checks `apiVersion` and `kind`, which may be left out.
fn check_kind(object: &Value, group: &str, version: &str, kind: &str) -> Result<(), Status> {
    let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default();
    let (given_version, given_kind) = (text("apiVersion"), text("kind"));
    let (given_group, short_version) = given_version.rsplit_once('/').unwrap_or(("", given_version));
    // The eviction endpoint accepts the version that preceded its promotion, too.
    let version_fits = short_version == version || (kind == "Eviction" && short_version == "v1beta1");
    let version_matches = given_group == group && version_fits;
    if !given_version.is_empty() && !version_matches {
        let expected = api_version(group, version);
        return Err(Status::bad_request(format!(
            "the API version in the data ({given_version}) does not match the expected API version ({expected})"
        )));
    }
    if !given_kind.is_empty() && given_kind != kind {
        return Err(Status::bad_request(format!(
            "{kind} in version \"{version}\" cannot be handled as a {kind}: the object provided is a {given_kind}"
        )));
    }
    Ok(())
}

/// Fills in the namespace and checks namespace and name against the path.
fn place(request: &Request<'_>, object: &mut Value) -> Result<(), Status> {
    let spec = request.spec();
    let namespace = meta::text(object, "namespace");
    if !spec.namespaced {
        meta::set(object, "namespace", Value::Null);
    } else if !namespace.is_empty() && namespace != request.path.namespace {
        let why = "the namespace of the provided object does not match the namespace sent on the request";
        return Err(Status::bad_request(why));
    } else {
        meta::set(object, "namespace", request.path.namespace.as_ref());
    }
    check_name(&request.path.name, object)
}

fn check_name(name: &str, object: &mut Value) -> Result<(), Status> {
    let given = meta::text(object, "name");
    if name.is_empty() || given == name {
        return Ok(());
    }
    if given.is_empty() {
        meta::set(object, "name", name);
        return Ok(());
    }
    Err(Status::bad_request(format!(
        "the name of the object ({given}) does not match the name on the URL ({name})"
    )))
}

/// Drops members that are `null`: to a typed decoder they are absent.
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => drop_null_members(members),
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

fn drop_null_members(members: &mut Map<String, Value>) {
    if members.values().any(Value::is_null) {
        members.retain(|_, value| !value.is_null());
    }
    members.values_mut().for_each(drop_nulls);
}
