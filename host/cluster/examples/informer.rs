//! Measures the path from watch frames to a subscriber, and what a cached pod costs.
//!
//! Prints one JSON line per figure. The subscriber and the informer are the real ones; the
//! server is a service in the same process, so that no socket is measured.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use http_body_util::{BodyExt, Full, StreamBody};
use parking_lot::Mutex;
use windlass_cluster::client::ApiClient;
use windlass_cluster::discovery::DiscoveryCache;
use windlass_cluster::reflector::ReflectorConfig;
use windlass_cluster::registry::InformerRegistry;
use windlass_cluster::subscription::Subscription;
use windlass_core::key::{ObjectKey, Resource, ResourceInfo};
use windlass_core::manifest::{EnqueueRule, EventKinds, View, WatchSpec, WatchTarget};
use windlass_core::seams::ObjectReader;

/// As in the host.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PODS: usize = 50_000;
const PAGE: usize = 500;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("full") => {
            let content = content(View::Full).await;
            report("cache/bytes_per_pod", content.bytes_per_pod, "bytes");
            report(
                "cache/read",
                read_time(&content.subscription).as_secs_f64() * 1e6,
                "us",
            );
        }
        Some("metadata") => {
            let content = content(View::Metadata).await;
            report("cache/bytes_per_pod_metadata", content.bytes_per_pod, "bytes");
        }
        Some(_) => eprintln!("usage: bench [full|metadata]"),
        None => {
            // Memory is measured in processes of their own, which start with none to spare and
            // give back at once what they no longer use, such as the server's pages.
            for part in ["full", "metadata"] {
                let program = std::env::current_exe().expect("the running program has a path");
                let status = std::process::Command::new(program)
                    .arg(part)
                    .env("MIMALLOC_PURGE_DELAY", "0")
                    .status();
                assert!(
                    status.is_ok_and(|status| status.success()),
                    "measuring {part} failed"
                );
            }
            report(
                "informer/frame_to_key",
                frame_to_key().await.as_secs_f64() * 1e6,
                "us",
            );
            report("client/request", request_time().await.as_secs_f64() * 1e6, "us");
            report("informer/frame_bytes", pod(4711, 4711).len() as f64, "bytes");
        }
    }
}

fn report(name: &str, value: f64, unit: &str) {
    println!("{{\"name\": \"{name}\", \"value\": {value:.2}, \"unit\": \"{unit}\"}}");
}

