//! What guests do besides writing: events, keys for the queue, answers of the mapper.
//!
//! Compared as sets with repetition, because nothing depends on their order.

use std::collections::BTreeMap;

use windlass_core::key::ObjectKey;
use windlass_core::seams::{Event, EventType, QueueItem};

use crate::record::report::DifferenceKind;

/// Effects that one guest had more often than the other.
#[derive(Default)]
pub(crate) struct Effects(BTreeMap<String, i64>);

/// Whose effect it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The recorded guest's.
    Recorded,
    /// The replayed guest's.
    Replayed,
}

impl Effects {
    pub(crate) fn event(&mut self, side: Side, event: &Event) {
        let regarding = &event.regarding;
        let key = ObjectKey::new(&regarding.namespace, &regarding.name);
        let severity = match event.event_type {
            EventType::Normal => "event",
            EventType::Warning => "warning event",
        };
        self.count(
            side,
            format!(
                "{severity} {} about {} {key}: {}",
                event.reason, regarding.kind, event.message
            ),
        );
    }

    pub(crate) fn queue(&mut self, side: Side, items: &[QueueItem]) {
        for item in items {
            let text = format!(
                "key {} for its queue, after {:?}, priority {}",
                item.key, item.after, item.priority
            );
            self.count(side, text);
        }
    }

    pub(crate) fn mapped(&mut self, side: Side, call: u64, keys: &[ObjectKey]) {
        for key in keys {
            self.count(side, format!("key {key} from its mapper, call {call}"));
        }
    }

    fn count(&mut self, side: Side, effect: String) {
        let change = match side {
            Side::Recorded => 1,
            Side::Replayed => -1,
        };
        let count = self.0.entry(effect).or_insert(0);
        *count += change;
        if *count == 0 {
            // What both have done takes no room.
            self.0.retain(|_, count| *count != 0);
        }
    }

    /// What only one of them did. For a moment at which both have come equally far.
    pub(crate) fn settle(&mut self) -> impl Iterator<Item = DifferenceKind> {
        std::mem::take(&mut self.0)
            .into_iter()
            .flat_map(|(effect, count)| {
                let times = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
                let kind = if count > 0 {
                    DifferenceKind::MissingEffect { effect }
                } else {
                    DifferenceKind::ExtraEffect { effect }
                };
                std::iter::repeat_n(kind, times)
            })
    }
}
