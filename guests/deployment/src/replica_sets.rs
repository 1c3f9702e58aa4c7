//! The ReplicaSets of a Deployment: the one with its present template, and the rest.

use std::cmp::Ordering;

use windlass_sdk::Error;

use crate::template;
use crate::types::{Deployment, Set};

/// The owned ReplicaSets, old ones by age.
#[derive(Debug)]
pub(crate) struct ReplicaSets {
    /// The oldest with the Deployment's template.
    pub(crate) new: Option<Set>,
    /// All others, oldest first.
    pub(crate) old: Vec<Set>,
}

impl ReplicaSets {
    pub(crate) fn split(mut sets: Vec<Set>, deployment: &Deployment) -> Result<Self, Error> {
        sets.sort_by(by_age);
        let wanted = template::parse(&deployment.spec.template)?;
        for position in 0..sets.len() {
            let Some(set) = sets.get(position) else { break };
            if template::matches(&wanted, &set.spec.template)? {
                let new = sets.remove(position);
                return Ok(Self {
                    new: Some(new),
                    old: sets,
                });
            }
        }
        Ok(Self { new: None, old: sets })
    }

    /// The old ones by age, then the new one.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Set> {
        self.old.iter().chain(&self.new)
    }

    /// Sizes as wanted, summed up.
    pub(crate) fn wanted(&self) -> i64 {
        self.all().map(|set| set.spec.replicas).sum()
    }

    /// Pods that are available, summed up.
    pub(crate) fn available(&self) -> i64 {
        self.all().map(|set| set.status.available_replicas).sum()
    }

    /// Old ones that want pods, oldest first.
    pub(crate) fn active_old(&mut self) -> impl Iterator<Item = &mut Set> {
        self.old.iter_mut().filter(|set| set.spec.replicas > 0)
    }
}

/// Older first, then by name.
pub(crate) fn by_age(a: &Set, b: &Set) -> Ordering {
    let key = |set: &Set| set.metadata.creation_timestamp;
    key(a)
        .cmp(&key(b))
        .then_with(|| a.metadata.name.cmp(&b.metadata.name))
}
