//! Whether a node takes a pod that is bound to it, and what the pod then occupies.
//!
//! The checks of a kubelet's predicate admission, for pods that no scheduler placed or
//! that raced with others: resources, node selector and affinity, host ports, and
//! `NoExecute` taints. Pure.

use std::collections::BTreeMap;

use smol_str::SmolStr;

use crate::config::Taint;
use crate::node::NodeFacts;
use crate::pod::{ContainerSpec, NodeSelectorTerm, PodSpec, Requirement, RestartPolicy, Toleration};
use crate::pod_worker::Failure;
use crate::quantity::parse_milli;

/// Amounts in thousandths, by resource name.
pub type Amounts = BTreeMap<SmolStr, i128>;

/// A port taken on a node: protocol, address (empty for all), number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    protocol: SmolStr,
    address: SmolStr,
    port: u16,
}

impl HostPort {
    fn conflicts_with(&self, other: &Self) -> bool {
        let any = |address: &SmolStr| address.is_empty() || address == "0.0.0.0";
        let same_address = any(&self.address) || any(&other.address) || self.address == other.address;
        self.port == other.port && self.protocol == other.protocol && same_address
    }
}

/// What a pod occupies on its node.
#[derive(Clone, Debug, Default)]
pub struct Footprint {
    /// Resources.
    pub amounts: Amounts,
    /// Ports.
    pub ports: Vec<HostPort>,
}

impl Footprint {
    /// The footprint of a pod: the larger of what its containers need together and what
    /// its start needs, sidecars counting in both, plus its overhead.
    #[must_use]
    pub fn of(spec: &PodSpec) -> Self {
        let mut amounts = containers_amounts(spec);
        for (name, quantity) in &spec.resources.requests {
            if let Some(amount) = parse_milli(quantity) {
                amounts.insert(name.clone(), amount);
            }
        }
        add(&mut amounts, &parse_all(&spec.overhead));
        amounts.insert("pods".into(), 1000);
        Self {
            amounts,
            ports: host_ports(spec),
        }
    }
}

fn containers_amounts(spec: &PodSpec) -> Amounts {
    let requests = |container: &ContainerSpec| parse_all(&container.resources.requests);
    let mut together = Amounts::new();
    for container in &spec.containers {
        add(&mut together, &requests(container));
    }
    let mut sidecars = Amounts::new();
    let mut peak = Amounts::new();
    for container in &spec.init_containers {
        let own = requests(container);
        if container.restart_policy == Some(RestartPolicy::Always) {
            add(&mut together, &own);
            add(&mut sidecars, &own);
            raise(&mut peak, &sidecars);
        } else {
            let mut starting = own;
            add(&mut starting, &sidecars);
            raise(&mut peak, &starting);
        }
    }
    raise(&mut together, &peak);
    together
}

fn host_ports(spec: &PodSpec) -> Vec<HostPort> {
    let sidecars = spec
        .init_containers
        .iter()
        .filter(|c| c.restart_policy == Some(RestartPolicy::Always));
    let ports = spec
        .containers
        .iter()
        .chain(sidecars)
        .flat_map(|container| &container.ports);
    ports
        .filter(|port| port.host_port != 0)
        .map(|port| HostPort {
            protocol: if port.protocol.is_empty() {
                "TCP".into()
            } else {
                port.protocol.clone()
            },
            address: port.host_ip.clone(),
            port: port.host_port,
        })
        .collect()
}

fn parse_all(quantities: &BTreeMap<SmolStr, SmolStr>) -> Amounts {
    quantities
        .iter()
        .filter_map(|(name, quantity)| Some((name.clone(), parse_milli(quantity)?)))
        .collect()
}

fn add(total: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        *total.entry(name.clone()).or_default() += amount;
    }
}

fn raise(total: &mut Amounts, least: &Amounts) {
    for (name, amount) in least {
        let entry = total.entry(name.clone()).or_default();
        *entry = (*entry).max(*amount);
    }
}

/// What the pods of a node occupy together.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    amounts: Amounts,
    ports: Vec<HostPort>,
}

impl Ledger {
    /// Notes down a pod.
    pub fn enter(&mut self, footprint: &Footprint) {
        add(&mut self.amounts, &footprint.amounts);
        self.ports.extend(footprint.ports.iter().cloned());
    }

    /// Strikes out a pod that was noted down.
    pub fn remove(&mut self, footprint: &Footprint) {
        for (name, amount) in &footprint.amounts {
            *self.amounts.entry(name.clone()).or_default() -= amount;
        }
        for port in &footprint.ports {
            if let Some(position) = self.ports.iter().position(|taken| taken == port) {
                self.ports.swap_remove(position);
            }
        }
    }

