use serde_json::json;
use windlass_sdk::plugin::{Judge, Node};
use windlass_sdk::testing::Cluster;

use super::*;

/// Three nodes: a cheap one, one under maintenance, one that says nothing.
fn judge(args: Args) -> Judge<NodeCost> {
    let mut judge = Judge::new(NodeCost::new(args).expect("good arguments"));
    let says = [
        json!({COST: "3"}),
        json!({COST: "1", MAINTENANCE: "true"}),
        json!({}),
    ];
    let nodes = (0..).zip(says).map(|(index, annotations)| Node {
        index,
        name: format!("node-{index}"),
        body: Some(
            json!({"metadata": {"annotations": annotations}})
                .to_string()
                .into_bytes(),
        ),
    });
    judge.update_nodes(nodes.collect());
    judge
}

fn pod(annotations: serde_json::Value) -> Option<Vec<u8>> {
    Some(
        json!({"metadata": {"annotations": annotations}})
            .to_string()
            .into_bytes(),
    )
}

#[test]
fn nodes_under_maintenance_and_gone_ones_are_out_and_cost_is_the_score() {
    let _cluster = Cluster::of_plugin();
    let mut judge = judge(Args {
        default_cost: 7,
        ..Args::default()
    });
    let asked = Hooks::PRE_FILTER | Hooks::FILTER | Hooks::SCORE;
    let evaluation = judge.evaluate(1, pod(json!({})), &[0, 1, 2, 9], asked);
    let evaluation = evaluation.expect("a pod that can be read");
    assert_eq!(evaluation.verdicts, [0, 1, 0, 2]);
    assert_eq!(
        evaluation.reasons,
        ["node(s) were under maintenance", "node(s) are gone"]
    );
    assert_eq!(evaluation.scores, [3, 1, 7, 0]);
    let held = judge.evaluate(2, pod(json!({HOLD: "true"})), &[0], asked);
    assert_eq!(
        held.expect("a pod that can be read").rejection.as_deref(),
        Some("pod is on hold")
    );
}

#[test]
fn a_node_has_as_many_pods_on_their_way_as_it_may() {
    let _cluster = Cluster::of_plugin();
    let mut judge = judge(Args {
        max_reserved: 1,
        ..Args::default()
    });
    for cycle in 1..=3 {
        judge
            .evaluate(cycle, pod(json!({})), &[], Hooks::empty())
            .expect("a pod that can be read");
    }
    judge.reserve(1, 0).expect("there is a place");
    let objection = judge.reserve(2, 0).unwrap_err();
    assert_eq!(objection, "node(s) had too many pods on their way");
    judge.unreserve(2, 0);
    assert!(judge.reserve(2, 0).is_err(), "the first still has its place");
    judge.unreserve(1, 0);
    judge.end_cycle(1);
    judge.reserve(2, 0).expect("given back");
    judge.end_cycle(2);
    judge.reserve(3, 0).expect("bound, and not on its way any more");
}
