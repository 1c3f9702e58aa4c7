//! What is served, told to clients: group lists, resource lists, and both in one as
//! aggregated discovery.

use http::header::{ACCEPT, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH, VARY};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha512};

use crate::registry::{GroupVersion, Registry, groups};
use crate::request::Verb;
use crate::resource::{Resource, Subresource};
use crate::respond::{self, Response};

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// Answers a discovery path; `None` if it is none.
pub(crate) fn answer(registry: &Registry, path: &str, headers: &HeaderMap) -> Option<Response> {
    let path = path.strip_suffix('/').unwrap_or(path);
    let aggregated = wants_aggregated(headers);
    match path {
        "/api" if aggregated => return Some(aggregate(registry, headers, |group| group.is_empty())),
        "/apis" if aggregated => return Some(aggregate(registry, headers, |group| !group.is_empty())),
        _ => {}
    }
    let mut response = respond::json_value(StatusCode::OK, &document(registry, path)?);
    response
        .headers_mut()
        .insert(VARY, HeaderValue::from_static("Accept"));
    Some(response)
}

fn document(registry: &Registry, path: &str) -> Option<Value> {
    let table = registry.table();
    if path == "/api" {
        return Some(json!({
            "kind": "APIVersions", "versions": ["v1"],
            "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": ""}],
        }));
    }
    if path == "/apis" {
        let groups = groups(&table);
        let groups = groups.iter().filter(|(group, _)| !group.is_empty());
        let groups: Vec<Value> = groups
            .map(|(group, versions)| api_group(group, versions))
            .collect();
        return Some(json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}));
    }
    let group_version = path
        .strip_prefix("/api/")
        .or_else(|| path.strip_prefix("/apis/"))?;
    if let Some(resources) = table.group_version(group_version) {
        let in_core = path.starts_with("/api/");
        return (in_core != group_version.contains('/')).then(|| resource_list(group_version, resources));
    }
    let groups = groups(&table);
    let versions = groups
        .get(group_version)
        .filter(|_| path.starts_with("/apis/") && !group_version.is_empty())?;
    let mut group = api_group(group_version, versions);
    group["kind"] = "APIGroup".into();
    group["apiVersion"] = "v1".into();
    Some(group)
}

fn api_group<V: AsRef<str>>(group: &str, versions: &[(V, GroupVersion)]) -> Value {
    let version = |version: &str| json!({"groupVersion": format!("{group}/{version}"), "version": version});
    let versions: Vec<Value> = versions.iter().map(|(name, _)| version(name.as_ref())).collect();
    json!({"name": group, "versions": versions, "preferredVersion": versions.first()})
}

fn verb_names(verbs: &[Verb]) -> Vec<&'static str> {
    verbs.iter().map(|verb| verb.name()).collect()
}

fn resource_list(group_version: &str, resources: &GroupVersion) -> Value {
    let mut list = Vec::new();
    for resource in resources {
        list.push(api_resource(resource));
        list.extend(
            resource
                .spec
                .subresources
                .iter()
                .map(|part| api_subresource(resource, *part)),
        );
    }
    json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": list})
}

fn api_resource(resource: &Resource) -> Value {
    let spec = &resource.spec;
    let mut object = json!({
        "name": spec.plural.as_str(), "singularName": spec.singular.as_str(), "namespaced": spec.namespaced,
        "kind": spec.kind.as_str(), "verbs": verb_names(resource.verbs()),
    });
    for (key, names) in [
        ("shortNames", &spec.short_names),
        ("categories", &spec.categories),
    ] {
        if !names.is_empty() {
            object[key] = names.iter().map(|name| name.as_str()).collect();
        }
    }
    if resource.collection().is_some() {
        object["storageVersionHash"] = storage_version_hash(resource).into();
    }
    object
}

/// Tells clients when the stored version of a resource changes.
fn storage_version_hash(resource: &Resource) -> String {
    use base64::Engine;
    let spec = &resource.spec;
    let digest = Sha512::digest(format!("{}/{}/{}", spec.group, spec.version, spec.kind));
    base64::engine::general_purpose::STANDARD.encode(digest.get(..8).unwrap_or_default())
}

