//! Who should lead what, so that leases spread evenly over the members.
//!
//! Nobody decides this alone: every member computes it from the same list of leases, and
//! only *delays* its own attempt or *offers* to hand over. When views differ for a moment,
//! somebody gets a lease a little later or keeps one a little longer; safety never depends
//! on it. The load of a member is the number of leases it holds: unlike hashing of names this
//! is exact for a handful of modules too, and it moves the fewest leases. Hashing breaks ties.

use std::collections::BTreeMap;

use smol_str::SmolStr;

use crate::shard::hash::score;

/// One lease and who wants it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contested {
    /// The live member that holds it.
    pub holder: Option<SmolStr>,
    /// Live members that contend for it, the holder among them.
    pub candidates: Vec<SmolStr>,
}

/// A proposed change of holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// The lease.
    pub lease: SmolStr,
    /// Its holder.
    pub from: SmolStr,
    /// A member with less to do.
    pub to: SmolStr,
}

type Loads = BTreeMap<SmolStr, usize>;

fn loads(leases: &BTreeMap<SmolStr, Contested>) -> Loads {
    let mut loads = Loads::new();
    for contested in leases.values() {
        for candidate in &contested.candidates {
            loads.entry(candidate.clone()).or_default();
        }
        if let Some(holder) = &contested.holder {
            *loads.entry(holder.clone()).or_default() += 1;
        }
    }
    loads
}

fn load(loads: &Loads, member: &str) -> usize {
    loads.get(member).copied().unwrap_or_default()
}

/// For each lease that a member does not hold, how many others should try before it when
/// the lease becomes free. Leases of one holder are taken as becoming free together.
#[must_use]
pub fn positions(leases: &BTreeMap<SmolStr, Contested>, member: &str) -> BTreeMap<SmolStr, u32> {
    let present = loads(leases);
    let mut by_holder: BTreeMap<Option<&SmolStr>, Vec<&SmolStr>> = BTreeMap::new();
    for (lease, contested) in leases {
        let holder = contested.holder.as_ref();
        if holder.is_none_or(|holder| holder != member) {
            by_holder.entry(holder).or_default().push(lease);
        }
    }
    let mut positions = BTreeMap::new();
    for (holder, freed) in by_holder {
        let mut loads = present.clone();
        for lease in freed {
            let candidates = leases.get(lease).map_or(&[][..], |lease| &lease.candidates);
            let mut order: Vec<&SmolStr> = candidates
                .iter()
                .filter(|candidate| Some(*candidate) != holder)
                .collect();
            order.sort_by_key(|candidate| {
                (
                    load(&loads, candidate),
                    std::cmp::Reverse(score(lease, candidate)),
                )
            });
            if let Some(position) = order.iter().position(|candidate| *candidate == member) {
                positions.insert(lease.clone(), u32::try_from(position).unwrap_or(u32::MAX));
            }
            if let Some(first) = order.first() {
                *loads.entry((*first).clone()).or_default() += 1;
            }
        }
    }
    positions
}

/// The fewest moves after which no member leads two leases more than another that could
/// lead one of them.
#[must_use]
pub fn moves(leases: &BTreeMap<SmolStr, Contested>) -> Vec<Move> {
    let mut loads = loads(leases);
    let mut held: BTreeMap<&SmolStr, BTreeMap<&SmolStr, &[SmolStr]>> = BTreeMap::new();
    for (lease, contested) in leases {
        if let Some(holder) = &contested.holder {
            held.entry(holder)
                .or_default()
                .insert(lease, &contested.candidates);
        }
    }
    let mut moves = Vec::new();
    while let Some(next) = next_move(&held, &loads) {
        if let Some(held) = held.get_mut(&next.from) {
            held.remove(&next.lease);
        }
        *loads.entry(next.from.clone()).or_default() -= 1;
        *loads.entry(next.to.clone()).or_default() += 1;
        moves.push(next);
    }
    moves
}

fn next_move(held: &BTreeMap<&SmolStr, BTreeMap<&SmolStr, &[SmolStr]>>, loads: &Loads) -> Option<Move> {
    let mut holders: Vec<&SmolStr> = held.keys().copied().collect();
    holders.sort_by_key(|holder| std::cmp::Reverse(load(loads, holder)));
    holders.into_iter().find_map(|from| {
        let own = load(loads, from);
        let (lease, to) = held
            .get(from)?
            .iter()
            .flat_map(|(lease, candidates)| candidates.iter().map(move |to| (*lease, to)))
            .filter(|(_, to)| load(loads, to) + 2 <= own)
            .min_by_key(|(lease, to)| (load(loads, to), std::cmp::Reverse(score(lease, to))))?;
        Some(Move {
            lease: lease.clone(),
            from: from.clone(),
            to: to.clone(),
        })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn group(holders: &[Option<usize>], members: usize) -> BTreeMap<SmolStr, Contested> {
        let candidates: Vec<SmolStr> = (0..members).map(|member| format!("m{member}").into()).collect();
        let lease = |(index, holder): (usize, &Option<usize>)| {
            let contested = Contested {
                holder: holder.map(|holder| candidates[holder % members].clone()),
                candidates: candidates.clone(),
            };
            (format!("lease-{index}").into(), contested)
        };
        holders.iter().enumerate().map(lease).collect()
    }

    fn spread(leases: &BTreeMap<SmolStr, Contested>) -> usize {
        let loads = loads(leases);
        loads.values().max().unwrap_or(&0) - loads.values().min().unwrap_or(&0)
    }

    #[test]
    fn a_member_that_joins_gets_its_share_and_no_other_lease_moves() {
        let leases = group(&(0..30).map(|lease| Some(lease % 2)).collect::<Vec<_>>(), 3);
        let moves = moves(&leases);
        assert_eq!(moves.len(), 10);
        assert!(moves.iter().all(|one| one.to == "m2"));
    }

    #[test]
    fn the_leases_of_one_that_dies_are_shared_by_the_others() {
        let leases = group(&(0..30).map(|lease| Some(lease % 3)).collect::<Vec<_>>(), 3);
        let first = |member| {
            let mine = positions(&leases, member);
            (0..30)
                .filter(|lease| lease % 3 == 0 && mine[&*format!("lease-{lease}")] == 0)
                .count()
        };
        assert_eq!((first("m1"), first("m2")), (5, 5));
    }

    #[test]
    fn a_lease_is_never_moved_to_one_who_does_not_contend_for_it() {
        let mut leases = group(&[Some(0); 6], 2);
        for contested in leases.values_mut() {
            contested.candidates.truncate(1);
        }
        assert_eq!(moves(&leases), []);
    }

    proptest! {
        #[test]
        fn moves_end_in_balance_and_every_first_position_is_taken_once(
            holders in proptest::collection::vec(proptest::option::of(0_usize..6), 1..40),
            members in 1_usize..6,
        ) {
            let mut leases = group(&holders, members);
            let everyone: Vec<_> = (0..members).map(|member| positions(&leases, &format!("m{member}"))).collect();
            for (lease, contested) in &leases {
                let first = everyone.iter().filter(|one| one.get(lease) == Some(&0)).count();
                let expected = usize::from(members > usize::from(contested.holder.is_some()));
                prop_assert_eq!(first, expected);
            }
            leases.retain(|_, contested| contested.holder.is_some());
            for one in moves(&leases) {
                leases.get_mut(&one.lease).unwrap().holder = Some(one.to);
            }
            prop_assert!(spread(&leases) <= 1);
        }
    }
}
