//! The cached objects of one resource: one writer, many readers.
//!
//! Promises: a reader never waits for I/O or for another reader's unpacking, and sees each
//! object whole; [`Cache::observed_revision`] never goes back and never runs ahead of the
//! content. Deliberately not here: where the content comes from.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::RwLock;
use windlass_core::gate::Presence;
use windlass_core::key::ObjectKey;
use windlass_core::object::{Object, ObjectMeta};
use windlass_core::selector::Selector;

use crate::budget::Budget;
use crate::index::Place;
use crate::store::{Deleted, SameVersion, Store, Stored, Upserted};

/// The cached objects of one resource.
#[derive(Default)]
pub struct Cache {
    store: RwLock<Store>,
    revision: AtomicU64,
    budget: Arc<Budget>,
    leaves: AtomicBool,
}

impl Cache {
    /// An empty cache whose bytes count towards a budget.
    pub(crate) fn within(budget: Arc<Budget>) -> Self {
        Self {
            store: RwLock::default(),
            revision: AtomicU64::default(),
            budget,
            leaves: AtomicBool::default(),
        }
    }

    /// Nothing is stored any more, and the last reader's leaving gives the room back.
    pub(crate) fn leave(&self) {
        if !self.leaves.swap(true, Ordering::Relaxed) {
            self.budget.leaves();
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
        self.collect(|store| in_namespace(store, namespace))
    }

    /// Objects of a namespace, or of all, whose labels match a selector. A label that
    /// selectors ask for by its value gets an index when it is first asked for.
    #[must_use]
    pub fn select(&self, namespace: Option<&str>, selector: &Selector) -> Vec<Arc<Object>> {
        while let Some(place) = self.lacks(selector) {
            self.store.write().add_index(place);
        }
        let is_there =
            |stored: &Arc<Stored>| namespace.is_none_or(|there| stored.meta.key.namespace == there);
        let mut objects = self.collect(|store| match store.indexes().candidates(selector) {
            Some(slots) => {
                let mut stored = select(store, slots.into_iter());
                stored.retain(is_there);
                stored
            }
            None => in_namespace(store, namespace),
        });
        objects.retain(|object| selector.matches(&object.labels()));
        objects
    }

    fn lacks(&self, selector: &Selector) -> Option<Place> {
        self.store.read().indexes().lacks(selector)
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
        self.store.write().add_index(Place::Path(path.into()));
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
        if *self.leaves.get_mut() {
            self.budget.left();
        }
    }
}

fn select(store: &Store, slots: impl Iterator<Item = u32>) -> Vec<Arc<Stored>> {
    slots.filter_map(|slot| store.at(slot)).cloned().collect()
}

fn in_namespace(store: &Store, namespace: Option<&str>) -> Vec<Arc<Stored>> {
    match namespace {
        Some(namespace) => select(store, store.indexes().namespace.get(namespace)),
        None => store.iter().cloned().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(cache: &Cache, name: &str, revision: u64, labels: &str) {
        let body = format!(
            r#"{{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"{name}","namespace":"{}","uid":"{name}","resourceVersion":"{revision}","labels":{{{labels}}}}}}}"#,
            &name[..1]
        );
        let meta = ObjectMeta {
            key: ObjectKey::new(&name[..1], name),
            uid: name.into(),
            resource_version: revision,
            deleting: false,
            controller: None,
        };
        cache.upsert(meta, body.as_bytes(), SameVersion::Keep);
    }

    fn names(cache: &Cache, namespace: Option<&str>, selector: &str) -> Vec<String> {
        let selected = cache.select(namespace, &Selector::parse(selector).unwrap());
        let mut names: Vec<_> = selected
            .iter()
            .map(|object| object.key().name.to_string())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn room_is_coming_free_until_the_last_reader_of_a_cache_that_leaves_is_gone() {
        let budget = Arc::<Budget>::default();
        let (cache, other) = (
            Arc::new(Cache::within(Arc::clone(&budget))),
            Cache::within(Arc::clone(&budget)),
        );
        put(&cache, "a1", 1, "");
        drop(other);
        assert!(!budget.is_clearing(), "one that was never filled does not count");
        cache.leave();
        cache.leave();
        let reader = Arc::clone(&cache);
        drop(cache);
        assert!(budget.is_clearing() && budget.used() > 0);
        drop(reader);
        assert_eq!((budget.is_clearing(), budget.used()), (false, 0));
    }

    #[test]
    fn a_selection_is_the_same_with_an_index_as_without() {
        let cache = Cache::default();
        for number in 0..20 {
            let namespace = if number % 2 == 0 { 'a' } else { 'b' };
            let labels = format!(r#""app":"{}","hash":"{}""#, number % 3, number % 4);
            put(&cache, &format!("{namespace}{number}"), number, &labels);
        }
        put(&cache, "a-bare", 20, "");
        for selector in [
            "app=1",
            "app in (0,2),hash=1",
            "app!=1",
            "hash",
            "!app",
            "app=9",
            "",
            "app,hash!=2",
        ] {
            for namespace in [None, Some("a"), Some("b"), Some("c")] {
                let parsed = Selector::parse(selector).unwrap();
                let mut expected: Vec<_> = cache
                    .list(namespace)
                    .iter()
                    .filter(|object| parsed.matches(&object.labels()))
                    .map(|object| object.key().name.to_string())
                    .collect();
                expected.sort();
                assert_eq!(
                    names(&cache, namespace, selector),
                    expected,
                    "{selector} in {namespace:?}"
                );
            }
        }
    }

    #[test]
    fn an_index_of_labels_follows_what_happens_later() {
        let cache = Cache::default();
        put(&cache, "a1", 1, r#""app":"x""#);
        assert_eq!(names(&cache, None, "app=x"), ["a1"]);
        put(&cache, "a2", 2, r#""app":"x""#);
        put(&cache, "a1", 3, r#""app":"y""#);
        assert_eq!(names(&cache, None, "app=x"), ["a2"]);
        assert_eq!(names(&cache, None, "app=y"), ["a1"]);
        put(&cache, "a1", 4, "");
        assert!(names(&cache, None, "app=y").is_empty());
        cache.begin_list();
        cache.end_list();
        assert!(names(&cache, None, "app=x").is_empty());
    }

    #[test]
    fn labels_with_dots_and_slashes_are_keys_and_not_paths() {
        let cache = Cache::default();
        put(&cache, "a1", 1, r#""app.kubernetes.io/name":"x""#);
        assert_eq!(names(&cache, None, "app.kubernetes.io/name=x"), ["a1"]);
    }

    #[test]
    fn only_a_few_labels_get_an_index_and_the_others_are_found_all_the_same() {
        let cache = Cache::default();
        put(&cache, "a1", 1, r#""l0":"v","l9":"v""#);
        for number in 0..10 {
            let found = names(&cache, None, &format!("l{number}=v"));
            assert_eq!(found.is_empty(), number != 0 && number != 9);
        }
        assert!(cache.lacks(&Selector::parse("l10=v").unwrap()).is_none());
    }
}
