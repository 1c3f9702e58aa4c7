//! Sizes of ReplicaSets: writing one, and sharing a change among several.

use windlass_sdk::recorder::normal;
use windlass_sdk::{Client, Error, Object as _};

use crate::annotations::{self, MAX_REPLICAS};
use crate::numbers;
use crate::pass::{Pass, malformed};
use crate::replica_sets::{ReplicaSets, by_age};
use crate::types::Set;

impl Pass<'_> {
    /// While paused, or when the wanted number changed during a rollout: sizes follow,
    /// templates do not.
    pub(crate) async fn sync_scale(&mut self, sets: &mut ReplicaSets) -> Result<(), Error> {
        self.scale(sets).await?;
        if self.deployment.spec.paused && annotations::rollback_to(&self.deployment.metadata).is_none() {
            self.clean_up_history(sets).await?;
        }
        self.sync_status(sets);
        Ok(())
    }

    async fn scale(&self, sets: &mut ReplicaSets) -> Result<(), Error> {
        let wanted = self.deployment.spec.replicas;
        let active = sets.all().filter(|set| set.spec.replicas > 0).count();
        if active <= 1 {
            return match active_or_latest(sets) {
                Some(set) => self.resize(set, wanted).await.map(drop),
                None => Ok(()),
            };
        }
        if sets.new.as_ref().is_some_and(|set| self.is_saturated(set)) {
            for set in sets.active_old() {
                self.resize(set, 0).await?;
            }
        } else if self.deployment.spec.strategy.is_rolling_update() {
            self.scale_proportionally(sets).await?;
        }
        Ok(())
    }

    /// The new ReplicaSet is all that is wanted, and knows it.
    fn is_saturated(&self, set: &Set) -> bool {
        let wanted = self.deployment.spec.replicas;
        set.spec.replicas == wanted
            && annotations::number(&set.metadata, annotations::DESIRED_REPLICAS) == Some(wanted)
            && set.status.available_replicas == wanted
    }

    /// A change in the middle of a rollout is shared by size, so that a bad template
    /// does not get all of it. What rounding leaves over goes to the largest.
    async fn scale_proportionally(&self, sets: &mut ReplicaSets) -> Result<(), Error> {
        let wanted = self.deployment.spec.replicas;
        let allowed = if wanted > 0 {
            wanted + numbers::max_surge(&self.deployment)
        } else {
            0
        };
        let to_add = allowed - sets.wanted();
        let mut active: Vec<&mut Set> = sets
            .old
            .iter_mut()
            .chain(&mut sets.new)
            .filter(|set| set.spec.replicas > 0)
            .collect();
        active.sort_by(|a, b| {
            let age = if to_add > 0 { by_age(b, a) } else { by_age(a, b) };
            b.spec.replicas.cmp(&a.spec.replicas).then(age)
        });
        let mut sizes: Vec<i64> = Vec::with_capacity(active.len());
        let mut added = 0;
        for set in &active {
            let max_before = annotations::number(&set.metadata, MAX_REPLICAS);
            let share = numbers::proportion(&self.deployment, set.spec.replicas, max_before, to_add, added);
            sizes.push(set.spec.replicas + share);
            added += share;
        }
        if let Some(largest) = sizes.first_mut() {
            *largest = (*largest + to_add - added).max(0);
        }
        for (set, size) in active.into_iter().zip(sizes) {
            self.write_size(set, size).await?;
        }
        Ok(())
    }

    /// Writes a size if it changes; returns whether it did.
    pub(crate) async fn resize(&self, set: &mut Set, size: i64) -> Result<bool, Error> {
        if set.spec.replicas == size {
            Ok(false)
        } else {
            self.write_size(set, size).await
        }
    }

    /// Writes a size, and what the Deployment wants altogether, if either changes.
    /// Returns whether the size did.
    async fn write_size(&self, set: &mut Set, size: i64) -> Result<bool, Error> {
        let (before, wanted) = (set.spec.replicas, self.deployment.spec.replicas);
        let notes = annotations::sizes(wanted, wanted + numbers::max_surge(&self.deployment));
        let noted = notes
            .iter()
            .all(|(name, value)| set.metadata.annotation(name) == Some(value));
        if before == size && noted {
            return Ok(false);
        }
        let mut document = set.document();
        document.set(&["spec", "replicas"], &size).map_err(malformed)?;
        for (name, value) in &notes {
            document
                .set(&["metadata", "annotations", name], value)
                .map_err(malformed)?;
        }
        let client: Client<Set> = self.sync.client();
        *set = client.update(&set.key(), document).await?;
        if before != size {
            let direction = if before < size { "up" } else { "down" };
            let message = format!(
                "Scaled {direction} replica set {} from {before} to {size}",
                set.metadata.name
            );
            normal(&self.deployment, "ScalingReplicaSet", message);
        }
        Ok(before != size)
    }
}

/// Of at most one active ReplicaSet: that one, else the new one, else the newest old one.
fn active_or_latest(sets: &mut ReplicaSets) -> Option<&mut Set> {
    if let Some(position) = sets.old.iter().position(|set| set.spec.replicas > 0) {
        return sets.old.get_mut(position);
    }
    sets.new.as_mut().or(sets.old.last_mut())
}
