//! Leases as requests and JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http::header::{ACCEPT, CONTENT_TYPE};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use windlass_core::api_error::{ApiError, ApiErrorKind};
use windlass_core::key::{ObjectKey, Resource};
use windlass_core::lease::group::GROUP_LABEL;
use windlass_core::lease::record::{LeaseRecord, MicroTime, ObservedLease};

use crate::client::ApiClient;
use crate::url::{self, Name};

const JSON: &str = "application/json";
const API_VERSION: &str = "coordination.k8s.io/v1";

/// The Leases of one group.
pub(super) struct Leases {
    client: ApiClient,
    resource: Resource,
    pub(super) namespace: SmolStr,
    group: SmolStr,
    time_limit: Duration,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct WireLease {
    #[serde(skip_deserializing)]
    api_version: &'static str,
    #[serde(skip_deserializing)]
    kind: &'static str,
    metadata: WireMeta,
    spec: WireSpec,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct WireMeta {
    name: SmolStr,
    namespace: SmolStr,
    #[serde(skip_serializing_if = "SmolStr::is_empty")]
    resource_version: SmolStr,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct WireSpec {
    holder_identity: Option<SmolStr>,
    lease_duration_seconds: Option<i32>,
    acquire_time: Option<String>,
    renew_time: Option<String>,
    lease_transitions: Option<i32>,
}

#[derive(Deserialize)]
struct WireList {
    items: Vec<WireLease>,
}

impl Leases {
    pub(super) fn new(client: ApiClient, namespace: SmolStr, group: SmolStr, time_limit: Duration) -> Self {
        Self {
            client,
            resource: Resource::new("coordination.k8s.io", "v1", "leases"),
            namespace,
            group,
            time_limit,
        }
    }

    /// All of the group, as of one revision: no pages, and from the store.
    pub(super) async fn list(&self) -> Result<Vec<ObservedLease>, ApiError> {
        let mut path = self.path("", Name::Forbidden)?;
        url::push_query(
            &mut path,
            "labelSelector",
            &format!("{GROUP_LABEL}={}", self.group),
        );
        let list: WireList = self.call(Method::GET, &path, Bytes::new()).await?;
        Ok(list.items.into_iter().map(WireLease::observed).collect())
    }

    pub(super) async fn get(&self, name: &str) -> Result<ObservedLease, ApiError> {
        let path = self.path(name, Name::Required)?;
        self.lease(Method::GET, &path, Bytes::new()).await
    }

    pub(super) async fn create(&self, lease: ObservedLease) -> Result<ObservedLease, ApiError> {
        let path = self.path("", Name::Forbidden)?;
        self.lease(Method::POST, &path, self.encode(lease)?).await
    }

    pub(super) async fn update(&self, lease: ObservedLease) -> Result<ObservedLease, ApiError> {
        let path = self.path(&lease.name, Name::Required)?;
        self.lease(Method::PUT, &path, self.encode(lease)?).await
    }

    pub(super) async fn delete(&self, name: &str, resource_version: &str) -> Result<(), ApiError> {
        let path = self.path(name, Name::Required)?;
        let preconditions = serde_json::json!({ "resourceVersion": resource_version });
        let options = serde_json::json!({ "kind": "DeleteOptions", "apiVersion": "v1", "preconditions": preconditions });
        let body = Bytes::from(options.to_string());
        let _: serde::de::IgnoredAny = self.call(Method::DELETE, &path, body).await?;
        Ok(())
    }

    fn path(&self, name: &str, form: Name) -> Result<String, ApiError> {
        url::path(&self.resource, &ObjectKey::new(&self.namespace, name), "", form)
    }

    async fn lease(&self, method: Method, path: &str, body: Bytes) -> Result<ObservedLease, ApiError> {
        let lease: WireLease = self.call(method, path, body).await?;
        Ok(lease.observed())
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<T, ApiError> {
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header(ACCEPT, JSON)
            .header(CONTENT_TYPE, JSON)
            .body(body)
            .map_err(|error| ApiError::local(ApiErrorKind::BadRequest, error.to_string()))?;
        let answer = tokio::time::timeout(self.time_limit, self.client.request(request)).await;
        let body = answer.map_err(|_| self.timed_out())??;
        serde_json::from_slice(&body).map_err(|error| {
            ApiError::local(
                ApiErrorKind::Other,
                format!("the answer is not what was asked for: {error}"),
            )
        })
    }

    fn timed_out(&self) -> ApiError {
        let address = self.client.address();
        let message = format!("no answer from {address} within {:?}", self.time_limit);
        ApiError::local(ApiErrorKind::Timeout, message)
    }

    fn encode(&self, lease: ObservedLease) -> Result<Bytes, ApiError> {
        let record = lease.record;
        let lease = WireLease {
            api_version: API_VERSION,
            kind: "Lease",
            metadata: WireMeta {
                name: lease.name,
                namespace: self.namespace.clone(),
                resource_version: lease.resource_version,
                labels: lease.labels,
                annotations: lease.annotations,
            },
            spec: WireSpec {
                holder_identity: Some(record.holder),
                lease_duration_seconds: Some(record.duration_seconds),
                acquire_time: record.acquire_time.map(format_time),
                renew_time: record.renew_time.map(format_time),
                lease_transitions: Some(record.transitions),
            },
        };
        serde_json::to_vec(&lease)
            .map(Bytes::from)
            .map_err(|error| ApiError::local(ApiErrorKind::BadRequest, error.to_string()))
    }
}

impl WireLease {
    fn observed(self) -> ObservedLease {
        ObservedLease {
            name: self.metadata.name,
            resource_version: self.metadata.resource_version,
            record: LeaseRecord {
                holder: self.spec.holder_identity.unwrap_or_default(),
                duration_seconds: self.spec.lease_duration_seconds.unwrap_or_default(),
                acquire_time: self.spec.acquire_time.as_deref().and_then(parse_time),
                renew_time: self.spec.renew_time.as_deref().and_then(parse_time),
                transitions: self.spec.lease_transitions.unwrap_or_default(),
            },
            labels: self.metadata.labels,
            annotations: self.metadata.annotations,
        }
    }
}

fn format_time(time: MicroTime) -> String {
    Timestamp::from_microsecond(time.0)
        .unwrap_or(Timestamp::UNIX_EPOCH)
        .strftime("%Y-%m-%dT%H:%M:%S%.6fZ")
        .to_string()
}

fn parse_time(text: &str) -> Option<MicroTime> {
    let time: Timestamp = text.parse().ok()?;
    Some(MicroTime(time.as_microsecond()))
}
