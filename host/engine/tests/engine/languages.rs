//! Guests in other languages than Rust, whose toolchains bring WASI along: what they try
//! to reach, what their runtimes need, and how they end. Built by `xtask languages`; a
//! test whose guest is not there says that it is skipped.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use windlass_core::outcome::GuestFailure;
use windlass_core::seams::{Ambient, Guest, LogLevel};
use windlass_engine::limits::Limits;
use windlass_engine::load::LoadedGuest;

use crate::imports::{capture, lines};
use crate::support::{FakeCluster, Running, engine, instantiate, report, sync, try_load};

/// A clock and a die that tests can predict.
struct Fixed;

impl Ambient for Fixed {
    fn now(&self) -> Duration {
        Duration::new(1_800_000_000, 123_456_789)
    }

    fn monotonic_nanos(&self) -> u64 {
        42_000_000_007
    }

    fn random(&self) -> u64 {
        0x0807_0605_0403_0201
    }

    fn logs(&self, _: LogLevel) -> bool {
        true
    }
}

async fn probe(language: &str) -> Option<LoadedGuest> {
    let file = format!("../../target/guests/probe-{language}.wasm");
    let Ok(bytes) = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)) else {
        println!("skipped: target/guests/probe-{language}.wasm is not built; run `cargo xtask languages`");
        return None;
    };
    Some(try_load(&engine(), Bytes::from(bytes), "").await.unwrap())
}

async fn start(guest: &LoadedGuest) -> (Running, Arc<FakeCluster>) {
    let cluster = Arc::new(FakeCluster::default());
    let mut services = cluster.services("");
    services.ambient = Arc::new(Fixed);
    let limits = Limits {
        cpu_budget: Duration::from_secs(20),
        ..Limits::default()
    };
    let instance = instantiate(guest, services, limits).await.unwrap();
    instance.start().await.unwrap();
    (instance, cluster)
}

/// Asks a guest to try things, each of which has to be refused or to find nothing.
async fn nothing_is_reached(language: &str, attempts: &[&str]) {
    let Some(guest) = probe(language).await else {
        return;
    };
    let (instance, _cluster) = start(&guest).await;
    for attempt in attempts {
        let answer = report(&instance, attempt).await;
        let nothing = answer == "empty" || answer == "got: []" || answer.starts_with("refused: ");
        assert!(nothing, "{language}, {attempt}: {answer}");
    }
}

/// Ends an instance with one attempt.
async fn ending(language: &str, attempt: &str, limits: Limits) -> Option<GuestFailure> {
    let guest = probe(language).await?;
    let cluster = Arc::new(FakeCluster::default());
    let instance = instantiate(&guest, cluster.services(""), limits).await.unwrap();
    match sync(&instance, attempt).await {
        Err(failure) => Some(failure),
        Ok(answer) => panic!("{language}, {attempt}: {answer:?}"),
    }
}

#[tokio::test]
async fn python_reaches_no_file_socket_name_process_or_variable() {
    let attempts = [
        "read-file",
        "read-relative",
        "read-process",
        "write-file",
        "list-directory",
        "connect",
        "listen",
        "resolve",
        "fetch",
        "environment",
        "arguments",
        "input",
        "spawn",
        "fork",
    ];
    nothing_is_reached("python", &attempts).await;
}

#[tokio::test]
async fn go_reaches_no_file_socket_name_process_or_variable() {
    let attempts = [
        "read-file",
        "read-relative",
        "write-file",
        "list-directory",
        "connect",
        "resolve",
        "fetch",
        "environment",
        "arguments",
        "input",
        "spawn",
    ];
    nothing_is_reached("go", &attempts).await;
}

#[tokio::test]
async fn javascript_reaches_no_file_socket_process_or_variable() {
    let attempts = [
        "read-file",
        "list-directory",
        "fetch",
        "connect",
        "environment",
        "arguments",
        "require",
        "spawn",
    ];
    nothing_is_reached("javascript", &attempts).await;
}

#[tokio::test]
async fn c_reaches_no_file_or_variable() {
    let attempts = [
        "read-file",
        "write-file",
        "list-directory",
        "environment",
        "input",
    ];
    nothing_is_reached("c", &attempts).await;
}

#[tokio::test]
async fn clocks_and_random_numbers_are_those_of_the_host() {
    let monotonic_and_wall = "1800000000.123456";
    for language in ["python", "go", "javascript", "c"] {
        let Some(guest) = probe(language).await else {
            continue;
        };
        let (instance, _cluster) = start(&guest).await;
        let clock = report(&instance, "clock").await;
        let wall = monotonic_and_wall.get(..14).unwrap();
        assert!(clock.contains(wall), "{language}: {clock}");
        let chance = report(&instance, "chance").await;
        if matches!(language, "python" | "go" | "c") {
            assert!(chance.contains("01020304"), "{language}: {chance}");
        }
        // Told the same, it says the same.
        let (again, _cluster) = start(&guest).await;
        assert_eq!(report(&again, "chance").await, chance, "{language}");
    }
}

