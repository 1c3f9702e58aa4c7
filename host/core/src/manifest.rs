//! What a guest declares about itself: the native mirror of `manifest` in the contract.

use smol_str::SmolStr;

use crate::key::Resource;
use crate::permission::PermissionRule;

/// Position of a watch in [`Manifest::watches`].
pub type WatchId = u32;

/// Which objects a watch covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchTarget {
    /// One resource.
    One(Resource),
    /// Every deletable resource that discovery finds, but for these (`group/plural`).
    Discovered {
        /// Left out.
        except: Vec<SmolStr>,
    },
}

/// How much of each object a guest wants. `metadata.managedFields` is never part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum View {
    /// Everything.
    Full,
    /// `apiVersion`, `kind`, `metadata` and these dotted paths, through lists.
    Fields(Vec<SmolStr>),
    /// `apiVersion`, `kind` and `metadata`.
    Metadata,
}

/// What to do with an object that has no controlling owner under an owner rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrphanRule {
    /// Nothing.
    Ignore,
    /// Enqueue the objects of watch 0 in its namespace whose `spec.selector` matches it.
    MatchingSelectors,
}

/// How an event becomes keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnqueueRule {
    /// No keys.
    None,
    /// The object's own key.
    SelfKey,
    /// The controlling owner of this group and kind.
    Owner {
        /// API group of the owner.
        group: SmolStr,
        /// Kind of the owner.
        kind: SmolStr,
        /// What orphans do.
        orphans: OrphanRule,
    },
    /// The guest's mapper decides.
    Mapper,
}

/// Which kinds of event an enqueue rule applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventKinds {
    /// Objects that appear.
    pub added: bool,
    /// Objects that change.
    pub updated: bool,
    /// Objects that go.
    pub deleted: bool,
}

impl EventKinds {
    /// All of them.
    pub const ALL: Self = Self {
        added: true,
        updated: true,
        deleted: true,
    };
}

/// A named index over a watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexSpec {
    /// How `by-index` calls it.
    pub name: SmolStr,
    /// Dotted path of a scalar.
    pub path: SmolStr,
}

/// One watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchSpec {
    /// What is watched.
    pub target: WatchTarget,
    /// Label selector in string form; empty for all.
    pub label_selector: String,
    /// How much of each object.
    pub view: View,
    /// How events become keys.
    pub enqueue: EnqueueRule,
    /// Which events.
    pub on: EventKinds,
    /// Whether `observer` gets the deltas.
    pub observe: bool,
    /// Whether those carry the previous body.
    pub old_bodies: bool,
    /// Declared indexes.
    pub indexes: Vec<IndexSpec>,
}

/// What a guest declares about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Controller name (DNS label).
    pub name: SmolStr,
    /// The guest's own version.
    pub version: SmolStr,
    /// Its watches, by [`WatchId`].
    pub watches: Vec<WatchSpec>,
    /// Most syncs in flight at once, at least 1.
    pub workers: u32,
    /// What it needs beyond get, list and watch on what it watches.
    pub permissions: Vec<PermissionRule>,
    /// API calls per second it expects to need; 0 leaves it to the host.
    pub api_qps: u32,
    /// Burst of the same.
    pub api_burst: u32,
}
