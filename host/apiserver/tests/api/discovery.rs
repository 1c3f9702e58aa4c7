use serde_json::{Value, json};

use crate::client::Cluster;

#[tokio::test]
async fn groups_and_resources_are_listed() {
    let cluster = Cluster::start().await;
    assert_eq!(cluster.get("/api").await.ok()["versions"], json!(["v1"]));
    let groups = cluster.get("/apis").await.ok();
    let apps = groups["groups"]
        .as_array()
        .unwrap()
        .iter()
        .find(|group| group["name"] == "apps")
        .unwrap();
    assert_eq!(apps["preferredVersion"]["groupVersion"], "apps/v1");
    assert_eq!(cluster.get("/apis/apps").await.ok()["kind"], "APIGroup");
    let core = cluster.get("/api/v1").await.ok();
    let find = |name: &str| {
        core["resources"]
            .as_array()
            .unwrap()
            .iter()
            .find(|resource| resource["name"] == name)
            .unwrap()
    };
    assert_eq!(find("pods")["shortNames"], json!(["po"]));
    assert_eq!(
        find("pods")["verbs"],
        json!([
            "create",
            "delete",
            "deletecollection",
            "get",
            "list",
            "patch",
            "update",
            "watch"
        ])
    );
    assert_eq!(find("pods/binding")["kind"], "Binding");
    assert_eq!(
        (&find("pods/eviction")["group"], &find("pods/eviction")["verbs"]),
        (&json!("policy"), &json!(["create"]))
    );
    assert_eq!(cluster.get("/apis/none").await.code, 404);
    assert_eq!(cluster.get("/apis/v1").await.code, 404);
}

#[tokio::test]
async fn discovery_comes_aggregated_with_a_tag() {
    let cluster = Cluster::start().await;
    let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
    let answer = cluster
        .answer(cluster.request("GET", "/apis").header("accept", accept), "")
        .await;
    assert_eq!(
        answer.headers["content-type"],
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    );
    assert_eq!(answer.headers["vary"], "Accept");
    let tag = answer.headers["etag"].clone();
    let list = answer.ok();
    let apps = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|group| group["metadata"]["name"] == "apps")
        .unwrap();
    let deployments: &Value = apps["versions"][0]["resources"]
        .as_array()
        .unwrap()
        .iter()
        .find(|resource| resource["resource"] == "deployments")
        .unwrap();
    assert_eq!(
        (
            &deployments["scope"],
            &deployments["subresources"][0]["subresource"]
        ),
        (&json!("Namespaced"), &json!("scale"))
    );
    let again = cluster
        .request("GET", "/apis")
        .header("accept", accept)
        .header("if-none-match", tag);
    assert_eq!(cluster.answer(again, "").await.code, 304);
}

#[tokio::test]
async fn openapi_names_the_parameters_of_patches() {
    let cluster = Cluster::start().await;
    let index = cluster.get("/openapi/v3").await.ok();
    let url = index["paths"]["apis/apps/v1"]["serverRelativeURL"]
        .as_str()
        .unwrap();
    let document = cluster.get(url).await.ok();
    let patch = &document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"];
    assert_eq!(patch["x-kubernetes-group-version-kind"]["kind"], "Deployment");
    assert!(
        patch["parameters"]
            .as_array()
            .unwrap()
            .iter()
            .any(|parameter| parameter["name"] == "fieldValidation")
    );
    assert_eq!(
        cluster.get("/openapi/v3/apis/apps/v1?hash=old").await.headers["location"],
        url
    );
    assert_eq!(cluster.get("/openapi/v2").await.code, 404);
}

#[tokio::test]
async fn reviews_are_answered() {
    let cluster = Cluster::start().await;
    let me = cluster
        .post("/apis/authentication.k8s.io/v1/selfsubjectreviews", json!({}))
        .await
        .ok();
    assert_eq!(me["status"]["userInfo"]["groups"][0], "system:masters");
    let review = |token: &str| json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}});
    let path = "/apis/authentication.k8s.io/v1/tokenreviews";
    assert_eq!(
        cluster.post(path, review(cluster.server.token())).await.ok()["status"]["authenticated"],
        true
    );
    assert_eq!(
        cluster.post(path, review("other")).await.ok()["status"].get("authenticated"),
        None
    );
    let attributes = json!({"spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}});
    for plural in ["selfsubjectaccessreviews", "subjectaccessreviews"] {
        let answer = cluster
            .post(
                &format!("/apis/authorization.k8s.io/v1/{plural}"),
                attributes.clone(),
            )
            .await;
        assert_eq!(
            (answer.code, &answer.json()["status"]["allowed"]),
            (201, &json!(true))
        );
    }
    assert_eq!(cluster.get(path).await.code, 405);
}
