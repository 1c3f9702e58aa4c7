use serde_json::json;

use crate::client::{CONFIG_MAPS, Cluster, PODS, config_map, deployment, pod, version};

#[tokio::test]
async fn the_server_fills_in_what_is_its_own() {
    let cluster = Cluster::start().await;
    let mut object = config_map("a");
    object["metadata"]["uid"] = "mine".into();
    object["metadata"]["creationTimestamp"] = "2001-01-01T00:00:00Z".into();
    object["metadata"]["deletionTimestamp"] = "2001-01-01T00:00:00Z".into();
    let created = cluster.post(CONFIG_MAPS, object).await;
    assert_eq!(created.code, 201);
    let created = created.ok();
    assert_ne!(created["metadata"]["uid"], "mine");
    assert_ne!(created["metadata"]["creationTimestamp"], "2001-01-01T00:00:00Z");
    assert_eq!(created["metadata"].get("deletionTimestamp"), None);
    assert_eq!(created["metadata"]["namespace"], "default");
    assert_eq!(cluster.get(&format!("{CONFIG_MAPS}/a")).await.ok(), created);
}

#[tokio::test]
async fn refusals_have_the_texts_of_kubernetes() {
    let cluster = Cluster::start().await;
    cluster.post(CONFIG_MAPS, config_map("a")).await.ok();
    let own = |code, reason: &str, message: &str| (code, reason.to_owned(), message.to_owned());
    assert_eq!(
        cluster.post(CONFIG_MAPS, config_map("a")).await.refusal(),
        own(409, "AlreadyExists", "configmaps \"a\" already exists")
    );
    assert_eq!(
        cluster
            .get("/apis/apps/v1/namespaces/default/deployments/x")
            .await
            .refusal(),
        own(404, "NotFound", "deployments.apps \"x\" not found")
    );
    assert_eq!(
        cluster.get("/apis/none/v1/things").await.refusal(),
        own(
            404,
            "NotFound",
            "the server could not find the requested resource"
        )
    );
    assert_eq!(
        cluster
            .post("/api/v1/namespaces/none/configmaps", config_map("a"))
            .await
            .refusal(),
        own(404, "NotFound", "namespaces \"none\" not found")
    );
    let mut elsewhere = config_map("b");
    elsewhere["metadata"]["namespace"] = "kube-system".into();
    assert_eq!(
        cluster.post(CONFIG_MAPS, elsewhere).await.refusal(),
        own(
            400,
            "BadRequest",
            "the namespace of the provided object does not match the namespace sent on the request"
        )
    );
    assert_eq!(
        cluster
            .put(&format!("{CONFIG_MAPS}/a"), config_map("b"))
            .await
            .refusal(),
        own(
            400,
            "BadRequest",
            "the name of the object (b) does not match the name on the URL (a)"
        )
    );
    let mut versioned = config_map("c");
    versioned["metadata"]["resourceVersion"] = "5".into();
    let (code, _, message) = cluster.post(CONFIG_MAPS, versioned).await.refusal();
    assert_eq!(
        (code, message.as_str()),
        (500, "resourceVersion should not be set on objects to be created")
    );
    assert_eq!(
        cluster
            .post(&format!("{CONFIG_MAPS}/a"), config_map("a"))
            .await
            .refusal()
            .0,
        405
    );
    assert_eq!(cluster.post(CONFIG_MAPS, pod("a")).await.refusal().0, 400);
    let invalid = cluster
        .post(
            PODS,
            json!({"metadata": {"name": "Not_Valid"}, "spec": {"containers": []}}),
        )
        .await;
    let (code, reason, message) = invalid.refusal();
    assert_eq!((code, reason.as_str()), (422, "Invalid"));
    assert!(message.starts_with("Pod \"Not_Valid\" is invalid: "), "{message}");
    assert!(
        invalid.json()["details"]["causes"]
            .as_array()
            .is_some_and(|causes| !causes.is_empty())
    );
}

