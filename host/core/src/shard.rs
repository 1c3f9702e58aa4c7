//! One module's keys shared among the live replicas.
//!
//! A key falls into one of [`SLOTS`] slots by its hash; a [`table::Table`] says which member
//! has which slot. The table is one annotation of the module's Lease, so every change of it
//! is a comparison and a swap at the API server, and whoever holds that Lease changes it
//! ([`sequencer`]). A slot changes hands in two steps: it is first taken from its owner and
//! given to nobody; when the owner has confirmed, in its own membership Lease, that it has
//! drained ([`member`]), or its membership has expired, the slot is given to another.
//!
//! Promises: at no instant do two members regard a key as theirs; when members stop coming
//! and going, every key has one owner. The table is exactly even and moves the fewest slots.
//! It does not rest on the Lease's holder being alone: a table that was computed from an
//! older one is refused by its version, and what it was computed from stays true.

pub mod hash;
pub mod member;
pub mod sequencer;
pub mod table;

use crate::key::ObjectKey;
use crate::lease::tenure::Tenure;

/// Into how many slots the keys of a module fall. Enough that a hundred replicas differ by
/// less than half of their share; few enough that a table fits into an annotation.
pub const SLOTS: u16 = 256;

const WORDS: usize = SLOTS as usize / 64;

/// The slot of a key.
#[must_use]
pub fn slot_of(key: &ObjectKey) -> u16 {
    let hash = hash::hash(&[key.namespace.as_bytes(), key.name.as_bytes()]);
    // The top bits, because the finisher mixes best upwards; the remainder is below SLOTS.
    u16::try_from((hash >> 32) % u64::from(SLOTS)).unwrap_or_default()
}

/// Some of the slots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlotSet([u64; WORDS]);

impl SlotSet {
    /// Whether a slot is among them.
    #[must_use]
    pub fn contains(&self, slot: u16) -> bool {
        self.0
            .get(usize::from(slot / 64))
            .is_some_and(|word| word >> (slot % 64) & 1 == 1)
    }

    /// Adds a slot; one that does not exist is ignored.
    pub fn insert(&mut self, slot: u16) {
        if let Some(word) = self.0.get_mut(usize::from(slot / 64)) {
            *word |= 1 << (slot % 64);
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether all of them are among those of another.
    #[must_use]
    pub fn is_subset(&self, other: &Self) -> bool {
        self.0
            .iter()
            .zip(other.0)
            .all(|(mine, theirs)| mine & !theirs == 0)
    }
}

/// Names one table: its number within the tables that grew out of each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch {
    /// Chosen at random when there was no table to go on from.
    pub lineage: u64,
    /// Counts the changes.
    pub number: u64,
}

/// What one replica may sync of a sharded module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Share {
    slots: SlotSet,
    tenure: Option<Tenure>,
    epoch: Epoch,
}

impl Share {
    pub(crate) fn new(slots: SlotSet, tenure: Option<Tenure>, epoch: Epoch) -> Self {
        Self { slots, tenure, epoch }
    }

    /// Whether this replica may sync a key at this moment: the key's slot is its own and its
    /// membership has not expired. Cheap; reads the clock.
    #[must_use]
    pub fn owns(&self, key: &ObjectKey) -> bool {
        self.assigns(key) && self.is_valid_now()
    }

    /// Whether the key's slot is this replica's, whether or not its membership still holds:
    /// for telling which keys two shares differ in.
    #[must_use]
    pub fn assigns(&self, key: &ObjectKey) -> bool {
        self.slots.contains(slot_of(key))
    }

    /// Whether the membership under which it was given still holds.
    #[must_use]
    pub fn is_valid_now(&self) -> bool {
        self.tenure.as_ref().is_some_and(Tenure::is_valid_now)
    }

    /// The table it follows from.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The slots.
    #[must_use]
    pub fn slots(&self) -> &SlotSet {
        &self.slots
    }

    /// What fences it; none for a share of nothing.
    #[must_use]
    pub fn tenure(&self) -> Option<&Tenure> {
        self.tenure.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_of_keys_never_change_between_versions() {
        let slot = |namespace, name| slot_of(&ObjectKey::new(namespace, name));
        assert_eq!(
            [
                slot("default", "web"),
                slot("", "node-1"),
                slot("a", "bc"),
                slot("ab", "c")
            ],
            [117, 98, 248, 229]
        );
    }

    #[test]
    fn keys_spread_evenly_over_slots() {
        let mut counts = [0_u32; SLOTS as usize];
        for name in 0..25_600 {
            counts[usize::from(slot_of(&ObjectKey::new("default", &format!("web-{name}"))))] += 1;
        }
        // 100 each with a deviation of 10: five deviations.
        assert!(counts.iter().all(|count| (50..150).contains(count)), "{counts:?}");
    }
}
