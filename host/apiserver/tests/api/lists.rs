use serde_json::{Value, json};

use crate::client::{CONFIG_MAPS, Cluster, PODS, config_map, pod, version};

fn names(list: &Value) -> Vec<String> {
    let items = list["items"].as_array().unwrap();
    items
        .iter()
        .map(|item| item["metadata"]["name"].as_str().unwrap().to_owned())
        .collect()
}

async fn fill(cluster: &Cluster, count: usize) {
    for index in 0..count {
        cluster.post(PODS, pod(&format!("p{index}"))).await.ok();
    }
}

#[tokio::test]
async fn pages_show_one_snapshot_whatever_is_written_meanwhile() {
    let cluster = Cluster::start().await;
    fill(&cluster, 5).await;
    let first = cluster.get(&format!("{PODS}?limit=2")).await.ok();
    assert_eq!(names(&first), ["p0", "p1"]);
    assert_eq!(first["metadata"]["remainingItemCount"], 3);

    cluster.delete(&format!("{PODS}/p3"), json!({})).await.ok();
    cluster.post(PODS, pod("p2a")).await.ok();
    let next = |page: &Value| {
        format!(
            "{PODS}?limit=2&continue={}",
            page["metadata"]["continue"].as_str().unwrap()
        )
    };
    let second = cluster.get(&next(&first)).await.ok();
    assert_eq!(names(&second), ["p2", "p3"]);
    assert_eq!(
        second["metadata"]["resourceVersion"],
        first["metadata"]["resourceVersion"]
    );
    let third = cluster.get(&next(&second)).await.ok();
    assert_eq!(names(&third), ["p4"]);
    assert_eq!(third["metadata"].get("continue"), None);
    assert_eq!(
        names(&cluster.get(PODS).await.ok()),
        ["p0", "p1", "p2", "p2a", "p4"]
    );
}

#[tokio::test]
async fn pages_cross_namespaces() {
    let cluster = Cluster::start().await;
    let first = cluster.get("/api/v1/serviceaccounts?limit=3").await.ok();
    let token = first["metadata"]["continue"].as_str().unwrap();
    let second = cluster
        .get(&format!("/api/v1/serviceaccounts?limit=3&continue={token}"))
        .await
        .ok();
    let namespace = |item: &Value| item["metadata"]["namespace"].as_str().unwrap().to_owned();
    let all: Vec<_> = [&first, &second]
        .iter()
        .flat_map(|page| page["items"].as_array().unwrap())
        .map(namespace)
        .collect();
    assert_eq!(all, ["default", "kube-node-lease", "kube-public", "kube-system"]);
}

#[tokio::test]
async fn an_expired_page_offers_an_inconsistent_continuation() {
    let cluster = Cluster::start().await;
    fill(&cluster, 3).await;
    let first = cluster.get(&format!("{PODS}?limit=1")).await.ok();
    let token = first["metadata"]["continue"].as_str().unwrap();
    cluster.delete(&format!("{PODS}/p0"), json!({})).await.ok();
    // What is older than 75 seconds is forgotten once a hundred newer events are there.
    tokio::time::pause();
    tokio::time::advance(std::time::Duration::from_secs(80)).await;
    tokio::time::resume();
    for count in 0..120 {
        let patch = json!({"metadata": {"annotations": {"count": count.to_string()}}});
        cluster
            .patch(&format!("{PODS}/p2"), "merge-patch", patch)
            .await
            .ok();
    }
    let expired = cluster.get(&format!("{PODS}?limit=1&continue={token}")).await;
    let (code, reason, message) = expired.refusal();
    assert_eq!((code, reason.as_str()), (410, "Expired"));
    assert!(
        message
            .starts_with("The provided continue parameter is too old to display a consistent list result.")
    );
    let inconsistent = expired.json()["metadata"]["continue"]
        .as_str()
        .unwrap()
        .to_owned();
    let rest = cluster
        .get(&format!("{PODS}?limit=9&continue={inconsistent}"))
        .await
        .ok();
    assert_eq!(names(&rest), ["p1", "p2"]);

    let exact = cluster
        .get(&format!(
            "{PODS}?resourceVersion={}&resourceVersionMatch=Exact",
            version(&first)
        ))
        .await;
    let (code, _, message) = exact.refusal();
    assert_eq!(
        (code, message.as_str()),
        (410, "The resourceVersion for the provided list is too old.")
    );

    let mut watch = cluster
        .watch(&format!("{PODS}?watch=true&resourceVersion={}", version(&first)))
        .await;
    let frame = watch.next().await.unwrap();
    assert_eq!(
        (&frame["type"], &frame["object"]["code"]),
        (&json!("ERROR"), &json!(410))
    );
    assert!(
        frame["object"]["message"]
            .as_str()
            .unwrap()
            .starts_with("too old resource version: ")
    );
    assert_eq!(watch.next().await, None);
}

