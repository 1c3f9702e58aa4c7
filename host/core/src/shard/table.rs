//! Which member has which slot, and its form in an annotation.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::{Epoch, SLOTS, SlotSet};

/// More members than this share no module: the others stand by.
pub const MAX_MEMBERS: usize = 127;

/// The code of a slot whose earlier owner is not known.
const UNSETTLED: u8 = 0xff;
/// Added to the code of a slot that its owner is giving up.
const DRAINING: u8 = 0x80;

/// One stay of a replica in a module. A replica whose membership expired, or which left
/// the module and came back, is another participant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Participant {
    /// The replica.
    pub identity: SmolStr,
    /// Never used twice by one replica.
    pub session: u64,
}

/// State of one slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// This participant syncs its keys.
    Owned(u8),
    /// Nobody may, and this participant, an index like all of them, has yet to confirm.
    Draining(u8),
    /// Nobody may, and everybody has yet to confirm.
    Unsettled,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub epoch: Epoch,
    /// Whoever owns or drains a slot.
    pub participants: Vec<Participant>,
    /// By slot number.
    pub slots: Vec<Slot>,
}

/// Why an annotation is no table.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// It is not what was written.
    #[error("not a shard table: {0}")]
    Json(#[from] serde_json::Error),
    /// The parts do not fit each other.
    #[error("not a shard table: {0}")]
    Inconsistent(&'static str),
}

#[derive(Serialize, Deserialize)]
struct Wire {
    lineage: u64,
    epoch: u64,
    participants: Vec<Participant>,
    /// Two hexadecimal digits for each slot.
    slots: String,
}

impl Table {
    /// A table to begin with: nobody owns anything, and everybody has to confirm.
    #[must_use]
    pub fn unsettled(lineage: u64) -> Self {
        Self {
            epoch: Epoch { lineage, number: 1 },
            participants: Vec::new(),
            slots: vec![Slot::Unsettled; usize::from(SLOTS)],
        }
    }

    /// Reads an annotation.
    ///
    /// # Errors
    /// When somebody else wrote it.
    pub fn parse(text: &str) -> Result<Self, TableError> {
        let wire: Wire = serde_json::from_str(text)?;
        if wire.participants.len() > MAX_MEMBERS {
            return Err(TableError::Inconsistent("too many participants"));
        }
        let slots = parse_slots(&wire.slots, wire.participants.len())
            .ok_or(TableError::Inconsistent("slots name no participants"))?;
        Ok(Self {
            epoch: Epoch {
                lineage: wire.lineage,
                number: wire.epoch,
            },
            participants: wire.participants,
            slots,
        })
    }

    /// Writes the annotation.
    #[must_use]
    pub fn encode(&self) -> String {
        let slots = self
            .slots
            .iter()
            .map(|slot| format!("{:02x}", code(*slot)))
            .collect();
        let wire = Wire {
            lineage: self.epoch.lineage,
            epoch: self.epoch.number,
            participants: self.participants.clone(),
            slots,
        };
        serde_json::to_string(&wire).unwrap_or_default()
    }

    /// The slots that a participant owns.
    #[must_use]
    pub fn owned_by(&self, participant: &Participant) -> SlotSet {
        let mut owned = SlotSet::default();
        for (number, slot) in (0..SLOTS).zip(&self.slots) {
            if let Slot::Owned(owner) = slot {
                if self.participants.get(usize::from(*owner)) == Some(participant) {
                    owned.insert(number);
                }
            }
        }
        owned
    }

    /// Whether every slot has an owner.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.slots.iter().all(|slot| matches!(slot, Slot::Owned(_)))
    }
}

fn code(slot: Slot) -> u8 {
    match slot {
        Slot::Owned(owner) => owner,
        Slot::Draining(owner) => owner | DRAINING,
        Slot::Unsettled => UNSETTLED,
    }
}

fn parse_slots(digits: &str, participants: usize) -> Option<Vec<Slot>> {
    if digits.len() != usize::from(SLOTS) * 2 || !digits.is_ascii() {
        return None;
    }
    let slot = |pair: &[u8]| {
        let code = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        let owner = code & !DRAINING;
        let slot = match code {
            UNSETTLED => return Some(Slot::Unsettled),
            _ if code & DRAINING == 0 => Slot::Owned(owner),
            _ => Slot::Draining(owner),
        };
        (usize::from(owner) < participants).then_some(slot)
    };
    digits.as_bytes().chunks_exact(2).map(slot).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_survives_its_annotation() {
        let mut table = Table::unsettled(0xfeed);
        table.participants = vec![
            Participant {
                identity: "a".into(),
                session: 1,
            },
            Participant {
                identity: "b".into(),
                session: 7,
            },
        ];
        table.slots[0] = Slot::Owned(1);
        table.slots[1] = Slot::Draining(0);
        let text = table.encode();
        assert!(text.starts_with(
            r#"{"lineage":65261,"epoch":1,"participants":[{"identity":"a","session":1},{"identity":"b","session":7}],"slots":"0180ffff"#
        ));
        assert_eq!(Table::parse(&text).unwrap(), table);
    }

    #[test]
    fn an_annotation_that_somebody_edited_is_no_table() {
        let text = Table::unsettled(1).encode();
        for wrong in [
            text.replace("ffff", "0101"),
            text.replace("ff\"", "\""),
            "{}".into(),
        ] {
            assert!(Table::parse(&wrong).is_err(), "{wrong}");
        }
    }
}