/// A pod as a ReplicaSet makes it and a kubelet reports it: about 5 KB of JSON, somewhat
/// less than half of them `managedFields`.
fn pod(number: usize, revision: usize) -> String {
    let set = number / 10;
    let app = format!("app-{}", set % 200);
    let hash = format!(
        "{:010x}",
        (set as u64).wrapping_mul(0x9E37_79B9_7F4A) & 0xff_ffff_ffff
    );
    let name = format!("{app}-{hash}-{:05x}", number.wrapping_mul(7919) & 0xf_ffff);
    let uid = |seed: u64| {
        let value = u128::from(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15)) << 64
            | u128::from(seed.wrapping_mul(0xD1B5_4A32_D192_ED03));
        let hex = format!("{value:032x}");
        format!(
            "{}-{}-{}-{}-{}",
            &hex[..8],
            &hex[8..12],
            &hex[12..16],
            &hex[16..20],
            &hex[20..]
        )
    };
    let time = format!(
        "2026-03-{:02}T{:02}:{:02}:{:02}Z",
        1 + number % 28,
        number % 24,
        number % 60,
        (number * 7) % 60
    );
    let (own, owner, volume) = (
        uid(number as u64 + 1),
        uid(set as u64 + 900_000),
        format!("kube-api-access-{:05x}", number & 0xf_ffff),
    );
    let address = format!(
        "10.{}.{}.{}",
        64 + number / 65_536,
        (number / 256) % 256,
        number % 256
    );
    let node = format!("node-{:04}", number % 5000);
    let condition = |kind: &str| {
        format!(
            "{{\"lastProbeTime\":null,\"lastTransitionTime\":\"{time}\",\"status\":\"True\",\"type\":\"{kind}\",\"observedGeneration\":1}}"
        )
    };
    let conditions = [
        "PodReadyToStartContainers",
        "Initialized",
        "Ready",
        "ContainersReady",
        "PodScheduled",
    ]
    .map(condition)
    .join(",");
    let image = format!("registry.example.com/shop/{app}:1.{}.0", set % 9);
    let digest = format!("{}{}", uid(set as u64 + 5), uid(set as u64 + 6)).replace('-', "");
    let container = format!("{}{}", uid(number as u64 + 7), uid(number as u64 + 8)).replace('-', "");
    let managed = managed_fields(&owner, &time);
    format!(
        concat!(
            "{{\"metadata\":{{\"name\":\"{name}\",\"generateName\":\"{app}-{hash}-\",\"namespace\":\"team-{team}\",\"uid\":\"{own}\",",
            "\"resourceVersion\":\"{revision}\",\"generation\":1,\"creationTimestamp\":\"{time}\",",
            "\"labels\":{{\"app\":\"{app}\",\"pod-template-hash\":\"{hash}\",\"tier\":\"backend\"}},",
            "\"ownerReferences\":[{{\"apiVersion\":\"apps/v1\",\"kind\":\"ReplicaSet\",\"name\":\"{app}-{hash}\",\"uid\":\"{owner}\",\"controller\":true,\"blockOwnerDeletion\":true}}],",
            "\"managedFields\":{managed}}},",
            "\"spec\":{{\"volumes\":[{{\"name\":\"{volume}\",\"projected\":{{\"sources\":[{{\"serviceAccountToken\":{{\"expirationSeconds\":3607,\"path\":\"token\"}}}},",
            "{{\"configMap\":{{\"name\":\"kube-root-ca.crt\",\"items\":[{{\"key\":\"ca.crt\",\"path\":\"ca.crt\"}}]}}}},",
            "{{\"downwardAPI\":{{\"items\":[{{\"path\":\"namespace\",\"fieldRef\":{{\"apiVersion\":\"v1\",\"fieldPath\":\"metadata.namespace\"}}}}]}}}}],\"defaultMode\":420}}}}],",
            "\"containers\":[{{\"name\":\"server\",\"image\":\"{image}\",\"ports\":[{{\"name\":\"http\",\"containerPort\":8080,\"protocol\":\"TCP\"}}],",
            "\"resources\":{{\"limits\":{{\"memory\":\"256Mi\"}},\"requests\":{{\"cpu\":\"100m\",\"memory\":\"256Mi\"}}}},",
            "\"volumeMounts\":[{{\"name\":\"{volume}\",\"readOnly\":true,\"mountPath\":\"/var/run/secrets/kubernetes.io/serviceaccount\"}}],",
            "\"readinessProbe\":{{\"httpGet\":{{\"path\":\"/readyz\",\"port\":8080,\"scheme\":\"HTTP\"}},\"timeoutSeconds\":1,\"periodSeconds\":10,\"successThreshold\":1,\"failureThreshold\":3}},",
            "\"terminationMessagePath\":\"/dev/termination-log\",\"terminationMessagePolicy\":\"File\",\"imagePullPolicy\":\"IfNotPresent\"}}],",
            "\"restartPolicy\":\"Always\",\"terminationGracePeriodSeconds\":30,\"dnsPolicy\":\"ClusterFirst\",\"serviceAccountName\":\"default\",\"serviceAccount\":\"default\",",
            "\"nodeName\":\"{node}\",\"securityContext\":{{}},\"schedulerName\":\"default-scheduler\",",
            "\"tolerations\":[{{\"key\":\"node.kubernetes.io/not-ready\",\"operator\":\"Exists\",\"effect\":\"NoExecute\",\"tolerationSeconds\":300}},",
            "{{\"key\":\"node.kubernetes.io/unreachable\",\"operator\":\"Exists\",\"effect\":\"NoExecute\",\"tolerationSeconds\":300}}],",
            "\"priority\":0,\"enableServiceLinks\":true,\"preemptionPolicy\":\"PreemptLowerPriority\"}},",
            "\"status\":{{\"phase\":\"Running\",\"observedGeneration\":1,\"conditions\":[{conditions}],\"hostIP\":\"192.168.{h1}.{h2}\",\"podIP\":\"{address}\",\"podIPs\":[{{\"ip\":\"{address}\"}}],\"startTime\":\"{time}\",",
            "\"containerStatuses\":[{{\"name\":\"server\",\"state\":{{\"running\":{{\"startedAt\":\"{time}\"}}}},\"lastState\":{{}},\"ready\":true,\"restartCount\":0,\"image\":\"{image}\",",
            "\"imageID\":\"registry.example.com/shop/{app}@sha256:{digest}\",\"containerID\":\"containerd://{container}\",\"started\":true}}],\"qosClass\":\"Burstable\"}}}}"
        ),
        name = name,
        app = app,
        hash = hash,
        team = set % 40,
        own = own,
        revision = revision,
        time = time,
        owner = owner,
        managed = managed,
        volume = volume,
        image = image,
        node = node,
        conditions = conditions,
        h1 = number % 20,
        h2 = number % 250,
        address = address,
        digest = digest,
        container = container,
    )
}

