//! Declaring what a controller watches and needs.

use std::time::Duration;

use crate::bindings::controller::windlass::controller::manifest as wit;
use crate::object::{ApiResource, Object};

pub use wit::EventKinds;

/// What a controller declares about itself.
///
/// ```
/// use windlass_sdk::{Manifest, Orphans, Watch};
/// # use windlass_sdk::{ObjectMeta, object};
/// # #[derive(serde::Deserialize)]
/// # struct Pod { metadata: ObjectMeta }
/// # #[derive(serde::Deserialize)]
/// # struct ReplicaSet { metadata: ObjectMeta }
/// # object!(Pod: "", "v1", "pods", "Pod");
/// # object!(ReplicaSet: "apps", "v1", "replicasets", "ReplicaSet");
/// let manifest = Manifest::new("replicaset-controller", env!("CARGO_PKG_VERSION"))
///     .workers(5)
///     .watch(Watch::new::<ReplicaSet>().enqueue_itself())
///     .watch(
///         Watch::new::<Pod>()
///             .fields(&["spec.nodeName", "status.phase"])
///             .enqueue_owner::<ReplicaSet>(Orphans::MatchingSelectors),
///     )
///     .permit(&["apps"], &["replicasets/status"], &["update"]);
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Manifest(pub(crate) wit::Manifest);

/// One watch: which objects, how much of them, and whom they wake.
///
/// Its position in the manifest is how a [`Lister`](crate::Lister) names it. Unless told
/// otherwise a watch wants whole objects, wakes nobody and is not observed.
#[derive(Clone, Debug)]
#[must_use]
pub struct Watch(wit::Watch);

/// What to do with an object that should have a controlling owner and has none.
pub use wit::OrphanRule as Orphans;

impl Manifest {
    /// Named like this, with one worker. The name is also the source of its events.
    pub fn new(name: &str, version: &str) -> Self {
        Self(wit::Manifest {
            name: name.to_owned(),
            version: version.to_owned(),
            watches: Vec::new(),
            workers: 1,
            permissions: Vec::new(),
            api_qps: 0,
            api_burst: 0,
        })
    }

    /// How many syncs may be in flight at once.
    pub fn workers(mut self, workers: u32) -> Self {
        self.0.workers = workers;
        self
    }

    /// Adds a watch at the next position.
    pub fn watch(mut self, watch: Watch) -> Self {
        self.0.watches.push(watch.0);
        self
    }

    /// Asks for these verbs on these resources (`pods`, `pods/status`), as a rule of a Role does.
    pub fn permit(mut self, groups: &[&str], resources: &[&str], verbs: &[&str]) -> Self {
        self.0.permissions.push(wit::Permission {
            groups: owned(groups),
            resources: owned(resources),
            verbs: owned(verbs),
        });
        self
    }

    /// API calls per second, and at once, that it expects to need.
    pub fn api_budget(mut self, per_second: u32, burst: u32) -> Self {
        self.0.api_qps = per_second;
        self.0.api_burst = burst;
        self
    }
}

impl Watch {
    /// Watches the objects of this type's resource.
    pub fn new<T: Object>() -> Self {
        Self::of(T::RESOURCE)
    }

    /// Watches this resource.
    pub fn of(resource: ApiResource) -> Self {
        Self::targeting(wit::WatchTarget::One(resource.to_wit()))
    }

    /// Watches the metadata of every deletable resource that discovery finds, but for
    /// these (`group/plural`).
    pub fn discovered(except: &[&str]) -> Self {
        Self::targeting(wit::WatchTarget::Discovered(owned(except))).metadata()
    }

    /// Only objects with matching labels.
    pub fn label_selector(mut self, selector: &str) -> Self {
        self.0.label_selector = selector.to_owned();
        self
    }

    /// `apiVersion`, `kind`, `metadata` and these dotted paths, which walk through lists.
    pub fn fields(mut self, paths: &[&str]) -> Self {
        self.0.view = wit::View::Fields(owned(paths));
        self
    }

    /// `apiVersion`, `kind` and `metadata` only.
    pub fn metadata(mut self) -> Self {
        self.0.view = wit::View::Metadata;
        self
    }

    /// An event enqueues the object's own key.
    pub fn enqueue_itself(mut self) -> Self {
        self.0.enqueue = wit::EnqueueRule::Itself;
        self
    }

    /// An event enqueues the controlling owner of this kind.
    pub fn enqueue_owner<Owner: Object>(mut self, orphans: Orphans) -> Self {
        self.0.enqueue = wit::EnqueueRule::Owner(wit::OwnerRule {
            group: Owner::RESOURCE.group.to_owned(),
            kind: Owner::KIND.to_owned(),
            orphans,
        });
        self
    }

    /// An event is shown to the controller's [`Mapper`](crate::Mapper).
    pub fn enqueue_mapped(mut self) -> Self {
        self.0.enqueue = wit::EnqueueRule::Mapper;
        self
    }

    /// Enqueues on these kinds of event only.
    pub fn on(mut self, kinds: EventKinds) -> Self {
        self.0.on = kinds;
        self
    }

    /// Delivers the deltas to the controller's [`Observer`](crate::Observer).
    pub fn observe(mut self) -> Self {
        self.0.observe = true;
        self
    }

    /// Adds the previous body to what the observer or the mapper gets.
    pub fn old_bodies(mut self) -> Self {
        self.0.old_bodies = true;
        self
    }

    /// Adds an index over the scalar at `path`.
    pub fn index(mut self, name: &str, path: &str) -> Self {
        self.0.indexes.push(wit::Index {
            name: name.to_owned(),
            path: path.to_owned(),
        });
        self
    }

    fn targeting(target: wit::WatchTarget) -> Self {
        Self(wit::Watch {
            target,
            label_selector: String::new(),
            view: wit::View::Full,
            enqueue: wit::EnqueueRule::None,
            on: EventKinds::ADDED | EventKinds::UPDATED | EventKinds::DELETED,
            observe: false,
            old_bodies: false,
            indexes: Vec::new(),
        })
    }
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

/// Whole milliseconds, for the contract.
pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
