//! The pods of the agent's nodes: takes in what the API says about them, drives their
//! workers, and names the writes that are due.
//!
//! No I/O: `sync_loop` feeds it and makes the writes.

use std::collections::VecDeque;
use std::time::Duration;

use hashbrown::HashMap;
use smol_str::{SmolStr, format_smolstr};
use windlass_core::api_error::ApiError;
use windlass_core::key::ObjectKey;
use windlass_core::object::Object;
use windlass_core::seams::Event;

use crate::admission::Footprint;
use crate::api::is_final;
use crate::config::{AgentConfig, EventDetail};
use crate::node_table::NodeTable;
use crate::pod::{Pod, PodHead};
use crate::pod_events::{event_of, rejection_event};
use crate::pod_status::Phase;
use crate::pod_worker::{Occurrence, Placement, PodWorker, Write};
use crate::time::Time;
use crate::timers::Timers;

const RETRY_INITIAL: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(7);

/// A pod and what surrounds its worker.
struct Entry {
    worker: PodWorker,
    /// What it occupies on its node, for as long as it does.
    footprint: Option<Footprint>,
    /// The earliest timer that is set for it.
    timer: Option<Time>,
    /// Whether it waits in the queue of pods that may have something to write.
    queued: bool,
    failures: u32,
    /// Newest resource version that is known to the worker.
    resource_version: u64,
}

/// A write for one pod.
#[derive(Clone, Debug)]
pub(crate) struct PodWrite {
    pub(crate) key: ObjectKey,
    pub(crate) uid: SmolStr,
    pub(crate) write: Write,
}

/// All pods of the agent's nodes.
pub(crate) struct Pods {
    entries: HashMap<ObjectKey, Entry>,
    timers: Timers<ObjectKey>,
    queue: VecDeque<ObjectKey>,
    events: Vec<Event>,
}

impl Pods {
    pub(crate) fn new() -> Self {
        Self {
            entries: HashMap::new(),
            timers: Timers::default(),
            queue: VecDeque::new(),
            events: Vec::new(),
        }
    }

    pub(crate) fn next_due(&self) -> Option<Time> {
        self.timers.next_due()
    }

    /// Events to record since the last call.
    pub(crate) fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Takes in a pod as it is now.
    pub(crate) fn observe(
        &mut self,
        object: &Object,
        nodes: &mut NodeTable,
        config: &AgentConfig,
        now: Time,
    ) {
        let key = object.key();
        match self.entries.get_mut(key) {
            Some(entry) if entry.worker.uid() == object.uid() => {
                // What the worker wrote itself tells it nothing.
                if object.resource_version() <= entry.resource_version {
                    return;
                }
                entry.resource_version = object.resource_version();
                if let Err(error) = Self::update(entry, object, key, config, now, &mut self.events) {
                    tracing::warn!(object.ref = %key, %error, "pod cannot be read, its change is ignored");
                }
            }
            _ => {
                self.forget(key, nodes);
                if let Err(error) = self.take_up(object, nodes, config, now) {
                    tracing::warn!(object.ref = %key, %error, "pod cannot be read, it is ignored");
                }
            }
        }
        self.drive(key, nodes, config, now);
    }

    fn update(
        entry: &mut Entry,
        object: &Object,
        key: &ObjectKey,
        config: &AgentConfig,
        now: Time,
        events: &mut Vec<Event>,
    ) -> Result<(), serde_json::Error> {
        let head: PodHead = serde_json::from_slice(object.body())?;
        let generation = head.metadata.generation;
        entry.worker.update(head, now);
        if generation != entry.worker.generation() {
            let pod: Pod = serde_json::from_slice(object.body())?;
            let log = entry.worker.update_spec(generation, &pod.spec, now);
            record(events, &log, key, entry.worker.uid(), config.events);
        }
        Ok(())
    }

    /// Takes up a pod that was not known, if it is bound to one of the nodes.
    fn take_up(
        &mut self,
        object: &Object,
        nodes: &mut NodeTable,
        config: &AgentConfig,
        now: Time,
    ) -> Result<(), serde_json::Error> {
        let pod: Pod = serde_json::from_slice(object.body())?;
        let Some(index) = nodes.index_of(&pod.spec.node_name) else {
            return Ok(());
        };
        let Some(node) = nodes.get_mut(index) else {
            return Ok(());
        };
        let key = object.key();
        let full_name = format_smolstr!("{}_{}({})", key.name, key.namespace, object.uid());
        let terminal = Phase::parse(&pod.status.phase).is_some_and(Phase::is_terminal);
        let footprint = Footprint::of(&pod.spec);
        let fresh = pod.status.start_time.is_none() && pod.metadata.deletion_timestamp.is_none() && !terminal;
        let mut placement = Placement {
            node: index,
            host_ip: node.address,
            pod_ip: node.address,
        };
        if fresh && let Err(failure) = node.ledger.admit(&pod.spec, &footprint, &node.facts) {
            if config.events != EventDetail::Off {
                self.events.push(rejection_event(&failure, key, object.uid()));
            }
            let worker = PodWorker::rejected(pod, full_name, placement, failure, now);
            self.insert(object, worker, None);
            return Ok(());
        }
        if terminal {
            let worker = PodWorker::new(pod, full_name, placement, &config.latencies, now);
            self.insert(object, worker, None);
            return Ok(());
        }
        if !pod.spec.host_network {
            placement.pod_ip = match pod.status.pod_ip.parse() {
                Ok(address) => {
                    node.addresses.claim(address);
                    address
                }
                Err(_) => node.addresses.allocate(),
            };
        }
        node.ledger.enter(&footprint);
        let worker = PodWorker::new(pod, full_name, placement, &config.latencies, now);
        self.insert(object, worker, Some(footprint));
        Ok(())
    }

