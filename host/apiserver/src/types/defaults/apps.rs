//! The `apps` group, and ReplicationController's share of it.

use super::{is_text, pod, with_spec};
use crate::types::value::{Object, child, default_text, default_to};
use serde_json::Value;

pub(super) fn apply(kind: &str, object: &mut Object) {
    match kind {
        "Deployment" => with_spec(object, deployment),
        "ReplicaSet" => with_spec(object, |spec| {
            pod::template(spec);
            default_to(spec, "replicas", 1);
        }),
        "StatefulSet" => with_spec(object, stateful_set),
        "DaemonSet" => with_spec(object, daemon_set),
        _ => {}
    }
}

fn deployment(spec: &mut Object) {
    pod::template(spec);
    default_to(spec, "replicas", 1);
    if let Some(strategy) = child(spec, "strategy") {
        rolling_update(
            strategy,
            &[("maxUnavailable", "25%".into()), ("maxSurge", "25%".into())],
        );
    }
    default_to(spec, "revisionHistoryLimit", 10);
    default_to(spec, "progressDeadlineSeconds", 600);
}

fn daemon_set(spec: &mut Object) {
    pod::template(spec);
    if let Some(strategy) = child(spec, "updateStrategy") {
        rolling_update(strategy, &[("maxUnavailable", 1.into()), ("maxSurge", 0.into())]);
    }
    default_to(spec, "revisionHistoryLimit", 10);
}

/// Makes a rolling update of a strategy without a type, and fills its parameters.
fn rolling_update(strategy: &mut Object, parameters: &[(&str, Value)]) {
    default_text(strategy, "type", "RollingUpdate");
    if is_text(strategy, "type", "RollingUpdate") {
        if let Some(rolling) = child(strategy, "rollingUpdate") {
            for (key, value) in parameters {
                default_to(rolling, key, value.clone());
            }
        }
    }
}

fn stateful_set(spec: &mut Object) {
    pod::template(spec);
    default_text(spec, "podManagementPolicy", "OrderedReady");
    if let Some(strategy) = child(spec, "updateStrategy") {
        let typed = strategy
            .get("type")
            .and_then(Value::as_str)
            .is_some_and(|kind| !kind.is_empty());
        if !typed {
            default_text(strategy, "type", "RollingUpdate");
            let _ = child(strategy, "rollingUpdate");
        }
        if is_text(strategy, "type", "RollingUpdate") {
            if let Some(rolling) = super::existing(strategy, "rollingUpdate") {
                default_to(rolling, "partition", 0);
            }
        }
    }
    if let Some(policy) = child(spec, "persistentVolumeClaimRetentionPolicy") {
        default_text(policy, "whenDeleted", "Retain");
        default_text(policy, "whenScaled", "Retain");
    }
    default_to(spec, "replicas", 1);
    default_to(spec, "revisionHistoryLimit", 10);
    super::each(spec, "volumeClaimTemplates", |claim| {
        default_text(claim, "apiVersion", "v1");
        default_text(claim, "kind", "PersistentVolumeClaim");
        super::core::claim(claim);
    });
}