fn managed_fields(owner: &str, time: &str) -> String {
    let condition = |kind: &str| {
        format!(
            "\"k:{{\\\"type\\\":\\\"{kind}\\\"}}\":{{\".\":{{}},\"f:lastProbeTime\":{{}},\"f:lastTransitionTime\":{{}},\"f:observedGeneration\":{{}},\"f:status\":{{}},\"f:type\":{{}}}}"
        )
    };
    let conditions = [
        "PodReadyToStartContainers",
        "Initialized",
        "Ready",
        "ContainersReady",
    ]
    .map(condition)
    .join(",");
    format!(
        concat!(
            "[{{\"manager\":\"kube-controller-manager\",\"operation\":\"Update\",\"apiVersion\":\"v1\",\"time\":\"{time}\",\"fieldsType\":\"FieldsV1\",\"fieldsV1\":{{",
            "\"f:metadata\":{{\"f:generateName\":{{}},\"f:labels\":{{\".\":{{}},\"f:app\":{{}},\"f:pod-template-hash\":{{}},\"f:tier\":{{}}}},\"f:ownerReferences\":{{\".\":{{}},\"k:{{\\\"uid\\\":\\\"{owner}\\\"}}\":{{}}}}}},",
            "\"f:spec\":{{\"f:containers\":{{\"k:{{\\\"name\\\":\\\"server\\\"}}\":{{\".\":{{}},\"f:image\":{{}},\"f:imagePullPolicy\":{{}},\"f:name\":{{}},\"f:ports\":{{\".\":{{}},\"k:{{\\\"containerPort\\\":8080,\\\"protocol\\\":\\\"TCP\\\"}}\":{{\".\":{{}},\"f:containerPort\":{{}},\"f:name\":{{}},\"f:protocol\":{{}}}}}},",
            "\"f:readinessProbe\":{{\".\":{{}},\"f:failureThreshold\":{{}},\"f:httpGet\":{{\".\":{{}},\"f:path\":{{}},\"f:port\":{{}},\"f:scheme\":{{}}}},\"f:periodSeconds\":{{}},\"f:successThreshold\":{{}},\"f:timeoutSeconds\":{{}}}},\"f:resources\":{{\".\":{{}},\"f:limits\":{{\".\":{{}},\"f:memory\":{{}}}},\"f:requests\":{{\".\":{{}},\"f:cpu\":{{}},\"f:memory\":{{}}}}}},\"f:terminationMessagePath\":{{}},\"f:terminationMessagePolicy\":{{}}}}}},",
            "\"f:dnsPolicy\":{{}},\"f:enableServiceLinks\":{{}},\"f:restartPolicy\":{{}},\"f:schedulerName\":{{}},\"f:securityContext\":{{}},\"f:terminationGracePeriodSeconds\":{{}}}}}}}},",
            "{{\"manager\":\"kubelet\",\"operation\":\"Update\",\"apiVersion\":\"v1\",\"time\":\"{time}\",\"fieldsType\":\"FieldsV1\",\"fieldsV1\":{{\"f:status\":{{\"f:conditions\":{{{conditions}}},",
            "\"f:containerStatuses\":{{}},\"f:hostIP\":{{}},\"f:observedGeneration\":{{}},\"f:phase\":{{}},\"f:podIP\":{{}},\"f:podIPs\":{{\".\":{{}},\"k:{{\\\"ip\\\":\\\"10.64.0.1\\\"}}\":{{\".\":{{}},\"f:ip\":{{}}}}}},\"f:startTime\":{{}}}}}},\"subresource\":\"status\"}}]"
        ),
        time = time,
        owner = owner,
        conditions = conditions,
    )
}

/// The next chunks of the watch, once there is one.
type Frames = futures::channel::mpsc::UnboundedReceiver<Bytes>;

/// A client of a server that lists so many pods in pages and then streams the given frames.
fn client(pods: usize, frames: Frames) -> ApiClient {
    let frames = Arc::new(Mutex::new(Some(frames)));
    let service = tower::service_fn(move |request: http::Request<Full<Bytes>>| {
        let frames = Arc::clone(&frames);
        async move {
            let query = request.uri().query().unwrap_or_default().to_owned();
            let body = if query.contains("watch=true") {
                match frames.lock().take() {
                    Some(frames) => StreamBody::new(
                        frames.map(|chunk| Ok::<_, std::io::Error>(http_body::Frame::data(chunk))),
                    )
                    .boxed_unsync(),
                    None => StreamBody::new(futures::stream::pending()).boxed_unsync(),
                }
            } else {
                let start = query
                    .split('&')
                    .find_map(|pair| pair.strip_prefix("continue="))
                    .map_or(0, |token| token.parse().unwrap_or(0));
                Full::new(page(pods, start))
                    .map_err(|never: std::convert::Infallible| match never {})
                    .boxed_unsync()
            };
            Ok::<_, std::io::Error>(http::Response::new(body))
        }
    });
    ApiClient::from_service(service, "bench")
}

