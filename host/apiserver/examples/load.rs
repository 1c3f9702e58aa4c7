//! Measures the server through loopback HTTP: `load [pods] [connections] [watchers]`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use windlass_apiserver::{Scheme, ServerConfig, ServerHandle, start};

const PODS: &str = "/api/v1/namespaces/default/pods";

/// How to reach the server.
#[derive(Clone)]
struct Target {
    address: String,
    token: String,
}

impl Target {
    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>> {
        let stream = TcpStream::connect(&self.address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }

    fn request(&self, method: &str, path: &str, body: String) -> Result<http::Request<Full<Bytes>>> {
        let kind = if method == "PATCH" {
            "application/strategic-merge-patch+json"
        } else {
            "application/json"
        };
        let builder = http::Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost")
            .header("content-type", kind);
        Ok(builder
            .header("authorization", format!("Bearer {}", self.token))
            .body(Full::new(body.into()))?)
    }
}

fn pod(index: usize) -> String {
    let container = json!({
        "name": "main", "image": "registry.example.com/team/service:1.2.3", "ports": [{"containerPort": 8080}],
        "env": [{"name": "A", "value": "b"}, {"name": "C", "value": "d"}],
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": "200m", "memory": "256Mi"}},
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080}},
        "volumeMounts": [{"name": "config", "mountPath": "/etc/config"}],
    });
    let object = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": format!("pod-{index}"), "labels": {"app": "load", "pod-template-hash": "5f7d8c9b"}, "ownerReferences": [
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "load-5f7d8c9b", "uid": "7c3c1f9e-0000-4000-8000-000000000000", "controller": true},
        ]},
        "spec": {"containers": [container], "volumes": [{"name": "config", "configMap": {"name": "config"}}]},
    });
    object.to_string()
}

fn binding(index: usize) -> String {
    let name = format!("pod-{index}");
    let node = format!("node-{}", index % 1000);
    json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": {"kind": "Node", "name": node}}).to_string()
}

