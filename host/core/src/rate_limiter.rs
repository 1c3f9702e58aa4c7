//! How long to wait before trying again.
//!
//! [`RateLimiter`] is what controllers put before their work queue: exponential delays
//! per key and a token bucket over all keys, whichever is later, as client-go's
//! `DefaultTypedControllerRateLimiter`. [`Backoff`] is the general form for one thing that
//! fails as a whole: a reflector, a guest.
//!
//! Promises: no clock is read in here; the caller passes `now`. Delays never overflow.
//! Nothing sleeps: these types compute durations, the caller waits.

use std::hash::Hash;
use std::time::{Duration, Instant};

use hashbrown::HashMap;

/// Rate and burst of a token bucket.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TokenBucketConfig {
    /// Tokens per second; more than 0.
    pub per_second: f64,
    /// Most tokens that can be saved up.
    pub burst: u32,
}

/// Settings of a [`RateLimiter`]. The default is client-go's for controllers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateLimiterConfig {
    /// Delay after a key's first failure; doubles with each further one.
    pub base_delay: Duration,
    /// No key waits longer than this on its own account.
    pub max_delay: Duration,
    /// Limit over all keys, or none.
    pub overall: Option<TokenBucketConfig>,
}

impl Default for RateLimiterConfig {
    fn default() -> Self {
        Self {
            base_delay: Duration::from_millis(5),
            max_delay: Duration::from_secs(1000),
            overall: Some(TokenBucketConfig {
                per_second: 10.0,
                burst: 100,
            }),
        }
    }
}

/// A token bucket that hands out reservations: a caller always gets a token, perhaps one
/// of the future, and is told how long to wait for it.
#[derive(Clone, Debug)]
pub struct TokenBucket {
    config: TokenBucketConfig,
    /// Negative while tokens of the future are promised.
    tokens: f64,
    updated: Option<Instant>,
}

impl TokenBucket {
    /// A full bucket.
    #[must_use]
    pub fn new(config: TokenBucketConfig) -> Self {
        Self {
            config,
            tokens: f64::from(config.burst),
            updated: None,
        }
    }

    /// Takes one token and returns how long to wait for it.
    pub fn reserve(&mut self, now: Instant) -> Duration {
        self.refill(now);
        self.tokens -= 1.0;
        if self.tokens >= 0.0 {
            return Duration::ZERO;
        }
        Duration::try_from_secs_f64(-self.tokens / self.config.per_second).unwrap_or(Duration::MAX)
    }

    /// Takes one token if there is one now.
    pub fn try_take(&mut self, now: Instant) -> bool {
        self.refill(now);
        let available = self.tokens >= 1.0;
        if available {
            self.tokens -= 1.0;
        }
        available
    }

    fn refill(&mut self, now: Instant) {
        let elapsed = self
            .updated
            .map_or(Duration::ZERO, |updated| now.saturating_duration_since(updated));
        let gained = elapsed.as_secs_f64() * self.config.per_second;
        self.tokens = (self.tokens + gained).min(f64::from(self.config.burst));
        self.updated = Some(self.updated.map_or(now, |updated| updated.max(now)));
    }
}

/// Delays failing keys: exponentially each, and all of them together by a token bucket.
#[derive(Clone, Debug)]
pub struct RateLimiter<K> {
    config: RateLimiterConfig,
    failures: HashMap<K, u32>,
    bucket: Option<TokenBucket>,
}

impl<K: Clone + Eq + Hash> RateLimiter<K> {
    /// A limiter that has seen no failures.
    #[must_use]
    pub fn new(config: RateLimiterConfig) -> Self {
        Self {
            config,
            failures: HashMap::new(),
            bucket: config.overall.map(TokenBucket::new),
        }
    }

    /// Counts a failure of `key` and returns how long it has to wait.
    pub fn when(&mut self, key: &K, now: Instant) -> Duration {
        let failures = match self.failures.get_mut(key) {
            Some(failures) => failures,
            None => self.failures.entry(key.clone()).or_insert(0),
        };
        let own = exponential(self.config.base_delay, *failures).min(self.config.max_delay);
        *failures = failures.saturating_add(1);
        let overall = self
            .bucket
            .as_mut()
            .map_or(Duration::ZERO, |bucket| bucket.reserve(now));
        own.max(overall)
    }

    /// Clears the failures of `key`.
    pub fn forget(&mut self, key: &K) {
        if !self.failures.is_empty() {
            self.failures.remove(key);
        }
    }

    /// How often `key` failed since it was last forgotten.
    #[must_use]
    pub fn num_requeues(&self, key: &K) -> u32 {
        self.failures.get(key).copied().unwrap_or(0)
    }
}

fn exponential(base: Duration, doublings: u32) -> Duration {
    1_u32
        .checked_shl(doublings)
        .map_or(Duration::MAX, |factor| base.saturating_mul(factor))
}

/// Settings of a [`Backoff`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BackoffConfig {
    /// First delay.
    pub initial: Duration,
    /// What each further delay is multiplied by; at least 1.
    pub factor: f64,
    /// Longest delay before jitter.
    pub cap: Duration,
    /// A random share of the delay, from 0 up to this, is added to it.
    pub jitter: f64,
    /// After this long without a failure the next delay is the initial one again.
    pub reset_after: Duration,
}

impl BackoffConfig {
    /// client-go's reflector: 800 ms to 30 s, doubling, jitter 1, reset after 2 minutes.
    pub const REFLECTOR: Self = Self {
        initial: Duration::from_millis(800),
        factor: 2.0,
        cap: Duration::from_secs(30),
        jitter: 1.0,
        reset_after: Duration::from_secs(120),
    };

