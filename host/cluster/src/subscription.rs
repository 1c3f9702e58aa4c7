//! One module's view of the shared informers.
//!
//! Promises: deltas in order, the present content first; dropping a subscription lets go
//! of every informer it held. It has to be dropped once it was crowded out
//! ([`Subscription::crowded_out`]).

use std::sync::Arc;

use smol_str::SmolStr;
use tokio::sync::watch;
use windlass_core::key::Resource;
use windlass_core::seams::DeltaBatch;

use crate::footprint::Footprint;
use crate::informer::AttachmentId;
use crate::lister::Lister;
use crate::queue::Queue;
use crate::registry::Shared;
use crate::tenants::CrowdedOut;

/// What [`crate::registry::InformerRegistry::subscribe`] gives.
pub struct Subscription {
    queue: Arc<Queue>,
    lister: Arc<Lister>,
    held: Held,
    told: watch::Receiver<Option<CrowdedOut>>,
}

impl Subscription {
    pub(crate) fn new(
        queue: Arc<Queue>,
        lister: Arc<Lister>,
        held: Held,
        told: watch::Receiver<Option<CrowdedOut>>,
    ) -> Self {
        Self {
            queue,
            lister,
            held,
            told,
        }
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
            tenant: _,
        } = &self.held;
        let resources = ones.iter().map(|(resource, _)| resource.clone());
        Footprint::new(Arc::clone(shared), resources.collect(), discovered.clone())
    }

    /// Waits until all caches together hold more than they may and it is this subscription
    /// that has to go ([`crate::registry::InformerRegistry::limit_caches`]). Cancelling is fine.
    pub fn crowded_out(&self) -> impl Future<Output = CrowdedOut> + use<> {
        let mut told = self.told.clone();
        async move {
            let crowded = told.wait_for(Option::is_some).await.ok().and_then(|told| *told);
            match crowded {
                Some(crowded) => crowded,
                // Nobody is left who could tell.
                None => std::future::pending().await,
            }
        }
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
    /// Under which number it counts.
    tenant: Option<u64>,
}

impl Held {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            ones: Vec::new(),
            discovered: Vec::new(),
            tenant: None,
        }
    }

    /// Counts as a tenant from now on; unset: as the host itself.
    pub(crate) fn enter(&mut self, module: Option<SmolStr>) -> watch::Receiver<Option<CrowdedOut>> {
        let mut tenants = self.shared.tenants.lock();
        let (id, told) = tenants.enter(module, self.ones.clone(), self.discovered.clone());
        self.tenant = Some(id);
        told
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
            self.shared.detach(&resource, id);
        }
        if let Some(id) = self.tenant {
            self.shared.tenants.lock().leave(id);
        }
    }
}
