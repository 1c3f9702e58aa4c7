//! The controller's loop against a scripted guest, source and caches: what is observed
//! before what, what is held back, and what a failure leaves behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::{mpsc, oneshot, watch};
use windlass_core::gate::{CacheProgress, Presence, Write, WriteEffect};
use windlass_core::key::{ObjectKey, Resource, ResourceInfo};
use windlass_core::manifest::{EnqueueRule, EventKinds, Manifest, View, WatchId, WatchSpec, WatchTarget};
use windlass_core::object::Object;
use windlass_core::outcome::{GuestFailure, Outcome, SyncError};
use windlass_core::seams::{Delta, DeltaBatch, DeltaKind, Guest, ObjectReader, ReadError, SyncId};
use windlass_core::workqueue::Workqueue;
use windlass_manager::controller::Controller;
use windlass_manager::grace::Grace;
use windlass_manager::lanes::Concurrency;
use windlass_manager::mandate::Authority;
use windlass_manager::run::{Caches, DeltaSource, Engagement, LoopEnd, Orders, Timing};

type SyncResult = Result<Result<Outcome, SyncError>, GuestFailure>;

/// A call that reached the guest; syncs wait for their answer.
#[derive(Debug)]
enum Called {
    Start,
    Observe(usize),
    Sync(SyncId, String, oneshot::Sender<SyncResult>),
}

struct ScriptedGuest(mpsc::UnboundedSender<Called>);

impl Guest for ScriptedGuest {
    fn start(&self) -> BoxFuture<'static, Result<(), GuestFailure>> {
        self.0.send(Called::Start).expect("the test listens");
        async { Ok(()) }.boxed()
    }

    fn sync(&self, id: SyncId, key: ObjectKey) -> BoxFuture<'static, SyncResult> {
        let (answer, answered) = oneshot::channel();
        self.0
            .send(Called::Sync(id, key.to_string(), answer))
            .expect("the test listens");
        async { answered.await.unwrap_or(Err(GuestFailure::Stopped)) }.boxed()
    }

    fn observe(&self, batches: Vec<DeltaBatch>) -> BoxFuture<'static, Result<(), GuestFailure>> {
        let deltas = batches.iter().map(|batch| batch.deltas.len()).sum();
        self.0.send(Called::Observe(deltas)).expect("the test listens");
        async { Ok(()) }.boxed()
    }

    fn map(&self, _: WatchId, _: Delta) -> BoxFuture<'static, Result<Vec<ObjectKey>, GuestFailure>> {
        async { Ok(Vec::new()) }.boxed()
    }

    fn closed(&self) -> BoxFuture<'static, GuestFailure> {
        std::future::pending().boxed()
    }
}

struct ScriptedSource {
    batches: mpsc::UnboundedReceiver<Vec<DeltaBatch>>,
    initial: usize,
}

impl DeltaSource for ScriptedSource {
    async fn next(&mut self) -> Vec<DeltaBatch> {
        match self.batches.recv().await {
            Some(batches) => {
                self.initial = self.initial.saturating_sub(1);
                batches
            }
            None => std::future::pending().await,
        }
    }

    fn has_synced(&self) -> bool {
        self.initial == 0
    }

    fn waiting(&self) -> usize {
        self.batches.len()
    }
}

/// Caches that have seen everything up to a revision.
struct Seen(AtomicU64);

impl CacheProgress for Seen {
    fn observed_revision(&self, _: &Resource) -> Option<u64> {
        Some(self.0.load(Ordering::SeqCst))
    }

    fn shows(&self, _: &Resource, _: &ObjectKey, _: &str) -> Presence {
        Presence::Absent
    }
}

struct Nothing;

impl ObjectReader for Nothing {
    fn get(&self, _: WatchId, _: &ObjectKey) -> Result<Option<Arc<Object>>, ReadError> {
        Ok(None)
    }

    fn list(&self, _: WatchId, _: Option<&str>, _: &str) -> Result<Vec<Arc<Object>>, ReadError> {
        Ok(Vec::new())
    }

    fn by_index(&self, _: WatchId, _: &str, _: &str) -> Result<Vec<Arc<Object>>, ReadError> {
        Ok(Vec::new())
    }

    fn by_owner(&self, _: WatchId, _: &str) -> Result<Vec<Arc<Object>>, ReadError> {
        Ok(Vec::new())
    }

    fn orphans(&self, _: WatchId, _: &str) -> Result<Vec<Arc<Object>>, ReadError> {
        Ok(Vec::new())
    }
}

fn pods() -> Resource {
    Resource::new("", "v1", "pods")
}

