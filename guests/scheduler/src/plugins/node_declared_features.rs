//! NodeDeclaredFeatures (KEP-5328): keeps pods off nodes whose agent lacks something that the pod relies on.
//!
//! On by default since 1.36. Of the features that `component-helpers/nodedeclaredfeatures` registers there,
//! these two are inferred from a pod to be scheduled; the others concern only updates of running pods.

use crate::model::node::Node;
use crate::model::template::Shape;

/// Why a node is out.
pub(crate) const REASON: &str = "node(s) didn't match Pod's required features";

/// A container may restart all others of its pod.
pub(crate) const RESTART_ALL_CONTAINERS: &str = "RestartAllContainersOnContainerExits";
/// A user namespace together with the host's network.
pub(crate) const USER_NAMESPACES_HOST_NETWORK: &str = "UserNamespacesHostNetworkSupport";

/// Whether the node declares everything that the pod relies on.
pub(crate) fn accepts(shape: &Shape, node: &Node) -> bool {
    let declared = &node.spec.declared_features;
    let mut required = shape.required_features.iter();
    required.all(|feature| declared.iter().any(|declared| declared.as_ref() == *feature))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::node::NodeSpec;

    #[test]
    fn every_required_feature_must_be_declared() {
        let node = Node {
            spec: NodeSpec {
                declared_features: vec![RESTART_ALL_CONTAINERS.into(), "SomethingElse".into()],
                ..NodeSpec::default()
            },
            ..Node::default()
        };
        let needs = |features: &[&'static str]| Shape {
            required_features: features.to_vec(),
            ..Shape::default()
        };
        assert!(accepts(&needs(&[]), &node));
        assert!(accepts(&needs(&[RESTART_ALL_CONTAINERS]), &node));
        assert!(!accepts(
            &needs(&[RESTART_ALL_CONTAINERS, USER_NAMESPACES_HOST_NETWORK]),
            &node
        ));
    }
}
