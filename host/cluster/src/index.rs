//! From values to the objects that have them.

use hashbrown::{HashMap, HashSet};
use smol_str::SmolStr;
use windlass_core::object::{Labels, ObjectMeta};
use windlass_core::selector::{LabelOperator, LabelRequirement, Selector};

use crate::json::{Cursor, Malformed, unescape};

/// Labels that have an index. Each costs a few dozen bytes an object, and filing.
const MAX_LABELS: usize = 4;

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

    fn count(&self, value: &str) -> usize {
        self.by_value.get(value).map_or(0, HashSet::len)
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
    /// By what is in the body.
    body: Vec<BodyIndex>,
}

/// Where a value is in a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// At a dotted path.
    Path(SmolStr),
    /// The label of this key.
    Label(SmolStr),
}

struct BodyIndex {
    place: Place,
    postings: Postings,
    /// What each object is filed under, because its old body may lack the field's path by
    /// the time it is removed.
    values: HashMap<Slot, SmolStr>,
}

impl Indexes {
    pub(crate) fn path(&self, path: &str) -> Option<&Postings> {
        self.at(&Place::Path(path.into()))
    }

    fn at(&self, place: &Place) -> Option<&Postings> {
        let index = self.body.iter().find(|index| index.place == *place)?;
        Some(&index.postings)
    }

    /// Adds an index; nothing if it exists. The caller files what is cached already.
    pub(crate) fn add(&mut self, place: Place) -> bool {
        if self.at(&place).is_some() {
            return false;
        }
        self.body.push(BodyIndex {
            place,
            postings: Postings::default(),
            values: HashMap::new(),
        });
        true
    }

    /// The first label by whose value a selector asks and that has no index, if it may
    /// have one.
    pub(crate) fn lacks(&self, selector: &Selector) -> Option<Place> {
        let labels = self
            .body
            .iter()
            .filter(|index| matches!(index.place, Place::Label(_)));
        if labels.count() >= MAX_LABELS {
            return None;
        }
        let asked = selector
            .requirements()
            .iter()
            .filter(|requirement| values(requirement).is_some());
        let mut places = asked.map(|requirement| Place::Label(requirement.key.as_str().into()));
        places.find(|place| self.at(place).is_none())
    }

    /// All objects that may match a selector, by the label that leaves the fewest; nothing
    /// if none of its labels has an index.
    pub(crate) fn candidates(&self, selector: &Selector) -> Option<Vec<Slot>> {
        let by_value = selector.requirements().iter().filter_map(|requirement| {
            let postings = self.at(&Place::Label(requirement.key.as_str().into()))?;
            let values = values(requirement)?;
            let count: usize = values.iter().map(|value| postings.count(value)).sum();
            Some((count, postings, values))
        });
        let (_, postings, values) = by_value.min_by_key(|(count, ..)| *count)?;
        Some(values.into_iter().flat_map(|value| postings.get(value)).collect())
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
        for index in &mut self.body {
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

    /// Files an object by what is in its body.
    pub(crate) fn file_body(&mut self, slot: Slot, body: &[u8]) {
        let mut labels = None;
        for index in &mut self.body {
            let value = match &index.place {
                // A body in the cache has been parsed, so the only failure left is a value
                // that is no scalar, which belongs under nothing.
                Place::Path(path) => scalar_at(body, path),
                Place::Label(key) => {
                    let labels = labels.get_or_insert_with(|| Labels::of_body(body));
                    labels.get(key).map(SmolStr::from)
                }
            };
            index.file(slot, value);
        }
    }
}

/// The values that a requirement lets its label have, if it names them.
fn values(requirement: &LabelRequirement) -> Option<Vec<&str>> {
    match &requirement.operator {
        LabelOperator::Equals(value) => Some(vec![value]),
        LabelOperator::In(values) => Some(values.iter().map(String::as_str).collect()),
        _ => None,
    }
}

impl BodyIndex {
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
