use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures::FutureExt;
use parking_lot::RwLock;
use proptest::prelude::*;

use super::*;

fn pods() -> Resource {
    Resource::new("", "v1", "pods")
}

/// Caches that follow a server's log of changes, resource by resource, in order.
#[derive(Debug, Default)]
struct Caches {
    observed: HashMap<Resource, u64>,
    objects: HashMap<(Resource, ObjectKey), (SmolStr, u64, bool)>,
}

impl CacheProgress for RwLock<Caches> {
    fn observed_revision(&self, resource: &Resource) -> Option<u64> {
        self.read().observed.get(resource).copied()
    }

    fn shows(&self, resource: &Resource, key: &ObjectKey, uid: &str) -> Presence {
        match self.read().objects.get(&(resource.clone(), key.clone())) {
            Some((present, revision, deleting)) if present == uid => Presence::Present {
                revision: *revision,
                deleting: *deleting,
            },
            _ => Presence::Absent,
        }
    }
}

fn caches(observed: u64) -> Arc<RwLock<Caches>> {
    let caches = Caches {
        observed: HashMap::from([(pods(), observed)]),
        ..Caches::default()
    };
    Arc::new(RwLock::new(caches))
}

fn stored(name: &str, revision: u64) -> Write {
    let key = ObjectKey::new("ns", name);
    Write {
        resource: pods(),
        key,
        uid: "u".into(),
        effect: WriteEffect::Stored { revision },
    }
}

fn deleted(name: &str) -> Write {
    Write {
        effect: WriteEffect::Deleted,
        ..stored(name, 0)
    }
}

fn show(caches: &RwLock<Caches>, name: &str, uid: &str, revision: u64, deleting: bool) {
    caches.write().objects.insert(
        (pods(), ObjectKey::new("ns", name)),
        (uid.into(), revision, deleting),
    );
}

fn closed(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Closed { .. })
}

#[test]
fn a_key_waits_until_the_cache_reaches_its_write() {
    let (gate, key, now) = (Gate::new(), ObjectKey::new("ns", "rs"), Instant::now());
    let caches = caches(10);
    gate.record(&key, stored("a", 12), now);
    gate.record(&key, stored("b", 11), now);
    assert!(closed(&gate.check(&key, &*caches, now)));
    assert_eq!(
        gate.check(&ObjectKey::new("ns", "other"), &*caches, now),
        Verdict::Open
    );
    caches.write().observed.insert(pods(), 11);
    assert!(closed(&gate.check(&key, &*caches, now)));
    caches.write().observed.insert(pods(), 12);
    assert_eq!((gate.check(&key, &*caches, now), gate.len()), (Verdict::Open, 0));
}

#[test]
fn seeing_the_object_itself_is_enough() {
    let (gate, key, now) = (Gate::new(), ObjectKey::new("ns", "rs"), Instant::now());
    let caches = caches(10);
    gate.record(&key, stored("a", 12), now);
    show(&caches, "a", "u", 12, false);
    assert_eq!(gate.check(&key, &*caches, now), Verdict::Open);
}

#[test]
fn a_deleted_object_has_to_go_be_replaced_or_show_that_it_is_going() {
    let (key, now) = (ObjectKey::new("ns", "rs"), Instant::now());
    for (uid, deleting, expected) in [("u", false, false), ("u", true, true), ("new", false, true)] {
        let (gate, caches) = (Gate::new(), caches(10));
        show(&caches, "a", uid, 9, deleting);
        gate.record(&key, deleted("a"), now);
        assert_eq!(
            gate.check(&key, &*caches, now) == Verdict::Open,
            expected,
            "{uid} {deleting}"
        );
    }
}

#[test]
fn what_nobody_caches_holds_nothing_back() {
    let (gate, key, now) = (Gate::new(), ObjectKey::new("ns", "rs"), Instant::now());
    let lease = Resource::new("coordination.k8s.io", "v1", "leases");
    gate.record(
        &key,
        Write {
            resource: lease,
            ..stored("a", 99)
        },
        now,
    );
    assert_eq!(gate.check(&key, &*caches(1), now), Verdict::Open);
}

#[test]
fn what_never_arrives_is_given_up_and_named() {
    let (gate, key, now) = (Gate::new(), ObjectKey::new("ns", "rs"), Instant::now());
    let caches = caches(10);
    gate.record(&key, stored("a", 12), now);
    assert_eq!(
        gate.check(&key, &*caches, now),
        Verdict::Closed { until: now + EXPIRY }
    );
    assert_eq!(
        gate.check(&key, &*caches, now + EXPIRY),
        Verdict::Expired {
            missing: stored("a", 12)
        }
    );
    assert_eq!(gate.check(&key, &*caches, now + EXPIRY), Verdict::Open);
}

