//! What one module may do, asked before each of its deeds, and what it was refused.
//!
//! Promises: a refusal names the rule that is missing; the log has one line per rule when
//! it is first missed and then at most one per [`AGAIN`] with how often it was, whatever
//! a guest tries; what is remembered of refusals is bounded.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, Guard};
use parking_lot::Mutex;
use smol_str::SmolStr;
use std::sync::Arc;
use windlass_core::api_error::{ApiError, ApiErrorKind};
use windlass_core::permission::{Access, Grants};

/// How often the same refusal is logged.
pub const AGAIN: Duration = Duration::from_secs(600);
/// Different refusals of one module that are told apart.
const MAX_KINDS: usize = 256;
/// Longest text of a guest that goes into a refusal.
const MAX_QUOTED: usize = 100;

/// One module's permissions. Shared by everything that acts for the module.
pub struct Permits {
    module: SmolStr,
    grants: ArcSwap<Grants>,
    refusals: Mutex<Refusals>,
}

impl Permits {
    /// Permissions of a module.
    #[must_use]
    pub fn new(module: SmolStr, grants: Grants) -> Self {
        Self {
            module,
            grants: ArcSwap::from_pointee(grants),
            refusals: Mutex::default(),
        }
    }

    /// Replaces what the module may do, for every deed from now on.
    pub fn set_grants(&self, grants: Grants) {
        self.grants.store(Arc::new(grants));
    }

    /// What the module may do.
    #[must_use]
    pub fn grants(&self) -> Guard<Arc<Grants>> {
        self.grants.load()
    }

    /// Refuses what no rule covers.
    ///
    /// # Errors
    /// [`ApiErrorKind::NotPermitted`], with the smallest rule that would cover it.
    pub fn check(&self, access: &Access<'_>) -> Result<(), ApiError> {
        if self.grants.load().allow(access) {
            return Ok(());
        }
        let refusal = self.not_permitted(access);
        self.log_refusal(&refusal.message);
        Err(refusal)
    }

    fn not_permitted(&self, access: &Access<'_>) -> ApiError {
        let rule = Access {
            verb: &quoted(access.verb),
            group: &quoted(access.group),
            resource: &quoted(access.resource),
            subresource: &quoted(access.subresource),
            namespace: &quoted(access.namespace),
            name: "",
        }
        .missing_rule();
        let resource = rule.resources.first().map_or("", SmolStr::as_str);
        let place = match access.namespace {
            "" => "without a namespace".to_owned(),
            namespace => format!("in namespace {:?}", quoted(namespace)),
        };
        let message = format!(
            "module {} is not permitted to {} {resource} in API group {:?} {place}; grant {rule}",
            self.module,
            access.verb,
            quoted(access.group),
        );
        ApiError::local(ApiErrorKind::NotPermitted, message)
    }

    /// Logs that the module was refused something, once and then with a count.
    pub fn log_refusal(&self, refusal: &str) {
        let times = self.refusals.lock().count(refusal, Instant::now());
        match times {
            None => {}
            Some(1) => tracing::warn!(controller = %self.module, refusal, "refused"),
            Some(times) => {
                tracing::warn!(controller = %self.module, refusal, times, "refused again and again")
            }
        }
    }
}

/// A guest's text as far as a message should hold it.
pub(crate) fn quoted(text: &str) -> String {
    if text.chars().nth(MAX_QUOTED).is_none() {
        return text.to_owned();
    }
    text.chars().take(MAX_QUOTED).chain(['…']).collect()
}

/// Refusals by their text.
#[derive(Debug, Default)]
struct Refusals {
    kinds: BTreeMap<String, Refusal>,
}

#[derive(Debug)]
struct Refusal {
    times: u64,
    logged: Instant,
}

impl Refusals {
    /// How often it happened so far, if that should be logged now. Beyond the limit all
    /// further kinds are one.
    fn count(&mut self, refusal: &str, now: Instant) -> Option<u64> {
        let known = self.kinds.contains_key(refusal);
        let kind = if known || self.kinds.len() < MAX_KINDS {
            refusal
        } else {
            ""
        };
        let Some(earlier) = self.kinds.get_mut(kind) else {
            let first = Refusal {
                times: 1,
                logged: now,
            };
            self.kinds.insert(kind.to_owned(), first);
            return Some(1);
        };
        earlier.times += 1;
        if now.duration_since(earlier.logged) < AGAIN {
            return None;
        }
        earlier.logged = now;
        Some(earlier.times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_logged_once_and_later_with_its_count() {
        let (mut refusals, start) = (Refusals::default(), Instant::now());
        assert_eq!(refusals.count("a", start), Some(1));
        for _ in 0..1000 {
            assert_eq!(refusals.count("a", start), None);
        }
        assert_eq!(refusals.count("b", start), Some(1), "another one");
        assert_eq!(refusals.count("a", start + AGAIN), Some(1002));
        assert_eq!(refusals.count("a", start + AGAIN), None);
    }

    #[test]
    fn what_is_remembered_and_logged_is_bounded() {
        let (mut refusals, start) = (Refusals::default(), Instant::now());
        let logged = (0..10_000).filter(|number| refusals.count(&number.to_string(), start).is_some());
        assert_eq!(logged.count(), MAX_KINDS + 1);
        assert_eq!(refusals.kinds.len(), MAX_KINDS + 1);
    }

    #[test]
    fn a_refusal_names_the_missing_rule_and_quotes_no_more_than_fits() {
        let permits = Permits::new("shop".into(), Grants::default());
        let long = "x".repeat(10_000);
        let access = Access {
            verb: "get",
            group: "",
            resource: &long,
            subresource: "",
            namespace: "",
            name: "till",
        };
        assert!(permits.check(&access).unwrap_err().message.len() < 500);
        let secrets = Access {
            resource: "secrets",
            namespace: "bank",
            ..access
        };
        assert_eq!(
            permits.check(&secrets).unwrap_err().message,
            "module shop is not permitted to get secrets in API group \"\" in namespace \"bank\"; grant \
             {apiGroups: [\"\"], resources: [\"secrets\"], verbs: [\"get\"], namespaces: [\"bank\"]}"
        );
    }
}