fn page(pods: usize, start: usize) -> Bytes {
    let end = (start + PAGE).min(pods);
    let items: Vec<String> = (start..end).map(|number| pod(number, number + 1)).collect();
    let token = if end < pods {
        end.to_string()
    } else {
        String::new()
    };
    let head = format!(
        "{{\"metadata\":{{\"resourceVersion\":\"{}\",\"continue\":\"{token}\"}},\"items\":[",
        pods + 1
    );
    format!("{head}{}]}}", items.join(",")).into()
}

fn subscribe(client: ApiClient, view: View) -> (InformerRegistry, Subscription) {
    let resource = Resource::new("", "v1", "pods");
    let info = ResourceInfo {
        resource: resource.clone(),
        kind: "Pod".into(),
        namespaced: true,
    };
    let registry = InformerRegistry::new(
        client,
        Arc::new(DiscoveryCache::fixed(vec![info])),
        ReflectorConfig::default(),
    );
    let spec = WatchSpec {
        target: WatchTarget::One(resource),
        label_selector: String::new(),
        view,
        enqueue: EnqueueRule::SelfKey,
        on: EventKinds::ALL,
        observe: false,
        old_bodies: false,
        indexes: Vec::new(),
    };
    let subscription = registry.subscribe(&[spec]).expect("the selector is empty");
    (registry, subscription)
}

struct Content {
    subscription: Subscription,
    _registry: InformerRegistry,
    _watch: futures::channel::mpsc::UnboundedSender<Bytes>,
    bytes_per_pod: f64,
}

async fn content(view: View) -> Content {
    let before = resident_bytes();
    let (watch, frames) = futures::channel::mpsc::unbounded();
    let (registry, mut subscription) = subscribe(client(PODS, frames), view);
    while !subscription.has_synced() {
        subscription.next().await;
    }
    // The last pages and batches go back to the system.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let bytes_per_pod = resident_bytes().saturating_sub(before) as f64 / PODS as f64;
    Content {
        subscription,
        _registry: registry,
        _watch: watch,
        bytes_per_pod,
    }
}

/// Memory of the process that is not backed by a file.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kilobytes = line
        .and_then(|line| line.split_whitespace().next())
        .and_then(|number| number.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

fn read_time(subscription: &Subscription) -> Duration {
    let lister = subscription.lister();
    let keys: Vec<ObjectKey> = lister
        .list(0, None, "")
        .expect("watch 0 exists")
        .iter()
        .step_by(5)
        .map(|object| object.key().clone())
        .collect();
    let start = Instant::now();
    for key in &keys {
        std::hint::black_box(lister.get(0, key).expect("watch 0 exists"));
    }
    start.elapsed() / u32::try_from(keys.len()).unwrap_or(u32::MAX)
}

/// From bytes on the wire to keys taken by the subscriber, per frame.
async fn frame_to_key() -> Duration {
    const ROUNDS: usize = 10;
    let pods = 5000;
    let (mut watch, frames) = futures::channel::mpsc::unbounded();
    let (_registry, mut subscription) = subscribe(client(pods, frames), View::Full);
    while !subscription.has_synced() {
        subscription.next().await;
    }
    let mut best = Duration::MAX;
    for round in 1..=ROUNDS {
        let text: Vec<String> = (0..pods)
            .map(|number| {
                format!(
                    "{{\"type\":\"MODIFIED\",\"object\":{}}}\n",
                    pod(number, round * 100_000 + number)
                )
            })
            .collect();
        // Chunks of the size that a socket gives.
        let text = Bytes::from(text.concat());
        let chunks: Vec<Bytes> = (0..text.len())
            .step_by(16 * 1024)
            .map(|at| text.slice(at..(at + 16 * 1024).min(text.len())))
            .collect();
        let start = Instant::now();
        for chunk in chunks {
            watch.send(chunk).await.expect("the informer reads");
        }
        let mut keys = Vec::with_capacity(pods);
        while keys.len() < pods {
            let batches = subscription.next().await;
            keys.extend(
                batches
                    .iter()
                    .flat_map(|batch| &batch.deltas)
                    .map(|delta| delta.object.key().clone()),
            );
        }
        best = best.min(start.elapsed() / u32::try_from(pods).unwrap_or(u32::MAX));
    }
    best
}

/// What the client itself adds to a request.
async fn request_time() -> Duration {
    const REQUESTS: u32 = 20_000;
    let service = tower::service_fn(|_: http::Request<Full<Bytes>>| async {
        Ok::<_, std::io::Error>(http::Response::new(Full::new(Bytes::from_static(b"{}"))))
    });
    let client = ApiClient::from_service(service, "bench");
    let start = Instant::now();
    for _ in 0..REQUESTS {
        std::hint::black_box(
            client
                .get("/api/v1/namespaces/team-1/pods/web", "application/json")
                .await
                .is_ok(),
        );
    }
    start.elapsed() / REQUESTS
}
