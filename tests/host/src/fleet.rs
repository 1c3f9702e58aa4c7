//! A thousand pods of twenty Deployments, which are rolled pod by pod.

use anyhow::Result;
use futures::future::try_join_all;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::cluster::Namespace;

const DEPLOYMENTS: usize = 20;
const REPLICAS: usize = 50;
/// All of them together.
pub const PODS: usize = DEPLOYMENTS * REPLICAS;

/// The Deployments.
#[derive(Clone)]
pub struct Fleet {
    namespace: Namespace,
    names: Vec<String>,
}

impl Fleet {
    /// Creates them, and waits until they are complete.
    ///
    /// # Errors
    /// When that does not come about.
    pub async fn create(namespace: &Namespace) -> Result<Self> {
        let fleet = Self {
            namespace: namespace.clone(),
            names: (0..DEPLOYMENTS).map(|number| format!("web-{number}")).collect(),
        };
        let strategy = json!({"rollingUpdate": {"maxSurge": 2, "maxUnavailable": 1}});
        let spec = json!({"replicas": REPLICAS, "strategy": strategy});
        let create = |name| namespace.create_deployment(name, spec.clone());
        try_join_all(fleet.names.iter().map(|name| create(name))).await?;
        fleet.wait_complete().await?;
        Ok(fleet)
    }

    /// Gives all of them another image, and waits until they are complete.
    ///
    /// # Errors
    /// When that does not come about.
    pub async fn roll(&self, image: &str) -> Result<()> {
        let deployments = self.namespace.deployments();
        let container = json!({"name": "web", "image": image});
        let change = Patch::Strategic(json!({"spec": {"template": {"spec": {"containers": [container]}}}}));
        let params = PatchParams::default();
        let patches = self
            .names
            .iter()
            .map(|name| deployments.patch(name, &params, &change));
        try_join_all(patches).await?;
        self.wait_complete().await
    }

    async fn wait_complete(&self) -> Result<()> {
        for name in &self.names {
            self.namespace.wait_complete(name).await?;
        }
        Ok(())
    }
}
