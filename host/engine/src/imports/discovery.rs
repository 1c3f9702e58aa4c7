//! `discovery`: from kinds to resources.

use crate::bindings::windlass::controller::discovery as wit;
use crate::exports::api_resource;
use crate::host::HostState;
use crate::usage::Import;

impl wit::Host for HostState {
    fn resolve(
        &mut self,
        group: String,
        version: String,
        kind: String,
    ) -> wasmtime::Result<Option<wit::Mapping>> {
        self.called(Import::DiscoveryResolve);
        let info = self.services()?.discovery.resolve(&group, &version, &kind);
        Ok(info.map(|info| wit::Mapping {
            resource: api_resource(&info.resource),
            namespaced: info.namespaced,
        }))
    }
}
