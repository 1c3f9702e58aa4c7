//! `scheduler/5000nodes_10000pods`: pods a second from created to bound, as
//! SchedulingBasic/5000Nodes_10000Pods of `test/integration/scheduler_perf` counts them:
//! nodes without node agents, pods created as fast as the server takes them while the
//! scheduler is at work. From the first create to the last binding, everything on one machine.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Instant;

use anyhow::{Context, Result};
use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use serde_json::{Value, json};
use windlass_cluster::client::ApiClient;
use windlass_cluster::connect::ConnectOptions;
use windlass_tests::cluster::Cluster;
use windlass_tests::figures;

const NODES: usize = 5000;
const PODS: usize = 10_000;
/// Creates in flight.
const CREATORS: usize = 32;

const CONFIGURATION: &str = "\
apiVersion: windlass.dev/v1alpha1
kind: HostConfiguration
modules:
- {name: scheduler, source: {stock: scheduler}}
";

#[tokio::main]
async fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("host.yaml");
    std::fs::write(&config, CONFIGURATION)?;
    let http = free_address()?;
    let arguments = [
        "--nodes",
        "0",
        "--config",
        &*config.to_string_lossy(),
        "--listen-http",
        &http.to_string(),
    ]
    .map(str::to_owned);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let cluster = Cluster::up(&arguments).await?;
    let client = plain_client(&cluster, http).await?;

    create_all(&client, "/api/v1/nodes", (0..NODES).map(node)).await?;
    let before = figures::cpu_time(cluster.process.id())?;
    let started = Instant::now();
    create_all(&client, "/api/v1/namespaces/default/pods", (0..PODS).map(pod)).await?;
    let created = started.elapsed();
    wait_bound(&client).await?;
    let bound = started.elapsed();
    let cpu = figures::cpu_time(cluster.process.id())? - before;
    eprintln!("{PODS} pods created in {created:?}, bound in {bound:?}, {cpu:?} of CPU in the process");
    figures::print(
        "scheduler/5000nodes_10000pods",
        PODS as f64 / bound.as_secs_f64(),
        "pods/s",
    );
    Ok(())
}

/// A free port of loopback: free now, and taken by nobody else on this machine a moment later.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// A client over plain HTTP with the kubeconfig's token: the benchmark's own client must
/// not take more of the machine than what it measures.
async fn plain_client(cluster: &Cluster, http: SocketAddr) -> Result<ApiClient> {
    let kubeconfig = kube::config::Kubeconfig::read_from(cluster.kubeconfig())?;
    let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &Default::default()).await?;
    config.cluster_url = format!("http://{http}").parse()?;
    Ok(ApiClient::from_config(&config, &ConnectOptions::default())?)
}

async fn create_all(client: &ApiClient, path: &str, objects: impl Iterator<Item = Value>) -> Result<()> {
    stream::iter(objects.map(Ok))
        .try_for_each_concurrent(CREATORS, |object| async move {
            let request = http::Request::post(path).header("content-type", "application/json");
            client
                .request(request.body(Bytes::from(object.to_string()))?)
                .await?;
            Ok(())
        })
        .await
}

/// Counts bindings on a watch from before the first pod.
async fn wait_bound(client: &ApiClient) -> Result<()> {
    let path = "/api/v1/pods?watch=true&resourceVersion=0&fieldSelector=spec.nodeName!=";
    let mut frames = client.stream(path, "application/json").await?;
    let (mut bound, mut unread) = (0, Vec::new());
    while bound < PODS {
        unread.extend_from_slice(&frames.next().await.context("the watch ended")??);
        let Some(end) = unread.iter().rposition(|byte| *byte == b'\n') else {
            continue;
        };
        // A pod enters the selection once, when it is bound: one ADDED frame each.
        bound += unread[..end]
            .split(|byte| *byte == b'\n')
            .filter(|line| line.starts_with(b"{\"type\":\"ADDED\""))
            .count();
        unread.drain(..=end);
    }
    Ok(())
}

fn node(number: usize) -> Value {
    let name = format!("node-{number}");
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, "topology.kubernetes.io/zone": format!("zone-{}", number % 3)}},
        "status": {
            "capacity": {"cpu": "4", "memory": "32Gi", "pods": "110"},
            "allocatable": {"cpu": "4", "memory": "32Gi", "pods": "110"},
            "conditions": [{"type": "Ready", "status": "True"}]
        }
    })
}

fn pod(number: usize) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": format!("pod-{number}"), "labels": {"app": "bench"}},
        "spec": {"containers": [{
            "name": "pause", "image": "registry.k8s.io/pause:3.10",
            "resources": {"requests": {"cpu": "100m", "memory": "500Mi"}, "limits": {"cpu": "100m", "memory": "500Mi"}}
        }]}
    })
}
