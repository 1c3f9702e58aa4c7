//! The right to act as the holder of a lease, which ends by itself.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::clock::{BootInstant, Clock};

/// One unbroken time of holding a lease. Clones are the same tenure.
///
/// Renewals move its deadline without a word to those who hold it; once it has ended it
/// never becomes valid again, and holding the lease anew is another tenure. Whoever acts on
/// it asks [`Tenure::is_valid_now`] first: that reads the clock, so that a process which was
/// stopped past the deadline finds the tenure ended in its first instruction. Between the
/// question and the act a process may still be stopped: for that the deadline lies before
/// the moment at which others may take the lease.
#[derive(Clone)]
pub struct Tenure {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Arc<dyn Clock>,
    since: BootInstant,
    /// Nanoseconds since boot; 0 when it was given up.
    deadline: AtomicU64,
}

impl Tenure {
    pub(crate) fn begin(clock: Arc<dyn Clock>, since: BootInstant, deadline: BootInstant) -> Self {
        let deadline = AtomicU64::new(nanoseconds(deadline));
        Self {
            shared: Arc::new(Shared {
                clock,
                since,
                deadline,
            }),
        }
    }

    /// Whether it holds at this moment.
    #[must_use]
    pub fn is_valid_now(&self) -> bool {
        self.is_valid_at(self.shared.clock.now())
    }

    /// How long it still holds without a further renewal.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.deadline().saturating_since(self.shared.clock.now())
    }

    /// When it began.
    #[must_use]
    pub fn since(&self) -> BootInstant {
        self.shared.since
    }

    /// When it ends without a further renewal; the start of the machine once it was given up.
    #[must_use]
    pub fn deadline(&self) -> BootInstant {
        BootInstant::from_boot(Duration::from_nanos(self.shared.deadline.load(Ordering::Acquire)))
    }

    pub(crate) fn is_valid_at(&self, now: BootInstant) -> bool {
        now < self.deadline()
    }

    /// Moves the deadline. Only for a tenure that has not ended.
    pub(crate) fn extend(&self, deadline: BootInstant) {
        self.shared
            .deadline
            .fetch_max(nanoseconds(deadline), Ordering::AcqRel);
    }

    /// Ends it for every clone.
    pub(crate) fn end(&self) {
        self.shared.deadline.store(0, Ordering::Release);
    }
}

fn nanoseconds(instant: BootInstant) -> u64 {
    u64::try_from(instant.since_boot().as_nanos()).unwrap_or(u64::MAX)
}

impl PartialEq for Tenure {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl Eq for Tenure {}

impl fmt::Debug for Tenure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tenure")
            .field("since", &self.shared.since)
            .field("deadline", &self.deadline())
            .finish()
    }
}
