//! Removes pods whose node is gone: the embedded cluster's stand-in for the pod garbage
//! collector of the controller manager (`pkg/controller/podgc`).
//!
//! A node has to be missing for a quarantine before anything is removed, and is looked
//! for once more on the server itself then. Deliberately not done: limits on the number
//! of ended pods, and nodes out of service.

use std::time::Duration;

use bytes::Bytes;
use hashbrown::{HashMap, HashSet};
use serde::Deserialize;
use serde_json::json;
use smol_str::SmolStr;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use windlass_cluster::client::ApiClient;
use windlass_cluster::registry::{InformerRegistry, SubscribeError};
use windlass_cluster::subscription::Subscription;
use windlass_core::api_error::{ApiError, ApiErrorKind};
use windlass_core::key::ObjectKey;
use windlass_core::manifest::{View, WatchSpec};
use windlass_core::seams::{Delta, DeltaBatch, DeltaKind};

use crate::api::Api;
use crate::pod::nullable;
use crate::pod_status::Phase;
use crate::time::{Clock, Time, sleep_until};
use crate::timers::Timers;
use crate::watches::{NODES, PODS, fields, watch};

/// How long a node has to be missing before its pods are removed.
pub const DEFAULT_QUARANTINE: Duration = Duration::from_secs(40);
/// When something that failed is tried again, as often as the original looks around.
const RETRY: Duration = Duration::from_secs(20);

/// The pod garbage collector.
#[derive(Debug)]
pub struct PodGc;

