//! The controller on a fake cluster: no API server, no wasm, a few milliseconds.

use serde_json::json;
use windlass_sdk::testing::Cluster;
use windlass_sdk::{Condition, ConditionStatus, Outcome};

use super::{Greeter, Greeting};

const KEY: &str = "default/hello";

/// A cluster with a Greeting that was not synced yet.
fn cluster() -> Cluster {
    let cluster = Cluster::new::<Greeter>();
    cluster.put(&json!({
        "apiVersion": "example.com/v1", "kind": "Greeting",
        "metadata": {"namespace": "default", "name": "hello"},
        "spec": {"name": "World"},
    }));
    cluster
}

/// The calls that a sync makes.
fn sync(cluster: &Cluster) -> Vec<String> {
    assert_eq!(cluster.sync(&Greeter, KEY), Ok(Outcome::Done));
    cluster.take_calls()
}

fn ready(cluster: &Cluster) -> Condition {
    let status = cluster.read::<Greeting>(KEY).status;
    Condition::find(&status.conditions, "Ready")
        .unwrap()
        .clone()
}

#[test]
fn a_greeting_gets_a_config_map_a_status_and_an_event() {
    let cluster = cluster();
    let calls = [
        "create configmaps default/",
        "patch greetings/status default/hello",
    ];
    assert_eq!(sync(&cluster), calls);
    let config_map = cluster.get("configmaps", KEY);
    assert_eq!(config_map["data"], json!({"message": "Hello, World!"}));
    assert_eq!(
        config_map["metadata"]["ownerReferences"][0]["kind"],
        "Greeting"
    );
    assert_eq!(
        cluster.take_events(),
        ["Normal Created Created ConfigMap hello"]
    );
    let status = cluster.read::<Greeting>(KEY).status;
    assert_eq!(
        (&*status.message, status.observed_generation),
        ("Hello, World!", 1)
    );
    assert_eq!(ready(&cluster).status, ConditionStatus::True);
    assert!(sync(&cluster).is_empty(), "nothing is left to do");
}

#[test]
fn drift_is_corrected_and_what_others_added_stays() {
    let cluster = cluster();
    sync(&cluster);
    cluster.edit("configmaps", KEY, |config_map| {
        config_map["data"] = json!({"message": "Go away!", "colour": "blue"});
    });
    assert_eq!(sync(&cluster), ["patch configmaps default/hello"]);
    let data = json!({"message": "Hello, World!", "colour": "blue"});
    assert_eq!(cluster.get("configmaps", KEY)["data"], data);
    cluster.remove("configmaps", KEY);
    assert_eq!(sync(&cluster), ["create configmaps default/"]);
}

#[test]
fn another_name_arrives() {
    let cluster = cluster();
    sync(&cluster);
    cluster.edit("greetings", KEY, |greeting| {
        greeting["spec"]["name"] = "Windlass".into();
        greeting["metadata"]["generation"] = 2.into();
    });
    sync(&cluster);
    assert_eq!(
        cluster.get("configmaps", KEY)["data"]["message"],
        "Hello, Windlass!"
    );
    let status = cluster.read::<Greeting>(KEY).status;
    assert_eq!(
        (&*status.message, status.observed_generation),
        ("Hello, Windlass!", 2)
    );
}

#[test]
fn a_config_map_of_somebody_else_is_left_alone() {
    let cluster = cluster();
    cluster.put(&json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"namespace": "default", "name": "hello"}, "data": {"message": "Mine"},
    }));
    let outcome = cluster.sync(&Greeter, KEY);
    assert!(
        matches!(outcome, Ok(Outcome::RequeueAfter(_))),
        "{outcome:?}"
    );
    assert_eq!(
        cluster.take_calls(),
        ["patch greetings/status default/hello"]
    );
    assert_eq!(ready(&cluster).status, ConditionStatus::False);
    assert_eq!(ready(&cluster).reason, "Conflict");
}

#[test]
fn a_greeting_that_is_gone_needs_nothing() {
    let cluster = cluster();
    cluster.remove("greetings", KEY);
    assert!(sync(&cluster).is_empty());
}
