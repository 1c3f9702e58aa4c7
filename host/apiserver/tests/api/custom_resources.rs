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

/// A definition whose two versions are served like this; `v1` is the one that is stored.
fn serving(v1: bool, v1beta1: bool) -> Value {
    let mut definition = definition();
    definition["spec"]["versions"][0]["served"] = v1.into();
    definition["spec"]["versions"][1]["served"] = v1beta1.into();
    definition
}

async fn update(cluster: &Cluster, definition: &Value) {
    let path = format!("{DEFINITIONS}/widgets.example.com");
    let spec = json!({"spec": definition["spec"]});
    cluster.patch(&path, "merge-patch", spec).await.ok();
}

#[tokio::test]
async fn objects_outlive_the_versions_that_served_them() {
    let cluster = Cluster::start().await;
    cluster.post(DEFINITIONS, definition()).await.ok();
    let created = cluster.post(WIDGETS, widget()).await.ok();
    update(&cluster, &serving(false, true)).await;
    assert_eq!(cluster.get(WIDGETS).await.code, 404);
    let beta = "/apis/example.com/v1beta1/namespaces/default/widgets/w";
    assert_eq!(
        cluster.get(beta).await.ok()["metadata"]["uid"],
        created["metadata"]["uid"]
    );
    update(&cluster, &serving(false, false)).await;
    assert_eq!(cluster.get(beta).await.code, 404);
    assert_eq!(cluster.get("/apis/example.com").await.code, 404);
    let mut other = definition();
    other["metadata"]["name"] = "gadgets.example.com".into();
    other["spec"]["names"] = json!({"plural": "gadgets", "kind": "Widget"});
    cluster.post(DEFINITIONS, other).await.ok();
    let other = cluster
        .get(&format!("{DEFINITIONS}/gadgets.example.com"))
        .await
        .ok();
    let conditions = other["status"]["conditions"].as_array().unwrap();
    assert!(
        conditions
            .iter()
            .any(|condition| condition["reason"] == "SingularConflict"),
        "its names stay taken: {other}"
    );
    update(&cluster, &serving(true, true)).await;
    let found = cluster.get(&format!("{WIDGETS}/w")).await.ok();
    assert_eq!(
        found["metadata"]["resourceVersion"],
        created["metadata"]["resourceVersion"]
    );
}

#[tokio::test]
async fn a_definition_that_serves_nothing_still_takes_its_objects_along_in_order() {
    let cluster = Cluster::start().await;
    cluster.post(DEFINITIONS, definition()).await.ok();
    let mut held = widget();
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    cluster.post(WIDGETS, held).await.ok();
    update(&cluster, &serving(false, true)).await;
    let objects = "/apis/example.com/v1beta1/namespaces/default/widgets";
    let mut watch = cluster.watch(&format!("{objects}?watch=true")).await;
    assert_eq!(watch.kind().await, event("ADDED", "w"));
    let path = format!("{DEFINITIONS}/widgets.example.com");
    cluster.delete(&path, json!({})).await.ok();
    assert_eq!(watch.kind().await, event("MODIFIED", "w"), "it is told to go");
    assert_eq!(
        cluster.get(&path).await.code,
        200,
        "it waits for what holds the object"
    );
    let release = json!({"metadata": {"finalizers": null}});
    cluster
        .patch(&format!("{objects}/w"), "merge-patch", release)
        .await
        .ok();
    assert_eq!(watch.kind().await, event("DELETED", "w"));
    let mut definitions = cluster.watch(&format!("{DEFINITIONS}?watch=true")).await;
    while cluster.get(&path).await.code == 200 {
        definitions.next().await.unwrap();
    }
    cluster.post(DEFINITIONS, definition()).await.ok();
    let list = cluster.get(WIDGETS).await.ok();
    assert_eq!(
        list["items"],
        json!([]),
        "nothing is left for the next of its name"
    );
}

#[tokio::test]
async fn a_namespace_that_goes_takes_along_what_only_another_version_serves() {
    let cluster = Cluster::start().await;
    let namespace = |name: &str| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    let namespaces = "/api/v1/namespaces";
    cluster.post(namespaces, namespace("gone")).await.ok();
    cluster.post(DEFINITIONS, definition()).await.ok();
    let objects = |version: &str| format!("/apis/example.com/{version}/namespaces/gone/widgets");
    cluster.post(&objects("v1"), widget()).await.ok();
    update(&cluster, &serving(false, true)).await;
    let mut watch = cluster.watch(&format!("{}?watch=true", objects("v1beta1"))).await;
    assert_eq!(watch.kind().await, event("ADDED", "w"));
    cluster
        .delete(&format!("{namespaces}/gone"), json!({}))
        .await
        .ok();
    assert_eq!(watch.kind().await, event("DELETED", "w"));
}
