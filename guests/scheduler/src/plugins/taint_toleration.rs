//! TaintToleration: filters by `NoSchedule` and `NoExecute` taints, scores by `PreferNoSchedule` ones.

use crate::model::node::{Node, Taint};
use crate::model::template::{Shape, Toleration, TolerationOperator};

/// Why a node is out.
pub(crate) const REASON: &str = "node(s) had untolerated taint(s)";

/// Whether a toleration covers a taint.
pub(crate) fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    if !toleration.effect.is_empty() && toleration.effect != taint.effect {
        return false;
    }
    if !toleration.key.is_empty() && toleration.key != taint.key {
        return false;
    }
    match toleration.operator {
        TolerationOperator::Equal => toleration.value == taint.value,
        TolerationOperator::Exists => true,
        TolerationOperator::Never => false,
    }
}

/// Whether every taint that keeps pods away is tolerated.
pub(crate) fn accepts(shape: &Shape, node: &Node) -> bool {
    accepts_taints(shape, &node.spec.taints)
}

/// As [`accepts`], for these taints.
pub(crate) fn accepts_taints(shape: &Shape, taints: &[Taint]) -> bool {
    let keeps_away = |taint: &&Taint| matches!(taint.effect.as_ref(), "NoSchedule" | "NoExecute");
    taints
        .iter()
        .filter(keeps_away)
        .all(|taint| shape.tolerations.iter().any(|t| tolerates(t, taint)))
}

/// Raw score, lower is better: how many `PreferNoSchedule` taints are not tolerated.
pub(crate) fn raw_score(shape: &Shape, node: &Node) -> i64 {
    let prefers_not = |taint: &&Taint| taint.effect.as_ref() == "PreferNoSchedule";
    let relevant = |toleration: &&Toleration| matches!(toleration.effect.as_ref(), "" | "PreferNoSchedule");
    let tolerated = |taint: &Taint| {
        shape
            .tolerations
            .iter()
            .filter(relevant)
            .any(|t| tolerates(t, taint))
    };
    let count = node
        .spec
        .taints
        .iter()
        .filter(prefers_not)
        .filter(|taint| !tolerated(taint))
        .count();
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::node::NodeSpec;
    use crate::plugins::node_unschedulable;

    fn taint(key: &str, value: &str, effect: &str) -> Taint {
        Taint {
            key: key.into(),
            value: value.into(),
            effect: effect.into(),
        }
    }

    fn toleration(key: &str, operator: TolerationOperator, value: &str, effect: &str) -> Toleration {
        Toleration {
            key: key.into(),
            operator,
            value: value.into(),
            effect: effect.into(),
        }
    }

    fn node(taints: Vec<Taint>, unschedulable: bool) -> Node {
        Node {
            spec: NodeSpec {
                taints,
                unschedulable,
                ..NodeSpec::default()
            },
            ..Node::default()
        }
    }

    fn shape(tolerations: Vec<Toleration>) -> Shape {
        Shape {
            tolerations,
            ..Shape::default()
        }
    }

    #[test]
    fn every_hard_taint_needs_a_toleration() {
        let node = node(
            vec![
                taint("a", "1", "NoSchedule"),
                taint("b", "", "NoExecute"),
                taint("c", "", "PreferNoSchedule"),
            ],
            false,
        );
        let equal = toleration("a", TolerationOperator::Equal, "1", "");
        let exists = toleration("b", TolerationOperator::Exists, "", "NoExecute");
        assert!(!accepts(&shape(vec![equal.clone()]), &node));
        assert!(accepts(&shape(vec![equal, exists]), &node));
        assert!(accepts(
            &shape(vec![toleration("", TolerationOperator::Exists, "", "")]),
            &node
        ));
        assert!(!accepts(
            &shape(vec![toleration("", TolerationOperator::Exists, "", "NoSchedule")]),
            &node
        ));
        assert!(!accepts(
            &shape(vec![toleration("", TolerationOperator::Never, "", "")]),
            &node
        ));
    }

    #[test]
    fn untolerated_soft_taints_are_counted() {
        let node = node(
            vec![
                taint("a", "", "PreferNoSchedule"),
                taint("b", "", "PreferNoSchedule"),
            ],
            false,
        );
        assert_eq!(raw_score(&shape(vec![]), &node), 2);
        let hard_only = toleration("a", TolerationOperator::Exists, "", "NoSchedule");
        assert_eq!(raw_score(&shape(vec![hard_only]), &node), 2);
        assert_eq!(
            raw_score(
                &shape(vec![toleration("a", TolerationOperator::Exists, "", "")]),
                &node
            ),
            1
        );
    }

    #[test]
    fn a_cordoned_node_takes_only_pods_that_tolerate_it() {
        let node = node(vec![], true);
        assert!(!node_unschedulable::accepts(&shape(vec![]), &node));
        let daemon = toleration(
            "node.kubernetes.io/unschedulable",
            TolerationOperator::Exists,
            "",
            "NoSchedule",
        );
        assert!(node_unschedulable::accepts(&shape(vec![daemon]), &node));
    }
}
