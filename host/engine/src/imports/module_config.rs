//! `module-config`: what the operator configured for this module.

use crate::bindings::windlass::controller::module_config as wit;
use crate::host::HostState;
use crate::usage::Import;

impl wit::Host for HostState {
    fn get(&mut self) -> wasmtime::Result<Vec<u8>> {
        self.called(Import::ModuleConfigGet);
        if self.config.is_empty() {
            return Ok(b"{}".to_vec());
        }
        Ok(self.config.to_vec())
    }
}
