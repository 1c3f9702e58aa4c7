//! NodeUnschedulable: keeps pods off cordoned nodes.

use super::taint_toleration::tolerates;
use crate::model::node::{Node, Taint};
use crate::model::template::Shape;

/// Why a node is out.
pub(crate) const REASON: &str = "node(s) were unschedulable";

/// Whether the node is open, or the pod tolerates that it is not.
pub(crate) fn accepts(shape: &Shape, node: &Node) -> bool {
    !node.spec.unschedulable || tolerates_cordon(shape)
}

/// Whether the pod tolerates the taint that stands for a cordon.
pub(crate) fn tolerates_cordon(shape: &Shape) -> bool {
    let cordon = Taint {
        key: "node.kubernetes.io/unschedulable".into(),
        value: "".into(),
        effect: "NoSchedule".into(),
    };
    shape
        .tolerations
        .iter()
        .any(|toleration| tolerates(toleration, &cordon))
}
