use serde_json::{Value, json};
use windlass_sdk::testing::Cluster;
use windlass_sdk::{Error, Outcome};

use crate::{FINALIZER, WebApps};

const KEY: &str = "default/shop";

fn cluster() -> Cluster {
    let cluster = Cluster::new::<WebApps>();
    cluster.put(&json!({
        "apiVersion": "examples.windlass.dev/v1", "kind": "WebApp",
        "metadata": {"namespace": "default", "name": "shop", "uid": "app"},
        "spec": {"image": "shop:1", "replicas": 2, "config": {"COLOUR": "grün"}},
    }));
    cluster
}

fn sync(cluster: &Cluster) {
    assert_eq!(cluster.sync(&WebApps, KEY), Ok(Outcome::Done));
}

/// All that a new WebApp leads to.
fn settled() -> Cluster {
    let cluster = cluster();
    for _ in 0..3 {
        sync(&cluster);
    }
    cluster
}

fn condition(cluster: &Cluster) -> Value {
    cluster.get("webapps", KEY)["status"]["conditions"][0].clone()
}

#[test]
fn the_finalizer_comes_first() {
    let cluster = cluster();
    sync(&cluster);
    assert_eq!(cluster.take_calls(), ["patch webapps default/shop"]);
    assert_eq!(
        cluster.get("webapps", KEY)["metadata"]["finalizers"],
        json!([FINALIZER])
    );
}

#[test]
fn it_owns_three_objects_of_its_name() {
    let cluster = settled();
    assert_eq!(
        cluster.take_events(),
        [
            "Normal Created Created ConfigMap shop",
            "Normal Created Created Deployment shop",
            "Normal Created Created Service shop",
        ]
    );
    for plural in ["configmaps", "deployments", "services"] {
        let meta = cluster.get(plural, KEY)["metadata"].clone();
        assert_eq!(meta["labels"], json!({"app": "shop"}), "{plural}");
        assert_eq!(meta["ownerReferences"][0]["uid"], "app", "{plural}");
        assert_eq!(meta["ownerReferences"][0]["controller"], true, "{plural}");
    }
    assert_eq!(cluster.get("configmaps", KEY)["data"], json!({"COLOUR": "grün"}));
    assert_eq!(
        cluster.get("services", KEY)["spec"]["ports"],
        json!([{"port": 80, "targetPort": 80}])
    );
    assert_eq!(condition(&cluster)["reason"], "Progressing");
    assert_eq!(condition(&cluster)["message"], "0 of 2 replicas are ready");
    let _ = cluster.take_calls();
    sync(&cluster);
    assert!(cluster.take_calls().is_empty(), "nothing is left to do");
}

#[test]
fn what_drifts_is_corrected_and_what_others_set_is_left() {
    let cluster = settled();
    let _ = (cluster.take_events(), cluster.take_calls());
    cluster.edit("deployments", KEY, |deployment| {
        deployment["spec"]["replicas"] = 7.into();
        deployment["spec"]["minReadySeconds"] = 5.into();
    });
    cluster.edit("configmaps", KEY, |config_map| {
        config_map["data"] = json!({"COLOUR": "red"})
    });
    sync(&cluster);
    let spec = cluster.get("deployments", KEY)["spec"].clone();
    assert_eq!(
        (&spec["replicas"], &spec["minReadySeconds"]),
        (&json!(2), &json!(5))
    );
    assert_eq!(cluster.get("configmaps", KEY)["data"], json!({"COLOUR": "grün"}));
    assert_eq!(
        cluster.take_events(),
        [
            "Normal Drifted Corrected ConfigMap shop",
            "Normal Drifted Corrected Deployment shop"
        ]
    );
    cluster.remove("services", KEY);
    sync(&cluster);
    assert_eq!(cluster.take_events(), ["Normal Created Created Service shop"]);
}

#[test]
fn it_is_ready_when_all_replicas_are() {
    let cluster = settled();
    let before = condition(&cluster)["lastTransitionTime"].clone();
    cluster.advance(std::time::Duration::from_secs(60));
    cluster.edit("deployments", KEY, |deployment| {
        deployment["status"] = json!({"readyReplicas": 1})
    });
    sync(&cluster);
    assert_eq!(
        condition(&cluster)["lastTransitionTime"],
        before,
        "the status is still the same"
    );
    cluster.edit("deployments", KEY, |deployment| {
        deployment["status"] = json!({"readyReplicas": 2})
    });
    sync(&cluster);
    assert_eq!(
        (&condition(&cluster)["status"], &condition(&cluster)["reason"]),
        (&json!("True"), &json!("AllReady"))
    );
    assert_ne!(condition(&cluster)["lastTransitionTime"], before);
    assert_eq!(cluster.get("webapps", KEY)["status"]["readyReplicas"], 2);
}

#[test]
fn what_belongs_to_somebody_else_is_not_touched() {
    let cluster = cluster();
    cluster.put(&json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"namespace": "default", "name": "shop"},
        "spec": {"template": {"spec": {"containers": []}}},
    }));
    sync(&cluster);
    let _ = cluster.take_calls();
    let error = cluster.sync(&WebApps, KEY).unwrap_err();
    assert_eq!(
        error,
        Error::Terminal("Deployment default/shop exists and belongs to somebody else".to_owned())
    );
    assert_eq!(
        cluster.take_calls(),
        ["create configmaps default/", "update webapps/status default/shop"]
    );
    assert_eq!(
        (&condition(&cluster)["status"], &condition(&cluster)["reason"]),
        (&json!("False"), &json!("NameTaken"))
    );
}

#[test]
fn it_goes_after_its_service() {
    let cluster = settled();
    let _ = cluster.take_calls();
    cluster.edit("webapps", KEY, |app| {
        app["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into()
    });
    sync(&cluster);
    assert_eq!(cluster.take_calls(), ["delete services default/shop"]);
    sync(&cluster);
    assert_eq!(cluster.take_calls(), ["patch webapps default/shop"]);
}
