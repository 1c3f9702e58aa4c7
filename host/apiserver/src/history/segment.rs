//! Events that nobody is likely to ask for again, packed together.
//!
//! Versions of one resource are alike, and compressed as one block they take a tenth of
//! their size or less. What is kept beside the block is what the server needs of each
//! version without its body. A version that several events of a segment refer to is in it
//! once. Whoever resumes a watch that far back unpacks one segment at a time.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;

use crate::history::{Change, Event};
use crate::object::{About, Revision, Stored};

/// Where a version is within a segment.
type Index = u32;

/// A version without its body, and where the body ends in the unpacked block.
#[derive(Debug)]
struct Version {
    about: About,
    end: usize,
}

#[derive(Debug)]
struct Entry {
    change: Change,
    object: Index,
    previous: Option<Index>,
}

/// Consecutive events, packed. Never empty.
#[derive(Debug)]
pub(crate) struct Segment {
    versions: Box<[Version]>,
    entries: Box<[Entry]>,
    packed: Box<[u8]>,
    oldest: Revision,
    newest: Revision,
    at: Instant,
}

impl Segment {
    /// Packs events in order; `None` if there are none.
    pub(crate) fn pack(events: &[Arc<Event>]) -> Option<Self> {
        let (oldest, newest) = (events.first()?, events.last()?);
        let mut block = Block::default();
        let entries = events.iter().map(|event| Entry {
            change: event.change,
            previous: event.previous.as_deref().map(|previous| block.add(previous)),
            object: block.add(&event.object),
        });
        Some(Self {
            entries: entries.collect(),
            versions: block.versions.into(),
            packed: lz4_flex::block::compress(&block.bodies).into(),
            oldest: oldest.revision(),
            newest: newest.revision(),
            at: oldest.at,
        })
    }

    /// The events, unpacked.
    pub(crate) fn unpack(&self) -> Vec<Arc<Event>> {
        let length = self.versions.last().map_or(0, |version| version.end);
        let bodies: Bytes = lz4_flex::block::decompress(&self.packed, length)
            .expect("segments were packed by this module")
            .into();
        let mut start = 0;
        let restore = |version: &Version| {
            let body = bodies.slice(start..version.end);
            start = version.end;
            Arc::new(Stored::new(version.about.clone(), body))
        };
        let versions: Vec<Arc<Stored>> = self.versions.iter().map(restore).collect();
        let version = |index: Index| {
            let version = versions.get(index as usize);
            Arc::clone(version.expect("entries refer to versions of their segment"))
        };
        let event = |entry: &Entry| {
            let previous = entry.previous.map(version);
            Arc::new(Event::new(entry.change, version(entry.object), previous, self.at))
        };
        self.entries.iter().map(event).collect()
    }

    /// How many events there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The memory it takes, roughly.
    pub(crate) fn weight(&self) -> usize {
        self.packed.len() + size_of_val(&*self.versions) + size_of_val(&*self.entries)
    }

    pub(crate) fn oldest(&self) -> Revision {
        self.oldest
    }

    pub(crate) fn newest(&self) -> Revision {
        self.newest
    }

    /// When its oldest event was.
    pub(crate) fn at(&self) -> Instant {
        self.at
    }
}

/// A segment in the making.
#[derive(Default)]
struct Block {
    versions: Vec<Version>,
    bodies: Vec<u8>,
    by_revision: HashMap<Revision, Index>,
}

impl Block {
    /// Adds a version unless it is there.
    fn add(&mut self, stored: &Stored) -> Index {
        let next = Index::try_from(self.versions.len()).unwrap_or(Index::MAX);
        let index = *self.by_revision.entry(stored.revision()).or_insert(next);
        if index == next {
            self.bodies.extend_from_slice(stored.body());
            self.versions.push(Version {
                about: stored.about().clone(),
                end: self.bodies.len(),
            });
        }
        index
    }
}