#[tokio::test]
async fn a_stale_version_conflicts() {
    let cluster = Cluster::start().await;
    let mut object = cluster.post(CONFIG_MAPS, config_map("a")).await.ok();
    let path = format!("{CONFIG_MAPS}/a");
    object["data"]["key"] = "one".into();
    cluster.put(&path, object.clone()).await.ok();
    object["data"]["key"] = "two".into();
    let (code, reason, message) = cluster.put(&path, object.clone()).await.refusal();
    assert_eq!((code, reason.as_str()), (409, "Conflict"));
    assert_eq!(
        message,
        "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; please apply your changes to \
         the latest version and try again"
    );
    object["metadata"]
        .as_object_mut()
        .unwrap()
        .remove("resourceVersion");
    cluster.put(&path, object.clone()).await.ok();
    object["metadata"]["uid"] = "other".into();
    let (code, _, message) = cluster.put(&path, object).await.refusal();
    assert_eq!(code, 409);
    assert!(
        message.contains("Precondition failed: UID in precondition: other"),
        "{message}"
    );
}

#[tokio::test]
async fn generated_names_are_unique() {
    let cluster = Cluster::start().await;
    let object = || json!({"metadata": {"generateName": "x-"}, "data": {}});
    let mut names = std::collections::BTreeSet::new();
    for _ in 0..50 {
        let created = cluster.post(CONFIG_MAPS, object()).await.ok();
        let name = created["metadata"]["name"].as_str().unwrap().to_owned();
        assert!(name.starts_with("x-") && name.len() == 7, "{name}");
        assert!(names.insert(name));
    }
    let (code, reason, _) = cluster.post(CONFIG_MAPS, json!({"metadata": {}})).await.refusal();
    assert_eq!((code, reason.as_str()), (422, "Invalid"));
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let cluster = Cluster::start().await;
    let answer = cluster
        .post(&format!("{CONFIG_MAPS}?dryRun=All"), config_map("a"))
        .await;
    assert_eq!(answer.code, 201);
    assert_eq!(answer.ok()["metadata"]["name"], "a");
    assert_eq!(cluster.get(&format!("{CONFIG_MAPS}/a")).await.code, 404);

    let created = cluster.post(CONFIG_MAPS, config_map("a")).await.ok();
    assert_eq!(
        cluster
            .post(&format!("{CONFIG_MAPS}?dryRun=All"), config_map("a"))
            .await
            .code,
        409
    );
    let path = format!("{CONFIG_MAPS}/a");
    let patched = cluster
        .patch(
            &format!("{path}?dryRun=All"),
            "merge-patch",
            json!({"data": {"key": "x"}}),
        )
        .await
        .ok();
    assert_eq!(patched["data"]["key"], "x");
    cluster
        .delete(&format!("{path}?dryRun=All"), json!({}))
        .await
        .ok();
    cluster.delete(&path, json!({"dryRun": ["All"]})).await.ok();
    assert_eq!(cluster.get(&path).await.ok(), created);
    assert_eq!(
        cluster
            .delete(&format!("{path}?dryRun=Some"), json!({}))
            .await
            .refusal()
            .0,
        422
    );
}

