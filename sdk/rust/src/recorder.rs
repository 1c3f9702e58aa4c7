//! Kubernetes events: fire and forget.

use crate::host;
use crate::object::Object;

pub use crate::bindings::controller::windlass::controller::recorder::{Event, EventType, ObjectReference};

/// Records that something went as it should.
pub fn normal(about: &impl Object, reason: &str, message: impl Into<String>) {
    record(event(about, EventType::Normal, reason, message.into()));
}

/// Records that something may be wrong.
pub fn warning(about: &impl Object, reason: &str, message: impl Into<String>) {
    record(event(about, EventType::Warning, reason, message.into()));
}

/// Records an event with everything spelled out. With an `action` it goes through
/// `events.k8s.io/v1`, otherwise through core `v1`.
pub fn record(event: Event) {
    host::record(event);
}

fn event(about: &impl Object, event_type: EventType, reason: &str, message: String) -> Event {
    Event {
        regarding: about.reference(),
        event_type,
        reason: reason.to_owned(),
        message,
        action: String::new(),
    }
}
