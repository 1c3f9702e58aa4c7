//! What a module's client writes down of each call to the API server.
//!
//! Promises: a call of a kind seen before allocates nothing and takes only a shared
//! lock; the number of kinds is bounded, whatever resources guests name.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hashbrown::{Equivalent, HashMap};
use parking_lot::RwLock;
use smol_str::SmolStr;
use windlass_core::key::Resource;

use crate::histogram::{AtomicHistogram, Histogram, REQUEST_BOUNDS};
use crate::status::{ApiCallCount, ApiStatus};

/// Kinds of call counted apart; further ones are counted as of the resource `other`.
const MAX_KINDS: usize = 512;
/// What client-go writes in place of a status when there was no answer.
const NO_ANSWER: &str = "<error>";
/// HTTP methods that are counted, by their place in the histograms.
const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/// One call that ended.
#[derive(Clone, Copy, Debug)]
pub struct ApiCall<'a> {
    /// The verb as RBAC knows it, such as `ApiVerb::name`.
    pub verb: &'static str,
    /// The collection.
    pub resource: &'a Resource,
    /// Empty for the object itself.
    pub subresource: &'a str,
    /// HTTP status; 0 without an answer.
    pub code: u16,
    /// From sent to answered.
    pub duration: Duration,
    /// How long rate limits held it back before.
    pub throttled: Duration,
    /// How much of that was for the budget that all modules share.
    pub budget_wait: Duration,
}

/// The calls of one module.
#[derive(Debug)]
pub struct ApiCallRecorder {
    kinds: RwLock<HashMap<Kind, AtomicU64>>,
    latency: [AtomicHistogram; METHODS.len()],
    throttled: [AtomicHistogram; METHODS.len()],
    budget_wait: AtomicHistogram,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Kind {
    verb: &'static str,
    group: SmolStr,
    plural: SmolStr,
    subresource: SmolStr,
    code: u16,
}

/// [`Kind`] without owning its names. Must hash alike.
#[derive(Hash)]
struct KindRef<'a> {
    verb: &'static str,
    group: &'a str,
    plural: &'a str,
    subresource: &'a str,
    code: u16,
}

impl Equivalent<Kind> for KindRef<'_> {
    fn equivalent(&self, kind: &Kind) -> bool {
        self.code == kind.code
            && self.verb == kind.verb
            && self.plural == kind.plural
            && self.group == kind.group
            && self.subresource == kind.subresource
    }
}

impl Default for ApiCallRecorder {
    /// One that has seen nothing.
    fn default() -> Self {
        let histograms = || std::array::from_fn(|_| AtomicHistogram::new(&REQUEST_BOUNDS));
        Self {
            kinds: RwLock::default(),
            latency: histograms(),
            throttled: histograms(),
            budget_wait: AtomicHistogram::new(&REQUEST_BOUNDS),
        }
    }
}

