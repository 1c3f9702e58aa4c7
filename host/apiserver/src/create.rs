//! Creating objects.

use std::sync::Arc;

use http::StatusCode;
use rand::Rng;
use serde_json::Value;

use crate::admission;
use crate::api::Api;
use crate::custom_definitions;
use crate::decode;
use crate::meta;
use crate::namespaces;
use crate::object::{Key, Stored};
use crate::request::Request;
use crate::resource::{Resource, Storage, Subresource};
use crate::respond::{self, Response};
use crate::status::Status;
use crate::store::Collection;
use crate::types::{defaults, strategy, validation};
use crate::{eviction, pods, reviews};

/// Without vowels and look-alikes, as `apimachinery/pkg/util/rand` has it.
const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
const SUFFIX: usize = 5;
/// 63 less the suffix.
const MAX_PREFIX: usize = 58;
/// How many generated names are tried.
const ATTEMPTS: usize = 8;

/// POST to a collection or to a subresource.
pub(crate) fn handle(api: &Api, request: &Request<'_>) -> Result<Response, Status> {
    match request.resource.subresource(request.path.subresource) {
        Some(Subresource::Binding) => return pods::bind(api, request),
        Some(Subresource::Eviction) => return eviction::create(api, request),
        _ => {}
    }
    match &request.resource.storage {
        Storage::Objects(collection) => create(api, request, collection),
        Storage::Review(review) => reviews::create(api, request, *review),
        Storage::Bindings => pods::bind(api, request),
    }
}

fn create(api: &Api, request: &Request<'_>, collection: &Arc<Collection>) -> Result<Response, Status> {
    let dry_run = request.dry_run()?;
    if request.spec().namespaced && request.path.namespace.is_empty() {
        return Err(Status::method_not_allowed());
    }
    let mut object = decode::object(request)?;
    if dry_run {
        prepare(api, &request.resource, &mut object)?;
        return answer_dry_run(api, request, collection, object);
    }
    let stored = insert(api, &request.resource, object)?;
    respond::object(request, StatusCode::CREATED, &stored)
}

/// Says what a create would have done.
fn answer_dry_run(
    api: &Api,
    request: &Request<'_>,
    collection: &Collection,
    mut object: Value,
) -> Result<Response, Status> {
    let spec = request.spec();
    namespaces::check_open(api, spec, &request.path.namespace, meta::text(&object, "name"))?;
    if meta::text(&object, "name").is_empty() {
        generate_name(&mut object);
    }
    admission::abandon(api, &request.resource, &object);
    let name = meta::text(&object, "name");
    if collection.get(&Key::new(&request.path.namespace, name)).is_some() {
        return Err(Status::already_exists(spec, name));
    }
    Ok(respond::unstored(StatusCode::CREATED, &request.resource, object))
}

/// Prepares, validates and stores a new object whose namespace is set.
pub(crate) fn insert(api: &Api, resource: &Arc<Resource>, mut object: Value) -> Result<Arc<Stored>, Status> {
    let generated = meta::text(&object, "name").is_empty();
    prepare(api, resource, &mut object)?;
    let stored = store(api, resource, &mut object, generated);
    match &stored {
        Ok(stored) => after_create(api, resource, stored),
        Err(_) => admission::abandon(api, resource, &object),
    }
    stored
}

fn store(api: &Api, resource: &Resource, object: &mut Value, generated: bool) -> Result<Arc<Stored>, Status> {
    let spec = &resource.spec;
    let collection = resource.collection().ok_or_else(Status::method_not_allowed)?;
    let namespace = meta::text(object, "namespace").to_owned();
    let _gate = api.namespace_gate.read();
    namespaces::check_open(api, spec, &namespace, meta::text(object, "name"))?;
    for _ in 0..ATTEMPTS {
        if generated {
            generate_name(object);
        }
        let key = Key::new(&namespace, meta::text(object, "name"));
        match collection.insert(key, &resource.encode(object)) {
            Ok(stored) => return Ok(stored),
            Err(_) if generated => {}
            Err(_) => break,
        }
    }
    let name = meta::text(object, "name");
    Err(if generated {
        Status::generated_name_conflict(spec, name)
    } else {
        Status::already_exists(spec, name)
    })
}

fn prepare(api: &Api, resource: &Resource, object: &mut Value) -> Result<(), Status> {
    let spec = &resource.spec;
    if !matches!(meta::text(object, "resourceVersion"), "" | "0") {
        return Err(Status::failure(
            "resourceVersion should not be set on objects to be created",
        ));
    }
    fill_metadata(object);
    match &resource.custom {
        Some(custom) => {
            strategy::prepare_custom_for_create(object, custom.has_status);
            custom.apply_defaults(object);
        }
        None => {
            defaults::apply(&spec.group, &spec.kind, object);
            admission::admit_create(api, resource, object)?;
            strategy::prepare_for_create(&spec.group, &spec.kind, object);
        }
    }
    if spec.is("apiextensions.k8s.io", "customresourcedefinitions") {
        custom_definitions::prepare_for_create(object);
    }
    // A generated name can only be judged by its prefix, which validation does when there is no name yet.
    let mut errors = validation::create(&spec.group, &spec.kind, object);
    errors.extend(
        resource
            .custom
            .iter()
            .flat_map(|custom| custom.validate(object, None)),
    );
    if errors.is_empty() {
        return Ok(());
    }
    admission::abandon(api, resource, object);
    Err(Status::invalid(spec, meta::text(object, "name"), &errors))
}

/// Sets what only the server may set.
fn fill_metadata(object: &mut Value) {
    let removed = [
        "resourceVersion",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "selfLink",
        "managedFields",
    ];
    for key in removed {
        meta::set(object, key, Value::Null);
    }
    meta::set(object, "uid", uuid::Uuid::new_v4().to_string());
    meta::set(object, "creationTimestamp", meta::now());
}

fn generate_name(object: &mut Value) {
    let prefix = meta::text(object, "generateName");
    let end = prefix
        .char_indices()
        .nth(MAX_PREFIX)
        .map_or(prefix.len(), |(index, _)| index);
    let mut name = prefix.get(..end).unwrap_or_default().to_owned();
    name.push_str(&random_suffix());
    meta::set(object, "name", name);
}

/// Five random characters as names of controlled objects end in.
fn random_suffix() -> String {
    let mut random = rand::rng();
    let pick = |_| {
        ALPHABET
            .get(random.random_range(0..ALPHABET.len()))
            .copied()
            .map_or('b', char::from)
    };
    (0..SUFFIX).map(pick).collect()
}

fn after_create(api: &Api, resource: &Arc<Resource>, stored: &Stored) {
    let known = api.registry.known();
    if Arc::ptr_eq(resource, &known.namespaces) {
        namespaces::furnish(api, &stored.key().name);
    } else if Arc::ptr_eq(resource, &known.custom_definitions) {
        custom_definitions::establish(api, &stored.key().name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn generated_names_fit_and_avoid_confusing_characters() {
        let long = "x".repeat(80);
        let mut object = json!({"metadata": {"generateName": long}});
        generate_name(&mut object);
        let name = meta::text(&object, "name");
        assert_eq!(name.len(), 63);
        assert!(name[58..].bytes().all(|byte| ALPHABET.contains(&byte)));
    }
}
