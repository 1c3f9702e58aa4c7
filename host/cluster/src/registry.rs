//! All shared informers: one per resource, for as long as somebody needs it.
//!
//! Promises: any number of subscribers share one list and watch; it starts with the first
//! and stops with the last; every task is awaited by [`InformerRegistry::shut_down`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hashbrown::{HashMap, HashSet};
use parking_lot::Mutex;
use smol_str::SmolStr;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use windlass_core::key::Resource;
use windlass_core::manifest::{View, WatchId, WatchSpec, WatchTarget};
use windlass_core::permission::{Grants, Scope};
use windlass_core::selector::{Selector, SelectorError};

use crate::budget::Budget;
use crate::client::ApiClient;
use crate::discovered::{DiscoveredWatch, Followed};
use crate::discovery::DiscoveryCache;
use crate::informer::{Attachment, AttachmentId, Informer, InformerStatus, Known, Patience};
use crate::lister::{ListedWatch, Lister};
use crate::queue::Queue;
use crate::reflector::{Reflector, ReflectorConfig};
use crate::subscription::{Held, Subscription};
use crate::tenants::{self, CacheUse, Tenants};

/// The shared informers of a host. Cheap to clone.
#[derive(Clone)]
pub struct InformerRegistry {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) discovery: Arc<DiscoveryCache>,
    pub(crate) followed: Mutex<Followed>,
    pub(crate) tenants: Mutex<Tenants>,
    pub(crate) budget: Arc<Budget>,
    client: ApiClient,
    config: ReflectorConfig,
    running: Mutex<HashMap<Resource, Running>>,
    is_enforced: AtomicBool,
    runtime_handle: Handle,
    tasks: TaskTracker,
    stop: CancellationToken,
}

struct Running {
    informer: Arc<Informer>,
    users: usize,
    stop: CancellationToken,
}

/// A manifest's watches cannot be served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubscribeError {
    /// A watch's label selector does not parse.
    #[error("label selector of watch {watch}: {source}")]
    Selector {
        /// Position in the manifest.
        watch: WatchId,
        /// What is wrong with it.
        source: SelectorError,
    },
}

