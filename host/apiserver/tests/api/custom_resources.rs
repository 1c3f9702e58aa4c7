use serde_json::{Value, json};

use crate::client::{Cluster, event};

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const WIDGETS: &str = "/apis/example.com/v1/namespaces/default/widgets";

fn definition() -> Value {
    let schema = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced", "names": {"plural": "widgets", "kind": "Widget", "shortNames": ["wd"]},
            "versions": [
                {"name": "v1", "served": true, "storage": true, "schema": schema, "subresources": {
                    "status": {}, "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"},
                }, "additionalPrinterColumns": [{"name": "Color", "type": "string", "jsonPath": ".spec.color"}]},
                {"name": "v1beta1", "served": true, "storage": false, "schema": schema},
            ],
        },
    })
}

fn widget() -> Value {
    json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"color": "red", "replicas": 1}})
}

#[tokio::test]
async fn a_definition_is_established_and_served() {
    let cluster = Cluster::start().await;
    assert_eq!(cluster.get(WIDGETS).await.code, 404);
    cluster.post(DEFINITIONS, definition()).await.ok();
    let stored = cluster
        .get(&format!("{DEFINITIONS}/widgets.example.com"))
        .await
        .ok();
    let conditions = stored["status"]["conditions"].as_array().unwrap();
    assert!(
        conditions
            .iter()
            .any(|condition| condition["type"] == "Established" && condition["status"] == "True")
    );
    assert_eq!(stored["status"]["acceptedNames"]["listKind"], "WidgetList");

    let discovered = cluster.get("/apis/example.com/v1").await.ok();
    let names: Vec<&str> = discovered["resources"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|r| r["name"].as_str())
        .collect();
    assert_eq!(names, ["widgets", "widgets/scale", "widgets/status"]);

    let created = cluster.post(WIDGETS, widget()).await.ok();
    assert_eq!(created["metadata"]["generation"], 1);
    let beta = cluster
        .get("/apis/example.com/v1beta1/namespaces/default/widgets/w")
        .await
        .ok();
    assert_eq!(
        (&beta["apiVersion"], &beta["spec"]),
        (&json!("example.com/v1beta1"), &created["spec"])
    );
}

#[tokio::test]
async fn custom_objects_have_status_scale_and_patches() {
    let cluster = Cluster::start().await;
    cluster.post(DEFINITIONS, definition()).await.ok();
    let mut watch = cluster.watch(&format!("{WIDGETS}?watch=true")).await;
    cluster.post(WIDGETS, widget()).await.ok();
    assert_eq!(watch.kind().await, event("ADDED", "w"));
    let path = format!("{WIDGETS}/w");
    let patched = cluster
        .patch(
            &path,
            "merge-patch",
            json!({"spec": {"color": "blue"}, "status": {"x": 1}}),
        )
        .await
        .ok();
    assert_eq!(
        (&patched["metadata"]["generation"], patched.get("status")),
        (&json!(2), None)
    );
    let status = cluster
        .patch(
            &format!("{path}/status"),
            "merge-patch",
            json!({"status": {"replicas": 1}}),
        )
        .await
        .ok();
    assert_eq!(
        (&status["metadata"]["generation"], &status["status"]["replicas"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(
        cluster
            .patch(&path, "strategic-merge-patch", json!({}))
            .await
            .refusal()
            .0,
        415
    );
    let scaled = cluster
        .patch(
            &format!("{path}/scale"),
            "merge-patch",
            json!({"spec": {"replicas": 4}}),
        )
        .await
        .ok();
    assert_eq!(
        (&scaled["kind"], &scaled["spec"]["replicas"]),
        (&json!("Scale"), &json!(4))
    );
    let accept = "application/json;as=Table;v=v1;g=meta.k8s.io";
    let table = cluster
        .answer(cluster.request("GET", WIDGETS).header("accept", accept), "")
        .await
        .ok();
    assert_eq!(table["rows"][0]["cells"], json!(["w", "blue"]));
}

#[tokio::test]
async fn a_definition_takes_its_objects_along() {
    let cluster = Cluster::start().await;
    cluster.post(DEFINITIONS, definition()).await.ok();
    let mut held = widget();
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    cluster.post(WIDGETS, held).await.ok();
    let mut watch = cluster.watch(&format!("{DEFINITIONS}?watch=true")).await;
    watch.next().await.unwrap();
    let mut objects = cluster.watch(&format!("{WIDGETS}?watch=true")).await;
    assert_eq!(objects.kind().await, event("ADDED", "w"));
    cluster
        .delete(&format!("{DEFINITIONS}/widgets.example.com"), json!({}))
        .await
        .ok();
    assert_eq!(objects.kind().await, event("MODIFIED", "w"));
    cluster
        .patch(
            &format!("{WIDGETS}/w"),
            "merge-patch",
            json!({"metadata": {"finalizers": null}}),
        )
        .await
        .ok();
    while watch.kind().await != event("DELETED", "widgets.example.com") {}
    assert_eq!(cluster.get(WIDGETS).await.code, 404);
}
