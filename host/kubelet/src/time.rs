//! Points in time of the simulation, and the clock that makes them.
//!
//! Owns the one place where Tokio's clock and wall-clock timestamps meet. The clock is
//! read from the wall once and driven by Tokio afterwards, so a paused test clock drives
//! timestamps and timers alike, and a wall clock that jumps does not disturb timers.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tokio::time::Instant;

/// A point in time, in milliseconds since the Unix epoch. Written as RFC 3339 with whole
/// seconds, as Kubernetes does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

impl Time {
    /// The start of 1970.
    pub const EPOCH: Self = Self(0);

    /// From milliseconds since the Unix epoch.
    #[must_use]
    pub fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// This much later.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(
            self.0
                .saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    /// How long after `earlier` this is; zero if it is not.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// RFC 3339 with microseconds: the format of a Lease's `renewTime`.
    #[must_use]
    pub fn to_micro_time(self) -> String {
        let timestamp = jiff::Timestamp::from_millisecond(self.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        format!("{timestamp:.6}")
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let timestamp =
            jiff::Timestamp::from_second(self.0.div_euclid(1000)).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        write!(f, "{timestamp}")
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let timestamp: jiff::Timestamp = text.parse().map_err(serde::de::Error::custom)?;
        Ok(Self(timestamp.as_millisecond()))
    }
}

/// Tells [`Time`] and turns it into Tokio instants.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    wall: Time,
    instant: Instant,
}

impl Clock {
    /// A clock that starts at the present wall-clock time.
    #[must_use]
    pub fn start() -> Self {
        Self {
            wall: Time(jiff::Timestamp::now().as_millisecond()),
            instant: Instant::now(),
        }
    }

    /// The present.
    #[must_use]
    pub fn now(&self) -> Time {
        self.wall.plus(self.instant.elapsed())
    }

    /// When that point in time is reached; the past is the clock's start.
    #[must_use]
    pub fn instant(&self, time: Time) -> Instant {
        // One millisecond more, because points in time were rounded down to milliseconds
        // and a timer that fires early would fire again and again.
        self.instant + time.since(self.wall) + Duration::from_millis(u64::from(time > self.wall))
    }
}

/// Sleeps until then, or for ever.
pub(crate) async fn sleep_until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_whole_seconds_of_utc() {
        let time = Time::from_millis(1_700_000_000_987);
        assert_eq!(serde_json::to_string(&time).unwrap(), r#""2023-11-14T22:13:20Z""#);
        assert_eq!(time.to_micro_time(), "2023-11-14T22:13:20.987000Z");
        let read: Time = serde_json::from_str(r#""2023-11-14T22:13:20Z""#).unwrap();
        assert_eq!(read, Time::from_millis(1_700_000_000_000));
    }

    #[tokio::test(start_paused = true)]
    async fn a_timer_for_a_point_in_time_never_fires_early() {
        let clock = Clock::start();
        tokio::time::advance(Duration::from_micros(1500)).await;
        let due = clock.now().plus(Duration::from_millis(10));
        tokio::time::sleep_until(clock.instant(due)).await;
        assert!(clock.now() >= due);
    }
}
