//! Counts the pods of every namespace by their phase, in a ConfigMap `pod-summary`.
//!
//! A controller with a state of its own: an observer follows every change of a pod, so that a
//! sync costs the same for ten pods and for ten thousand. The state needs no saving: a new
//! instance is shown everything that there is before its first sync.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use windlass_sdk::{
    Batch, Controller, DeltaKind, Error, Lister, Manifest, MappedEvent, Mapper, ObjectKey, ObjectMeta,
    Observer, Outcome, PatchType, SyncContext, Watch, default_delete, export, object, warn,
};

/// The ConfigMap, in every namespace that has pods.
const SUMMARY: &str = "pod-summary";
/// Tells ours from one of somebody else's by that name.
const LABEL: &str = "app.kubernetes.io/managed-by";
const SUMMARIES: Lister<ConfigMap> = Lister::new(1);

#[derive(Deserialize)]
struct Pod {
    metadata: ObjectMeta,
    #[serde(default)]
    status: PodStatus,
}

#[derive(Default, Deserialize)]
struct PodStatus {
    #[serde(default)]
    phase: String,
}

#[derive(Deserialize)]
struct ConfigMap {
    metadata: ObjectMeta,
    #[serde(default)]
    data: BTreeMap<String, String>,
}

object!(Pod: "", "v1", "pods", "Pod");
object!(ConfigMap: "", "v1", "configmaps", "ConfigMap");

/// Numbers of pods by phase.
type Counts = BTreeMap<String, u64>;

/// What the observer has seen.
#[derive(Default)]
struct Seen {
    /// The phase that each pod is counted in.
    phases: HashMap<ObjectKey, String>,
    /// By namespace.
    counts: HashMap<String, Counts>,
}

impl Seen {
    /// Counts a pod in this phase and no other; in none if it is gone.
    fn set(&mut self, pod: &ObjectKey, phase: Option<String>) {
        let counts = self.counts.entry(pod.namespace.clone()).or_default();
        if let Some(before) = self.phases.remove(pod) {
            if let Some(count) = counts.get_mut(&before) {
                *count -= 1;
            }
            counts.retain(|_, count| *count > 0);
        }
        if let Some(phase) = phase {
            *counts.entry(phase.clone()).or_default() += 1;
            self.phases.insert(pod.clone(), phase);
        }
        if counts.is_empty() {
            self.counts.remove(&pod.namespace);
        }
    }

    /// As a ConfigMap has them.
    fn data(&self, namespace: &str) -> BTreeMap<String, String> {
        let counts = self.counts.get(namespace).into_iter().flatten();
        counts
            .map(|(phase, count)| (phase.clone(), count.to_string()))
            .collect()
    }
}

#[derive(Default)]
struct PodSummary {
    seen: RefCell<Seen>,
}

impl Controller for PodSummary {
    fn manifest() -> Manifest {
        Manifest::new("pod-summary-rust", env!("CARGO_PKG_VERSION"))
            .watch(
                Watch::new::<Pod>()
                    .fields(&["status.phase"])
                    .observe()
                    .enqueue_mapped(),
            )
            .watch(
                Watch::new::<ConfigMap>()
                    .label_selector(&format!("{LABEL}={SUMMARY}"))
                    .enqueue_itself(),
            )
            .permit(&[""], &["configmaps"], &["create", "patch", "delete"])
    }

    fn new() -> Self {
        Self::default()
    }

    async fn sync_handler(&self, sync: &SyncContext, key: ObjectKey) -> Result<Outcome, Error> {
        if key.name != SUMMARY {
            return Ok(Outcome::Done);
        }
        let data = self.seen.borrow().data(&key.namespace);
        let config_maps = sync.client::<ConfigMap>();
        match SUMMARIES.get(&key)? {
            Some(summary) if summary.data == data => {}
            Some(_) if data.is_empty() => match config_maps.delete(&key, default_delete()).await {
                Err(error) if !error.is_not_found() => return Err(error.into()),
                _ => {}
            },
            Some(summary) => {
                let patch = patch(&summary.data, &data);
                config_maps.patch(&key, PatchType::MergePatch, &patch).await?;
            }
            None if data.is_empty() => {}
            None => match config_maps.create(&key.namespace, &new_summary(&data)).await {
                // The cache will show it, if it is ours.
                Err(error) if error.is_already_exists() => {
                    warn!("there is a ConfigMap of this name already");
                }
                Err(error) if !error.is_namespace_terminating() => return Err(error.into()),
                _ => {}
            },
        }
        Ok(Outcome::Done)
    }
}

