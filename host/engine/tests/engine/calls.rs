//! Calls into guests that behave.

use std::time::Duration;

use futures::future::join_all;
use windlass_core::outcome::{GuestFailure, Outcome, SyncError};
use windlass_core::seams::Guest;

use crate::support::{batch, engine, instance, key, report, sync, updated};

#[tokio::test]
async fn outcomes_and_errors_come_back() {
    let (counter, cluster) = instance(&engine(), "counter").await;
    counter.start().await.unwrap();
    assert_eq!(sync(&counter, "a").await, Ok(Ok(Outcome::Done)));
    let later = Outcome::RequeueAfter(Duration::from_millis(1500));
    assert_eq!(sync(&counter, "later").await, Ok(Ok(later)));
    assert_eq!(report(&counter, "journal").await, "sync:a");
    *cluster.refusal.lock() = Some(windlass_core::api_error::ApiError::from_response(404, b"", None));
    cluster.answer();
    let retry = SyncError::Retry("HTTP status 404".to_owned());
    assert_eq!(sync(&counter, "wait").await, Ok(Err(retry)));
}

#[tokio::test]
async fn a_thousand_syncs_wait_in_one_instance() {
    let (counter, cluster) = instance(&engine(), "counter").await;
    let names: Vec<String> = (0..1000).map(|number| format!("wait-{number}")).collect();
    let syncs = join_all(names.iter().map(|name| sync(&counter, name)));
    let all_wait_then_go = async {
        cluster.until_waiting(1000).await;
        assert_eq!(report(&counter, "count").await, "0");
        cluster.answer();
    };
    let (outcomes, ()) = tokio::join!(syncs, all_wait_then_go);
    assert!(outcomes.iter().all(|outcome| *outcome == Ok(Ok(Outcome::Done))));
    assert_eq!(report(&counter, "count").await, "1000");
}

#[tokio::test]
async fn calls_enter_in_the_order_in_which_they_were_made() {
    let (counter, _cluster) = instance(&engine(), "counter").await;
    // Made, not polled: the last one is awaited first.
    let first = counter.sync(1, key("a"));
    let second = counter.observe(vec![batch(&["b", "c"], false)]);
    let third = counter.sync(2, key("d"));
    let fourth = counter.observe(vec![batch(&["e"], true)]);
    fourth.await.unwrap();
    third.await.unwrap().unwrap();
    second.await.unwrap();
    first.await.unwrap().unwrap();
    assert_eq!(
        report(&counter, "journal").await,
        "sync:a observe:b observe:c sync:d observe:e+old"
    );
}

#[tokio::test]
async fn a_guest_that_blocks_still_sees_deltas_before_the_syncs_that_follow_them() {
    let (blocking, cluster) = instance(&engine(), "blocking").await;
    let waiting = blocking.sync(1, key("wait"));
    let made_while_it_waits = async {
        cluster.until_waiting(1).await;
        let mut calls = Vec::new();
        for name in ["a", "b", "c", "d", "e", "f"] {
            let observe = blocking.observe(vec![batch(&[name], false)]);
            calls.push((observe, blocking.sync(2, key(name))));
        }
        cluster.answer();
        for (observe, sync) in calls {
            observe.await.unwrap();
            sync.await.unwrap().unwrap();
        }
    };
    let (outcome, ()) = tokio::join!(waiting, made_while_it_waits);
    assert_eq!(outcome, Ok(Ok(Outcome::Done)));
    assert_eq!(
        report(&blocking, "journal").await,
        "sync:wait observe:a sync:a observe:b sync:b observe:c sync:c observe:d sync:d observe:e sync:e observe:f sync:f"
    );
}

#[tokio::test]
async fn a_mapper_turns_events_into_keys() {
    let (counter, _cluster) = instance(&engine(), "counter").await;
    let delta = updated("a");
    let expected = format!("a-{}", delta.object.body().len());
    assert_eq!(counter.map(0, delta).await, Ok(vec![key(&expected)]));
}

#[tokio::test]
async fn an_instance_that_is_dropped_takes_its_calls_along() {
    let (counter, cluster) = instance(&engine(), "counter").await;
    let call = counter.sync(1, key("wait"));
    let closed = counter.closed();
    let drop_while_it_waits = async {
        cluster.until_waiting(1).await;
        drop(counter);
    };
    let (outcome, ()) = tokio::join!(call, drop_while_it_waits);
    assert_eq!(outcome, Err(GuestFailure::Stopped));
    assert_eq!(closed.await, GuestFailure::Stopped);
}
