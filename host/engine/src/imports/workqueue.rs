//! `workqueue`: the controller's own queue.

use std::time::Duration;

use windlass_core::seams::QueueItem;

use crate::bindings::windlass::controller::workqueue as wit;
use crate::exports::core_key;
use crate::host::HostState;
use crate::usage::Import;

impl wit::Host for HostState {
    fn add(&mut self, items: Vec<wit::Item>) -> wasmtime::Result<()> {
        self.called(Import::WorkqueueAdd);
        let items = items.iter().map(|item| QueueItem {
            key: core_key(&item.key),
            after: Duration::from_millis(item.after_ms),
            priority: item.priority,
        });
        self.services()?.queue.add(items.collect());
        Ok(())
    }
}
