//! What guests write into the host's log, and what the host writes about them.

use std::cell::RefCell;
use std::fmt::Write;
use std::sync::Once;

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};

use crate::support::{engine, instance, sync};

thread_local! {
    static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Collects the log of each thread, and so of each test, one line per event. A subscriber
/// per thread would not do: whether an event is of interest is decided for all threads.
struct ThreadLog;

struct LineOf<'a>(&'a mut String);

impl Visit for LineOf<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

impl<S: Subscriber> Layer<S> for ThreadLog {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let mut line = format!("{} {}", event.metadata().level(), event.metadata().target());
        event.record(&mut LineOf(&mut line));
        if event.metadata().target().starts_with("windlass") {
            LINES.with_borrow_mut(|lines| lines.push(line));
        }
    }
}

/// Collects from now on.
pub(crate) fn capture() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(ThreadLog)).unwrap();
    });
}

/// What this thread has logged since the last time.
pub(crate) fn lines() -> Vec<String> {
    LINES.take()
}

#[tokio::test]
async fn a_line_of_a_guest_names_its_module_and_object() {
    capture();
    let (counter, _cluster) = instance(&engine(), "counter").await;
    sync(&counter, "log").await.unwrap().unwrap();
    let expected = "INFO windlass::guest message=counting controller=\"fixture\" object.ref=default/log \
                    fields=\"by=\\\"one at a time\\\"\"";
    assert_eq!(lines(), [expected]);
}

#[tokio::test]
async fn a_flood_of_lines_is_cut() {
    capture();
    let (hostile, _cluster) = instance(&engine(), "hostile").await;
    sync(&hostile, "log-flood").await.unwrap().unwrap();
    // A thousand lines may straddle the border of two seconds.
    assert!(lines().len() <= 201);
}

#[tokio::test]
async fn a_failed_instance_is_logged_once_with_its_backtrace() {
    capture();
    let (hostile, _cluster) = instance(&engine(), "hostile").await;
    sync(&hostile, "panic").await.unwrap_err();
    let lines = lines();
    let [from_guest, from_host] = &*lines else {
        panic!("two lines: {lines:?}")
    };
    assert!(from_guest.contains("message=the guest panicked"), "{from_guest}");
    assert!(
        from_host.starts_with("ERROR windlass_engine::instance message=guest instance failed"),
        "{from_host}"
    );
    assert!(
        from_host.contains("controller=fixture failure=\"trap\""),
        "{from_host}"
    );
    assert!(from_host.contains("windlass_fixture_hostile"), "{from_host}");
}
