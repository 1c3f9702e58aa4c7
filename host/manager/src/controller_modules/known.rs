//! What a replica remembers of one object that it tells of: what it wrote last, and when
//! it may write again.

use std::sync::Arc;
use std::time::Duration;

use smol_str::SmolStr;
use tokio::time::Instant;
use windlass_core::rate_limiter::{Backoff, BackoffConfig};

use super::object::ControllerModule;
use super::status::Reporter;

/// Between two writes of one object.
pub(super) const PACE: Duration = Duration::from_secs(1);
/// Between two writes of an object that somebody else wrote meanwhile, from the second
/// time on: the first is what a change of leaders looks like.
const CONTESTED: BackoffConfig = BackoffConfig {
    initial: Duration::from_secs(2),
    factor: 2.0,
    cap: Duration::from_secs(300),
    jitter: 0.5,
    reset_after: Duration::from_secs(600),
};
/// A pause from which on it is no longer a matter of leaders.
const SUSPICIOUS: Duration = Duration::from_secs(10);
/// What is remembered of one object.
pub(super) struct Known {
    pub(super) uid: SmolStr,
    /// What the last write led to, until the cache shows it.
    pub(super) written: Option<Arc<ControllerModule>>,
    pub(super) not_before: Instant,
    contested: Backoff,
}

impl Known {
    pub(super) fn of(object: &ControllerModule) -> Self {
        Self {
            uid: object.uid.clone(),
            written: None,
            not_before: Instant::now(),
            contested: Backoff::new(CONTESTED),
        }
    }

    /// The newer of what the cache shows and what was written.
    pub(super) fn newest<'a>(&'a self, shown: &'a Arc<ControllerModule>) -> &'a Arc<ControllerModule> {
        self.written
            .as_ref()
            .filter(|written| {
                written.resource_version > shown.resource_version && written.generation == shown.generation
            })
            .unwrap_or(shown)
    }

    /// How long to leave an object alone after this write.
    pub(super) fn pace(&mut self, object: &ControllerModule, reporter: &Reporter) -> Duration {
        let told = &object.status;
        let is_ours = told.replica.is_none() || told.replica.as_deref() == Some(reporter.replica.as_str());
        if is_ours {
            return PACE;
        }
        let is_first = self.contested.attempts() == 0;
        let pause = self.contested.next_delay(std::time::Instant::now());
        if is_first {
            return PACE;
        }
        if pause > SUSPICIOUS {
            tracing::warn!(
                object = %object.name, host = told.host, replica = told.replica,
                "somebody else tells another state of this ControllerModule; hosts need selectors that exclude each other, \
                 and replicas the same configuration"
            );
        }
        pause
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::status::ControllerModuleStatus;
    use super::*;

    fn object(resource_version: u64, generation: i64, replica: Option<&str>) -> Arc<ControllerModule> {
        Arc::new(ControllerModule {
            name: "mine".into(),
            uid: "1".into(),
            generation,
            resource_version,
            deleting: false,
            spec: Value::Null,
            status: ControllerModuleStatus {
                replica: replica.map(str::to_owned),
                ..ControllerModuleStatus::default()
            },
        })
    }

    fn reporter() -> Reporter {
        Reporter {
            host: "windlass".into(),
            replica: "a".into(),
        }
    }

    #[tokio::test]
    async fn what_was_written_counts_until_the_cache_shows_it_or_a_newer_spec() {
        let mut known = Known::of(&object(1, 1, None));
        let (shown, written) = (object(1, 1, None), object(3, 1, Some("a")));
        assert!(Arc::ptr_eq(known.newest(&shown), &shown));
        known.written = Some(Arc::clone(&written));
        assert!(Arc::ptr_eq(known.newest(&shown), &written));
        for newer in [
            object(3, 1, Some("a")),
            object(4, 2, Some("a")),
            object(2, 2, None),
        ] {
            assert!(Arc::ptr_eq(known.newest(&newer), &newer));
        }
    }

    #[tokio::test]
    async fn an_object_that_somebody_else_writes_too_is_written_more_and_more_rarely() {
        let (ours, theirs) = (object(1, 1, Some("a")), object(1, 1, Some("b")));
        let mut known = Known::of(&ours);
        for _ in 0..3 {
            assert_eq!(known.pace(&ours, &reporter()), PACE);
        }
        assert_eq!(known.pace(&theirs, &reporter()), PACE, "another led before");
        let mut least = CONTESTED.initial;
        for _ in 0..10 {
            least = (least * 2).min(CONTESTED.cap);
            let pause = known.pace(&theirs, &reporter());
            assert!(pause >= least, "{pause:?} is shorter than {least:?}");
        }
    }
}
