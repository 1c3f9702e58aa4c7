//! A server, an agent and a client in one process.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends where its expectations end"
)]

use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use serde_json::{Value, json};
use tower::ServiceExt;
use windlass_apiserver::{FaultPolicy, ServerConfig, ServerHandle};
use windlass_cluster::client::ApiClient;
use windlass_cluster::discovery::DiscoveryCache;
use windlass_cluster::reflector::ReflectorConfig;
use windlass_cluster::registry::InformerRegistry;
use windlass_core::api_error::{ApiError, ApiErrorKind};
use windlass_core::key::Resource;
use windlass_core::manifest::{EnqueueRule, EventKinds, View, WatchSpec, WatchTarget};
use windlass_core::seams::{DeltaBatch, DeltaKind};
use windlass_kubelet::agent::{AgentHandle, NodeAgent};
use windlass_kubelet::config::AgentConfig;
use windlass_kubelet::pod_gc::{PodGc, PodGcHandle};

/// How long anything may take before the test gives up.
const LIMIT: Duration = Duration::from_secs(60);

pub(crate) struct Bench {
    server: ServerHandle,
    client: ApiClient,
    informers: InformerRegistry,
    agent: Option<AgentHandle>,
}

impl Bench {
    pub(crate) async fn start(config: AgentConfig) -> Self {
        let server_config = ServerConfig {
            http: None,
            https: None,
            ..ServerConfig::default()
        };
        let server = windlass_apiserver::start(server_config).await.unwrap();
        let bearer = HeaderValue::from_str(&format!("Bearer {}", server.token())).unwrap();
        let service = server
            .service()
            .map_request(move |mut request: http::Request<_>| {
                request.headers_mut().insert(AUTHORIZATION, bearer.clone());
                request
            });
        let client = ApiClient::from_service(service, "tests");
        let discovery = std::sync::Arc::new(DiscoveryCache::new(client.clone()));
        let informers = InformerRegistry::new(client.clone(), discovery, ReflectorConfig::default());
        let mut bench = Self {
            server,
            client,
            informers,
            agent: None,
        };
        bench.start_agent(config).await;
        bench
    }

    pub(crate) async fn start_agent(&mut self, config: AgentConfig) {
        self.agent = Some(
            NodeAgent::start(&self.client, &self.informers, None, config)
                .await
                .unwrap(),
        );
    }

    pub(crate) fn start_pod_gc(&self, quarantine: Duration) -> PodGcHandle {
        PodGc::start(&self.client, &self.informers, quarantine).unwrap()
    }

    pub(crate) async fn stop_agent(&mut self) {
        if let Some(agent) = self.agent.take() {
            agent.stop().await;
        }
    }

    pub(crate) async fn stop(mut self) {
        self.stop_agent().await;
        self.informers.shut_down().await;
        self.server.shutdown().await;
    }

    pub(crate) fn set_faults(&self, policy: FaultPolicy) {
        self.server.set_faults(policy);
    }

    pub(crate) async fn try_get(&self, path: &str) -> Result<Value, ApiError> {
        let body = self.client.get(path, "application/json").await?;
        Ok(serde_json::from_slice(&body).unwrap())
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.try_get(path).await.unwrap()
    }

    async fn send(&self, method: &str, path: &str, content_type: &str, body: &Value) {
        let body = if body.is_null() {
            Bytes::new()
        } else {
            body.to_string().into()
        };
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header(CONTENT_TYPE, content_type)
            .body(body);
        self.client.request(request.unwrap()).await.unwrap();
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) {
        self.send("POST", path, "application/json", body).await;
    }

    pub(crate) async fn merge(&self, path: &str, patch: &Value) {
        self.send("PATCH", path, "application/merge-patch+json", patch)
            .await;
    }

    pub(crate) async fn strategic(&self, path: &str, patch: &Value) {
        self.send("PATCH", path, "application/strategic-merge-patch+json", patch)
            .await;
    }

    pub(crate) async fn delete(&self, path: &str) {
        self.send("DELETE", path, "application/json", &Value::Null).await;
    }

    /// Deletes a node and waits until the informers that the agent shares know it.
    pub(crate) async fn delete_node(&self, name: &str) {
        let watch = WatchSpec {
            target: WatchTarget::One(Resource::new("", "v1", "nodes")),
            label_selector: String::new(),
            view: View::Metadata,
            enqueue: EnqueueRule::None,
            on: EventKinds::ALL,
            observe: true,
            old_bodies: false,
            indexes: Vec::new(),
        };
        let mut nodes = self.informers.subscribe(&[watch]).unwrap();
        while !nodes.has_synced() {
            nodes.next().await;
        }
        self.delete(&format!("/api/v1/nodes/{name}")).await;
        let gone = |batches: &[DeltaBatch]| {
            let mut deltas = batches.iter().flat_map(|batch| &batch.deltas);
            deltas.any(|delta| delta.kind == DeltaKind::Deleted && delta.object.key().name == name)
        };
        while !gone(&nodes.next().await) {}
    }

    pub(crate) async fn create_pod(&self, pod: &Value) {
        self.post("/api/v1/namespaces/default/pods", pod).await;
    }

    pub(crate) async fn wait_for_pod(&self, name: &str, holds: impl Fn(&Value) -> bool) -> Value {
        self.wait_for(&format!("/api/v1/namespaces/default/pods/{name}"), holds)
            .await
    }

    /// Polls an object until it exists and this holds.
    pub(crate) async fn wait_for(&self, path: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        let wait = async {
            loop {
                match self.try_get(path).await {
                    Ok(object) if holds(&object) => return object,
                    Ok(object) => last = object,
                    Err(error) => assert_eq!(error.kind, ApiErrorKind::NotFound, "{error}"),
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        match tokio::time::timeout(LIMIT, wait).await {
            Ok(object) => object,
            Err(_) => panic!("{path} never became what was expected; last seen: {last:#}"),
        }
    }

    pub(crate) async fn wait_until_gone(&self, path: &str) {
        let wait = async {
            while self.try_get(path).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        assert!(
            tokio::time::timeout(LIMIT, wait).await.is_ok(),
            "{path} never went"
        );
    }
}

/// A pod of one server, bound to `node-0`.
pub(crate) fn pod(name: &str) -> Value {
    pod_with(name, json!({ "containers": [{ "name": "c", "image": "nginx" }] }))
}

/// A pod with this spec, bound to `node-0`.
pub(crate) fn pod_with(name: &str, spec: Value) -> Value {
    let mut pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": name, "namespace": "default" },
        "spec": { "nodeName": "node-0" },
    });
    if let (Some(target), Value::Object(spec)) = (pod["spec"].as_object_mut(), spec) {
        target.extend(spec);
    }
    pod
}
