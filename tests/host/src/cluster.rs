//! An embedded cluster in a process of its own, and a client for it.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{Event, Node, Pod};
use kube::api::{Api, ListParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tempfile::TempDir;

use crate::process::Process;
use crate::wait;

/// A cluster that ends with the value.
#[derive(Debug)]
pub struct Cluster {
    /// The `windlass up` process.
    pub process: Process,
    /// Folder of its files.
    pub folder: TempDir,
    /// How long it took until the API answered.
    pub ready_after: Duration,
}

impl Cluster {
    /// Starts `windlass up` on free ports with these further arguments and waits until its API answers.
    ///
    /// # Errors
    /// When it ends or does not answer in time; the error carries what it printed.
    pub async fn up(arguments: &[&str]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let kubeconfig = folder.path().join("kubeconfig");
        let kubeconfig = kubeconfig.to_str().context("temporary path is not UTF-8")?;
        let mut all = vec!["up", "--listen", "127.0.0.1:0", "--kubeconfig", kubeconfig];
        if !arguments.contains(&"--status-address") {
            all.extend(["--status-address", "none"]);
        }
        all.extend_from_slice(arguments);
        let started = Instant::now();
        let process = Process::start(&all, &folder.path().join("up.log"))?;
        let mut cluster = Self {
            process,
            folder,
            ready_after: Duration::ZERO,
        };
        cluster.wait_for_api(started).await?;
        Ok(cluster)
    }

    async fn wait_for_api(&mut self, started: Instant) -> Result<()> {
        while started.elapsed() < wait::LIMIT {
            if self.process.has_ended() {
                bail!("`windlass up` ended:\n{}", self.process.output());
            }
            if self.kubeconfig().exists()
                && let Ok(client) = self.client().await
                && client.apiserver_version().await.is_ok()
            {
                self.ready_after = started.elapsed();
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        bail!("the API did not answer:\n{}", self.process.output())
    }

    /// The kubeconfig it wrote.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    /// A client for it, over HTTPS as any other client.
    ///
    /// # Errors
    /// When the kubeconfig cannot be read.
    pub async fn client(&self) -> Result<Client> {
        let kubeconfig = Kubeconfig::read_from(self.kubeconfig())?;
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        Ok(Client::try_from(config)?)
    }

    /// A client's view of one namespace.
    ///
    /// # Errors
    /// When the kubeconfig cannot be read.
    pub async fn namespace(&self, name: &str) -> Result<Namespace> {
        Ok(Namespace {
            client: self.client().await?,
            name: name.to_owned(),
        })
    }
}

/// Typed shortcuts for what the tests look at.
#[derive(Clone)]
pub struct Namespace {
    /// The client.
    pub client: Client,
    /// The namespace.
    pub name: String,
}

impl Namespace {
    /// Deployments.
    #[must_use]
    pub fn deployments(&self) -> Api<Deployment> {
        Api::namespaced(self.client.clone(), &self.name)
    }

    /// ReplicaSets.
    #[must_use]
    pub fn replica_sets(&self) -> Api<ReplicaSet> {
        Api::namespaced(self.client.clone(), &self.name)
    }

    /// Pods.
    #[must_use]
    pub fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &self.name)
    }

    /// Events.
    #[must_use]
    pub fn events(&self) -> Api<Event> {
        Api::namespaced(self.client.clone(), &self.name)
    }

    /// Nodes.
    #[must_use]
    pub fn nodes(&self) -> Api<Node> {
        Api::all(self.client.clone())
    }

    /// Creates a Deployment `name` of label `app=name` from JSON merged over a small default.
    ///
    /// # Errors
    /// Whatever the server says.
    pub async fn create_deployment(&self, name: &str, spec: serde_json::Value) -> Result<Deployment> {
        let mut object = serde_json::json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
            "spec": {
                "replicas": 3,
                "selector": {"matchLabels": {"app": name}},
                "template": {
                    "metadata": {"labels": {"app": name}},
                    "spec": {"containers": [{"name": "web", "image": "registry.k8s.io/pause:3.10"}]}
                }
            }
        });
        merge(&mut object["spec"], spec);
        let deployment: Deployment = serde_json::from_value(object)?;
        Ok(self
            .deployments()
            .create(&PostParams::default(), &deployment)
            .await?)
    }

    /// Waits until a Deployment is complete: observed, all replicas updated and available.
    ///
    /// # Errors
    /// When it does not come about, with the last state.
    pub async fn wait_complete(&self, name: &str) -> Result<Deployment> {
        let deployments = self.deployments();
        wait::until(
            &format!("Deployment {name} complete"),
            || async { Ok(deployments.get(name).await?) },
            complete,
        )
        .await
    }

    /// Pods with a label selector.
    ///
    /// # Errors
    /// Whatever the server says.
    pub async fn pods_with(&self, selector: &str) -> Result<Vec<Pod>> {
        Ok(self
            .pods()
            .list(&ListParams::default().labels(selector))
            .await?
            .items)
    }

    /// Waits until exactly `count` pods match a selector.
    ///
    /// # Errors
    /// When it does not come about, with the last state.
    pub async fn wait_pods(&self, selector: &str, count: usize) -> Result<Vec<Pod>> {
        let what = format!("{count} pods with {selector}");
        wait::until(
            &what,
            || self.pods_with(selector),
            |pods: &Vec<Pod>| pods.len() == count,
        )
        .await
    }
}

/// Whether a Deployment's status says that its rollout is complete.
#[must_use]
pub fn complete(deployment: &Deployment) -> bool {
    let Some(status) = &deployment.status else {
        return false;
    };
    let wanted = deployment
        .spec
        .as_ref()
        .and_then(|spec| spec.replicas)
        .unwrap_or(1);
    status.observed_generation >= deployment.metadata.generation
        && status.replicas.unwrap_or(0) == wanted
        && status.updated_replicas.unwrap_or(0) == wanted
        && status.available_replicas.unwrap_or(0) == wanted
}

/// RFC 7386, enough to overlay a test's own fields.
fn merge(target: &mut serde_json::Value, patch: serde_json::Value) {
    match patch {
        serde_json::Value::Object(patch) => {
            if !target.is_object() {
                *target = serde_json::json!({});
            }
            let Some(map) = target.as_object_mut() else { return };
            for (key, value) in patch {
                if value.is_null() {
                    map.remove(&key);
                } else {
                    merge(map.entry(key).or_insert(serde_json::Value::Null), value);
                }
            }
        }
        value => *target = value,
    }
}

/// A host configuration with the four stock guests.
pub const STOCK_CONFIGURATION: &str = "\
apiVersion: windlass.dev/v1alpha1
kind: HostConfiguration
modules:
- {name: deployment, source: {stock: deployment}}
- {name: replicaset, source: {stock: replicaset}}
- {name: scheduler, source: {stock: scheduler}}
- {name: garbage-collector, source: {stock: garbage-collector}}
";