    /// Whether the node takes the pod, in the kubelet's order of questions.
    ///
    /// # Errors
    /// The status that a pod gets which the node does not take.
    pub fn admit(&self, spec: &PodSpec, footprint: &Footprint, node: &NodeFacts) -> Result<(), Failure> {
        self.check_resources(footprint, node)?;
        if !matches_node(spec, node) {
            return Err(predicate(
                "NodeAffinity",
                "node(s) didn't match Pod's node affinity/selector",
            ));
        }
        let taken = |port: &HostPort| self.ports.iter().any(|taken| taken.conflicts_with(port));
        if footprint.ports.iter().any(taken) {
            return Err(predicate(
                "NodePorts",
                "node(s) didn't have free ports for the requested pod ports",
            ));
        }
        let untolerated = |taint: &&Taint| {
            taint.effect == "NoExecute"
                && !spec
                    .tolerations
                    .iter()
                    .any(|toleration| tolerates(toleration, taint))
        };
        if node.taints.iter().any(|taint| untolerated(&taint)) {
            return Err(predicate("TaintToleration", "node(s) had untolerated taint(s)"));
        }
        Ok(())
    }

    fn check_resources(&self, footprint: &Footprint, node: &NodeFacts) -> Result<(), Failure> {
        let known = |name: &str| {
            name.contains('/') || matches!(name, "cpu" | "memory" | "ephemeral-storage" | "pods")
        };
        for (name, requested) in footprint
            .amounts
            .iter()
            .filter(|(name, amount)| known(name) && **amount > 0)
        {
            let used = self.amounts.get(name).copied().unwrap_or_default();
            let capacity = node.allocatable.get(name).copied().unwrap_or_default();
            if used + requested > capacity {
                return Err(insufficient(name, *requested, used, capacity));
            }
        }
        Ok(())
    }
}

fn insufficient(name: &str, requested: i128, used: i128, capacity: i128) -> Failure {
    // CPU is told in thousandths, everything else in units.
    let unit = if name == "cpu" { 1 } else { 1000 };
    Failure {
        reason: format!("OutOf{name}").into(),
        message: format!(
            "Pod was rejected: Node didn't have enough resource: {name}, requested: {}, used: {}, capacity: {}",
            requested / unit,
            used / unit,
            capacity / unit
        ),
    }
}

fn predicate(reason: &str, description: &str) -> Failure {
    Failure {
        reason: reason.into(),
        message: format!("Pod was rejected: Predicate {reason} failed: {description}"),
    }
}

fn matches_node(spec: &PodSpec, node: &NodeFacts) -> bool {
    let selected = spec
        .node_selector
        .iter()
        .all(|(key, value)| node.labels.get(key) == Some(value));
    let affinity = &spec
        .affinity
        .node_affinity
        .required_during_scheduling_ignored_during_execution;
    selected
        && affinity.as_ref().is_none_or(|selector| {
            selector
                .node_selector_terms
                .iter()
                .any(|term| matches_term(term, node))
        })
}

fn matches_term(term: &NodeSelectorTerm, node: &NodeFacts) -> bool {
    let empty = term.match_expressions.is_empty() && term.match_fields.is_empty();
    let label =
        |requirement: &Requirement| matches_requirement(requirement, node.labels.get(&requirement.key));
    let field = |requirement: &Requirement| {
        matches_requirement(
            requirement,
            Some(&node.name).filter(|_| requirement.key == "metadata.name"),
        )
    };
    !empty && term.match_expressions.iter().all(label) && term.match_fields.iter().all(field)
}

fn matches_requirement(requirement: &Requirement, value: Option<&SmolStr>) -> bool {
    let listed = || value.is_some_and(|value| requirement.values.contains(value));
    let number = |text: Option<&SmolStr>| text.and_then(|text| text.parse::<i64>().ok());
    let compare = || Some((number(value)?, number(requirement.values.first())?));
    match requirement.operator.as_str() {
        "In" => listed(),
        "NotIn" => !listed(),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => compare().is_some_and(|(value, bound)| value > bound),
        "Lt" => compare().is_some_and(|(value, bound)| value < bound),
        _ => false,
    }
}

fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let effect = toleration.effect.is_empty() || toleration.effect == taint.effect;
    let exists = toleration.operator == "Exists";
    let key = toleration.key == taint.key || toleration.key.is_empty() && exists;
    effect && key && (exists || toleration.value == taint.value)
}

#[cfg(test)]
mod tests;
