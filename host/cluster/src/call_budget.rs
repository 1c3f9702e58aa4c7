//! A budget of API calls that everybody in the host shares, fairly.
//!
//! Everyone with calls to make has a [`Seat`]. The calls of one seat wait in a line of
//! their own, and only the first of each line waits in the common one, behind the firsts of
//! all others: so those who wait are served in turn, and one that floods its line waits
//! behind itself. Both lines are first come, first served.
//!
//! Promises: never more calls than the rate and the burst allow; a seat waits for at most
//! one call of each other seat, and the time of its own; a call that is given up leaves the
//! lines at once. Deliberately not here: watches and Leases, which do not ask.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::token_bucket::TokenBucket;

/// The budget. Cheap to clone; clones are the same.
#[derive(Clone)]
pub struct CallBudget(Arc<Shared>);

struct Shared {
    bucket: TokenBucket,
    line: Mutex<()>,
}

/// A place in the budget. Clones share its line.
#[derive(Clone)]
pub struct Seat {
    shared: Arc<Shared>,
    line: Arc<Mutex<()>>,
}

impl Default for CallBudget {
    /// Without limit.
    fn default() -> Self {
        Self(Arc::new(Shared {
            bucket: TokenBucket::new(0, 0),
            line: Mutex::new(()),
        }))
    }
}

impl Default for Seat {
    /// One that nothing limits.
    fn default() -> Self {
        CallBudget::default().seat()
    }
}

impl CallBudget {
    /// Allows so many calls a second from now on, and `burst` at once after a pause; 0 a
    /// second is no limit.
    pub fn set(&self, qps: u32, burst: u32) {
        self.0.bucket.set(qps, burst);
    }

    /// A new place, with a line of its own.
    #[must_use]
    pub fn seat(&self) -> Seat {
        Seat {
            shared: Arc::clone(&self.0),
            line: Arc::default(),
        }
    }
}

impl Seat {
    /// Waits until one call may be made. Returns how long that was.
    pub async fn take(&self) -> Duration {
        let bucket = &self.shared.bucket;
        if !bucket.is_limited() {
            return Duration::ZERO;
        }
        let asked = Instant::now();
        let _first_of_seat = self.line.lock().await;
        let _first_of_all = self.shared.line.lock().await;
        bucket.take().await;
        asked.elapsed()
    }
}

impl std::fmt::Debug for Seat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seat").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;
    use tokio::task::JoinHandle;

    use super::*;

    fn budget(qps: u32, burst: u32) -> CallBudget {
        let budget = CallBudget::default();
        budget.set(qps, burst);
        budget
    }

    /// Makes so many calls at once; when each of them was let through.
    fn flood(seat: &Seat, calls: usize) -> JoinHandle<Vec<Duration>> {
        let (seat, start) = (seat.clone(), Instant::now());
        tokio::spawn(async move {
            let call = || async {
                seat.take().await;
                start.elapsed()
            };
            join_all((0..calls).map(|_| call())).await
        })
    }

    fn ms(times: &[Duration]) -> Vec<u128> {
        times.iter().map(Duration::as_millis).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn all_seats_together_keep_to_the_rate_and_the_burst() {
        let budget = budget(10, 4);
        let (one, other) = (flood(&budget.seat(), 10), flood(&budget.seat(), 10));
        let mut times = [one.await.unwrap(), other.await.unwrap()].concat();
        times.sort();
        let expected: Vec<u128> = (0..20_u128).map(|call| call.saturating_sub(3) * 100).collect();
        assert_eq!(ms(&times), expected);
    }

    #[tokio::test(start_paused = true)]
    async fn a_seat_that_floods_waits_behind_itself() {
        let budget = budget(10, 1);
        let loud = flood(&budget.seat(), 1000);
        tokio::time::sleep(Duration::from_secs(5)).await;
        let quiet = budget.seat();
        for _ in 0..3 {
            // The one that is first at this moment, and its own.
            assert!(quiet.take().await <= Duration::from_millis(200));
        }
        loud.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn seats_that_wait_are_served_in_turn() {
        let budget = budget(10, 1);
        // The burst, so that all of them wait from the beginning.
        budget.seat().take().await;
        let seats: Vec<_> = (0..3).map(|_| budget.seat()).collect();
        let floods: Vec<_> = seats.iter().map(|seat| flood(seat, 4)).collect();
        let mut order = Vec::new();
        for (seat, flood) in floods.into_iter().enumerate() {
            order.extend(flood.await.unwrap().into_iter().map(|at| (at, seat)));
        }
        order.sort();
        let seats: Vec<usize> = order.into_iter().map(|(_, seat)| seat).collect();
        for round in seats.chunks(3) {
            let mut served = round.to_vec();
            served.sort_unstable();
            assert_eq!(served, [0, 1, 2], "{seats:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_is_given_up_holds_nobody_back() {
        let budget = budget(10, 1);
        let (first, second) = (budget.seat(), budget.seat());
        first.take().await;
        let given_up = flood(&second, 100);
        tokio::time::sleep(Duration::from_millis(50)).await;
        given_up.abort();
        assert!(given_up.await.unwrap_err().is_cancelled());
        assert!(first.take().await <= Duration::from_millis(200));
    }

    #[tokio::test(start_paused = true)]
    async fn the_limit_changes_while_calls_wait() {
        let budget = budget(1, 1);
        let waiting = flood(&budget.seat(), 100);
        tokio::time::sleep(Duration::from_millis(2500)).await;
        budget.set(0, 0);
        let times = waiting.await.unwrap();
        assert!(times.iter().all(|at| at.as_millis() <= 3000), "{times:?}");
        assert_eq!(budget.seat().take().await, Duration::ZERO);
        budget.set(10, 2);
        let waits = flood(&budget.seat(), 4).await.unwrap();
        assert_eq!(ms(&waits), [0, 0, 100, 200]);
    }
}
