//! One shared informer: a cache, and who is to be told what changes in it.
//!
//! Promises: a change enters the cache and every subscriber's queue in one step, so that a
//! subscriber that joins meanwhile misses nothing and sees nothing twice; subscribers get
//! the present content first. Deliberately not here: how changes come about
//! ([`crate::reflector`]) and how many informers there are ([`crate::registry`]).

use std::sync::{Arc, OnceLock};

use hashbrown::HashSet;
use parking_lot::{Mutex, RwLock};
use smol_str::SmolStr;
use tokio::sync::Notify;
use windlass_core::key::{Resource, ResourceInfo};
use windlass_core::manifest::{View, WatchId};
use windlass_core::object::ObjectMeta;
use windlass_core::permission::Scope;
use windlass_core::seams::DeltaKind;
use windlass_core::selector::Selector;

use crate::budget::Budget;
use crate::cache::Cache;
use crate::prune::Projection;
use crate::queue::{Change, Queue};
use crate::store::{Deleted, SameVersion, Stored, Upserted};

/// What one subscriber wants of an informer.
pub(crate) struct Attachment {
    pub(crate) watch: WatchId,
    pub(crate) queue: Arc<Queue>,
    /// Unset: every object.
    pub(crate) selector: Option<Selector>,
    /// What the subscriber may see.
    pub(crate) scope: Scope,
    pub(crate) view: View,
    pub(crate) index_paths: Vec<SmolStr>,
    pub(crate) old_bodies: bool,
    pub(crate) patience: Patience,
    /// What it was told of before, by another informer: what the first content has not is
    /// gone.
    pub(crate) known: Option<Known>,
}

impl Attachment {
    /// The same wishes towards another informer.
    pub(crate) fn share(&self) -> Self {
        Self {
            watch: self.watch,
            queue: Arc::clone(&self.queue),
            selector: self.selector.clone(),
            scope: self.scope.clone(),
            view: self.view.clone(),
            index_paths: self.index_paths.clone(),
            old_bodies: self.old_bodies,
            patience: self.patience,
            known: None,
        }
    }
}

/// The objects that an informer told a subscriber of until it left.
pub(crate) struct Known {
    informer: Arc<Informer>,
    objects: Vec<Arc<Stored>>,
}

/// What a resource that cannot be listed means for whoever waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// It is waited for.
    Endless,
    /// It counts as synced: one broken extension server must not stop the garbage collector.
    UntilFailure,
}

/// Names an attachment.
pub(crate) type AttachmentId = u64;

struct Attached {
    id: AttachmentId,
    wants: Attachment,
    state: Delivery,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Delivery {
    /// Waits for content that holds what it wants.
    Waiting,
    /// Waits, but no longer holds its subscription up.
    Excused,
    /// Has the content and gets the changes.
    Live,
}

#[derive(Default)]
struct Hub {
    attached: Vec<Attached>,
    last_id: AttachmentId,
    /// How much of each object the cache holds at least; nothing before the first list.
    listed: Option<Projection>,
    /// What the bodies in the cache were pruned to: several while a list changes it.
    bodies: Vec<Projection>,
    /// Whether that is more than anybody wants.
    is_too_wide: bool,
    /// Whether a list waits for room.
    is_paused: bool,
}

/// What a list that begins does to the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Filling {
    /// Whether it replaces bodies of versions that are cached already.
    pub(crate) same_version: SameVersion,
    /// Whether it brings what was not there before, and not only what a watch missed.
    pub(crate) is_new: bool,
}

/// How an informer fares, for readiness, metrics and the status page.
#[derive(Clone, Debug)]
pub struct InformerStatus {
    /// What it watches.
    pub resource: Resource,
    /// Whether its first list is complete.
    pub synced: bool,
    /// Objects cached.
    pub objects: usize,
    /// Bytes of bodies and envelopes.
    pub bytes: usize,
    /// Latest resource version seen.
    pub revision: u64,
    /// How many watches of modules share it.
    pub subscribers: usize,
    /// Lists completed.
    pub lists: u64,
    /// Watches opened.
    pub watches: u64,
    /// What its last request failed of; nothing since one succeeded.
    pub last_error: Option<String>,
}

#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) lists: u64,
    pub(crate) watches: u64,
    pub(crate) last_error: Option<String>,
}

/// See the module's documentation.
pub(crate) struct Informer {
    resource: Resource,
    source: OnceLock<Arc<ResourceInfo>>,
    cache: Arc<Cache>,
    hub: Mutex<Hub>,
    view_changed: Notify,
    counters: RwLock<Counters>,
}

