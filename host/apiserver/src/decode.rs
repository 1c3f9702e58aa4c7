//! Request bodies: from bytes to a JSON object that belongs at this endpoint.

use std::borrow::Cow;

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde_json::{Map, Value};

use crate::meta;
use crate::request::Request;
use crate::resource::Subresource;
use crate::status::Status;

const ACCEPTED: &str = "application/json, application/yaml";

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
    if request.resource.custom.is_none() {
        drop_nulls(&mut object);
    }
    if meta::metadata_mut(&mut object).is_none() {
        return Err(Status::bad_request(
            "metadata of the object provided is not a JSON object",
        ));
    }
    place(request, &mut object)?;
    Ok(object)
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
        let expected = if group.is_empty() {
            version.to_owned()
        } else {
            format!("{group}/{version}")
        };
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
pub(crate) fn drop_nulls(value: &mut Value) {
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
