//! Counts how long a guest computes without waiting.
//!
//! The unit is CPU time of the thread, not wall time: a host that is short of CPU must
//! not read as a guest that is out of control. Reading that clock is a system call, so
//! it is read only at epoch ticks and only while a long computation is going on; the
//! first tick of a stretch starts the measurement. What is only counted, for
//! [`Usage::cpu_time`], is taken from the ordinary clock as long as no tick passes.
//!
//! Calling a host import that answers at once does not end a stretch, nor does the
//! guest's own yielding: both can go on for ever. What ends it is progress that has a
//! bound elsewhere: a finished call, or an API call sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::usage::Usage;

/// The guest computed past its budget.
#[derive(Debug, thiserror::Error)]
#[error("CPU budget of {budget:?} exceeded")]
pub(crate) struct CpuExceeded {
    budget: Duration,
}

/// What to do at an epoch tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tick {
    /// The stretch only begins: carry on.
    First,
    /// Let other tasks of the thread run.
    Yield,
}

/// CPU time of one instance. Shared by the instance's store and the task that polls it,
/// never used by two threads at once; atomics only because the borrow rules ask for it.
#[derive(Debug)]
pub(crate) struct CpuMeter {
    budget: Duration,
    usage: Arc<Usage>,
    in_stretch: AtomicBool,
    yielding: AtomicBool,
    /// Somebody else's guest runs in a host function that this one called.
    elsewhere: AtomicBool,
    spent_nanos: AtomicU64,
    mark_nanos: AtomicU64,
}

/// When a poll began.
#[must_use]
pub(crate) enum Resumed {
    /// By the ordinary clock.
    Wall(Instant),
    /// By the thread's, which is read in the middle of a stretch anyway.
    Cpu { nanos: u64 },
}

/// See [`CpuMeter::yielding`].
pub(crate) struct YieldGuard(Arc<CpuMeter>);

impl Drop for YieldGuard {
    fn drop(&mut self) {
        self.0.yielding.store(false, Ordering::Relaxed);
    }
}

/// See [`CpuMeter::elsewhere`].
pub(crate) struct ElsewhereGuard(Arc<CpuMeter>);

impl Drop for ElsewhereGuard {
    fn drop(&mut self) {
        self.0.settle();
        self.0.elsewhere.store(false, Ordering::Relaxed);
    }
}

impl CpuMeter {
    pub(crate) fn new(budget: Duration, usage: Arc<Usage>) -> Self {
        Self {
            budget,
            usage,
            in_stretch: AtomicBool::new(false),
            yielding: AtomicBool::new(false),
            elsewhere: AtomicBool::new(false),
            spent_nanos: AtomicU64::new(0),
            mark_nanos: AtomicU64::new(0),
        }
    }

    /// The instance is about to be polled, perhaps by another thread than last time.
    pub(crate) fn resume(&self) -> Resumed {
        if !self.in_stretch.load(Ordering::Relaxed) {
            return Resumed::Wall(Instant::now());
        }
        let nanos = thread_cpu_nanos();
        self.mark_nanos.store(nanos, Ordering::Relaxed);
        Resumed::Cpu { nanos }
    }

    /// The poll is over.
    pub(crate) fn pause(&self, resumed: Resumed) {
        self.settle();
        self.usage.ran(match resumed {
            Resumed::Wall(since) => since.elapsed(),
            Resumed::Cpu { nanos } => Duration::from_nanos(thread_cpu_nanos().saturating_sub(nanos)),
        });
    }

    /// The guest lets others run in the middle of a computation, until the guard drops.
    pub(crate) fn yielding(self: &Arc<Self>) -> YieldGuard {
        self.yielding.store(true, Ordering::Relaxed);
        YieldGuard(Arc::clone(self))
    }

    /// From here until the guard drops, what passes is on another guest's budget.
    pub(crate) fn elsewhere(self: &Arc<Self>) -> ElsewhereGuard {
        self.settle();
        self.elsewhere.store(true, Ordering::Relaxed);
        ElsewhereGuard(Arc::clone(self))
    }

