//! Which pods go first when a ReplicaSet shrinks: `ActivePodsWithRanks` of
//! `pkg/controller/controller_utils.go`.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use windlass_sdk::time::{Timestamp, now};

use crate::types::Pod;

const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// The `count` pods to delete, out of more than that. `related` are the pods whose
/// crowding of a node counts.
pub(crate) fn first_to_go<'a>(active: &'a [Pod], related: &[Pod], count: usize) -> Vec<&'a Pod> {
    let mut on_node: BTreeMap<&str, usize> = BTreeMap::new();
    for pod in related.iter().filter(|pod| pod.is_active()) {
        *on_node.entry(&pod.spec.node_name).or_default() += 1;
    }
    let now = now();
    let rank = |pod| Candidate::new(pod, &on_node, now);
    let sorted = merge_sort(active.iter().map(rank).collect());
    sorted
        .into_iter()
        .take(count)
        .map(|candidate| candidate.pod)
        .collect()
}

/// A pod with what it is judged by.
struct Candidate<'a> {
    pod: &'a Pod,
    assigned: bool,
    phase: u8,
    ready: bool,
    deletion_cost: i32,
    related_on_node: usize,
    /// Of a ready pod.
    ready_since: Option<Timestamp>,
    restarts: Restarts,
    now: Timestamp,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Restarts {
    regular: u32,
    sidecar: u32,
}

impl<'a> Candidate<'a> {
    fn new(pod: &'a Pod, on_node: &BTreeMap<&str, usize>, now: Timestamp) -> Self {
        let cost = pod.metadata.annotation(DELETION_COST).and_then(parse_cost);
        Self {
            pod,
            assigned: !pod.spec.node_name.is_empty(),
            phase: phase_order(&pod.status.phase),
            ready: pod.ready().is_some(),
            deletion_cost: cost.unwrap_or(0),
            related_on_node: on_node.get(pod.spec.node_name.as_str()).copied().unwrap_or(0),
            ready_since: pod.ready().and_then(|ready| ready.last_transition_time),
            restarts: restarts(pod),
            now,
        }
    }

    /// `Less` goes first.
    fn compare(&self, other: &Self) -> Ordering {
        let plain = self
            .assigned
            .cmp(&other.assigned)
            .then(self.phase.cmp(&other.phase))
            .then(self.ready.cmp(&other.ready))
            .then(self.deletion_cost.cmp(&other.deletion_cost))
            .then(other.related_on_node.cmp(&self.related_on_node));
        plain
            .then_with(|| {
                if self.ready {
                    self.compare_ages(self.ready_since, other, other.ready_since)
                } else {
                    Ordering::Equal
                }
            })
            .then_with(|| other.restarts.cmp(&self.restarts))
            .then_with(|| {
                let created = |candidate: &Self| candidate.pod.metadata.creation_timestamp;
                self.compare_ages(created(self), other, created(other))
            })
    }

    /// Unknown first, then the younger by a power of two; in between chance decides,
    /// so that not always the same domain loses its pods.
    fn compare_ages(
        &self,
        since: Option<Timestamp>,
        other: &Self,
        other_since: Option<Timestamp>,
    ) -> Ordering {
        let (Some(since), Some(other_since)) = (since, other_since) else {
            return since.is_some().cmp(&other_since.is_some());
        };
        if since == other_since {
            return Ordering::Equal;
        }
        let uids = || self.pod.metadata.uid.cmp(&other.pod.metadata.uid);
        age_bucket(since, self.now)
            .cmp(&age_bucket(other_since, self.now))
            .then_with(uids)
    }
}

/// An integer as the API validates it: no plus sign, no leading zeros.
fn parse_cost(text: &str) -> Option<i32> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if text.starts_with('+') || (digits.starts_with('0') && text != "0") {
        return None;
    }
    text.parse().ok()
}

fn phase_order(phase: &str) -> u8 {
    match phase {
        "Unknown" => 1,
        "Running" => 2,
        _ => 0,
    }
}

/// The highest of its regular containers, and of its sidecars.
fn restarts(pod: &Pod) -> Restarts {
    let always = |name: &str| {
        pod.spec
            .init_containers
            .iter()
            .any(|init| init.name == name && init.restart_policy.as_deref() == Some("Always"))
    };
    let regular = pod
        .status
        .container_statuses
        .iter()
        .map(|status| status.restart_count)
        .max();
    let sidecars = pod
        .status
        .init_container_statuses
        .iter()
        .filter(|status| always(&status.name));
    Restarts {
        regular: regular.unwrap_or(0),
        sidecar: sidecars.map(|status| status.restart_count).max().unwrap_or(0),
    }
}

/// The logarithm of an age in nanoseconds; −1 for what lies not in the past.
fn age_bucket(since: Timestamp, now: Timestamp) -> i32 {
    let age = now.as_nanoseconds() - since.as_nanoseconds();
    if age > 0 { age.ilog2().cast_signed() } else { -1 }
}

