//! How long to wait before a request is tried again.
//!
//! Plain arithmetic: the waiting is in [`crate::remote`].

use std::time::Duration;

use jiff::Timestamp;

/// When and how often requests are repeated that failed for a reason that may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The wait after the first failure. It doubles with each.
    pub initial: Duration,
    /// The longest wait, unless the registry asks for more.
    pub cap: Duration,
    /// How often a request is tried in all.
    pub attempts: u32,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            initial: Duration::from_millis(250),
            cap: Duration::from_secs(15),
            attempts: 6,
        }
    }
}

impl Backoff {
    /// The wait after `failures` failures, with `jitter` in 0..1 taking up to half of it
    /// away, so that many hosts do not come back at once. What the registry asks for is a
    /// lower bound; the jitter is then added.
    pub(crate) fn delay(&self, failures: u32, asked: Option<Duration>, jitter: f64) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let wait = self.initial.saturating_mul(1 << doublings).min(self.cap);
        match asked {
            Some(asked) => asked.saturating_add(self.initial.mul_f64(jitter)),
            None => wait.mul_f64(1.0 - jitter / 2.0),
        }
    }
}

/// The wait in a `Retry-After` header: seconds, or a date.
pub(crate) fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let until = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
    Some(Duration::try_from(until.duration_since(now)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff {
        initial: Duration::from_millis(100),
        cap: Duration::from_secs(1),
        attempts: 9,
    };

    #[test]
    fn waits_double_up_to_the_cap() {
        let waits: Vec<_> = (1..=6)
            .map(|failures| BACKOFF.delay(failures, None, 0.0).as_millis())
            .collect();
        assert_eq!(waits, [100, 200, 400, 800, 1000, 1000]);
        assert_eq!(BACKOFF.delay(u32::MAX, None, 0.0), BACKOFF.cap);
    }

    #[test]
    fn jitter_takes_at_most_half() {
        assert_eq!(BACKOFF.delay(1, None, 1.0), Duration::from_millis(50));
    }

    #[test]
    fn the_registry_can_ask_for_more_than_the_cap_and_is_never_asked_early() {
        let asked = Some(Duration::from_secs(30));
        assert_eq!(BACKOFF.delay(1, asked, 0.0), Duration::from_secs(30));
        assert_eq!(BACKOFF.delay(1, asked, 1.0), Duration::from_millis(30_100));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now: Timestamp = "1994-11-06T08:49:30Z".parse().unwrap();
        assert_eq!(retry_after("120", now), Some(Duration::from_secs(120)));
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(retry_after(date, now), Some(Duration::from_secs(7)));
        let later: Timestamp = "1994-11-06T09:00:00Z".parse().unwrap();
        assert_eq!(retry_after(date, later), Some(Duration::ZERO));
        assert_eq!(retry_after("soon", now), None);
    }
}
