//! The agent against the embedded API server, in one process and without a socket.

mod bench;

use std::time::{Duration, Instant};

use bench::{Bench, pod, pod_with};
use serde_json::{Value, json};
use windlass_apiserver::{FaultKind, FaultPolicy, FaultRule};
use windlass_kubelet::config::{AgentConfig, FinalReport};

fn ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    conditions.is_some_and(|all| all.iter().any(|c| c["type"] == "Ready" && c["status"] == "True"))
}

#[tokio::test]
async fn nodes_are_registered_ready_and_keep_a_lease() {
    let bench = Bench::start(AgentConfig::with_nodes(3)).await;
    let nodes = bench.get("/api/v1/nodes").await;
    let names: Vec<&str> = nodes["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|n| n["metadata"]["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["node-0", "node-1", "node-2"]);
    assert!(nodes["items"].as_array().unwrap().iter().all(ready));
    let lease = bench
        .wait_for(
            "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/node-0",
            |_| true,
        )
        .await;
    assert_eq!(
        (
            &lease["spec"]["holderIdentity"],
            &lease["spec"]["leaseDurationSeconds"]
        ),
        (&json!("node-0"), &json!(40))
    );
    assert_eq!(lease["metadata"]["ownerReferences"][0]["kind"], "Node");
    bench.stop().await;
}

#[tokio::test]
async fn a_bound_pod_becomes_ready_and_a_deleted_one_goes() {
    let bench = Bench::start(AgentConfig::with_nodes(1)).await;
    bench.create_pod(&pod("web")).await;
    let web = bench.wait_for_pod("web", ready).await;
    assert_eq!(
        (&web["status"]["phase"], &web["status"]["podIP"]),
        (&json!("Running"), &json!("10.128.0.1"))
    );
    bench.delete("/api/v1/namespaces/default/pods/web").await;
    bench.wait_until_gone("/api/v1/namespaces/default/pods/web").await;
    bench.stop().await;
}

#[tokio::test]
async fn finalizers_hold_the_object_with_its_last_status() {
    let bench = Bench::start(AgentConfig::with_nodes(1)).await;
    let mut held = pod("held");
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    bench.create_pod(&held).await;
    bench.wait_for_pod("held", ready).await;
    bench.delete("/api/v1/namespaces/default/pods/held").await;
    let last = bench
        .wait_for_pod("held", |pod| pod["status"]["phase"] == "Succeeded")
        .await;
    assert_eq!(
        last["status"]["containerStatuses"][0]["state"]["terminated"]["reason"],
        "Completed"
    );
    bench
        .merge(
            "/api/v1/namespaces/default/pods/held",
            &json!({ "metadata": { "finalizers": null } }),
        )
        .await;
    bench
        .wait_until_gone("/api/v1/namespaces/default/pods/held")
        .await;
    bench.stop().await;
}

#[tokio::test]
async fn conditions_and_resources_of_others_survive() {
    let bench = Bench::start(AgentConfig::with_nodes(1)).await;
    bench.create_pod(&pod("web")).await;
    bench.wait_for_pod("web", ready).await;
    let foreign = json!({ "status": { "conditions": [{ "type": "example.com/seen", "status": "True" }] } });
    bench
        .strategic("/api/v1/namespaces/default/pods/web/status", &foreign)
        .await;
    bench
        .merge(
            "/api/v1/namespaces/default/pods/web",
            &json!({ "metadata": { "annotations": { "windlass.dev/ready": "false" } } }),
        )
        .await;
    let web = bench.wait_for_pod("web", |pod| !ready(pod)).await;
    let conditions = web["status"]["conditions"].as_array().unwrap();
    assert!(
        conditions
            .iter()
            .any(|condition| condition["type"] == "example.com/seen")
    );
    assert_eq!(conditions.len(), 6);
    let extended = json!({ "status": { "capacity": { "example.com/foo": "5" }, "allocatable": { "example.com/foo": "5" },
        "conditions": [{ "type": "Ready", "status": "Unknown" }] } });
    bench.strategic("/api/v1/nodes/node-0/status", &extended).await;
    let node = bench.wait_for("/api/v1/nodes/node-0", ready).await;
    assert_eq!(node["status"]["allocatable"]["example.com/foo"], "5");
    bench.stop().await;
}

#[tokio::test]
async fn a_pod_somebody_failed_is_not_revived() {
    let bench = Bench::start(AgentConfig::with_nodes(1)).await;
    bench.create_pod(&pod("web")).await;
    bench.wait_for_pod("web", ready).await;
    bench
        .strategic(
            "/api/v1/namespaces/default/pods/web/status",
            &json!({ "status": { "phase": "Failed" } }),
        )
        .await;
    let web = bench.wait_for_pod("web", |pod| !ready(pod)).await;
    assert_eq!(web["status"]["phase"], "Failed");
    assert!(web["status"]["containerStatuses"][0]["state"]["terminated"].is_object());
    bench.stop().await;
}

#[tokio::test]
async fn programs_and_images_decide_what_becomes_of_pods() {
    let bench = Bench::start(AgentConfig::with_nodes(1)).await;
    let run = |name, policy, image, command: &[&str]| {
        pod_with(
            name,
            json!({ "restartPolicy": policy, "containers": [{ "name": "c", "image": image, "command": command }] }),
        )
    };
    bench
        .create_pod(&run("good", "Never", "busybox", &["sh", "-c", "exit 0"]))
        .await;
    bench
        .create_pod(&run("bad", "Never", "busybox", &["sh", "-c", "exit 42"]))
        .await;
    bench
        .create_pod(&run("loop", "Always", "busybox", &["false"]))
        .await;
    bench
        .create_pod(&run("missing", "Always", "redis:nonexistent", &[]))
        .await;
    bench
        .wait_for_pod("good", |pod| pod["status"]["phase"] == "Succeeded")
        .await;
    bench
        .wait_for_pod("bad", |pod| pod["status"]["phase"] == "Failed")
        .await;
    let waiting = |reason: &'static str| {
        move |pod: &Value| pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == reason
    };
    bench.wait_for_pod("loop", waiting("CrashLoopBackOff")).await;
    let missing = bench.wait_for_pod("missing", waiting("ImagePullBackOff")).await;
    assert_eq!(missing["status"]["phase"], "Pending");
    bench.stop().await;
}