#[tokio::test]
async fn the_past_can_be_listed_exactly() {
    let cluster = Cluster::start().await;
    let first = cluster.post(PODS, pod("a")).await.ok();
    cluster.post(PODS, pod("b")).await.ok();
    let exact = format!(
        "{PODS}?resourceVersion={}&resourceVersionMatch=Exact",
        version(&first)
    );
    assert_eq!(names(&cluster.get(&exact).await.ok()), ["a"]);
    let legacy = format!("{PODS}?resourceVersion={}&limit=10", version(&first));
    assert_eq!(
        names(&cluster.get(&legacy).await.ok()),
        ["a"],
        "a limit without a match means exactly"
    );
    let newer = format!(
        "{PODS}?resourceVersion={}&resourceVersionMatch=NotOlderThan&limit=10",
        version(&first)
    );
    assert_eq!(names(&cluster.get(&newer).await.ok()), ["a", "b"]);
}

#[tokio::test]
async fn a_version_from_the_future_times_out() {
    let cluster = Cluster::start().await;
    let answer = cluster.get(&format!("{PODS}?resourceVersion=99999")).await;
    let (code, reason, message) = answer.refusal();
    assert_eq!((code, reason.as_str()), (504, "Timeout"));
    assert!(
        message.contains("Too large resource version: 99999, current: "),
        "{message}"
    );
    assert_eq!(
        answer.json()["details"]["causes"][0]["reason"],
        "ResourceVersionTooLarge"
    );
    assert_eq!(answer.json()["details"]["retryAfterSeconds"], 1);
}

#[tokio::test]
async fn contradicting_options_are_refused() {
    let cluster = Cluster::start().await;
    for (query, code) in [
        ("resourceVersionMatch=Exact", 422),
        ("resourceVersion=0&resourceVersionMatch=Exact", 422),
        ("resourceVersion=1&resourceVersionMatch=Other", 422),
        ("sendInitialEvents=true", 422),
        ("continue=bogus", 400),
        ("resourceVersion=abc", 400),
        ("labelSelector=%3D%3D", 400),
        ("fieldSelector=spec.color%3Dred", 400),
    ] {
        assert_eq!(
            cluster.get(&format!("{PODS}?{query}")).await.refusal().0,
            code,
            "{query}"
        );
    }
}

#[tokio::test]
async fn selectors_select() {
    let cluster = Cluster::start().await;
    fill(&cluster, 3).await;
    cluster.post(CONFIG_MAPS, config_map("a")).await.ok();
    for (query, expected) in [
        ("labelSelector=app%20in%20(p0,p2)", vec!["p0", "p2"]),
        ("labelSelector=app!%3Dp0", vec!["p1", "p2"]),
        ("fieldSelector=metadata.name%3Dp1", vec!["p1"]),
        (
            "fieldSelector=status.phase%3DPending,metadata.name!%3Dp1",
            vec!["p0", "p2"],
        ),
        ("fieldSelector=spec.nodeName%3D", vec!["p0", "p1", "p2"]),
        ("labelSelector=app!%3Dp0&limit=1", vec!["p1"]),
    ] {
        assert_eq!(
            names(&cluster.get(&format!("{PODS}?{query}")).await.ok()),
            expected,
            "{query}"
        );
    }
}

#[tokio::test]
async fn lists_come_as_tables_and_as_metadata() {
    let cluster = Cluster::start().await;
    fill(&cluster, 2).await;
    let get = |accept: &'static str| cluster.request("GET", PODS).header("accept", accept);
    let table = cluster
        .answer(
            get("application/json;as=Table;v=v1;g=meta.k8s.io,application/json"),
            "",
        )
        .await
        .ok();
    assert_eq!(
        (&table["kind"], table["rows"].as_array().unwrap().len()),
        (&json!("Table"), 2)
    );
    assert_eq!(table["columnDefinitions"][1]["name"], "Ready");
    assert!(version(&table) > 0);
    let list = cluster
        .answer(
            get("application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"),
            "",
        )
        .await
        .ok();
    assert_eq!(list["kind"], "PartialObjectMetadataList");
    assert_eq!(list["items"][0]["kind"], "PartialObjectMetadata");
    assert_eq!(list["items"][0].get("spec"), None);
    let refused = cluster
        .answer(get("application/json;as=Other;v=v1;g=meta.k8s.io"), "")
        .await;
    assert_eq!(refused.refusal().0, 406);
}
