//! Deleting objects: preconditions, grace, finalizers, propagation
//! (`staging/src/k8s.io/apiserver/pkg/registry/generic/registry/store.go`).

use std::sync::Arc;

use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::api::Api;
use crate::delete_options::{DeleteOptions, Propagation};
use crate::list::Selection;
use crate::meta;
use crate::namespaces;
use crate::object::{Key, Stored};
use crate::request::{Request, Verb};
use crate::resource::Resource;
use crate::respond::{self, Response};
use crate::status::Status;
use crate::types::strategy;
use crate::update;

const ORPHAN: &str = "orphan";
const FOREGROUND: &str = "foregroundDeletion";

/// What came of a deletion.
#[derive(Debug)]
pub(crate) enum Deleted {
    /// Gone; its last state.
    Removed(Arc<Stored>),
    /// Still there, marked.
    Marked(Arc<Stored>),
}

/// DELETE of an object or a collection.
pub(crate) fn handle(api: &Api, request: &Request<'_>) -> Result<Response, Status> {
    if request.verb == Verb::DeleteCollection {
        return delete_collection(api, request);
    }
    let options = DeleteOptions::of(request)?;
    if options.propagation.is_none() && request.spec().is("batch", "jobs") {
        let text = "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove \
                    them or set propagationPolicy=Orphan to suppress this warning";
        request.warn(std::iter::once(text.to_owned()));
    }
    let deleted = delete(api, &request.resource, &request.key(), &options)?;
    answer(request, &options, &deleted)
}

fn answer(request: &Request<'_>, options: &DeleteOptions, deleted: &Deleted) -> Result<Response, Status> {
    let spec = request.spec();
    match deleted {
        Deleted::Marked(stored) => {
            let code = if options.explicitly_not_orphaning {
                StatusCode::ACCEPTED
            } else {
                StatusCode::OK
            };
            respond::object(request, code, stored)
        }
        Deleted::Removed(stored) if returns_object(request) => {
            respond::object(request, StatusCode::OK, stored)
        }
        Deleted::Removed(stored) => {
            let mut details = json!({"name": stored.key().name.as_str(), "kind": spec.plural.as_str(), "uid": stored.uid()});
            if !spec.group.is_empty() {
                details["group"] = spec.group.as_str().into();
            }
            Ok(respond::success(StatusCode::OK, Some(details)))
        }
    }
}

/// Types whose deletion answers with the object even when it is gone.
fn returns_object(request: &Request<'_>) -> bool {
    const RETURNED: [&str; 8] = [
        "namespaces",
        "persistentvolumeclaims",
        "persistentvolumes",
        "pods",
        "podtemplates",
        "resourcequotas",
        "serviceaccounts",
        "services",
    ];
    request.spec().group.is_empty() && RETURNED.contains(&request.spec().plural.as_str())
}

/// Deletes an object, or marks it and leaves the rest to whoever holds it.
pub(crate) fn delete(
    api: &Api,
    resource: &Arc<Resource>,
    key: &Key,
    options: &DeleteOptions,
) -> Result<Deleted, Status> {
    let collection = resource.collection().ok_or_else(Status::method_not_allowed)?;
    namespaces::check_mortal(&resource.spec, &key.name)?;
    loop {
        let stored = update::existing(resource, key)?;
        options.check(resource, &stored)?;
        let mut object = stored.parse();
        let removable = mark(resource, &mut object, options);
        if options.dry_run {
            return Ok(if removable {
                Deleted::Removed(stored)
            } else {
                Deleted::Marked(stored)
            });
        }
        if removable {
            match remove(api, resource, &stored) {
                Some(removed) => return Ok(Deleted::Removed(removed)),
                None => continue,
            }
        }
        let draft = encode_stored(resource, &object);
        if draft.is_same_as(&stored) {
            return Ok(Deleted::Marked(stored));
        }
        let _closing = resource
            .spec
            .is("", "namespaces")
            .then(|| api.namespace_gate.write());
        if let Ok(stored) = collection.replace(key, stored.revision(), &draft) {
            api.cleanup.notify_one();
            return Ok(Deleted::Marked(stored));
        }
    }
}

/// Encodes what was read from the collection itself, whatever the resource shows.
fn encode_stored(resource: &Resource, object: &Value) -> crate::object::Draft {
    let fields = crate::types::selectors::fields(&resource.spec.group, &resource.spec.kind, object);
    crate::object::Draft::encode(&resource.head, object, fields)
}

/// Marks an object as the deletion asks; whether it can go at once.
fn mark(resource: &Resource, object: &mut Value, options: &DeleteOptions) -> bool {
    let was_deleting = meta::deleting(object);
    let grace = if resource.spec.is("", "pods") {
        pod_grace(object, options, was_deleting)
    } else {
        Grace::None
    };
    if grace == Grace::Pending {
        return false;
    }
    set_finalizers(resource, object, options);
    let held = !meta::finalizers(object).is_empty() || namespaces::is_held(resource, object);
    let seconds = if let Grace::Seconds(seconds) = grace {
        seconds
    } else {
        0
    };
    if !held && seconds == 0 {
        return true;
    }
    if !was_deleting {
        meta::advance_generation(object);
    }
    set_deletion(object, seconds, was_deleting);
    if resource.spec.is("", "namespaces") {
        namespaces::set_terminating(object);
    }
    false
}

