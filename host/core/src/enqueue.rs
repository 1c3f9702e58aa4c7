//! From an event on a watched object to the keys it concerns, natively, for every
//! enqueue rule but the guest's own mapper.
//!
//! The rules are those of the handlers in `pkg/controller/replicaset` and
//! `pkg/controller/deployment`: both the previous and the present controlling owner
//! count, and an orphan concerns whatever might adopt it. A key too many is harmless, a
//! key too few is a bug.

use serde::Deserialize;
use smallvec::SmallVec;

use crate::key::ObjectKey;
use crate::manifest::{EnqueueRule, EventKinds, OrphanRule, WatchId};
use crate::object::{ControllerRef, Object};
use crate::seams::{Delta, DeltaKind, ObjectReader};
use crate::selector::{LabelSelector, Selector};

/// The watch whose objects may adopt orphans: the controller's own kind.
const ADOPTERS: WatchId = 0;

/// Keys of one event, without repetition.
pub type Keys = SmallVec<[ObjectKey; 2]>;

/// The keys that a delta concerns. `siblings` reads the caches of the same controller and
/// is asked only for orphans. [`EnqueueRule::Mapper`] yields nothing: it is the caller's.
#[must_use]
pub fn keys(rule: &EnqueueRule, on: EventKinds, delta: &Delta, siblings: &dyn ObjectReader) -> Keys {
    let mut keys = Keys::new();
    if !applies(on, delta.kind) || is_unchanged(delta) {
        return keys;
    }
    match rule {
        EnqueueRule::None | EnqueueRule::Mapper => {}
        EnqueueRule::SelfKey => keys.push(delta.object.key().clone()),
        EnqueueRule::Owner { group, kind, orphans } => {
            let old = delta.old.as_deref();
            for object in std::iter::once(&*delta.object).chain(old) {
                let owner = object.controller().filter(|owner| owner.is(group, kind));
                push_owner(&mut keys, object, owner);
            }
            if *orphans == OrphanRule::MatchingSelectors && may_be_adopted(delta) {
                push_adopters(&mut keys, &delta.object, siblings);
            }
        }
    }
    keys
}

fn applies(on: EventKinds, kind: DeltaKind) -> bool {
    match kind {
        DeltaKind::Added => on.added,
        DeltaKind::Updated => on.updated,
        DeltaKind::Deleted => on.deleted,
    }
}

/// Two versions of the same number are the same object: a relist found nothing new. A
/// resync says so and counts.
fn is_unchanged(delta: &Delta) -> bool {
    let version = delta.object.resource_version();
    let same = delta
        .old
        .as_ref()
        .is_some_and(|old| old.resource_version() == version);
    delta.kind == DeltaKind::Updated && !delta.initial && same && version != 0
}

fn push_owner(keys: &mut Keys, object: &Object, owner: Option<&ControllerRef>) {
    if let Some(owner) = owner {
        push(
            keys,
            ObjectKey {
                namespace: object.key().namespace.clone(),
                name: owner.name.clone(),
            },
        );
    }
}

fn push(keys: &mut Keys, key: ObjectKey) {
    if !keys.contains(&key) {
        keys.push(key);
    }
}

/// Whether an orphan appeared, or one changed in a way that may make it adoptable. One
/// that is going away never is.
fn may_be_adopted(delta: &Delta) -> bool {
    let object = &delta.object;
    if object.controller().is_some() || object.deleting() {
        return false;
    }
    match (delta.kind, &delta.old) {
        (DeltaKind::Deleted, _) => false,
        (DeltaKind::Updated, Some(old)) => {
            old.controller().is_some() || !object.labels().same_as(&old.labels())
        }
        (DeltaKind::Added | DeltaKind::Updated, _) => true,
    }
}

fn push_adopters(keys: &mut Keys, orphan: &Object, siblings: &dyn ObjectReader) {
    let candidates = match siblings.list(ADOPTERS, Some(&orphan.key().namespace), "") {
        Ok(candidates) => candidates,
        Err(error) => {
            tracing::warn!(%error, "cannot look for objects that might adopt an orphan");
            return;
        }
    };
    let labels = orphan.labels();
    for candidate in candidates {
        let selector = selector_of(&candidate).filter(|selector| !selector.is_empty());
        if selector.is_some_and(|selector| selector.matches(&labels)) {
            push(keys, candidate.key().clone());
        }
    }
}

#[derive(Deserialize)]
struct Selecting {
    spec: SelectingSpec,
}

#[derive(Deserialize)]
struct SelectingSpec {
    selector: LabelSelector,
}

/// `spec.selector` of an object; nothing if it has none or one that is not understood,
/// which validation at the API server should have refused.
fn selector_of(object: &Object) -> Option<Selector> {
    let selecting: Selecting = serde_json::from_slice(object.body()).ok()?;
    selecting.spec.selector.to_selector().ok()
}

#[cfg(test)]
mod tests;