impl Informer {
    pub(crate) fn new(resource: Resource, budget: Arc<Budget>) -> Self {
        Self {
            resource,
            source: OnceLock::new(),
            cache: Arc::new(Cache::within(budget)),
            hub: Mutex::default(),
            view_changed: Notify::new(),
            counters: RwLock::default(),
        }
    }

    pub(crate) fn resource(&self) -> &Resource {
        &self.resource
    }

    pub(crate) fn cache(&self) -> &Arc<Cache> {
        &self.cache
    }

    /// The resource as discovery describes it; known before anything is cached.
    pub(crate) fn source(&self) -> Arc<ResourceInfo> {
        Arc::clone(self.source.get_or_init(|| {
            Arc::new(ResourceInfo {
                resource: self.resource.clone(),
                kind: SmolStr::default(),
                namespaced: true,
            })
        }))
    }

    pub(crate) fn set_source(&self, source: ResourceInfo) {
        let _ = self.source.set(Arc::new(source));
    }

    pub(crate) fn status(&self) -> InformerStatus {
        let (subscribers, synced) = {
            let hub = self.hub.lock();
            (hub.attached.len(), hub.listed.is_some())
        };
        let counters = self.counters.read();
        InformerStatus {
            resource: self.resource.clone(),
            synced,
            objects: self.cache.len(),
            bytes: self.cache.bytes(),
            revision: self.cache.observed_revision(),
            subscribers,
            lists: counters.lists,
            watches: counters.watches,
            last_error: counters.last_error.clone(),
        }
    }

    pub(crate) fn count(&self, update: impl FnOnce(&mut Counters)) {
        update(&mut self.counters.write());
    }

    /// Resolves when the cache has to hold more of each object than it does, or should
    /// hold less.
    pub(crate) async fn view_changed(&self) {
        // A notification may be left from an attachment that the last list satisfied.
        while !self.hub.lock().view_has_changed() {
            self.view_changed.notified().await;
        }
    }

    /// Waits until all caches together hold no more than they may. False when nobody wants
    /// this much of the objects any more.
    pub(crate) async fn room(&self, projection: &Projection) -> bool {
        let budget = self.cache.budget();
        if !budget.is_exceeded() {
            return true;
        }
        let mut wanted = true;
        while budget.is_exceeded() && wanted {
            self.hub.lock().is_paused = true;
            tokio::select! {
                () = budget.fits() => {}
                () = self.view_changed.notified() => wanted = !self.is_wider_than_wanted(projection),
            }
        }
        self.hub.lock().is_paused = false;
        wanted
    }

    /// Whether whoever asked for some of this has left.
    pub(crate) fn is_wider_than_wanted(&self, projection: &Projection) -> bool {
        let wanted = self.hub.lock().wanted_projection();
        wanted != *projection && projection.includes(&wanted)
    }

    /// Whether the cache holds more of the objects than anybody wants, for a moment: not
    /// while the list fails that would change it.
    pub(crate) fn is_narrowing(&self) -> bool {
        let hub = self.hub.lock();
        let wanted = hub.wanted_projection();
        let is_wider = hub.bodies.iter().any(|held| !wanted.includes(held));
        is_wider && !hub.is_paused && self.is_well()
    }

    /// Whether a subscriber waits for content that is on its way.
    pub(crate) fn is_awaited_by(&self, id: AttachmentId) -> bool {
        let hub = self.hub.lock();
        let mut attached = hub.attached.iter();
        let waits = |attached: &Attached| attached.id == id && attached.state == Delivery::Waiting;
        attached.any(waits) && (hub.is_paused || self.is_well())
    }

    fn is_well(&self) -> bool {
        self.counters.read().last_error.is_none()
    }

    /// Adds a subscriber, which gets the present content as soon as it holds what the
    /// subscriber wants to see.
    pub(crate) fn attach(self: &Arc<Self>, wants: Attachment) -> AttachmentId {
        wants.queue.expect_sync();
        for path in &wants.index_paths {
            self.cache.add_path_index(path);
        }
        let mut hub = self.hub.lock();
        hub.last_id += 1;
        let id = hub.last_id;
        let mut attached = Attached {
            id,
            wants,
            state: Delivery::Waiting,
        };
        if hub
            .listed
            .as_ref()
            .is_some_and(|listed| covers(listed, &attached.wants))
        {
            self.go_live(&mut attached);
        } else {
            self.view_changed.notify_one();
        }
        hub.attached.push(attached);
        hub.compare_views();
        id
    }