fn api_subresource(resource: &Resource, part: Subresource) -> Value {
    let spec = &resource.spec;
    let mut object = json!({
        "name": format!("{}/{}", spec.plural, part.name()), "singularName": "", "namespaced": spec.namespaced,
        "kind": spec.kind.as_str(), "verbs": verb_names(part.verbs()),
    });
    if let Some((group, version, kind)) = part.kind() {
        object["kind"] = kind.into();
        object["version"] = version.into();
        if !group.is_empty() {
            object["group"] = group.into();
        }
    }
    object
}

fn wants_aggregated(headers: &HeaderMap) -> bool {
    let accept = headers
        .get(ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .unwrap_or_default();
    accept.split(',').any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let is = |wanted: &str| range.split(';').any(|part| part.trim() == wanted);
        parts.next() == Some("application/json")
            && is("g=apidiscovery.k8s.io")
            && is("v=v2")
            && is("as=APIGroupDiscoveryList")
    })
}

fn aggregate(registry: &Registry, headers: &HeaderMap, wanted: impl Fn(&str) -> bool) -> Response {
    let table = registry.table();
    let groups = groups(&table);
    let items = groups
        .iter()
        .filter(|(group, _)| wanted(group))
        .map(|(group, versions)| {
            let versions: Vec<Value> = versions
                .iter()
                .map(|(version, resources)| version_discovery(version, resources))
                .collect();
            let metadata = if group.is_empty() {
                json!({"creationTimestamp": null})
            } else {
                json!({"name": group.as_str(), "creationTimestamp": null})
            };
            json!({"metadata": metadata, "versions": versions})
        });
    let items: Vec<Value> = items.collect();
    let body = json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items,
    });
    tagged(body.to_string(), headers)
}

/// A response with an ETag, or 304 if the client has it already.
fn tagged(body: String, headers: &HeaderMap) -> Response {
    let digest = Sha512::digest(body.as_bytes());
    let hex: String = digest.iter().map(|byte| format!("{byte:02X}")).collect();
    let tag = format!("\"{hex}\"");
    let known = headers.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok()) == Some(tag.as_str());
    let mut response = if known {
        respond::json_bytes(StatusCode::NOT_MODIFIED, bytes::Bytes::new())
    } else {
        respond::json_bytes(StatusCode::OK, body.into())
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(AGGREGATED));
    headers.insert(VARY, HeaderValue::from_static("Accept"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(ETAG, tag);
    }
    response
}

fn version_discovery(version: &str, resources: &GroupVersion) -> Value {
    let resources: Vec<Value> = resources
        .iter()
        .map(|resource| resource_discovery(resource))
        .collect();
    json!({"version": version, "freshness": "Current", "resources": resources})
}

fn resource_discovery(resource: &Resource) -> Value {
    let spec = &resource.spec;
    let kind =
        |group: &str, version: &str, kind: &str| json!({"group": group, "version": version, "kind": kind});
    let own = kind(&spec.group, &spec.version, &spec.kind);
    let mut object = json!({
        "resource": spec.plural.as_str(), "responseKind": own,
        "scope": if spec.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": spec.singular.as_str(), "verbs": verb_names(resource.verbs()),
    });
    for (key, names) in [
        ("shortNames", &spec.short_names),
        ("categories", &spec.categories),
    ] {
        if !names.is_empty() {
            object[key] = names.iter().map(|name| name.as_str()).collect();
        }
    }
    let parts = spec.subresources.iter().map(|part| {
        let response = part.kind().map_or_else(
            || own.clone(),
            |(group, version, name)| kind(group, version, name),
        );
        json!({"subresource": part.name(), "responseKind": response, "verbs": verb_names(part.verbs())})
    });
    let parts: Vec<Value> = parts.collect();
    if !parts.is_empty() {
        object["subresources"] = parts.into();
    }
    object
}