#[tokio::test(start_paused = true)]
async fn waiting_ends_when_the_caches_say_so() {
    let (gate, key) = (Gate::new(), ObjectKey::new("ns", "rs"));
    let caches = caches(10);
    let (tick, mut progressed) = watch::channel(0_u64);
    gate.record(&key, stored("a", 12), tokio::time::Instant::now().into_std());
    let mut ready = Box::pin(gate.ready(&key, &*caches, &mut progressed));
    assert!(ready.as_mut().now_or_never().is_none());
    for (revision, expected) in [(11, None), (12, Some(Verdict::Open))] {
        caches.write().observed.insert(pods(), revision);
        tick.send_replace(revision);
        assert_eq!(ready.as_mut().now_or_never(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn waiting_ends_at_the_expiry_even_when_nobody_ticks_any_more() {
    let (gate, key) = (Gate::new(), ObjectKey::new("ns", "rs"));
    let (tick, mut progressed) = watch::channel(0_u64);
    drop(tick);
    gate.record(&key, stored("a", 12), tokio::time::Instant::now().into_std());
    let verdict = gate.ready(&key, &*caches(10), &mut progressed).await;
    assert_eq!(
        verdict,
        Verdict::Expired {
            missing: stored("a", 12)
        }
    );
}

#[derive(Clone, Copy, Debug)]
enum Action {
    Put { resource: usize, name: usize, by: usize },
    Delete { resource: usize, name: usize, by: usize },
    Follow { resource: usize },
    Check { by: usize },
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let action = prop_oneof![
        3 => (0..2_usize, 0..4_usize, 0..3_usize).prop_map(|(resource, name, by)| Action::Put { resource, name, by }),
        1 => (0..2_usize, 0..4_usize, 0..3_usize).prop_map(|(resource, name, by)| Action::Delete { resource, name, by }),
        3 => (0..2_usize).prop_map(|resource| Action::Follow { resource }),
        3 => (0..3_usize).prop_map(|by| Action::Check { by }),
    ];
    prop::collection::vec(action, 0..120)
}

/// A server that logs its changes per resource, and the caches that lag behind it.
struct World {
    revision: u64,
    live: HashMap<(usize, usize), SmolStr>,
    logs: [Vec<(u64, usize, Option<SmolStr>)>; 2],
    followed: [usize; 2],
    /// Position in the log of each write, by the key that made it.
    wrote: HashMap<usize, HashSet<(usize, usize)>>,
    caches: RwLock<Caches>,
}

fn resource(index: usize) -> Resource {
    Resource::new("", "v1", ["pods", "services"][index])
}

fn name(index: usize) -> ObjectKey {
    ObjectKey::new("ns", &index.to_string())
}

impl World {
    fn new() -> Self {
        let observed = (0..2).map(|index| (resource(index), 0)).collect();
        let caches = RwLock::new(Caches {
            observed,
            ..Caches::default()
        });
        Self {
            revision: 0,
            live: HashMap::new(),
            logs: Default::default(),
            followed: [0; 2],
            wrote: HashMap::new(),
            caches,
        }
    }

    fn put(&mut self, at: usize, object: usize, by: usize) -> Write {
        self.revision += 1;
        let uid = self
            .live
            .entry((at, object))
            .or_insert_with(|| format!("u{}", self.revision).into())
            .clone();
        self.log(at, object, by, Some(uid.clone()));
        Write {
            resource: resource(at),
            key: name(object),
            uid,
            effect: WriteEffect::Stored {
                revision: self.revision,
            },
        }
    }

    fn delete(&mut self, at: usize, object: usize, by: usize) -> Option<Write> {
        let uid = self.live.remove(&(at, object))?;
        self.revision += 1;
        self.log(at, object, by, None);
        Some(Write {
            resource: resource(at),
            key: name(object),
            uid,
            effect: WriteEffect::Deleted,
        })
    }

    fn log(&mut self, at: usize, object: usize, by: usize, uid: Option<SmolStr>) {
        self.wrote
            .entry(by)
            .or_default()
            .insert((at, self.logs[at].len()));
        self.logs[at].push((self.revision, object, uid));
    }

    fn follow(&mut self, at: usize) {
        let Some((revision, object, uid)) = self.logs[at].get(self.followed[at]).cloned() else {
            return;
        };
        self.followed[at] += 1;
        let mut caches = self.caches.write();
        caches.observed.insert(resource(at), revision);
        match uid {
            Some(uid) => {
                _ = caches
                    .objects
                    .insert((resource(at), name(object)), (uid, revision, false))
            }
            None => _ = caches.objects.remove(&(resource(at), name(object))),
        }
    }

    /// Whether the caches hold every write of a key, or the world moved past it.
    fn caught_up(&self, by: usize) -> bool {
        self.wrote
            .get(&by)
            .into_iter()
            .flatten()
            .all(|(at, position)| *position < self.followed[*at])
    }
}

proptest! {
    #[test]
    fn an_open_gate_means_that_the_caches_hold_what_was_written(actions in actions()) {
        let (gate, now, mut world) = (Gate::new(), Instant::now(), World::new());
        let syncing = |by: usize| ObjectKey::new("sync", &by.to_string());
        for action in actions {
            match action {
                Action::Put { resource, name, by } => gate.record(&syncing(by), world.put(resource, name, by), now),
                Action::Delete { resource, name, by } => {
                    if let Some(write) = world.delete(resource, name, by) {
                        gate.record(&syncing(by), write, now);
                    }
                }
                Action::Follow { resource } => world.follow(resource),
                Action::Check { by } => {
                    let open = gate.check(&syncing(by), &world.caches, now) == Verdict::Open;
                    if world.caught_up(by) {
                        prop_assert!(open, "a gate stays closed though nothing is missing");
                    }
                    // An object created and deleted behind the cache's back is nowhere to
                    // be seen, before and after: only stored objects tell.
                    let puts_seen = world.wrote.get(&by).into_iter().flatten().all(|(at, position)| {
                        world.logs[*at][*position].2.is_none() || *position < world.followed[*at]
                    });
                    prop_assert!(!open || puts_seen, "a gate opened too early");
                }
            }
        }
        for at in 0..2 {
            while world.followed[at] < world.logs[at].len() {
                world.follow(at);
            }
        }
        for by in 0..3 {
            prop_assert_eq!(gate.check(&syncing(by), &world.caches, now), Verdict::Open);
        }
        prop_assert!(gate.is_empty());
    }
}

#[test]
fn a_sweep_forgets_what_is_shown_or_expired_of_keys_that_nobody_syncs() {
    let (gate, caches, now) = (Gate::new(), caches(5), Instant::now());
    gate.record(&ObjectKey::new("", "shown"), stored("a", 4), now);
    gate.record(&ObjectKey::new("", "waiting"), stored("b", 9), now);
    gate.sweep(&*caches, now);
    assert_eq!((gate.len(), gate.pending(&ObjectKey::new("", "waiting"))), (1, 1));
    gate.sweep(&*caches, now + EXPIRY);
    assert!(gate.is_empty());
}

#[test]
fn a_change_without_a_version_is_shown_when_the_object_moves_on_or_goes() {
    let (key, now) = (ObjectKey::new("ns", "a"), Instant::now());
    let changed = Write {
        effect: WriteEffect::Changed { from: 9 },
        ..stored("a", 0)
    };
    for (uid, revision, expected) in [("u", 9, false), ("u", 10, true), ("new", 9, true)] {
        let (gate, caches) = (Gate::new(), caches(20));
        show(&caches, "a", uid, revision, false);
        gate.record(&key, changed.clone(), now);
        assert_eq!(
            gate.check(&key, &*caches, now) == Verdict::Open,
            expected,
            "{uid} {revision}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn settling_waits_for_what_every_key_wrote() {
    let (gate, caches) = (Gate::new(), caches(10));
    let now = tokio::time::Instant::now().into_std();
    gate.record(&ObjectKey::new("", "x"), stored("a", 11), now);
    gate.record(&ObjectKey::new("", "y"), stored("b", 12), now);
    let (tick, mut progressed) = watch::channel(0);
    let mut settled = Box::pin(gate.settled(&*caches, &mut progressed));
    for revision in [10, 11] {
        caches.write().observed.insert(pods(), revision);
        tick.send_replace(revision);
        assert_eq!((&mut settled).now_or_never(), None);
    }
    caches.write().observed.insert(pods(), 12);
    tick.send_replace(12);
    settled.await;
    assert!(gate.is_empty());
}