fn manifest() -> Manifest {
    Manifest {
        name: "scripted".into(),
        version: "1".into(),
        watches: vec![WatchSpec {
            target: WatchTarget::One(pods()),
            label_selector: String::new(),
            view: View::Full,
            enqueue: EnqueueRule::SelfKey,
            on: EventKinds::ALL,
            observe: true,
            old_bodies: false,
            indexes: Vec::new(),
        }],
        workers: 4,
        permissions: Vec::new(),
        api_qps: 0,
        api_burst: 0,
    }
}

fn added(name: &str, initial: bool) -> DeltaBatch {
    let body = format!(
        r#"{{"metadata":{{"name":"{name}","namespace":"ns","uid":"u-{name}","resourceVersion":"5"}}}}"#
    );
    let object = Arc::new(Object::parse(Bytes::from(body)).expect("an object"));
    let source = Arc::new(ResourceInfo {
        resource: pods(),
        kind: "Pod".into(),
        namespaced: true,
    });
    let delta = Delta {
        kind: DeltaKind::Added,
        object,
        old: None,
        initial,
    };
    DeltaBatch {
        watch: 0,
        source,
        deltas: vec![delta],
        old_bodies: false,
    }
}

/// A running loop and the test's ends of it.
struct Rig {
    controller: Arc<Controller>,
    calls: mpsc::UnboundedReceiver<Called>,
    batches: mpsc::UnboundedSender<Vec<DeltaBatch>>,
    seen: Arc<Seen>,
    progress: watch::Sender<u64>,
    orders: Orders,
    grace: Grace,
    end: tokio::task::JoinHandle<LoopEnd>,
}

impl Rig {
    /// A first instance.
    fn start(initial: Vec<Vec<DeltaBatch>>) -> Self {
        let controller = Arc::new(Controller::new("scripted".into(), Workqueue::default()));
        let rig = Self::beside(controller, initial);
        rig.orders.go.cancel();
        rig
    }

    /// An instance that waits for its turn.
    fn beside(controller: Arc<Controller>, initial: Vec<Vec<DeltaBatch>>) -> Self {
        Self::with(controller, initial, Concurrency::of_one(4))
    }

    /// The same, with so many syncs at once.
    fn with(controller: Arc<Controller>, initial: Vec<Vec<DeltaBatch>>, concurrency: Concurrency) -> Self {
        let (called, calls) = mpsc::unbounded_channel();
        let (batches, receiver) = mpsc::unbounded_channel();
        let mut source = ScriptedSource {
            batches: receiver,
            initial: initial.len(),
        };
        for batch in initial {
            batches.send(batch).expect("the source lives");
        }
        let seen = Arc::new(Seen(AtomicU64::new(5)));
        let (progress, progressed) = watch::channel(0);
        let caches = Caches {
            reader: Arc::new(Nothing),
            progress: seen.clone(),
            progressed,
        };
        let orders = Orders::default();
        let timing = Timing {
            start_timeout: Duration::from_secs(5),
            grace: Grace::new(Duration::from_secs(5)),
        };
        let grace = timing.grace.clone();
        let end = tokio::spawn({
            let (controller, orders) = (Arc::clone(&controller), orders.clone());
            async move {
                let (guest, manifest) = (ScriptedGuest(called), manifest());
                let job = Engagement {
                    id: controller.next_run(),
                    controller: &controller,
                    guest: &guest,
                    manifest: &manifest,
                    caches: &caches,
                    authority: &Authority::default(),
                    concurrency,
                    timing,
                    tracer: None,
                };
                job.run(&mut source, || {}, &orders).await
            }
        });
        Self {
            controller,
            calls,
            batches,
            seen,
            progress,
            orders,
            grace,
            end,
        }
    }

    async fn next(&mut self) -> Called {
        self.calls.recv().await.expect("the loop runs")
    }

    #[expect(clippy::panic, reason = "a test fails by panicking")]
    async fn next_sync(&mut self) -> (SyncId, String, oneshot::Sender<SyncResult>) {
        match self.next().await {
            Called::Sync(id, key, answer) => (id, key, answer),
            other => panic!("expected a sync, got {other:?}"),
        }
    }

