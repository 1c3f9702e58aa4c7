//! Time, chance and the log as this machine has them.

use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tracing::Level;
use windlass_core::seams::{Ambient, LogLevel};

/// Lines of guests have a target of their own, so that they can be filtered apart.
pub(crate) const LOG_TARGET: &str = "windlass::guest";

/// Where the monotonic clock of all guests starts.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// What guests are told unless somebody else answers for the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemAmbient;

impl Ambient for SystemAmbient {
    fn now(&self) -> Duration {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }

    fn monotonic_nanos(&self) -> u64 {
        u64::try_from(START.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn random(&self) -> u64 {
        rand::random()
    }

    fn logs(&self, level: LogLevel) -> bool {
        // The level of a callsite must be a constant.
        match level {
            LogLevel::Error => tracing::enabled!(target: LOG_TARGET, Level::ERROR),
            LogLevel::Warn => tracing::enabled!(target: LOG_TARGET, Level::WARN),
            LogLevel::Info => tracing::enabled!(target: LOG_TARGET, Level::INFO),
            LogLevel::Debug => tracing::enabled!(target: LOG_TARGET, Level::DEBUG),
            LogLevel::Trace => tracing::enabled!(target: LOG_TARGET, Level::TRACE),
        }
    }
}
