//! What the agent can be told: which nodes, how fast things go, how much is written.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

/// Shape of one simulated node.
#[derive(Clone, Debug)]
pub struct NodeTemplate {
    /// Name of the Node object.
    pub name: String,
    /// Quantity of CPU, such as `8`.
    pub cpu: String,
    /// Quantity of memory, such as `32Gi`.
    pub memory: String,
    /// How many pods it takes.
    pub pods: u32,
    /// Labels besides the usual ones; a zone is `topology.kubernetes.io/zone`.
    pub labels: BTreeMap<String, String>,
    /// Taints.
    pub taints: Vec<Taint>,
}

/// A taint of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taint {
    /// Key.
    pub key: String,
    /// Value; may be empty.
    pub value: String,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    pub effect: String,
}

impl NodeTemplate {
    /// A node of ordinary size: 32 CPUs, 128 GiB, 110 pods.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            cpu: "32".to_owned(),
            memory: "128Gi".to_owned(),
            pods: 110,
            labels: BTreeMap::new(),
            taints: Vec::new(),
        }
    }

    /// `<prefix>0`, `<prefix>1`, … of this shape, spread over so many zones (0 for none)
    /// named `zone-0`, `zone-1`, ….
    #[must_use]
    pub fn replicate(&self, prefix: &str, count: u32, zones: u32) -> Vec<Self> {
        let replica = |index: u32| {
            let mut node = Self {
                name: format!("{prefix}{index}"),
                ..self.clone()
            };
            if let Some(zone) = index.checked_rem(zones) {
                node.labels
                    .insert("topology.kubernetes.io/zone".to_owned(), format!("zone-{zone}"));
            }
            node
        };
        (0..count).map(replica).collect()
    }
}

/// How long the steps of a pod's life take. Steps that take no time are not reported
/// one by one: with the defaults a pod goes from Pending to Running in one write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latencies {
    /// From the binding to the first report.
    pub schedule_to_creating: Duration,
    /// From there until the sandbox and the images are there.
    pub creating_to_running: Duration,
    /// From SIGTERM to the end of a program.
    pub termination: Duration,
    /// How long a program runs that ends by itself without saying when.
    pub run_time: Duration,
}

/// Whether a pod's last status is written when the object is deleted right after.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FinalReport {
    /// Only when somebody can act on it: pods with finalizers, or with a restart policy
    /// other than `Always`. Spares a write per deleted pod.
    #[default]
    WhenItMatters,
    /// Always, as a kubelet does.
    Always,
}

/// How many Kubernetes events pods cause. Each is a write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EventDetail {
    /// None.
    Off,
    /// Warnings, and that a container started.
    #[default]
    Essential,
    /// All that a kubelet records.
    All,
}

/// Configuration of an agent.
#[derive(Clone, Debug)]
pub struct AgentConfig {
    /// The nodes.
    pub nodes: Vec<NodeTemplate>,
    /// How fast things go.
    pub latencies: Latencies,
    /// How much is said about pods that go.
    pub final_report: FinalReport,
    /// How many events are recorded.
    pub events: EventDetail,
    /// Time between two renewals of a node's lease. Unset: 10 s, and more from 200 nodes
    /// on, so that all nodes together renew 20 leases a second; a lease lasts four times
    /// as long. Set it to 10 s when a node lifecycle controller with the usual grace
    /// period of 50 s watches more nodes than that.
    pub lease_period: Option<Duration>,
    /// Time between two unchanged status reports of a node. Unset: 5 min, and more from
    /// 3,000 nodes on, so that all nodes together make 10 a second.
    pub status_period: Option<Duration>,
    /// First address given to pods; each node has a block of addresses from here on.
    pub pod_network: Ipv4Addr,
    /// Address of the first node; the others follow.
    pub node_network: Ipv4Addr,
    /// Port of the node agent's API, as the Node objects announce it; 0 for none.
    pub kubelet_port: u16,
    /// How many API writes may be in flight at once.
    pub max_writes_in_flight: usize,
}

impl AgentConfig {
    /// So many ordinary nodes, `node-0` and following.
    #[must_use]
    pub fn with_nodes(count: u32) -> Self {
        Self::with_templates(NodeTemplate::named("node").replicate("node-", count, 0))
    }

    /// These nodes.
    #[must_use]
    pub fn with_templates(nodes: Vec<NodeTemplate>) -> Self {
        Self {
            nodes,
            latencies: Latencies::default(),
            final_report: FinalReport::default(),
            events: EventDetail::default(),
            lease_period: None,
            status_period: None,
            pod_network: Ipv4Addr::new(10, 128, 0, 0),
            node_network: Ipv4Addr::new(172, 16, 0, 2),
            kubelet_port: 0,
            max_writes_in_flight: 64,
        }
    }
}
