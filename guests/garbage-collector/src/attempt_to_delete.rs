//! Looks into one object: does it exist, is it still owned, and must it go?
//!
//! Follows `attemptToDeleteItem` of `pkg/controller/garbagecollector/garbagecollector.go`.
//! Everything is decided on live objects; the graph only says where to look.

use windlass_sdk::{Error, Outcome, OwnerReference, PropagationPolicy, SyncContext, debug, join_all};

use crate::GarbageCollector;
use crate::api::{Stop, delete_object, drop_owners, locate, remove_finalizer, unblock_owners};
use crate::graph::Node;
use crate::identity::{Identity, OwnerRef, Symbol, Uid};
use crate::metadata::{FOREGROUND, LiveMetadata, ORPHAN};

/// One worker's step.
pub(crate) async fn run(gc: &GarbageCollector, sync: &SyncContext, uid: &Uid) -> Result<Outcome, Error> {
    let node = gc.with_graph(|graph| {
        if graph.settled(uid) {
            None
        } else {
            graph.node(uid).cloned()
        }
    });
    let Some(node) = node else {
        return Ok(Outcome::Done);
    };
    let item = node.identity(uid);
    match attempt(gc, sync, &node, &item).await {
        Ok(()) => Ok(poll_if_virtual(gc, uid)),
        Err(Stop::Failed(error)) => Err(error),
        Err(Stop::NamespacedOwner) => {
            debug!(
                "a cluster-scoped object names a namespaced owner, it is left alone",
                object = item
            );
            Ok(Outcome::Done)
        }
    }
}

/// An object that exists but was never observed is asked about until it is observed or
/// gone: one that came and went between two watches would stay in the graph for ever.
fn poll_if_virtual(gc: &GarbageCollector, uid: &Uid) -> Outcome {
    gc.with_graph(|graph| match graph.node(uid) {
        Some(node) if node.is_virtual() => Outcome::RequeueAfter(graph.next_poll(uid)),
        _ => Outcome::Done,
    })
}

async fn attempt(
    gc: &GarbageCollector,
    sync: &SyncContext,
    node: &Node,
    item: &Identity,
) -> Result<(), Stop> {
    if node.state.being_deleted && !node.is_deleting_dependents() {
        return Ok(());
    }
    let live = locate(&item.at)?.get(sync).await?;
    let Some(live) = live.filter(|live| live.uid == item.uid.to_string()) else {
        gc.with_graph(|graph| graph.found_absent(item.clone()));
        return Ok(());
    };
    if node.is_deleting_dependents() {
        return delete_dependents_first(gc, sync, item).await;
    }
    if live.owner_references.is_empty() {
        return Ok(());
    }
    let owners = classify(gc, sync, item, &live.owner_references).await?;
    if owners.solid > 0 {
        if owners.gone.is_empty() {
            return Ok(());
        }
        return drop_owners(sync, item, &owners.gone).await;
    }
    delete(gc, sync, item, &live, owners.waiting).await
}

/// The object goes once nothing blocks it any more; what blocks it is looked into.
async fn delete_dependents_first(
    gc: &GarbageCollector,
    sync: &SyncContext,
    item: &Identity,
) -> Result<(), Stop> {
    let blocked = gc.with_graph(|graph| {
        let dependents = graph.node(&item.uid).map(Node::dependents).unwrap_or_default();
        let mut blocked = false;
        for uid in dependents {
            let Some(dependent) = graph.node(&uid) else {
                continue;
            };
            let blocks = dependent
                .owners
                .iter()
                .any(|owner| owner.uid == item.uid && owner.blocks());
            blocked |= blocks;
            if blocks && !dependent.is_deleting_dependents() {
                graph.attempt_to_delete(&uid);
            }
        }
        blocked
    });
    if blocked {
        Ok(())
    } else {
        remove_finalizer(sync, item, FOREGROUND).await
    }
}

/// What became of an object's owners.
#[derive(Debug, Default)]
struct Owners {
    /// How many exist and stay.
    solid: usize,
    /// How many wait for their dependents to go first.
    waiting: usize,
    /// Those that are absent or waiting.
    gone: Vec<Uid>,
}

enum OwnerState {
    Solid,
    Dangling,
    Waiting,
}

async fn classify(
    gc: &GarbageCollector,
    sync: &SyncContext,
    item: &Identity,
    references: &[OwnerReference],
) -> Result<Owners, Stop> {
    let references: Vec<OwnerRef> = references.iter().map(OwnerRef::from).collect();
    let states = join_all(
        references
            .iter()
            .map(|reference| owner_state(gc, sync, item, reference)),
    )
    .await;
    let mut owners = Owners::default();
    for (reference, state) in references.into_iter().zip(states) {
        match state? {
            OwnerState::Solid => owners.solid += 1,
            OwnerState::Dangling => owners.gone.push(reference.uid),
            OwnerState::Waiting => {
                owners.waiting += 1;
                owners.gone.push(reference.uid);
            }
        }
    }
    Ok(owners)
}

async fn owner_state(
    gc: &GarbageCollector,
    sync: &SyncContext,
    item: &Identity,
    reference: &OwnerRef,
) -> Result<OwnerState, Stop> {
    let mut owner = reference.identity(Symbol::new(""));
    let known_absent = gc.with_graph(|graph| {
        graph.absent_owners.contains(&owner)
            || graph
                .absent_owners
                .contains(&reference.identity(item.at.namespace))
    });
    if known_absent {
        return Ok(OwnerState::Dangling);
    }
    owner.at.namespace = item.at.namespace;
    let location = locate(&owner.at)?;
    if location.is_cluster_scoped() {
        owner.at.namespace = Symbol::new("");
    }
    match location.get(sync).await? {
        Some(live) if live.uid == owner.uid.to_string() => {
            let waits = live.is_deleting_dependents();
            Ok(if waits {
                OwnerState::Waiting
            } else {
                OwnerState::Solid
            })
        }
        _ => {
            gc.with_graph(|graph| graph.absent_owners.add(owner));
            Ok(OwnerState::Dangling)
        }
    }
}

/// Deletes an object without solid owners.
async fn delete(
    gc: &GarbageCollector,
    sync: &SyncContext,
    item: &Identity,
    live: &LiveMetadata,
    waiting: usize,
) -> Result<(), Stop> {
    let node = gc.with_graph(|graph| graph.node(&item.uid).cloned());
    let has_dependents = node.as_ref().is_some_and(Node::has_dependents);
    if let Some(node) = node.filter(|_| waiting > 0 && has_dependents) {
        let cycle = gc.with_graph(|graph| {
            let waits = |uid: &Uid| graph.node(uid).is_some_and(Node::is_deleting_dependents);
            node.dependents().iter().any(waits)
        });
        // The dependent may in turn wait for this object: nobody would ever go first.
        if cycle {
            unblock_owners(sync, item, &node.owners).await?;
            let changed = locate(&item.at)?.get(sync).await?;
            let Some(live) = changed else { return Ok(()) };
            return delete_object(sync, item, &live, PropagationPolicy::Foreground).await;
        }
        return delete_object(sync, item, live, PropagationPolicy::Foreground).await;
    }
    let policy = if live.has_finalizer(ORPHAN) {
        PropagationPolicy::Orphan
    } else if live.has_finalizer(FOREGROUND) {
        PropagationPolicy::Foreground
    } else {
        PropagationPolicy::Background
    };
    delete_object(sync, item, live, policy).await
}
