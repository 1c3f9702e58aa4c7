//! Changing objects: PUT and PATCH, on the object or on its status, all through one
//! compare-and-swap loop.

use std::sync::Arc;

use http::StatusCode;
use serde_json::Value;

use crate::api::Api;
use crate::create;
use crate::decode;
use crate::delete;
use crate::meta;
use crate::object::{Key, Stored};
use crate::patch;
use crate::request::{Request, Verb};
use crate::resource::{Resource, Subresource};
use crate::respond::{self, Response};
use crate::scale;
use crate::status::Status;
use crate::types::{defaults, strategy, validation};

/// Which part of an object an update may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// All but the status.
    Main,
    /// The status.
    Status,
    /// Both: only the server itself writes so.
    Everything,
}

/// What came of an update.
#[derive(Debug)]
pub(crate) enum Updated {
    /// Stored, or found to be stored already.
    Stored(Arc<Stored>),
    /// Not stored because nothing is to be; what it would look like.
    Unstored(Value),
}

/// PUT and PATCH of an object or a subresource.
pub(crate) fn handle(api: &Api, request: &Request<'_>) -> Result<Response, Status> {
    let part = match request.resource.subresource(request.path.subresource) {
        Some(Subresource::Scale) => return scale::update(api, request),
        Some(Subresource::Finalize) => return crate::namespaces::finalize(api, request),
        Some(Subresource::Status) => Part::Status,
        _ => Part::Main,
    };
    let dry_run = request.dry_run()?;
    let updated = match request.verb {
        Verb::Patch => patch::apply(api, request, part, dry_run)?,
        _ => match replace(api, request, part, dry_run) {
            Err(status)
                if status.code() == 404 && part == Part::Main && creates_on_update(request) && !dry_run =>
            {
                let stored = create::insert(api, &request.resource, decode::object(request)?)?;
                return respond::object(request, StatusCode::CREATED, &stored);
            }
            updated => updated?,
        },
    };
    answer(request, updated)
}

fn creates_on_update(request: &Request<'_>) -> bool {
    let spec = request.spec();
    request.resource.custom.is_none() && strategy::allow_create_on_update(&spec.group, &spec.kind)
}

pub(crate) fn answer(request: &Request<'_>, updated: Updated) -> Result<Response, Status> {
    match updated {
        Updated::Stored(stored) => respond::object(request, StatusCode::OK, &stored),
        Updated::Unstored(object) => Ok(respond::unstored(StatusCode::OK, &request.resource, object)),
    }
}

fn replace(api: &Api, request: &Request<'_>, part: Part, dry_run: bool) -> Result<Updated, Status> {
    let object = decode::object(request)?;
    let spec = request.spec();
    let unconditional =
        request.resource.custom.is_none() && strategy::allow_unconditional_update(&spec.group, &spec.kind);
    if matches!(meta::text(&object, "resourceVersion"), "" | "0") && !unconditional {
        // A missing object is reported first: only then may a missing version matter.
        existing(&request.resource, &request.key())?;
        let message = "Invalid value: 0: must be specified for an update";
        let field = "metadata.resourceVersion";
        return Err(Status::invalid_field(
            spec,
            &request.path.name,
            "FieldValueInvalid",
            field,
            message,
        ));
    }
    change(api, &request.resource, &request.key(), part, dry_run, |_| {
        Ok(object.clone())
    })
}

/// The object as stored, or 404.
pub(crate) fn existing(resource: &Resource, key: &Key) -> Result<Arc<Stored>, Status> {
    let stored = resource.collection().and_then(|collection| collection.get(key));
    stored.ok_or_else(|| Status::not_found(&resource.spec, &key.name))
}