#[tokio::test]
async fn a_conflicting_host_port_is_rejected() {
    let bench = Bench::start(AgentConfig::with_nodes(1)).await;
    let ports = json!({ "containers": [{ "name": "c", "image": "nginx", "ports": [{ "containerPort": 80, "hostPort": 8080 }] }] });
    bench.create_pod(&pod_with("first", ports.clone())).await;
    bench.wait_for_pod("first", ready).await;
    bench.create_pod(&pod_with("second", ports)).await;
    let second = bench
        .wait_for_pod("second", |pod| pod["status"]["phase"] == "Failed")
        .await;
    assert_eq!(second["status"]["reason"], "NodePorts");
    bench.stop().await;
}

#[tokio::test]
async fn a_deleted_node_serves_nothing_until_it_is_created_again() {
    let bench = Bench::start(AgentConfig::with_nodes(2)).await;
    bench.delete_node("node-0").await;
    bench.create_pod(&pod("stranded")).await;
    let mut other = pod("other");
    other["spec"]["nodeName"] = json!("node-1");
    bench.create_pod(&other).await;
    // The agent takes pods up in the order in which they were created.
    bench.wait_for_pod("other", ready).await;
    let stranded = bench.get("/api/v1/namespaces/default/pods/stranded").await;
    assert!(!ready(&stranded));
    bench
        .post(
            "/api/v1/nodes",
            &json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": "node-0" } }),
        )
        .await;
    bench.wait_for_pod("stranded", ready).await;
    let node = bench.wait_for("/api/v1/nodes/node-0", ready).await;
    assert_eq!(node["status"]["capacity"]["pods"], "110");
    bench.stop().await;
}

#[tokio::test]
async fn a_second_agent_takes_over_what_the_first_left() {
    let mut bench = Bench::start(AgentConfig::with_nodes(1)).await;
    bench.create_pod(&pod("old")).await;
    let old = bench.wait_for_pod("old", ready).await;
    bench.stop_agent().await;
    bench.create_pod(&pod("new")).await;
    bench.start_agent(AgentConfig::with_nodes(1)).await;
    let new = bench.wait_for_pod("new", ready).await;
    assert_eq!(
        new["status"]["podIP"], "10.128.0.2",
        "addresses in use are not given again"
    );
    let same = bench.get("/api/v1/namespaces/default/pods/old").await;
    assert_eq!(
        same["metadata"]["resourceVersion"],
        old["metadata"]["resourceVersion"]
    );
    bench.delete("/api/v1/namespaces/default/pods/old").await;
    bench.wait_until_gone("/api/v1/namespaces/default/pods/old").await;
    bench.stop().await;
}

#[tokio::test]
async fn pods_of_a_node_that_is_gone_are_collected() {
    let bench = Bench::start(AgentConfig::with_nodes(1)).await;
    bench.create_pod(&pod("web")).await;
    bench.wait_for_pod("web", ready).await;
    let collector = bench.start_pod_gc(Duration::from_millis(50));
    bench.delete("/api/v1/nodes/node-0").await;
    bench.wait_until_gone("/api/v1/namespaces/default/pods/web").await;
    collector.stop().await;
    bench.stop().await;
}

#[tokio::test]
async fn nothing_is_lost_when_the_server_fails_every_third_request() {
    let config = AgentConfig {
        final_report: FinalReport::Always,
        ..AgentConfig::with_nodes(1)
    };
    let bench = Bench::start(config).await;
    bench.set_faults(FaultPolicy {
        seed: 7,
        rules: vec![FaultRule {
            kind: FaultKind::Unavailable,
            probability: 0.33,
            verbs: vec!["patch".to_owned(), "delete".to_owned()],
            resources: vec!["pods".to_owned(), "pods/status".to_owned()],
        }],
    });
    for index in 0..20 {
        bench.create_pod(&pod(&format!("web-{index}"))).await;
    }
    for index in 0..20 {
        bench.wait_for_pod(&format!("web-{index}"), ready).await;
    }
    bench.set_faults(FaultPolicy::default());
    bench.stop().await;
}

/// Figures for people; asserts only that it works at this size.
#[tokio::test(flavor = "multi_thread")]
async fn many_nodes_and_pods() {
    let (nodes, pods) = (500, 1000);
    let started = Instant::now();
    let bench = Bench::start(AgentConfig::with_nodes(nodes)).await;
    eprintln!("{nodes} nodes registered in {:?}", started.elapsed());
    let started = Instant::now();
    for index in 0..pods {
        let mut pod = pod(&format!("web-{index}"));
        pod["spec"]["nodeName"] = json!(format!("node-{}", index % nodes));
        bench.create_pod(&pod).await;
    }
    eprintln!("{pods} pods created in {:?}", started.elapsed());
    for index in 0..pods {
        bench.wait_for_pod(&format!("web-{index}"), ready).await;
    }
    eprintln!("{pods} pods ready after {:?}", started.elapsed());
    bench.stop().await;
}
