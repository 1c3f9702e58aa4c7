use serde_json::{Value, json};

use crate::client::{Cluster, event};

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const GADGETS: &str = "/apis/example.com/v1/namespaces/default/gadgets";

fn schema() -> Value {
    json!({"type": "object", "properties": {
        "spec": {"type": "object", "required": ["size"], "properties": {
            "size": {"type": "integer", "minimum": 1, "maximum": 10, "description": "How large it is."},
            "color": {"type": "string", "enum": ["red", "blue"], "default": "red"},
            "since": {"type": "string", "format": "date-time"},
        }},
        "status": {"type": "object", "properties": {"phase": {"type": "string"}, "replicas": {"type": "integer"}}},
    }})
}

fn definition() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "gadgets.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced", "names": {"plural": "gadgets", "kind": "Gadget"},
            "versions": [{
                "name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema()},
                "subresources": {"status": {}},
                "additionalPrinterColumns": [
                    {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
                    {"name": "Since", "type": "date", "jsonPath": ".spec.since", "priority": 1},
                    {"name": "Wrong", "type": "boolean", "jsonPath": ".spec.color"},
                ],
            }],
        },
    })
}

fn gadget(spec: Value) -> Value {
    json!({"apiVersion": "example.com/v1", "kind": "Gadget", "metadata": {"name": "g"}, "spec": spec})
}

async fn with_definition() -> Cluster {
    let cluster = Cluster::start().await;
    cluster.post(DEFINITIONS, definition()).await.ok();
    cluster
}

#[tokio::test]
async fn objects_that_break_their_schema_are_refused_with_causes() {
    let cluster = with_definition().await;
    let answer = cluster
        .post(GADGETS, gadget(json!({"size": 11, "color": "pink"})))
        .await;
    let (code, reason, message) = answer.refusal();
    assert_eq!((code, reason.as_str()), (422, "Invalid"));
    let color = "spec.color: Unsupported value: \"pink\": supported values: \"red\", \"blue\"";
    let size = "spec.size: Invalid value: 11: spec.size in body should be less than or equal to 10";
    assert_eq!(
        message,
        format!("Gadget.example.com \"g\" is invalid: [{color}, {size}]")
    );
    let causes = &answer.json()["details"]["causes"];
    assert_eq!(causes[0]["reason"], "FieldValueNotSupported");
    assert_eq!(causes[1]["field"], "spec.size");
    let (_, _, missing) = cluster.post(GADGETS, gadget(json!({}))).await.refusal();
    assert_eq!(
        missing,
        "Gadget.example.com \"g\" is invalid: spec.size: Required value"
    );
}

