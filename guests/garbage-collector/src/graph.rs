//! Who owns whom: a node per object, an edge per owner reference.
//!
//! Follows `pkg/controller/garbagecollector/graph_builder.go`. Pure: it takes what was
//! observed and says what must be looked into. Owners that were never observed are
//! *virtual* nodes, with the coordinates that the first reference to them claims, until
//! they are observed or found absent.

mod node;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::time::Duration;

use crate::absent_owners::AbsentOwners;
use crate::identity::{Coordinates, Identity, OwnerRef, Symbol, Uid};
use crate::metadata::Observed;

pub(crate) use node::Node;

/// What must be done about an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// See whether it has to be deleted, or exists at all.
    AttemptToDelete { uid: Uid, after: Duration },
    /// Make its dependents independent of it.
    AttemptToOrphan { uid: Uid },
    /// Tell people that a reference names an owner in another namespace.
    InvalidNamespace { child: Identity, owner: Identity },
}

/// Where objects of one batch are found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    pub(crate) api_version: Symbol,
    pub(crate) kind: Symbol,
}

/// The graph.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    nodes: HashMap<Uid, Node>,
    pub(crate) absent_owners: AbsentOwners,
    /// How often virtual nodes that exist were asked about in vain.
    polls: HashMap<Uid, u32>,
    effects: Vec<Effect>,
}

impl Graph {
    pub(crate) fn node(&self, uid: &Uid) -> Option<&Node> {
        self.nodes.get(uid)
    }

    /// What must be done since the last call.
    pub(crate) fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// An object appeared or changed.
    pub(crate) fn upsert(&mut self, kind: Kind, observed: Observed) {
        let Observed {
            uid,
            name,
            namespace,
            owners,
            state,
        } = observed;
        let at = Coordinates {
            api_version: kind.api_version,
            kind: kind.kind,
            namespace,
            name,
        };
        match self.nodes.get_mut(&uid) {
            None => {
                self.nodes.insert(uid.clone(), Node::observed(at));
            }
            Some(node) if node.is_virtual() => self.materialise(&uid, at),
            // Its resource may be watched in another version from now on, and no longer be
            // served in the one before.
            Some(node) => node.at = at,
        }
        self.change_owners(&uid, owners);
        self.change_state(&uid, state);
    }

    /// An object is gone.
    pub(crate) fn delete(&mut self, kind: Kind, observed: &Observed) {
        let at = Coordinates {
            api_version: kind.api_version,
            kind: kind.kind,
            namespace: observed.namespace,
            name: observed.name.clone(),
        };
        let identity = Identity {
            at,
            uid: observed.uid.clone(),
        };
        // A node that is still virtual was deleted before anything else was seen of it.
        if self.nodes.get(&identity.uid).is_some_and(Node::is_virtual) {
            self.materialise(&identity.uid, identity.at.clone());
        }
        self.remove(identity);
    }

    /// A live read found nothing, or something else, where this object was said to be.
    pub(crate) fn found_absent(&mut self, absent: Identity) {
        let Some(node) = self.nodes.get(&absent.uid) else {
            return;
        };
        let is_virtual = node.is_virtual();
        let same = node.at == absent.at;
        let (matching, others) = self.partition_dependents(&absent);
        if (is_virtual && others.is_empty()) || (!is_virtual && same) {
            self.remove(absent);
            return;
        }
        let replacement = (is_virtual && same)
            .then(|| self.alternative(&others, &absent))
            .flatten();
        if !matching.is_empty() {
            self.absent_owners.add(absent);
            matching
                .iter()
                .for_each(|dependent| self.attempt_to_delete(dependent));
        }
        if let Some(replacement) = replacement {
            let after = self.next_poll(&replacement.uid);
            if let Some(node) = self.nodes.get_mut(&replacement.uid) {
                node.at = replacement.at;
            }
            self.effects.push(Effect::AttemptToDelete {
                uid: replacement.uid,
                after,
            });
        }
    }

    /// When a virtual node that exists should be asked about again: each time twice as late.
    pub(crate) fn next_poll(&mut self, uid: &Uid) -> Duration {
        const INITIAL: Duration = Duration::from_millis(5);
        const MAX: Duration = Duration::from_secs(1000);
        let polls = self.polls.entry(uid.clone()).or_default();
        let delay = INITIAL.saturating_mul(2_u32.saturating_pow(*polls)).min(MAX);
        *polls += 1;
        delay
    }

