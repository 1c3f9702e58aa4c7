//! One object in the graph, laid out to be small: most have no dependents and no owners.

use std::collections::HashSet;

use crate::identity::{Coordinates, Identity, OwnerRef, Uid};
use crate::metadata::DeletionState;

/// One object.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) at: Coordinates,
    pub(crate) owners: Box<[OwnerRef]>,
    #[expect(
        clippy::box_collection,
        reason = "a third of the size where there is nothing in it"
    )]
    dependents: Option<Box<HashSet<Uid>>>,
    pub(crate) state: DeletionState,
    observed: bool,
    /// It was queued only because it may not exist.
    pub(crate) existence_only: bool,
}

impl Node {
    /// An object that exists.
    pub(crate) fn observed(at: Coordinates) -> Self {
        Self {
            at,
            owners: Box::default(),
            dependents: None,
            state: DeletionState::default(),
            observed: true,
            existence_only: false,
        }
    }

    /// An object that some reference claims to exist.
    pub(crate) fn made_up(at: Coordinates) -> Self {
        Self {
            observed: false,
            existence_only: true,
            ..Self::observed(at)
        }
    }

    /// Whether it was never observed.
    pub(crate) fn is_virtual(&self) -> bool {
        !self.observed
    }

    pub(crate) fn set_observed(&mut self) {
        self.observed = true;
    }

    pub(crate) fn is_deleting_dependents(&self) -> bool {
        self.state.deleting_dependents
    }

    pub(crate) fn identity(&self, uid: &Uid) -> Identity {
        Identity {
            at: self.at.clone(),
            uid: uid.clone(),
        }
    }

    pub(crate) fn add_dependent(&mut self, uid: &Uid) {
        self.dependents.get_or_insert_default().insert(uid.clone());
    }

    pub(crate) fn remove_dependent(&mut self, uid: &Uid) {
        let emptied = |dependents: &mut Box<HashSet<Uid>>| {
            dependents.remove(uid);
            dependents.is_empty()
        };
        if self.dependents.as_mut().is_some_and(emptied) {
            self.dependents = None;
        }
    }

    pub(crate) fn has_dependents(&self) -> bool {
        self.dependents.is_some()
    }

    pub(crate) fn dependents(&self) -> Vec<Uid> {
        self.dependents
            .iter()
            .flat_map(|dependents| dependents.iter().cloned())
            .collect()
    }
}