/// Sends `count` requests over several connections and prints the rate.
async fn run(
    what: &str,
    target: &Target,
    count: usize,
    connections: usize,
    make: fn(usize) -> (&'static str, String, String),
) -> Result<()> {
    let next = Arc::new(AtomicUsize::new(0));
    let started = Instant::now();
    let workers = (0..connections).map(|_| {
        let (target, next) = (target.clone(), Arc::clone(&next));
        tokio::spawn(async move {
            let mut sender = target.connect().await?;
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= count {
                    return Ok(());
                }
                let (method, path, body) = make(index);
                sender.ready().await?;
                let response = sender.send_request(target.request(method, &path, body)?).await?;
                let status = response.status();
                let body = response.into_body().collect().await?.to_bytes();
                ensure!(
                    status.is_success(),
                    "{status}: {}",
                    String::from_utf8_lossy(&body)
                );
            }
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.await.context("a worker panicked")??;
    }
    let elapsed = started.elapsed();
    let rate = count as f64 / elapsed.as_secs_f64();
    println!(
        "{what}: {count} in {elapsed:.2?}, {rate:.0}/s, {:.1} µs each",
        elapsed.as_secs_f64() * 1e6 / count as f64
    );
    Ok(())
}

/// Counts the bytes and frames of a watch until the server ends it.
async fn watch(target: Target, path: String, frames: Arc<AtomicUsize>) -> Result<()> {
    let mut sender = target.connect().await?;
    let mut body = sender
        .send_request(target.request("GET", &path, String::new())?)
        .await?
        .into_body();
    while let Some(frame) = body.frame().await {
        if let Some(data) = frame?.data_ref() {
            frames.fetch_add(
                data.iter().filter(|byte| **byte == b'\n').count(),
                Ordering::Relaxed,
            );
        }
    }
    Ok(())
}

async fn list(target: &Target, path: &str) -> Result<()> {
    let mut sender = target.connect().await?;
    let started = Instant::now();
    let body = sender
        .send_request(target.request("GET", path, String::new())?)
        .await?
        .into_body()
        .collect()
        .await?;
    let elapsed = started.elapsed();
    let body = body.to_bytes();
    let value: Value = serde_json::from_slice(&body)?;
    let count = value["items"].as_array().map_or(0, Vec::len);
    println!(
        "list {path}: {count} items, {} bytes in {elapsed:.2?}",
        body.len()
    );
    Ok(())
}

/// Processor time of this process so far.
fn cpu_time() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = text.rsplit(')').next().unwrap_or_default();
    let field = |index: usize| {
        after
            .split_whitespace()
            .nth(index)
            .and_then(|text| text.parse::<u64>().ok())
            .unwrap_or_default()
    };
    Duration::from_millis((field(11) + field(12)) * 10)
}

/// Calls the handler chain without a connection.
async fn in_process(
    what: &str,
    server: &ServerHandle,
    target: &Target,
    count: usize,
    make: fn(usize) -> (&'static str, String, String),
) -> Result<()> {
    let service = server.service();
    let mut requests = Vec::with_capacity(count);
    for index in 0..count {
        let (method, path, body) = make(1_000_000 + index);
        requests.push(target.request(method, &path, body)?);
    }
    let (started, before) = (Instant::now(), cpu_time());
    for request in requests {
        let response = tower::Service::call(&mut service.clone(), request).await?;
        ensure!(response.status().is_success());
    }
    let micros = |time: Duration| time.as_secs_f64() * 1e6 / count as f64;
    println!(
        "{what} in-process: {:.1} µs each, {:.1} µs of CPU",
        micros(started.elapsed()),
        micros(cpu_time() - before)
    );
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<usize>());
    let count = arguments.next().transpose()?.unwrap_or(10_000);
    let connections = arguments.next().transpose()?.unwrap_or(16);
    let watchers = arguments.next().transpose()?.unwrap_or(0);
    let server = start(ServerConfig::default()).await?;
    let url = server.url(Scheme::Http).context("the server listens for HTTP")?;
    let address = url.trim_start_matches("http://").to_owned();
    let target = Target {
        address,
        token: server.token().to_owned(),
    };

    in_process("creates", &server, &target, count, |index| {
        ("POST", PODS.to_owned(), pod(index))
    })
    .await?;
    let bind = |index| ("POST", format!("{PODS}/pod-{index}/binding"), binding(index));
    in_process("binds", &server, &target, count, bind).await?;
    in_process("status patches", &server, &target, count, |index| {
        (
            "PATCH",
            format!("{PODS}/pod-{index}/status"),
            r#"{"status":{"phase":"Running","podIP":"10.0.0.1"}}"#.to_owned(),
        )
    })
    .await?;
    run("deletes", &target, count, connections, |index| {
        (
            "DELETE",
            format!("{PODS}/pod-{}", 1_000_000 + index),
            r#"{"gracePeriodSeconds":0}"#.to_owned(),
        )
    })
    .await?;
    let frames = Arc::new(AtomicUsize::new(0));
    for _ in 0..watchers {
        tokio::spawn(watch(
            target.clone(),
            format!("{PODS}?watch=true"),
            Arc::clone(&frames),
        ));
    }
    for node in 0..1000 {
        let path = format!("/api/v1/pods?watch=true&fieldSelector=spec.nodeName%3Dnode-{node}");
        if watchers > 0 {
            tokio::spawn(watch(target.clone(), path, Arc::clone(&frames)));
        }
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let before = cpu_time();
    run("creates", &target, count, connections, |index| {
        ("POST", PODS.to_owned(), pod(index))
    })
    .await?;
    println!(
        "  CPU of client and server: {:.1} µs each",
        (cpu_time() - before).as_secs_f64() * 1e6 / count as f64
    );
    let before = cpu_time();
    run("binds", &target, count, connections, |index| {
        ("POST", format!("{PODS}/pod-{index}/binding"), binding(index))
    })
    .await?;
    println!(
        "  CPU of client and server: {:.1} µs each",
        (cpu_time() - before).as_secs_f64() * 1e6 / count as f64
    );
    println!(
        "frames received by {watchers} watchers of all pods and 1000 of one node: {}",
        frames.load(Ordering::Relaxed)
    );
    run("gets", &target, count, connections, |index| {
        ("GET", format!("{PODS}/pod-{index}"), String::new())
    })
    .await?;
    list(&target, "/api/v1/pods").await?;
    list(&target, "/api/v1/pods?limit=500").await?;
    list(&target, "/api/v1/pods?fieldSelector=spec.nodeName%3Dnode-7").await?;
    server.shutdown().await;
    Ok(())
}
