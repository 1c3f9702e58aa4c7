//! Rolling updates: `pkg/controller/deployment/rolling.go`.

use windlass_sdk::{Error, warn};

use crate::numbers;
use crate::pass::Pass;
use crate::replica_sets::ReplicaSets;
use crate::status::is_complete;

impl Pass<'_> {
    /// One step: up, or else down, or else tidy up.
    pub(crate) async fn roll(&mut self, sets: &mut ReplicaSets) -> Result<(), Error> {
        self.ensure_new(sets).await?;
        let moved = self.grow_new(sets).await? || self.shrink_old(sets).await;
        if !moved && is_complete(&self.deployment, &self.deployment.status) {
            self.clean_up_history(sets).await?;
        }
        self.sync_rollout_status(sets);
        Ok(())
    }

    async fn grow_new(&self, sets: &mut ReplicaSets) -> Result<bool, Error> {
        let (total, wanted) = (sets.wanted(), self.deployment.spec.replicas);
        let Some(new) = &mut sets.new else {
            return Ok(false);
        };
        let size = if new.spec.replicas > wanted {
            wanted
        } else {
            numbers::new_replicas(&self.deployment, new.spec.replicas, total)
        };
        self.resize(new, size).await
    }

    /// A failure here is no failure of the sync: the status is written all the same, and
    /// the next event brings another try.
    async fn shrink_old(&self, sets: &mut ReplicaSets) -> bool {
        match self.try_shrink_old(sets).await {
            Ok(scaled_down) => scaled_down > 0,
            Err(error) => {
                warn!("old replica sets were not scaled down", error = error);
                false
            }
        }
    }

    async fn try_shrink_old(&self, sets: &mut ReplicaSets) -> Result<i64, Error> {
        let new_unavailable = sets
            .new
            .as_ref()
            .map_or(0, |new| new.spec.replicas - new.status.available_replicas);
        let budget = sets.wanted() - self.min_available() - new_unavailable;
        if budget <= 0 || sets.active_old().next().is_none() {
            return Ok(0);
        }
        let unhealthy = self.drop_unhealthy(sets, budget).await?;
        Ok(unhealthy + self.drop_available(sets).await?)
    }

    /// Pods that are not available go first: nobody misses them.
    async fn drop_unhealthy(&self, sets: &mut ReplicaSets, budget: i64) -> Result<i64, Error> {
        let mut done = 0;
        for set in sets.active_old() {
            let count = (set.spec.replicas - set.status.available_replicas).min(budget - done);
            if count > 0 {
                let size = set.spec.replicas - count;
                self.resize(set, size).await?;
                done += count;
            }
        }
        Ok(done)
    }

    /// As many as availability allows, from the oldest on.
    async fn drop_available(&self, sets: &mut ReplicaSets) -> Result<i64, Error> {
        let budget = sets.available() - self.min_available();
        let mut done = 0;
        for set in sets.active_old() {
            let count = set.spec.replicas.min(budget - done);
            if count > 0 {
                let size = set.spec.replicas - count;
                self.resize(set, size).await?;
                done += count;
            }
        }
        Ok(done)
    }

    fn min_available(&self) -> i64 {
        self.deployment.spec.replicas - numbers::max_unavailable(&self.deployment)
    }
}
