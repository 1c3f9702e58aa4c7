//! Requests per second with a burst, first come first served.
//!
//! A caller reserves its place at once and then sleeps until that moment, so that later
//! callers cannot overtake, whatever order the timers fire in.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// A token bucket.
pub(crate) struct TokenBucket(Mutex<Bucket>);

struct Bucket {
    /// Zero for no limit.
    interval: Duration,
    burst: Duration,
    /// When the bucket would be full again, had nobody taken anything since.
    full_at: Instant,
}

impl TokenBucket {
    /// `rate` tokens a second, at most `burst` at once. A rate of 0 means no limit.
    pub(crate) fn new(rate: u32, burst: u32) -> Self {
        Self(Mutex::new(Bucket::full(rate, burst)))
    }

    /// Another rate and burst from now on, with a full bucket.
    pub(crate) fn set(&self, rate: u32, burst: u32) {
        *self.0.lock() = Bucket::full(rate, burst);
    }

    pub(crate) fn is_limited(&self) -> bool {
        !self.0.lock().interval.is_zero()
    }

    /// Takes a token, waiting for it if need be.
    pub(crate) async fn take(&self) {
        let ready = self.0.lock().reserve();
        if let Some(ready) = ready {
            tokio::time::sleep_until(ready).await;
        }
    }
}

impl Bucket {
    fn full(rate: u32, burst: u32) -> Self {
        let interval = if rate == 0 {
            Duration::ZERO
        } else {
            Duration::from_secs(1) / rate
        };
        Self {
            interval,
            burst: interval * burst.max(1),
            full_at: Instant::now(),
        }
    }

    /// When the token just reserved can be used; nothing: now.
    fn reserve(&mut self) -> Option<Instant> {
        if self.interval.is_zero() {
            return None;
        }
        let now = Instant::now();
        self.full_at = self.full_at.max(now) + self.interval;
        let ready = self.full_at.checked_sub(self.burst).unwrap_or(now);
        (ready > now).then_some(ready)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_at_once_and_the_rest_at_the_rate() {
        let bucket = TokenBucket::new(10, 3);
        let start = Instant::now();
        for _ in 0..3 {
            bucket.take().await;
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
        for _ in 0..5 {
            bucket.take().await;
        }
        assert_eq!(start.elapsed(), Duration::from_millis(500));
    }

    #[tokio::test(start_paused = true)]
    async fn idle_time_does_not_save_up_more_than_the_burst() {
        let bucket = TokenBucket::new(10, 2);
        tokio::time::sleep(Duration::from_secs(60)).await;
        let start = Instant::now();
        for _ in 0..4 {
            bucket.take().await;
        }
        assert_eq!(start.elapsed(), Duration::from_millis(200));
    }

    #[tokio::test(start_paused = true)]
    async fn no_rate_means_no_limit() {
        let bucket = TokenBucket::new(0, 0);
        let start = Instant::now();
        for _ in 0..1000 {
            bucket.take().await;
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}