    /// Takes a subscriber off that goes on to know what it was told of.
    pub(crate) fn detach_knowing(self: &Arc<Self>, id: AttachmentId) -> Option<Known> {
        let mut hub = self.hub.lock();
        let attached = hub.take(id)?;
        hub.compare_views();
        attached.finish_waiting();
        if attached.state != Delivery::Live {
            return attached.wants.known;
        }
        Some(Known {
            informer: Arc::clone(self),
            objects: self.cache.snapshot(),
        })
    }

    /// Takes off a subscriber that listens no more.
    pub(crate) fn detach(&self, id: AttachmentId) {
        let mut hub = self.hub.lock();
        hub.take(id);
        hub.compare_views();
        self.view_changed.notify_one();
    }

    /// Begins a list of as much of each object as is wanted.
    pub(crate) fn begin_list(&self) -> (Projection, Filling) {
        let mut hub = self.hub.lock();
        self.cache.begin_list();
        let projection = hub.wanted_projection();
        let is_wider = hub.bodies.iter().any(|held| !held.includes(&projection));
        let same_version = if hub.bodies.iter().any(|held| *held != projection) {
            SameVersion::Refresh
        } else {
            SameVersion::Keep
        };
        let is_new = is_wider || hub.listed.is_none();
        if !hub.bodies.contains(&projection) {
            hub.bodies.push(projection.clone());
        }
        let filling = Filling { same_version, is_new };
        (projection, filling)
    }

    /// Caches an object and tells who wants to know. Whether the cache is larger by it.
    pub(crate) fn store(
        self: &Arc<Self>,
        meta: ObjectMeta,
        body: &[u8],
        same_version: SameVersion,
        initial: bool,
    ) -> bool {
        let hub = self.hub.lock();
        let before = self.cache.bytes();
        let change = |kind, new, old| Change {
            kind,
            new,
            old,
            initial,
        };
        match self.cache.upsert(meta, body, same_version) {
            Upserted::Unchanged => {}
            Upserted::Added(new) => self.send(&hub, &change(DeltaKind::Added, new, None)),
            Upserted::Updated { old, new } => self.send(&hub, &change(DeltaKind::Updated, new, Some(old))),
            Upserted::Replaced { old, new } => {
                self.send(&hub, &change(DeltaKind::Deleted, old, None));
                self.send(&hub, &change(DeltaKind::Added, new, None));
            }
        }
        self.cache.bytes() > before
    }

    /// Takes an object out, in the state given, and tells who wants to know.
    pub(crate) fn delete(self: &Arc<Self>, meta: ObjectMeta, body: &[u8]) {
        let hub = self.hub.lock();
        if let Some(Deleted { cached, last }) = self.cache.delete(meta, body) {
            let change = Change {
                old: Some(cached),
                ..Change::new(DeltaKind::Deleted, last)
            };
            self.send(&hub, &change);
        }
    }

    /// A list is complete: what it did not hold is gone, and who waited for it goes live.
    pub(crate) fn end_list(self: &Arc<Self>, projection: &Projection, revision: u64) {
        let mut hub = self.hub.lock();
        for gone in self.cache.end_list() {
            self.send(
                &hub,
                &Change {
                    kind: DeltaKind::Deleted,
                    new: gone,
                    old: None,
                    initial: true,
                },
            );
        }
        self.cache.advance(revision);
        hub.listed = Some(projection.clone());
        hub.bodies = vec![projection.clone()];
        hub.compare_views();
        for attached in &mut hub.attached {
            if attached.state != Delivery::Live && covers(projection, &attached.wants) {
                self.go_live(attached);
            }
            attached.wants.queue.tick();
        }
    }

    /// Everything up to this version is cached.
    pub(crate) fn advance(&self, revision: u64) {
        let hub = self.hub.lock();
        self.cache.advance(revision);
        hub.attached
            .iter()
            .for_each(|attached| attached.wants.queue.tick());
    }

    /// Delivers everything cached once more.
    pub(crate) fn resync(self: &Arc<Self>) {
        let hub = self.hub.lock();
        for stored in self.cache.snapshot() {
            let old = Some(Arc::clone(&stored));
            self.send(
                &hub,
                &Change {
                    kind: DeltaKind::Updated,
                    new: stored,
                    old,
                    initial: true,
                },
            );
        }
    }

