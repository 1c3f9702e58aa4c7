//! What a replayed guest did otherwise than the recorded one.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use parking_lot::Mutex;
use serde::Serialize;
use windlass_core::key::ObjectKey;
use windlass_core::seams::SyncId;

use super::entry::Request;

mod json;

pub use self::json::FieldChange;

/// One difference.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// The sync it belongs to; 0 for none.
    pub sync: SyncId,
    /// The key of that sync, `namespace/name`.
    pub key: Option<String>,
    /// What differs.
    #[serde(flatten)]
    pub kind: DifferenceKind,
    /// When it was found.
    pub at: SystemTime,
}

/// What differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum DifferenceKind {
    /// A write that only the recorded guest made.
    MissingWrite {
        /// Verb, resource and object.
        write: String,
        /// Its body.
        body: Option<String>,
    },
    /// A write that only the replayed guest made.
    ExtraWrite {
        /// Verb, resource and object.
        write: String,
        /// Its body.
        body: Option<String>,
    },
    /// A write to the same object with another body.
    ChangedWrite {
        /// Verb, resource and object.
        write: String,
        /// The fields that differ; none if only the spelling of the JSON does.
        changes: Vec<FieldChange>,
    },
    /// The same writes, in another order.
    Order {
        /// As recorded.
        recorded: Vec<String>,
        /// As replayed.
        replayed: Vec<String>,
    },
    /// A sync that ended otherwise.
    Outcome {
        /// As recorded.
        recorded: String,
        /// As replayed.
        replayed: String,
    },
    /// An event, a key for the queue or an answer of the mapper that only the recorded guest gave.
    MissingEffect {
        /// What it is.
        effect: String,
    },
    /// The same of the replayed guest.
    ExtraEffect {
        /// What it is.
        effect: String,
    },
    /// A question that the recording has no answer to.
    Unanswered {
        /// What was asked.
        question: String,
    },
    /// A sync that the replayed guest did not end.
    Unfinished,
    /// One of the two guests failed, or failed otherwise.
    Failed {
        /// How, and which.
        message: String,
    },
}

impl Difference {
    pub(crate) fn new(sync: SyncId, key: Option<ObjectKey>, kind: DifferenceKind) -> Self {
        Self {
            sync,
            key: key.map(|key| key.to_string()),
            kind,
            at: SystemTime::now(),
        }
    }
}

impl DifferenceKind {
    /// All labels, for metrics.
    pub const LABELS: [&'static str; 10] = [
        "missing-write",
        "extra-write",
        "changed-write",
        "order",
        "outcome",
        "missing-effect",
        "extra-effect",
        "unanswered",
        "unfinished",
        "failed",
    ];

    pub(crate) fn changed(recorded: &Request, replayed: &Request) -> Self {
        let empty = Default::default();
        let changes = json::changes(
            recorded.verb.body().unwrap_or(&empty),
            replayed.verb.body().unwrap_or(&empty),
        );
        Self::ChangedWrite {
            write: write_line(recorded),
            changes,
        }
    }

    /// A constant name for metrics, and the position of it in [`DifferenceKind::LABELS`].
    fn position(&self) -> usize {
        match self {
            Self::MissingWrite { .. } => 0,
            Self::ExtraWrite { .. } => 1,
            Self::ChangedWrite { .. } => 2,
            Self::Order { .. } => 3,
            Self::Outcome { .. } => 4,
            Self::MissingEffect { .. } => 5,
            Self::ExtraEffect { .. } => 6,
            Self::Unanswered { .. } => 7,
            Self::Unfinished => 8,
            Self::Failed { .. } => 9,
        }
    }
}

/// Verb, resource and object of a call, for people.
pub(crate) fn write_line(request: &Request) -> String {
    let subresource = if request.subresource.is_empty() {
        String::new()
    } else {
        format!("/{}", request.subresource)
    };
    let mut line = format!("{} {}{subresource}", request.verb.name(), request.resource);
    if !request.key.name.is_empty() || !request.key.namespace.is_empty() {
        line.push_str(&format!(" {}", request.key));
    }
    line
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(key) = &self.key {
            write!(f, "{key} (sync {}): ", self.sync)?;
        }
        self.kind.fmt(f)
    }
}

