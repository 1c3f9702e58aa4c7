//! The garbage collector: deletes what has owners and none that exist, and carries out
//! foreground and orphaning deletion.
//!
//! Behaves as `pkg/controller/garbagecollector` of Kubernetes does. It watches the
//! metadata of every deletable resource, keeps the graph of owners in memory and rebuilds
//! it from the initial lists. The keys of its queue are not objects' but actions on UIDs:
//! the namespace says what to do, the name is the UID.

mod absent_owners;
mod api;
mod attempt_to_delete;
mod attempt_to_orphan;
mod graph;
mod identity;
mod metadata;

#[cfg(test)]
mod tests;

use std::cell::RefCell;

use windlass_sdk::recorder::{Event, EventType, ObjectReference, record};
use windlass_sdk::{
    Batch, Controller, DeltaKind, Error, Item, Manifest, ObjectKey, Observer, Outcome, SyncContext, Watch,
    enqueue, export, warn,
};

use graph::{Effect, Graph, Kind};
use identity::{Identity, Symbol, Uid};
use metadata::Observed;

const VERBS: &[&str] = &["get", "list", "watch", "patch", "update", "delete"];
const ATTEMPT_TO_DELETE: &str = "attempt-to-delete";
const ATTEMPT_TO_ORPHAN: &str = "attempt-to-orphan";

/// See the crate's documentation.
struct GarbageCollector {
    graph: RefCell<Graph>,
}

impl Controller for GarbageCollector {
    fn manifest() -> Manifest {
        Manifest::new("garbage-collector-controller", env!("CARGO_PKG_VERSION"))
            .workers(20)
            .watch(Watch::discovered(&["/events", "events.k8s.io/events"]).observe())
            .permit(&["*"], &["*"], VERBS)
            // No wildcard covers these, and they have owners like everything else.
            .permit(&[""], &["secrets"], VERBS)
            .permit(&["windlass.dev"], &["controllermodules"], VERBS)
    }

    fn new() -> Self {
        Self {
            graph: RefCell::default(),
        }
    }

    async fn sync_handler(&self, sync: &SyncContext, key: ObjectKey) -> Result<Outcome, Error> {
        let uid = Uid::new(&key.name);
        match key.namespace.as_str() {
            ATTEMPT_TO_DELETE => attempt_to_delete::run(self, sync, &uid).await,
            ATTEMPT_TO_ORPHAN => attempt_to_orphan::run(self, sync, &uid).await,
            action => Err(Error::Terminal(format!("there is no action named {action:?}"))),
        }
    }
}

impl Observer for GarbageCollector {
    fn observe(&self, batches: Vec<Batch>) {
        self.with_graph(|graph| batches.iter().for_each(|batch| observe_batch(graph, batch)));
    }
}

impl GarbageCollector {
    /// Works on the graph, then passes on what follows from it. The only way to the
    /// graph, so that no borrow outlives an `await` and no effect is forgotten.
    fn with_graph<R>(&self, work: impl FnOnce(&mut Graph) -> R) -> R {
        let mut graph = self.graph.borrow_mut();
        let result = work(&mut graph);
        let items: Vec<Item> = graph.take_effects().into_iter().filter_map(carry_out).collect();
        if !items.is_empty() {
            enqueue(&items);
        }
        result
    }
}

fn observe_batch(graph: &mut Graph, batch: &Batch) {
    let resource = &batch.resource;
    let api_version = if resource.group.is_empty() {
        Symbol::new(&resource.version)
    } else {
        Symbol::new(&format!("{}/{}", resource.group, resource.version))
    };
    let kind = Kind {
        api_version,
        kind: Symbol::new(&batch.kind),
    };
    for delta in &batch.deltas {
        match (Observed::parse(&delta.body), delta.kind) {
            (Ok(observed), DeltaKind::Added | DeltaKind::Updated) => graph.upsert(kind, observed),
            (Ok(observed), DeltaKind::Deleted) => graph.delete(kind, &observed),
            (Err(error), _) => {
                warn!(
                    "an object's metadata does not parse, it is ignored",
                    kind = batch.kind,
                    object = delta.key,
                    error = error
                );
            }
        }
    }
}

/// The queue's item for an effect; an event is recorded at once.
fn carry_out(effect: Effect) -> Option<Item> {
    let item = |action: &str, uid: Uid, after_ms| Item {
        key: ObjectKey::new(action, uid.to_string()),
        after_ms,
        priority: 0,
    };
    match effect {
        Effect::AttemptToDelete { uid, after } => Some(item(
            ATTEMPT_TO_DELETE,
            uid,
            u64::try_from(after.as_millis()).unwrap_or(u64::MAX),
        )),
        Effect::AttemptToOrphan { uid } => Some(item(ATTEMPT_TO_ORPHAN, uid, 0)),
        Effect::InvalidNamespace { child, owner } => {
            record(invalid_namespace(&child, &owner));
            None
        }
    }
}

fn invalid_namespace(child: &Identity, owner: &Identity) -> Event {
    let namespace = child.at.namespace.as_str();
    Event {
        regarding: ObjectReference {
            api_version: child.at.api_version.as_str().to_owned(),
            kind: child.at.kind.as_str().to_owned(),
            namespace: namespace.to_owned(),
            name: child.at.name.to_string(),
            uid: child.uid.to_string(),
            resource_version: String::new(),
        },
        event_type: EventType::Warning,
        reason: "OwnerRefInvalidNamespace".to_owned(),
        message: format!("ownerRef {owner} does not exist in namespace {namespace:?}"),
        action: String::new(),
    }
}

export!(GarbageCollector, observer);
