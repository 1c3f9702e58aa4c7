//! Which replica of the host runs a module, and how replicas agree on it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::checks::{Checked, dns_label, ensure};
use super::units::Span;

/// client-go's `JitterFactor`: retries are up to this much later than the retry period.
const JITTER: f64 = 1.2;

/// Where a module runs when the host has several replicas.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(rename = "Leadership")]
pub struct LeadershipEntry {
    /// How the replicas share the module. Only counts while the host's leader election is enabled.
    pub mode: LeadershipMode,
}

/// How replicas share a module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LeadershipMode {
    /// One replica at a time runs it, the holder of its Lease.
    #[default]
    Lease,
    /// Every replica runs it, each with its share of the keys.
    Sharded,
    /// Every replica runs it with all keys; for guests that write nothing, or only about themselves.
    None,
}

/// How replicas of the host agree on who runs what, through Leases of the API server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(rename = "LeaderElection")]
pub struct LeaderElectionEntry {
    /// Whether modules wait for their Lease. `windlass up` brings a cluster of its own and
    /// never waits.
    pub enabled: bool,
    /// The namespace of the Leases; it must exist.
    pub namespace: SmolStr,
    /// Replicas of one group share their modules; it is part of the Leases' names.
    pub group: SmolStr,
    /// How long a Lease lasts that is no longer renewed.
    pub lease_duration: Span,
    /// How long a leader tries to renew before it stops leading.
    pub renew_deadline: Span,
    /// How long to wait between tries.
    pub retry_period: Span,
}

impl Default for LeaderElectionEntry {
    fn default() -> Self {
        Self {
            enabled: true,
            namespace: "kube-system".into(),
            group: "windlass".into(),
            lease_duration: Span::seconds(15),
            renew_deadline: Span::seconds(10),
            retry_period: Span::seconds(2),
        }
    }
}

impl LeaderElectionEntry {
    pub(super) fn validate(&self, at: &str) -> Checked {
        dns_label(&format!("{at}.namespace"), &self.namespace)?;
        dns_label(&format!("{at}.group"), &self.group)?;
        ensure(
            self.lease_duration > self.renew_deadline,
            || format!("{at}.leaseDuration"),
            || {
                format!(
                    "{} must be longer than renewDeadline, {}, or two replicas could lead at once",
                    self.lease_duration, self.renew_deadline
                )
            },
        )?;
        ensure(
            self.retry_period > Span::seconds(0)
                && self.renew_deadline.0 > self.retry_period.0.mul_f64(JITTER),
            || format!("{at}.renewDeadline"),
            || {
                format!(
                    "{} must be longer than {JITTER} times retryPeriod, {}, which must not be 0",
                    self.renew_deadline, self.retry_period
                )
            },
        )
    }
}
