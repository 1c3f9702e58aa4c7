//! Growing pauses between failures, with client-go's figures for reflectors.

use std::time::Duration;

use rand::Rng;
use tokio::time::Instant;

const INITIAL: Duration = Duration::from_millis(800);
const MAX: Duration = Duration::from_secs(30);
const RESET_AFTER: Duration = Duration::from_secs(120);

/// 800 ms to 30 s, doubling, each with up to its own length on top at random, from the
/// start again when two minutes passed without a failure.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
    last: Option<Instant>,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            next: INITIAL,
            last: None,
        }
    }
}

impl Backoff {
    pub(crate) fn next(&mut self, now: Instant) -> Duration {
        if self
            .last
            .is_some_and(|last| now.duration_since(last) > RESET_AFTER)
        {
            self.next = INITIAL;
        }
        self.last = Some(now);
        let pause = self.next;
        self.next = (pause * 2).min(MAX);
        pause.mul_f64(1.0 + rand::rng().random::<f64>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pauses_double_up_to_a_limit_and_start_again_after_quiet() {
        let mut backoff = Backoff::default();
        let start = Instant::now();
        for step in 0..8 {
            let base = (INITIAL * 2u32.pow(step)).min(MAX);
            let pause = backoff.next(start);
            assert!(pause >= base && pause < base * 2, "{pause:?} for {base:?}");
        }
        assert!(backoff.next(start + RESET_AFTER * 2) < INITIAL * 2);
    }
}