#[tokio::test]
async fn unknown_members_are_pruned_warned_of_or_refused() {
    let cluster = with_definition().await;
    let wrong = gadget(json!({"size": 1, "sise": 2}));
    let strict = cluster
        .post(&format!("{GADGETS}?fieldValidation=Strict"), wrong.clone())
        .await;
    let text = "Gadget in version \"v1\" cannot be handled as a Gadget: strict decoding error: unknown field \"spec.sise\"";
    assert_eq!(strict.refusal(), (400, "BadRequest".to_owned(), text.to_owned()));
    let warned = cluster.post(GADGETS, wrong).await;
    let warning = warned.headers["warning"].to_str().unwrap().to_owned();
    assert!(warning.contains(r#"unknown field \"spec.sise\""#), "{warning}");
    assert_eq!(
        warned.ok()["spec"],
        json!({"size": 1, "color": "red"}),
        "pruned and defaulted"
    );
    let ignored = cluster
        .patch(
            &format!("{GADGETS}/g?fieldValidation=Ignore"),
            "merge-patch",
            json!({"spec": {"x": 1}}),
        )
        .await;
    assert!(!ignored.headers.contains_key("warning"));
    assert_eq!(
        ignored.ok()["metadata"]["generation"],
        1,
        "nothing is left of the patch"
    );
}

#[tokio::test]
async fn spec_and_status_are_written_apart() {
    let cluster = with_definition().await;
    cluster.post(GADGETS, gadget(json!({"size": 1}))).await.ok();
    let status = format!("{GADGETS}/g/status");
    let patch = json!({"spec": {"size": 5}, "status": {"phase": "Ready", "other": 1}});
    let written = cluster.patch(&status, "merge-patch", patch).await.ok();
    assert_eq!(
        (&written["spec"]["size"], &written["status"]),
        (&json!(1), &json!({"phase": "Ready"}))
    );
    assert_eq!(written["metadata"]["generation"], 1);
    let (code, ..) = cluster
        .patch(&status, "merge-patch", json!({"status": {"phase": 3}}))
        .await
        .refusal();
    assert_eq!(code, 422);
    let object = format!("{GADGETS}/g");
    let patch = json!({"spec": {"size": 6}, "status": {"phase": "Gone"}});
    let changed = cluster.patch(&object, "merge-patch", patch).await.ok();
    assert_eq!(
        (&changed["metadata"]["generation"], &changed["status"]["phase"]),
        (&json!(2), &json!("Ready"))
    );
}

#[tokio::test]
async fn a_changed_schema_applies_to_what_is_stored() {
    let cluster = with_definition().await;
    cluster.post(GADGETS, gadget(json!({"size": 9}))).await.ok();
    let mut changed = cluster
        .get(&format!("{DEFINITIONS}/gadgets.example.com"))
        .await
        .ok();
    let properties = &mut changed["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"];
    properties["spec"]["properties"]["weight"] = json!({"type": "integer", "default": 7});
    properties["spec"]["properties"]["size"]["maximum"] = 5.into();
    let mut version = changed["spec"]["versions"][0].clone();
    version["name"] = "v2".into();
    changed["spec"]["versions"][0]["storage"] = false.into();
    changed["spec"]["versions"].as_array_mut().unwrap().push(version);
    let stored = cluster
        .put(&format!("{DEFINITIONS}/gadgets.example.com"), changed)
        .await
        .ok();
    assert_eq!(stored["status"]["storedVersions"], json!(["v1", "v2"]));

    let object = format!("{GADGETS}/g");
    let read = cluster.get(&object).await.ok();
    assert_eq!(
        (&read["apiVersion"], &read["spec"]["weight"]),
        (&json!("example.com/v1"), &json!(7))
    );
    let second = cluster.get(&object.replace("/v1/", "/v2/")).await.ok();
    assert_eq!(
        (&second["apiVersion"], &second["spec"]),
        (&json!("example.com/v2"), &read["spec"])
    );
    // What is invalid by now may stay, and not change to something else that is.
    let patch = |spec: Value| cluster.patch(&object, "merge-patch", json!({"spec": spec}));
    patch(json!({"color": "blue"})).await.ok();
    assert_eq!(patch(json!({"size": 8})).await.refusal().0, 422);
    let mut watch = cluster.watch(&format!("{GADGETS}?watch=true")).await;
    assert_eq!(watch.kind().await, event("ADDED", "g"));
}

#[tokio::test]
async fn clients_learn_the_schema_and_see_the_columns() {
    let cluster = with_definition().await;
    let document = cluster.get("/openapi/v3/apis/example.com/v1").await.ok();
    let published = &document["components"]["schemas"]["example.com.v1.Gadget"];
    assert_eq!(
        published["properties"]["spec"]["properties"]["size"]["description"],
        "How large it is."
    );
    assert_eq!(published["x-kubernetes-group-version-kind"][0]["kind"], "Gadget");
    cluster.post(GADGETS, gadget(json!({"size": 4}))).await.ok();
    let accept = "application/json;as=Table;v=v1;g=meta.k8s.io";
    let table = cluster
        .answer(cluster.request("GET", GADGETS).header("accept", accept), "")
        .await
        .ok();
    assert_eq!(table["rows"][0]["cells"], json!(["g", 4, null, null]));
    assert_eq!(table["columnDefinitions"][2]["priority"], 1);
}

#[tokio::test]
async fn definitions_that_are_wrong_or_collide_are_told_so() {
    let cluster = with_definition().await;
    let mut wrong = definition();
    wrong["metadata"]["name"] = "others.example.com".into();
    let (code, reason, _) = cluster.post(DEFINITIONS, wrong.clone()).await.refusal();
    assert_eq!((code, reason.as_str()), (422, "Invalid"));
    wrong["spec"]["names"] = json!({"plural": "others", "kind": "Other", "shortNames": ["gadget"]});
    cluster.post(DEFINITIONS, wrong).await.ok();
    let path = format!("{DEFINITIONS}/others.example.com");
    let condition = |definition: &Value, kind: &str| {
        let conditions = definition["status"]["conditions"].as_array().unwrap().clone();
        let found = conditions.into_iter().find(|condition| condition["type"] == kind);
        found.map(|condition| (condition["status"].clone(), condition["reason"].clone()))
    };
    let refused = cluster.get(&path).await.ok();
    assert_eq!(
        condition(&refused, "NamesAccepted"),
        Some((json!("False"), json!("ShortNamesConflict")))
    );
    assert_eq!(
        condition(&refused, "Established"),
        Some((json!("False"), json!("NotAccepted")))
    );
    let mut watch = cluster.watch(&format!("{DEFINITIONS}?watch=true")).await;
    cluster
        .delete(&format!("{DEFINITIONS}/gadgets.example.com"), json!({}))
        .await
        .ok();
    while watch.kind().await != event("MODIFIED", "others.example.com") {}
    let accepted = cluster.get(&path).await.ok();
    assert_eq!(condition(&accepted, "Established").unwrap().0, "True");
}