    /// Paused time passes only when nothing is left to do.
    async fn settle(&self) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn answer(sync: oneshot::Sender<SyncResult>, result: SyncResult) {
    sync.send(result).expect("the loop waits");
}

#[tokio::test(start_paused = true)]
async fn the_initial_content_is_observed_before_start_and_start_before_any_sync() {
    let mut rig = Rig::start(vec![vec![added("a", true)], vec![added("b", true)]]);
    assert!(matches!(rig.next().await, Called::Observe(1)));
    assert!(matches!(rig.next().await, Called::Observe(1)));
    assert!(matches!(rig.next().await, Called::Start));
    let (_, first, _first) = rig.next_sync().await;
    let (_, second, _second) = rig.next_sync().await;
    assert_eq!([first, second], ["ns/a", "ns/b"]);
}

#[tokio::test(start_paused = true)]
async fn a_delta_is_observed_before_the_sync_it_causes() {
    let mut rig = Rig::start(Vec::new());
    assert!(matches!(rig.next().await, Called::Start));
    rig.batches
        .send(vec![added("a", false)])
        .expect("the source lives");
    assert!(matches!(rig.next().await, Called::Observe(1)));
    assert_eq!(rig.next_sync().await.1, "ns/a");
}

#[tokio::test(start_paused = true)]
async fn a_key_is_not_synced_twice_at_once() {
    let mut rig = Rig::start(Vec::new());
    assert!(matches!(rig.next().await, Called::Start));
    let key = ObjectKey::new("ns", "a");
    rig.controller.queue.add(key.clone());
    let (_, _, sync) = rig.next_sync().await;
    rig.controller.queue.add(key);
    rig.settle().await;
    assert!(
        rig.calls.try_recv().is_err(),
        "the second sync waits for the first"
    );
    answer(sync, Ok(Ok(Outcome::Done)));
    assert_eq!(rig.next_sync().await.1, "ns/a");
}

#[tokio::test(start_paused = true)]
async fn a_key_waits_until_the_caches_show_what_it_wrote_and_others_do_not() {
    let mut rig = Rig::start(Vec::new());
    assert!(matches!(rig.next().await, Called::Start));
    let (writer, other) = (ObjectKey::new("ns", "writer"), ObjectKey::new("ns", "other"));
    let effect = WriteEffect::Stored { revision: 9 };
    let write = Write {
        resource: pods(),
        key: ObjectKey::new("ns", "pod"),
        uid: "u".into(),
        effect,
    };
    rig.controller.gate.record(&writer, write, Instant::now());
    rig.controller.queue.add(writer);
    rig.controller.queue.add(other);
    let (_, key, _other) = rig.next_sync().await;
    assert_eq!(key, "ns/other");
    rig.settle().await;
    assert!(rig.calls.try_recv().is_err(), "the cache is at 5, the write at 9");
    rig.seen.0.store(9, Ordering::SeqCst);
    rig.progress.send_modify(|tick| *tick += 1);
    assert_eq!(rig.next_sync().await.1, "ns/writer");
}

#[tokio::test(start_paused = true)]
async fn a_failed_sync_is_retried_with_back_off_and_a_terminal_one_is_not() {
    let mut rig = Rig::start(Vec::new());
    assert!(matches!(rig.next().await, Called::Start));
    let key = ObjectKey::new("ns", "a");
    rig.controller.queue.add(key.clone());
    for failures in 0..3 {
        let (_, _, sync) = rig.next_sync().await;
        assert_eq!(rig.controller.queue.num_requeues(&key), failures);
        answer(sync, Ok(Err(SyncError::Retry("not now".to_owned()))));
    }
    let (_, _, sync) = rig.next_sync().await;
    answer(sync, Ok(Ok(Outcome::Done)));
    rig.settle().await;
    assert_eq!(
        rig.controller.queue.num_requeues(&key),
        0,
        "a success forgets the failures"
    );
    rig.controller.queue.add(key);
    let (_, _, sync) = rig.next_sync().await;
    answer(sync, Ok(Err(SyncError::Terminal("never".to_owned()))));
    tokio::time::sleep(Duration::from_secs(2000)).await;
    assert!(rig.calls.try_recv().is_err(), "a terminal error is not retried");
}

#[tokio::test(start_paused = true)]
async fn a_failed_instance_leaves_its_keys_for_the_next_one() {
    let mut rig = Rig::start(Vec::new());
    assert!(matches!(rig.next().await, Called::Start));
    for name in ["a", "b"] {
        rig.controller.queue.add(ObjectKey::new("ns", name));
    }
    let (_, _, failing) = rig.next_sync().await;
    let (sync, _, _unanswered) = rig.next_sync().await;
    answer(failing, Err(GuestFailure::Trap("unreachable".to_owned())));
    let end = (&mut rig.end).await.expect("no panic");
    assert_eq!(end, LoopEnd::Failed(GuestFailure::Trap("unreachable".to_owned())));
    assert!(
        rig.controller.key_of(sync).is_some(),
        "late answers still find their key"
    );
    rig.controller.requeue_in_flight(1);
    let mut waiting: Vec<String> = std::iter::from_fn(|| rig.controller.queue.try_get())
        .map(|key| key.to_string())
        .collect();
    waiting.sort();
    assert_eq!(waiting, ["ns/a", "ns/b"]);
}

#[tokio::test(start_paused = true)]
async fn stopping_lets_the_syncs_in_flight_end() {
    let mut rig = Rig::start(Vec::new());
    assert!(matches!(rig.next().await, Called::Start));
    rig.controller.queue.add(ObjectKey::new("ns", "a"));
    let (_, _, sync) = rig.next_sync().await;
    rig.orders.drain.cancel();
    rig.settle().await;
    assert!(!rig.end.is_finished(), "the sync is still running");
    answer(sync, Ok(Ok(Outcome::Done)));
    assert_eq!((&mut rig.end).await.expect("no panic"), LoopEnd::Stopped);
    assert_eq!(rig.controller.syncs.total(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_waits_for_its_turn_syncs_nothing_and_then_every_key() {
    let mut old = Rig::start(Vec::new());
    assert!(matches!(old.next().await, Called::Start));
    old.controller.queue.add(ObjectKey::new("ns", "busy"));
    let (_, _, busy) = old.next_sync().await;
    let mut new = Rig::beside(
        Arc::clone(&old.controller),
        vec![vec![added("a", true), added("busy", true)]],
    );
    assert!(matches!(new.next().await, Called::Observe(2)));
    assert!(matches!(new.next().await, Called::Start));
    new.settle().await;
    assert!(new.calls.try_recv().is_err() && old.calls.try_recv().is_err());
    old.orders.drain.cancel();
    new.orders.go.cancel();
    let (_, first, _unanswered) = new.next_sync().await;
    assert_eq!(first, "ns/a");
    new.settle().await;
    assert!(
        new.calls.try_recv().is_err(),
        "the other key is still with the old instance"
    );
    answer(busy, Ok(Ok(Outcome::Done)));
    assert_eq!(new.next_sync().await.1, "ns/busy");
    assert_eq!((&mut old.end).await.expect("no panic"), LoopEnd::Stopped);
}

#[tokio::test(start_paused = true)]
async fn an_observer_takes_over_only_when_it_knows_what_was_written_before() {
    let controller = Arc::new(Controller::new("scripted".into(), Workqueue::default()));
    let effect = WriteEffect::Stored { revision: 9 };
    let write = Write {
        resource: pods(),
        key: ObjectKey::new("ns", "pod"),
        uid: "u".into(),
        effect,
    };
    controller
        .gate
        .record(&ObjectKey::new("ns", "writer"), write, Instant::now());
    controller.queue.add(ObjectKey::new("ns", "other"));
    let mut rig = Rig::beside(controller, Vec::new());
    assert!(matches!(rig.next().await, Called::Start));
    rig.orders.go.cancel();
    rig.settle().await;
    assert!(rig.calls.try_recv().is_err(), "the cache is at 5, the write at 9");
    rig.batches
        .send(vec![added("pod", false)])
        .expect("the source lives");
    rig.seen.0.store(9, Ordering::SeqCst);
    rig.progress.send_modify(|tick| *tick += 1);
    assert!(matches!(rig.next().await, Called::Observe(1)));
    let (_, first, _first) = rig.next_sync().await;
    let (_, second, _second) = rig.next_sync().await;
    assert_eq!([first, second], ["ns/other", "ns/pod"]);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_ends_its_instance_again_and_again_is_set_aside_and_comes_back() {
    let controller = Arc::new(Controller::new("scripted".into(), Workqueue::default()));
    let (poison, other) = (ObjectKey::new("ns", "poison"), ObjectKey::new("ns", "other"));
    let trap = GuestFailure::Trap("unreachable".to_owned());
    controller.queue.add(poison.clone());
    controller.queue.add(other.clone());
    for run in 1..=4 {
        let mut rig = Rig::beside(Arc::clone(&controller), Vec::new());
        assert!(matches!(rig.next().await, Called::Start));
        rig.orders.go.cancel();
        let (_, key, sync) = rig.next_sync().await;
        let sync = if key == "ns/other" {
            answer(sync, Ok(Ok(Outcome::Done)));
            rig.next_sync().await.2
        } else {
            sync
        };
        if run > 1 {
            rig.settle().await;
            assert!(rig.calls.try_recv().is_err(), "a suspect is synced alone");
        }
        answer(sync, Err(trap.clone()));
        assert_eq!(
            (&mut rig.end).await.expect("no panic"),
            LoopEnd::Failed(trap.clone())
        );
        controller.blame(run, &trap);
        controller.requeue_in_flight(run);
    }
    let set_aside: Vec<String> = controller
        .set_aside()
        .iter()
        .map(|aside| aside.key.to_string())
        .collect();
    assert_eq!(set_aside, ["ns/poison"]);
    let mut rig = Rig::beside(Arc::clone(&controller), Vec::new());
    assert!(matches!(rig.next().await, Called::Start));
    rig.orders.go.cancel();
    rig.settle().await;
    assert!(rig.calls.try_recv().is_err(), "it is set aside");
    controller.pardon();
    assert_eq!(rig.next_sync().await.1, "ns/poison");
}

/// A controller with keys `key-0` to `key-29` in its queue, taken up by three instances.
fn three_instances(in_each: usize, in_all: usize) -> (Rig, Concurrency) {
    let controller = Arc::new(Controller::new("scripted".into(), Workqueue::default()));
    for number in 0..30 {
        controller
            .queue
            .add(ObjectKey::new("ns", &format!("key-{number}")));
    }
    let concurrency = Concurrency {
        instances: 3,
        in_each,
        in_all,
    };
    let rig = Rig::with(controller, Vec::new(), concurrency);
    rig.orders.go.cancel();
    (rig, concurrency)
}

fn key(text: &str) -> ObjectKey {
    let (namespace, name) = text.split_once('/').expect("a namespace and a name");
    ObjectKey::new(namespace, name)
}

#[tokio::test(start_paused = true)]
async fn instances_sync_their_own_keys_within_the_limits_of_each_and_all() {
    for (in_each, in_all) in [(1, 3), (2, 6), (2, 4), (1, 2)] {
        let (mut rig, concurrency) = three_instances(in_each, in_all);
        assert!(matches!(rig.next().await, Called::Start));
        let mut running: Vec<(String, oneshot::Sender<SyncResult>)> = Vec::new();
        let (mut synced, mut most) = (Vec::new(), 0);
        loop {
            rig.settle().await;
            while let Ok(Called::Sync(_, key, answer)) = rig.calls.try_recv() {
                running.push((key, answer));
            }
            let mut in_instance = [0; 3];
            for (running, _) in &running {
                in_instance[concurrency.instance_of(&key(running))] += 1;
            }
            assert!(
                in_instance.iter().all(|count| *count <= in_each),
                "{in_instance:?}"
            );
            assert!(running.len() <= in_all);
            assert_eq!(rig.controller.running_syncs(), running.len());
            most = most.max(running.len());
            if running.is_empty() {
                break;
            }
            let (key, ended) = running.remove(0);
            synced.push(key);
            answer(ended, Ok(Ok(Outcome::Done)));
        }
        assert_eq!(most, in_all);
        synced.sort();
        synced.dedup();
        assert_eq!(synced.len(), 30);
    }
}

#[tokio::test(start_paused = true)]
async fn keys_that_wait_for_their_instance_are_not_blamed_for_its_end_and_not_lost() {
    let (mut rig, _) = three_instances(1, 3);
    assert!(matches!(rig.next().await, Called::Start));
    rig.settle().await;
    let mut running = Vec::new();
    while let Ok(Called::Sync(_, key, answer)) = rig.calls.try_recv() {
        running.push((key, answer));
    }
    assert_eq!(running.len(), 3);
    let trap = GuestFailure::Trap("unreachable".to_owned());
    answer(running.swap_remove(0).1, Err(trap.clone()));
    assert_eq!(
        (&mut rig.end).await.expect("no panic"),
        LoopEnd::Failed(trap.clone())
    );
    rig.controller.blame(1, &trap);
    assert_eq!(rig.controller.syncs.total(), 3, "one for each that was running");
    rig.controller.requeue_in_flight(1);
    assert_eq!(rig.controller.queue.metrics().depth, 30);
    assert_eq!(rig.controller.queue.metrics().processing, 0);
    assert_eq!(rig.controller.running_syncs(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_stops_gets_the_grace_period_of_that_moment() {
    let mut rig = Rig::start(Vec::new());
    assert!(matches!(rig.next().await, Called::Start));
    rig.controller.queue.add(ObjectKey::new("ns", "slow"));
    let (_, _, _never_answered) = rig.next_sync().await;
    rig.grace.set(Duration::from_secs(60));
    let told = tokio::time::Instant::now();
    rig.orders.drain.cancel();
    assert_eq!((&mut rig.end).await.expect("no panic"), LoopEnd::Stopped);
    assert_eq!(told.elapsed().as_secs(), 60);
}
