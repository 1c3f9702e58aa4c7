//! The next table of a sharded module, as its Lease's holder computes it.
//!
//! A pure function of the present table and of what members say: whoever takes over the
//! Lease goes on where the last holder stopped. What it concludes from stays true while the
//! table is the same one: a confirmation speaks of this table, and a membership that was
//! seen to expire cannot come back as the same session.

use std::collections::BTreeMap;

use smol_str::SmolStr;

use super::member::Claim;
use super::table::{MAX_MEMBERS, Participant, Slot, Table};
use super::{Epoch, SLOTS};

/// What is known of one replica with regard to the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberView {
    /// Its membership was given up or has expired.
    Gone,
    /// Its membership Lease is not there, and not long enough to say that it is gone.
    Unheard,
    /// It lives, and has no part in the module.
    Apart,
    /// It lives, and says this.
    Present(Claim),
}

/// All replicas whose membership was ever seen, and all that the table names, read together
/// with the table or after it.
pub type View = BTreeMap<SmolStr, MemberView>;

/// The table that should replace this one, or none if it is right. `lineage` names a new
/// line of tables in case there is none to go on from.
#[must_use]
pub fn advance(table: Option<&Table>, view: &View, lineage: u64) -> Option<Table> {
    let Some(table) = table else {
        return Some(Table::unsettled(lineage));
    };
    let live = live_participants(view);
    if live.is_empty() {
        return None;
    }
    let mut draft = Draft::new(table, &live);
    for slot in &table.slots {
        draft.place(judge(*slot, table, view));
    }
    draft.shed();
    draft.fill();
    draft.finish(table)
}

/// Sorted, so that every holder of the Lease computes the same table.
fn live_participants(view: &View) -> Vec<Participant> {
    let participants = view.iter().filter_map(|(identity, member)| match member {
        MemberView::Present(claim) => Some(Participant {
            identity: identity.clone(),
            session: claim.session,
        }),
        MemberView::Gone | MemberView::Unheard | MemberView::Apart => None,
    });
    participants.take(MAX_MEMBERS).collect()
}

/// What a slot comes to, before anything is moved.
enum Verdict {
    /// Its owner keeps it.
    Kept(Participant),
    /// Somebody has yet to confirm.
    Pending(Option<Participant>),
    /// Nobody syncs its keys.
    Free,
}

fn judge(slot: Slot, table: &Table, view: &View) -> Verdict {
    let participant = |index: u8| table.participants.get(usize::from(index)).cloned();
    match slot {
        Slot::Unsettled => {
            let settled = view.values().all(|member| is_done(member, table.epoch));
            if settled {
                Verdict::Free
            } else {
                Verdict::Pending(None)
            }
        }
        Slot::Owned(index) => match participant(index) {
            Some(owner) => judge_owned(owner, view),
            None => Verdict::Pending(None),
        },
        Slot::Draining(index) => match participant(index) {
            Some(owner) => match view.get(&owner.identity) {
                Some(member) if is_done(member, table.epoch) => Verdict::Free,
                _ => Verdict::Pending(Some(owner)),
            },
            None => Verdict::Pending(None),
        },
    }
}

fn judge_owned(owner: Participant, view: &View) -> Verdict {
    match view.get(&owner.identity) {
        Some(MemberView::Gone | MemberView::Apart) => Verdict::Free,
        Some(MemberView::Present(claim)) if claim.session != owner.session => {
            // It is back under another session and may still be draining the old one.
            Verdict::Pending(Some(owner))
        }
        Some(MemberView::Present(_) | MemberView::Unheard) | None => Verdict::Kept(owner),
    }
}

/// Whether a member certainly syncs nothing that this table does not give it.
fn is_done(member: &MemberView, epoch: Epoch) -> bool {
    match member {
        MemberView::Gone | MemberView::Apart => true,
        MemberView::Unheard => false,
        MemberView::Present(claim) => claim.lineage == epoch.lineage && claim.epoch >= epoch.number,
    }
}

/// A table in the making. Participants that own, drain or wait for slots come first.
struct Draft {
    participants: Vec<Participant>,
    /// How many of them may be given slots.
    live: usize,
    slots: Vec<Option<Slot>>,
    loads: Vec<usize>,
}

impl Draft {
    fn new(table: &Table, live: &[Participant]) -> Self {
        let mut participants = live.to_vec();
        participants.extend(
            table
                .participants
                .iter()
                .filter(|known| !live.contains(known))
                .cloned(),
        );
        Self {
            loads: vec![0; participants.len()],
            participants,
            live: live.len(),
            slots: Vec::with_capacity(usize::from(SLOTS)),
        }
    }