    fn insert(&mut self, object: &Object, worker: PodWorker, footprint: Option<Footprint>) {
        let entry = Entry {
            worker,
            footprint,
            timer: None,
            queued: false,
            failures: 0,
            resource_version: object.resource_version(),
        };
        self.entries.insert(object.key().clone(), entry);
    }

    /// Takes in that a pod is gone.
    pub(crate) fn forget(&mut self, key: &ObjectKey, nodes: &mut NodeTable) {
        if let Some(mut entry) = self.entries.remove(key) {
            entry.release(nodes);
        }
    }

    /// Makes all changes that are due now.
    pub(crate) fn fire_timers(&mut self, nodes: &mut NodeTable, config: &AgentConfig, now: Time) {
        while let Some((due, key)) = self.timers.pop(now) {
            if let Some(entry) = self.entries.get_mut(&key) {
                if entry.timer.is_some_and(|timer| timer <= due) {
                    entry.timer = None;
                }
                self.drive(&key, nodes, config, now);
            }
        }
    }

    /// Drives the pods of a node that came into being again.
    pub(crate) fn resume(&mut self, index: usize, nodes: &mut NodeTable, config: &AgentConfig, now: Time) {
        let on_node = |(key, entry): (&ObjectKey, &Entry)| {
            (entry.worker.placement().node == index).then(|| key.clone())
        };
        let keys: Vec<ObjectKey> = self.entries.iter().filter_map(on_node).collect();
        for key in keys {
            self.drive(&key, nodes, config, now);
        }
    }

    /// Advances a pod, frees what it no longer occupies, sets its timer and queues it for
    /// writing. A pod whose node is gone stands still.
    fn drive(&mut self, key: &ObjectKey, nodes: &mut NodeTable, config: &AgentConfig, now: Time) {
        let Some(entry) = self.entries.get_mut(key) else {
            return;
        };
        if !nodes
            .get(entry.worker.placement().node)
            .is_some_and(|node| node.exists)
        {
            return;
        }
        let log = entry.worker.advance(now, &config.latencies);
        record(&mut self.events, &log, key, entry.worker.uid(), config.events);
        if !entry.worker.holds_resources() {
            entry.release(nodes);
        }
        // What is due already was done above, or waits in the queue.
        if let Some(due) = entry.worker.next_due().filter(|due| *due > now) {
            if entry.timer.is_none_or(|timer| due < timer) {
                entry.timer = Some(due);
                self.timers.add(due, key.clone());
            }
        }
        if !entry.queued && entry.worker.wants_write(now, config.final_report) {
            entry.queued = true;
            self.queue.push_back(key.clone());
        }
    }

    /// The next write to make.
    pub(crate) fn next_write(
        &mut self,
        nodes: &NodeTable,
        config: &AgentConfig,
        now: Time,
    ) -> Option<PodWrite> {
        while let Some(key) = self.queue.pop_front() {
            let Some(entry) = self.entries.get_mut(&key) else {
                continue;
            };
            entry.queued = false;
            if !nodes
                .get(entry.worker.placement().node)
                .is_some_and(|node| node.exists)
            {
                continue;
            }
            if let Some(write) = entry.worker.next_write(now, config.final_report) {
                return Some(PodWrite {
                    key,
                    uid: entry.worker.uid().clone(),
                    write,
                });
            }
        }
        None
    }

    /// Takes in how a write went. `resource_version` is that of the object it left.
    pub(crate) fn complete(
        &mut self,
        done: &PodWrite,
        result: Result<u64, ApiError>,
        nodes: &mut NodeTable,
        config: &AgentConfig,
        now: Time,
    ) {
        let Some(entry) = self
            .entries
            .get_mut(&done.key)
            .filter(|entry| *entry.worker.uid() == done.uid)
        else {
            return;
        };
        match result {
            Ok(resource_version) => {
                entry.failures = 0;
                entry.resource_version = entry.resource_version.max(resource_version);
                entry.worker.written(&done.write);
            }
            Err(error) if is_final(&error) => {
                tracing::debug!(object.ref = %done.key, %error, "pod write refused");
                entry.worker.write_refused(&done.write);
            }
            Err(error) => {
                tracing::debug!(object.ref = %done.key, %error, "pod write failed, it is tried again");
                let delay = (RETRY_INITIAL * 2_u32.saturating_pow(entry.failures)).min(RETRY_MAX);
                entry.failures += 1;
                let asked = Duration::from_millis(error.retry_after_ms.unwrap_or_default());
                entry.worker.write_failed(&done.write, now.plus(delay.max(asked)));
            }
        }
        self.drive(&done.key, nodes, config, now);
    }
}

/// Whether an agent before this one has taken up the pod.
pub(crate) fn is_started(object: &Object) -> bool {
    serde_json::from_slice::<PodHead>(object.body()).is_ok_and(|head| head.status.start_time.is_some())
}

impl Entry {
    fn release(&mut self, nodes: &mut NodeTable) {
        let placement = *self.worker.placement();
        if let (Some(footprint), Some(node)) = (self.footprint.take(), nodes.get_mut(placement.node)) {
            node.ledger.remove(&footprint);
            node.addresses.release(placement.pod_ip);
        }
    }
}

fn record(events: &mut Vec<Event>, log: &[Occurrence], key: &ObjectKey, uid: &str, detail: EventDetail) {
    events.extend(
        log.iter()
            .filter_map(|occurrence| event_of(occurrence, key, uid, detail)),
    );
}

#[cfg(test)]
mod tests;
