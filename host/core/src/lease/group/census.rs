//! The other replicas of the group, as their membership Leases tell.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use smol_str::SmolStr;

use super::{Action, CLAIMS_ANNOTATION, CONTENDS_ANNOTATION, GroupConfig, IDENTITY_ANNOTATION};
use crate::lease::clock::BootInstant;
use crate::lease::liveness::{Sighting, Standing};
use crate::lease::record::ObservedLease;
use crate::shard::member::Claim;
use crate::shard::sequencer::{MemberView, View};

/// How long the Lease of a replica that is gone is kept for people to see.
const REMEMBERED: Duration = Duration::from_secs(600);

/// Another replica.
pub(super) struct Member {
    pub(super) identity: SmolStr,
    /// Sorted.
    pub(super) contends: Vec<SmolStr>,
    claims: BTreeMap<SmolStr, Claim>,
    sighting: Sighting,
    lease: Option<Arc<ObservedLease>>,
}

/// All replicas that were ever seen or heard of, this one excepted.
pub(super) struct Census {
    identity: SmolStr,
    absent_for: Duration,
    members: BTreeMap<SmolStr, Member>,
}

impl Census {
    pub(super) fn new(config: &GroupConfig) -> Self {
        Self {
            identity: config.identity.clone(),
            absent_for: config.election.lease_duration,
            members: BTreeMap::new(),
        }
    }

    pub(super) fn listed(
        &mut self,
        leases: Vec<Arc<ObservedLease>>,
        sent: BootInstant,
        arrived: BootInstant,
    ) {
        let mut present: BTreeMap<SmolStr, Arc<ObservedLease>> = BTreeMap::new();
        for lease in leases {
            if let Some(identity) = lease.annotations.get(IDENTITY_ANNOTATION) {
                present.insert(identity.into(), lease);
            }
        }
        for (identity, member) in &mut self.members {
            member.update(present.remove(identity), sent, arrived, self.absent_for);
        }
        present.remove(&self.identity);
        for (identity, lease) in present {
            let member = Member::new(identity.clone(), Some(lease), sent, arrived, self.absent_for);
            self.members.insert(identity, member);
        }
        self.members
            .retain(|_, member| member.lease.is_some() || member.sighting.age() < REMEMBERED);
    }

    /// Somebody is named whose membership may never have been seen.
    pub(super) fn expect(&mut self, identity: &SmolStr, now: BootInstant) {
        if *identity != self.identity && !self.members.contains_key(identity) {
            let member = Member::new(identity.clone(), None, now, now, self.absent_for);
            self.members.insert(identity.clone(), member);
        }
    }

    pub(super) fn alive(&self) -> impl Iterator<Item = &Member> {
        let is_alive =
            |member: &&Member| member.lease.is_some() && member.sighting.standing() == Standing::Alive;
        self.members.values().filter(is_alive)
    }

    /// What all say about one module, with what this replica says.
    pub(super) fn view(&self, module: &SmolStr, own: Claim) -> View {
        let others = self.members.iter().map(|(identity, member)| {
            let view = match (member.sighting.standing(), &member.lease) {
                (Standing::Left | Standing::Expired, _) => MemberView::Gone,
                (Standing::Alive, None) => MemberView::Unheard,
                (Standing::Alive, Some(_)) => member
                    .claims
                    .get(module)
                    .map_or(MemberView::Apart, |claim| MemberView::Present(*claim)),
            };
            (identity.clone(), view)
        });
        others
            .chain([(self.identity.clone(), MemberView::Present(own))])
            .collect()
    }

    /// Memberships of replicas long gone, which the first of the live ones clears away.
    pub(super) fn forgettable(&self, own: &SmolStr) -> Vec<Action> {
        if self.alive().any(|member| member.identity < *own) {
            return Vec::new();
        }
        let gone = self.members.values().filter(|member| {
            member.sighting.standing() != Standing::Alive && member.sighting.age() >= REMEMBERED
        });
        gone.filter_map(|member| member.lease.as_ref())
            .map(|lease| Action::Delete {
                name: lease.name.clone(),
                resource_version: lease.resource_version.clone(),
            })
            .collect()
    }
}

impl Member {
    fn new(
        identity: SmolStr,
        lease: Option<Arc<ObservedLease>>,
        sent: BootInstant,
        arrived: BootInstant,
        absent_for: Duration,
    ) -> Self {
        let mut member = Self {
            identity,
            contends: Vec::new(),
            claims: BTreeMap::new(),
            sighting: Sighting::new(lease.as_deref(), sent, arrived, absent_for),
            lease: None,
        };
        member.read(lease);
        member
    }

    fn update(
        &mut self,
        lease: Option<Arc<ObservedLease>>,
        sent: BootInstant,
        arrived: BootInstant,
        absent_for: Duration,
    ) {
        self.sighting.update(lease.as_deref(), sent, arrived, absent_for);
        self.read(lease);
    }

    fn read(&mut self, lease: Option<Arc<ObservedLease>>) {
        if let Some(lease) = &lease {
            let text = |key| lease.annotations.get(key).map_or("", String::as_str);
            self.contends = text(CONTENDS_ANNOTATION)
                .split(',')
                .filter(|name| !name.is_empty())
                .map(SmolStr::from)
                .collect();
            self.claims = serde_json::from_str(text(CLAIMS_ANNOTATION)).unwrap_or_default();
        }
        self.lease = lease;
    }
}
