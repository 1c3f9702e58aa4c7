//! `random`: numbers for names and jitter.

use crate::bindings::windlass::controller::random as wit;
use crate::host::HostState;

impl wit::Host for HostState {
    fn next(&mut self) -> wasmtime::Result<u64> {
        Ok(self.ambient.random())
    }
}
