//! The waiting handle, with paused time.

use futures::FutureExt;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_getter_waits_for_an_add() {
    let queue = Workqueue::<u32>::default();
    let mut get = Box::pin(queue.get());
    assert!(get.as_mut().now_or_never().is_none());
    queue.add(1);
    assert_eq!(get.await, Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_delayed_key_comes_at_its_time_even_when_added_after_a_later_one() {
    let queue = Workqueue::<u32>::default();
    let start = Instant::now();
    queue.add_with(1, 0, 60 * SECOND);
    let getter = tokio::spawn({
        let queue = queue.clone();
        async move { (queue.get().await, start.elapsed()) }
    });
    tokio::task::yield_now().await;
    queue.add_with(2, 0, SECOND);
    let (key, waited) = getter.await.unwrap();
    assert_eq!(key, Some(2));
    assert!((SECOND..2 * SECOND).contains(&waited), "{waited:?}");
    assert_eq!(queue.get().await, Some(1));
}

#[tokio::test(start_paused = true)]
async fn an_idle_getter_serves_a_delayed_key_while_another_is_busy() {
    let queue = Workqueue::<u32>::default();
    let mut getters = JoinSet::new();
    for _ in 0..2 {
        let queue = queue.clone();
        getters.spawn(async move { queue.get().await });
    }
    tokio::task::yield_now().await;
    queue.add_with(1, 0, SECOND);
    queue.add(2);
    let mut got = getters.join_all().await;
    got.sort_unstable();
    assert_eq!(got, [Some(1), Some(2)]);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_getter_loses_nothing() {
    let queue = Workqueue::<u32>::default();
    let mut cancelled = Box::pin(queue.get());
    assert!(cancelled.as_mut().now_or_never().is_none());
    let mut other = Box::pin(queue.get());
    assert!(other.as_mut().now_or_never().is_none());
    queue.add(1);
    drop(cancelled);
    assert_eq!(other.await, Some(1));
}

#[tokio::test(start_paused = true)]
async fn shutdown_hands_out_what_is_ready_and_then_nothing() {
    let queue = Workqueue::<u32>::default();
    queue.add(1);
    queue.add_with(2, 0, SECOND);
    queue.shut_down();
    queue.add(3);
    assert_eq!((queue.get().await, queue.get().await), (Some(1), None));
}

#[tokio::test(start_paused = true)]
async fn a_drain_waits_for_the_running_sync_and_for_the_one_it_causes() {
    let queue = Workqueue::<u32>::default();
    queue.add(1);
    assert_eq!(queue.get().await, Some(1));
    queue.add(1);
    let mut drain = Box::pin(queue.shut_down_with_drain());
    assert!(drain.as_mut().now_or_never().is_none());
    let mut get = Box::pin(queue.get());
    assert!(get.as_mut().now_or_never().is_none());
    queue.done(&1);
    assert!(drain.as_mut().now_or_never().is_none());
    assert_eq!(get.await, Some(1));
    drop(queue.guard(1));
    drain.await;
    assert_eq!(queue.get().await, None);
}

#[tokio::test(start_paused = true)]
async fn shutting_down_ends_a_drain() {
    let queue = Workqueue::<u32>::default();
    queue.add(1);
    let mut drain = Box::pin(queue.shut_down_with_drain());
    assert!(drain.as_mut().now_or_never().is_none());
    queue.shut_down();
    drain.await;
}
