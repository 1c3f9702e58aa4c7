//! What recording costs: nanoseconds of CPU time per sync and per API call.

use std::hint::black_box;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use windlass_core::key::{ObjectKey, Resource};
use windlass_telemetry::api_calls::{ApiCall, ApiCallRecorder};
use windlass_telemetry::status::SyncResult;
use windlass_telemetry::sync_recorder::{SyncEnd, SyncRecorder};

const ROUNDS: u32 = 2_000_000;

fn main() {
    let syncs = SyncRecorder::default();
    let key = ObjectKey::new("team-a-production", "checkout-frontend-7d9f8c6b5d-x2x7k");
    measure("one sync", |round| {
        syncs.record(black_box(SyncEnd {
            id: u64::from(round),
            key: &key,
            waited: Some(Duration::ZERO),
            duration: Duration::from_nanos(u64::from(round)),
            result: SyncResult::Success,
            error: None,
        }));
    });
    let calls = ApiCallRecorder::default();
    let pods = Resource::new("", "v1", "pods");
    measure("one API call", |round| {
        calls.record(black_box(ApiCall {
            verb: "create",
            resource: &pods,
            subresource: "binding",
            code: 201,
            duration: Duration::from_nanos(u64::from(round)),
            throttled: Duration::ZERO,
            budget_wait: Duration::ZERO,
        }));
    });
}

/// By CPU time of this thread: what else the machine does is not counted.
fn measure(what: &str, mut run: impl FnMut(u32)) {
    let now = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
    };
    let start = now();
    (0..ROUNDS).for_each(&mut run);
    println!("{what}: {:.0} ns", (now() - start) / f64::from(ROUNDS));
}
