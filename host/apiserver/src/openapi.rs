//! `/openapi/v3`: which operations there are and which parameters they take.
//!
//! Enough for clients to learn that `fieldValidation` and `dryRun` are understood, which
//! is what `kubectl apply` asks. Schemas of built-in types are open objects: where clients need a type's
//! merge keys they fall back to what they know themselves, because no patch operation
//! here claims to describe strategic merging. Custom resources have the schemas of their
//! definitions. OpenAPI v2 is not served.

use std::fmt::Write;

use http::header::{CACHE_CONTROL, ETAG, HeaderValue, LOCATION};
use http::{StatusCode, Uri};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha512};
use smol_str::SmolStr;

use crate::health::KUBERNETES_VERSION;
use crate::query::Query;
use crate::registry::{GroupVersion, Registry};
use crate::request::Verb;
use crate::resource::Resource;
use crate::respond::{self, Response};

/// Answers an OpenAPI path; `None` if it is none.
pub(crate) fn answer(registry: &Registry, uri: &Uri) -> Option<Response> {
    let path = uri.path().strip_prefix("/openapi/v3")?;
    let table = registry.table();
    if matches!(path, "" | "/") {
        let paths = table.group_versions().map(|(group_version, resources)| {
            let url = url(group_version, &hash(&document(group_version, resources)));
            (
                root(group_version).trim_start_matches('/').to_owned(),
                json!({"serverRelativeURL": url}),
            )
        });
        let paths: Map<String, Value> = paths.collect();
        return Some(respond::json_value(StatusCode::OK, &json!({"paths": paths})));
    }
    let group_version = path
        .strip_prefix("/api/")
        .or_else(|| path.strip_prefix("/apis/"))?;
    let document = document(group_version, table.group_version(group_version)?);
    Some(serve(group_version, &document, Query::new(uri.query())))
}

/// A document never changes under its hash; under another hash it has moved.
fn serve(group_version: &str, document: &Value, query: Query<'_>) -> Response {
    let hash = hash(document);
    let mut response = match query.get("hash") {
        Some(other) if other != hash => {
            respond::json_bytes(StatusCode::MOVED_PERMANENTLY, bytes::Bytes::new())
        }
        _ => respond::json_value(StatusCode::OK, document),
    };
    let headers = response.headers_mut();
    let mut set =
        |name, text: &str| drop(HeaderValue::from_str(text).map(|value| headers.insert(name, value)));
    match query.get("hash") {
        Some(other) if other != hash => set(LOCATION, &url(group_version, &hash)),
        Some(_) => set(CACHE_CONTROL, "public, immutable"),
        None => {}
    }
    set(ETAG, &format!("\"{hash}\""));
    response
}

fn url(group_version: &str, hash: &str) -> String {
    format!("/openapi/v3{}?hash={hash}", root(group_version))
}

fn root(group_version: &str) -> String {
    format!(
        "{}{group_version}",
        if group_version.contains('/') {
            "/apis/"
        } else {
            "/api/"
        }
    )
}

fn hash(document: &Value) -> String {
    Sha512::digest(document.to_string())
        .iter()
        .fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02X}");
            text
        })
}

fn document(group_version: &str, resources: &GroupVersion) -> Value {
    let mut paths = Map::new();
    let mut schemas = Map::new();
    for resource in resources {
        add_paths(&mut paths, group_version, resource);
        schemas.insert(schema_name(resource).to_string(), schema(resource));
    }
    json!({
        "openapi": "3.0.0", "info": {"title": "Kubernetes", "version": KUBERNETES_VERSION},
        "paths": paths, "components": {"schemas": schemas},
    })
}

fn schema_name(resource: &Resource) -> SmolStr {
    let spec = &resource.spec;
    let group = if spec.group.is_empty() {
        "core"
    } else {
        spec.group.as_str()
    };
    smol_str::format_smolstr!("{group}.{}.{}", spec.version, spec.kind)
}

fn kind(resource: &Resource) -> Value {
    let spec = &resource.spec;
    json!({"group": spec.group.as_str(), "version": spec.version.as_str(), "kind": spec.kind.as_str()})
}

