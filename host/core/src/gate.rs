//! Read your own writes: holds a key back until the caches show what its earlier syncs
//! wrote.
//!
//! The host sees every write go through its client and records it here under the key whose
//! sync made it. Before the next sync of that key, [`Gate::check`] compares the records
//! with the caches. This replaces the expectations that Kubernetes' own controllers keep
//! (`pkg/controller/controller_utils.go`), and like those it gives up after
//! [`EXPIRY`]: a cache that never catches up must not stop a controller for good.
//!
//! Promises: a key with nothing pending costs one hash lookup; a resource that nobody
//! caches never holds a key back. The gate does not wait for locks, does no I/O and does
//! not log: the caller learns of an expiry and says so.

use std::time::{Duration, Instant};

use hashbrown::HashMap;
use parking_lot::Mutex;
use smallvec::SmallVec;
use smol_str::SmolStr;
use tokio::sync::watch;

use crate::key::{ObjectKey, Resource};

/// How long a key waits for the caches at most, as client-go's expectations.
pub const EXPIRY: Duration = Duration::from_secs(5 * 60);

/// What a write left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteEffect {
    /// The object was stored at this resource version.
    Stored {
        /// The version that the server returned.
        revision: u64,
    },
    /// The object was deleted, or began to be, without the server telling a version.
    Deleted,
    /// The object was changed without the server telling a version, as by `binding`.
    Changed {
        /// The version that the cache showed before the call; 0 if it showed none.
        from: u64,
    },
}

/// One write that succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The collection.
    pub resource: Resource,
    /// The object.
    pub key: ObjectKey,
    /// The object's UID; an object of another UID is another object.
    pub uid: SmolStr,
    /// What happened to it.
    pub effect: WriteEffect,
}

/// What a cache shows of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// No object of this name and UID.
    Absent,
    /// The object.
    Present {
        /// Its resource version.
        revision: u64,
        /// Whether it has a deletion timestamp.
        deleting: bool,
    },
}

/// How far the caches are. Never blocks.
pub trait CacheProgress: Send + Sync {
    /// The latest resource version that the cache of a resource has seen, or `None` if
    /// the resource is not cached for this controller.
    fn observed_revision(&self, resource: &Resource) -> Option<u64>;
    /// What the cache shows of an object.
    fn shows(&self, resource: &Resource, key: &ObjectKey, uid: &str) -> Presence;
}

/// What [`Gate::check`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The caches show everything that was written. Nothing is recorded any more.
    Open,
    /// Something is still missing; it is given up at this time.
    Closed {
        /// When to look again at the latest.
        until: Instant,
    },
    /// Something never arrived and was given up: the sync may run, on a cache that may
    /// be stale. The caller logs it.
    Expired {
        /// A write that the caches do not show.
        missing: Write,
    },
}

#[derive(Debug)]
struct Pending {
    write: Write,
    since: Instant,
}

type PendingWrites = SmallVec<[Pending; 1]>;

/// What the syncs of each key wrote and the caches may not show yet.
#[derive(Debug, Default)]
pub struct Gate {
    pending: Mutex<HashMap<ObjectKey, PendingWrites>>,
}

impl Gate {
    /// A gate that holds nothing back.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Remembers that a sync of `key` made this write.
    ///
    /// Of stored objects only the latest per resource is kept: events of a resource
    /// arrive in the order of their versions, so a cache that shows it shows them all.
    pub fn record(&self, key: &ObjectKey, write: Write, now: Instant) {
        let mut pending = self.pending.lock();
        let writes = match pending.get_mut(key) {
            Some(writes) => writes,
            None => pending.entry(key.clone()).or_default(),
        };
        let superseded = writes
            .iter_mut()
            .find(|earlier| same_collection(&earlier.write, &write));
        match (superseded, &write.effect) {
            (Some(earlier), WriteEffect::Stored { revision }) => {
                if !matches!(earlier.write.effect, WriteEffect::Stored { revision: present } if present >= *revision)
                {
                    *earlier = Pending { write, since: now };
                }
            }
            _ => writes.push(Pending { write, since: now }),
        }
    }

