//! Producers and workers on real threads: after everything settled, each key was seen in
//! its last version, and never by two workers at once.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::task::JoinSet;

use super::*;

const KEYS: usize = 50;
const ADDS: u64 = 4000;

#[derive(Default)]
struct Subject {
    version: AtomicU64,
    seen: AtomicU64,
    running: AtomicBool,
}

async fn produce(queue: Workqueue<u32>, subjects: Arc<Vec<Subject>>, seed: u64) {
    for turn in 0..ADDS {
        let key = (turn.wrapping_mul(31).wrapping_add(seed * 7) % KEYS as u64) as u32;
        subjects[key as usize].version.fetch_add(1, Ordering::SeqCst);
        match turn % 5 {
            0 => queue.add_with(key, 3, Duration::from_micros(turn % 700)),
            1 => queue.add_with(key, -100, Duration::ZERO),
            _ => queue.add(key),
        }
        if turn % 64 == 0 {
            tokio::task::yield_now().await;
        }
    }
}

async fn work(queue: Workqueue<u32>, subjects: Arc<Vec<Subject>>) {
    while let Some(key) = queue.get().await {
        let subject = &subjects[key as usize];
        assert!(
            !subject.running.swap(true, Ordering::SeqCst),
            "{key} is processed twice at once"
        );
        subject
            .seen
            .store(subject.version.load(Ordering::SeqCst), Ordering::SeqCst);
        tokio::task::yield_now().await;
        subject.running.store(false, Ordering::SeqCst);
        queue.done(&key);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_change_is_missed_under_contention() {
    let queue = Workqueue::<u32>::default();
    let subjects: Arc<Vec<Subject>> = Arc::new((0..KEYS).map(|_| Subject::default()).collect());
    let mut workers = JoinSet::new();
    for _ in 0..8 {
        workers.spawn(work(queue.clone(), Arc::clone(&subjects)));
    }
    let mut producers = JoinSet::new();
    for seed in 0..4 {
        producers.spawn(produce(queue.clone(), Arc::clone(&subjects), seed));
    }
    producers.join_all().await;
    while queue.delayed() > 0 {
        tokio::task::yield_now().await;
    }
    queue.shut_down_with_drain().await;
    workers.join_all().await;
    for subject in subjects.iter() {
        assert_eq!(
            subject.seen.load(Ordering::SeqCst),
            subject.version.load(Ordering::SeqCst)
        );
    }
    assert_eq!((queue.len(), queue.processing(), queue.delayed()), (0, 0, 0));
}
