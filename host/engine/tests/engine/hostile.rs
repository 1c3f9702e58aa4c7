//! Every misdeed costs its guest the instance, is named for what it is, and costs no
//! other guest anything.

use std::sync::Arc;
use std::time::Duration;

use windlass_core::api_error::{ApiError, ApiErrorKind};
use windlass_core::outcome::{GuestFailure, Outcome};
use windlass_core::seams::Guest;
use windlass_engine::engine::Engine;
use windlass_engine::limits::Limits;

use crate::support::{
    FakeCluster, Running, engine, fixture, instance, instantiate, key, load, report, sync, try_load,
};

const BUDGET: Duration = Duration::from_millis(50);

fn tight() -> Limits {
    Limits {
        cpu_budget: BUDGET,
        memory_bytes: 16 << 20,
        ..Limits::default()
    }
}

async fn hostile(engine: &Engine, limits: Limits) -> Running {
    let guest = load(engine, "hostile").await;
    let cluster = Arc::<FakeCluster>::default();
    instantiate(&guest, cluster.services(""), limits).await.unwrap()
}

async fn do_a_hundred_syncs(guest: &Running) {
    for _ in 0..100 {
        assert_eq!(sync(guest, "a").await, Ok(Ok(Outcome::Done)));
    }
}

/// One misdeed beside a healthy guest and beside another sync of the same instance.
async fn costs_its_instance(misdeed: &str, expected: GuestFailure) {
    let engine = engine();
    let (healthy, _cluster) = instance(&engine, "counter").await;
    let guilty = hostile(&engine, tight()).await;
    let innocent_call = guilty.sync(1, key("wait"));
    let (failure, innocent, ()) = tokio::join!(
        sync(&guilty, misdeed),
        innocent_call,
        do_a_hundred_syncs(&healthy)
    );
    assert_eq!(failure, Err(expected.clone()));
    assert_eq!(
        innocent,
        Err(expected.clone()),
        "calls in flight fail with the same reason"
    );
    assert_eq!(
        sync(&guilty, "a").await,
        Err(expected.clone()),
        "so do later ones"
    );
    assert_eq!(guilty.closed().await, expected);
    do_a_hundred_syncs(&healthy).await;
    assert_eq!(report(&healthy, "count").await, "200");
    let successor = hostile(&engine, tight()).await;
    assert_eq!(sync(&successor, "a").await, Ok(Ok(Outcome::Done)));
}

