//! Decisions per second over 5,000 nodes, by kind of pod, without host or network:
//! `cargo run --release -p scheduler --example throughput [nodes] [pods]`.
//!
//! Per pod it measures what the guest does in a cluster: read the new pod, decide, read the confirmation.

use scheduler::{Config, Decision, PodKey, Resource, Scheduler};
use std::time::{Duration, Instant};

/// One kind of pod.
struct Workload {
    name: &'static str,
    /// Goes into `metadata` of the pod with this number.
    metadata: fn(usize) -> String,
    /// Goes into `spec`.
    spec: fn(usize) -> String,
    requests: fn(usize) -> String,
}

fn nothing(_: usize) -> String {
    String::new()
}

fn small(_: usize) -> String {
    r#"{"cpu":"100m","memory":"200Mi"}"#.to_owned()
}

const OWNED: &str = r#""ownerReferences":[{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"web","uid":"u","controller":true}],"#;

const WORKLOADS: [Workload; 11] = [
    Workload {
        name: "plain",
        metadata: nothing,
        spec: nothing,
        requests: small,
    },
    Workload {
        name: "of a replica set (default spreading)",
        metadata: |_| OWNED.to_owned(),
        spec: nothing,
        requests: small,
    },
    Workload {
        name: "of 100 replica sets in turn",
        metadata: |n| OWNED.replace("web", &format!("web-{}", n % 100)),
        spec: nothing,
        requests: small,
    },
    Workload {
        name: "node affinity and tolerations",
        metadata: nothing,
        spec: |_| {
            r#""tolerations":[{"key":"k","operator":"Exists"}],"affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":
            {"nodeSelectorTerms":[{"matchExpressions":[{"key":"topology.kubernetes.io/zone","operator":"In","values":["zone-0","zone-1"]}]}]}}},"#
                .to_owned()
        },
        requests: small,
    },
    Workload {
        name: "spread over zones (DoNotSchedule)",
        metadata: nothing,
        spec: |_| {
            r#""topologySpreadConstraints":[{"maxSkew":1,"topologyKey":"topology.kubernetes.io/zone","whenUnsatisfiable":"DoNotSchedule",
            "labelSelector":{"matchLabels":{"app":"web"}}}],"#
                .to_owned()
        },
        requests: small,
    },
    Workload {
        name: "preferred anti-affinity by host",
        metadata: nothing,
        spec: |_| {
            r#""affinity":{"podAntiAffinity":{"preferredDuringSchedulingIgnoredDuringExecution":[{"weight":1,"podAffinityTerm":
            {"topologyKey":"kubernetes.io/hostname","labelSelector":{"matchLabels":{"app":"web"}}}}]}},"#
                .to_owned()
        },
        requests: small,
    },
    Workload {
        name: "required affinity by zone",
        metadata: nothing,
        spec: |_| {
            r#""affinity":{"podAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":[
            {"topologyKey":"topology.kubernetes.io/zone","labelSelector":{"matchLabels":{"app":"web"}}}]}},"#
                .to_owned()
        },
        requests: small,
    },
    Workload {
        name: "all different",
        metadata: nothing,
        spec: nothing,
        requests: |n| format!(r#"{{"cpu":"{}m","memory":"{}Ki"}}"#, 50 + n % 97, 1000 + n),
    },
    Workload {
        name: "all different, of a replica set",
        metadata: |_| OWNED.to_owned(),
        spec: nothing,
        requests: |n| format!(r#"{{"cpu":"{}m","memory":"{}Ki"}}"#, 50 + n % 97, 1000 + n),
    },
    Workload {
        name: "of a daemon set (named node)",
        metadata: nothing,
        spec: |n| {
            format!(
                r#""affinity":{{"nodeAffinity":{{"requiredDuringSchedulingIgnoredDuringExecution":
            {{"nodeSelectorTerms":[{{"matchFields":[{{"key":"metadata.name","operator":"In","values":["node-{}"]}}]}}]}}}}}},"#,
                n % 5000
            )
        },
        requests: small,
    },
    Workload {
        name: "that fit nowhere",
        metadata: nothing,
        spec: nothing,
        requests: |_| r#"{"cpu":"999"}"#.to_owned(),
    },
];

fn main() {
    let mut numbers = std::env::args()
        .skip(1)
        .filter_map(|argument| argument.parse().ok());
    let nodes = numbers.next().unwrap_or(5_000);
    let pods = numbers.next().unwrap_or(10_000);
    println!("{nodes} nodes, {pods} pods; microseconds per pod");
    println!(
        "{:<40} {:>8} {:>8} {:>8} {:>8}",
        "pods", "read", "decide", "confirm", "total"
    );
    for workload in &WORKLOADS {
        let [read, decide, confirm] = run(workload, nodes, pods).map(|time| micros(time, pods));
        let total = read + decide + confirm;
        println!(
            "{:<40} {read:>8.2} {decide:>8.2} {confirm:>8.2} {total:>8.2}",
            workload.name
        );
    }
}

