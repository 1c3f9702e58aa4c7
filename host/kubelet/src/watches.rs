//! What this crate watches, and how much of each object.

use windlass_core::key::Resource;
use windlass_core::manifest::{EnqueueRule, EventKinds, View, WatchId, WatchSpec, WatchTarget};

/// Position of the watch on pods in a subscription.
pub(crate) const PODS: WatchId = 0;
/// Position of the watch on nodes.
pub(crate) const NODES: WatchId = 1;

const POD_FIELDS: [&str; 30] = [
    "spec.activeDeadlineSeconds",
    "spec.affinity.nodeAffinity",
    "spec.containers.args",
    "spec.containers.command",
    "spec.containers.image",
    "spec.containers.imagePullPolicy",
    "spec.containers.name",
    "spec.containers.ports",
    "spec.containers.readinessProbe.exec",
    "spec.containers.resources",
    "spec.hostNetwork",
    "spec.initContainers.args",
    "spec.initContainers.command",
    "spec.initContainers.image",
    "spec.initContainers.imagePullPolicy",
    "spec.initContainers.name",
    "spec.initContainers.ports",
    "spec.initContainers.readinessProbe.exec",
    "spec.initContainers.resources",
    "spec.initContainers.restartPolicy",
    "spec.nodeName",
    "spec.nodeSelector",
    "spec.overhead",
    "spec.readinessGates",
    "spec.resources",
    "spec.restartPolicy",
    "spec.terminationGracePeriodSeconds",
    "spec.tolerations",
    "spec.containers.restartPolicy",
    "status",
];

/// What the agent watches.
pub(crate) fn agent_watches() -> [WatchSpec; 2] {
    [
        watch("pods", fields(&POD_FIELDS)),
        watch(
            "nodes",
            fields(&["spec.taints", "status.allocatable", "status.conditions"]),
        ),
    ]
}

/// All objects of a resource of the core group, seen like this.
pub(crate) fn watch(plural: &str, view: View) -> WatchSpec {
    WatchSpec {
        target: WatchTarget::One(Resource::new("", "v1", plural)),
        label_selector: String::new(),
        view,
        enqueue: EnqueueRule::None,
        on: EventKinds::ALL,
        observe: true,
        old_bodies: false,
        indexes: Vec::new(),
    }
}

/// A view of these fields.
pub(crate) fn fields(paths: &[&str]) -> View {
    View::Fields(paths.iter().map(|path| (*path).into()).collect())
}
