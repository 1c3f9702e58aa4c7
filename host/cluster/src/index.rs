//! From values to the objects that have them.

use hashbrown::{HashMap, HashSet};
use smol_str::SmolStr;
use windlass_core::object::ObjectMeta;

use crate::json::{Cursor, Malformed, unescape};

/// The place of an object in its cache.
pub(crate) type Slot = u32;

/// Objects by one value each.
#[derive(Default)]
pub(crate) struct Postings {
    by_value: HashMap<SmolStr, HashSet<Slot>>,
}

impl Postings {
    fn insert(&mut self, value: &str, slot: Slot) {
        match self.by_value.get_mut(value) {
            Some(slots) => _ = slots.insert(slot),
            None => _ = self.by_value.entry(value.into()).or_default().insert(slot),
        }
    }

    fn remove(&mut self, value: &str, slot: Slot) {
        let Some(slots) = self.by_value.get_mut(value) else {
            return;
        };
        slots.remove(&slot);
        if slots.is_empty() {
            self.by_value.remove(value);
        }
    }

    pub(crate) fn get(&self, value: &str) -> impl Iterator<Item = Slot> + '_ {
        self.by_value.get(value).into_iter().flatten().copied()
    }
}

/// The indexes of one cache.
#[derive(Default)]
pub(crate) struct Indexes {
    pub(crate) namespace: Postings,
    /// By the UID of the controlling owner.
    pub(crate) owner: Postings,
    /// Objects without a controlling owner, by namespace.
    pub(crate) orphans: Postings,
    /// By dotted path.
    paths: Vec<PathIndex>,
}

struct PathIndex {
    path: SmolStr,
    postings: Postings,
    /// What each object is filed under, because its old body may lack the field's path by
    /// the time it is removed.
    values: HashMap<Slot, SmolStr>,
}

impl Indexes {
    pub(crate) fn path(&self, path: &str) -> Option<&Postings> {
        self.paths
            .iter()
            .find(|index| index.path == path)
            .map(|index| &index.postings)
    }

    /// Adds an index; nothing if it exists. The caller files what is cached already.
    pub(crate) fn add_path(&mut self, path: &str) -> bool {
        if self.path(path).is_some() {
            return false;
        }
        self.paths.push(PathIndex {
            path: path.into(),
            postings: Postings::default(),
            values: HashMap::new(),
        });
        true
    }

    pub(crate) fn insert(&mut self, slot: Slot, meta: &ObjectMeta) {
        let namespace = &meta.key.namespace;
        if !namespace.is_empty() {
            self.namespace.insert(namespace, slot);
        }
        match &meta.controller {
            Some(owner) => self.owner.insert(&owner.uid, slot),
            None => self.orphans.insert(namespace, slot),
        }
    }

    pub(crate) fn remove(&mut self, slot: Slot, meta: &ObjectMeta) {
        self.namespace.remove(&meta.key.namespace, slot);
        match &meta.controller {
            Some(owner) => self.owner.remove(&owner.uid, slot),
            None => self.orphans.remove(&meta.key.namespace, slot),
        }
        for index in &mut self.paths {
            index.file(slot, None);
        }
    }

    /// Refiles an object under the owner it has now.
    pub(crate) fn update(&mut self, slot: Slot, old: &ObjectMeta, new: &ObjectMeta) {
        let owner = |meta: &ObjectMeta| meta.controller.as_ref().map(|owner| owner.uid.clone());
        let (before, after) = (owner(old), owner(new));
        if before == after {
            return;
        }
        match before {
            Some(uid) => self.owner.remove(&uid, slot),
            None => self.orphans.remove(&old.key.namespace, slot),
        }
        match after {
            Some(uid) => self.owner.insert(&uid, slot),
            None => self.orphans.insert(&new.key.namespace, slot),
        }
    }

    /// Files an object by the declared paths of its body.
    pub(crate) fn file_body(&mut self, slot: Slot, body: &[u8]) {
        for index in &mut self.paths {
            // A body in the cache has been parsed, so the only failure left is a value
            // that is no scalar, which belongs under nothing.
            let value = scalar_at(body, &index.path);
            index.file(slot, value);
        }
    }
}

impl PathIndex {
    fn file(&mut self, slot: Slot, value: Option<SmolStr>) {
        if self.values.get(&slot) == value.as_ref() {
            return;
        }
        if let Some(old) = self.values.remove(&slot) {
            self.postings.remove(&old, slot);
        }
        if let Some(new) = value {
            self.postings.insert(&new, slot);
            self.values.insert(slot, new);
        }
    }
}

/// The scalar at a dotted path, in its text form; lists are not entered.
pub(crate) fn scalar_at(body: &[u8], path: &str) -> Option<SmolStr> {
    let mut value = body;
    for name in path.split('.') {
        value = member(value, name.as_bytes()).ok()??;
    }
    match value.first()? {
        b'"' => unescape(value.get(1..value.len() - 1)?).map(SmolStr::from),
        b'{' | b'[' | b'n' => None,
        _ => std::str::from_utf8(value).ok().map(SmolStr::from),
    }
}

fn member<'a>(object: &'a [u8], name: &[u8]) -> Result<Option<&'a [u8]>, Malformed> {
    if object.first() != Some(&b'{') {
        return Ok(None);
    }
    let mut found = None;
    let walked = Cursor::new(object).members(|cursor, key| {
        let value = cursor.value()?;
        if key == name {
            found = Some(value);
            // Ends the walk: what comes after does not matter.
            return Err(Malformed { offset: 0 });
        }
        Ok(())
    });
    match found {
        Some(value) => Ok(Some(value)),
        None => walked.map(|()| None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_to_scalars_only() {
        let body = br#"{"spec":{"nodeName":"n\u0031","replicas":3,"on":true,"none":null,"list":[1]}}"#;
        assert_eq!(scalar_at(body, "spec.nodeName").unwrap(), "n1");
        assert_eq!(scalar_at(body, "spec.replicas").unwrap(), "3");
        assert_eq!(scalar_at(body, "spec.on").unwrap(), "true");
        for path in [
            "spec",
            "spec.none",
            "spec.list",
            "spec.missing",
            "spec.nodeName.x",
        ] {
            assert_eq!(scalar_at(body, path), None, "{path}");
        }
    }
}
