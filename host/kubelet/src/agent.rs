//! Starting and stopping the agent: registers the nodes, then runs the sync loop.

use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, StreamExt, TryStreamExt};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use windlass_cluster::client::ApiClient;
use windlass_cluster::registry::{InformerRegistry, SubscribeError};
use windlass_core::api_error::{ApiError, ApiErrorKind};
use windlass_core::seams::EventSink;

use crate::api::{Api, is_final};
use crate::config::{AgentConfig, NodeTemplate};
use crate::node::{NodeFacts, Registration, node_object};
use crate::node_table::{ConfigError, NodeTable};
use crate::sync_loop::SyncLoop;
use crate::time::Clock;
use crate::watches::agent_watches;

const REGISTER_RETRY_INITIAL: Duration = Duration::from_millis(100);
const REGISTER_RETRY_MAX: Duration = Duration::from_secs(7);
const REGISTRATIONS_IN_FLIGHT: usize = 64;

/// Why an agent did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration cannot be served.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The API server does not take a node, and asking again would not help.
    #[error("node {node:?} cannot be registered: {error}")]
    Register {
        /// The node.
        node: String,
        /// What the server says.
        error: ApiError,
    },
    /// Pods and nodes cannot be watched.
    #[error(transparent)]
    Subscribe(#[from] SubscribeError),
    /// The API server answers with something that is not a Node.
    #[error("the API server's answer about node {node:?} is not a Node: {error}")]
    NotANode {
        /// The node.
        node: String,
        /// What is wrong with it.
        error: serde_json::Error,
    },
}

/// The node agent.
#[derive(Debug)]
pub struct NodeAgent;

/// A running agent. Dropping it stops the agent at once; [`AgentHandle::stop`] lets the
/// writes in flight end.
#[derive(Debug)]
pub struct AgentHandle {
    shutdown: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl NodeAgent {
    /// Registers the nodes and starts serving their pods. Returns once all nodes are
    /// registered; a server that is not there yet is waited for.
    ///
    /// Pods and nodes are watched through `informers`. Events of pods go to `events`, if
    /// given.
    ///
    /// # Errors
    /// When the configuration contradicts itself or the server refuses a node.
    pub async fn start(
        client: &ApiClient,
        informers: &InformerRegistry,
        events: Option<Arc<dyn EventSink>>,
        config: AgentConfig,
    ) -> Result<AgentHandle, StartError> {
        let clock = Clock::start();
        let api = Api::new(client.clone());
        let mut nodes = NodeTable::new(&config)?;
        register(&api, &mut nodes, &config, &clock).await?;
        tracing::info!(nodes = nodes.len(), "nodes registered");
        let subscription = informers.subscribe(&agent_watches())?;
        let sync_loop = SyncLoop::new(api, config, clock, nodes, events);
        let (shutdown, stopped) = oneshot::channel();
        let task = tokio::spawn(sync_loop.run(subscription, stopped));
        Ok(AgentHandle {
            shutdown: Some(shutdown),
            task,
        })
    }
}

impl AgentHandle {
    /// Stops the agent: starts no more writes and lets those in flight end. The nodes
    /// stay registered.
    pub async fn stop(mut self) {
        if let Some(shutdown) = self.shutdown.take() {
            // The receiver is gone only if the loop has ended already.
            let _ = shutdown.send(());
        }
        if let Err(error) = (&mut self.task).await {
            tracing::error!(%error, "node agent ended abnormally");
        }
    }
}

impl Drop for AgentHandle {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn register(
    api: &Api,
    nodes: &mut NodeTable,
    config: &AgentConfig,
    clock: &Clock,
) -> Result<(), StartError> {
    let now = clock.now();
    let registrations: Vec<_> = (0..nodes.len())
        .filter_map(|index| {
            let node = nodes.get(index)?;
            Some((index, node.template.clone(), node.registration(config, now)))
        })
        .collect();
    let mut registered = stream::iter(registrations)
        .map(|(index, template, registration)| {
            let api = api.clone();
            async move {
                register_node(&api, &template, &registration)
                    .await
                    .map(|facts| (index, facts))
            }
        })
        .buffer_unordered(REGISTRATIONS_IN_FLIGHT);
    while let Some((index, facts)) = registered.try_next().await? {
        nodes.found(index, facts);
    }
    Ok(())
}

/// Creates a node, or takes over one that exists, for as long as it takes.
async fn register_node(
    api: &Api,
    template: &NodeTemplate,
    registration: &Registration,
) -> Result<NodeFacts, StartError> {
    let node = template.name.clone();
    let object = node_object(template, registration);
    let mut delay = REGISTER_RETRY_INITIAL;
    loop {
        let answer = match api.create_node(&object).await {
            Err(error) if error.kind == ApiErrorKind::AlreadyExists => api.get_node(&node).await,
            answer => answer,
        };
        match answer {
            Ok(body) => return NodeFacts::parse(&body).map_err(|error| StartError::NotANode { node, error }),
            // A node that was deleted between the two requests is created after all.
            Err(error) if is_final(&error) && error.kind != ApiErrorKind::NotFound => {
                return Err(StartError::Register { node, error });
            }
            Err(error) => tracing::warn!(node, %error, "node not registered yet, it is tried again"),
        }
        tokio::time::sleep(delay).await;
        delay = (delay * 2).min(REGISTER_RETRY_MAX);
    }
}
