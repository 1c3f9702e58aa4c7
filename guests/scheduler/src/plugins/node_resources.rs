//! NodeResourcesFit (filter, LeastAllocated score) and NodeResourcesBalancedAllocation (score).

use super::{MAX_SCORE, Reason};
use crate::model::node::Node;
use crate::model::template::Shape;

/// Whether everything that the pod requests is free.
pub(crate) fn accepts(shape: &Shape, node: &Node) -> bool {
    let (requests, offered, taken) = (&shape.requests, &node.spec.allocatable, &node.requested);
    let fits = |request: i64, offered: i64, taken: i64| request <= 0 || request <= offered - taken;
    node.pods < node.spec.allocatable_pods
        && fits(requests.cpu, offered.cpu, taken.cpu)
        && fits(requests.memory, offered.memory, taken.memory)
        && fits(
            requests.ephemeral_storage,
            offered.ephemeral_storage,
            taken.ephemeral_storage,
        )
        && requests
            .scalars
            .iter()
            .all(|(name, amount)| fits(*amount, offered.scalar(name), taken.scalar(name)))
}

/// Everything that is missing.
pub(crate) fn shortages(shape: &Shape, node: &Node) -> Vec<Reason> {
    let (requests, offered, taken) = (&shape.requests, &node.spec.allocatable, &node.requested);
    let is_short = |request: i64, offered: i64, taken: i64| request > 0 && request > offered - taken;
    let mut reasons: Vec<Reason> = Vec::new();
    if node.pods + 1 > node.spec.allocatable_pods {
        reasons.push("Too many pods".into());
    }
    if is_short(requests.cpu, offered.cpu, taken.cpu) {
        reasons.push("Insufficient cpu".into());
    }
    if is_short(requests.memory, offered.memory, taken.memory) {
        reasons.push("Insufficient memory".into());
    }
    if is_short(
        requests.ephemeral_storage,
        offered.ephemeral_storage,
        taken.ephemeral_storage,
    ) {
        reasons.push("Insufficient ephemeral-storage".into());
    }
    for (name, amount) in &requests.scalars {
        if is_short(*amount, offered.scalar(name), taken.scalar(name)) {
            reasons.push(format!("Insufficient {name}").into());
        }
    }
    reasons
}

/// LeastAllocated over CPU and memory, with defaults for containers that request none.
pub(crate) fn least_allocated(shape: &Shape, node: &Node) -> i64 {
    let offered = &node.spec.allocatable;
    let cpu = free_share(node.nonzero_cpu + shape.nonzero_cpu, offered.cpu);
    let memory = free_share(node.nonzero_memory + shape.nonzero_memory, offered.memory);
    match (cpu, memory) {
        (Some(cpu), Some(memory)) => (cpu + memory) / 2,
        (Some(share), None) | (None, Some(share)) => share,
        (None, None) => 0,
    }
}

fn free_share(taken: i64, offered: i64) -> Option<i64> {
    match offered {
        0 => None,
        _ if taken > offered => Some(0),
        // Exact for amounts up to 2^63 / 100, and nothing near that exists.
        _ => Some((offered - taken).saturating_mul(MAX_SCORE) / offered),
    }
}

/// How much more balanced CPU and memory are with the pod than without it.
/// Pods that request neither do not take part.
pub(crate) fn balanced_allocation(shape: &Shape, node: &Node) -> i64 {
    let (requests, taken) = (&shape.requests, &node.requested);
    if requests.cpu == 0 && requests.memory == 0 {
        return 0;
    }
    let with = balance(node, taken.cpu + requests.cpu, taken.memory + requests.memory);
    let without = balance(node, taken.cpu, taken.memory);
    MAX_SCORE / 2 + (MAX_SCORE / 2 + with - without) / 2
}