#[tokio::test]
async fn status_and_spec_have_endpoints_of_their_own() {
    let cluster = Cluster::start().await;
    let collection = "/apis/apps/v1/namespaces/default/deployments";
    let path = format!("{collection}/d");
    let created = cluster.post(collection, deployment("d")).await.ok();
    assert_eq!(created["metadata"]["generation"], 1);

    let mut both = created.clone();
    both["spec"]["replicas"] = 9.into();
    both["status"] = json!({"replicas": 9, "observedGeneration": 1});
    both["metadata"]["annotations"] = json!({"deployment.kubernetes.io/revision": "1"});
    let status = cluster.put(&format!("{path}/status"), both.clone()).await.ok();
    assert_eq!(
        (&status["spec"]["replicas"], &status["status"]["replicas"]),
        (&json!(2), &json!(9))
    );
    assert_eq!(
        status["metadata"]["generation"], 1,
        "status writes do not advance the generation"
    );
    assert_eq!(
        status["metadata"]["annotations"]["deployment.kubernetes.io/revision"],
        "1"
    );

    both["metadata"]["resourceVersion"] = status["metadata"]["resourceVersion"].clone();
    both["status"] = json!({"replicas": 1});
    let main = cluster.put(&path, both).await.ok();
    assert_eq!(
        (&main["spec"]["replicas"], &main["status"]["replicas"]),
        (&json!(9), &json!(9))
    );
    assert_eq!(main["metadata"]["generation"], 2);
    let annotated = cluster
        .patch(
            &path,
            "merge-patch",
            json!({"metadata": {"annotations": {"a": "b"}}}),
        )
        .await
        .ok();
    assert_eq!(
        annotated["metadata"]["generation"], 3,
        "annotations count for deployments"
    );
}

#[tokio::test]
async fn a_workload_is_scaled_through_its_scale() {
    let cluster = Cluster::start().await;
    let collection = "/apis/apps/v1/namespaces/default/deployments";
    let created = cluster.post(collection, deployment("d")).await.ok();
    let path = format!("{collection}/d/scale");
    let mut scale = cluster.get(&path).await.ok();
    assert_eq!(
        (&scale["kind"], &scale["apiVersion"]),
        (&json!("Scale"), &json!("autoscaling/v1"))
    );
    assert_eq!(
        (&scale["spec"]["replicas"], &scale["status"]["selector"]),
        (&json!(2), &json!("app=d"))
    );
    let patched = cluster
        .patch(&path, "merge-patch", json!({"spec": {"replicas": 5}}))
        .await
        .ok();
    assert_eq!(patched["spec"]["replicas"], 5);
    let stored = cluster.get(&format!("{collection}/d")).await.ok();
    assert_eq!(
        (&stored["spec"]["replicas"], &stored["metadata"]["generation"]),
        (&json!(5), &json!(2))
    );
    assert!(version(&stored) > version(&created));

    scale["spec"]["replicas"] = 7.into();
    assert_eq!(
        cluster.put(&path, scale.clone()).await.refusal().0,
        409,
        "the scale was read before the patch"
    );
    scale["metadata"]
        .as_object_mut()
        .unwrap()
        .remove("resourceVersion");
    assert_eq!(
        cluster.put(&path, scale.clone()).await.ok()["spec"]["replicas"],
        7
    );
    scale["spec"]["replicas"] = json!(-1);
    assert_eq!(cluster.put(&path, scale).await.refusal().0, 422);
}

#[tokio::test]
async fn some_types_are_created_by_an_update() {
    let cluster = Cluster::start().await;
    let lease =
        json!({"metadata": {"name": "l"}, "spec": {"holderIdentity": "me", "leaseDurationSeconds": 15}});
    let path = "/apis/coordination.k8s.io/v1/namespaces/default/leases/l";
    assert_eq!(cluster.put(path, lease).await.code, 201);
    assert_eq!(
        cluster
            .put(&format!("{CONFIG_MAPS}/none"), config_map("none"))
            .await
            .code,
        404
    );
}

#[tokio::test]
async fn services_get_addresses() {
    let cluster = Cluster::start().await;
    let collection = "/api/v1/namespaces/default/services";
    let service = |name: &str| json!({"metadata": {"name": name}, "spec": {"ports": [{"port": 80}]}});
    let first = cluster.post(collection, service("a")).await.ok();
    let second = cluster.post(collection, service("b")).await.ok();
    let address = |service: &serde_json::Value| service["spec"]["clusterIP"].as_str().unwrap().to_owned();
    assert!(address(&first).starts_with("10.96.") && address(&first) != address(&second));
    let mut same = service("c");
    same["spec"]["clusterIP"] = address(&first).into();
    assert_eq!(cluster.post(collection, same.clone()).await.refusal().0, 422);
    cluster.delete(&format!("{collection}/a"), json!({})).await.ok();
    assert_eq!(
        address(&cluster.post(collection, same).await.ok()),
        address(&first)
    );
}