    /// Looks into a node, for whatever reason.
    pub(crate) fn attempt_to_delete(&mut self, uid: &Uid) {
        if let Some(node) = self.nodes.get_mut(uid) {
            node.existence_only = false;
            self.effects.push(Effect::AttemptToDelete {
                uid: uid.clone(),
                after: Duration::ZERO,
            });
        }
    }

    /// Whether nothing is left to look into, because only the node's existence was in
    /// doubt and it has been observed since.
    pub(crate) fn settled(&mut self, uid: &Uid) -> bool {
        let settled = |node: &mut Node| std::mem::take(&mut node.existence_only) && !node.is_virtual();
        self.nodes.get_mut(uid).is_some_and(settled)
    }

    /// A virtual node was observed: its coordinates are certain now, and dependents that
    /// claim others are wrong.
    fn materialise(&mut self, uid: &Uid, at: Coordinates) {
        self.polls.remove(uid);
        let Some(node) = self.nodes.get_mut(uid) else {
            return;
        };
        node.set_observed();
        if node.at == at {
            return;
        }
        node.at = at.clone();
        let identity = Identity { at, uid: uid.clone() };
        let (_, mismatched) = self.partition_dependents(&identity);
        for dependent in mismatched {
            let namespace = self.nodes.get(&dependent).map(|node| node.at.namespace);
            if !identity.at.namespace.is_empty() && namespace != Some(identity.at.namespace) {
                self.report_invalid_namespace(&dependent, uid);
            }
            self.attempt_to_delete(&dependent);
        }
    }

    fn change_owners(&mut self, uid: &Uid, owners: Box<[OwnerRef]>) {
        let Some(node) = self.nodes.get_mut(uid) else {
            return;
        };
        if node.owners == owners {
            return;
        }
        let old = std::mem::replace(&mut node.owners, owners.clone());
        let now_of = |before: &OwnerRef| owners.iter().find(|owner| owner.uid == before.uid);
        for before in &old {
            let unblocks = before.blocks() && !now_of(before).is_some_and(OwnerRef::blocks);
            if unblocks
                && self
                    .nodes
                    .get(&before.uid)
                    .is_some_and(Node::is_deleting_dependents)
            {
                self.attempt_to_delete(&before.uid);
            }
        }
        let added = owners
            .iter()
            .filter(|owner| !old.iter().any(|before| before.uid == owner.uid));
        self.add_to_owners(uid, added);
        for before in old.iter().filter(|before| now_of(before).is_none()) {
            self.remove_from_owner(uid, &before.uid);
        }
    }

