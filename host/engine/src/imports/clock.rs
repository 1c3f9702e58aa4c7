//! `clock`: the host's time.

use std::sync::LazyLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::bindings::windlass::controller::clock as wit;
use crate::host::HostState;

/// Where the monotonic clock of all guests starts.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

impl wit::Host for HostState {
    fn now(&mut self) -> wasmtime::Result<wit::Datetime> {
        // A host whose clock stands before 1970 shows 1970.
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX);
        Ok(wit::Datetime {
            seconds,
            nanoseconds: since_epoch.subsec_nanos(),
        })
    }

    fn monotonic(&mut self) -> wasmtime::Result<u64> {
        Ok(u64::try_from(START.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }
}