    /// Guests that keep failing: 100 ms to 5 minutes, doubling, with a little jitter,
    /// reset after 10 minutes.
    pub const GUEST: Self = Self {
        initial: Duration::from_millis(100),
        factor: 2.0,
        cap: Duration::from_secs(300),
        jitter: 0.1,
        reset_after: Duration::from_secs(600),
    };
}

/// Growing delays for one thing that fails as a whole.
#[derive(Clone, Debug)]
pub struct Backoff {
    config: BackoffConfig,
    next: Duration,
    attempts: u32,
    last: Option<Instant>,
}

impl Backoff {
    /// A back-off before its first failure.
    #[must_use]
    pub fn new(config: BackoffConfig) -> Self {
        Self {
            config,
            next: config.initial,
            attempts: 0,
            last: None,
        }
    }

    /// Counts a failure and returns how long to wait, with random jitter.
    pub fn next_delay(&mut self, now: Instant) -> Duration {
        self.next_delay_with(now, rand::random())
    }

    /// The same with given randomness from 0 to 1, so that it can be tested.
    pub fn next_delay_with(&mut self, now: Instant, random: f64) -> Duration {
        if self
            .last
            .is_some_and(|last| now.saturating_duration_since(last) > self.config.reset_after)
        {
            self.reset();
        }
        let delay = self.next.min(self.config.cap);
        self.next = scale(delay, self.config.factor.max(1.0)).min(self.config.cap);
        self.attempts = self.attempts.saturating_add(1);
        self.last = Some(now);
        delay.saturating_add(scale(delay, self.config.jitter * random))
    }

    /// Forgets all failures.
    pub fn reset(&mut self) {
        self.next = self.config.initial;
        self.attempts = 0;
        self.last = None;
    }

    /// Failures since the last reset.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.attempts
    }
}

fn scale(duration: Duration, factor: f64) -> Duration {
    Duration::try_from_secs_f64(duration.as_secs_f64() * factor).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_failing_key_waits_twice_as_long_each_time_up_to_the_cap() {
        let mut limiter = RateLimiter::new(RateLimiterConfig {
            overall: None,
            ..RateLimiterConfig::default()
        });
        let now = Instant::now();
        let delays: Vec<u128> = (0..4).map(|_| limiter.when(&"a", now).as_millis()).collect();
        assert_eq!(delays, [5, 10, 20, 40]);
        let last = (0..100).map(|_| limiter.when(&"a", now)).last();
        assert_eq!(
            (last, limiter.num_requeues(&"a")),
            (Some(Duration::from_secs(1000)), 104)
        );
        assert_eq!(limiter.when(&"b", now), 5 * MS);
        limiter.forget(&"a");
        assert_eq!((limiter.num_requeues(&"a"), limiter.when(&"a", now)), (0, 5 * MS));
    }

    #[test]
    fn past_the_burst_all_keys_together_wait_for_the_bucket() {
        let mut limiter = RateLimiter::new(RateLimiterConfig::default());
        let now = Instant::now();
        let delays: Vec<Duration> = (0..103).map(|key| limiter.when(&key, now)).collect();
        assert!(delays[..100].iter().all(|delay| *delay == 5 * MS));
        assert_eq!(delays[100..], [100 * MS, 200 * MS, 300 * MS]);
    }

    #[test]
    fn a_backoff_grows_to_its_cap_and_starts_over_after_a_quiet_time() {
        let mut backoff = Backoff::new(BackoffConfig::REFLECTOR);
        let mut now = Instant::now();
        let delays: Vec<u128> = (0..7)
            .map(|_| backoff.next_delay_with(now, 0.0).as_millis())
            .collect();
        assert_eq!(delays, [800, 1600, 3200, 6400, 12800, 25600, 30000]);
        assert_eq!(
            (backoff.next_delay_with(now, 1.0), backoff.attempts()),
            (Duration::from_secs(60), 8)
        );
        now += Duration::from_secs(121);
        assert_eq!(
            (backoff.next_delay_with(now, 0.5), backoff.attempts()),
            (1200 * MS, 1)
        );
    }

    proptest! {
        #[test]
        fn no_span_of_time_grants_more_than_burst_and_rate(
            burst in 1..20_u32,
            gaps in prop::collection::vec(0..300_u64, 1..200),
        ) {
            let mut bucket = TokenBucket::new(TokenBucketConfig { per_second: 10.0, burst });
            let start = Instant::now();
            let mut now = start;
            let grants: Vec<f64> = gaps.iter().map(|gap| {
                now += MS * (*gap as u32);
                (now + bucket.reserve(now) - start).as_secs_f64()
            }).collect();
            for (first, from) in grants.iter().enumerate() {
                for (last, to) in grants.iter().enumerate().skip(first) {
                    let granted = (last - first + 1) as f64;
                    prop_assert!(granted <= f64::from(burst) + 10.0 * (to - from) + 1.0 + 1e-6);
                }
            }
        }

        #[test]
        fn a_backoff_stays_between_its_initial_delay_and_the_jittered_cap(
            steps in prop::collection::vec((0..300_u64, 0.0..1.0_f64), 1..100),
        ) {
            let config = BackoffConfig::REFLECTOR;
            let mut backoff = Backoff::new(config);
            let mut now = Instant::now();
            for (seconds, random) in steps {
                now += Duration::from_secs(seconds);
                let delay = backoff.next_delay_with(now, random);
                prop_assert!(delay >= config.initial && delay <= config.cap * 2);
            }
        }
    }
}
