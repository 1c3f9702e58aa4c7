//! `clock`: the host's time.

use crate::bindings::windlass::controller::clock as wit;
use crate::host::HostState;
use crate::usage::Import;

impl wit::Host for HostState {
    fn now(&mut self) -> wasmtime::Result<wit::Datetime> {
        self.called(Import::ClockNow);
        let since_epoch = self.ambient.now();
        Ok(wit::Datetime {
            seconds: i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX),
            nanoseconds: since_epoch.subsec_nanos(),
        })
    }

    fn monotonic(&mut self) -> wasmtime::Result<u64> {
        self.called(Import::ClockMonotonic);
        Ok(self.ambient.monotonic_nanos())
    }
}
