//! Makes an owner's dependents independent of it, then lets it go.
//!
//! Follows `attemptToOrphanWorker` of `pkg/controller/garbagecollector/garbagecollector.go`.

use windlass_sdk::{Error, Outcome, SyncContext, join_all};

use crate::GarbageCollector;
use crate::api::{Stop, drop_owners, remove_finalizer};
use crate::identity::{Identity, Uid};
use crate::metadata::ORPHAN;

/// Dependents patched at once.
const BATCH: usize = 100;

/// One worker's step.
pub(crate) async fn run(gc: &GarbageCollector, sync: &SyncContext, uid: &Uid) -> Result<Outcome, Error> {
    let found = gc.with_graph(|graph| {
        let owner = graph.node(uid)?;
        let identify = |uid: &Uid| graph.node(uid).map(|node| node.identity(uid));
        let dependents: Vec<Identity> = owner.dependents().iter().filter_map(identify).collect();
        Some((owner.identity(uid), dependents))
    });
    let Some((owner, dependents)) = found else {
        return Ok(Outcome::Done);
    };
    orphan(sync, &owner, &dependents).await?;
    match remove_finalizer(sync, &owner, ORPHAN).await {
        Ok(()) | Err(Stop::NamespacedOwner) => Ok(Outcome::Done),
        Err(Stop::Failed(error)) => Err(error),
    }
}

async fn orphan(sync: &SyncContext, owner: &Identity, dependents: &[Identity]) -> Result<(), Error> {
    let owners = [owner.uid.clone()];
    let mut errors = Vec::new();
    for batch in dependents.chunks(BATCH) {
        let results = join_all(
            batch
                .iter()
                .map(|dependent| drop_owners(sync, dependent, &owners)),
        )
        .await;
        errors.extend(results.into_iter().filter_map(failure));
    }
    match Error::aggregate(errors) {
        None => Ok(()),
        Some(error) => Err(Error::Retry(format!(
            "failed to orphan dependents of owner {owner}, got errors: {error}"
        ))),
    }
}

/// A dependent that is gone needs no orphaning.
fn failure(result: Result<(), Stop>) -> Option<Error> {
    match result {
        Ok(()) | Err(Stop::NamespacedOwner) => None,
        Err(Stop::Failed(Error::Api(error))) if error.is_not_found() => None,
        Err(Stop::Failed(error)) => Some(error),
    }
}
