//! Finds the key whose sync brings a guest down, and sets it aside.
//!
//! When an instance ends badly, any of the keys in flight may be the reason. Each becomes
//! a suspect and is synced alone from then on; a suspect that is alone when the next
//! instance ends is guilty. After [`STRIKES`] times the key is set aside, for
//! [`FIRST_PAUSE`] and twice as long each further time, up to [`LONGEST_PAUSE`]. A sync
//! that ends in any ordinary way clears its key. Time is an argument; nothing here waits.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use windlass_core::key::ObjectKey;

/// Instances that a key may bring down, alone, before it is set aside.
pub const STRIKES: u32 = 3;
/// How long a key is set aside the first time.
pub const FIRST_PAUSE: Duration = Duration::from_secs(5 * 60);
/// How long it is set aside at most.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);

/// How to treat a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// Like any other.
    Free,
    /// Sync it while nothing else is in flight.
    Alone,
    /// Not before this long.
    SetAside(Duration),
}

#[derive(Debug, Default)]
struct Suspect {
    strikes: u32,
    until: Option<Instant>,
    reason: String,
}

/// A key that is set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAside {
    /// Which.
    pub key: ObjectKey,
    /// How often it brought an instance down, alone.
    pub strikes: u32,
    /// For how much longer.
    pub pause: Duration,
    /// How the instance ended the last time.
    pub reason: String,
}

/// The keys of one controller that are under suspicion.
#[derive(Debug, Default)]
pub struct Suspects(HashMap<ObjectKey, Suspect>);

impl Suspects {
    /// An instance ended badly, for this reason, with these keys in flight. Returns the
    /// one that is set aside for it.
    pub fn blame(&mut self, keys: &[ObjectKey], reason: &str, now: Instant) -> Option<SetAside> {
        let [key] = keys else {
            for key in keys {
                self.0.entry(key.clone()).or_default();
            }
            return None;
        };
        let suspect = self.0.entry(key.clone()).or_default();
        suspect.strikes += 1;
        let times = suspect.strikes.checked_sub(STRIKES)?;
        let pause = FIRST_PAUSE.saturating_mul(1 << times.min(8)).min(LONGEST_PAUSE);
        suspect.until = Some(now + pause);
        reason.clone_into(&mut suspect.reason);
        Some(SetAside {
            key: key.clone(),
            strikes: suspect.strikes,
            pause,
            reason: reason.to_owned(),
        })
    }

    /// How to treat a key now.
    #[must_use]
    pub fn treatment(&self, key: &ObjectKey, now: Instant) -> Treatment {
        if self.0.is_empty() {
            return Treatment::Free;
        }
        match self.0.get(key) {
            None => Treatment::Free,
            Some(suspect) => match suspect.until.filter(|until| *until > now) {
                Some(until) => Treatment::SetAside(until - now),
                None => Treatment::Alone,
            },
        }
    }

    /// A sync of this key ended in an ordinary way.
    pub fn clear(&mut self, key: &ObjectKey) {
        self.0.remove(key);
    }

    /// Forgets everything. Returns the keys that had been set aside.
    pub fn pardon(&mut self) -> Vec<ObjectKey> {
        let suspects = self.0.drain();
        suspects
            .filter(|(_, suspect)| suspect.until.is_some())
            .map(|(key, _)| key)
            .collect()
    }

    /// The keys that are set aside.
    #[must_use]
    pub fn set_aside(&self, now: Instant) -> Vec<SetAside> {
        let of = |(key, suspect): (&ObjectKey, &Suspect)| {
            Some(SetAside {
                key: key.clone(),
                strikes: suspect.strikes,
                pause: suspect.until?.checked_duration_since(now)?,
                reason: suspect.reason.clone(),
            })
        };
        self.0.iter().filter_map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> ObjectKey {
        ObjectKey::new("ns", name)
    }

    fn aside(strikes: u32, pause: Duration) -> SetAside {
        SetAside {
            key: key("a"),
            strikes,
            pause,
            reason: "trap".to_owned(),
        }
    }

    #[test]
    fn keys_that_were_in_flight_together_are_synced_alone_and_the_innocent_cleared() {
        let (mut suspects, now) = (Suspects::default(), Instant::now());
        assert_eq!(suspects.blame(&[key("a"), key("b")], "trap", now), None);
        assert_eq!(suspects.treatment(&key("a"), now), Treatment::Alone);
        suspects.clear(&key("a"));
        assert_eq!(suspects.treatment(&key("a"), now), Treatment::Free);
        assert_eq!(suspects.treatment(&key("b"), now), Treatment::Alone);
    }

    #[test]
    fn a_key_that_is_guilty_three_times_is_set_aside_each_time_for_longer() {
        let (mut suspects, now) = (Suspects::default(), Instant::now());
        assert_eq!(suspects.blame(&[key("a")], "trap", now), None);
        assert_eq!(suspects.blame(&[key("a")], "trap", now), None);
        assert_eq!(
            suspects.blame(&[key("a")], "trap", now),
            Some(aside(3, FIRST_PAUSE))
        );
        assert_eq!(
            suspects.treatment(&key("a"), now),
            Treatment::SetAside(FIRST_PAUSE)
        );
        assert_eq!(suspects.treatment(&key("a"), now + FIRST_PAUSE), Treatment::Alone);
        assert_eq!(
            suspects.blame(&[key("a")], "trap", now),
            Some(aside(4, 2 * FIRST_PAUSE))
        );
        for _ in 0..100 {
            suspects.blame(&[key("a")], "trap", now);
        }
        assert_eq!(suspects.set_aside(now), [aside(104, LONGEST_PAUSE)]);
        assert_eq!(suspects.pardon(), [key("a")]);
        assert_eq!(suspects.treatment(&key("a"), now), Treatment::Free);
    }
}
