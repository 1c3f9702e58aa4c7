//! Failing on purpose: lets tests see how clients take an API server that answers with
//! errors at random. Off by default.

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

use crate::status::Status;

/// How a request fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// 500.
    InternalError,
    /// 503.
    Unavailable,
    /// 429.
    TooManyRequests,
    /// 409.
    Conflict,
    /// The connection is closed without an answer.
    Drop,
    /// The request is carried out, then the connection is closed without an answer.
    DropAfter,
}

/// Which requests fail, how, and how often.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FaultRule {
    /// How.
    pub kind: FaultKind,
    /// How often, from 0 to 1.
    pub probability: f64,
    /// Verbs as authorisation knows them; all if empty.
    #[serde(default)]
    pub verbs: Vec<String>,
    /// Plural names of resources; all if empty.
    #[serde(default)]
    pub resources: Vec<String>,
}

/// Rules, tried in order for each request for a resource.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FaultPolicy {
    /// Makes the same requests in the same order fail in the same way.
    #[serde(default)]
    pub seed: u64,
    /// No rules, no faults.
    pub rules: Vec<FaultRule>,
}

/// The policy in force.
#[derive(Debug)]
pub(crate) struct Faults(Mutex<Option<(FaultPolicy, StdRng)>>);

impl Faults {
    pub(crate) fn new(policy: FaultPolicy) -> Self {
        let faults = Self(Mutex::new(None));
        faults.set(policy);
        faults
    }

    pub(crate) fn set(&self, policy: FaultPolicy) {
        let random = StdRng::seed_from_u64(policy.seed);
        *self.0.lock() = (!policy.rules.is_empty()).then_some((policy, random));
    }

    pub(crate) fn policy(&self) -> FaultPolicy {
        self.0
            .lock()
            .as_ref()
            .map(|(policy, _)| policy.clone())
            .unwrap_or_default()
    }

    /// Whether, and how, this request is to fail.
    pub(crate) fn roll(&self, verb: &str, resource: &str) -> Option<FaultKind> {
        let mut slot = self.0.lock();
        let (policy, random) = slot.as_mut()?;
        let listed = |list: &[String], name: &str| list.is_empty() || list.iter().any(|other| other == name);
        let applies = |rule: &&FaultRule| listed(&rule.verbs, verb) && listed(&rule.resources, resource);
        let rule = policy
            .rules
            .iter()
            .filter(applies)
            .find(|rule| random.random_bool(rule.probability.clamp(0.0, 1.0)));
        rule.map(|rule| rule.kind)
    }
}

impl FaultKind {
    /// The answer; `None` when there is to be none.
    pub(crate) fn status(self) -> Option<Status> {
        match self {
            Self::InternalError => Some(Status::internal("injected fault")),
            Self::Unavailable => Some(Status::unavailable("injected fault")),
            Self::TooManyRequests => Some(Status::too_many_requests("injected fault", 1)),
            Self::Conflict => Some(Status::injected_conflict()),
            Self::Drop | Self::DropAfter => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_fails_the_same_requests() {
        let rule = FaultRule {
            kind: FaultKind::Drop,
            probability: 0.5,
            verbs: vec!["create".to_owned()],
            resources: vec![],
        };
        let rolls = || {
            let faults = Faults::new(FaultPolicy {
                seed: 7,
                rules: vec![rule.clone()],
            });
            (0..100)
                .map(|_| faults.roll("create", "pods"))
                .collect::<Vec<_>>()
        };
        assert_eq!(rolls(), rolls());
        assert!(rolls().iter().any(Option::is_some) && rolls().iter().any(Option::is_none));
    }

    #[test]
    fn rules_apply_to_what_they_name() {
        let rule = FaultRule {
            kind: FaultKind::Drop,
            probability: 1.0,
            verbs: vec!["list".to_owned()],
            resources: vec!["pods".to_owned()],
        };
        let faults = Faults::new(FaultPolicy {
            seed: 0,
            rules: vec![rule],
        });
        assert_eq!(faults.roll("list", "pods"), Some(FaultKind::Drop));
        assert_eq!(faults.roll("get", "pods"), None);
        assert_eq!(faults.roll("list", "nodes"), None);
    }
}