fn balance(node: &Node, cpu: i64, memory: i64) -> i64 {
    let fraction = |taken: i64, offered: i64| (taken as f64 / offered as f64).min(1.0);
    let deviation = match (node.spec.allocatable.cpu, node.spec.allocatable.memory) {
        (0, _) | (_, 0) => 0.0,
        (offered_cpu, offered_memory) => {
            ((fraction(cpu, offered_cpu) - fraction(memory, offered_memory)) / 2.0).abs()
        }
    };
    ((1.0 - deviation) * MAX_SCORE as f64) as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::node::NodeSpec;
    use crate::model::resources::Resources;

    fn resources(cpu: i64, memory: i64) -> Resources {
        Resources {
            cpu,
            memory,
            ..Resources::default()
        }
    }

    fn node(offered: Resources, pods: i64, taken: Resources) -> Node {
        Node {
            spec: NodeSpec {
                allocatable: offered,
                allocatable_pods: pods,
                ..NodeSpec::default()
            },
            nonzero_cpu: taken.cpu,
            nonzero_memory: taken.memory,
            requested: taken,
            ..Node::default()
        }
    }

    fn shape(requests: Resources) -> Shape {
        Shape {
            nonzero_cpu: requests.cpu,
            nonzero_memory: requests.memory,
            requests,
            ..Shape::default()
        }
    }

    #[test]
    fn every_shortage_is_named() {
        let mut wanted = resources(2000, 10);
        wanted.scalars.push(("example.com/gpu".into(), 1));
        wanted.ephemeral_storage = 5;
        let node = node(resources(2000, 100), 0, resources(1, 95));
        let expected = [
            "Too many pods",
            "Insufficient cpu",
            "Insufficient memory",
            "Insufficient ephemeral-storage",
            "Insufficient example.com/gpu",
        ];
        assert_eq!(shortages(&shape(wanted.clone()), &node), expected);
        assert!(!accepts(&shape(wanted), &node));
    }

    #[test]
    fn what_is_not_requested_is_not_checked() {
        let overcommitted = node(resources(1000, 100), 1, resources(5000, 10));
        assert!(accepts(&shape(resources(0, 90)), &overcommitted));
        assert!(shortages(&shape(resources(0, 90)), &overcommitted).is_empty());
        assert_eq!(
            shortages(&shape(resources(0, 91)), &overcommitted),
            ["Insufficient memory"]
        );
    }

    #[test]
    fn least_allocated_is_the_mean_free_share() {
        // (4000-1000-500)/4000 = 62, (1000-250-250)/1000 = 50.
        assert_eq!(
            least_allocated(
                &shape(resources(500, 250)),
                &node(resources(4000, 1000), 9, resources(1000, 250))
            ),
            56
        );
        // CPU beyond what is there counts 0; no memory at all is left out.
        assert_eq!(
            least_allocated(
                &shape(resources(5000, 1)),
                &node(resources(4000, 1000), 9, resources(0, 0))
            ),
            49
        );
        assert_eq!(
            least_allocated(
                &shape(resources(1000, 1)),
                &node(resources(4000, 0), 9, resources(0, 0))
            ),
            75
        );
    }

    #[test]
    fn balance_rewards_what_the_pod_improves() {
        // Without: |0.5-0|/2 → 75; with: |0.5-0.5|/2 → 100. 50 + (50+25)/2 = 87.
        assert_eq!(
            balanced_allocation(
                &shape(resources(0, 500)),
                &node(resources(1000, 1000), 9, resources(500, 0))
            ),
            87
        );
        // Without: 100; with: |0.5-0|/2 → 75. 50 + (50-25)/2 = 62.
        assert_eq!(
            balanced_allocation(
                &shape(resources(500, 0)),
                &node(resources(1000, 1000), 9, resources(0, 0))
            ),
            62
        );
        assert_eq!(
            balanced_allocation(
                &shape(resources(0, 0)),
                &node(resources(1000, 1000), 9, resources(500, 0))
            ),
            0
        );
    }
}