impl InformerRegistry {
    /// An empty registry. Its tasks run on the Tokio runtime of the caller.
    #[must_use]
    pub fn new(client: ApiClient, discovery: Arc<DiscoveryCache>, config: ReflectorConfig) -> Self {
        let shared = Shared {
            discovery,
            followed: Mutex::default(),
            tenants: Mutex::default(),
            budget: Arc::default(),
            client,
            config,
            running: Mutex::default(),
            is_enforced: AtomicBool::new(false),
            runtime_handle: Handle::current(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// How many bytes all caches together may hold; unset: any number. See
    /// [`Subscription::crowded_out`] for what happens past it.
    pub fn limit_caches(&self, limit_bytes: Option<usize>) {
        self.shared.budget.set_limit(limit_bytes);
        if limit_bytes.is_some() {
            self.shared.enforce_once();
        }
    }

    /// What all caches hold, and on whose account.
    #[must_use]
    pub fn cache_use(&self) -> CacheUse {
        self.shared.cache_use()
    }

    /// Subscribes the host itself to all watches of a manifest and to all of what they
    /// cover. Informers start as needed and stop when the last subscription that needs them
    /// is dropped.
    ///
    /// # Errors
    /// When a label selector does not parse.
    pub fn subscribe(&self, watches: &[WatchSpec]) -> Result<Subscription, SubscribeError> {
        self.subscribe_as(None, watches, None)
    }

    /// Subscribes a module to all watches of a manifest, and of what they cover to as much as
    /// may be read: what `get`, `list` and `watch` are granted on.
    ///
    /// # Errors
    /// When a label selector does not parse.
    pub fn subscribe_within(
        &self,
        module: &SmolStr,
        watches: &[WatchSpec],
        grants: &Grants,
    ) -> Result<Subscription, SubscribeError> {
        self.subscribe_as(Some(module), watches, Some(grants))
    }

    fn subscribe_as(
        &self,
        module: Option<&SmolStr>,
        watches: &[WatchSpec],
        grants: Option<&Grants>,
    ) -> Result<Subscription, SubscribeError> {
        let queue: Arc<Queue> = Arc::default();
        if watches.is_empty() {
            queue.expect_nothing();
        }
        let selectors = watches
            .iter()
            .zip(0..)
            .map(|(spec, watch)| parse_selector(spec, watch));
        let selectors: Vec<Option<Selector>> = selectors.collect::<Result<_, _>>()?;
        let mut held = Held::new(Arc::clone(&self.shared));
        let mut listed = Vec::with_capacity(watches.len());
        for ((spec, selector), watch) in watches.iter().zip(selectors).zip(0..) {
            let mut wants = attachment(spec, selector.clone(), watch, Arc::clone(&queue));
            match &spec.target {
                WatchTarget::One(resource) => {
                    let scope = readable(grants, resource);
                    wants.scope = scope.clone();
                    let (informer, id) = self.shared.attach(resource, wants);
                    held.one(resource.clone(), id);
                    listed.push(Some(ListedWatch::new(&informer, selector, scope, &spec.indexes)));
                }
                WatchTarget::Discovered { except } => {
                    let watch = DiscoveredWatch::new(wants, except.clone(), grants.cloned());
                    held.discovered(self.shared.follow(watch));
                    listed.push(None);
                }
            }
        }
        let told = held.enter(module.cloned());
        Ok(Subscription::new(
            queue,
            Arc::new(Lister::new(listed)),
            held,
            told,
        ))
    }

    /// How each informer fares.
    #[must_use]
    pub fn status(&self) -> Vec<InformerStatus> {
        let informers: Vec<Arc<Informer>> = self
            .shared
            .running
            .lock()
            .values()
            .map(|running| Arc::clone(&running.informer))
            .collect();
        informers.iter().map(|informer| informer.status()).collect()
    }

    /// Stops every informer and waits for their tasks. Subscriptions stay readable.
    pub async fn shut_down(&self) {
        self.shared.stop.cancel();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }
}

/// The objects of a resource that may be read; all of them without grants to go by.
pub(crate) fn readable(grants: Option<&Grants>, resource: &Resource) -> Scope {
    grants.map_or_else(Scope::everything, |grants| grants.readable(resource))
}

fn parse_selector(spec: &WatchSpec, watch: WatchId) -> Result<Option<Selector>, SubscribeError> {
    let selector =
        Selector::parse(&spec.label_selector).map_err(|source| SubscribeError::Selector { watch, source })?;
    Ok(if selector.is_empty() { None } else { Some(selector) })
}

fn attachment(spec: &WatchSpec, selector: Option<Selector>, watch: WatchId, queue: Arc<Queue>) -> Attachment {
    let discovered = matches!(spec.target, WatchTarget::Discovered { .. });
    let index_paths = spec.indexes.iter().map(|index| index.path.clone());
    Attachment {
        watch,
        queue,
        selector,
        scope: Scope::everything(),
        view: if discovered {
            View::Metadata
        } else {
            spec.view.clone()
        },
        index_paths: if discovered {
            Vec::new()
        } else {
            index_paths.collect::<Vec<SmolStr>>()
        },
        old_bodies: spec.old_bodies,
        patience: if discovered {
            Patience::UntilFailure
        } else {
            Patience::Endless
        },
        known: None,
    }
}

impl Shared {
    /// Joins a resource's informer, starting it if nobody else did.
    pub(crate) fn attach(&self, resource: &Resource, wants: Attachment) -> (Arc<Informer>, AttachmentId) {
        let mut running = self.running.lock();
        let entry = running
            .entry(resource.clone())
            .or_insert_with(|| self.start(resource));
        entry.users += 1;
        let id = entry.informer.attach(wants);
        (Arc::clone(&entry.informer), id)
    }

    /// Leaves a resource's informer, which stops if nobody else is left.
    pub(crate) fn detach(&self, resource: &Resource, id: AttachmentId) {
        self.leave(resource, |informer| informer.detach(id));
    }

    /// The same for a subscriber that goes on elsewhere with what it was told of.
    pub(crate) fn detach_knowing(&self, resource: &Resource, id: AttachmentId) -> Option<Known> {
        self.leave(resource, |informer| informer.detach_knowing(id))?
    }

    fn leave<R>(&self, resource: &Resource, detach: impl FnOnce(&Arc<Informer>) -> R) -> Option<R> {
        let mut running = self.running.lock();
        let entry = running.get_mut(resource)?;
        let left = detach(&entry.informer);
        entry.users -= 1;
        if entry.users == 0 {
            entry.stop.cancel();
            entry.informer.cache().leave();
            running.remove(resource);
        }
        Some(left)
    }

    /// What the caches of these resources hold.
    pub(crate) fn cached_bytes(&self, resources: &HashSet<Resource>) -> usize {
        let running = self.running.lock();
        resources
            .iter()
            .filter_map(|resource| running.get(resource))
            .map(|running| running.informer.cache().bytes())
            .sum()
    }

    /// What the cache of a resource holds.
    pub(crate) fn bytes_of(&self, resource: &Resource) -> usize {
        let running = self.running.lock();
        let running = running.get(resource);
        running.map_or(0, |running| running.informer.cache().bytes())
    }

    /// Whether a subscriber waits for content of a resource that is on its way.
    pub(crate) fn is_awaited_by(&self, resource: &Resource, id: AttachmentId) -> bool {
        let running = self.running.lock();
        let running = running.get(resource);
        running.is_some_and(|running| running.informer.is_awaited_by(id))
    }

    /// Whether a cache is about to go or to become smaller, because somebody has left.
    pub(crate) fn is_clearing(&self) -> bool {
        let running = self.running.lock();
        self.budget.is_clearing() || running.values().any(|running| running.informer.is_narrowing())
    }

    fn enforce_once(self: &Arc<Self>) {
        if !self.is_enforced.swap(true, Ordering::Relaxed) {
            let (shared, budget) = (Arc::downgrade(self), Arc::clone(&self.budget));
            self.spawn(self.stop_token(), tenants::enforce(shared, budget));
        }
    }

    /// Runs a task until the registry stops, or it is told to.
    pub(crate) fn spawn(&self, stop: CancellationToken, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn_on(
            async move {
                stop.run_until_cancelled(task).await;
            },
            &self.runtime_handle,
        );
    }

    pub(crate) fn stop_token(&self) -> CancellationToken {
        self.stop.child_token()
    }

    fn start(&self, resource: &Resource) -> Running {
        let informer = Arc::new(Informer::new(resource.clone(), Arc::clone(&self.budget)));
        let stop = self.stop_token();
        let reflector = Reflector::new(
            Arc::clone(&informer),
            self.client.clone(),
            Arc::clone(&self.discovery),
            self.config.clone(),
        );
        self.spawn(stop.clone(), reflector.run());
        Running {
            informer,
            users: 0,
            stop,
        }
    }
}
