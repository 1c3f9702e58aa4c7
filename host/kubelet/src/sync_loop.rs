//! The loop that owns all of the agent's state.
//!
//! Waits for whichever comes first: changes of pods and nodes, a timer, the end of a write.
//! Everything in between is a plain function. At most so many writes are in flight as
//! configured; what is due beyond that waits in order.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use hashbrown::HashMap;
use tokio::sync::oneshot;
use windlass_cluster::subscription::Subscription;
use windlass_core::api_error::{ApiError, ApiErrorKind};
use windlass_core::key::ObjectKey;
use windlass_core::object::Object;
use windlass_core::seams::{Delta, DeltaBatch, DeltaKind, EventSink};

use crate::api::Api;
use crate::config::AgentConfig;
use crate::heartbeat::{Turns, lease_duration_seconds, lease_period, status_period};
use crate::node::{NodeFacts, full_status_patch, heartbeat_patch, lease_object, lease_patch};
use crate::node_table::NodeTable;
use crate::pod_worker::Write;
use crate::pods::{PodWrite, Pods, is_started};
use crate::time::{Clock, sleep_until};
use crate::watches::{NODES, PODS};

/// What keeps a node alive in the eyes of others.
#[derive(Clone, Copy, Debug)]
enum Heartbeat {
    Lease(usize),
    Status(usize),
}

/// A write that ended.
enum Done {
    Pod(PodWrite, Result<u64, ApiError>),
    Lease,
    Status(usize),
}

/// See the module's documentation.
pub(crate) struct SyncLoop {
    api: Api,
    config: AgentConfig,
    clock: Clock,
    nodes: NodeTable,
    pods: Pods,
    leases: Turns,
    statuses: Turns,
    lease_seconds: u64,
    heartbeats: VecDeque<Heartbeat>,
    writes: FuturesUnordered<BoxFuture<'static, Done>>,
    events: Option<Arc<dyn EventSink>>,
    /// Pods of the initial content, until it is complete: those that an agent before this
    /// one started keep their addresses and resources, so they come first.
    initial: Option<HashMap<ObjectKey, Arc<Object>>>,
}

impl SyncLoop {
    pub(crate) fn new(
        api: Api,
        config: AgentConfig,
        clock: Clock,
        nodes: NodeTable,
        events: Option<Arc<dyn EventSink>>,
    ) -> Self {
        let now = clock.now();
        let lease_period = lease_period(config.lease_period, nodes.len());
        let status_period = status_period(config.status_period, nodes.len());
        Self {
            leases: Turns::new(nodes.len(), lease_period, now),
            // The registration was a status report.
            statuses: Turns::new(nodes.len(), status_period, now.plus(status_period)),
            lease_seconds: lease_duration_seconds(lease_period),
            heartbeats: VecDeque::new(),
            writes: FuturesUnordered::new(),
            pods: Pods::new(),
            api,
            config,
            clock,
            nodes,
            events,
            initial: Some(HashMap::new()),
        }
    }

    /// Runs until told to stop, then lets the writes in flight end.
    pub(crate) async fn run(mut self, mut subscription: Subscription, mut shutdown: oneshot::Receiver<()>) {
        loop {
            self.start_writes();
            let wake = self.next_due();
            tokio::select! {
                _ = &mut shutdown => break,
                Some(done) = self.writes.next(), if !self.writes.is_empty() => self.complete(done),
                batches = subscription.next() => {
                    self.observe(&batches);
                    if subscription.has_synced() {
                        self.take_up_initial();
                    }
                }
                () = sleep_until(wake) => self.fire_timers(),
            }
            self.record_events();
        }
        while let Some(done) = self.writes.next().await {
            self.complete(done);
        }
    }

    fn next_due(&self) -> Option<tokio::time::Instant> {
        let dues = [
            self.pods.next_due(),
            self.leases.next_due(),
            self.statuses.next_due(),
        ];
        dues.into_iter()
            .flatten()
            .min()
            .map(|due| self.clock.instant(due))
    }

    fn observe(&mut self, batches: &[DeltaBatch]) {
        for batch in batches {
            for delta in &batch.deltas {
                match batch.watch {
                    PODS => self.observe_pod(delta),
                    NODES => self.observe_node(delta),
                    _ => {}
                }
            }
        }
    }

    fn observe_pod(&mut self, delta: &Delta) {
        let key = delta.object.key();
        match (delta.kind, &mut self.initial) {
            (DeltaKind::Deleted, None) => self.pods.forget(key, &mut self.nodes),
            (DeltaKind::Deleted, Some(initial)) => {
                initial.remove(key);
            }
            (_, None) => self
                .pods
                .observe(&delta.object, &mut self.nodes, &self.config, self.clock.now()),
            (_, Some(initial)) => {
                initial.insert(key.clone(), Arc::clone(&delta.object));
            }
        }
    }

    fn take_up_initial(&mut self) {
        let Some(initial) = self.initial.take() else {
            return;
        };
        let now = self.clock.now();
        // A node may have been deleted between its registration and the first list.
        self.nodes.forget_unwatched();
        let (started, fresh): (Vec<_>, Vec<_>) = initial.into_values().partition(|pod| is_started(pod));
        for pod in started.iter().chain(&fresh) {
            self.pods.observe(pod, &mut self.nodes, &self.config, now);
        }
    }

