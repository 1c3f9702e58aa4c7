//! What the tour does, through an ordinary client, and what it waits for.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use futures::StreamExt;
use kube::Client;
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};

use super::timeline::Timeline;

const NAME: &str = "web";
const SELECTOR: &str = "app=web";
const POLL: Duration = Duration::from_millis(10);

/// A step of the tour.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Create,
    ScaleUp,
    Update,
    Stuck,
    Undo,
    ScaleDown,
    Delete,
}

impl Step {
    pub(crate) const ALL: [Self; 7] = [
        Self::Create,
        Self::ScaleUp,
        Self::Update,
        Self::Stuck,
        Self::Undo,
        Self::ScaleDown,
        Self::Delete,
    ];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Create => "Create a Deployment of 3 replicas",
            Self::ScaleUp => "Scale it to 6",
            Self::Update => "Roll out another image",
            Self::Stuck => "Roll out an image that does not exist: the rollout stops, the old pods stay",
            Self::Undo => "Undo",
            Self::ScaleDown => "Scale it to 2",
            Self::Delete => "Delete it: the garbage collector clears up",
        }
    }
}

/// The client's side of the tour.
pub(crate) struct Script {
    deployments: Api<DynamicObject>,
    replica_sets: Api<DynamicObject>,
    pods: Api<DynamicObject>,
    timeline: Arc<Timeline>,
}

impl Script {
    pub(crate) fn new(client: Client, timeline: Arc<Timeline>) -> Self {
        let api = |group, kind| {
            let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1", kind));
            Api::namespaced_with(client.clone(), "default", &resource)
        };
        Self {
            deployments: api("apps", "Deployment"),
            replica_sets: api("apps", "ReplicaSet"),
            pods: api("", "Pod"),
            timeline,
        }
    }

    /// Does one step and waits for its end state.
    pub(crate) async fn play(&self, step: Step) -> Result<()> {
        match step {
            Step::Create => {
                self.timeline.deed("you", "create deployment", NAME);
                self.deployments
                    .create(&PostParams::default(), &serde_json::from_value(deployment())?)
                    .await?;
                self.wait_complete(3).await
            }
            Step::ScaleUp => self.scale(6).await,
            Step::Update => {
                self.set_image("registry.k8s.io/nginx:1.29").await?;
                self.wait_complete(6).await
            }
            Step::Stuck => {
                self.set_image("registry.k8s.io/nginx:nonexistent").await?;
                self.wait_stuck().await
            }
            Step::Undo => {
                self.set_image("registry.k8s.io/nginx:1.29").await?;
                self.wait_complete(6).await
            }
            Step::ScaleDown => self.scale(2).await,
            Step::Delete => {
                self.timeline.deed("you", "delete deployment", NAME);
                self.deployments
                    .delete(NAME, &kube::api::DeleteParams::background())
                    .await?;
                self.wait_gone().await
            }
        }
    }

    /// Tells the timeline what the nodes do; ends only with an error.
    pub(crate) async fn watch_pods(&self) -> anyhow::Error {
        match self.follow_pods().await {
            Ok(()) => anyhow::anyhow!("the watch ended"),
            Err(error) => error,
        }
    }

    async fn follow_pods(&self) -> Result<()> {
        let mut seen: HashMap<String, String> = HashMap::new();
        let mut version = self
            .pods
            .list(&ListParams::default())
            .await?
            .metadata
            .resource_version
            .unwrap_or_default();
        loop {
            let mut events = pin!(self.pods.watch(&WatchParams::default(), &version).await?);
            while let Some(event) = events.next().await {
                let (pod, gone) = match event? {
                    WatchEvent::Added(pod) | WatchEvent::Modified(pod) => (pod, false),
                    WatchEvent::Deleted(pod) => (pod, true),
                    WatchEvent::Bookmark(_) => continue,
                    WatchEvent::Error(status) => bail!("{}", status.message),
                };
                version = pod.metadata.resource_version.clone().unwrap_or(version);
                self.tell(&mut seen, &pod, gone);
            }
        }
    }