impl ApiCallRecorder {
    /// Writes down one call.
    pub fn record(&self, call: ApiCall<'_>) {
        let method = method_index(call.verb);
        if let (Some(latency), Some(throttled)) = (self.latency.get(method), self.throttled.get(method)) {
            latency.observe(call.duration);
            throttled.observe(call.throttled);
            self.budget_wait.observe(call.budget_wait);
        }
        let kind = KindRef {
            verb: call.verb,
            group: &call.resource.group,
            plural: &call.resource.plural,
            subresource: call.subresource,
            code: call.code,
        };
        if let Some(count) = self.kinds.read().get(&kind) {
            count.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.first(&kind);
    }

    /// A kind that was not there a moment ago.
    fn first(&self, kind: &KindRef<'_>) {
        let mut kinds = self.kinds.write();
        let has_room = kinds.len() < MAX_KINDS;
        let (group, plural, subresource) = if has_room || kinds.contains_key(kind) {
            (kind.group, kind.plural, kind.subresource)
        } else {
            ("", "other", "")
        };
        let owned = Kind {
            verb: kind.verb,
            group: group.into(),
            plural: plural.into(),
            subresource: subresource.into(),
            code: kind.code,
        };
        kinds.entry(owned).or_default().fetch_add(1, Ordering::Relaxed);
    }

    /// One look.
    #[must_use]
    pub fn snapshot(&self) -> ApiStatus {
        let kinds = self.kinds.read();
        let mut calls: Vec<ApiCallCount> = kinds
            .iter()
            .map(|(kind, count)| kind.counted(count.load(Ordering::Relaxed)))
            .collect();
        drop(kinds);
        calls.sort();
        ApiStatus {
            calls,
            latency: by_method(&self.latency),
            throttled: by_method(&self.throttled),
            budget_wait: self.budget_wait.snapshot(),
        }
    }
}

impl Kind {
    fn counted(&self, count: u64) -> ApiCallCount {
        let mut resource = self.plural.to_string();
        for (separator, part) in [(".", &self.group), ("/", &self.subresource)] {
            if !part.is_empty() {
                resource.push_str(separator);
                resource.push_str(part);
            }
        }
        ApiCallCount {
            verb: self.verb.to_owned(),
            resource,
            code: match self.code {
                0 => NO_ANSWER.to_owned(),
                code => code.to_string(),
            },
            method: http_method(self.verb).to_owned(),
            count,
        }
    }
}

/// The HTTP method of a verb as RBAC knows it.
pub(crate) fn http_method(verb: &str) -> &'static str {
    METHODS.get(method_index(verb)).copied().unwrap_or_default()
}

fn method_index(verb: &str) -> usize {
    match verb {
        "create" => 1,
        "update" => 2,
        "patch" => 3,
        "delete" | "deletecollection" => 4,
        _ => 0,
    }
}

fn by_method(histograms: &[AtomicHistogram; METHODS.len()]) -> BTreeMap<String, Histogram> {
    let methods = METHODS.iter().zip(histograms);
    methods
        .map(|(method, histogram)| ((*method).to_owned(), histogram.snapshot()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call<'a>(verb: &'static str, resource: &'a Resource, code: u16) -> ApiCall<'a> {
        ApiCall {
            verb,
            resource,
            subresource: "",
            code,
            duration: Duration::from_millis(3),
            throttled: Duration::ZERO,
            budget_wait: Duration::ZERO,
        }
    }

    #[test]
    fn calls_are_counted_by_verb_resource_and_code() {
        let recorder = ApiCallRecorder::default();
        let (deployments, pods) = (
            Resource::new("apps", "v1", "deployments"),
            Resource::new("", "v1", "pods"),
        );
        recorder.record(call("update", &deployments, 200));
        recorder.record(call("update", &deployments, 200));
        recorder.record(ApiCall {
            subresource: "binding",
            budget_wait: Duration::from_secs(1),
            ..call("create", &pods, 0)
        });
        let status = recorder.snapshot();
        let lines: Vec<String> = status
            .calls
            .iter()
            .map(|c| format!("{} {} {} {} {}", c.method, c.verb, c.resource, c.code, c.count))
            .collect();
        assert_eq!(
            lines,
            [
                "POST create pods/binding <error> 1",
                "PUT update deployments.apps 200 2"
            ]
        );
        assert_eq!(status.latency["PUT"].count(), 2);
        assert_eq!(status.latency["GET"].count(), 0);
        assert_eq!((status.budget_wait.count(), status.budget_wait.sum), (3, 1.0));
    }

    #[test]
    fn resources_without_end_are_counted_together() {
        let recorder = ApiCallRecorder::default();
        for number in 0..2 * MAX_KINDS {
            recorder.record(call("get", &Resource::new("", "v1", &format!("r{number}")), 404));
        }
        let status = recorder.snapshot();
        assert_eq!(status.calls.len(), MAX_KINDS + 1);
        assert_eq!(status.total(), 2 * MAX_KINDS as u64);
        let other = status.calls.iter().find(|call| call.resource == "other");
        assert_eq!(other.map(|call| call.count), Some(MAX_KINDS as u64));
    }
}