    fn settle(&self) {
        if self.in_stretch.load(Ordering::Relaxed) {
            self.spend_until(thread_cpu_nanos());
        }
    }

    /// Whether it does so now.
    pub(crate) fn is_yielding(&self) -> bool {
        self.yielding.load(Ordering::Relaxed)
    }

    /// The guest did something that ends a stretch.
    pub(crate) fn progress(&self) {
        self.in_stretch.store(false, Ordering::Relaxed);
    }

    /// An epoch tick reached the guest while it computed.
    pub(crate) fn tick(&self) -> Result<Tick, CpuExceeded> {
        self.tick_at(thread_cpu_nanos())
    }

    fn tick_at(&self, now_nanos: u64) -> Result<Tick, CpuExceeded> {
        if !self.in_stretch.swap(true, Ordering::Relaxed) {
            self.spent_nanos.store(0, Ordering::Relaxed);
            self.mark_nanos.store(now_nanos, Ordering::Relaxed);
            return Ok(Tick::First);
        }
        if self.spend_until(now_nanos) > self.budget {
            return Err(CpuExceeded { budget: self.budget });
        }
        Ok(Tick::Yield)
    }

    /// Counts the time since the last mark. Returns what is spent so far.
    fn spend_until(&self, now_nanos: u64) -> Duration {
        let mark_nanos = self.mark_nanos.swap(now_nanos, Ordering::Relaxed);
        let passed_nanos = match self.elsewhere.load(Ordering::Relaxed) {
            true => 0,
            false => now_nanos.saturating_sub(mark_nanos),
        };
        Duration::from_nanos(self.spent_nanos.fetch_add(passed_nanos, Ordering::Relaxed) + passed_nanos)
    }
}

fn thread_cpu_nanos() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    // CPU time of a thread is neither negative nor beyond 584 years.
    Duration::try_from(time).map_or(0, |time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: u64 = 1_000_000;

    fn meter() -> CpuMeter {
        CpuMeter::new(Duration::from_millis(25), Arc::default())
    }

    #[test]
    fn a_stretch_past_the_budget_is_refused() {
        let meter = meter();
        assert_eq!(meter.tick_at(10 * MILLISECOND).unwrap(), Tick::First);
        assert_eq!(meter.tick_at(20 * MILLISECOND).unwrap(), Tick::Yield);
        assert_eq!(meter.tick_at(30 * MILLISECOND).unwrap(), Tick::Yield);
        assert_eq!(
            meter.tick_at(40 * MILLISECOND).unwrap_err().to_string(),
            "CPU budget of 25ms exceeded"
        );
    }

    #[test]
    fn progress_starts_a_new_stretch() {
        let meter = meter();
        for stretch in 0..10 {
            let start = stretch * 1000 * MILLISECOND;
            assert_eq!(meter.tick_at(start).unwrap(), Tick::First);
            assert_eq!(meter.tick_at(start + 20 * MILLISECOND).unwrap(), Tick::Yield);
            meter.progress();
        }
    }

    #[test]
    fn what_another_guest_spends_is_not_counted() {
        let meter = Arc::new(meter());
        assert_eq!(meter.tick().unwrap(), Tick::First);
        let elsewhere = meter.elsewhere();
        let until = thread_cpu_nanos() + 30 * MILLISECOND;
        while thread_cpu_nanos() < until {}
        drop(elsewhere);
        assert_eq!(meter.tick().unwrap(), Tick::Yield);
        let until = thread_cpu_nanos() + 30 * MILLISECOND;
        while thread_cpu_nanos() < until {}
        assert!(meter.tick().is_err());
    }

    #[test]
    fn a_move_to_another_thread_is_not_counted() {
        let meter = meter();
        assert_eq!(meter.tick_at(u64::MAX / 2).unwrap(), Tick::First);
        drop(meter.resume());
        assert_eq!(meter.tick().unwrap(), Tick::Yield);
    }
}
