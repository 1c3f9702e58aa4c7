//! Watches over every deletable resource there is, following discovery.
//!
//! The set is looked at every 30 s, as the garbage collector does upstream, and at once
//! when a CustomResourceDefinition changes. Each resource is watched in the version that
//! the server prefers. When that becomes another one, subscribers are told of the objects
//! that went meanwhile and of none that are still there: they are the same objects. A
//! resource that vanishes ends no object either, since nobody can say what became of them;
//! should it come back, the rest is told then. One whose group cannot be asked at the moment
//! stays (see [`crate::discovery`]). A resource of which nothing may be read, such as
//! Secrets that were not granted by name, is left out.

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

use crate::informer::{Attachment, AttachmentId, Known, Patience};
use crate::queue::Queue;
use crate::registry::{Shared, readable};

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
    /// Attached, and not served at the last look. What their watches still bring, such as the
    /// deletion of all objects before that of their definition, is waited for.
    missed: HashSet<Resource>,
    /// What is known of resources that vanished, whatever their version.
    known: HashMap<SmolStr, Known>,
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
            missed: HashSet::new(),
            known: HashMap::new(),
            settled: false,
        }
    }

    fn wanted<'r>(&self, deletable: &'r [ResourceInfo]) -> HashSet<&'r Resource> {
        deletable
            .iter()
            .map(|info| &info.resource)
            .filter(|resource| !self.except.contains(&name(resource)))
            .filter(|resource| !readable(self.grants.as_ref(), resource).is_empty())
            .collect()
    }

    /// Watches exactly these. False when one is missing that is given another look.
    fn reconcile(&mut self, shared: &Shared, deletable: &[ResourceInfo]) -> bool {
        let wanted = self.wanted(deletable);
        let elsewhere: HashSet<SmolStr> = wanted.iter().map(|resource| name(resource)).collect();
        let gone: Vec<Resource> = self
            .attached
            .keys()
            .filter(|resource| !wanted.contains(resource))
            .cloned()
            .collect();
        let missed = std::mem::take(&mut self.missed);
        for resource in gone {
            let name = name(&resource);
            if elsewhere.contains(&name) {
                info!(%resource, "another version is preferred, watched in that one");
            } else if missed.contains(&resource) {
                info!(%resource, "no longer served, watch ended");
            } else {
                self.missed.insert(resource);
                continue;
            }
            if let Some(id) = self.attached.remove(&resource)
                && let Some(known) = shared.detach_knowing(&resource, id)
            {
                self.known.insert(name, known);
            }
        }
        for resource in wanted {
            if !self.attached.contains_key(resource) {
                let mut wants = self.wants.share();
                wants.scope = readable(self.grants.as_ref(), resource);
                wants.known = self.known.remove(&name(resource));
                let (_, id) = shared.attach(resource, wants);
                self.attached.insert(resource.clone(), id);
            }
        }
        if !self.settled {
            self.settled = true;
            self.wants.queue.push_synced();
        }
        self.missed.is_empty()
    }
}

/// Of a resource in any version, `group/plural`.
fn name(resource: &Resource) -> SmolStr {
    SmolStr::from(format!("{}/{}", resource.group, resource.plural))
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
        let Some(watch) = followed.watches.remove(&id) else {
            return;
        };
        for (resource, id) in &watch.attached {
            self.detach(resource, *id);
        }
        if followed.watches.is_empty() {
            if let Some(task) = followed.task.take() {
                task.cancel();
            }
        }
    }

    /// False when something is missing that is given another look.
    fn reconcile(&self) -> bool {
        let deletable = self.discovery.deletable();
        let mut settled = true;
        for watch in self.followed.lock().watches.values_mut() {
            settled &= watch.reconcile(self, &deletable);
        }
        settled
    }
}

async fn follow(shared: Arc<Shared>, look: Arc<Notify>) {
    let mut definitions = Definitions::default();
    let mut eager: u32 = 0;
    loop {
        match shared.discovery.refresh().await {
            Ok(()) if !shared.reconcile() => eager = eager.max(1),
            Ok(()) => {}
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
            known: None,
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
        self.shared.detach(&self.resource, self.id);
    }
}