    fn observe_node(&mut self, delta: &Delta) {
        let name = &delta.object.key().name;
        let Some(index) = self.nodes.index_of(name) else {
            return;
        };
        if delta.kind == DeltaKind::Deleted {
            tracing::info!(node = %name, "node was deleted, its pods are not served any more");
            self.nodes.lost(index);
            return;
        }
        match NodeFacts::parse(delta.object.body()) {
            Ok(facts) => self.found_node(index, facts),
            Err(error) => tracing::warn!(node = %name, %error, "node cannot be read, its change is ignored"),
        }
    }

    fn found_node(&mut self, index: usize, facts: NodeFacts) {
        let ready = facts.ready;
        if let Some(node) = self.nodes.get_mut(index) {
            node.watched = true;
        }
        if self.nodes.found(index, facts) {
            self.pods
                .resume(index, &mut self.nodes, &self.config, self.clock.now());
        }
        if !ready {
            self.queue_status(index);
        }
    }

    fn queue_status(&mut self, index: usize) {
        if let Some(node) = self.nodes.get_mut(index) {
            if !std::mem::replace(&mut node.reporting, true) {
                self.heartbeats.push_back(Heartbeat::Status(index));
            }
        }
    }

    fn fire_timers(&mut self) {
        let now = self.clock.now();
        self.pods.fire_timers(&mut self.nodes, &self.config, now);
        while let Some(index) = self.leases.pop(now) {
            self.heartbeats.push_back(Heartbeat::Lease(index));
        }
        while let Some(index) = self.statuses.pop(now) {
            self.queue_status(index);
        }
    }

    fn record_events(&mut self) {
        let events = self.pods.take_events();
        if let Some(sink) = &self.events {
            events.into_iter().for_each(|event| sink.record(event));
        }
    }

    /// Starts as many writes as may be in flight. Heartbeats go first: they are few.
    fn start_writes(&mut self) {
        while self.writes.len() < self.config.max_writes_in_flight.max(1) {
            if let Some(heartbeat) = self.heartbeats.pop_front() {
                self.start_heartbeat(heartbeat);
            } else if let Some(write) = self.pods.next_write(&self.nodes, &self.config, self.clock.now()) {
                self.writes.push(Box::pin(write_pod(self.api.clone(), write)));
            } else {
                break;
            }
        }
    }

    fn start_heartbeat(&mut self, heartbeat: Heartbeat) {
        let (Heartbeat::Lease(index) | Heartbeat::Status(index)) = heartbeat;
        let Some(node) = self.nodes.get_mut(index) else {
            return;
        };
        if !node.exists {
            node.reporting = false;
            return;
        }
        let now = self.clock.now();
        let api = self.api.clone();
        let name = node.facts.name.clone();
        match heartbeat {
            Heartbeat::Lease(_) => {
                let patch = lease_patch(&name, self.lease_seconds, now);
                let lease = lease_object(&name, &node.facts.uid, self.lease_seconds, now);
                self.writes.push(Box::pin(async move {
                    if let Err(error) = renew_lease(&api, &name, &patch, &lease).await {
                        tracing::debug!(node = %name, %error, "lease not renewed, it is tried again on its next turn");
                    }
                    Done::Lease
                }));
            }
            Heartbeat::Status(_) => {
                let patch = if node.facts.ready {
                    heartbeat_patch(now)
                } else {
                    full_status_patch(&node.template, &node.registration(&self.config, now))
                };
                self.writes.push(Box::pin(async move {
                    if let Err(error) = api.patch_node_status(&name, &patch).await {
                        tracing::debug!(node = %name, %error, "node status not reported, it is tried again on its next turn");
                    }
                    Done::Status(index)
                }));
            }
        }
    }

    fn complete(&mut self, done: Done) {
        match done {
            Done::Pod(write, result) => {
                self.pods
                    .complete(&write, result, &mut self.nodes, &self.config, self.clock.now());
            }
            Done::Lease => {}
            Done::Status(index) => {
                if let Some(node) = self.nodes.get_mut(index) {
                    node.reporting = false;
                }
            }
        }
    }
}

async fn write_pod(api: Api, write: PodWrite) -> Done {
    let result = match &write.write {
        Write::Report(patch) => api.patch_pod_status(&write.key, patch.clone()).await,
        Write::Delete => api.delete_pod(&write.key, &write.uid).await,
    };
    Done::Pod(write, result.map(resource_version))
}

/// The resource version of the object in an answer; 0 if there is none in it.
fn resource_version(body: Bytes) -> u64 {
    Object::parse(body).map_or(0, |object| object.resource_version())
}

async fn renew_lease(
    api: &Api,
    name: &str,
    patch: &serde_json::Value,
    lease: &serde_json::Value,
) -> Result<(), ApiError> {
    match api.patch_lease(name, patch).await {
        Err(error) if error.kind == ApiErrorKind::NotFound => api.create_lease(lease).await.map(drop),
        result => result.map(drop),
    }
}
