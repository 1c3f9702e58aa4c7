//! One scheduling cycle: which node a pod of a class goes to.

use crate::classes::{Class, OUT};
use crate::config::{Config, Sampling};
use crate::model::Model;
use crate::model::node::Nodes;
use crate::plugins::node_affinity::{self, Narrowed};
use crate::topology::Candidates;

/// Sums with [`OUT`] in them are below this, real scores above.
const REAL: i32 = OUT / 2;

/// Where searches start, so that equal nodes take turns.
#[derive(Debug, Default)]
pub(crate) struct Rotation {
    /// Where a sample starts in the visiting order.
    sample: usize,
    /// Where the search for the best score starts.
    ties: usize,
}

/// What a single pod asks for beyond what its class does.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wishes<'a> {
    /// The only node it may go to.
    pub(crate) pinned: Option<&'a str>,
    /// A node that was set aside for it: taken if feasible.
    pub(crate) nominated: Option<&'a str>,
}

/// The best feasible node for a pod of a class that has caught up with the model.
pub(crate) fn choose(
    class: &Class,
    model: &mut Model,
    wishes: Wishes<'_>,
    rotation: &mut Rotation,
    config: &Config,
) -> Option<u32> {
    let open = open_groups(class);
    let narrowed = node_affinity::narrow(&class.shape, wishes.pinned, config);
    let nominated = wishes
        .nominated
        .filter(|name| narrowed.allows(name))
        .and_then(|name| model.nodes.slot(name));
    if let Some(slot) = nominated.filter(|slot| is_feasible(class, &open, *slot as usize)) {
        return Some(slot);
    }
    match narrowed {
        Narrowed::Conflict => None,
        Narrowed::To(names) => {
            let slots: Vec<u32> = names.iter().filter_map(|name| model.nodes.slot(name)).collect();
            best_of_list(class, &open, slots, config)
        }
        Narrowed::All if config.sampling == Sampling::AllNodes => best_of_all(class, &open, rotation, config),
        Narrowed::All => {
            let slots = sample(class, &open, &mut model.nodes, rotation, config);
            best_of_list(class, &open, slots, config)
        }
    }
}

/// The nodes that the built-in filters accept.
#[derive(Debug, Default)]
pub(crate) struct Feasible {
    /// All of them, from where the last search ended.
    pub(crate) slots: Vec<u32>,
    /// The one that was set aside for the pod, if it is among them.
    pub(crate) nominated: Option<u32>,
}

/// Every feasible node for a pod of a class that has caught up with the model.
pub(crate) fn feasible(
    class: &Class,
    model: &Model,
    wishes: Wishes<'_>,
    rotation: &Rotation,
    config: &Config,
) -> Feasible {
    let open = open_groups(class);
    let slot_count = class.base.len();
    let start = rotation.ties % slot_count.max(1);
    let mut slots: Vec<u32> = match node_affinity::narrow(&class.shape, wishes.pinned, config) {
        Narrowed::Conflict => Vec::new(),
        Narrowed::To(names) => names.iter().filter_map(|name| model.nodes.slot(name)).collect(),
        Narrowed::All => (start..slot_count)
            .chain(0..start)
            .filter_map(|slot| u32::try_from(slot).ok())
            .collect(),
    };
    slots.retain(|slot| is_feasible(class, &open, *slot as usize));
    let nominated = wishes.nominated.and_then(|name| model.nodes.slot(name));
    Feasible {
        nominated: nominated.filter(|slot| slots.contains(slot)),
        slots,
    }
}

/// The best of some feasible slots, each with a score of its own on top.
pub(crate) fn best_of(
    class: &Class,
    slots: Vec<u32>,
    extra: &[i64],
    rotation: &mut Rotation,
    config: &Config,
) -> Option<u32> {
    let open = open_groups(class);
    let scores = group_scores(class, &open, &counts(class, &slots), config);
    let total = |(slot, extra): &(u32, &i64)| total(class, &scores, *slot) + *extra;
    // The first one of the best: `max_by_key` would take the last.
    let (slot, _) = slots.into_iter().zip(extra).rev().max_by_key(total)?;
    rotation.ties = slot as usize + 1;
    Some(slot)
}

/// How many of some slots each group has.
fn counts(class: &Class, slots: &[u32]) -> Vec<u32> {
    let mut counts = vec![0; class.groups.len()];
    for slot in slots {
        if let Some(count) = counts.get_mut(class.groups.group(*slot as usize)) {
            *count += 1;
        }
    }
    counts
}

fn total(class: &Class, scores: &[i32], slot: u32) -> i64 {
    let base = class.base.get(slot as usize).copied().unwrap_or(OUT);
    let group = class.groups.group(slot as usize);
    i64::from(base) + i64::from(scores.get(group).copied().unwrap_or(OUT))
}

/// Which groups no filter rejects. Empty stands for: all of them.
fn open_groups(class: &Class) -> Vec<bool> {
    let Some(topology) = class.topology() else {
        return Vec::new();
    };
    let standing = topology.standing();
    let groups = 0..class.groups.len();
    groups
        .map(|group| {
            topology
                .rejection(class.groups.signature(group), &standing)
                .is_none()
        })
        .collect()
}

fn is_open(open: &[bool], group: usize) -> bool {
    open.is_empty() || open.get(group) == Some(&true)
}