    fn place(&mut self, verdict: Verdict) {
        let slot = match verdict {
            Verdict::Free => None,
            Verdict::Pending(None) => Some(Slot::Unsettled),
            Verdict::Pending(Some(owner)) => Some(self.index(&owner).map_or(Slot::Unsettled, Slot::Draining)),
            Verdict::Kept(owner) => match self.index(&owner) {
                Some(index) => {
                    if let Some(load) = self.loads.get_mut(usize::from(index)) {
                        *load += 1;
                    }
                    Some(Slot::Owned(index))
                }
                None => Some(Slot::Unsettled),
            },
        };
        self.slots.push(slot);
    }

    /// Takes from whoever has more than the even share, the largest first.
    fn shed(&mut self) {
        let quotas = self.quotas();
        for slot in self.slots.iter_mut().rev() {
            let Some(Slot::Owned(index)) = *slot else { continue };
            let owner = usize::from(index);
            let (Some(load), Some(quota)) = (self.loads.get_mut(owner), quotas.get(owner)) else {
                continue;
            };
            if *load > *quota {
                *load -= 1;
                *slot = Some(Slot::Draining(index));
            }
        }
    }

    /// An even share for each live participant; what does not divide goes to those who
    /// have most already. A slot of one that is not seen stays where it is.
    fn quotas(&self) -> Vec<usize> {
        let (share, rest) = (usize::from(SLOTS) / self.live, usize::from(SLOTS) % self.live);
        let mut order: Vec<usize> = (0..self.live).collect();
        order.sort_by_key(|index| std::cmp::Reverse(self.loads.get(*index).copied()));
        let mut quotas = vec![usize::MAX; self.participants.len()];
        for (rank, index) in order.into_iter().enumerate() {
            if let Some(quota) = quotas.get_mut(index) {
                *quota = share + usize::from(rank < rest);
            }
        }
        quotas
    }

    /// Gives free slots to whoever has least.
    fn fill(&mut self) {
        let (loads, live) = (&mut self.loads, self.live);
        for slot in self.slots.iter_mut().filter(|slot| slot.is_none()) {
            let Some((index, load)) = loads
                .iter_mut()
                .take(live)
                .enumerate()
                .min_by_key(|(_, load)| **load)
            else {
                continue;
            };
            *load += 1;
            *slot = u8::try_from(index).ok().map(Slot::Owned);
        }
    }

    /// Leaves out participants without slots; none if nothing differs from before.
    fn finish(self, before: &Table) -> Option<Table> {
        let mut table = Table {
            epoch: before.epoch,
            participants: Vec::new(),
            slots: Vec::with_capacity(self.slots.len()),
        };
        for slot in &self.slots {
            let slot = match slot.unwrap_or(Slot::Unsettled) {
                Slot::Owned(index) => table.adopt(&self.participants, index).map(Slot::Owned),
                Slot::Draining(index) => table.adopt(&self.participants, index).map(Slot::Draining),
                Slot::Unsettled => None,
            };
            table.slots.push(slot.unwrap_or(Slot::Unsettled));
        }
        if says_the_same(&table, before) {
            return None;
        }
        table.epoch.number += 1;
        Some(table)
    }

    fn index(&self, participant: &Participant) -> Option<u8> {
        let index = self.participants.iter().position(|known| known == participant)?;
        u8::try_from(index)
            .ok()
            .filter(|index| usize::from(*index) < MAX_MEMBERS)
    }
}

impl Table {
    /// The index of a participant of another list in this table, into which it is taken.
    fn adopt(&mut self, others: &[Participant], index: u8) -> Option<u8> {
        let participant = others.get(usize::from(index))?;
        let known = self.participants.iter().position(|known| known == participant);
        let index = known.unwrap_or_else(|| {
            self.participants.push(participant.clone());
            self.participants.len() - 1
        });
        u8::try_from(index)
            .ok()
            .filter(|index| usize::from(*index) < MAX_MEMBERS)
    }
}

fn says_the_same(one: &Table, other: &Table) -> bool {
    let resolve = |table: &Table, slot: Slot| match slot {
        Slot::Owned(index) => (0, table.participants.get(usize::from(index)).cloned()),
        Slot::Draining(index) => (1, table.participants.get(usize::from(index)).cloned()),
        Slot::Unsettled => (2, None),
    };
    one.slots.len() == other.slots.len()
        && one
            .slots
            .iter()
            .zip(&other.slots)
            .all(|(mine, theirs)| resolve(one, *mine) == resolve(other, *theirs))
}

#[cfg(test)]
mod tests;
