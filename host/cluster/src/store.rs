//! The content of a cache: each object once, packed, with its indexes.
//!
//! Plain data with one owner; [`crate::cache`] puts it behind a lock. A relist marks what
//! it meets with a new epoch, and what keeps an older one afterwards is gone, so that the
//! old and the new content never exist side by side.

use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};
use windlass_core::key::ObjectKey;
use windlass_core::object::{Object, ObjectMeta};

use crate::index::{Indexes, Place, Slot};
use crate::pack::{Learning, Packer, unpack};

/// Below this many objects a dictionary costs more than it saves.
const LEARN_FROM: usize = 64;

/// An object as the cache keeps it.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) meta: Arc<ObjectMeta>,
    packed: Box<[u8]>,
}

impl Stored {
    /// The object, its body unpacked by the dictionary of its cache.
    pub(crate) fn object(&self, dictionary: &[u8]) -> Arc<Object> {
        let body =
            unpack(&self.packed, dictionary).expect("packed by this cache, whose dictionary only grows");
        Arc::new(Object::from_parts(Arc::clone(&self.meta), body))
    }

    fn heap_bytes(&self) -> usize {
        self.packed.len() + size_of::<Self>() + size_of::<ObjectMeta>()
    }
}

/// What storing an object changed.
#[derive(Debug)]
pub(crate) enum Upserted {
    /// It is as old as what is cached, or older.
    Unchanged,
    Added(Arc<Stored>),
    Updated {
        old: Arc<Stored>,
        new: Arc<Stored>,
    },
    /// Another object of the same name, with a UID of its own.
    Replaced {
        old: Arc<Stored>,
        new: Arc<Stored>,
    },
}

/// An object that was taken out.
#[derive(Debug)]
pub(crate) struct Deleted {
    /// As it was in the cache.
    pub(crate) cached: Arc<Stored>,
    /// As the server saw it last.
    pub(crate) last: Arc<Stored>,
}

/// Whether an object of the version that is cached already is stored anew, because the
/// view of it changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SameVersion {
    Keep,
    Refresh,
}

struct Entry {
    stored: Arc<Stored>,
    epoch: u32,
}

/// See the module's documentation.
#[derive(Default)]
pub(crate) struct Store {
    entries: Vec<Option<Entry>>,
    free: Vec<Slot>,
    by_key: HashTable<Slot>,
    hasher: DefaultHashBuilder,
    indexes: Indexes,
    packer: Packer,
    scratch: Vec<u8>,
    epoch: u32,
    bytes: usize,
}

impl Store {
    pub(crate) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Bytes held by bodies and envelopes, names and indexes not counted.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn dictionary(&self) -> &Arc<[u8]> {
        self.packer.text()
    }

    pub(crate) fn indexes(&self) -> &Indexes {
        &self.indexes
    }

    pub(crate) fn get(&self, key: &ObjectKey) -> Option<&Arc<Stored>> {
        self.at(self.slot(key)?)
    }

