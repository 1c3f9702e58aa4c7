//! Whether the holder of a lease that somebody else writes still lives.
//!
//! A lease that is only read is judged more strictly than one that is taken over: nothing
//! compares versions at the moment of acting. It counts as expired only when a read *sent*
//! after the duration had passed still shows what was first seen before it, so that a
//! renewal the holder knows of cannot be on its way.

use std::time::Duration;

use smol_str::SmolStr;

use super::clock::BootInstant;
use super::record::ObservedLease;

/// What is known of a lease's holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It may act.
    Alive,
    /// It gave the lease up.
    Left,
    /// It has not renewed in time and cannot act on what it held.
    Expired,
}

/// When a lease was first seen as it is, and last confirmed.
#[derive(Clone, Debug)]
pub struct Sighting {
    /// None: it is not there.
    version: Option<SmolStr>,
    released: bool,
    duration: Duration,
    /// Arrival of the first read that showed this version.
    since: BootInstant,
    /// Departure of the last one.
    confirmed: BootInstant,
}

impl Sighting {
    /// The first read of a lease. `absent_for` is how long one that is missing counts as alive.
    #[must_use]
    pub fn new(
        lease: Option<&ObservedLease>,
        sent: BootInstant,
        arrived: BootInstant,
        absent_for: Duration,
    ) -> Self {
        Self {
            version: lease.map(|lease| lease.resource_version.clone()),
            released: lease.is_some_and(|lease| lease.record.holder.is_empty()),
            duration: lease.map_or(absent_for, |lease| lease.record.duration()),
            since: arrived,
            confirmed: sent,
        }
    }

    /// A further read.
    pub fn update(
        &mut self,
        lease: Option<&ObservedLease>,
        sent: BootInstant,
        arrived: BootInstant,
        absent_for: Duration,
    ) {
        if lease.map(|lease| &lease.resource_version) == self.version.as_ref() {
            self.confirmed = sent;
        } else {
            *self = Self::new(lease, sent, arrived, absent_for);
        }
    }

    /// The verdict.
    #[must_use]
    pub fn standing(&self) -> Standing {
        if self.released {
            Standing::Left
        } else if self.confirmed >= self.since + self.duration {
            Standing::Expired
        } else {
            Standing::Alive
        }
    }

    /// How long it has been as it is.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.confirmed.saturating_since(self.since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> BootInstant {
        BootInstant::from_boot(Duration::from_secs(seconds))
    }

    fn lease(version: &str, holder: &str) -> ObservedLease {
        let mut lease = ObservedLease {
            resource_version: version.into(),
            ..ObservedLease::default()
        };
        lease.record.holder = holder.into();
        lease.record.duration_seconds = 15;
        lease
    }

    #[test]
    fn only_a_read_sent_after_the_duration_proves_expiry() {
        let absent = Duration::from_secs(15);
        let seen = lease("1", "a");
        let mut sighting = Sighting::new(Some(&seen), at(99), at(100), absent);
        sighting.update(Some(&seen), at(114), at(120), absent);
        assert_eq!(sighting.standing(), Standing::Alive);
        sighting.update(Some(&seen), at(115), at(120), absent);
        assert_eq!(sighting.standing(), Standing::Expired);
        sighting.update(Some(&lease("2", "a")), at(121), at(122), absent);
        assert_eq!(sighting.standing(), Standing::Alive);
        sighting.update(Some(&lease("3", "")), at(123), at(124), absent);
        assert_eq!(sighting.standing(), Standing::Left);
    }

    #[test]
    fn a_lease_that_was_deleted_counts_as_alive_for_its_time() {
        let absent = Duration::from_secs(15);
        let mut sighting = Sighting::new(Some(&lease("1", "a")), at(99), at(100), absent);
        sighting.update(None, at(101), at(102), absent);
        sighting.update(None, at(116), at(116), absent);
        assert_eq!(sighting.standing(), Standing::Alive);
        sighting.update(None, at(117), at(117), absent);
        assert_eq!(sighting.standing(), Standing::Expired);
    }
}