fn schema(resource: &Resource) -> Value {
    let text = json!({"type": "string"});
    if let Some(custom) = &resource.custom {
        return custom_schema(resource, &custom.schema.source);
    }
    json!({
        "type": "object", "x-kubernetes-preserve-unknown-fields": true,
        "x-kubernetes-group-version-kind": [kind(resource)],
        "properties": {"apiVersion": text, "kind": text, "metadata": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
    })
}

/// A definition's schema, with what every object has.
fn custom_schema(resource: &Resource, source: &Value) -> Value {
    let mut schema = source.clone();
    if !schema.is_object() {
        schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    }
    schema["x-kubernetes-group-version-kind"] = json!([kind(resource)]);
    let about = [
        (
            "apiVersion",
            "APIVersion defines the versioned schema of this representation of an object. Servers should convert recognized schemas to the latest internal value, and may reject unrecognized values.",
        ),
        (
            "kind",
            "Kind is a string value representing the REST resource this object represents. Servers may infer this from the endpoint the client submits requests to.",
        ),
    ];
    for (name, description) in about {
        schema["properties"][name] = json!({"type": "string", "description": description});
    }
    schema["properties"]["metadata"] = json!({
        "type": "object", "x-kubernetes-preserve-unknown-fields": true,
        "description": "Standard object's metadata.",
    });
    schema
}

fn add_paths(paths: &mut Map<String, Value>, group_version: &str, resource: &Resource) {
    let spec = &resource.spec;
    let scope = if spec.namespaced {
        "/namespaces/{namespace}"
    } else {
        ""
    };
    let collection = format!("{}{scope}/{}", root(group_version), spec.plural);
    let object = format!("{collection}/{{name}}");
    let of = |wanted: &[Verb]| {
        resource
            .verbs()
            .iter()
            .copied()
            .filter(|verb| wanted.contains(verb))
            .collect::<Vec<_>>()
    };
    add_path(
        paths,
        collection,
        resource,
        &of(&[Verb::List, Verb::Create, Verb::DeleteCollection]),
    );
    add_path(
        paths,
        object.clone(),
        resource,
        &of(&[Verb::Get, Verb::Update, Verb::Patch, Verb::Delete]),
    );
    for part in &spec.subresources {
        add_path(paths, format!("{object}/{}", part.name()), resource, part.verbs());
    }
}

fn add_path(paths: &mut Map<String, Value>, path: String, resource: &Resource, verbs: &[Verb]) {
    if verbs.is_empty() {
        return;
    }
    let in_path =
        |name: &str| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}});
    let variables = ["namespace", "name"]
        .into_iter()
        .filter(|name| path.contains(&format!("{{{name}}}")));
    let mut item = Map::from_iter([("parameters".to_owned(), variables.map(in_path).collect())]);
    for verb in verbs {
        let (method, operation) = operation(resource, *verb);
        item.insert(method.to_owned(), operation);
    }
    paths.insert(path, Value::Object(item));
}

fn operation(resource: &Resource, verb: Verb) -> (&'static str, Value) {
    let (method, action, parameters): (_, _, &[&str]) = match verb {
        Verb::Get | Verb::Watch => ("get", "get", &["resourceVersion"]),
        Verb::List => (
            "get",
            "list",
            &[
                "labelSelector",
                "fieldSelector",
                "limit",
                "continue",
                "resourceVersion",
                "resourceVersionMatch",
                "watch",
                "allowWatchBookmarks",
                "sendInitialEvents",
                "timeoutSeconds",
            ],
        ),
        Verb::Create => ("post", "post", &["dryRun", "fieldManager", "fieldValidation"]),
        Verb::Update => ("put", "put", &["dryRun", "fieldManager", "fieldValidation"]),
        Verb::Patch => ("patch", "patch", &["dryRun", "fieldManager", "fieldValidation"]),
        Verb::Delete => (
            "delete",
            "delete",
            &["dryRun", "gracePeriodSeconds", "propagationPolicy"],
        ),
        Verb::DeleteCollection => (
            "delete",
            "deletecollection",
            &["dryRun", "labelSelector", "fieldSelector"],
        ),
    };
    let in_query = |name: &&str| json!({"name": name, "in": "query", "schema": {"type": "string"}});
    let reference = json!({"$ref": format!("#/components/schemas/{}", schema_name(resource))});
    let operation = json!({
        "x-kubernetes-action": action, "x-kubernetes-group-version-kind": kind(resource),
        "parameters": parameters.iter().map(in_query).collect::<Vec<_>>(),
        "responses": {"200": {"description": "OK", "content": {"application/json": {"schema": reference}}}},
    });
    (method, operation)
}
