//! Reads from the shared caches on behalf of one module.
//!
//! Promises: no I/O, no waiting; a watch shows only what the module may see, and with a
//! label selector only what matches it.

use std::sync::Arc;

use smol_str::SmolStr;
use windlass_core::gate::{CacheProgress, Presence};
use windlass_core::key::{ObjectKey, Resource};
use windlass_core::manifest::{IndexSpec, WatchId};
use windlass_core::object::Object;
use windlass_core::permission::Scope;
use windlass_core::seams::{ObjectReader, ReadError};
use windlass_core::selector::Selector;

use crate::cache::Cache;
use crate::informer::Informer;

/// The caches behind a module's watches. Made by a subscription; outlives it with the
/// content of that time.
pub struct Lister {
    /// By watch; nothing for those with a discovered target.
    watches: Vec<Option<ListedWatch>>,
}

pub(crate) struct ListedWatch {
    resource: Resource,
    cache: Arc<Cache>,
    selector: Option<Selector>,
    scope: Scope,
    indexes: Vec<IndexSpec>,
}

impl ListedWatch {
    pub(crate) fn new(
        informer: &Informer,
        selector: Option<Selector>,
        scope: Scope,
        indexes: &[IndexSpec],
    ) -> Self {
        let (resource, cache) = (informer.resource().clone(), Arc::clone(informer.cache()));
        Self {
            resource,
            cache,
            selector,
            scope,
            indexes: indexes.to_vec(),
        }
    }

    fn select(&self, mut objects: Vec<Arc<Object>>) -> Vec<Arc<Object>> {
        if self.selector.is_some() || !self.scope.is_everything() {
            objects.retain(|object| self.shows(object));
        }
        objects
    }

    fn shows(&self, object: &Object) -> bool {
        let matches = |selector: &Selector| selector.matches(&object.labels());
        self.scope.contains(object.key()) && self.selector.as_ref().is_none_or(matches)
    }

    fn index_path(&self, name: &str) -> Option<&SmolStr> {
        self.indexes
            .iter()
            .find(|index| index.name == name)
            .map(|index| &index.path)
    }
}

impl Lister {
    pub(crate) fn new(watches: Vec<Option<ListedWatch>>) -> Self {
        Self { watches }
    }

    fn watch(&self, watch: WatchId) -> Result<&ListedWatch, ReadError> {
        let position = usize::try_from(watch).unwrap_or(usize::MAX);
        self.watches
            .get(position)
            .and_then(Option::as_ref)
            .ok_or(ReadError::UnknownWatch(watch))
    }

    fn of_resource(&self, resource: &Resource) -> Option<&ListedWatch> {
        self.watches
            .iter()
            .flatten()
            .find(|watch| watch.resource == *resource)
    }
}

impl ObjectReader for Lister {
    fn get(&self, watch: WatchId, key: &ObjectKey) -> Result<Option<Arc<Object>>, ReadError> {
        let watch = self.watch(watch)?;
        Ok(watch.cache.get(key).filter(|object| watch.shows(object)))
    }

    fn list(
        &self,
        watch: WatchId,
        namespace: Option<&str>,
        selector: &str,
    ) -> Result<Vec<Arc<Object>>, ReadError> {
        let watch = self.watch(watch)?;
        let selector = Selector::parse(selector).map_err(|error| ReadError::Invalid(error.to_string()))?;
        Ok(watch.select(watch.cache.select(namespace, &selector)))
    }

    fn by_index(&self, watch: WatchId, index: &str, value: &str) -> Result<Vec<Arc<Object>>, ReadError> {
        let listed = self.watch(watch)?;
        let undeclared = || ReadError::Invalid(format!("watch {watch} declares no index {index:?}"));
        let path = listed.index_path(index).ok_or_else(undeclared)?;
        Ok(listed.select(listed.cache.by_path(path, value).ok_or_else(undeclared)?))
    }

    fn by_owner(&self, watch: WatchId, uid: &str) -> Result<Vec<Arc<Object>>, ReadError> {
        let watch = self.watch(watch)?;
        Ok(watch.select(watch.cache.by_owner(uid)))
    }

    fn orphans(&self, watch: WatchId, namespace: &str) -> Result<Vec<Arc<Object>>, ReadError> {
        let watch = self.watch(watch)?;
        Ok(watch.select(watch.cache.orphans(namespace)))
    }
}

impl CacheProgress for Lister {
    fn observed_revision(&self, resource: &Resource) -> Option<u64> {
        Some(self.of_resource(resource)?.cache.observed_revision())
    }

    fn shows(&self, resource: &Resource, key: &ObjectKey, uid: &str) -> Presence {
        self.of_resource(resource)
            .map_or(Presence::Absent, |watch| watch.cache.presence(key, uid))
    }
}
