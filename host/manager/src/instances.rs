//! Several instances of one guest, called as if they were one.
//!
//! A key always goes to the same instance, every delta to all of them, and whoever the
//! mapper is asked of depends on the object alone. The set lives and dies as one: an
//! instance that is gone fails the set, as [`Guest`] demands, and all of them start anew.

use futures::FutureExt;
use futures::future::{BoxFuture, select_all, try_join_all};
use windlass_core::key::ObjectKey;
use windlass_core::manifest::WatchId;
use windlass_core::outcome::{GuestFailure, Outcome, SyncError};
use windlass_core::seams::{Delta, DeltaBatch, Guest, SyncId};

use crate::lanes::instance_of;

/// The instances, at least one.
pub(crate) struct Instances(Vec<Box<dyn Guest>>);

impl Instances {
    pub(crate) fn new(guests: Vec<Box<dyn Guest>>) -> Self {
        Self(guests)
    }

    fn of(&self, key: &ObjectKey) -> Option<&dyn Guest> {
        self.0.get(instance_of(key, self.0.len())).map(|guest| &**guest)
    }
}

impl Guest for Instances {
    fn start(&self) -> BoxFuture<'static, Result<(), GuestFailure>> {
        all(self.0.iter().map(|guest| guest.start()))
    }

    fn sync(
        &self,
        id: SyncId,
        key: ObjectKey,
    ) -> BoxFuture<'static, Result<Result<Outcome, SyncError>, GuestFailure>> {
        match self.of(&key) {
            Some(guest) => guest.sync(id, key),
            None => async { Err(GuestFailure::Stopped) }.boxed(),
        }
    }

    fn observe(&self, batches: Vec<DeltaBatch>) -> BoxFuture<'static, Result<(), GuestFailure>> {
        all(self.0.iter().map(|guest| guest.observe(batches.clone())))
    }

    fn map(&self, watch: WatchId, delta: Delta) -> BoxFuture<'static, Result<Vec<ObjectKey>, GuestFailure>> {
        match self.of(delta.object.key()) {
            Some(guest) => guest.map(watch, delta),
            None => async { Err(GuestFailure::Stopped) }.boxed(),
        }
    }

    fn closed(&self) -> BoxFuture<'static, GuestFailure> {
        let closed: Vec<_> = self.0.iter().map(|guest| guest.closed()).collect();
        async move {
            match closed.is_empty() {
                true => GuestFailure::Stopped,
                false => select_all(closed).await.0,
            }
        }
        .boxed()
    }
}

/// All of them, which are called here and now, because a call counts from then.
fn all(
    calls: impl Iterator<Item = BoxFuture<'static, Result<(), GuestFailure>>>,
) -> BoxFuture<'static, Result<(), GuestFailure>> {
    let calls: Vec<_> = calls.collect();
    async move { try_join_all(calls).await.map(drop) }.boxed()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use bytes::Bytes;
    use parking_lot::Mutex;
    use tokio::sync::watch;
    use windlass_core::object::Object;
    use windlass_core::seams::DeltaKind;

    use super::*;

    /// Writes down which instance was asked what.
    type Journal = Arc<Mutex<Vec<(usize, String)>>>;

    struct Scripted {
        number: usize,
        journal: Journal,
        failed: watch::Receiver<bool>,
    }

    impl Scripted {
        fn note(&self, what: impl Into<String>) {
            self.journal.lock().push((self.number, what.into()));
        }
    }

    impl Guest for Scripted {
        fn start(&self) -> BoxFuture<'static, Result<(), GuestFailure>> {
            self.note("start");
            let failed = *self.failed.borrow();
            async move {
                match failed {
                    true => Err(GuestFailure::Start("no".to_owned())),
                    false => Ok(()),
                }
            }
            .boxed()
        }

        fn sync(
            &self,
            _: SyncId,
            key: ObjectKey,
        ) -> BoxFuture<'static, Result<Result<Outcome, SyncError>, GuestFailure>> {
            self.note(key.to_string());
            async { Ok(Ok(Outcome::Done)) }.boxed()
        }

        fn observe(&self, batches: Vec<DeltaBatch>) -> BoxFuture<'static, Result<(), GuestFailure>> {
            self.note(format!("observe {}", batches.len()));
            async { Ok(()) }.boxed()
        }

        fn map(&self, _: WatchId, delta: Delta) -> BoxFuture<'static, Result<Vec<ObjectKey>, GuestFailure>> {
            self.note(format!("map {}", delta.object.key()));
            async { Ok(Vec::new()) }.boxed()
        }

        fn closed(&self) -> BoxFuture<'static, GuestFailure> {
            let mut failed = self.failed.clone();
            async move {
                let _ = failed.wait_for(|failed| *failed).await;
                GuestFailure::Trap("unreachable".to_owned())
            }
            .boxed()
        }
    }

    fn three() -> (Instances, Journal, Vec<watch::Sender<bool>>) {
        let (journal, mut failures) = (Journal::default(), Vec::new());
        let guests = (0..3).map(|number| {
            let (failure, failed) = watch::channel(false);
            failures.push(failure);
            let journal = Arc::clone(&journal);
            let guest: Box<dyn Guest> = Box::new(Scripted {
                number,
                journal,
                failed,
            });
            guest
        });
        let guests = guests.collect();
        (Instances::new(guests), journal, failures)
    }

    fn delta(name: &str) -> Delta {
        let body = format!(r#"{{"metadata":{{"name":"{name}","uid":"u","resourceVersion":"1"}}}}"#);
        Delta {
            kind: DeltaKind::Added,
            object: Arc::new(Object::parse(Bytes::from(body)).unwrap()),
            old: None,
            initial: false,
        }
    }

    #[tokio::test]
    async fn everything_is_observed_by_all_and_each_key_and_object_belongs_to_one() {
        let (instances, journal, _failures) = three();
        // Calls count from when they are made, not from when they are polled.
        let observed = instances.observe(Vec::new());
        let asked = std::mem::take(&mut *journal.lock());
        assert_eq!(asked, [0, 1, 2].map(|number| (number, "observe 0".to_owned())));
        observed.await.unwrap();
        for _ in 0..2 {
            for name in 0..20 {
                let key = ObjectKey::new("", &format!("key-{name}"));
                instances.sync(1, key).await.unwrap().unwrap();
                instances.map(0, delta(&format!("key-{name}"))).await.unwrap();
            }
        }
        let asked: BTreeSet<(usize, String)> = journal.lock().drain(..).collect();
        assert_eq!(asked.len(), 40, "each in one place: {asked:?}");
        let used: BTreeSet<usize> = asked.iter().map(|(number, _)| *number).collect();
        assert_eq!(used.len(), 3);
    }

    #[tokio::test]
    async fn one_that_fails_fails_the_set() {
        let (instances, journal, failures) = three();
        instances.start().await.unwrap();
        assert_eq!(journal.lock().len(), 3);
        let mut closed = instances.closed();
        assert!((&mut closed).now_or_never().is_none());
        failures[1].send_replace(true);
        assert_eq!(closed.await, GuestFailure::Trap("unreachable".to_owned()));
        assert!(instances.start().await.is_err());
    }
}
