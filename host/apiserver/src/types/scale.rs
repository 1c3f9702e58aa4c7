//! The `scale` subresource of the workloads that have one.
//!
//! A Scale is a view: reading builds it from the workload, writing changes
//! nothing but the number of replicas wanted.

use super::selectors::LabelSelector;
use super::value::{at, int, object};
use serde_json::{Map, Value, json};

/// The `autoscaling/v1` Scale of a Deployment, ReplicaSet, ReplicationController or StatefulSet.
#[must_use]
pub fn get(_group: &str, kind: &str, workload: &Value) -> Value {
    let mut metadata = Map::new();
    for key in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = at(workload, &["metadata", key]) {
            metadata.insert(key.to_owned(), value.clone());
        }
    }
    let selector = if kind == "ReplicationController" {
        LabelSelector::from_map(object(workload, &["spec", "selector"]))
    } else {
        at(workload, &["spec", "selector"])
            .map(LabelSelector::from_object)
            .unwrap_or_default()
    };
    let mut status = Map::new();
    status.insert(
        "replicas".to_owned(),
        int(workload, &["status", "replicas"]).unwrap_or_default().into(),
    );
    if !selector.is_empty() {
        status.insert("selector".to_owned(), selector.to_string().into());
    }
    let replicas = int(workload, &["spec", "replicas"]).unwrap_or_default();
    let spec = if replicas == 0 {
        json!({})
    } else {
        json!({"replicas": replicas})
    };
    json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": metadata, "spec": spec, "status": status})
}

/// The replicas that a Scale wants; absent means none, as for any Scale.
#[must_use]
pub fn replicas(scale: &Value) -> i64 {
    int(scale, &["spec", "replicas"]).unwrap_or_default()
}

/// Sets the number of replicas wanted.
pub fn set_replicas(workload: &mut Value, replicas: i64) {
    if let Some(spec) = workload.get_mut("spec").and_then(Value::as_object_mut) {
        spec.insert("replicas".to_owned(), replicas.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deployment_shows_its_scale() {
        let deployment = json!({
            "metadata": {"name": "web", "namespace": "d", "uid": "u", "resourceVersion": "7", "labels": {"x": "y"}},
            "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "web"}}},
            "status": {"replicas": 2},
        });
        assert_eq!(
            get("apps", "Deployment", &deployment),
            json!({
                "apiVersion": "autoscaling/v1", "kind": "Scale",
                "metadata": {"name": "web", "namespace": "d", "uid": "u", "resourceVersion": "7"},
                "spec": {"replicas": 3},
                "status": {"replicas": 2, "selector": "app=web"},
            })
        );
    }

    #[test]
    fn a_replication_controller_selects_by_a_plain_map() {
        let rc =
            json!({"metadata": {"name": "web"}, "spec": {"replicas": 0, "selector": {"a": "b", "c": "d"}}});
        let scale = get("", "ReplicationController", &rc);
        assert_eq!(scale["status"]["selector"], "a=b,c=d");
        assert_eq!(scale["spec"], json!({}));
    }

    #[test]
    fn setting_replicas_changes_nothing_else() {
        let mut workload = json!({"spec": {"replicas": 1, "paused": true}});
        set_replicas(&mut workload, 5);
        assert_eq!(workload, json!({"spec": {"replicas": 5, "paused": true}}));
        assert_eq!(replicas(&json!({"spec": {"replicas": 5}})), 5);
    }
}