#[tokio::test]
async fn what_a_guest_prints_is_in_the_log_line_by_line() {
    capture();
    // JavaScript has no streams to print to.
    for language in ["python", "go", "c"] {
        let Some(guest) = probe(language).await else {
            continue;
        };
        let (instance, _cluster) = start(&guest).await;
        lines();
        assert_eq!(report(&instance, "print").await, "empty", "{language}");
        let lines = lines();
        for (level, text) in [
            ("INFO", "to the output"),
            ("INFO", "of two lines"),
            ("WARN", "to the error stream"),
        ] {
            let line = format!(
                "{level} windlass::guest message={text} controller=\"fixture\" object.ref=default/print"
            );
            assert!(lines.contains(&line), "{language}: {line} in {lines:?}");
        }
    }
}

#[tokio::test]
async fn a_guest_cannot_sleep_and_learns_what_to_do_instead() {
    for language in ["python", "go", "c"] {
        let Some(failure) = ending(language, "sleep", Limits::default()).await else {
            continue;
        };
        let problem = "waits for time to pass: return `requeue-after` instead of sleeping";
        assert_eq!(failure, GuestFailure::Contract(problem.to_owned()), "{language}");
    }
}

#[tokio::test]
async fn a_guest_that_exits_costs_its_instance() {
    for language in ["python", "go", "c"] {
        let Some(failure) = ending(language, "exit", Limits::default()).await else {
            continue;
        };
        let GuestFailure::Trap(cause) = failure else {
            panic!("{language}: {failure:?}")
        };
        assert!(
            cause.starts_with("called exit with a failure"),
            "{language}: {cause}"
        );
    }
}

#[tokio::test]
async fn the_panic_of_a_go_guest_is_named() {
    let Some(failure) = ending("go", "panic", Limits::default()).await else {
        return;
    };
    let GuestFailure::Trap(cause) = failure else {
        panic!("{failure:?}")
    };
    assert!(cause.contains("panic: on purpose"), "{cause}");
}

#[tokio::test]
async fn limits_hold_in_every_language() {
    for language in ["python", "go", "javascript", "c"] {
        let limits = Limits {
            cpu_budget: Duration::from_millis(200),
            ..Limits::default()
        };
        let Some(failure) = ending(language, "loop", limits).await else {
            continue;
        };
        assert!(
            matches!(failure, GuestFailure::Cpu { .. }),
            "{language}: {failure:?}"
        );
        let failure = ending(language, "grow", Limits::default()).await;
        assert!(
            matches!(failure, Some(GuestFailure::Memory { .. })),
            "{language}: {failure:?}"
        );
    }
}

#[tokio::test]
async fn a_blocking_guest_is_called_with_one_key_at_a_time() {
    let Some(guest) = probe("javascript").await else {
        return;
    };
    assert!(guest.exports.blocking);
    assert_eq!(guest.manifest.workers, 1, "whatever its manifest says");
    let (instance, cluster) = start(&guest).await;
    let (first, second) = (sync(&instance, "wait"), sync(&instance, "environment"));
    let (mut first, mut second) = (Box::pin(first), Box::pin(second));
    tokio::select! {
        biased;
        _ = &mut first => panic!("nobody has answered yet"),
        _ = &mut second => panic!("it overtook a call of its instance"),
        () = cluster.until_waiting(1) => {}
    }
    assert_eq!(cluster.requests.lock().first().map(|(sync, _)| *sync), Some(1));
    cluster.answer();
    let answer = first.await.unwrap().unwrap_err().to_string();
    assert!(answer.starts_with("got: 2"), "{answer}");
    second.await.unwrap().unwrap_err();
}

#[tokio::test]
async fn a_blocking_start_that_waits_too_long_runs_out_of_time() {
    let Some(guest) = probe("javascript").await else {
        return;
    };
    let cluster = Arc::new(FakeCluster::default());
    let limits = Limits {
        start_timeout: Duration::from_millis(50),
        ..Limits::default()
    };
    let services = cluster.services(r#"{"start":"wait"}"#);
    let instance = instantiate(&guest, services, limits).await.unwrap();
    let failure = instance.start().await.unwrap_err();
    assert_eq!(
        failure,
        GuestFailure::Start("did not finish within 50ms".to_owned())
    );
}

#[tokio::test]
async fn a_go_guest_collects_garbage_whenever_it_wants_to() {
    let Some(guest) = probe("go").await else {
        return;
    };
    let (instance, _cluster) = start(&guest).await;
    assert_eq!(report(&instance, "garbage").await, "got: true");
}