impl fmt::Display for DifferenceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = |body: &Option<String>| {
            body.as_ref()
                .map_or(String::new(), |body| format!("\n    {body}"))
        };
        match self {
            Self::MissingWrite { write, body: sent } => write!(f, "missing: {write}{}", body(sent)),
            Self::ExtraWrite { write, body: sent } => write!(f, "extra: {write}{}", body(sent)),
            Self::ChangedWrite { write, changes } if changes.is_empty() => {
                write!(f, "changed: {write}, in how its JSON is spelled or its options")
            }
            Self::ChangedWrite { write, changes } => {
                write!(f, "changed: {write}")?;
                changes.iter().try_for_each(|change| write!(f, "\n    {change}"))
            }
            Self::Order { recorded, replayed } => write!(
                f,
                "other order: recorded {}; replayed {}",
                recorded.join(", "),
                replayed.join(", ")
            ),
            Self::Outcome { recorded, replayed } => {
                write!(f, "ended otherwise: recorded {recorded}; replayed {replayed}")
            }
            Self::MissingEffect { effect } => write!(f, "missing: {effect}"),
            Self::ExtraEffect { effect } => write!(f, "extra: {effect}"),
            Self::Unanswered { question } => write!(f, "the recording has no answer to: {question}"),
            Self::Unfinished => f.write_str("did not end, though the recorded sync did"),
            Self::Failed { message } => f.write_str(message),
        }
    }
}

/// Collects what is found while a guest is replayed. Shared with whoever shows it.
#[derive(Debug)]
pub struct Findings {
    same_syncs: AtomicU64,
    different_syncs: AtomicU64,
    recorded_writes: AtomicU64,
    same_writes: AtomicU64,
    counts: [AtomicU64; DifferenceKind::LABELS.len()],
    latest: Mutex<VecDeque<Difference>>,
    kept: usize,
}

impl Findings {
    /// Keeps this many of the latest differences.
    #[must_use]
    pub fn keeping(kept: usize) -> Self {
        Self {
            same_syncs: AtomicU64::new(0),
            different_syncs: AtomicU64::new(0),
            recorded_writes: AtomicU64::new(0),
            same_writes: AtomicU64::new(0),
            counts: Default::default(),
            latest: Mutex::new(VecDeque::new()),
            kept,
        }
    }

    pub(crate) fn found(&self, difference: Difference) {
        if let Some(count) = self.counts.get(difference.kind.position()) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let mut latest = self.latest.lock();
        if latest.len() >= self.kept {
            latest.pop_front();
        }
        latest.push_back(difference);
    }

    pub(crate) fn count_sync(&self, differs: bool) {
        let syncs = if differs {
            &self.different_syncs
        } else {
            &self.same_syncs
        };
        syncs.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_recorded_write(&self) {
        self.recorded_writes.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_same_write(&self) {
        self.same_writes.fetch_add(1, Ordering::Relaxed);
    }

    /// Syncs in which both guests wrote the same and ended alike.
    #[must_use]
    pub fn same_syncs(&self) -> u64 {
        self.same_syncs.load(Ordering::Relaxed)
    }

    /// Syncs in which they did not.
    #[must_use]
    pub fn different_syncs(&self) -> u64 {
        self.different_syncs.load(Ordering::Relaxed)
    }

    /// Writes of the recorded guest.
    #[must_use]
    pub fn recorded_writes(&self) -> u64 {
        self.recorded_writes.load(Ordering::Relaxed)
    }

    /// Writes that both guests made, the same to the last byte.
    #[must_use]
    pub fn same_writes(&self) -> u64 {
        self.same_writes.load(Ordering::Relaxed)
    }

    /// How many differences of each kind there were, by label.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        DifferenceKind::LABELS.into_iter().zip(counts)
    }

    /// How many differences there were.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts().map(|(_, count)| count).sum()
    }

    /// The latest differences, oldest first.
    #[must_use]
    pub fn latest(&self) -> Vec<Difference> {
        self.latest.lock().iter().cloned().collect()
    }
}
