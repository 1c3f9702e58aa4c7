//! Old ReplicaSets are kept to roll back to, but not for ever.

use windlass_sdk::{Error, Object as _, default_delete};

use crate::pass::Pass;
use crate::replica_sets::{ReplicaSets, by_age};
use crate::types::{ReplicaSet, Set};
use crate::{annotations, numbers};

impl Pass<'_> {
    /// Deletes the lowest revisions beyond the limit. One that still has pods, or is
    /// about to, counts but stays. The first failure ends it, so as not to press a
    /// server that is in trouble.
    pub(crate) async fn clean_up_history(&self, sets: &ReplicaSets) -> Result<(), Error> {
        let Some(limit) = numbers::history_limit(&self.deployment) else {
            return Ok(());
        };
        let mut kept: Vec<&Set> = sets
            .old
            .iter()
            .filter(|set| !set.metadata.is_deleting())
            .collect();
        let surplus = kept.len().saturating_sub(limit);
        kept.sort_by(|a, b| by_revision(a, b));
        for set in kept.into_iter().take(surplus).filter(|set| is_idle(set)) {
            match self
                .sync
                .client::<ReplicaSet>()
                .delete(&set.key(), default_delete())
                .await
            {
                Err(error) if !error.is_not_found() => return Err(error.into()),
                _ => {}
            }
        }
        Ok(())
    }
}

fn by_revision(a: &Set, b: &Set) -> std::cmp::Ordering {
    let revision = |set: &Set| annotations::revision(&set.metadata);
    revision(a).cmp(&revision(b)).then_with(|| by_age(a, b))
}

fn is_idle(set: &Set) -> bool {
    set.status.replicas == 0
        && set.spec.replicas == 0
        && set.metadata.generation <= set.status.observed_generation
}
