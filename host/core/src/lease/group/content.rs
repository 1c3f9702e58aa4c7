//! What a replica writes into the Leases of its group beside who holds them.

use std::collections::BTreeMap;

use smol_str::SmolStr;

use super::contest;
use super::{
    Action, CLAIMS_ANNOTATION, CONTENDS_ANNOTATION, GROUP_LABEL, Group, IDENTITY_ANNOTATION, LEASE_LABEL,
};
use crate::lease::election::LeaseRequest;
use crate::lease::record::{LeaseRecord, ObservedLease};
use crate::shard::hash::score;
use crate::shard::member::Claim;
use crate::shard::sequencer;
use crate::shard::table::Table;

impl Group {
    /// Whether the shard table of a lease that is led should be replaced.
    pub(super) fn has_news(&mut self, name: &SmolStr) -> bool {
        let Some(contest) = self.contests.get_mut(name) else {
            return false;
        };
        if !std::mem::take(&mut contest.review) || contest.election.tenure().is_none() {
            return false;
        }
        let base = contest.election.known().cloned();
        self.next_table(name, base.as_deref()).is_some()
    }

    pub(super) fn next_table(&mut self, name: &SmolStr, base: Option<&ObservedLease>) -> Option<Table> {
        let own = self.own_claim(name)?;
        self.member.tenure()?;
        let contest = self.contests.get(name)?;
        if base.is_some_and(|base| !contest.is_based_on(&base.resource_version)) {
            return None;
        }
        let table = base.and_then(contest::table_of);
        for participant in table.iter().flat_map(|table| &table.participants) {
            self.census.expect(&participant.identity, self.listing.confirmed);
        }
        let view = self.census.view(name, own);
        // Unique because the identity is, and nobody's session is used twice.
        let session = self.next_session();
        let lineage = score(&format!("{name}/{session}"), &self.config.identity);
        sequencer::advance(table.as_ref(), &view, lineage)
    }

    fn own_claim(&self, name: &SmolStr) -> Option<Claim> {
        self.contests.get(name)?.claim()
    }

    pub(super) fn action(
        &self,
        name: &SmolStr,
        request: LeaseRequest,
        role: &str,
        annotations: Vec<(&str, String)>,
    ) -> Action {
        let fill = |base: &ObservedLease, record: LeaseRecord| {
            let mut lease = base.clone();
            lease.name = name.clone();
            lease.record = record;
            lease
                .labels
                .insert(GROUP_LABEL.to_owned(), self.config.name.to_string());
            lease.labels.insert(LEASE_LABEL.to_owned(), role.to_owned());
            for (key, value) in annotations {
                lease.annotations.insert(key.to_owned(), value);
            }
            lease
        };
        match request {
            LeaseRequest::Get => Action::Get(name.clone()),
            LeaseRequest::Create(record) => Action::Create(fill(&ObservedLease::default(), record)),
            LeaseRequest::Update { base, record } => Action::Update(fill(&base, record)),
        }
    }

    pub(super) fn member_annotations(&self) -> Vec<(&'static str, String)> {
        let staying = || self.contests.iter().filter(|(_, contest)| !contest.is_leaving());
        let contends: Vec<&str> = staying().map(|(name, _)| name.as_str()).collect();
        let claims: BTreeMap<&SmolStr, Claim> = staying()
            .filter_map(|(name, contest)| Some((name, contest.claim()?)))
            .collect();
        vec![
            (IDENTITY_ANNOTATION, self.config.identity.to_string()),
            (CONTENDS_ANNOTATION, contends.join(",")),
            (
                CLAIMS_ANNOTATION,
                serde_json::to_string(&claims).unwrap_or_default(),
            ),
        ]
    }
}
