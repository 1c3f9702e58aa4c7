//! The cached objects of one resource: one writer, many readers.
//!
//! Promises: a reader never waits for I/O or for another reader's unpacking, and sees each
//! object whole; [`Cache::observed_revision`] never goes back and never runs ahead of the
//! content. Deliberately not here: where the content comes from.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;
use windlass_core::gate::Presence;
use windlass_core::key::ObjectKey;
use windlass_core::object::{Object, ObjectMeta};

use crate::budget::Budget;
use crate::store::{Deleted, SameVersion, Store, Stored, Upserted};

/// The cached objects of one resource.
#[derive(Default)]
pub struct Cache {
    store: RwLock<Store>,
    revision: AtomicU64,
    budget: Arc<Budget>,
}

impl Cache {
    /// An empty cache whose bytes count towards a budget.
    pub(crate) fn within(budget: Arc<Budget>) -> Self {
        Self {
            store: RwLock::default(),
            revision: AtomicU64::default(),
            budget,
        }
    }

    pub(crate) fn budget(&self) -> &Budget {
        &self.budget
    }

    /// One object.
    #[must_use]
    pub fn get(&self, key: &ObjectKey) -> Option<Arc<Object>> {
        let (stored, dictionary) = {
            let store = self.store.read();
            (Arc::clone(store.get(key)?), Arc::clone(store.dictionary()))
        };
        Some(stored.object(&dictionary))
    }

    /// All objects of a namespace, or of all.
    #[must_use]
    pub fn list(&self, namespace: Option<&str>) -> Vec<Arc<Object>> {
        self.collect(|store| match namespace {
            Some(namespace) => select(store, store.indexes().namespace.get(namespace)),
            None => store.iter().cloned().collect(),
        })
    }

    /// Objects with this scalar at a path that has an index; nothing if it has none.
    #[must_use]
    pub fn by_path(&self, path: &str, value: &str) -> Option<Vec<Arc<Object>>> {
        self.store.read().indexes().path(path)?;
        Some(self.collect(|store| match store.indexes().path(path) {
            Some(postings) => select(store, postings.get(value)),
            None => Vec::new(),
        }))
    }

    /// Objects controlled by this UID.
    #[must_use]
    pub fn by_owner(&self, uid: &str) -> Vec<Arc<Object>> {
        self.collect(|store| select(store, store.indexes().owner.get(uid)))
    }

    /// Objects of a namespace that nobody controls.
    #[must_use]
    pub fn orphans(&self, namespace: &str) -> Vec<Arc<Object>> {
        self.collect(|store| select(store, store.indexes().orphans.get(namespace)))
    }

    /// How many objects there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.store.read().len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes held by bodies and envelopes; names and indexes are not counted.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.store.read().bytes()
    }

    /// The latest resource version seen, bookmarks included; 0 before the first list.
    #[must_use]
    pub fn observed_revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }

    /// What is known of an object, without its body.
    #[must_use]
    pub fn presence(&self, key: &ObjectKey, uid: &str) -> Presence {
        let store = self.store.read();
        match store.get(key).map(|stored| &stored.meta) {
            Some(meta) if uid.is_empty() || meta.uid == uid => Presence::Present {
                revision: meta.resource_version,
                deleting: meta.deleting,
            },
            _ => Presence::Absent,
        }
    }

    fn collect(&self, select: impl FnOnce(&Store) -> Vec<Arc<Stored>>) -> Vec<Arc<Object>> {
        let (selected, dictionary) = {
            let store = self.store.read();
            (select(&store), Arc::clone(store.dictionary()))
        };
        selected.iter().map(|stored| stored.object(&dictionary)).collect()
    }

    pub(crate) fn dictionary(&self) -> Arc<[u8]> {
        Arc::clone(self.store.read().dictionary())
    }

    pub(crate) fn snapshot(&self) -> Vec<Arc<Stored>> {
        self.store.read().iter().cloned().collect()
    }

    pub(crate) fn add_path_index(&self, path: &str) {
        self.store.write().add_path_index(path);
    }

    pub(crate) fn begin_list(&self) {
        self.store.write().begin_epoch();
    }

    pub(crate) fn end_list(&self) -> Vec<Arc<Stored>> {
        self.change(Store::sweep)
    }

    pub(crate) fn upsert(&self, meta: ObjectMeta, body: &[u8], same_version: SameVersion) -> Upserted {
        self.change(|store| store.upsert(meta, body, same_version))
    }

    pub(crate) fn delete(&self, meta: ObjectMeta, body: &[u8]) -> Option<Deleted> {
        self.change(|store| store.delete(meta, body))
    }

    fn change<T>(&self, change: impl FnOnce(&mut Store) -> T) -> T {
        let mut store = self.store.write();
        let before = store.bytes();
        let changed = change(&mut store);
        self.budget.changed(before, store.bytes());
        changed
    }

    /// Only after the content is in.
    pub(crate) fn advance(&self, revision: u64) {
        self.revision.fetch_max(revision, Ordering::AcqRel);
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        let bytes = self.store.get_mut().bytes();
        self.budget.changed(bytes, 0);
    }
}

fn select(store: &Store, slots: impl Iterator<Item = u32>) -> Vec<Arc<Stored>> {
    slots.filter_map(|slot| store.at(slot)).cloned().collect()
}