/// Computes a new state from the present one and stores it, again if another write came first.
pub(crate) fn change(
    api: &Api,
    resource: &Arc<Resource>,
    key: &Key,
    part: Part,
    dry_run: bool,
    mut mutate: impl FnMut(&Value) -> Result<Value, Status>,
) -> Result<Updated, Status> {
    let collection = resource.collection().ok_or_else(Status::method_not_allowed)?;
    loop {
        let stored = existing(resource, key)?;
        let old = resource.value(&stored);
        let mut new = mutate(&old)?;
        reconcile_metadata(resource, &stored, &old, &mut new)?;
        prepare(resource, part, &mut new, &old)?;
        let draft = resource.encode(&new);
        if dry_run {
            return Ok(Updated::Unstored(new));
        }
        if draft.is_same_as(&stored) {
            return Ok(Updated::Stored(stored));
        }
        if delete::is_due(resource, &new) {
            match delete::remove(api, resource, &stored) {
                Some(removed) => return Ok(Updated::Stored(removed)),
                None => continue,
            }
        }
        if let Ok(stored) = collection.replace(key, stored.revision(), &draft) {
            after_update(api, resource, &stored);
            return Ok(Updated::Stored(stored));
        }
    }
}

fn after_update(api: &Api, resource: &Arc<Resource>, stored: &Stored) {
    if Arc::ptr_eq(resource, &api.registry.known().custom_definitions) {
        crate::custom_definitions::establish(api, &stored.key().name);
    }
}

/// Checks the preconditions that a body carries and keeps what only the server may set.
fn reconcile_metadata(
    resource: &Resource,
    stored: &Stored,
    old: &Value,
    new: &mut Value,
) -> Result<(), Status> {
    let (spec, name) = (&resource.spec, stored.key().name.as_str());
    let version = meta::text(new, "resourceVersion");
    if !matches!(version, "" | "0") && version.parse() != Ok(stored.revision()) {
        return Err(Status::modified(spec, name));
    }
    let uid = meta::text(new, "uid");
    if !uid.is_empty() && uid != stored.uid() {
        let why = format!(
            "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
            stored.uid()
        );
        return Err(Status::conflict(spec, name, &why));
    }
    for field in ["name", "namespace"] {
        if meta::text(new, field) != meta::text(old, field) {
            let message = format!(
                "Invalid value: \"{}\": field is immutable",
                meta::text(new, field)
            );
            let path = format!("metadata.{field}");
            return Err(Status::invalid_field(
                spec,
                name,
                "FieldValueInvalid",
                &path,
                &message,
            ));
        }
    }
    let kept = [
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
        "selfLink",
    ];
    let old = meta::metadata(old);
    for field in kept {
        meta::set(
            new,
            field,
            old.and_then(|old| old.get(field)).cloned().unwrap_or_default(),
        );
    }
    meta::set(new, "resourceVersion", stored.revision().to_string());
    Ok(())
}

fn prepare(resource: &Resource, part: Part, new: &mut Value, old: &Value) -> Result<(), Status> {
    let spec = &resource.spec;
    let (group, kind) = (spec.group.as_str(), spec.kind.as_str());
    match (&resource.custom, part) {
        (_, Part::Everything) => return Ok(()),
        (Some(custom), Part::Main) => {
            custom.apply_defaults(new);
            strategy::prepare_custom_for_update(new, old, custom.has_status);
        }
        (Some(custom), Part::Status) => {
            strategy::prepare_custom_for_status_update(new, old);
            custom.apply_defaults(new);
        }
        (None, Part::Main) => {
            defaults::apply(group, kind, new);
            strategy::prepare_for_update(group, kind, new, old);
        }
        (None, Part::Status) => {
            defaults::apply(group, kind, new);
            strategy::prepare_for_status_update(group, kind, new, old);
        }
    }
    let mut errors = validation::update(group, kind, new, old);
    errors.extend(
        resource
            .custom
            .iter()
            .flat_map(|custom| custom.validate(new, Some(old))),
    );
    if spec.is("apiextensions.k8s.io", "customresourcedefinitions") {
        crate::custom_definitions::prepare_for_update(new);
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Status::invalid(spec, meta::text(new, "name"), &errors))
    }
}
