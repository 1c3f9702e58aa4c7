//! When this replica lets others try first, and when it offers to hand a lease over.

use std::collections::BTreeMap;
use std::time::Duration;

use smol_str::SmolStr;

use super::{Group, TABLE_ANNOTATION};
use crate::lease::clock::BootInstant;
use crate::lease::placement::{self, Contested};
use crate::shard::hash::hash;

/// A replica renews about this many leases a second before it begins to stretch the period.
const RENEWALS_PER_SECOND: f64 = 25.0;

impl Group {
    pub(super) fn rebalance(&mut self, now: BootInstant) {
        let contested = self.contested();
        let positions = placement::positions(&contested, &self.config.identity);
        let turn = self.turn();
        let led = self.contests.values().filter(|contest| contest.is_led()).count();
        let period = Duration::from_secs_f64(led as f64 / RENEWALS_PER_SECOND);
        for (name, contest) in &mut self.contests {
            let position = positions.get(name).copied().unwrap_or_default();
            let delay = turn.saturating_mul(position);
            contest
                .election
                .set_delay(delay.min(self.config.election.lease_duration));
            contest.election.set_renew_period(period);
        }
        self.note_company(now);
        if now.saturating_since(self.company.1) >= self.config.rebalance.settle {
            self.offer(&contested, now);
        }
    }

    fn offer(&mut self, contested: &BTreeMap<SmolStr, Contested>, now: BootInstant) {
        let under_way = self
            .contests
            .values()
            .filter(|contest| contest.is_handing_over())
            .count();
        let mut left = self.config.rebalance.at_once.saturating_sub(under_way);
        for one in placement::moves(contested) {
            if left == 0 {
                break;
            }
            if one.from != self.config.identity {
                continue;
            }
            if let Some(contest) = self.contests.get_mut(&one.lease) {
                if contest.offer(&one.to, now, self.config.rebalance.min_tenure) {
                    left -= 1;
                }
            }
        }
    }

    /// Leases that are worth spreading: a sharded module's costs next to nothing.
    fn contested(&self) -> BTreeMap<SmolStr, Contested> {
        let own = self.contests.iter().filter(|(_, contest)| !contest.is_leaving());
        let names = self.leases.keys().chain(own.map(|(name, _)| name));
        let mut contested: BTreeMap<SmolStr, Contested> =
            names.map(|name| (name.clone(), Contested::default())).collect();
        contested.retain(|name, _| {
            let is_shared = self
                .contests
                .get(name)
                .is_some_and(|contest| contest.claim().is_some());
            let has_table = self
                .leases
                .get(name)
                .is_some_and(|lease| lease.annotations.contains_key(TABLE_ANNOTATION));
            !is_shared && !has_table
        });
        for member in self.census.alive() {
            for name in &member.contends {
                if let Some(lease) = contested.get_mut(name) {
                    lease.candidates.push(member.identity.clone());
                }
            }
        }
        for (name, lease) in &mut contested {
            if self
                .contests
                .get(name)
                .is_some_and(|contest| !contest.is_leaving())
            {
                lease.candidates.push(self.config.identity.clone());
            }
            let listed = self.leases.get(name).map(|lease| &lease.record.holder);
            lease.holder = match self.contests.get(name) {
                Some(contest) if contest.is_led() => Some(self.config.identity.clone()),
                _ => listed
                    .filter(|holder| lease.candidates.contains(holder) && **holder != self.config.identity)
                    .cloned(),
            };
        }
        contested
    }

    fn note_company(&mut self, now: BootInstant) {
        let mut print = 0_u64;
        for member in self.census.alive() {
            let contends: Vec<&[u8]> = member.contends.iter().map(|name| name.as_bytes()).collect();
            let one = hash(&[member.identity.as_bytes(), &hash(&contends).to_be_bytes()]);
            print = hash(&[&print.to_be_bytes(), &one.to_be_bytes()]);
        }
        if print != self.company.0 || self.company.1 == BootInstant::default() {
            self.company = (print, now);
        }
    }
}
