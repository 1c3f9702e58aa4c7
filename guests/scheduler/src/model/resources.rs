//! Amounts of resources, and what a pod requests.

use serde::Deserialize;

use super::json::{Pairs, Str, nullable};
use crate::quantity::Quantity;

/// What a container counts for in scores when it requests no CPU.
const DEFAULT_MILLI_CPU: i64 = 100;
/// What a container counts for in scores when it requests no memory.
const DEFAULT_MEMORY: i64 = 200 << 20;

/// Amounts of every resource. CPU in thousandths, everything else in whole units.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Resources {
    /// CPU in thousandths of a core.
    pub(crate) cpu: i64,
    /// Memory in bytes.
    pub(crate) memory: i64,
    /// Ephemeral storage in bytes.
    pub(crate) ephemeral_storage: i64,
    /// Everything else, sorted by name.
    pub(crate) scalars: Vec<(Box<str>, i64)>,
}

impl Resources {
    /// The amounts in a resource list; `pods` is the caller's business.
    pub(crate) fn parse(list: &Pairs<'_, Quantity>) -> Self {
        let mut resources = Self::default();
        for (name, quantity) in &list.0 {
            match &**name {
                "pods" => {}
                "cpu" => resources.cpu = quantity.milli(),
                other => *resources.entry(other) = quantity.units(),
            }
        }
        resources
    }

    /// The amount of a scalar resource.
    pub(crate) fn scalar(&self, name: &str) -> i64 {
        self.scalars
            .iter()
            .find(|(candidate, _)| candidate.as_ref() == name)
            .map_or(0, |(_, amount)| *amount)
    }

    /// Adds every amount.
    pub(crate) fn add(&mut self, other: &Self) {
        self.merge(other, i64::saturating_add);
    }

    /// Takes every amount off.
    pub(crate) fn subtract(&mut self, other: &Self) {
        self.merge(other, i64::saturating_sub);
    }

    /// Raises every amount to at least the other's.
    pub(crate) fn raise_to(&mut self, other: &Self) {
        self.merge(other, i64::max);
    }

    /// Whether any amount here is above the other's.
    pub(crate) fn exceeds_any(&self, other: &Self) -> bool {
        self.cpu > other.cpu
            || self.memory > other.memory
            || self.ephemeral_storage > other.ephemeral_storage
            || self
                .scalars
                .iter()
                .any(|(name, amount)| *amount > other.scalar(name))
    }

    fn merge(&mut self, other: &Self, combine: impl Fn(i64, i64) -> i64) {
        self.cpu = combine(self.cpu, other.cpu);
        self.memory = combine(self.memory, other.memory);
        self.ephemeral_storage = combine(self.ephemeral_storage, other.ephemeral_storage);
        for (name, amount) in &other.scalars {
            let mine = self.entry(name);
            *mine = combine(*mine, *amount);
        }
    }

    /// The amount of a resource other than CPU, to be changed.
    fn entry(&mut self, name: &str) -> &mut i64 {
        match name {
            "memory" => return &mut self.memory,
            "ephemeral-storage" => return &mut self.ephemeral_storage,
            _ => {}
        }
        let at = match self
            .scalars
            .binary_search_by(|(candidate, _)| candidate.as_ref().cmp(name))
        {
            Ok(at) => at,
            Err(at) => {
                self.scalars.insert(at, (name.into(), 0));
                at
            }
        };
        &mut self.scalars[at].1
    }
}

/// `resources` of a container or a pod.
#[derive(Debug, Default, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub(crate) struct ResourcesJson<'a> {
    #[serde(default)]
    requests: Pairs<'a, Quantity>,
}

/// The part of a container that decides its requests.
pub(crate) struct ContainerRequests<'a> {
    /// Its `resources`.
    pub(crate) resources: Option<&'a ResourcesJson<'a>>,
    /// What the node agent has granted it, when that is known.
    pub(crate) granted: Option<Resources>,
    /// An init container that keeps running.
    pub(crate) is_sidecar: bool,
}

/// What a pod requests, and what it counts for in scores.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct PodRequests {
    /// The requests.
    pub(crate) real: Resources,
    /// CPU with containers without a request counted at a default.
    pub(crate) nonzero_cpu: i64,
    /// Memory, likewise.
    pub(crate) nonzero_memory: i64,
}