fn is_feasible(class: &Class, open: &[bool], slot: usize) -> bool {
    class.base.get(slot).is_some_and(|base| *base != OUT) && is_open(open, class.groups.group(slot))
}

/// The score of each group, or [`OUT`], given how many candidates each one has.
fn group_scores(class: &Class, open: &[bool], counts: &[u32], config: &Config) -> Vec<i32> {
    let groups = (0..)
        .zip(counts)
        .filter(|(group, count)| **count > 0 && is_open(open, *group));
    let (ids, candidates): (Vec<usize>, Vec<Candidates<'_>>) = groups
        .map(|(group, count)| {
            (
                group,
                Candidates {
                    signature: class.groups.signature(group),
                    count: *count,
                },
            )
        })
        .unzip();
    let mut scores = vec![OUT; counts.len()];
    for (group, score) in ids.into_iter().zip(class.group_scores(&candidates, config)) {
        if let Some(entry) = scores.get_mut(group) {
            *entry = i32::try_from(score).unwrap_or(i32::MAX / 2);
        }
    }
    scores
}

fn best_of_all(class: &Class, open: &[bool], rotation: &mut Rotation, config: &Config) -> Option<u32> {
    let start = if rotation.ties < class.base.len() {
        rotation.ties
    } else {
        0
    };
    let scores = group_scores(class, open, class.groups.feasible(), config);
    let (first_base, last_base) = class.base.split_at_checked(start)?;
    let best = match scores.as_slice() {
        [OUT] => None,
        [_] => first_of_highest(last_base, first_base),
        _ => {
            let (first_of, last_of) = class.groups.of.split_at_checked(start)?;
            let last = highest_total(last_base, last_of, &scores);
            let first = highest_total(first_base, first_of, &scores);
            match (last, first) {
                (Some((last, at)), Some((first, _))) if last >= first => Some(at),
                (Some((_, at)), None) => Some(at),
                (_, first) => first.map(|(_, at)| at + last_base.len()),
            }
        }
    };
    let slot = (start + best?) % class.base.len();
    rotation.ties = slot + 1;
    u32::try_from(slot).ok()
}

/// The first place of the highest real score in two slices, the second one continuing the first.
fn first_of_highest(first: &[i32], second: &[i32]) -> Option<usize> {
    let highest = |scores: &[i32]| scores.iter().copied().max().unwrap_or(OUT);
    let best = highest(first).max(highest(second));
    if best <= REAL {
        return None;
    }
    let in_first = first.iter().position(|score| *score == best);
    in_first.or_else(|| Some(first.len() + second.iter().position(|score| *score == best)?))
}

/// The highest real sum of base and group score, and its first place.
fn highest_total(base: &[i32], of: &[u32], scores: &[i32]) -> Option<(i32, usize)> {
    let mut best = (REAL, usize::MAX);
    for (at, (base, group)) in base.iter().zip(of).enumerate() {
        let total = base + scores.get(*group as usize).copied().unwrap_or(OUT);
        if total > best.0 {
            best = (total, at);
        }
    }
    (best.1 != usize::MAX).then_some(best)
}

/// Feasible slots from where the last sample ended until there are enough.
fn sample(
    class: &Class,
    open: &[bool],
    nodes: &mut Nodes,
    rotation: &mut Rotation,
    config: &Config,
) -> Vec<u32> {
    let order = nodes.visiting_order();
    let wanted = config.feasible_nodes_to_find(order.len());
    let start = if rotation.sample < order.len() {
        rotation.sample
    } else {
        0
    };
    let mut slots = Vec::with_capacity(wanted);
    let mut visited = 0;
    for slot in order.iter().cycle().skip(start).take(order.len()) {
        if slots.len() == wanted {
            break;
        }
        visited += 1;
        if is_feasible(class, open, *slot as usize) {
            slots.push(*slot);
        }
    }
    rotation.sample = (start + visited) % order.len().max(1);
    slots
}

fn best_of_list(class: &Class, open: &[bool], mut slots: Vec<u32>, config: &Config) -> Option<u32> {
    slots.retain(|slot| is_feasible(class, open, *slot as usize));
    let scores = group_scores(class, open, &counts(class, &slots), config);
    // The first one of the best: `max_by_key` would take the last.
    slots
        .into_iter()
        .rev()
        .max_by_key(|slot| total(class, &scores, *slot))
}

/// The total score of every feasible node: what a choice among all nodes is made from.
#[cfg(test)]
pub(crate) fn totals(class: &Class, config: &Config) -> Vec<(u32, i32)> {
    let open = open_groups(class);
    let scores = group_scores(class, &open, class.groups.feasible(), config);
    let feasible = (0..class.base.len()).filter(|slot| is_feasible(class, &open, *slot));
    feasible
        .map(|slot| (slot as u32, class.base[slot] + scores[class.groups.group(slot)]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_nodes_take_turns() {
        assert_eq!(first_of_highest(&[1, 5, OUT], &[5, 2]), Some(1));
        assert_eq!(first_of_highest(&[1, OUT], &[5, 5]), Some(2));
        assert_eq!(first_of_highest(&[OUT], &[OUT]), None);
        assert_eq!(
            highest_total(&[3, OUT, 3, 4], &[0, 0, 1, 2], &[10, 10, OUT]),
            Some((13, 0))
        );
        assert_eq!(highest_total(&[3], &[0], &[OUT]), None);
    }
}