    /// Adds edges to owners, making up those that are unknown.
    fn add_to_owners<'o>(&mut self, uid: &Uid, owners: impl Iterator<Item = &'o OwnerRef>) {
        let Some(namespace) = self.nodes.get(uid).map(|node| node.at.namespace) else {
            return;
        };
        let mut doubtful = false;
        for owner in owners {
            if let Some(known) = self.nodes.get_mut(&owner.uid) {
                known.add_dependent(uid);
                if !doubtful && let Some(doubt) = Doubt::about(owner, namespace, known) {
                    doubtful = true;
                    if doubt == Doubt::OtherNamespace {
                        self.report_invalid_namespace(uid, &owner.uid);
                    }
                }
            } else {
                let mut made_up = Node::made_up(owner.identity(namespace).at);
                made_up.add_dependent(uid);
                self.nodes.insert(owner.uid.clone(), made_up);
                self.effects.push(Effect::AttemptToDelete {
                    uid: owner.uid.clone(),
                    after: Duration::ZERO,
                });
            }
        }
        if doubtful {
            self.attempt_to_delete(uid);
        }
    }

    fn remove_from_owner(&mut self, uid: &Uid, owner: &Uid) {
        if let Some(owner) = self.nodes.get_mut(owner) {
            owner.remove_dependent(uid);
        }
    }

    /// Starts what the first sight of a deletion starts.
    fn change_state(&mut self, uid: &Uid, state: crate::metadata::DeletionState) {
        let Some(node) = self.nodes.get_mut(uid) else {
            return;
        };
        let before = node.state;
        node.state.being_deleted |= state.being_deleted;
        node.state.orphaning = state.orphaning;
        if state.orphaning && !before.orphaning {
            self.effects.push(Effect::AttemptToOrphan { uid: uid.clone() });
            return;
        }
        // Once its dependents are being deleted, that is not taken back.
        if state.deleting_dependents && !before.deleting_dependents {
            node.state.deleting_dependents = true;
            for dependent in node.dependents() {
                self.attempt_to_delete(&dependent);
            }
            self.attempt_to_delete(uid);
        }
    }

    fn remove(&mut self, identity: Identity) {
        self.polls.remove(&identity.uid);
        let Some(node) = self.nodes.remove(&identity.uid) else {
            return;
        };
        for owner in &node.owners {
            self.remove_from_owner(&identity.uid, &owner.uid);
        }
        let dependents = node.dependents();
        if !dependents.is_empty() {
            self.absent_owners.add(identity);
        }
        dependents
            .iter()
            .for_each(|dependent| self.attempt_to_delete(dependent));
        for owner in &node.owners {
            if self
                .nodes
                .get(&owner.uid)
                .is_some_and(Node::is_deleting_dependents)
            {
                self.attempt_to_delete(&owner.uid);
            }
        }
    }

    /// Dependents that refer to an owner by this identity, and those that refer to its
    /// UID otherwise. One with two references can be both.
    fn partition_dependents(&self, owner: &Identity) -> (Vec<Uid>, Vec<Uid>) {
        let (mut matching, mut others) = (Vec::new(), Vec::new());
        let dependents = self
            .nodes
            .get(&owner.uid)
            .map(Node::dependents)
            .unwrap_or_default();
        for uid in dependents {
            let Some(dependent) = self.nodes.get(&uid) else {
                continue;
            };
            let namespace = owner.at.namespace;
            let elsewhere = !namespace.is_empty() && namespace != dependent.at.namespace;
            let references = || {
                dependent
                    .owners
                    .iter()
                    .filter(|reference| reference.uid == owner.uid)
            };
            if !elsewhere && references().any(|reference| reference.matches(&owner.at)) {
                matching.push(uid.clone());
            }
            if elsewhere || references().any(|reference| !reference.matches(&owner.at)) {
                others.push(uid);
            }
        }
        (matching, others)
    }

    /// The next identity that dependents claim for the UID of one that is absent: the
    /// first one after it, or the first of all.
    fn alternative(&self, dependents: &[Uid], absent: &Identity) -> Option<Identity> {
        let (mut first, mut following): (Option<Identity>, Option<Identity>) = (None, None);
        let earlier = |found: &Option<Identity>, candidate: &Identity| {
            found.as_ref().is_none_or(|found| found.follows(candidate))
        };
        for node in dependents.iter().filter_map(|uid| self.nodes.get(uid)) {
            for reference in node.owners.iter().filter(|reference| reference.uid == absent.uid) {
                let namespace = node.at.namespace;
                let cluster_scoped = absent.at.namespace.is_empty();
                if reference.matches(&absent.at) && (cluster_scoped || namespace == absent.at.namespace) {
                    continue;
                }
                let candidate = reference.identity(namespace);
                if candidate.follows(absent) && earlier(&following, &candidate) {
                    following = Some(candidate.clone());
                }
                if earlier(&first, &candidate) {
                    first = Some(candidate);
                }
            }
        }
        following.or(first)
    }

    fn report_invalid_namespace(&mut self, child: &Uid, owner: &Uid) {
        let Some(node) = self.nodes.get(child) else { return };
        let Some(reference) = node.owners.iter().find(|reference| reference.uid == *owner) else {
            return;
        };
        let owner = reference.identity(node.at.namespace);
        let child = Identity {
            at: node.at.clone(),
            uid: child.clone(),
        };
        self.effects.push(Effect::InvalidNamespace { child, owner });
    }
}

/// Why a reference to a known owner has to be verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doubt {
    /// The owner was observed in another namespace: certainly wrong.
    OtherNamespace,
    /// Something about the owner's coordinates may be wrong.
    Coordinates,
}

impl Doubt {
    /// The doubt about a reference on an object in this namespace, given its owner.
    fn about(reference: &OwnerRef, namespace: Symbol, owner: &Node) -> Option<Self> {
        let elsewhere = owner.at.namespace != namespace;
        if elsewhere && !owner.at.namespace.is_empty() {
            return Some(if owner.is_virtual() {
                Self::Coordinates
            } else {
                Self::OtherNamespace
            });
        }
        // A cluster-scoped owner that nobody observed may be a namespaced one that is
        // missing, made up for a cluster-scoped child.
        let unsure = elsewhere && owner.is_virtual();
        (unsure || !reference.matches(&owner.at)).then_some(Self::Coordinates)
    }
}
