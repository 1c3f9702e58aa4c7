//! The state machine against a naive model (`model`), the waiting handle with paused time
//! (`handle`), and both under real threads (`stress`).

mod handle;
mod model;
mod stress;

use std::time::{Duration, Instant};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn state(limit: Option<usize>) -> (QueueState<u32>, Instant) {
    let now = Instant::now();
    (
        QueueState::new(
            QueueConfig {
                limit,
                ..QueueConfig::default()
            },
            now,
        ),
        now,
    )
}

fn take(state: &mut QueueState<u32>, now: Instant) -> Vec<u32> {
    std::iter::from_fn(|| match state.next(now) {
        Next::Key(key) => Some(key),
        Next::Wait(_) | Next::ShutDown => None,
    })
    .collect()
}

fn add(state: &mut QueueState<u32>, key: u32, priority: i32, after: Duration, now: Instant) {
    let _: Wake = state.add(key, priority, after, now);
}

#[test]
fn a_key_added_while_processed_runs_once_more_after_done() {
    let (mut state, now) = state(None);
    add(&mut state, 1, 0, Duration::ZERO, now);
    assert_eq!(take(&mut state, now), [1]);
    for _ in 0..3 {
        add(&mut state, 1, 0, Duration::ZERO, now);
    }
    assert_eq!(take(&mut state, now), [0; 0]);
    assert_eq!(state.done(&1, now), Wake::One);
    assert_eq!(take(&mut state, now), [1]);
    assert_eq!(state.done(&1, now), Wake::Nobody);
    assert_eq!((state.len(), state.processing()), (0, 0));
}

#[test]
fn raising_the_priority_of_a_queued_key_moves_it_forward_and_lowering_does_not_move_it() {
    let (mut state, now) = state(None);
    for key in 1..=3 {
        add(&mut state, key, 0, Duration::ZERO, now);
    }
    add(&mut state, 3, 5, Duration::ZERO, now);
    add(&mut state, 1, -5, Duration::ZERO, now);
    assert_eq!(take(&mut state, now), [3, 1, 2]);
}

#[test]
fn a_waiting_key_is_overtaken_only_within_its_ageing_time() {
    let (mut state, start) = state(None);
    add(&mut state, 0, -100, Duration::ZERO, start);
    add(&mut state, 1, 0, Duration::ZERO, start + 99 * SECOND);
    add(&mut state, 2, 0, Duration::ZERO, start + 101 * SECOND);
    assert_eq!(take(&mut state, start + 101 * SECOND), [1, 0, 2]);
}

#[test]
fn a_steady_stream_of_urgent_keys_starves_nobody() {
    let (mut state, start) = state(None);
    add(&mut state, 0, -10, Duration::ZERO, start);
    let turn = (1..100).find(|turn| {
        let now = start + *turn * SECOND;
        add(&mut state, *turn, 0, Duration::ZERO, now);
        state.next(now) == Next::Key(0)
    });
    assert_eq!(turn, Some(10));
}

#[test]
fn the_earliest_of_several_delays_counts_and_an_add_meanwhile_does_not_cancel_it() {
    let (mut state, now) = state(None);
    add(&mut state, 1, 0, 10 * SECOND, now);
    add(&mut state, 1, 0, 5 * SECOND, now);
    add(&mut state, 1, 0, 20 * SECOND, now);
    add(&mut state, 1, 0, Duration::ZERO, now);
    assert_eq!(take(&mut state, now), [1]);
    let _: Wake = state.done(&1, now);
    assert_eq!(state.next(now), Next::Wait(Some(now + 5 * SECOND)));
    assert_eq!(take(&mut state, now + 5 * SECOND), [1]);
    let _: Wake = state.done(&1, now);
    assert_eq!(state.next(now + 30 * SECOND), Next::Wait(None));
}

#[test]
fn delays_without_end_are_clamped() {
    let (mut state, now) = state(None);
    add(&mut state, 1, 0, Duration::MAX, now);
    assert_eq!(state.next(now), Next::Wait(Some(now + MAX_DELAY)));
}