#[tokio::test]
async fn events_have_two_shapes_and_one_storage() {
    let cluster = Cluster::start().await;
    let event = json!({
        "metadata": {"name": "e"}, "reason": "Why", "note": "text", "action": "Act", "type": "Normal",
        "eventTime": "2026-01-01T00:00:00.000000Z", "reportingController": "me", "reportingInstance": "me-1",
        "regarding": {"kind": "Pod", "name": "p", "namespace": "default", "uid": "u"},
    });
    let created = cluster
        .post("/apis/events.k8s.io/v1/namespaces/default/events", event)
        .await
        .ok();
    assert_eq!(created["apiVersion"], "events.k8s.io/v1");
    let query = "fieldSelector=involvedObject.name%3Dp,involvedObject.kind%3DPod";
    let core = cluster
        .get(&format!("/api/v1/namespaces/default/events?{query}"))
        .await
        .ok();
    let core = &core["items"][0];
    assert_eq!(
        (&core["message"], &core["involvedObject"]["name"]),
        (&json!("text"), &json!("p"))
    );
    assert_eq!(
        (&core["apiVersion"], &core["reportingComponent"]),
        (&json!("v1"), &json!("me"))
    );
}

#[tokio::test]
async fn unknown_fields_are_refused_warned_of_or_ignored() {
    let cluster = Cluster::start().await;
    let collection = "/apis/apps/v1/namespaces/default/deployments";
    let mut object = deployment("d");
    object["spec"]["replica"] = 3.into();
    let strict = cluster
        .post(&format!("{collection}?fieldValidation=Strict"), object.clone())
        .await;
    let expected = "Deployment in version \"v1\" cannot be handled as a Deployment: strict decoding error: unknown field \"spec.replica\"";
    assert_eq!(
        strict.refusal(),
        (400, "BadRequest".to_owned(), expected.to_owned())
    );
    let warned = cluster.post(collection, object.clone()).await;
    assert_eq!(
        warned.headers["warning"],
        "299 - \"unknown field \\\"spec.replica\\\"\""
    );
    assert_eq!(
        warned.ok()["spec"].get("replica"),
        None,
        "what is unknown is dropped"
    );
    object["metadata"]["name"] = "e".into();
    let ignored = cluster
        .post(&format!("{collection}?fieldValidation=Ignore"), object.clone())
        .await;
    assert_eq!((ignored.code, ignored.headers.get("warning")), (201, None));
    let patch = json!({"spec": {"replica": 3}});
    let strict = cluster
        .patch(
            &format!("{collection}/d?fieldValidation=Strict"),
            "merge-patch",
            patch,
        )
        .await;
    assert_eq!(strict.refusal().0, 400);
    object["spec"]["replicas"] = "three".into();
    let (code, _, message) = cluster.post(collection, object).await.refusal();
    assert_eq!(code, 400);
    assert!(
        message.ends_with("json: cannot unmarshal string into Go struct field spec.replicas of type int64"),
        "{message}"
    );
}

#[tokio::test]
async fn a_node_that_is_ready_from_the_start_is_not_tainted() {
    let cluster = Cluster::start().await;
    let node = |name: &str, ready: &str| {
        json!({
            "metadata": {"name": name}, "status": {"conditions": [{"type": "Ready", "status": ready}], "capacity": {"cpu": "4"}},
        })
    };
    let ready = cluster.post("/api/v1/nodes", node("a", "True")).await.ok();
    assert_eq!(
        (ready["spec"].get("taints"), &ready["status"]["capacity"]["cpu"]),
        (None, &json!("4"))
    );
    let fresh = cluster.post("/api/v1/nodes", node("b", "False")).await.ok();
    assert_eq!(
        fresh["spec"]["taints"],
        json!([{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}])
    );
}
