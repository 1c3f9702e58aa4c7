//! The life of namespaces: what belongs in each, when objects may be created in one, and
//! what keeps one from going. Emptying them is the business of `cleanup`.

use serde_json::{Value, json};

use crate::api::Api;
use crate::create;
use crate::decode;
use crate::meta;
use crate::object::Key;
use crate::request::Request;
use crate::resource::{Resource, ResourceSpec};
use crate::respond::Response;
use crate::status::Status;
use crate::update::{self, Part};

/// Namespaces that always exist.
pub(crate) const SYSTEM: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];

/// Namespaces that cannot be deleted.
const IMMORTAL: [&str; 3] = ["default", "kube-system", "kube-public"];

/// The finalizer of `spec.finalizers` that is dropped once a namespace is empty.
pub(crate) const FINALIZER: &str = "kubernetes";
pub(crate) const ROOT_CA: &str = "kube-root-ca.crt";

/// Whether an object may be created in a namespace.
pub(crate) fn check_open(api: &Api, spec: &ResourceSpec, namespace: &str, name: &str) -> Result<(), Status> {
    if namespace.is_empty() {
        return Ok(());
    }
    let namespaces = &api.registry.known().namespaces;
    let stored = update::existing(namespaces, &Key::new("", namespace))?;
    if !stored.deleting() {
        return Ok(());
    }
    let why = format!("unable to create new content in namespace {namespace} because it is being terminated");
    let cause = format!("namespace {namespace} is being terminated");
    Err(Status::forbidden(spec, name, &why).with_cause("NamespaceTerminating", "metadata.namespace", cause))
}

/// Whether an object may be deleted; all but a few namespaces may.
pub(crate) fn check_mortal(spec: &ResourceSpec, name: &str) -> Result<(), Status> {
    if spec.is("", "namespaces") && IMMORTAL.contains(&name) {
        return Err(Status::forbidden(spec, name, "this namespace may not be deleted"));
    }
    Ok(())
}

/// Whether a namespace still has to be finalised; never true for other types.
pub(crate) fn is_held(resource: &Resource, object: &Value) -> bool {
    let finalizers = object.pointer("/spec/finalizers").and_then(Value::as_array);
    resource.spec.is("", "namespaces") && finalizers.is_some_and(|finalizers| !finalizers.is_empty())
}

/// Shows that a namespace is going.
pub(crate) fn set_terminating(namespace: &mut Value) {
    namespace["status"]["phase"] = "Terminating".into();
}

/// Puts into a namespace what every namespace has.
pub(crate) fn furnish(api: &Api, namespace: &str) {
    let known = api.registry.known();
    let service_account = json!({"metadata": {"name": "default", "namespace": namespace}});
    let root_ca = json!({
        "metadata": {"name": ROOT_CA, "namespace": namespace, "annotations": {
            "kubernetes.io/description": "Contains a CA bundle that can be used to verify the kube-apiserver when using \
             internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed \
             across distributions of Kubernetes clusters.",
        }},
        "data": {"ca.crt": api.ca_pem},
    });
    for (resource, object) in [
        (&known.service_accounts, service_account),
        (&known.config_maps, root_ca),
    ] {
        match create::insert(api, resource, object) {
            Err(status) if !matches!(status.code(), 403 | 404 | 409) => {
                tracing::warn!(namespace, error = %status, "could not furnish a namespace");
            }
            _ => {}
        }
    }
}

/// PUT of the `finalize` subresource: only `spec.finalizers` changes.
pub(crate) fn finalize(api: &Api, request: &Request<'_>) -> Result<Response, Status> {
    let wanted = decode::object(request)?;
    let finalizers = wanted.pointer("/spec/finalizers").cloned().unwrap_or_default();
    let version = meta::metadata(&wanted)
        .and_then(|metadata| metadata.get("resourceVersion"))
        .cloned();
    let updated = update::change(
        api,
        &request.resource,
        &request.key(),
        Part::Everything,
        request.dry_run()?,
        |old| {
            let mut new = old.clone();
            new["spec"]["finalizers"] = finalizers.clone();
            if let Some(version) = &version {
                meta::set(&mut new, "resourceVersion", version.clone());
            }
            Ok(new)
        },
    )?;
    update::answer(request, updated)
}
