//! ImageLocality: prefers nodes that already hold the pod's images.

use super::MAX_SCORE;
use crate::model::node::{Node, Nodes};
use crate::model::template::Shape;

const MIN_THRESHOLD: i64 = 23 << 20;
const MAX_CONTAINER_THRESHOLD: i64 = 1000 << 20;

/// Score of a node. Widely held images count more, so that pods do not heap up on the few nodes with one.
pub(crate) fn score(shape: &Shape, node: &Node, nodes: &Nodes) -> i64 {
    if node.spec.images.is_empty() || nodes.present() == 0 {
        return 0;
    }
    let held = |image: &str| {
        let size = node
            .spec
            .images
            .iter()
            .find(|(name, _)| name.as_ref() == image)
            .map(|(_, size)| *size)?;
        let spread = nodes.nodes_with_image(image) as f64 / nodes.present() as f64;
        Some((size as f64 * spread) as i64)
    };
    scaled(
        shape.images.iter().map(Box::as_ref).filter_map(held).sum(),
        shape.containers,
    )
}

fn scaled(sum: i64, containers: usize) -> i64 {
    let most = MAX_CONTAINER_THRESHOLD.saturating_mul(i64::try_from(containers).unwrap_or(i64::MAX));
    if most <= MIN_THRESHOLD {
        return 0;
    }
    MAX_SCORE * (sum.clamp(MIN_THRESHOLD, most) - MIN_THRESHOLD) / (most - MIN_THRESHOLD)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::node::NodeSpec;

    #[test]
    fn a_held_image_scores_by_its_size_and_how_many_nodes_have_it() {
        let mut nodes = Nodes::default();
        let with = NodeSpec {
            images: vec![("app:1".into(), 400 << 20)],
            ..NodeSpec::default()
        };
        nodes.set("a", with);
        nodes.set("b", NodeSpec::default());
        let shape = Shape {
            images: vec!["app:1".into()],
            containers: 1,
            ..Shape::default()
        };
        // 400 MiB held by half the nodes: (200 - 23) / (1000 - 23) = 18 %.
        assert_eq!(score(&shape, nodes.get(0).unwrap(), &nodes), 18);
        assert_eq!(score(&shape, nodes.get(1).unwrap(), &nodes), 0);
    }

    #[test]
    fn scores_are_clamped_to_the_thresholds() {
        assert_eq!(scaled(0, 1), 0);
        assert_eq!(scaled(i64::MAX, 1), 100);
        assert_eq!(scaled(1000 << 20, 2), 49);
    }
}
