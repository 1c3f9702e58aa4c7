//! A module's events, as far as it may record any.

use std::sync::Arc;

use windlass_cluster::permits::Permits;
use windlass_core::permission::Access;
use windlass_core::seams::{Event, EventSink};

/// The namespace of events about cluster-scoped objects, as in client-go.
const FOR_CLUSTER_SCOPED: &str = "default";

/// Passes on what the module may create. The source of the events is the sink's.
pub(crate) struct PermittedEvents {
    pub(crate) permits: Arc<Permits>,
    pub(crate) sink: Arc<dyn EventSink>,
}

impl EventSink for PermittedEvents {
    fn record(&self, event: Event) {
        let namespace = match event.regarding.namespace.as_str() {
            "" => FOR_CLUSTER_SCOPED,
            namespace => namespace,
        };
        let access = Access {
            verb: "create",
            // As the recorder chooses the API.
            group: if event.action.is_empty() {
                ""
            } else {
                "events.k8s.io"
            },
            resource: "events",
            subresource: "",
            namespace,
            name: "",
        };
        // The contract has no way to answer; the refusal is in the log.
        if self.permits.check(&access).is_ok() {
            self.sink.record(event);
        }
    }
}