    /// Whether the next sync of `key` may start. Forgets what the caches show by now.
    pub fn check(&self, key: &ObjectKey, progress: &dyn CacheProgress, now: Instant) -> Verdict {
        let mut pending = self.pending.lock();
        let Some(writes) = pending.get_mut(key) else {
            return Verdict::Open;
        };
        writes.retain(|pending| !is_shown(&pending.write, progress));
        let Some(newest) = writes.iter().map(|pending| pending.since).max() else {
            pending.remove(key);
            return Verdict::Open;
        };
        let until = newest + EXPIRY;
        if now < until {
            return Verdict::Closed { until };
        }
        match pending.remove(key).and_then(|writes| writes.into_iter().next()) {
            Some(missing) => Verdict::Expired {
                missing: missing.write,
            },
            None => Verdict::Open,
        }
    }

    /// Waits until the sync of `key` may start: checks now, at each tick of `progressed`
    /// (the caches send one after they changed), and at the expiry. Never returns
    /// [`Verdict::Closed`].
    pub async fn ready(
        &self,
        key: &ObjectKey,
        progress: &dyn CacheProgress,
        progressed: &mut watch::Receiver<u64>,
    ) -> Verdict {
        loop {
            // Marked before the check, so that a tick during the check is not missed.
            progressed.borrow_and_update();
            let until = match self.check(key, progress, tokio::time::Instant::now().into_std()) {
                Verdict::Closed { until } => tokio::time::Instant::from_std(until),
                verdict => return verdict,
            };
            if let Ok(Err(_closed)) = tokio::time::timeout_at(until, progressed.changed()).await {
                // Nobody will tick again; the expiry remains.
                tokio::time::sleep_until(until).await;
            }
        }
    }

    /// Forgets, of all keys, what the caches show by now or what has expired. For keys
    /// that are never synced again, which [`Gate::check`] does not see.
    pub fn sweep(&self, progress: &dyn CacheProgress, now: Instant) {
        self.pending.lock().retain(|_, writes| {
            writes.retain(|pending| now < pending.since + EXPIRY && !is_shown(&pending.write, progress));
            !writes.is_empty()
        });
    }

    /// Waits until the caches show what the syncs of *all* keys wrote, or it has expired.
    pub async fn settled(&self, progress: &dyn CacheProgress, progressed: &mut watch::Receiver<u64>) {
        /// Expiry is looked at this often even if no cache moves.
        const PERIOD: Duration = Duration::from_secs(5);
        loop {
            progressed.borrow_and_update();
            self.sweep(progress, tokio::time::Instant::now().into_std());
            if self.is_empty() {
                return;
            }
            let _ = tokio::time::timeout(PERIOD, async {
                if progressed.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            })
            .await;
        }
    }

    /// How many writes of `key` the caches were not seen to show yet.
    #[must_use]
    pub fn pending(&self, key: &ObjectKey) -> usize {
        self.pending.lock().get(key).map_or(0, SmallVec::len)
    }

    /// Drops what is recorded for `key`.
    pub fn forget(&self, key: &ObjectKey) {
        self.pending.lock().remove(key);
    }

    /// How many keys have something recorded.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pending.lock().len()
    }

    /// Whether no key has anything recorded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pending.lock().is_empty()
    }
}

fn same_collection(earlier: &Write, later: &Write) -> bool {
    matches!(earlier.effect, WriteEffect::Stored { .. }) && earlier.resource == later.resource
}

fn is_shown(write: &Write, progress: &dyn CacheProgress) -> bool {
    let Some(observed) = progress.observed_revision(&write.resource) else {
        return true;
    };
    let shown = || progress.shows(&write.resource, &write.key, &write.uid);
    match write.effect {
        WriteEffect::Stored { revision: stored } => {
            observed >= stored || matches!(shown(), Presence::Present { revision, .. } if revision >= stored)
        }
        WriteEffect::Deleted => !matches!(shown(), Presence::Present { deleting: false, .. }),
        WriteEffect::Changed { from } => {
            !matches!(shown(), Presence::Present { revision, .. } if revision <= from)
        }
    }
}

#[cfg(test)]
mod tests;
