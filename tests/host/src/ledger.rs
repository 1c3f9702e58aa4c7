//! What the `ledger` guest wrote, as the API server saw it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures::TryStreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, ListParams, PostParams, WatchEvent, WatchParams};
use serde_json::json;
use tokio::task::JoinHandle;

/// One write of one sync.
#[derive(Clone, Debug)]
struct Entry {
    sync: String,
    begins: bool,
    at: Instant,
}

/// The writes of each key, in the order of their versions.
type Entries = BTreeMap<String, Vec<Entry>>;

/// Follows the ledger. Ends when dropped.
pub struct Ledger {
    entries: Arc<Mutex<Entries>>,
    task: JoinHandle<()>,
}

impl Ledger {
    /// Creates so many keys and follows what is written into them.
    pub async fn start(objects: Api<ConfigMap>, keys: usize) -> Result<Self> {
        for number in 0..keys {
            let object = json!({"metadata": {"name": format!("key-{number}"), "labels": {"ledger": ""}}});
            objects
                .create(&PostParams::default(), &serde_json::from_value(object)?)
                .await?;
        }
        let list = objects.list(&ListParams::default().labels("ledger")).await?;
        let version = list.metadata.resource_version.context("a list has a version")?;
        let entries = Arc::<Mutex<Entries>>::default();
        let seen = Arc::clone(&entries);
        let task = tokio::spawn(async move {
            let mut version = version;
            loop {
                if let Err(error) = follow(&objects, &mut version, &seen).await {
                    eprintln!("ledger: {error:#}");
                }
            }
        });
        Ok(Self { entries, task })
    }

    fn entries(&self) -> Entries {
        self.entries
            .lock()
            .map(|entries| entries.clone())
            .unwrap_or_default()
    }

    /// Waits until every key was synced again.
    pub async fn wait_for_syncs_of_all(&self) -> Result<()> {
        let began = Instant::now();
        let before = self.entries();
        let ends = |entries: &Entries, key: &str| {
            entries
                .get(key)
                .map_or(0, |entries| entries.iter().filter(|entry| !entry.begins).count())
        };
        loop {
            let now = self.entries();
            let keys = now.len();
            if keys > 0 && now.keys().all(|key| ends(&now, key) > ends(&before, key) + 1) {
                return Ok(());
            }
            anyhow::ensure!(
                began.elapsed() < crate::wait::LIMIT,
                "not every key was synced again: {:?}",
                now.keys()
                    .filter(|key| ends(&now, key) <= ends(&before, key) + 1)
                    .collect::<Vec<_>>()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The syncs of one key between whose beginning and end another sync wrote: must be none.
    #[must_use]
    pub fn overlaps(&self) -> Vec<String> {
        let mut overlaps = Vec::new();
        for (key, entries) in self.entries() {
            for (position, begin) in entries.iter().enumerate().filter(|(_, entry)| entry.begins) {
                let later = entries.iter().skip(position + 1);
                let same = |entry: &&Entry| entry.sync == begin.sync && !entry.begins;
                let Some(length) = later.clone().position(|entry| same(&entry)) else {
                    // It never ended: its process died.
                    continue;
                };
                if let Some(other) = later.take(length).next() {
                    overlaps.push(format!("{key}: {} within {}", other.sync, begin.sync));
                }
            }
        }
        overlaps
    }

    /// The instances that synced each key, in the order in which they took over.
    #[must_use]
    pub fn instances(&self) -> BTreeMap<String, Vec<String>> {
        let of_key = |(key, entries): (String, Vec<Entry>)| {
            let instances = entries.iter().filter_map(|entry| entry.sync.split_once('-'));
            let mut instances: Vec<String> = instances.map(|(instance, _)| instance.to_owned()).collect();
            instances.dedup();
            (key, instances)
        };
        self.entries().into_iter().map(of_key).collect()
    }

    /// The most syncs that had begun and not ended at one time.
    #[must_use]
    pub fn most_at_once(&self) -> usize {
        let mut entries: Vec<Entry> = self.entries().into_values().flatten().collect();
        entries.sort_by_key(|entry| entry.at);
        let mut open = BTreeSet::new();
        let mut most = 0;
        for entry in entries {
            if entry.begins {
                open.insert(entry.sync);
            } else {
                open.remove(&entry.sync);
            }
            most = most.max(open.len());
        }
        most
    }

    /// How many syncs began, and the longest time in which nothing of one key was written.
    #[must_use]
    pub fn syncs_and_longest_gap(&self) -> (usize, Duration) {
        let entries = self.entries();
        let syncs = entries.values().flatten().filter(|entry| entry.begins).count();
        let gaps = entries.values().flat_map(|entries| {
            let pairs = entries.iter().zip(entries.iter().skip(1));
            pairs
                .map(|(before, after)| after.at - before.at)
                .collect::<Vec<_>>()
        });
        (syncs, gaps.max().unwrap_or_default())
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn follow(objects: &Api<ConfigMap>, version: &mut String, seen: &Mutex<Entries>) -> Result<()> {
    let parameters = WatchParams::default().labels("ledger").timeout(60);
    let mut events = Box::pin(objects.watch(&parameters, version).await?);
    while let Some(event) = events.try_next().await? {
        let (WatchEvent::Added(object) | WatchEvent::Modified(object)) = event else {
            continue;
        };
        if let Some(latest) = &object.metadata.resource_version {
            version.clone_from(latest);
        }
        let data = object.data.unwrap_or_default();
        let (Some(sync), Some(phase)) = (data.get("sync"), data.get("phase")) else {
            continue;
        };
        let entry = Entry {
            sync: sync.clone(),
            begins: phase == "begin",
            at: Instant::now(),
        };
        let name = object.metadata.name.unwrap_or_default();
        if let Ok(mut entries) = seen.lock() {
            entries.entry(name).or_default().push(entry);
        }
    }
    Ok(())
}