/// How long a pod may take to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Grace {
    /// Not a graceful type.
    None,
    /// A deletion at least as urgent is under way.
    Pending,
    Seconds(i64),
}

fn pod_grace(pod: &Value, options: &DeleteOptions, deleting: bool) -> Grace {
    let text = |path: &str| pod.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let own = pod
        .pointer("/spec/terminationGracePeriodSeconds")
        .and_then(Value::as_i64)
        .unwrap_or_default();
    let idle = text("/spec/nodeName").is_empty() || matches!(text("/status/phase"), "Succeeded" | "Failed");
    let wanted = match options.grace.unwrap_or(own) {
        _ if idle => 0,
        negative if negative < 0 => 1,
        wanted => wanted,
    };
    match meta::number(pod, "deletionGracePeriodSeconds").unwrap_or_default() {
        _ if !deleting => Grace::Seconds(wanted),
        0 => Grace::Seconds(0),
        _ if options.grace.is_none() && !idle => Grace::Pending,
        present if wanted >= present => Grace::Pending,
        _ => Grace::Seconds(wanted),
    }
}

/// Writes deletion timestamp and grace, never moving the timestamp into the past.
fn set_deletion(object: &mut Value, seconds: i64, was_deleting: bool) {
    let now = Timestamp::now();
    let present = meta::number(object, "deletionGracePeriodSeconds").unwrap_or_default();
    let stamped: Option<Timestamp> = meta::text(object, "deletionTimestamp").parse().ok();
    let after = |time: Timestamp, seconds: i64| {
        time.saturating_add(SignedDuration::from_secs(seconds))
            .unwrap_or(time)
    };
    let (time, seconds) = match stamped {
        Some(stamped) if was_deleting && present > 0 => {
            let moved = after(stamped, seconds - present);
            if moved < now && seconds > 0 {
                (now, 1)
            } else {
                (moved.max(now), seconds)
            }
        }
        Some(stamped) if was_deleting => (stamped.min(now), 0),
        _ => (after(now, seconds), seconds),
    };
    meta::set(object, "deletionTimestamp", meta::rfc3339(time));
    meta::set(object, "deletionGracePeriodSeconds", seconds);
}

/// Adds or removes the garbage collector's finalizers as the propagation asks.
fn set_finalizers(resource: &Resource, object: &mut Value, options: &DeleteOptions) {
    if resource.spec.is("", "events") || resource.spec.is("events.k8s.io", "events") {
        return;
    }
    let present = meta::finalizers(object);
    let has = |finalizer: &str| present.contains(&finalizer);
    let (orphan, foreground) = match options.propagation {
        Some(policy) => (policy == Propagation::Orphan, policy == Propagation::Foreground),
        None if has(ORPHAN) || has(FOREGROUND) => (has(ORPHAN), has(FOREGROUND)),
        None => (
            strategy::default_orphans(&resource.spec.group, &resource.spec.kind),
            false,
        ),
    };
    let mut wanted: Vec<&str> = present
        .iter()
        .copied()
        .filter(|name| !matches!(*name, ORPHAN | FOREGROUND))
        .collect();
    if orphan {
        wanted.push(ORPHAN);
    }
    if foreground {
        wanted.push(FOREGROUND);
    }
    if wanted != present {
        let list = if wanted.is_empty() {
            Value::Null
        } else {
            json!(wanted)
        };
        meta::set(object, "finalizers", list);
    }
}

/// Whether an updated object has nothing left that keeps it from going.
pub(crate) fn is_due(resource: &Resource, object: &Value) -> bool {
    meta::deleting(object)
        && meta::finalizers(object).is_empty()
        && meta::number(object, "deletionGracePeriodSeconds").unwrap_or_default() == 0
        && !namespaces::is_held(resource, object)
}

/// Removes an object from its collection and lets go of what belonged to it; `None` if it
/// changed meanwhile.
pub(crate) fn remove(api: &Api, resource: &Arc<Resource>, stored: &Stored) -> Option<Arc<Stored>> {
    let removed = resource
        .collection()?
        .remove(stored.key(), stored.revision())
        .ok()?;
    let known = api.registry.known();
    if Arc::ptr_eq(resource, &known.services) {
        api.addresses.release(&removed.parse());
    } else if Arc::ptr_eq(resource, &known.custom_definitions) {
        crate::custom_definitions::withdraw(api, &removed.parse());
    }
    api.cleanup.notify_one();
    Some(removed)
}

fn delete_collection(api: &Api, request: &Request<'_>) -> Result<Response, Status> {
    let options = DeleteOptions::of(request)?;
    let selection = Selection::of(request)?;
    let collection = request
        .resource
        .collection()
        .ok_or_else(Status::method_not_allowed)?;
    let (items, revision) = collection.list(request.scope(), &|stored| selection.matches(stored));
    for item in &items {
        match delete(api, &request.resource, item.key(), &options) {
            Err(status) if status.code() != 404 => return Err(status),
            _ => {}
        }
    }
    let items = items.iter().map(|item| request.resource.body(item)).collect();
    let head = crate::list::head(request.spec(), revision, "", None);
    Ok(respond::json_body(
        StatusCode::OK,
        crate::body::Body::list(head, items),
    ))
}