#[test]
fn new_keys_past_the_limit_are_refused_and_counted_and_other_adds_do_not_matter() {
    let (mut state, now) = state(Some(2));
    add(&mut state, 1, 0, Duration::ZERO, now);
    assert!(state.try_add(2, 0, SECOND, now).is_ok());
    assert!(state.try_add(3, 0, Duration::ZERO, now).is_ok());
    assert_eq!(
        state.try_add(4, 0, Duration::ZERO, now),
        Err(QueueFull { limit: 2 })
    );
    assert!(
        state.try_add(1, 0, Duration::ZERO, now).is_ok(),
        "it is in the queue"
    );
    add(&mut state, 5, 0, Duration::ZERO, now);
    assert_eq!(
        (state.metrics(now).dropped, take(&mut state, now)),
        (1, vec![1, 3, 5])
    );
}

#[test]
fn a_key_counts_against_the_limit_until_it_has_left_the_queue() {
    let (mut state, now) = state(Some(1));
    assert!(state.try_add(1, 0, Duration::ZERO, now).is_ok());
    assert_eq!(take(&mut state, now), [1]);
    add(&mut state, 1, 0, SECOND, now);
    let _: Wake = state.done(&1, now);
    assert!(
        state.try_add(2, 0, Duration::ZERO, now).is_err(),
        "it was put off, by whatever add"
    );
    assert_eq!(take(&mut state, now + SECOND), [1]);
    let _: Wake = state.done(&1, now + SECOND);
    assert!(state.try_add(2, 0, Duration::ZERO, now + SECOND).is_ok());
    state.shut_down();
    assert!(
        state.try_add(3, 0, Duration::ZERO, now + SECOND).is_ok(),
        "ignored"
    );
}

#[test]
fn a_retry_keeps_the_priority_of_the_sync_that_failed() {
    let (mut state, now) = state(None);
    add(&mut state, 1, 7, Duration::ZERO, now);
    assert_eq!(take(&mut state, now), [1]);
    let _: Wake = state.add_rate_limited(1, now);
    let _: Wake = state.done(&1, now);
    let later = now + SECOND;
    add(&mut state, 2, 3, Duration::ZERO, later);
    assert_eq!((state.num_requeues(&1), take(&mut state, later)), (1, vec![1, 2]));
    state.forget(&1);
    assert_eq!(state.num_requeues(&1), 0);
}

#[test]
fn metrics_follow_the_life_of_a_key() {
    let (mut state, now) = state(None);
    add(&mut state, 1, 0, Duration::ZERO, now);
    add(&mut state, 1, 0, Duration::ZERO, now);
    add(&mut state, 2, 0, SECOND, now);
    let _ = state.next(now + SECOND / 2);
    let metrics = state.metrics(now + 3 * SECOND / 2);
    assert_eq!(
        (
            metrics.adds,
            metrics.retries,
            metrics.depth,
            metrics.delayed,
            metrics.processing
        ),
        (1, 1, 0, 1, 1)
    );
    assert_eq!(
        (metrics.longest_running, metrics.unfinished_work),
        (SECOND, SECOND)
    );
    let _: Wake = state.done(&1, now + 5 * SECOND / 2);
    let metrics = state.metrics(now + 3 * SECOND);
    assert_eq!(
        (metrics.queue_duration.sum, metrics.work_duration.sum),
        (SECOND / 2, 2 * SECOND)
    );
    assert_eq!((metrics.work_duration.count(), metrics.processing), (1, 0));
}

#[test]
fn every_bucket_of_the_histogram_holds_what_its_bounds_say() {
    for nanos in [
        0,
        1,
        10,
        11,
        100,
        101,
        999,
        1_000,
        1_001,
        1_000_000_000,
        10_000_000_000,
        10_000_000_001,
    ] {
        let mut histogram = DurationHistogram::default();
        let duration = Duration::from_nanos(nanos);
        histogram.observe(duration);
        let bucket = histogram.counts.iter().position(|count| *count == 1).unwrap();
        let expected = BUCKETS
            .iter()
            .position(|bound| duration.as_secs_f64() <= *bound)
            .unwrap_or(BUCKETS.len());
        assert_eq!(bucket, expected, "{nanos} ns");
    }
}

#[test]
fn how_long_a_key_waited_is_known_while_it_is_processed() {
    let (mut state, now) = state(None);
    add(&mut state, 1, 0, SECOND, now);
    assert_eq!(state.taken(&1), None, "it is not taken yet");
    assert_eq!(take(&mut state, now + 3 * SECOND), [1]);
    let taken = state.taken(&1).unwrap();
    assert_eq!(taken.waited, 2 * SECOND, "from the time it was due");
    let _: Wake = state.done(&1, now + 4 * SECOND);
    assert_eq!(state.taken(&1), None);
}