#[tokio::test]
async fn an_endless_loop_exceeds_the_cpu_budget() {
    costs_its_instance("loop", GuestFailure::Cpu { budget: BUDGET }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn so_does_one_that_was_taken_off_its_thread() {
    costs_its_instance("loop", GuestFailure::Cpu { budget: BUDGET }).await;
}

#[tokio::test]
async fn calling_cheap_imports_for_ever_exceeds_the_cpu_budget() {
    costs_its_instance("import-loop", GuestFailure::Cpu { budget: BUDGET }).await;
}

#[tokio::test]
async fn yielding_for_ever_exceeds_the_cpu_budget() {
    costs_its_instance("yield-loop", GuestFailure::Cpu { budget: BUDGET }).await;
}

#[tokio::test]
async fn asking_for_ever_for_what_is_refused_at_once_exceeds_the_cpu_budget() {
    let cluster = Arc::<FakeCluster>::default();
    *cluster.refusal_at_once.lock() = Some(ApiError::local(ApiErrorKind::NotPermitted, "no"));
    let guest = load(&engine(), "hostile").await;
    let guilty = instantiate(&guest, cluster.services(""), tight()).await.unwrap();
    let expected = GuestFailure::Cpu { budget: BUDGET };
    assert_eq!(sync(&guilty, "api-flood").await, Err(expected));
}

#[tokio::test]
async fn a_memory_bomb_meets_the_limit() {
    costs_its_instance(
        "memory-bomb",
        GuestFailure::Memory {
            limit_bytes: 16 << 20,
        },
    )
    .await;
}

#[tokio::test]
async fn endless_recursion_overflows_the_stack() {
    costs_its_instance(
        "stack-overflow",
        GuestFailure::Stack {
            limit_bytes: 512 * 1024,
        },
    )
    .await;
}

#[tokio::test]
async fn a_trap_says_which() {
    let trap = "wasm trap: wasm `unreachable` instruction executed".to_owned();
    costs_its_instance("trap", GuestFailure::Trap(trap)).await;
}

#[tokio::test]
async fn a_panic_keeps_its_message() {
    let panic = "panicked: the key \"panic\" is cursed".to_owned();
    costs_its_instance("panic", GuestFailure::Trap(panic)).await;
}

#[tokio::test]
async fn a_result_past_the_limit_breaks_the_contract() {
    let breach =
        || GuestFailure::Contract("passed more than 4194304 bytes to the host in one call".to_owned());
    costs_its_instance("huge-result", breach()).await;
    costs_its_instance("huge-argument", breach()).await;
}

#[tokio::test]
async fn reading_an_unknown_watch_breaks_the_contract() {
    let breach = "watch 7 is not one the lister can read".to_owned();
    costs_its_instance("unknown-watch", GuestFailure::Contract(breach)).await;
}

#[tokio::test]
async fn a_start_that_reports_an_error_ends_the_instance() {
    let failure = start_failure(r#"{"misdeed":"start-error"}"#).await;
    assert_eq!(failure, GuestFailure::Start("no flux capacitor".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_start_that_never_ends_runs_out_of_time() {
    let failure = start_failure(r#"{"misdeed":"start-wait"}"#).await;
    assert_eq!(
        failure,
        GuestFailure::Start("did not finish within 30s".to_owned())
    );
}

async fn start_failure(config: &'static str) -> GuestFailure {
    let guest = try_load(&engine(), fixture("hostile"), config).await.unwrap();
    let cluster = Arc::<FakeCluster>::default();
    let instance = instantiate(&guest, cluster.services(config), Limits::default())
        .await
        .unwrap();
    let failure = instance.start().await.unwrap_err();
    assert_eq!(instance.closed().await, failure);
    failure
}

#[tokio::test]
async fn a_guest_that_describes_itself_differently_is_not_started() {
    let guest = load(&engine(), "hostile").await;
    let config = r#"{"misdeed":"describe-name"}"#;
    let cluster = Arc::<FakeCluster>::default();
    let failure = instantiate(&guest, cluster.services(config), Limits::default())
        .await
        .unwrap_err();
    assert_eq!(
        failure,
        GuestFailure::Start("`describe` differs from what was admitted".to_owned())
    );
}

#[tokio::test]
async fn a_guest_that_does_not_fit_its_memory_is_not_instantiated() {
    let guest = load(&engine(), "hostile").await;
    let limits = Limits {
        memory_bytes: 65_536,
        ..Limits::default()
    };
    let cluster = Arc::<FakeCluster>::default();
    let failure = instantiate(&guest, cluster.services(""), limits)
        .await
        .unwrap_err();
    assert_eq!(failure, GuestFailure::Memory { limit_bytes: 65_536 });
}

/// On one thread, so that only the guest's own yielding lets the other guest run.
#[tokio::test(flavor = "current_thread")]
async fn a_computing_guest_lets_others_run_long_before_its_budget_ends() {
    let engine = engine();
    let (healthy, _cluster) = instance(&engine, "counter").await;
    let computing = hostile(
        &engine,
        Limits {
            cpu_budget: Duration::from_secs(3600),
            ..Limits::default()
        },
    )
    .await;
    let endless = computing.sync(1, key("loop"));
    for _ in 0..10 {
        assert_eq!(sync(&healthy, "a").await, Ok(Ok(Outcome::Done)));
    }
    drop(computing);
    assert_eq!(endless.await, Err(GuestFailure::Stopped));
}