/// Sums up a pod: `max(Σ containers + Σ sidecars, max over init containers) + overhead`, where pod-level
/// requests replace the sum for CPU, memory and huge pages (`component-helpers/resource`).
pub(crate) fn pod_requests(
    init: &[ContainerRequests<'_>],
    containers: &[ContainerRequests<'_>],
    pod_level: Option<&ResourcesJson<'_>>,
    overhead: &Pairs<'_, Quantity>,
) -> PodRequests {
    let mut real = total(init, containers, container_requests);
    let mut nonzero = total(init, containers, |container| {
        let mut requests = container_requests(container);
        let has = |name| {
            container
                .resources
                .is_some_and(|r| r.requests.get(name).is_some())
        };
        if !has("cpu") {
            requests.cpu = DEFAULT_MILLI_CPU;
        }
        if !has("memory") {
            requests.memory = DEFAULT_MEMORY;
        }
        requests
    });
    if let Some(pod_level) = pod_level {
        replace(&mut real, pod_level);
        replace(&mut nonzero, pod_level);
    }
    let overhead = Resources::parse(overhead);
    real.add(&overhead);
    nonzero.add(&overhead);
    real.scalars.retain(|(_, amount)| *amount != 0);
    PodRequests {
        real,
        nonzero_cpu: nonzero.cpu,
        nonzero_memory: nonzero.memory,
    }
}

fn container_requests(container: &ContainerRequests<'_>) -> Resources {
    let mut requests = container
        .resources
        .map(|r| Resources::parse(&r.requests))
        .unwrap_or_default();
    if let Some(granted) = &container.granted {
        requests.raise_to(granted);
    }
    requests
}

fn total(
    init: &[ContainerRequests<'_>],
    containers: &[ContainerRequests<'_>],
    requests: impl Fn(&ContainerRequests<'_>) -> Resources,
) -> Resources {
    let mut sum = Resources::default();
    for container in containers {
        sum.add(&requests(container));
    }
    let mut sidecars = Resources::default();
    let mut peak = Resources::default();
    for container in init {
        let mut running = requests(container);
        if container.is_sidecar {
            sidecars.add(&running);
            peak.raise_to(&sidecars);
        } else {
            running.add(&sidecars);
            peak.raise_to(&running);
        }
    }
    sum.add(&sidecars);
    sum.raise_to(&peak);
    sum
}

fn replace(sum: &mut Resources, pod_level: &ResourcesJson<'_>) {
    for (name, quantity) in &pod_level.requests.0 {
        match &**name {
            "cpu" => sum.cpu = quantity.milli(),
            name if name == "memory" || name.starts_with("hugepages-") => *sum.entry(name) = quantity.units(),
            _ => {}
        }
    }
}

/// What the node agent reports of a container's resources.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
pub(crate) struct ContainerStatusJson<'a> {
    pub(crate) name: Str<'a>,
    #[serde(default)]
    allocated_resources: Pairs<'a, Quantity>,
    #[serde(default, deserialize_with = "nullable")]
    resources: Option<ResourcesJson<'a>>,
}

impl ContainerStatusJson<'_> {
    /// The most that the node agent has set aside or is still using.
    pub(crate) fn granted(&self) -> Resources {
        let mut granted = Resources::parse(&self.allocated_resources);
        if let Some(resources) = &self.resources {
            granted.raise_to(&Resources::parse(&resources.requests));
        }
        granted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests(init: &[(&str, bool)], containers: &[&str], pod_level: &str, overhead: &str) -> PodRequests {
        let init: Vec<(ResourcesJson<'_>, bool)> = init
            .iter()
            .map(|(r, s)| (serde_json::from_str(r).unwrap(), *s))
            .collect();
        let containers: Vec<ResourcesJson<'_>> = containers
            .iter()
            .map(|r| serde_json::from_str(r).unwrap())
            .collect();
        let init: Vec<_> = init
            .iter()
            .map(|(r, s)| ContainerRequests {
                resources: Some(r),
                granted: None,
                is_sidecar: *s,
            })
            .collect();
        let containers: Vec<_> = containers
            .iter()
            .map(|r| ContainerRequests {
                resources: Some(r),
                granted: None,
                is_sidecar: false,
            })
            .collect();
        let pod_level: Option<ResourcesJson<'_>> = serde_json::from_str(pod_level).unwrap();
        pod_requests(
            &init,
            &containers,
            pod_level.as_ref(),
            &serde_json::from_str(overhead).unwrap(),
        )
    }

    #[test]
    fn init_containers_count_only_beyond_what_runs_later() {
        let sum = requests(
            &[
                (r#"{"requests":{"cpu":"2"}}"#, false),
                (r#"{"requests":{"cpu":"250m"}}"#, true),
            ],
            &[r#"{"requests":{"cpu":"500m","memory":"1Gi"}}"#, r#"{}"#],
            "null",
            r#"{"cpu":"10m"}"#,
        );
        assert_eq!(sum.real.cpu, 2010);
        assert_eq!(sum.real.memory, 1 << 30);
        assert_eq!(sum.nonzero_cpu, 2010);
        assert_eq!(sum.nonzero_memory, (1 << 30) + 2 * DEFAULT_MEMORY);
    }

    #[test]
    fn an_init_container_runs_beside_the_sidecars_before_it() {
        let sum = requests(
            &[
                (r#"{"requests":{"cpu":"1"}}"#, true),
                (r#"{"requests":{"cpu":"2"}}"#, false),
            ],
            &[r#"{"requests":{"cpu":"1"}}"#],
            "null",
            "{}",
        );
        assert_eq!(sum.real.cpu, 3000);
    }

    #[test]
    fn pod_level_requests_replace_the_sum() {
        let sum = requests(
            &[],
            &[r#"{"requests":{"cpu":"1"}}"#],
            r#"{"requests":{"cpu":"3"}}"#,
            "{}",
        );
        assert_eq!((sum.real.cpu, sum.nonzero_cpu), (3000, 3000));
    }

    #[test]
    fn what_the_node_agent_granted_counts_until_it_shrinks() {
        let status: ContainerStatusJson<'_> = serde_json::from_str(
            r#"{"name":"c","allocatedResources":{"cpu":"2"},"resources":{"requests":{"cpu":"3"}}}"#,
        )
        .unwrap();
        let resources = serde_json::from_str(r#"{"requests":{"cpu":"1"}}"#).unwrap();
        let container = ContainerRequests {
            resources: Some(&resources),
            granted: Some(status.granted()),
            is_sidecar: false,
        };
        assert_eq!(
            pod_requests(&[], &[container], None, &Pairs::default()).real.cpu,
            3000
        );
    }
}