/// A running pod garbage collector. Dropping it stops it at once.
#[derive(Debug)]
pub struct PodGcHandle {
    shutdown: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl PodGc {
    /// Starts watching pods and nodes through `informers` and removes what is orphaned.
    ///
    /// # Errors
    /// When the watches cannot be served.
    pub fn start(
        client: &ApiClient,
        informers: &InformerRegistry,
        quarantine: Duration,
    ) -> Result<PodGcHandle, SubscribeError> {
        let collector = Collector {
            api: Api::new(client.clone()),
            clock: Clock::start(),
            orphans: Orphans::new(quarantine),
        };
        let subscription = informers.subscribe(&watches())?;
        let (shutdown, stopped) = oneshot::channel();
        let task = tokio::spawn(collector.run(subscription, stopped));
        Ok(PodGcHandle {
            shutdown: Some(shutdown),
            task,
        })
    }
}

impl PodGcHandle {
    /// Stops it once the removal it is at has ended.
    pub async fn stop(mut self) {
        if let Some(shutdown) = self.shutdown.take() {
            // The receiver is gone only if the loop has ended already.
            let _ = shutdown.send(());
        }
        if let Err(error) = (&mut self.task).await {
            tracing::error!(%error, "pod garbage collector ended abnormally");
        }
    }
}

impl Drop for PodGcHandle {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn watches() -> [WatchSpec; 2] {
    [
        watch("pods", fields(&["spec.nodeName", "status.phase"])),
        watch("nodes", View::Metadata),
    ]
}

/// A pod, as far as its removal asks.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Bound {
    uid: SmolStr,
    terminal: bool,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct WirePod {
    #[serde(deserialize_with = "nullable")]
    spec: WireSpec,
    #[serde(deserialize_with = "nullable")]
    status: WireStatus,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct WireSpec {
    #[serde(deserialize_with = "nullable")]
    node_name: SmolStr,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct WireStatus {
    #[serde(deserialize_with = "nullable")]
    phase: SmolStr,
}

/// Which nodes exist, which pods are bound to which node, and which nodes are missed.
struct Orphans {
    quarantine: Duration,
    synced: bool,
    nodes: HashSet<SmolStr>,
    pods: HashMap<SmolStr, HashMap<ObjectKey, Bound>>,
    bindings: HashMap<ObjectKey, SmolStr>,
    /// When the quarantine of a missing node ends.
    missed: HashMap<SmolStr, Time>,
    timers: Timers<SmolStr>,
}

impl Orphans {
    fn new(quarantine: Duration) -> Self {
        Self {
            quarantine,
            synced: false,
            nodes: HashSet::new(),
            pods: HashMap::new(),
            bindings: HashMap::new(),
            missed: HashMap::new(),
            timers: Timers::default(),
        }
    }

    fn observe_pod(&mut self, delta: &Delta, now: Time) {
        let key = delta.object.key();
        if let Some(node) = self.bindings.remove(key) {
            if let Some(pods) = self.pods.get_mut(&node) {
                pods.remove(key);
                if pods.is_empty() {
                    self.pods.remove(&node);
                }
            }
        }
        if delta.kind == DeltaKind::Deleted {
            return;
        }
        let Ok(pod) = serde_json::from_slice::<WirePod>(delta.object.body()) else {
            return;
        };
        let node = pod.spec.node_name;
        if node.is_empty() {
            return;
        }
        let terminal = Phase::parse(&pod.status.phase).is_some_and(Phase::is_terminal);
        let bound = Bound {
            uid: delta.object.uid().into(),
            terminal,
        };
        self.bindings.insert(key.clone(), node.clone());
        self.pods
            .entry(node.clone())
            .or_default()
            .insert(key.clone(), bound);
        self.miss(&node, now, self.quarantine);
    }

    fn observe_node(&mut self, delta: &Delta, now: Time) {
        let name = &delta.object.key().name;
        if delta.kind == DeltaKind::Deleted {
            self.nodes.remove(name);
            self.miss(name, now, self.quarantine);
        } else {
            self.nodes.insert(name.clone());
            self.missed.remove(name);
        }
    }

    /// The initial content is complete: what is missing from it is missing.
    fn sync(&mut self, now: Time) {
        self.synced = true;
        let nodes: Vec<SmolStr> = self.pods.keys().cloned().collect();
        for node in nodes {
            self.miss(&node, now, self.quarantine);
        }
    }

    /// Looks into a node after a while, if it is missing.
    fn miss(&mut self, node: &SmolStr, now: Time, after: Duration) {
        let missing = self.synced && !self.nodes.contains(node) && self.pods.contains_key(node);
        if missing && !self.missed.contains_key(node) {
            let due = now.plus(after);
            self.missed.insert(node.clone(), due);
            self.timers.add(due, node.clone());
        }
    }

    /// A node that has been missing for the quarantine, with its pods.
    fn next_due(&mut self, now: Time) -> Option<(SmolStr, Vec<(ObjectKey, Bound)>)> {
        while let Some((due, node)) = self.timers.pop(now) {
            // A node that came and went again has a later timer of its own.
            if self.missed.get(&node) != Some(&due) {
                continue;
            }
            self.missed.remove(&node);
            if let Some(pods) = self.pods.get(&node) {
                let pods = pods
                    .iter()
                    .map(|(key, bound)| (key.clone(), bound.clone()))
                    .collect();
                return Some((node, pods));
            }
        }
        None
    }
}

struct Collector {
    api: Api,
    clock: Clock,
    orphans: Orphans,
}

impl Collector {
    async fn run(mut self, mut subscription: Subscription, mut shutdown: oneshot::Receiver<()>) {
        loop {
            let wake = self.orphans.timers.next_due().map(|due| self.clock.instant(due));
            tokio::select! {
                _ = &mut shutdown => return,
                batches = subscription.next() => {
                    self.observe(&batches);
                    if !self.orphans.synced && subscription.has_synced() {
                        self.orphans.sync(self.clock.now());
                    }
                }
                () = sleep_until(wake) => self.collect().await,
            }
        }
    }

    fn observe(&mut self, batches: &[DeltaBatch]) {
        let now = self.clock.now();
        for batch in batches {
            for delta in &batch.deltas {
                match batch.watch {
                    PODS => self.orphans.observe_pod(delta, now),
                    NODES => self.orphans.observe_node(delta, now),
                    _ => {}
                }
            }
        }
    }

    async fn collect(&mut self) {
        while let Some((node, pods)) = self.orphans.next_due(self.clock.now()) {
            if let Err(error) = self.remove_pods(&node, &pods).await {
                tracing::warn!(%node, %error, "pods of a missing node not removed, it is tried again");
                self.orphans.miss(&node, self.clock.now(), RETRY);
            }
        }
    }

    async fn remove_pods(&self, node: &str, pods: &[(ObjectKey, Bound)]) -> Result<(), ApiError> {
        match self.api.get_node(node).await {
            Err(error) if error.kind == ApiErrorKind::NotFound => {}
            // The watch will tell of it.
            Ok(_) => return Ok(()),
            Err(error) => return Err(error),
        }
        tracing::info!(
            node,
            pods = pods.len(),
            "removing the pods of a node that is gone"
        );
        for (key, bound) in pods {
            self.remove_pod(key, bound).await?;
        }
        Ok(())
    }

    async fn remove_pod(&self, key: &ObjectKey, bound: &Bound) -> Result<(), ApiError> {
        if !bound.terminal {
            ignore_absence(
                self.api
                    .patch_pod_status(key, disruption_patch(&bound.uid, self.clock.now()))
                    .await,
            )?;
        }
        ignore_absence(self.api.delete_pod(key, &bound.uid).await)
    }
}

/// A pod that is gone, or replaced by another, needs no removal.
fn ignore_absence(result: Result<Bytes, ApiError>) -> Result<(), ApiError> {
    match result {
        Err(error) if matches!(error.kind, ApiErrorKind::NotFound | ApiErrorKind::Conflict) => Ok(()),
        result => result.map(drop),
    }
}

fn disruption_patch(uid: &str, now: Time) -> Bytes {
    let patch = json!({
        "metadata": { "uid": uid },
        "status": {
            "phase": "Failed",
            "conditions": [{
                "type": "DisruptionTarget",
                "status": "True",
                "reason": "DeletionByPodGC",
                "message": "PodGC: node no longer exists",
                "lastTransitionTime": now,
            }],
        },
    });
    patch.to_string().into()
}

#[cfg(test)]
mod tests;
