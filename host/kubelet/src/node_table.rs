//! The agent's nodes: what each is, whether it exists, and what its pods occupy.
//!
//! A node whose object was deleted stays in the table and serves no pods; it is not
//! registered again, but taken up again when somebody else does that.

use std::net::Ipv4Addr;

use hashbrown::HashMap;
use smol_str::SmolStr;

use crate::address::{Addresses, Block, nth_address};
use crate::admission::Ledger;
use crate::config::{AgentConfig, NodeTemplate};
use crate::node::{NodeFacts, Registration};
use crate::time::Time;

/// The configuration cannot be served.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Two nodes have the same name.
    #[error("two nodes are named {0:?}: give every node template a name of its own")]
    DuplicateNode(String),
    /// The addresses run out.
    #[error(
        "there are not enough addresses for node {0:?}: choose lower networks, or fewer nodes or pods per node"
    )]
    OutOfAddresses(String),
}

/// One node.
#[derive(Debug)]
pub struct NodeEntry {
    /// As configured.
    pub template: NodeTemplate,
    /// As the API object says.
    pub facts: NodeFacts,
    /// Whether the API object exists.
    pub exists: bool,
    /// Whether the watch has shown it.
    pub watched: bool,
    /// Its address.
    pub address: Ipv4Addr,
    /// The block of its pods' addresses.
    pub block: Block,
    /// Which of them are taken.
    pub addresses: Addresses,
    /// What its pods occupy.
    pub ledger: Ledger,
    /// Whether a status report of it is on its way.
    pub reporting: bool,
}

impl NodeEntry {
    /// What registers it, besides its template.
    #[must_use]
    pub fn registration(&self, config: &AgentConfig, now: Time) -> Registration {
        Registration {
            address: self.address,
            pod_cidr: self.block.cidr(),
            kubelet_port: config.kubelet_port,
            now,
        }
    }
}

/// All nodes, by index and by name.
#[derive(Debug)]
pub struct NodeTable {
    nodes: Vec<NodeEntry>,
    by_name: HashMap<SmolStr, usize>,
}

impl NodeTable {
    /// The configured nodes, none of which exists yet.
    ///
    /// # Errors
    /// When names repeat or addresses run out.
    pub fn new(config: &AgentConfig) -> Result<Self, ConfigError> {
        let largest = config
            .nodes
            .iter()
            .map(|node| node.pods)
            .max()
            .unwrap_or_default();
        let mut table = Self {
            nodes: Vec::with_capacity(config.nodes.len()),
            by_name: HashMap::new(),
        };
        for (index, template) in config.nodes.iter().enumerate() {
            let exhausted = || ConfigError::OutOfAddresses(template.name.clone());
            let block = Block::nth(config.pod_network, index, largest).ok_or_else(exhausted)?;
            let address = nth_address(config.node_network, index).ok_or_else(exhausted)?;
            if table
                .by_name
                .insert(template.name.as_str().into(), index)
                .is_some()
            {
                return Err(ConfigError::DuplicateNode(template.name.clone()));
            }
            table.nodes.push(NodeEntry {
                template: template.clone(),
                facts: NodeFacts {
                    name: template.name.as_str().into(),
                    ..NodeFacts::default()
                },
                exists: false,
                watched: false,
                address,
                block,
                addresses: Addresses::new(block),
                ledger: Ledger::default(),
                reporting: false,
            });
        }
        Ok(table)
    }

    /// How many nodes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Index of a node.
    #[must_use]
    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// A node.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&NodeEntry> {
        self.nodes.get(index)
    }

    /// A node, to change.
    pub fn get_mut(&mut self, index: usize) -> Option<&mut NodeEntry> {
        self.nodes.get_mut(index)
    }

    /// Takes in what the API says about a node. Tells whether it came into being.
    pub fn found(&mut self, index: usize, facts: NodeFacts) -> bool {
        let Some(node) = self.nodes.get_mut(index) else {
            return false;
        };
        node.facts = facts;
        !std::mem::replace(&mut node.exists, true)
    }

    /// Takes in that the watch has shown all nodes there are.
    pub fn forget_unwatched(&mut self) {
        for node in self.nodes.iter_mut().filter(|node| !node.watched) {
            node.exists = false;
        }
    }

    /// Takes in that a node's object is gone.
    pub fn lost(&mut self, index: usize) {
        if let Some(node) = self.nodes.get_mut(index) {
            node.exists = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_must_differ_and_addresses_suffice() {
        let twins = AgentConfig::with_templates(vec![NodeTemplate::named("a"), NodeTemplate::named("a")]);
        assert_eq!(
            NodeTable::new(&twins).unwrap_err(),
            ConfigError::DuplicateNode("a".to_owned())
        );
        let crowded = AgentConfig {
            pod_network: Ipv4Addr::new(255, 255, 255, 0),
            ..AgentConfig::with_nodes(2)
        };
        assert_eq!(
            NodeTable::new(&crowded).unwrap_err(),
            ConfigError::OutOfAddresses("node-1".to_owned())
        );
    }

    #[test]
    fn a_node_that_was_lost_comes_into_being_again_only_when_found() {
        let mut table = NodeTable::new(&AgentConfig::with_nodes(1)).unwrap();
        assert!(table.found(0, NodeFacts::default()));
        assert!(!table.found(0, NodeFacts::default()));
        table.lost(0);
        assert!(table.found(0, NodeFacts::default()));
    }
}
