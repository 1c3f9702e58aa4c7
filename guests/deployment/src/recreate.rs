//! Recreating: all old pods go before the first new one comes.

use windlass_sdk::Error;

use crate::PODS;
use crate::pass::Pass;
use crate::replica_sets::ReplicaSets;
use crate::status::is_complete;
use crate::types::Pod;

impl Pass<'_> {
    pub(crate) async fn recreate(&mut self, sets: &mut ReplicaSets) -> Result<(), Error> {
        let mut scaled_down = false;
        for set in sets.active_old() {
            scaled_down |= self.resize(set, 0).await?;
        }
        if !scaled_down && !self.old_pods_run(sets)? {
            self.ensure_new(sets).await?;
            if let Some(new) = &mut sets.new {
                self.resize(new, self.deployment.spec.replicas).await?;
            }
            if is_complete(&self.deployment, &self.deployment.status) {
                self.clean_up_history(sets).await?;
            }
        }
        self.sync_rollout_status(sets);
        Ok(())
    }

    /// The status may not tell yet, or no longer: a pod on its way out still runs.
    fn old_pods_run(&self, sets: &ReplicaSets) -> Result<bool, Error> {
        for set in &sets.old {
            if set.status.replicas > 0 {
                return Ok(true);
            }
            let runs = |pod: &Pod| {
                self.deployment.spec.selector.matches(&pod.metadata.labels)
                    && !matches!(pod.status.phase.as_str(), "Succeeded" | "Failed")
            };
            if PODS.by_owner(&set.metadata.uid)?.iter().any(runs) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
