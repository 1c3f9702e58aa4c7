//! Watches over every deletable resource there is, following discovery.
//!
//! The set is looked at every 30 s, as the garbage collector does upstream, and at once
//! when a CustomResourceDefinition changes. A resource that vanishes ends with the
//! deletion of all that subscribers knew of it; one whose group cannot be asked at the
//! moment stays (see [`crate::discovery`]). A resource of which nothing may be read, such
//! as Secrets that were not granted by name, is left out.

use std::sync::Arc;
use std::time::Duration;

use hashbrown::{HashMap, HashSet};
use smol_str::SmolStr;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use windlass_core::key::{Resource, ResourceInfo};
use windlass_core::manifest::View;
use windlass_core::permission::{Grants, Scope};

use crate::informer::{Attachment, AttachmentId, Patience};
use crate::queue::Queue;
use crate::registry::{Leaving, Shared, readable};

const PERIOD: Duration = Duration::from_secs(30);
/// Discovery follows a CustomResourceDefinition with some delay, so it is asked again.
const EAGER_PERIOD: Duration = Duration::from_secs(1);
const EAGER_LOOKS: u32 = 5;

/// One watch with a discovered target.
pub(crate) struct DiscoveredWatch {
    wants: Attachment,
    /// `group/plural`.
    except: HashSet<SmolStr>,
    /// What may be read; unset: everything.
    grants: Option<Grants>,
    attached: HashMap<Resource, AttachmentId>,
    /// Whether the set was complete once.
    settled: bool,
}

/// All watches with discovered targets, and the task that serves them.
#[derive(Default)]
pub(crate) struct Followed {
    watches: HashMap<u64, DiscoveredWatch>,
    last_id: u64,
    task: Option<CancellationToken>,
    /// Asks the task to look at once.
    look: Arc<Notify>,
}

impl DiscoveredWatch {
    pub(crate) fn new(wants: Attachment, except: Vec<SmolStr>, grants: Option<Grants>) -> Self {
        wants.queue.expect_sync();
        Self {
            wants,
            except: except.into_iter().collect(),
            grants,
            attached: HashMap::new(),
            settled: false,
        }
    }

    fn wanted<'r>(&self, deletable: &'r [ResourceInfo]) -> HashSet<&'r Resource> {
        let name = |resource: &Resource| SmolStr::from(format!("{}/{}", resource.group, resource.plural));
        deletable
            .iter()
            .map(|info| &info.resource)
            .filter(|resource| !self.except.contains(&name(resource)))
            .filter(|resource| !readable(self.grants.as_ref(), resource).is_empty())
            .collect()
    }

    /// Watches exactly these.
    fn reconcile(&mut self, shared: &Shared, deletable: &[ResourceInfo]) {
        let wanted = self.wanted(deletable);
        let gone: Vec<Resource> = self
            .attached
            .keys()
            .filter(|resource| !wanted.contains(resource))
            .cloned()
            .collect();
        for resource in gone {
            info!(%resource, "no longer served, watch ended");
            self.leave(shared, &resource, Leaving::Resource);
        }
        for resource in wanted {
            if !self.attached.contains_key(resource) {
                let mut wants = self.wants.share();
                wants.scope = readable(self.grants.as_ref(), resource);
                let (_, id) = shared.attach(resource, wants);
                self.attached.insert(resource.clone(), id);
            }
        }
        if !self.settled {
            self.settled = true;
            self.wants.queue.push_synced();
        }
    }

    fn leave(&mut self, shared: &Shared, resource: &Resource, leaving: Leaving) {
        if let Some(id) = self.attached.remove(resource) {
            shared.detach(resource, id, leaving);
        }
    }
}

impl Shared {
    /// Adds a watch and starts the task that serves it, if it is the first.
    pub(crate) fn follow(self: &Arc<Self>, watch: DiscoveredWatch) -> u64 {
        let mut followed = self.followed.lock();
        followed.last_id += 1;
        let id = followed.last_id;
        followed.watches.insert(id, watch);
        if followed.task.is_some() {
            followed.look.notify_one();
        } else {
            let stop = self.stop_token();
            followed.task = Some(stop.clone());
            self.spawn(stop, follow(Arc::clone(self), Arc::clone(&followed.look)));
        }
        id
    }

    /// What these watches cover now.
    pub(crate) fn followed_resources(&self, ids: &[u64]) -> Vec<(Resource, AttachmentId)> {
        let followed = self.followed.lock();
        let watches = ids.iter().filter_map(|id| followed.watches.get(id));
        let attached = watches.flat_map(|watch| &watch.attached);
        attached.map(|(resource, id)| (resource.clone(), *id)).collect()
    }

    /// Ends a watch, and the task with the last.
    pub(crate) fn unfollow(&self, id: u64) {
        let mut followed = self.followed.lock();
        let Some(mut watch) = followed.watches.remove(&id) else {
            return;
        };
        let resources: Vec<Resource> = watch.attached.keys().cloned().collect();
        for resource in resources {
            watch.leave(self, &resource, Leaving::Subscriber);
        }
        if followed.watches.is_empty() {
            if let Some(task) = followed.task.take() {
                task.cancel();
            }
        }
    }

    fn reconcile(&self) {
        let deletable = self.discovery.deletable();
        for watch in self.followed.lock().watches.values_mut() {
            watch.reconcile(self, &deletable);
        }
    }
}

async fn follow(shared: Arc<Shared>, look: Arc<Notify>) {
    let mut definitions = Definitions::default();
    let mut eager: u32 = 0;
    loop {
        match shared.discovery.refresh().await {
            Ok(()) => shared.reconcile(),
            Err(error) => warn!(error = %error.message, "discovery failed, watches stay as they are"),
        }
        definitions.attach(&shared);
        let known = shared.discovery.is_known();
        let pause = if eager > 0 || !known { EAGER_PERIOD } else { PERIOD };
        eager = eager.saturating_sub(1);
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = look.notified() => {}
            () = definitions.changed() => eager = EAGER_LOOKS,
        }
    }
}

/// The watch on CustomResourceDefinitions, where the server has them.
#[derive(Default)]
struct Definitions {
    watch: Option<DefinitionsWatch>,
}

struct DefinitionsWatch {
    queue: Arc<Queue>,
    shared: Arc<Shared>,
    resource: Resource,
    id: AttachmentId,
}

impl Definitions {
    fn attach(&mut self, shared: &Arc<Shared>) {
        let resource = Resource::new("apiextensions.k8s.io", "v1", "customresourcedefinitions");
        if self.watch.is_some() || shared.discovery.lookup(&resource).is_none() {
            return;
        }
        let queue: Arc<Queue> = Arc::default();
        let wants = Attachment {
            watch: 0,
            queue: Arc::clone(&queue),
            selector: None,
            scope: Scope::everything(),
            view: View::Metadata,
            index_paths: Vec::new(),
            old_bodies: false,
            patience: Patience::UntilFailure,
        };
        let (_, id) = shared.attach(&resource, wants);
        self.watch = Some(DefinitionsWatch {
            queue,
            shared: Arc::clone(shared),
            resource,
            id,
        });
    }

    /// Resolves when a definition changed after the present ones were read.
    async fn changed(&self) {
        let Some(watch) = &self.watch else {
            return std::future::pending().await;
        };
        loop {
            let had_synced = watch.queue.has_synced();
            let batches = watch.queue.next().await;
            if had_synced && !batches.is_empty() {
                return;
            }
        }
    }
}

impl Drop for DefinitionsWatch {
    fn drop(&mut self) {
        self.shared.detach(&self.resource, self.id, Leaving::Subscriber);
    }
}
