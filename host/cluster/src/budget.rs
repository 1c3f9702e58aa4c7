//! How many bytes all caches together hold, and how many they may.
//!
//! Counted by the caches as they change, at the price of one atomic operation. Who has to
//! go when there are too many is decided elsewhere ([`crate::tenants`]).

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

const UNLIMITED: usize = usize::MAX;

/// The bytes of all caches that share it.
#[derive(Debug)]
pub(crate) struct Budget {
    used: AtomicUsize,
    limit: AtomicUsize,
    /// Caches that nobody fills any more and somebody still reads.
    leaving: AtomicUsize,
    exceeded: Notify,
    fits: Notify,
}

impl Default for Budget {
    /// Without a limit.
    fn default() -> Self {
        Self {
            used: AtomicUsize::new(0),
            limit: AtomicUsize::new(UNLIMITED),
            leaving: AtomicUsize::new(0),
            exceeded: Notify::new(),
            fits: Notify::new(),
        }
    }
}

impl Budget {
    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    pub(crate) fn limit(&self) -> Option<usize> {
        Some(self.limit.load(Ordering::Relaxed)).filter(|limit| *limit != UNLIMITED)
    }

    pub(crate) fn set_limit(&self, limit: Option<usize>) {
        self.limit.store(limit.unwrap_or(UNLIMITED), Ordering::Relaxed);
        if self.is_exceeded() {
            self.exceeded.notify_one();
        } else {
            self.fits.notify_waiters();
        }
    }

    pub(crate) fn is_exceeded(&self) -> bool {
        self.used() > self.limit.load(Ordering::Relaxed)
    }

    /// A cache that held this much before now holds that much.
    pub(crate) fn changed(&self, before: usize, after: usize) {
        if after > before {
            self.used.fetch_add(after - before, Ordering::Relaxed);
            if self.is_exceeded() {
                self.exceeded.notify_one();
            }
        } else if before > after {
            self.used.fetch_sub(before - after, Ordering::Relaxed);
            if !self.is_exceeded() {
                self.fits.notify_waiters();
            }
        }
    }

    /// A cache is about to be given up.
    pub(crate) fn leaves(&self) {
        self.leaving.fetch_add(1, Ordering::Release);
    }

    /// Its bytes have been taken off.
    pub(crate) fn left(&self) {
        self.leaving.fetch_sub(1, Ordering::Release);
    }

    /// Whether room is about to come free. What is not exceeded after this said no needs
    /// nobody's going.
    pub(crate) fn is_clearing(&self) -> bool {
        self.leaving.load(Ordering::Acquire) > 0
    }

    /// Waits until the caches hold more than they may. For one task.
    pub(crate) async fn exceeds(&self) {
        while !self.is_exceeded() {
            self.exceeded.notified().await;
        }
    }

    /// Waits until they hold no more than they may.
    pub(crate) async fn fits(&self) {
        loop {
            let mut fits = pin!(self.fits.notified());
            // From here on no word of it is missed.
            fits.as_mut().enable();
            if !self.is_exceeded() {
                return;
            }
            fits.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn whoever_waits_learns_of_each_side_of_the_limit() {
        let budget = Budget::default();
        budget.changed(0, 1000);
        assert_eq!((budget.used(), budget.limit()), (1000, None));
        assert!(budget.exceeds().now_or_never().is_none(), "there is no limit");
        budget.set_limit(Some(500));
        assert!(budget.exceeds().now_or_never().is_some());
        let mut fits = pin!(budget.fits());
        assert!(fits.as_mut().now_or_never().is_none());
        budget.changed(1000, 500);
        assert!(fits.now_or_never().is_some(), "as much as it may is not too much");
        assert!(budget.exceeds().now_or_never().is_none());
        budget.changed(500, 501);
        let mut fits = pin!(budget.fits());
        assert!(fits.as_mut().now_or_never().is_none());
        budget.set_limit(None);
        assert!(fits.now_or_never().is_some());
    }
}
