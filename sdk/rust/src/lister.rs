//! Typed reads from the host's shared caches: no I/O, no waiting.

use std::marker::PhantomData;

use crate::controller::Error;
use crate::host;
use crate::object::{Object, ObjectKey};

/// Reads the objects of one watch. Make it a constant beside the manifest:
/// `const PODS: Lister<Pod> = Lister::new(1);`
#[derive(Debug)]
pub struct Lister<T> {
    watch: u32,
    kind: PhantomData<fn() -> T>,
}

/// The JSON of one object of the watch at this position, to be passed on unread.
#[must_use]
pub fn cached_body(watch: u32, key: &ObjectKey) -> Option<Vec<u8>> {
    host::lister::get(watch, key)
}

impl<T: Object> Lister<T> {
    /// Reads the watch at this position in the manifest.
    #[must_use]
    pub const fn new(watch: u32) -> Self {
        Self {
            watch,
            kind: PhantomData,
        }
    }

    /// The same watch, read as another type, such as a [`Snapshot`](crate::Snapshot).
    #[must_use]
    pub const fn typed<Other: Object>(&self) -> Lister<Other> {
        Lister::new(self.watch)
    }

    /// One object.
    pub fn get(&self, key: &ObjectKey) -> Result<Option<T>, Error> {
        host::lister::get(self.watch, key)
            .map(|body| self.parse(&body))
            .transpose()
    }

    /// The objects of a namespace, or of all, that match a selector in string form
    /// (empty: every object).
    pub fn list(&self, namespace: Option<&str>, label_selector: &str) -> Result<Vec<T>, Error> {
        self.parse_all(host::lister::list(self.watch, namespace, label_selector).map_err(Error::Terminal)?)
    }

    /// The objects with this value under a declared index.
    pub fn by_index(&self, index: &str, value: &str) -> Result<Vec<T>, Error> {
        self.parse_all(host::lister::by_index(self.watch, index, value).map_err(Error::Terminal)?)
    }

    /// The objects whose controlling owner has this UID.
    pub fn by_owner(&self, uid: &str) -> Result<Vec<T>, Error> {
        self.parse_all(host::lister::by_owner(self.watch, uid))
    }

    /// The objects of a namespace without a controlling owner.
    pub fn orphans(&self, namespace: &str) -> Result<Vec<T>, Error> {
        self.parse_all(host::lister::orphans(self.watch, namespace))
    }

    fn parse_all(&self, bodies: Vec<Vec<u8>>) -> Result<Vec<T>, Error> {
        bodies.iter().map(|body| self.parse(body)).collect()
    }

    fn parse(&self, body: &[u8]) -> Result<T, Error> {
        serde_json::from_slice(body).map_err(|error| {
            Error::Terminal(format!(
                "watch {}: a {} does not parse: {error}",
                self.watch,
                T::KIND
            ))
        })
    }
}
