//! The clock of leases: time since boot, which also passes while the machine is suspended
//! or the process is stopped, and which nobody can set.

use std::ops::Add;
use std::time::Duration;

/// A moment, as time since the machine started. Of no meaning on another machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct BootInstant(Duration);

impl BootInstant {
    /// The moment this long after the start of the machine.
    #[must_use]
    pub const fn from_boot(since: Duration) -> Self {
        Self(since)
    }

    /// Time since the start of the machine.
    #[must_use]
    pub const fn since_boot(self) -> Duration {
        self.0
    }

    /// Time since an earlier moment, or nothing if that is later.
    #[must_use]
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for BootInstant {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }
}

/// Tells the time since boot.
pub trait Clock: Send + Sync {
    /// Called for every sync and every write that is fenced; must not block.
    fn now(&self) -> BootInstant;
}

/// The machine's own clock: `CLOCK_BOOTTIME` on Linux. Elsewhere the monotonic clock,
/// which may stand still while the machine is suspended, but not while a process is stopped.
#[derive(Clone, Copy, Debug, Default)]
pub struct BootClock;

#[cfg(any(target_os = "linux", target_os = "android"))]
impl Clock for BootClock {
    fn now(&self) -> BootInstant {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
        let nanoseconds = u32::try_from(time.tv_nsec).unwrap_or_default();
        BootInstant(Duration::new(seconds, nanoseconds))
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
impl Clock for BootClock {
    fn now(&self) -> BootInstant {
        static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
        BootInstant(START.get_or_init(std::time::Instant::now).elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boot_clock_never_goes_back() {
        let first = BootClock.now();
        assert!(BootClock.now() >= first);
    }
}
