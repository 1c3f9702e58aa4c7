//! Which pending pods a node was set aside for (`status.nominatedNodeName`), by node.
//!
//! Preemptors and autoscalers write that field; nothing here does.

use super::PodKey;
use crate::hash::FastMap;

/// The nominated pods; in most clusters, most of the time, there are none.
#[derive(Default)]
pub(crate) struct Nominations {
    by_node: FastMap<Box<str>, Vec<PodKey>>,
}

impl Nominations {
    /// Whether nothing is set aside for anybody.
    pub(crate) fn is_empty(&self) -> bool {
        self.by_node.is_empty()
    }

    /// A node, which need not exist, is set aside for a pod.
    pub(crate) fn insert(&mut self, node: &str, key: &PodKey) {
        self.by_node.entry(node.into()).or_default().push(key.clone());
    }

    /// No longer.
    pub(crate) fn remove(&mut self, node: &str, key: &PodKey) {
        if let Some(pods) = self.by_node.get_mut(node) {
            pods.retain(|pod| pod != key);
            if pods.is_empty() {
                self.by_node.remove(node);
            }
        }
    }

    /// Every node with the pods that it is set aside for.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &[PodKey])> {
        self.by_node.iter().map(|(node, pods)| (&**node, pods.as_slice()))
    }
}
