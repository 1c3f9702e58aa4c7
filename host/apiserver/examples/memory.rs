//! Measures what a rollout leaves in memory: pods that are created, bound, updated as a
//! node does, and deleted, each with its events: `memory [pods]`.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tower::Service;
use windlass_apiserver::{ApiService, ServerConfig, ServerHandle, start};

// The allocator of the binary, since how it gives memory back is part of the figure.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PODS: &str = "/api/v1/namespaces/default/pods";
const EVENTS: &str = "/api/v1/namespaces/default/events";
const REASONS: [&str; 5] = ["Scheduled", "Pulled", "Created", "Started", "Killing"];
/// Long enough for the server to have tidied up.
const REST: Duration = Duration::from_secs(3);

/// A server and a way to call it without a connection.
struct Calls {
    server: ServerHandle,
    service: ApiService,
    written: usize,
}

impl Calls {
    async fn send(&mut self, method: &str, path: &str, body: &Value) -> Result<()> {
        let kind = if method == "PATCH" {
            "application/strategic-merge-patch+json"
        } else {
            "application/json"
        };
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", kind)
            .header("authorization", format!("Bearer {}", self.server.token()))
            .body(Full::new(Bytes::from(body.to_string())))?;
        let response = self.service.call(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        ensure!(
            status.is_success(),
            "{status}: {}",
            String::from_utf8_lossy(&body)
        );
        self.written += 1;
        Ok(())
    }

    async fn run_pod(&mut self, index: usize) -> Result<()> {
        let name = format!("load-5f7d8c9b-{index:05}");
        self.send("POST", PODS, &pod(&name)).await?;
        let binding = json!({
            "apiVersion": "v1", "kind": "Binding", "metadata": {"name": name},
            "target": {"kind": "Node", "name": format!("node-{}", index % 100)},
        });
        let object = format!("{PODS}/{name}");
        self.send("POST", &format!("{object}/binding"), &binding).await?;
        for status in statuses(index) {
            self.send("PATCH", &format!("{object}/status"), &json!({"status": status}))
                .await?;
        }
        for reason in REASONS {
            self.send("POST", EVENTS, &event(&name, reason)).await?;
        }
        Ok(())
    }
}

fn pod(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "generateName": "load-5f7d8c9b-", "labels": {"app": "load", "pod-template-hash": "5f7d8c9b"}, "ownerReferences": [
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "load-5f7d8c9b", "uid": "7c3c1f9e-0000-4000-8000-000000000000", "controller": true, "blockOwnerDeletion": true},
        ]},
        "spec": {"containers": [{
            "name": "main", "image": "registry.example.com/team/service:1.2.3", "ports": [{"containerPort": 8080}],
            "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}},
            "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080}},
        }]},
    })
}

/// What a node reports of a pod, from its first sight of it to its end.
fn statuses(index: usize) -> Vec<Value> {
    let conditions = [
        "PodReadyToStartContainers",
        "Initialized",
        "ContainersReady",
        "Ready",
        "PodScheduled",
    ];
    (0..6)
        .map(|step| {
            let conditions = conditions.iter().enumerate().map(|(order, kind)| {
                let status = if order < step { "True" } else { "False" };
                json!({"type": kind, "status": status, "lastTransitionTime": "2030-01-01T00:00:00Z", "lastProbeTime": null})
            });
            let waiting = json!({"waiting": {"reason": "ContainerCreating"}});
            let running = json!({"running": {"startedAt": "2030-01-01T00:00:01Z"}});
            json!({
                "phase": if step < 2 { "Pending" } else { "Running" }, "hostIP": "10.0.0.1", "startTime": "2030-01-01T00:00:00Z",
                "podIP": format!("10.1.{}.{}", index / 250, index % 250), "conditions": conditions.collect::<Vec<_>>(),
                "containerStatuses": [{
                    "name": "main", "image": "registry.example.com/team/service:1.2.3", "imageID": "", "ready": step > 3,
                    "restartCount": 0, "started": step > 2, "state": if step < 2 { waiting } else { running },
                }],
            })
        })
        .collect()
}

fn event(pod: &str, reason: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": format!("{pod}.{}", reason.to_lowercase())},
        "involvedObject": {"apiVersion": "v1", "kind": "Pod", "name": pod, "namespace": "default", "uid": "7c3c1f9e-0000-4000-8000-000000000000"},
        "reason": reason, "message": format!("{reason} container main with image registry.example.com/team/service:1.2.3"),
        "firstTimestamp": "2030-01-01T00:00:00Z", "lastTimestamp": "2030-01-01T00:00:00Z", "count": 1, "type": "Normal",
        "source": {"component": "kubelet", "host": "node-1"},
    })
}

/// Resident memory in megabytes: now, and at most so far.
fn resident() -> Result<(f64, f64)> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let megabytes = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse::<f64>().ok()
    };
    let now = megabytes("VmRSS:").context("the kernel reports VmRSS")?;
    let peak = megabytes("VmHWM:").context("the kernel reports VmHWM")?;
    Ok((now / 1024.0, peak / 1024.0))
}

fn report(what: &str, started: Instant, calls: &Calls) -> Result<()> {
    let (now, peak) = resident()?;
    let each = started.elapsed().as_secs_f64() * 1e6 / calls.written.max(1) as f64;
    println!(
        "{what}: {now:.1} MB, at most {peak:.1} MB; {} writes, {each:.1} µs each",
        calls.written
    );
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    let count = std::env::args()
        .nth(1)
        .map_or(Ok(1000), |argument| argument.parse())?;
    let server = start(ServerConfig::default()).await?;
    let service = server.service();
    let mut calls = Calls {
        server,
        service,
        written: 0,
    };
    let started = Instant::now();
    report("empty", started, &calls)?;
    for index in 0..count {
        calls.run_pod(index).await?;
    }
    report("created", started, &calls)?;
    for index in 0..count {
        let path = format!("{PODS}/load-5f7d8c9b-{index:05}");
        calls
            .send("DELETE", &path, &json!({"gracePeriodSeconds": 30}))
            .await?;
        calls
            .send("DELETE", &path, &json!({"gracePeriodSeconds": 0}))
            .await?;
    }
    report("deleted", started, &calls)?;
    tokio::time::sleep(REST).await;
    report("at rest", started, &calls)?;
    calls.server.shutdown().await;
    Ok(())
}