impl Observer for PodSummary {
    fn observe(&self, batches: Vec<Batch>) {
        let mut seen = self.seen.borrow_mut();
        for delta in batches.into_iter().flat_map(|batch| batch.deltas) {
            let pod = ObjectKey::new(delta.key.namespace, delta.key.name);
            let phase = match delta.kind {
                DeltaKind::Deleted => None,
                DeltaKind::Added | DeltaKind::Updated => Some(phase(&delta.body)),
            };
            seen.set(&pod, phase);
        }
    }
}

impl Mapper for PodSummary {
    fn keys_for(&self, event: MappedEvent) -> Vec<ObjectKey> {
        vec![ObjectKey::new(event.key.namespace, SUMMARY)]
    }
}

/// The phase of a pod; the first one for what the API server has not defaulted.
fn phase(body: &[u8]) -> String {
    let pod: Option<Pod> = serde_json::from_slice(body).ok();
    let phase = pod.map(|pod| pod.status.phase).filter(|phase| !phase.is_empty());
    phase.unwrap_or_else(|| "Pending".to_owned())
}

fn new_summary(data: &BTreeMap<String, String>) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": SUMMARY, "labels": {LABEL: SUMMARY}},
        "data": data,
    })
}

/// A merge patch; what is null is removed.
#[derive(Serialize)]
struct Patch<'a> {
    data: BTreeMap<&'a str, Option<&'a str>>,
}

fn patch<'a>(present: &'a BTreeMap<String, String>, wanted: &'a BTreeMap<String, String>) -> Patch<'a> {
    let gone = present.keys().map(|phase| (phase.as_str(), None));
    let counted = wanted
        .iter()
        .map(|(phase, count)| (phase.as_str(), Some(count.as_str())));
    Patch {
        data: gone.chain(counted).collect(),
    }
}

export!(PodSummary, observer, mapper);

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str) -> ObjectKey {
        ObjectKey::new("shop", name)
    }

    fn data(seen: &Seen) -> Vec<(String, String)> {
        seen.data("shop").into_iter().collect()
    }

    #[test]
    fn a_pod_is_counted_once_wherever_it_is() {
        let mut seen = Seen::default();
        let phase = |phase: &str| Some(phase.to_owned());
        seen.set(&pod("a"), phase("Pending"));
        seen.set(&pod("b"), phase("Pending"));
        seen.set(&pod("a"), phase("Running"));
        let count = |phase: &str, count: &str| (phase.to_owned(), count.to_owned());
        assert_eq!(data(&seen), [count("Pending", "1"), count("Running", "1")]);
        seen.set(&pod("b"), None);
        seen.set(&pod("b"), None);
        assert_eq!(data(&seen), [count("Running", "1")]);
        seen.set(&pod("a"), None);
        assert!(
            seen.counts.is_empty() && seen.phases.is_empty(),
            "nothing is kept of what is gone"
        );
    }

    #[test]
    fn a_phase_that_nothing_is_in_any_more_is_removed() {
        let present = BTreeMap::from([("Pending".to_owned(), "1".to_owned())]);
        let wanted = BTreeMap::from([("Running".to_owned(), "1".to_owned())]);
        let patch = serde_json::to_string(&patch(&present, &wanted)).unwrap();
        assert_eq!(patch, r#"{"data":{"Pending":null,"Running":"1"}}"#);
    }

    #[test]
    fn a_pod_without_a_phase_is_pending() {
        assert_eq!(super::phase(b"{}"), "Pending");
        assert_eq!(
            super::phase(br#"{"metadata":{"name":"a"},"status":{"phase":"Failed"}}"#),
            "Failed"
        );
    }
}