    /// A list failed: whoever has limited patience waits no longer.
    pub(crate) fn failed(self: &Arc<Self>, error: &str) {
        self.count(|counters| counters.last_error = Some(error.to_owned()));
        for attached in &mut self.hub.lock().attached {
            if attached.state == Delivery::Waiting && attached.wants.patience == Patience::UntilFailure {
                attached.state = Delivery::Excused;
                attached.wants.queue.push_synced();
            }
        }
    }

    fn go_live(self: &Arc<Self>, attached: &mut Attached) {
        let present = self.cache.snapshot();
        if let Some(Known { informer, objects }) = attached.wants.known.take() {
            let uids: HashSet<&str> = present.iter().map(|stored| stored.meta.uid.as_str()).collect();
            let gone = objects.into_iter();
            let gone = gone.filter(|stored| !uids.contains(stored.meta.uid.as_str()));
            let deleted = gone.map(|stored| Change::new(DeltaKind::Deleted, stored));
            informer.send_selected(attached, deleted);
        }
        self.send_selected(
            attached,
            present.into_iter().map(|stored| Change {
                initial: true,
                ..Change::new(DeltaKind::Added, stored)
            }),
        );
        attached.finish_waiting();
        attached.state = Delivery::Live;
    }

    fn send(self: &Arc<Self>, hub: &Hub, change: &Change) {
        for attached in hub
            .attached
            .iter()
            .filter(|attached| attached.state == Delivery::Live)
        {
            self.send_selected(attached, std::iter::once(change.clone()));
        }
    }

    fn send_selected(self: &Arc<Self>, attached: &Attached, changes: impl Iterator<Item = Change>) {
        let wants = &attached.wants;
        let seen = changes.filter(|change| wants.scope.contains(&change.new.meta.key));
        match &wants.selector {
            None => wants.queue.push(wants.watch, wants.old_bodies, self, seen),
            Some(selector) => {
                let dictionary = self.cache.dictionary();
                let selected = seen.filter_map(|change| selected(selector, &dictionary, change));
                wants.queue.push(wants.watch, wants.old_bodies, self, selected);
            }
        }
    }
}

impl Hub {
    /// What the cache should hold of each object.
    fn wanted_projection(&self) -> Projection {
        let mut projection = Projection::METADATA;
        for attached in &self.attached {
            let wants = &attached.wants;
            projection.include(&wants.view, wants.index_paths.iter().map(SmolStr::as_str));
        }
        projection
    }

    /// To be called when subscribers or the content have changed.
    fn compare_views(&mut self) {
        let wanted = self.wanted_projection();
        let is_too_wide = |listed: &Projection| !wanted.includes(listed);
        self.is_too_wide = !self.attached.is_empty() && self.listed.as_ref().is_some_and(is_too_wide);
    }

    fn view_has_changed(&self) -> bool {
        let waits = |attached: &Attached| attached.state != Delivery::Live;
        self.is_too_wide || self.attached.iter().any(waits)
    }

    fn take(&mut self, id: AttachmentId) -> Option<Attached> {
        let position = self.attached.iter().position(|attached| attached.id == id)?;
        Some(self.attached.remove(position))
    }
}

impl Attached {
    fn finish_waiting(&self) {
        if self.state == Delivery::Waiting {
            self.wants.queue.push_synced();
        }
    }
}

fn covers(listed: &Projection, wants: &Attachment) -> bool {
    let mut wider = listed.clone();
    wider.include(&wants.view, wants.index_paths.iter().map(SmolStr::as_str));
    wider == *listed
}

/// A change as it looks through a selector: objects come and go with their labels.
fn selected(selector: &Selector, dictionary: &[u8], change: Change) -> Option<Change> {
    let matches = |stored: &Arc<Stored>| selector.matches(&stored.object(dictionary).labels());
    let now = matches(&change.new);
    let before = change.old.as_ref().map(matches);
    match (change.kind, before, now) {
        (DeltaKind::Updated, Some(false), true) => Some(Change {
            kind: DeltaKind::Added,
            old: None,
            ..change
        }),
        (DeltaKind::Updated, Some(true), false) => Some(Change {
            kind: DeltaKind::Deleted,
            old: None,
            ..change
        }),
        // Its last state may have lost the labels by which it was told of.
        (DeltaKind::Deleted, Some(was_told), _) => was_told.then_some(change),
        (_, _, matches) => matches.then_some(change),
    }
}