fn micros(time: Duration, pods: usize) -> f64 {
    time.as_secs_f64() * 1e6 / pods as f64
}

fn run(workload: &Workload, nodes: usize, pods: usize) -> [Duration; 3] {
    let mut scheduler = cluster(nodes);
    let mut times = [Duration::ZERO; 3];
    for number in 0..pods {
        let key = PodKey::new("default", &format!("web-{number}"));
        let body = pod(workload, number, None);
        let start = Instant::now();
        upsert(&mut scheduler, Resource::Pods, &key, &body);
        times[0] += start.elapsed();
        scheduler.take_items();
        let start = Instant::now();
        let decision = scheduler.schedule(&key, 0);
        times[1] += start.elapsed();
        if let Decision::Bind(assignment) = decision {
            let body = pod(workload, number, Some(&assignment.node));
            let start = Instant::now();
            upsert(&mut scheduler, Resource::Pods, &key, &body);
            times[2] += start.elapsed();
        }
    }
    times
}

fn upsert(scheduler: &mut Scheduler, resource: Resource, key: &PodKey, body: &str) {
    if let Err(error) = scheduler.upsert(resource, key, body.as_bytes(), false, 0) {
        eprintln!("{error}");
    }
}

fn cluster(nodes: usize) -> Scheduler {
    let mut scheduler = Scheduler::new(Config::default());
    for number in 0..nodes {
        let name = format!("node-{number}");
        let body = format!(
            r#"{{"metadata":{{"name":"{name}","labels":{{"kubernetes.io/hostname":"{name}","kubernetes.io/os":"linux",
            "topology.kubernetes.io/zone":"zone-{}"}}}},"spec":{{}},
            "status":{{"allocatable":{{"cpu":"4","memory":"32Gi","pods":"110","ephemeral-storage":"100Gi"}}}}}}"#,
            number % 3
        );
        upsert(&mut scheduler, Resource::Nodes, &PodKey::new("", &name), &body);
    }
    let sets = std::iter::once("web".to_owned()).chain((0..100).map(|number| format!("web-{number}")));
    for name in sets {
        let body = format!(r#"{{"spec":{{"selector":{{"matchLabels":{{"app":"web","set":"{name}"}}}}}}}}"#);
        upsert(
            &mut scheduler,
            Resource::ReplicaSets,
            &PodKey::new("default", &name),
            &body,
        );
    }
    scheduler
}

/// About what the API server makes of a small pod.
fn pod(workload: &Workload, number: usize, node: Option<&str>) -> String {
    let owned = (workload.metadata)(number);
    let set = owned
        .split("\"name\":\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next())
        .unwrap_or("none")
        .to_owned();
    let node = node
        .map(|name| format!(r#""nodeName":"{name}","#))
        .unwrap_or_default();
    format!(
        r#"{{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"web-{number}","namespace":"default","uid":"0f4c6d1e-7f0e-4b62-9b0f-{number:012}",
        "resourceVersion":"{number}","generation":1,"creationTimestamp":"2026-01-01T00:00:00Z","generateName":"web-",{owned}
        "labels":{{"app":"web","set":"{set}","pod-template-hash":"6d4cf56db6"}}}},
        "spec":{{{node}{spec}"volumes":[{{"name":"kube-api-access-x","projected":{{"sources":[{{"serviceAccountToken":{{"expirationSeconds":3607,"path":"token"}}}}],"defaultMode":420}}}}],
        "containers":[{{"name":"web","image":"registry.k8s.io/pause:3.10","resources":{{"requests":{requests}}},
        "volumeMounts":[{{"name":"kube-api-access-x","readOnly":true,"mountPath":"/var/run/secrets/kubernetes.io/serviceaccount"}}],
        "terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File","imagePullPolicy":"IfNotPresent"}}],
        "restartPolicy":"Always","terminationGracePeriodSeconds":30,"dnsPolicy":"ClusterFirst","serviceAccountName":"default","serviceAccount":"default",
        "securityContext":{{}},"schedulerName":"default-scheduler","priority":0,"enableServiceLinks":true,"preemptionPolicy":"PreemptLowerPriority"}},
        "status":{{"phase":"Pending","qosClass":"Burstable"}}}}"#,
        spec = (workload.spec)(number),
        requests = (workload.requests)(number),
    )
}