    pub(crate) fn at(&self, slot: Slot) -> Option<&Arc<Stored>> {
        Some(&self.entry(slot)?.stored)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Stored>> {
        self.entries.iter().flatten().map(|entry| &entry.stored)
    }

    /// Starts a relist: everything cached has to be met again.
    pub(crate) fn begin_epoch(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
    }

    /// Ends a relist: takes out what it did not meet.
    pub(crate) fn sweep(&mut self) -> Vec<Arc<Stored>> {
        let epoch = self.epoch;
        let gone: Vec<ObjectKey> = self
            .entries
            .iter()
            .flatten()
            .filter(|entry| entry.epoch != epoch)
            .map(|entry| entry.stored.meta.key.clone())
            .collect();
        gone.iter().filter_map(|key| self.remove(key)).collect()
    }

    /// Stores an object unless what is cached is as new.
    pub(crate) fn upsert(&mut self, meta: ObjectMeta, body: &[u8], same_version: SameVersion) -> Upserted {
        let Some(slot) = self.slot(&meta.key) else {
            return Upserted::Added(self.insert(meta, body));
        };
        let epoch = self.epoch;
        let Some(entry) = self.entry_mut(slot) else {
            return Upserted::Unchanged;
        };
        let (cached_version, same_object) = (
            entry.stored.meta.resource_version,
            entry.stored.meta.uid == meta.uid,
        );
        let refreshed = cached_version == meta.resource_version && same_version == SameVersion::Refresh;
        if meta.resource_version <= cached_version && !refreshed {
            entry.epoch = epoch;
            return Upserted::Unchanged;
        }
        if !same_object {
            let old = self.remove(&meta.key);
            let new = self.insert(meta, body);
            return match old {
                Some(old) => Upserted::Replaced { old, new },
                None => Upserted::Added(new),
            };
        }
        let (old, new) = self.replace(slot, meta, body);
        if refreshed {
            Upserted::Unchanged
        } else {
            Upserted::Updated { old, new }
        }
    }

    pub(crate) fn remove(&mut self, key: &ObjectKey) -> Option<Arc<Stored>> {
        let slot = self.slot(key)?;
        let entries = &self.entries;
        if let Ok(found) = self.by_key.find_entry(self.hasher.hash_one(key), |candidate| {
            has_key(entries, *candidate, key)
        }) {
            found.remove();
        }
        let entry = self.entries.get_mut(slot as usize)?.take()?;
        self.indexes.remove(slot, &entry.stored.meta);
        self.free.push(slot);
        self.bytes -= entry.stored.heap_bytes();
        Some(entry.stored)
    }

    /// Takes out an object that a server says is deleted, unless what is cached is newer.
    pub(crate) fn delete(&mut self, meta: ObjectMeta, body: &[u8]) -> Option<Deleted> {
        let cached = &self.get(&meta.key)?.meta;
        if cached.resource_version > meta.resource_version {
            return None;
        }
        let same_object = cached.uid == meta.uid;
        let cached = self.remove(&meta.key)?;
        let last = if same_object {
            self.pack(meta, body)
        } else {
            Arc::clone(&cached)
        };
        Some(Deleted { cached, last })
    }

    /// Adds an index over what is cached and what will be.
    pub(crate) fn add_index(&mut self, place: Place) {
        if !self.indexes.add(place) {
            return;
        }
        for (slot, entry) in self.entries.iter().enumerate() {
            let (Ok(slot), Some(entry)) = (Slot::try_from(slot), entry) else {
                continue;
            };
            self.indexes
                .file_body(slot, entry.stored.object(self.packer.text()).body());
        }
    }

    fn insert(&mut self, meta: ObjectMeta, body: &[u8]) -> Arc<Stored> {
        let stored = self.store(meta, body);
        let entry = Entry {
            stored: Arc::clone(&stored),
            epoch: self.epoch,
        };
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                self.entries.push(None);
                Slot::try_from(self.entries.len() - 1).expect("a cache holds fewer than four billion objects")
            }
        };
        if let Some(place) = self.entries.get_mut(slot as usize) {
            *place = Some(entry);
        }
        let (entries, hasher) = (&self.entries, &self.hasher);
        self.by_key
            .insert_unique(hasher.hash_one(&stored.meta.key), slot, |slot| {
                hash_of(entries, hasher, *slot)
            });
        self.indexes.insert(slot, &stored.meta);
        self.indexes.file_body(slot, body);
        stored
    }

    fn replace(&mut self, slot: Slot, meta: ObjectMeta, body: &[u8]) -> (Arc<Stored>, Arc<Stored>) {
        let new = self.store(meta, body);
        let epoch = self.epoch;
        let entry = self.entry_mut(slot).expect("the caller found it there");
        let old = std::mem::replace(&mut entry.stored, Arc::clone(&new));
        entry.epoch = epoch;
        self.bytes -= old.heap_bytes();
        self.indexes.update(slot, &old.meta, &new.meta);
        self.indexes.file_body(slot, body);
        (old, new)
    }

    fn store(&mut self, mut meta: ObjectMeta, body: &[u8]) -> Arc<Stored> {
        self.share_controller(&mut meta);
        let stored = self.pack(meta, body);
        self.bytes += stored.heap_bytes();
        stored
    }

    fn pack(&mut self, meta: ObjectMeta, body: &[u8]) -> Arc<Stored> {
        let learning = if self.len() >= LEARN_FROM {
            Learning::On
        } else {
            Learning::Off
        };
        let packed = self.packer.pack(body, learning, &mut self.scratch);
        Arc::new(Stored {
            meta: Arc::new(meta),
            packed,
        })
    }

    /// Siblings share the reference to their owner.
    fn share_controller(&self, meta: &mut ObjectMeta) {
        let Some(owner) = &mut meta.controller else { return };
        let sibling = self
            .indexes
            .owner
            .get(&owner.uid)
            .next()
            .and_then(|slot| self.at(slot));
        if let Some(shared) = sibling.and_then(|sibling| sibling.meta.controller.as_ref()) {
            if shared == owner {
                *owner = Arc::clone(shared);
            }
        }
    }

    fn slot(&self, key: &ObjectKey) -> Option<Slot> {
        let hash = self.hasher.hash_one(key);
        self.by_key
            .find(hash, |slot| has_key(&self.entries, *slot, key))
            .copied()
    }

    fn entry(&self, slot: Slot) -> Option<&Entry> {
        self.entries.get(slot as usize)?.as_ref()
    }

    fn entry_mut(&mut self, slot: Slot) -> Option<&mut Entry> {
        self.entries.get_mut(slot as usize)?.as_mut()
    }
}

fn has_key(entries: &[Option<Entry>], slot: Slot, key: &ObjectKey) -> bool {
    entries
        .get(slot as usize)
        .and_then(Option::as_ref)
        .is_some_and(|entry| entry.stored.meta.key == *key)
}

fn hash_of(entries: &[Option<Entry>], hasher: &DefaultHashBuilder, slot: Slot) -> u64 {
    match entries.get(slot as usize) {
        Some(Some(entry)) => hasher.hash_one(&entry.stored.meta.key),
        _ => 0,
    }
}
