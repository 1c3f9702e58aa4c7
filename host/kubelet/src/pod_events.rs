//! What happens to containers, as Kubernetes events on their pods.

use windlass_core::key::ObjectKey;
use windlass_core::seams::{Event, EventType, ObjectReference};

use crate::config::EventDetail;
use crate::container::Happening;
use crate::pod_worker::{Failure, Occurrence};

/// The event of an occurrence, if events of this detail are wanted.
#[must_use]
pub fn event_of(occurrence: &Occurrence, key: &ObjectKey, uid: &str, detail: EventDetail) -> Option<Event> {
    use EventType::{Normal, Warning};
    let Occurrence {
        container,
        image,
        happening,
    } = occurrence;
    let wanted = match detail {
        EventDetail::Off => false,
        EventDetail::All => true,
        EventDetail::Essential => !matches!(
            happening,
            Happening::Pulled | Happening::Created | Happening::Killing
        ),
    };
    if !wanted {
        return None;
    }
    let (event_type, reason, message) = match happening {
        Happening::Pulled => (
            Normal,
            "Pulled",
            format!("Container image \"{image}\" already present on machine and can be accessed by the pod"),
        ),
        Happening::Created => (Normal, "Created", "Container created".to_owned()),
        Happening::Started => (Normal, "Started", "Container started".to_owned()),
        Happening::Killing => (Normal, "Killing", format!("Stopping container {container}")),
        Happening::PullFailed => (
            Warning,
            "Failed",
            format!("Failed to pull image \"{image}\": {image}: not found"),
        ),
        Happening::PullBackOff => (Normal, "BackOff", format!("Back-off pulling image \"{image}\"")),
        Happening::InvalidImageName => (
            Warning,
            "InspectFailed",
            format!(
                "Failed to apply default image tag \"{image}\": couldn't parse image name \"{image}\": invalid reference format"
            ),
        ),
        Happening::CrashBackOff => (
            Warning,
            "BackOff",
            format!(
                "Back-off restarting failed container {container} in pod {}_{}({uid})",
                key.name, key.namespace
            ),
        ),
    };
    Some(pod_event(key, uid, event_type, reason, message))
}

/// The event of a pod that its node does not take.
#[must_use]
pub fn rejection_event(failure: &Failure, key: &ObjectKey, uid: &str) -> Event {
    pod_event(
        key,
        uid,
        EventType::Warning,
        &failure.reason,
        failure.message.clone(),
    )
}

fn pod_event(key: &ObjectKey, uid: &str, event_type: EventType, reason: &str, message: String) -> Event {
    Event {
        regarding: ObjectReference {
            api_version: "v1".to_owned(),
            kind: "Pod".to_owned(),
            namespace: key.namespace.to_string(),
            name: key.name.to_string(),
            uid: uid.to_owned(),
            resource_version: String::new(),
        },
        event_type,
        reason: reason.to_owned(),
        message,
        action: String::new(),
    }
}