/// Kubernetes' order is not transitive: equal times fall through to later criteria,
/// different times of one bucket do not. The standard library's sort may panic on that.
fn merge_sort(mut items: Vec<Candidate<'_>>) -> Vec<Candidate<'_>> {
    if items.len() < 2 {
        return items;
    }
    let right = merge_sort(items.split_off(items.len() / 2));
    let left = merge_sort(items);
    let mut merged = Vec::with_capacity(left.len() + right.len());
    let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
    while let (Some(first), Some(second)) = (left.peek(), right.peek()) {
        let next = if second.compare(first) == Ordering::Less {
            right.next()
        } else {
            left.next()
        };
        merged.extend(next);
    }
    merged.extend(left.chain(right));
    merged
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use windlass_sdk::testing::Cluster;

    use super::*;
    use crate::ReplicaSetController;

    /// A pod that a later edit makes differ in one thing: running, ready since 1 s ago.
    fn pod(name: &str, edit: impl FnOnce(&mut Value)) -> Pod {
        let mut pod = json!({
            "metadata": {"name": name, "uid": name, "creationTimestamp": "2025-12-01T00:00:00Z"},
            "spec": {"nodeName": "n1"},
            "status": {"phase": "Running", "conditions": [
                {"type": "Ready", "status": "True", "lastTransitionTime": "2025-12-01T00:00:00Z"}]}
        });
        edit(&mut pod);
        serde_json::from_value(pod).unwrap()
    }

    fn order(pods: &[Pod], related: &[Pod]) -> Vec<String> {
        let _cluster = Cluster::new::<ReplicaSetController>();
        first_to_go(pods, related, pods.len())
            .iter()
            .map(|pod| pod.metadata.name.clone())
            .collect()
    }

    #[test]
    fn criteria_decide_in_their_order() {
        let unready = json!([{"type": "Ready", "status": "False"}]);
        // Each is worse than the next by one criterion, and better by all that follow.
        let pods = [
            pod("8-oldest", |_| {}),
            pod("7-created-later", |pod| {
                pod["metadata"]["creationTimestamp"] = "2025-12-31T23:00:00Z".into()
            }),
            pod("6-restarted", |pod| {
                pod["status"]["containerStatuses"] = json!([{"restartCount": 1}])
            }),
            pod("5-ready-later", |pod| {
                pod["status"]["conditions"][0]["lastTransitionTime"] = "2025-12-31T23:59:00Z".into();
            }),
            pod("4-crowded", |pod| pod["spec"]["nodeName"] = "n2".into()),
            pod("3-cheap", |pod| {
                pod["metadata"]["annotations"] = json!({DELETION_COST: "-1"})
            }),
            pod("2-not-ready", |pod| pod["status"]["conditions"] = unready.clone()),
            pod("1-pending", |pod| pod["status"] = json!({"phase": "Pending"})),
            pod("0-unassigned", |pod| pod["spec"] = json!({})),
        ];
        let related = [pod("a", |pod| pod["spec"]["nodeName"] = "n2".into())];
        let names: Vec<String> = pods.iter().rev().map(|pod| pod.metadata.name.clone()).collect();
        assert_eq!(order(&pods, &related), names);
    }

    #[test]
    fn unknown_comes_between_pending_and_running() {
        let in_phase = |name: &str, phase: &str| pod(name, |pod| pod["status"]["phase"] = phase.into());
        let pods = [
            in_phase("r", "Running"),
            in_phase("u", "Unknown"),
            in_phase("p", "Pending"),
        ];
        assert_eq!(order(&pods, &[]), ["p", "u", "r"]);
    }

    #[test]
    fn ages_within_a_power_of_two_are_decided_by_uid() {
        // 1,000,000 s and 1,100,000 s lie in one bucket of nanoseconds, 10 s does not.
        let ready = |name: &str, time: &str| {
            pod(name, |pod| {
                pod["status"]["conditions"][0]["lastTransitionTime"] = time.into()
            })
        };
        let pods = [
            ready("b", "2025-12-20T10:13:20Z"),
            ready("a", "2025-12-19T06:26:40Z"),
            ready("c", "2025-12-31T23:59:50Z"),
        ];
        assert_eq!(order(&pods, &[]), ["c", "a", "b"]);
    }

    #[test]
    fn a_ready_pod_without_a_transition_time_goes_first() {
        let pods = [
            pod("known", |_| {}),
            pod("unknown", |pod| {
                pod["status"]["conditions"] = json!([{"type": "Ready", "status": "True"}])
            }),
        ];
        assert_eq!(order(&pods, &[]), ["unknown", "known"]);
    }

    #[test]
    fn only_sidecars_count_among_init_containers() {
        let init = |name: &str, policy: Value, count: u32| {
            pod(name, |pod| {
                pod["spec"]["initContainers"] = json!([{"name": "i", "restartPolicy": policy}]);
                pod["status"]["initContainerStatuses"] = json!([{"name": "i", "restartCount": count}]);
            })
        };
        let pods = [init("init", Value::Null, 9), init("sidecar", "Always".into(), 1)];
        assert_eq!(order(&pods, &[]), ["sidecar", "init"]);
    }

    #[test]
    fn costs_are_plain_integers() {
        for (text, cost) in [
            ("0", Some(0)),
            ("-5", Some(-5)),
            ("+5", None),
            ("05", None),
            ("-0", None),
            ("x", None),
            ("99999999999", None),
        ] {
            assert_eq!(parse_cost(text), cost, "{text}");
        }
    }

    #[test]
    fn an_intransitive_order_is_survived() {
        let ready = |uid: &str, time: &str, count: u32| {
            pod(uid, |pod| {
                pod["status"]["conditions"][0]["lastTransitionTime"] = time.into();
                pod["status"]["containerStatuses"] = json!([{"restartCount": count}]);
            })
        };
        let mut pods = Vec::new();
        for round in 0..60 {
            pods.push(ready(&format!("a{round}"), "2025-12-20T10:13:20Z", 0));
            pods.push(ready(&format!("b{round}"), "2025-12-19T06:26:40Z", 0));
            pods.push(ready(&format!("c{round}"), "2025-12-20T10:13:20Z", 1));
        }
        assert_eq!(order(&pods, &[]).len(), 180);
    }
}
