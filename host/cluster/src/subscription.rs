//! One module's view of the shared informers.
//!
//! Promises: deltas in order, the present content first; dropping a subscription lets go
//! of every informer it held.

use std::sync::Arc;

use tokio::sync::watch;
use windlass_core::key::Resource;
use windlass_core::seams::DeltaBatch;

use crate::footprint::Footprint;
use crate::informer::AttachmentId;
use crate::lister::Lister;
use crate::queue::Queue;
use crate::registry::{Leaving, Shared};

/// What [`crate::registry::InformerRegistry::subscribe`] gives.
pub struct Subscription {
    queue: Arc<Queue>,
    lister: Arc<Lister>,
    held: Held,
}

impl Subscription {
    pub(crate) fn new(queue: Arc<Queue>, lister: Arc<Lister>, held: Held) -> Self {
        Self { queue, lister, held }
    }

    /// Waits for the next deltas, at most a thousand. The answer may be empty: then only
    /// [`Subscription::has_synced`] changed. Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Vec<DeltaBatch> {
        self.queue.next().await
    }

    /// Whether [`Subscription::next`] has returned the whole initial content of every
    /// watch. Stays true.
    #[must_use]
    pub fn has_synced(&self) -> bool {
        self.queue.has_synced()
    }

    /// How many changes wait to be taken.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// The caches of the subscribed watches.
    #[must_use]
    pub fn lister(&self) -> Arc<Lister> {
        Arc::clone(&self.lister)
    }

    /// How much of the caches the watches need.
    #[must_use]
    pub fn footprint(&self) -> Footprint {
        let Held {
            shared,
            ones,
            discovered,
        } = &self.held;
        let resources = ones.iter().map(|(resource, _)| resource.clone());
        Footprint::new(Arc::clone(shared), resources.collect(), discovered.clone())
    }

    /// Ticks whenever one of the caches moved on, for [`windlass_core::gate::Gate::ready`].
    #[must_use]
    pub fn progressed(&self) -> watch::Receiver<u64> {
        self.queue.progressed()
    }
}

/// The informers that a subscription keeps running.
pub(crate) struct Held {
    shared: Arc<Shared>,
    ones: Vec<(Resource, AttachmentId)>,
    discovered: Vec<u64>,
}

impl Held {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            ones: Vec::new(),
            discovered: Vec::new(),
        }
    }

    pub(crate) fn one(&mut self, resource: Resource, id: AttachmentId) {
        self.ones.push((resource, id));
    }

    pub(crate) fn discovered(&mut self, id: u64) {
        self.discovered.push(id);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        for id in self.discovered.drain(..) {
            self.shared.unfollow(id);
        }
        for (resource, id) in self.ones.drain(..) {
            self.shared.detach(&resource, id, Leaving::Subscriber);
        }
    }
}
