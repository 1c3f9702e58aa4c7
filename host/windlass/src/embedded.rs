//! The embedded cluster: API server, simulated nodes and the stand-ins for controllers
//! that Windlass has no guest for, in one process.
//!
//! The parts talk to the server through its request chain without a socket in between;
//! clients outside find it through the kubeconfig. Started and stopped in one function each.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use http::HeaderValue;
use http::header::AUTHORIZATION;
use tower::ServiceExt;
use windlass_apiserver::{Scheme, ServerConfig, ServerHandle};
use windlass_cluster::client::ApiClient;
use windlass_kubelet::agent::{AgentHandle, NodeAgent};
use windlass_kubelet::config::AgentConfig;
use windlass_kubelet::pod_gc::{PodGc, PodGcHandle};
use windlass_manager::host::Platform;

use crate::args::ClusterArgs;

/// A running embedded cluster.
pub(crate) struct Cluster {
    pub(crate) server: ServerHandle,
    pub(crate) platform: Platform,
    agent: AgentHandle,
    pod_gc: PodGcHandle,
}

impl Cluster {
    /// Starts the server, writes the kubeconfig, registers the nodes.
    pub(crate) async fn start(args: &ClusterArgs, kubeconfig: &Path) -> anyhow::Result<Self> {
        let config = ServerConfig {
            https: Some(args.listen),
            http: Some(args.listen_http),
            ..ServerConfig::default()
        };
        let server = windlass_apiserver::start(config)
            .await
            .context("cannot start the API server")?;
        server
            .write_kubeconfig(kubeconfig, Scheme::Https)
            .with_context(|| {
                format!(
                    "cannot write {}; name another file with --kubeconfig",
                    kubeconfig.display()
                )
            })?;
        let platform = Platform::start(in_process_client(&server)?, "windlass").await?;
        let mut agent_config = AgentConfig::with_nodes(args.nodes);
        agent_config.latencies.creating_to_running = args.pod_start_latency;
        agent_config.latencies.termination = args.pod_stop_latency;
        let events = platform.recorder.sink("kubelet");
        let agent =
            NodeAgent::start(&platform.client, &platform.informers, Some(events), agent_config).await?;
        let pod_gc = PodGc::start(&platform.client, &platform.informers, args.pod_gc_quarantine)?;
        Ok(Self {
            server,
            platform,
            agent,
            pod_gc,
        })
    }

    /// Where clients find it.
    pub(crate) fn address(&self) -> String {
        self.server.url(Scheme::Https).unwrap_or_default()
    }

    /// Stops everything, clients of the server first.
    pub(crate) async fn stop(self, grace: Duration) {
        self.agent.stop().await;
        self.pod_gc.stop().await;
        self.platform.stop(grace).await;
        self.server.shutdown().await;
    }
}

fn in_process_client(server: &ServerHandle) -> anyhow::Result<ApiClient> {
    let bearer = HeaderValue::from_str(&format!("Bearer {}", server.token()))
        .context("the token is no header value")?;
    let service = server
        .service()
        .map_request(move |mut request: http::Request<_>| {
            request.headers_mut().insert(AUTHORIZATION, bearer.clone());
            request
        });
    Ok(ApiClient::from_service(
        service,
        concat!("windlass/", env!("CARGO_PKG_VERSION")),
    ))
}
