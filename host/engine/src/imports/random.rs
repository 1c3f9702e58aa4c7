//! `random`: numbers for names and jitter.

use crate::bindings::windlass::controller::random as wit;
use crate::host::HostState;
use crate::usage::Import;

impl wit::Host for HostState {
    fn next(&mut self) -> wasmtime::Result<u64> {
        self.called(Import::RandomNext);
        Ok(self.ambient.random())
    }
}
