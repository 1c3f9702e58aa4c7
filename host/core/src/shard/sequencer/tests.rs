use super::*;

fn present(session: u64, table: &Table) -> MemberView {
    MemberView::Present(Claim {
        session,
        lineage: table.epoch.lineage,
        epoch: table.epoch.number,
    })
}

fn view(members: &[(&str, MemberView)]) -> View {
    members
        .iter()
        .map(|(name, member)| ((*name).into(), *member))
        .collect()
}

/// How many slots each owns, in the order of the names, and how many nobody owns.
fn counts(table: &Table, members: &[(&str, u64)]) -> Vec<u32> {
    let owned = |(identity, session): &(&str, u64)| {
        let identity = (*identity).into();
        let session = *session;
        table.owned_by(&Participant { identity, session }).len()
    };
    members.iter().map(owned).collect()
}

/// The table after members confirmed everything that came.
fn settled(mut table: Table, members: &[(&str, u64)]) -> Table {
    for _ in 0..4 {
        let views: Vec<_> = members
            .iter()
            .map(|(name, session)| (*name, present(*session, &table)))
            .collect();
        match advance(Some(&table), &view(&views), 1) {
            Some(next) => table = next,
            None => return table,
        }
    }
    panic!("never settles: {table:?}");
}

#[test]
fn slots_are_exactly_even_and_only_what_a_newcomer_gets_moves() {
    let two = settled(Table::unsettled(1), &[("a", 1), ("b", 2)]);
    assert_eq!(counts(&two, &[("a", 1), ("b", 2)]), [128, 128]);
    let members = [("a", 1), ("b", 2), ("c", 3)];
    let three = settled(two.clone(), &members);
    assert_eq!(counts(&three, &members), [86, 85, 85]);
    let moved = (0..SLOTS).filter(|slot| {
        let owner = |table: &Table| match table.slots[usize::from(*slot)] {
            Slot::Owned(index) => table.participants[usize::from(index)].clone(),
            _ => panic!("not settled"),
        };
        owner(&two) != owner(&three)
    });
    assert_eq!(moved.count(), 85);
}

#[test]
fn a_slot_is_given_away_only_when_its_owner_has_confirmed_this_very_table() {
    let one = settled(Table::unsettled(1), &[("a", 1)]);
    let stale = present(1, &one);
    let draining = advance(Some(&one), &view(&[("a", stale), ("b", present(1, &one))]), 1).unwrap();
    let members = [("a", 1), ("b", 1)];
    assert_eq!(counts(&draining, &members), [128, 0]);
    let unconfirmed = view(&[("a", stale), ("b", present(1, &draining))]);
    assert_eq!(advance(Some(&draining), &unconfirmed, 1), None);
    let unheard = view(&[("a", MemberView::Unheard), ("b", present(1, &draining))]);
    assert_eq!(advance(Some(&draining), &unheard, 1), None);
    assert_eq!(counts(&settled(draining, &members), &members), [128, 128]);
}

#[test]
fn one_that_is_back_under_another_session_must_confirm_first() {
    let members = [("a", 1), ("b", 1)];
    let table = settled(Table::unsettled(1), &members);
    let mut back = present(2, &table);
    let next = advance(Some(&table), &view(&[("a", back), ("b", present(1, &table))]), 1).unwrap();
    assert_eq!(counts(&next, &[("a", 1), ("a", 2), ("b", 1)]), [0, 0, 128]);
    assert_eq!(
        advance(Some(&next), &view(&[("a", back), ("b", present(1, &next))]), 1),
        None
    );
    back = present(2, &next);
    let last = advance(Some(&next), &view(&[("a", back), ("b", present(1, &next))]), 1).unwrap();
    assert_eq!(counts(&last, &[("a", 2), ("b", 1)]), [128, 128]);
}

#[test]
fn the_slots_of_one_that_is_gone_go_to_the_others_in_one_step() {
    let members = [("a", 1), ("b", 1), ("c", 1)];
    let table = settled(Table::unsettled(1), &members);
    let without = view(&[
        ("a", present(1, &table)),
        ("b", MemberView::Gone),
        ("c", present(1, &table)),
    ]);
    let next = advance(Some(&table), &without, 1).unwrap();
    assert_eq!(counts(&next, &members), [128, 0, 128]);
}

#[test]
fn without_a_table_everybody_must_confirm_a_new_line_before_anybody_gets_anything() {
    let old = settled(Table::unsettled(1), &[("a", 1)]);
    let members = view(&[("a", present(1, &old)), ("b", present(1, &old))]);
    let fresh = advance(None, &members, 77).unwrap();
    assert_eq!(fresh, Table::unsettled(77));
    assert_eq!(advance(Some(&fresh), &members, 77), None);
}

#[test]
fn more_members_than_a_table_has_room_for_stand_by() {
    let table = Table::unsettled(1);
    let names: Vec<String> = (0..200).map(|member| format!("m{member:03}")).collect();
    let members: Vec<_> = names
        .iter()
        .map(|name| (name.as_str(), present(1, &table)))
        .collect();
    let next = advance(Some(&table), &view(&members), 1).unwrap();
    assert_eq!(next.participants.len(), MAX_MEMBERS);
    assert!(next.is_settled());
}
