//! `recorder`: Kubernetes events.

use windlass_core::seams::{Event, EventType, ObjectReference};

use crate::bindings::windlass::controller::recorder as wit;
use crate::host::HostState;
use crate::usage::Import;

impl wit::Host for HostState {
    fn record(&mut self, event: wit::Event) -> wasmtime::Result<()> {
        self.called(Import::RecorderRecord);
        let regarding = event.regarding;
        let reason = self.redactor.redact(event.reason);
        let message = self.redactor.redact(event.message);
        self.services()?.events.record(Event {
            regarding: ObjectReference {
                api_version: regarding.api_version,
                kind: regarding.kind,
                namespace: regarding.namespace,
                name: regarding.name,
                uid: regarding.uid,
                resource_version: regarding.resource_version,
            },
            event_type: match event.event_type {
                wit::EventType::Normal => EventType::Normal,
                wit::EventType::Warning => EventType::Warning,
            },
            reason,
            message,
            action: event.action,
        });
        Ok(())
    }
}
