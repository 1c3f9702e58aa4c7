//! PodTopologySpread: the arithmetic of skew and of spreading scores.

use super::MAX_SCORE;
use crate::labels::Selector;
use crate::model::node::{HOSTNAME, Node, ZONE};
use crate::model::template::{InclusionPolicy, Shape, SpreadConstraint, WhenUnsatisfiable};
use crate::plugins::{node_affinity, taint_toleration};

/// Why a node is out: a domain would get too far ahead.
pub(crate) const REASON: &str = "node(s) didn't match pod topology spread constraints";
/// Why a node is out: it is in no domain.
pub(crate) const MISSING_LABEL: &str =
    "node(s) didn't match pod topology spread constraints (missing required label)";

/// What pods without constraints of their own are spread by.
pub(crate) fn default_constraints(selector: &Selector) -> Vec<SpreadConstraint> {
    let constraint = |topology_key: &str, max_skew| SpreadConstraint {
        topology_key: topology_key.into(),
        max_skew,
        when_unsatisfiable: WhenUnsatisfiable::ScheduleAnyway,
        selector: selector.clone(),
        min_domains: 1,
        node_affinity_policy: InclusionPolicy::Honor,
        node_taints_policy: InclusionPolicy::Ignore,
    };
    vec![constraint(HOSTNAME, 3), constraint(ZONE, 5)]
}

/// Whether pods on this node count, by the constraint's inclusion policies.
pub(crate) fn includes(constraint: &SpreadConstraint, shape: &Shape, node: &Node) -> bool {
    (constraint.node_affinity_policy == InclusionPolicy::Ignore || node_affinity::accepts(shape, node))
        && (constraint.node_taints_policy == InclusionPolicy::Ignore
            || taint_toleration::accepts(shape, node))
}

/// Whether one more pod in a domain of `count` keeps the constraint, `minimum` being the emptiest domain's count.
pub(crate) fn keeps_skew(
    constraint: &SpreadConstraint,
    self_matches: bool,
    count: i64,
    minimum: i64,
) -> bool {
    count + i64::from(self_matches) - minimum <= constraint.max_skew
}

/// How much a pod in a domain weighs, by the number of domains.
pub(crate) fn domain_weight(domains: usize) -> f64 {
    ((domains + 2) as f64).ln()
}

/// One constraint's part of a node's raw score.
pub(crate) fn raw_part(count: i64, weight: f64, max_skew: i64) -> f64 {
    count as f64 * weight + (max_skew - 1) as f64
}

/// The final score; raw scores are better the lower they are.
pub(crate) fn normalize(raw: i64, lowest: i64, highest: i64) -> i64 {
    if highest == 0 {
        MAX_SCORE
    } else {
        MAX_SCORE * (highest + lowest - raw) / highest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skew_is_measured_against_the_emptiest_domain() {
        let constraint = &default_constraints(&Selector::Nothing)[0];
        assert!(keeps_skew(constraint, true, 2, 0));
        assert!(!keeps_skew(constraint, true, 3, 0));
        assert!(keeps_skew(constraint, false, 3, 0));
        assert!(keeps_skew(constraint, true, 4, 2));
    }

    #[test]
    fn fuller_domains_score_lower() {
        // Two domains with 1 and 3 pods, skew 5: ln 4 = 1.386…; 1·1.386+4 = 5.39 → 5, 3·1.386+4 = 8.16 → 8.
        let raw = |count| raw_part(count, domain_weight(2), 5).round() as i64;
        assert_eq!((raw(1), raw(3)), (5, 8));
        assert_eq!((normalize(5, 5, 8), normalize(8, 5, 8)), (100, 62));
        assert_eq!(normalize(0, 0, 0), 100);
    }
}
