use std::time::Duration;

use super::*;
use crate::lease::record::{LeaseRecord, MicroTime};
use crate::shard::table::{Participant, Slot, Table};
use crate::shard::{Epoch, SLOTS};

struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> BootInstant {
        at(100).boot
    }
}

fn at(seconds: u64) -> Moment {
    Moment {
        boot: BootInstant::from_boot(Duration::from_secs(seconds)),
        wall: MicroTime(0),
    }
}

fn group(identity: &str) -> Group {
    let config = GroupConfig {
        name: "g".into(),
        identity: identity.into(),
        election: ElectionConfig::default(),
        rebalance: RebalanceConfig::default(),
    };
    Group::new(config, Arc::new(StoppedClock))
}

fn lease(name: &str, version: &str, holder: &str, role: &str) -> ObservedLease {
    ObservedLease {
        name: name.into(),
        resource_version: version.into(),
        record: LeaseRecord {
            holder: holder.into(),
            duration_seconds: 15,
            ..LeaseRecord::default()
        },
        labels: BTreeMap::from([(LEASE_LABEL.to_owned(), role.to_owned())]),
        annotations: BTreeMap::new(),
    }
}

/// A table in which a session of `a` owns everything.
fn owned_by_a(session: u64, number: u64) -> Table {
    Table {
        epoch: Epoch { lineage: 1, number },
        participants: vec![Participant {
            identity: "a".into(),
            session,
        }],
        slots: vec![Slot::Owned(0); usize::from(SLOTS)],
    }
}

fn module(version: &str, table: &Table) -> ObservedLease {
    let mut lease = lease("shop", version, "", MODULE);
    lease
        .annotations
        .insert(TABLE_ANNOTATION.to_owned(), table.encode());
    lease
}

/// What is written to `shop`.
fn write(group: &mut Group, now: u64) -> ObservedLease {
    let actions = group.poll(at(now)).actions;
    let writes = actions.into_iter().filter_map(|action| match action {
        Action::Update(lease) if lease.name == "shop" => Some(lease),
        _ => None,
    });
    writes.last().unwrap()
}

#[test]
fn a_table_that_is_newer_than_what_is_known_of_the_members_is_left_alone() {
    let mut group = group("b");
    group.join(&"shop".into(), Mode::Shared, at(100));
    group.poll(at(100));
    group.answered("windlass-g-b", at(100), Answer::NotFound);
    group.poll(at(100));
    let own = Arc::new(lease("windlass-g-b", "4", "b", MEMBER));
    group.answered("windlass-g-b", at(100), Answer::Lease(own));
    // The list: `a` is gone. What then happens unseen: it comes back, as session 2.
    let mut gone = lease("windlass-g-a", "3", "", MEMBER);
    gone.annotations
        .insert(IDENTITY_ANNOTATION.to_owned(), "a".to_owned());
    group.listed(at(100), Some(vec![gone, module("2", &owned_by_a(1, 5))]));
    let first = write(&mut group, 100);
    assert_ne!(contest::table_of(&first), Some(owned_by_a(1, 5)), "all goes to b");
    group.answered("shop", at(100), Answer::Conflict);
    assert!(group.poll(at(100)).actions.contains(&Action::Get("shop".into())));
    let newer = Arc::new(module("9", &owned_by_a(2, 8)));
    group.answered("shop", at(100), Answer::Lease(newer));
    assert_eq!(contest::table_of(&write(&mut group, 100)), Some(owned_by_a(2, 8)));
}

#[test]
fn names_of_memberships_are_dns_subdomains() {
    assert_eq!(
        member_lease_name("blue", "Host_1.example_"),
        "windlass-blue-host-1.example"
    );
}
