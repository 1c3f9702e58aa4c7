//! What guests write into the host's log, and what the host writes about them.

use std::fmt::Write;
use std::sync::Arc;

use parking_lot::Mutex;
use tracing::field::{Field, Visit};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};

use crate::support::{engine, instance, sync};

/// Collects the log of this thread, one line per event.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

struct LineOf<'a>(&'a mut String);

impl Visit for LineOf<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

impl<S: Subscriber> Layer<S> for Log {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let mut line = format!("{} {}", event.metadata().level(), event.metadata().target());
        event.record(&mut LineOf(&mut line));
        if event.metadata().target().starts_with("windlass") {
            self.0.lock().push(line);
        }
    }
}

fn capture() -> (Log, DefaultGuard) {
    let log = Log::default();
    let guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(log.clone()));
    (log, guard)
}

#[tokio::test]
async fn a_line_of_a_guest_names_its_controller_and_object() {
    let (log, _guard) = capture();
    let (counter, _cluster) = instance(&engine(), "counter").await;
    sync(&counter, "log").await.unwrap().unwrap();
    let expected = "INFO windlass::guest message=counting controller=\"counter\" object.ref=default/log \
                    fields=\"by=\\\"one at a time\\\"\"";
    assert_eq!(*log.0.lock(), [expected]);
}

#[tokio::test]
async fn a_flood_of_lines_is_cut() {
    let (log, _guard) = capture();
    let (hostile, _cluster) = instance(&engine(), "hostile").await;
    sync(&hostile, "log-flood").await.unwrap().unwrap();
    // A thousand lines may straddle the border of two seconds.
    assert!(log.0.lock().len() <= 201);
}

#[tokio::test]
async fn a_failed_instance_is_logged_once_with_its_backtrace() {
    let (log, _guard) = capture();
    let (hostile, _cluster) = instance(&engine(), "hostile").await;
    sync(&hostile, "panic").await.unwrap_err();
    let lines = log.0.lock();
    let [from_guest, from_host] = &**lines else {
        panic!("two lines: {lines:?}")
    };
    assert!(from_guest.contains("message=the guest panicked"), "{from_guest}");
    assert!(
        from_host.starts_with("ERROR windlass_engine::instance message=guest instance failed"),
        "{from_host}"
    );
    assert!(
        from_host.contains("controller=hostile failure=\"trap\""),
        "{from_host}"
    );
    assert!(from_host.contains("windlass_fixture_hostile"), "{from_host}");
}
