//! Whole syncs against the fake cluster. ReplicaSets get their pods by hand.

mod rollout;
mod scaling;
mod trouble;

use serde_json::{Value, json};
use windlass_sdk::testing::Cluster;
use windlass_sdk::{Error, Outcome};

use crate::DeploymentController;

/// A Deployment named `web`, rolling with one pod more and none less.
fn deployment(replicas: i64) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"namespace": "default", "name": "web", "uid": "d", "annotations": {"note": "x"}},
        "spec": {"replicas": replicas, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600,
            "selector": {"matchLabels": {"app": "web"}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "v1"}]}}}})
}

fn cluster(replicas: i64) -> Cluster {
    let cluster = Cluster::new::<DeploymentController>();
    cluster.put(&deployment(replicas));
    cluster
}

/// A Deployment whose first rollout has ended.
fn settled(replicas: i64) -> Cluster {
    let cluster = cluster(replicas);
    settle(&cluster);
    let _ = (cluster.take_calls(), cluster.take_events());
    cluster
}

fn sync(cluster: &Cluster) -> Result<Outcome, Error> {
    cluster.sync(&DeploymentController, "default/web")
}

/// Syncs, and gives every ReplicaSet its pods, until nothing is written any more.
fn settle(cluster: &Cluster) {
    for _ in 0..50 {
        sync(cluster).unwrap();
        let calls = cluster.take_calls();
        cluster
            .list("replicasets")
            .iter()
            .for_each(|set| run_pods(cluster, name(set)));
        if calls.is_empty() {
            return;
        }
    }
    panic!("it never settles");
}

/// Lets a ReplicaSet have all its pods, ready and available.
fn run_pods(cluster: &Cluster, set: &str) {
    edit_set(cluster, set, |set| {
        let replicas = set["spec"]["replicas"].clone();
        set["status"] = json!({"replicas": replicas, "readyReplicas": replicas, "availableReplicas": replicas,
            "terminatingReplicas": 0, "observedGeneration": set["metadata"]["generation"]});
    });
}

fn edit(cluster: &Cluster, edit: impl FnOnce(&mut Value)) {
    cluster.edit("deployments", "default/web", |deployment| {
        edit(deployment);
        let generation = deployment["metadata"]["generation"].as_i64().unwrap();
        deployment["metadata"]["generation"] = (generation + 1).into();
    });
}

fn edit_set(cluster: &Cluster, set: &str, edit: impl FnOnce(&mut Value)) {
    cluster.edit("replicasets", &format!("default/{set}"), edit);
}

fn set_image(cluster: &Cluster, image: &str) {
    edit(cluster, |deployment| {
        deployment["spec"]["template"]["spec"]["containers"][0]["image"] = image.into()
    });
}

fn get(cluster: &Cluster) -> Value {
    cluster.get("deployments", "default/web")
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap()
}

/// The ReplicaSet that runs this image.
fn set_of(cluster: &Cluster, image: &str) -> Value {
    let runs = |set: &Value| set["spec"]["template"]["spec"]["containers"][0]["image"] == image;
    cluster.list("replicasets").into_iter().find(runs).unwrap()
}

fn size_of(cluster: &Cluster, image: &str) -> i64 {
    set_of(cluster, image)["spec"]["replicas"].as_i64().unwrap()
}

/// Type, status and reason of each condition.
fn conditions(cluster: &Cluster) -> Vec<String> {
    let text = |condition: &Value, field: &str| condition[field].as_str().unwrap().to_owned();
    let conditions = get(cluster)["status"]["conditions"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    conditions
        .iter()
        .map(|c| format!("{}={} {}", text(c, "type"), text(c, "status"), text(c, "reason")))
        .collect()
}

fn message(cluster: &Cluster, kind: &str) -> String {
    let conditions = get(cluster)["status"]["conditions"].as_array().cloned().unwrap();
    conditions.iter().find(|c| c["type"] == kind).unwrap()["message"]
        .as_str()
        .unwrap()
        .to_owned()
}
