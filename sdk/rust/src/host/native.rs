//! The fake: what a component would ask the host goes to the test's
//! [`Cluster`](crate::testing::Cluster).

use std::future::poll_fn;
use std::task::Poll;

use crate::api_error::ApiError;
use crate::client::Call;
use crate::log::Level;
use crate::object::ObjectKey;
use crate::recorder::Event;
use crate::services::{Item, Mapping};
use crate::testing::state::with_state;

/// Reads of the caches, which in the fake are never behind.
pub(crate) mod lister {
    use super::{ObjectKey, with_state};

    pub(crate) fn get(watch: u32, key: &ObjectKey) -> Option<Vec<u8>> {
        with_state(|state| {
            state
                .watched(watch)
                .into_iter()
                .find(|(known, _)| known == key)
                .map(|(_, body)| body)
        })
    }

    pub(crate) fn list(
        watch: u32,
        namespace: Option<&str>,
        label_selector: &str,
    ) -> Result<Vec<Vec<u8>>, String> {
        with_state(|state| {
            let selected = state.selected(watch, label_selector)?;
            let wanted = |key: &ObjectKey| namespace.is_none_or(|namespace| key.namespace == namespace);
            Ok(selected
                .into_iter()
                .filter(|(key, _)| wanted(key))
                .map(|(_, body)| body)
                .collect())
        })
    }

    pub(crate) fn by_index(watch: u32, index: &str, value: &str) -> Result<Vec<Vec<u8>>, String> {
        with_state(|state| state.indexed(watch, index, value))
    }

    pub(crate) fn by_owner(watch: u32, uid: &str) -> Vec<Vec<u8>> {
        with_state(|state| state.controlled(watch, |_, owner| owner == Some(uid)))
    }

    pub(crate) fn orphans(watch: u32, namespace: &str) -> Vec<Vec<u8>> {
        with_state(|state| {
            state.controlled(watch, |key, owner| owner.is_none() && key.namespace == namespace)
        })
    }
}

/// Metrics, of which the fake keeps the sums.
pub(crate) mod metrics {
    use super::with_state;
    use crate::bindings::controller::windlass::controller::metrics::Metric;

    #[expect(clippy::unnecessary_wraps, reason = "the host may refuse a declaration")]
    pub(crate) fn declare(metric: &Metric) -> Result<u32, String> {
        Ok(with_state(|state| state.declare(&metric.name)))
    }

    pub(crate) fn add(metric: u32, labels: &[String], value: f64) {
        with_state(|state| *state.series(metric, labels) += value);
    }

    pub(crate) fn set(metric: u32, labels: &[String], value: f64) {
        with_state(|state| *state.series(metric, labels) = value);
    }

    pub(crate) fn observe(metric: u32, labels: &[String], value: f64) {
        add(metric, labels, value);
    }
}

/// Answers at the second poll, so that calls made together overlap as they do for real.
pub(crate) async fn call(call: Call) -> Result<Vec<u8>, ApiError> {
    let mut sent = false;
    poll_fn(|context| {
        if std::mem::replace(&mut sent, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
    with_state(|state| state.answer(&call))
}

pub(crate) fn resolve(group: &str, version: &str, kind: &str) -> Option<Mapping> {
    with_state(|state| state.resolve(group, version, kind))
}

pub(crate) fn enqueue(items: &[Item]) {
    with_state(|state| state.queued.extend_from_slice(items));
}

pub(crate) fn record(event: Event) {
    with_state(|state| state.events.push(event));
}

pub(crate) fn log_enabled(_: Level) -> bool {
    true
}

pub(crate) fn log(level: Level, message: &str, fields: &[(String, String)]) {
    eprintln!("{level:?} {message} {fields:?}");
}

pub(crate) fn now() -> (i64, u32) {
    let nanoseconds = with_state(|state| state.now).as_nanoseconds();
    let seconds = i64::try_from(nanoseconds.div_euclid(1_000_000_000)).unwrap_or(i64::MAX);
    (
        seconds,
        u32::try_from(nanoseconds.rem_euclid(1_000_000_000)).unwrap_or(0),
    )
}

pub(crate) fn monotonic() -> u64 {
    u64::try_from(with_state(|state| state.now).as_nanoseconds()).unwrap_or(0)
}

pub(crate) fn random() -> u64 {
    with_state(|state| state.next_number())
}

pub(crate) fn config() -> Vec<u8> {
    with_state(|state| state.config.clone())
}
