//! Counts every pod that ever existed, by UID, from the server's own watch.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use anyhow::{Result, bail};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams, WatchEvent, WatchParams};
use tokio::task::JoinHandle;

/// A running count. Ends when dropped.
#[derive(Debug)]
pub struct PodCensus {
    seen: Arc<Mutex<BTreeSet<String>>>,
    task: JoinHandle<()>,
}

impl PodCensus {
    /// Starts counting the pods of a namespace that match a selector, those present included.
    ///
    /// # Errors
    /// When the pods cannot be listed.
    pub async fn start(pods: Api<Pod>, selector: &str) -> Result<Self> {
        let seen = Arc::new(Mutex::new(BTreeSet::new()));
        let list = pods.list(&ListParams::default().labels(selector)).await?;
        note(&seen, list.items.iter());
        let version = list.metadata.resource_version.unwrap_or_default();
        let (counted, selector) = (Arc::clone(&seen), selector.to_owned());
        let task = tokio::spawn(async move {
            let mut version = version;
            // A server that answers errors on purpose ends watches too: go on from where it was.
            loop {
                if let Err(error) = follow(&pods, &selector, &mut version, &counted).await {
                    eprintln!("census: {error:#}");
                }
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        });
        Ok(Self { seen, task })
    }

    /// How many different pods there have been.
    #[must_use]
    pub fn count(&self) -> usize {
        self.seen.lock().map(|seen| seen.len()).unwrap_or_default()
    }
}

impl Drop for PodCensus {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn follow(
    pods: &Api<Pod>,
    selector: &str,
    version: &mut String,
    seen: &Mutex<BTreeSet<String>>,
) -> Result<()> {
    let mut events = pods
        .watch(&WatchParams::default().labels(selector), version)
        .await?
        .boxed();
    while let Some(event) = events.try_next().await? {
        match event {
            WatchEvent::Added(pod) | WatchEvent::Modified(pod) | WatchEvent::Deleted(pod) => {
                note(seen, std::iter::once(&pod));
                *version = pod.metadata.resource_version.unwrap_or_default();
            }
            WatchEvent::Bookmark(bookmark) => *version = bookmark.metadata.resource_version,
            WatchEvent::Error(status) => bail!("{}", status.message),
        }
    }
    Ok(())
}

fn note<'a>(seen: &Mutex<BTreeSet<String>>, pods: impl Iterator<Item = &'a Pod>) {
    if let Ok(mut seen) = seen.lock() {
        seen.extend(pods.filter_map(|pod| pod.metadata.uid.clone()));
    }
}
