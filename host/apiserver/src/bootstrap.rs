//! What a new cluster contains: system namespaces, priority classes, the
//! `default/kubernetes` service.

use serde_json::{Value, json};

use crate::api::Api;
use crate::create;
use crate::namespaces;
use crate::resource::Resource;
use crate::status::Status;
use std::sync::Arc;

/// Creates it.
pub(crate) fn populate(api: &Api, port: u16) -> Result<(), Status> {
    let known = api.registry.known();
    for name in namespaces::SYSTEM {
        ensure(api, &known.namespaces, json!({"metadata": {"name": name}}))?;
    }
    for (name, value, description) in [
        (
            "system-cluster-critical",
            2_000_000_000,
            "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
        ),
        (
            "system-node-critical",
            2_000_001_000,
            "Used for system critical pods that must not be moved from their current node.",
        ),
    ] {
        let class = json!({"metadata": {"name": name}, "value": value, "description": description});
        ensure(api, &known.priority_classes, class)?;
    }
    ensure(api, &known.services, kubernetes_service(port))
}

fn ensure(api: &Api, resource: &Arc<Resource>, mut object: Value) -> Result<(), Status> {
    object["apiVersion"] = resource.spec.api_version().as_str().into();
    object["kind"] = resource.spec.kind.as_str().into();
    match create::insert(api, resource, object) {
        Err(status) if status.code() != 409 => Err(status),
        _ => Ok(()),
    }
}

/// The service by which pods would reach the server; it has no endpoints of its own.
fn kubernetes_service(port: u16) -> Value {
    json!({
        "metadata": {
            "name": "kubernetes", "namespace": "default", "labels": {"component": "apiserver", "provider": "kubernetes"},
        },
        "spec": {
            "type": "ClusterIP", "clusterIP": "10.96.0.1", "sessionAffinity": "None",
            "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": port}],
        },
    })
}