    fn tell(&self, seen: &mut HashMap<String, String>, pod: &DynamicObject, gone: bool) {
        let name = pod.metadata.name.clone().unwrap_or_default();
        let waiting = pod
            .data
            .pointer("/status/containerStatuses/0/state/waiting/reason")
            .and_then(Value::as_str);
        let phase = pod
            .data
            .pointer("/status/phase")
            .and_then(Value::as_str)
            .unwrap_or("Pending");
        let state = if gone { "gone" } else { waiting.unwrap_or(phase) };
        if seen.insert(name.clone(), state.to_owned()).as_deref() == Some(state) {
            return;
        }
        match state {
            "gone" => self.timeline.deed("node", "has stopped", &name),
            "Running" => self.timeline.deed("node", "runs", &name),
            "ErrImagePull" | "ImagePullBackOff" => {
                self.timeline.deed("node", format!("reports {state} for"), &name)
            }
            _ => {}
        }
    }

    async fn scale(&self, replicas: i64) -> Result<()> {
        self.timeline
            .deed("you", format!("scale to {replicas} replicas deployment"), NAME);
        let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
        self.deployments
            .patch_scale(NAME, &PatchParams::default(), &patch)
            .await?;
        self.wait_complete(replicas).await
    }

    async fn set_image(&self, image: &str) -> Result<()> {
        self.timeline
            .deed("you", format!("set image {image} of deployment"), NAME);
        let patch =
            json!({"spec": {"template": {"spec": {"containers": [{"name": "web", "image": image}]}}}});
        self.deployments
            .patch(NAME, &PatchParams::default(), &Patch::Strategic(patch))
            .await?;
        Ok(())
    }

    async fn wait_complete(&self, replicas: i64) -> Result<()> {
        loop {
            let object = self.deployments.get(NAME).await?;
            let status = |field: &str| object.data["status"][field].as_i64().unwrap_or(0);
            let counts = ["replicas", "updatedReplicas", "availableReplicas"];
            let observed = status("observedGeneration") >= object.metadata.generation.unwrap_or(0);
            if observed
                && counts.iter().all(|field| status(field) == replicas)
                && self.pods_alive().await? == replicas
            {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Until a pod of the new image cannot be pulled while enough old ones are available.
    async fn wait_stuck(&self) -> Result<()> {
        loop {
            let pods = self.pods.list(&ListParams::default().labels(SELECTOR)).await?;
            let waiting = |pod: &DynamicObject| {
                let reason = pod
                    .data
                    .pointer("/status/containerStatuses/0/state/waiting/reason");
                reason
                    .and_then(Value::as_str)
                    .is_some_and(|reason| reason.contains("ImagePull"))
            };
            let available = self.deployments.get(NAME).await?.data["status"]["availableReplicas"]
                .as_i64()
                .unwrap_or(0);
            if pods.items.iter().any(waiting) && available >= 5 {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn wait_gone(&self) -> Result<()> {
        loop {
            let selected = ListParams::default().labels(SELECTOR);
            let left = self.pods.list(&selected).await?.items.len()
                + self.replica_sets.list(&selected).await?.items.len();
            if left == 0 && self.deployments.get_opt(NAME).await?.is_none() {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn pods_alive(&self) -> Result<i64> {
        let pods = self.pods.list(&ListParams::default().labels(SELECTOR)).await?;
        Ok(i64::try_from(pods.items.len())?)
    }
}

fn deployment() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": NAME, "labels": {"app": NAME}},
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": {"app": NAME}},
            "template": {
                "metadata": {"labels": {"app": NAME}},
                "spec": {"containers": [{"name": "web", "image": "registry.k8s.io/nginx:1.28"}]}
            }
        }
    })
}
