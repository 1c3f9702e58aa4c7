//! The requests that the agent makes.
//!
//! Owns paths and bodies; which request is made when, and what a failure means, is the
//! callers'. Nothing is retried here.

use bytes::Bytes;
use http::Method;
use http::header::{ACCEPT, CONTENT_TYPE};
use serde_json::{Value, json};
use windlass_cluster::client::ApiClient;
use windlass_core::api_error::{ApiError, ApiErrorKind};
use windlass_core::key::ObjectKey;

use crate::node::LEASE_NAMESPACE;

const JSON: &str = "application/json";
const MERGE: &str = "application/merge-patch+json";
const STRATEGIC_MERGE: &str = "application/strategic-merge-patch+json";

/// The part of the Kubernetes API that a node agent uses.
#[derive(Clone)]
pub(crate) struct Api {
    client: ApiClient,
}

impl Api {
    pub(crate) fn new(client: ApiClient) -> Self {
        Self { client }
    }

    pub(crate) async fn create_node(&self, node: &Value) -> Result<Bytes, ApiError> {
        self.send(Method::POST, "/api/v1/nodes", JSON, to_bytes(node))
            .await
    }

    pub(crate) async fn get_node(&self, name: &str) -> Result<Bytes, ApiError> {
        self.client.get(&format!("/api/v1/nodes/{name}"), JSON).await
    }

    pub(crate) async fn patch_node_status(&self, name: &str, patch: &Value) -> Result<Bytes, ApiError> {
        self.send(
            Method::PATCH,
            &format!("/api/v1/nodes/{name}/status"),
            STRATEGIC_MERGE,
            to_bytes(patch),
        )
        .await
    }

    pub(crate) async fn patch_lease(&self, name: &str, patch: &Value) -> Result<Bytes, ApiError> {
        self.send(
            Method::PATCH,
            &format!("{}/{name}", lease_path()),
            MERGE,
            to_bytes(patch),
        )
        .await
    }

    pub(crate) async fn create_lease(&self, lease: &Value) -> Result<Bytes, ApiError> {
        self.send(Method::POST, &lease_path(), JSON, to_bytes(lease))
            .await
    }

    pub(crate) async fn patch_pod_status(&self, key: &ObjectKey, patch: Bytes) -> Result<Bytes, ApiError> {
        self.send(
            Method::PATCH,
            &format!("{}/status", pod_path(key)),
            STRATEGIC_MERGE,
            patch,
        )
        .await
    }

    /// Removes a pod at once, if it is still the one with this UID.
    pub(crate) async fn delete_pod(&self, key: &ObjectKey, uid: &str) -> Result<Bytes, ApiError> {
        let options = json!({
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "gracePeriodSeconds": 0,
            "preconditions": { "uid": uid },
        });
        self.send(Method::DELETE, &pod_path(key), JSON, to_bytes(&options))
            .await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        body: Bytes,
    ) -> Result<Bytes, ApiError> {
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header(CONTENT_TYPE, content_type)
            .header(ACCEPT, JSON)
            .body(body)
            .map_err(|error| ApiError::local(ApiErrorKind::BadRequest, format!("{path}: {error}")))?;
        self.client.request(request).await
    }
}

fn pod_path(key: &ObjectKey) -> String {
    format!("/api/v1/namespaces/{}/pods/{}", key.namespace, key.name)
}

fn lease_path() -> String {
    format!("/apis/coordination.k8s.io/v1/namespaces/{LEASE_NAMESPACE}/leases")
}

fn to_bytes(value: &Value) -> Bytes {
    value.to_string().into()
}

/// Whether trying the same again cannot help.
pub(crate) fn is_final(error: &ApiError) -> bool {
    matches!(
        error.kind,
        ApiErrorKind::NotFound | ApiErrorKind::Invalid | ApiErrorKind::BadRequest
    )
}
