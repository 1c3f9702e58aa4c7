//! A host that is not there: a status in which every field says something, and which
//! moves on with every look.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use windlass_core::key::{ObjectKey, Resource};
use windlass_core::workqueue::QueueMetrics;
use windlass_telemetry::api_calls::{ApiCall, ApiCallRecorder};
use windlass_telemetry::status::*;
use windlass_telemetry::sync_recorder::{SyncEnd, SyncRecorder};

/// What a hostile guest says of its errors.
pub(crate) const HOSTILE: &str =
    "<img src=x onerror=\"window.pwned=1\"><script>window.pwned=1</script>\u{202e}\u{1b}[31m\nsecond line";

/// One module's instruments, fed by looking.
#[derive(Default)]
pub(crate) struct FakeHost {
    looks: AtomicU64,
    syncs: [SyncRecorder; 4],
    calls: [ApiCallRecorder; 4],
}

const NAMES: [&str; 4] = ["deployment", "replicaset", "scheduler", "checkout-operator"];

impl StatusSource for FakeHost {
    fn status(&self) -> HostStatus {
        let look = self.looks.fetch_add(1, Ordering::Relaxed);
        for index in 0..NAMES.len() {
            self.work(index, look);
        }
        let modules = (0..NAMES.len()).map(|index| self.module(index, look)).collect();
        HostStatus {
            identity: "windlass-0_5e1f".to_owned(),
            version: "0.1.0".to_owned(),
            started: ago(7384),
            at: Timestamp::now(),
            api_server: "https://127.0.0.1:6443".to_owned(),
            checks: checks(),
            modules,
            caches: caches(),
            cache_use: CacheUseStatus {
                bytes: 10_302_000,
                limit_bytes: Some(12_582_912),
                shares: BTreeMap::from([
                    ("deployment".to_owned(), 902_500),
                    ("replicaset".to_owned(), 9_399_500),
                ]),
            },
            leases: leases(),
            tracing: Some(ExporterStatus {
                endpoint: "http://127.0.0.1:4318/v1/traces".to_owned(),
                exported: 1234,
                dropped: BTreeMap::from([("queueFull".to_owned(), 2)]),
                last_error: None,
            }),
            ..HostStatus::default()
        }
    }
}

impl FakeHost {
    fn work(&self, index: usize, look: u64) {
        let deployments = Resource::new("apps", "v1", "deployments");
        for round in 0..(3 + (look + index as u64) % 5) {
            let fails = index == 3 && round == 0;
            let result = match (fails, round % 4) {
                (true, _) => SyncResult::Retry,
                (false, 3) => SyncResult::RequeueAfter,
                _ => SyncResult::Success,
            };
            self.syncs[index].record(SyncEnd {
                id: look * 10 + round,
                key: &ObjectKey::new("team-a", &format!("web-{round}")),
                waited: Some(Duration::ZERO),
                duration: Duration::from_micros(80 + 900 * round * (1 + index as u64)),
                result,
                error: fails.then_some(HOSTILE),
            });
            self.calls[index].record(ApiCall {
                verb: if round % 2 == 0 { "update" } else { "create" },
                resource: &deployments,
                subresource: "status",
                code: if fails { 409 } else { 200 },
                duration: Duration::from_millis(2 + round),
                throttled: Duration::ZERO,
                budget_wait: Duration::ZERO,
            });
        }
    }

    fn module(&self, index: usize, look: u64) -> ModuleStatus {
        let name = NAMES[index];
        let api = self.calls[index].snapshot();
        ModuleStatus {
            name: name.to_owned(),
            state: state(index),
            guest: guest(name, index),
            reload: reload(index),
            leadership: leadership(index),
            workers: WorkerStatus {
                limit: 16,
                active: look % 5,
            },
            queue: queue(index as u64, look),
            syncs: self.syncs[index].snapshot(),
            usage: UsageStatus {
                memory_bytes: 1_310_720 + 65_536 * look,
                memory_limit_bytes: 64 << 20,
                cpu_seconds: 0.25 * look as f64,
                instances: u64::from(index != 3),
                restarts: BTreeMap::from([("trap".to_owned(), if index == 3 { 7 } else { 0 })]),
            },
            api,
            custom: CustomStatus::default(),
            imports: BTreeMap::from([
                ("clientset.update".to_owned(), 10 * look),
                ("lister.get".to_owned(), 150 * look),
            ]),
            shadow: (index == 1).then(shadow),
            poison_keys: if index == 3 { vec![poison()] } else { Vec::new() },
        }
    }
}

fn ago(seconds: i64) -> Timestamp {
    Timestamp::now() - SignedDuration::from_secs(seconds)
}

fn state(index: usize) -> ModuleState {
    let (phase, reason) = match index {
        2 => (ModulePhase::Standby, Some("windlass-1 leads".to_owned())),
        3 => (ModulePhase::BackOff, Some(format!("trapped: {HOSTILE}"))),
        _ => (ModulePhase::Running, None),
    };
    ModuleState {
        phase,
        since: ago(600 + index as i64),
        reason,
    }
}

fn guest(name: &str, index: usize) -> GuestIdentity {
    GuestIdentity {
        name: name.to_owned(),
        version: "0.1.0".to_owned(),
        digest: format!("sha256:{:064x}", 0x1234_5678_9abc_u64 * (index as u64 + 1)),
        origin: if index == 3 {
            "ghcr.io/example/checkout-operator:1.4.2".to_owned()
        } else {
            "stock".to_owned()
        },
    }
}

fn reload(index: usize) -> ReloadStatus {
    ReloadStatus {
        generation: 1 + index as u64,
        totals: BTreeMap::from([(ReloadResult::Swapped, index as u64), (ReloadResult::Refused, 1)]),
        last: (index == 3).then(|| ReloadAttempt {
            result: ReloadResult::Refused,
            at: ago(90),
            digest: "sha256:00ff".to_owned(),
            reason: Some("its guest declares permissions that are not granted: create pods".to_owned()),
        }),
    }
}

fn leadership(index: usize) -> Option<LeadershipStatus> {
    (index != 3).then(|| LeadershipStatus {
        role: if index == 2 { Role::Follower } else { Role::Leader },
        holder: if index == 2 {
            "windlass-1_77aa"
        } else {
            "windlass-0_5e1f"
        }
        .to_owned(),
        share: (index == 1).then_some(ShareStatus { slots: 86, of: 256 }),
    })
}

fn queue(index: u64, look: u64) -> QueueStatus {
    let mut metrics = QueueMetrics {
        depth: ((look * (index + 1)) % 40) as usize,
        delayed: 3,
        processing: 2,
        adds: 100 * look,
        retries: 4 * look,
        dropped: 0,
        longest_running: Duration::from_millis(12),
        unfinished_work: Duration::from_millis(20),
        ..QueueMetrics::default()
    };
    metrics.queue_duration.observe(Duration::from_micros(30));
    metrics.work_duration.observe(Duration::from_micros(300));
    QueueStatus::from(&metrics)
}

fn shadow() -> ShadowStatus {
    ShadowStatus {
        guest: guest("replicaset", 9),
        same: 410,
        different: 2,
        recent: vec![ShadowDifference {
            at: ago(30),
            key: "team-a/web-1".to_owned(),
            summary: format!("writes status.replicas 3 instead of 2 {HOSTILE}"),
        }],
    }
}

fn poison() -> PoisonKey {
    PoisonKey {
        key: "team-a/web-13".to_owned(),
        failures: 5,
        retry_at: Some(Timestamp::now() + SignedDuration::from_secs(240)),
        reason: HOSTILE.to_owned(),
    }
}

fn checks() -> Vec<Check> {
    let check = |name: &str, scope, reason: Option<&str>| Check {
        name: name.to_owned(),
        scope,
        passes: reason.is_none(),
        reason: reason.map(str::to_owned),
    };
    vec![
        check("manager", CheckScope::Live, None),
        check("informer-sync", CheckScope::Ready, None),
        check(
            "module/checkout-operator",
            CheckScope::Ready,
            Some("the guest is backing off after a trap"),
        ),
    ]
}

fn caches() -> Vec<CacheStatus> {
    let cache = |resource: &str, view: &str, objects: u64, watch, reason: Option<&str>| CacheStatus {
        resource: resource.to_owned(),
        version: "v1".to_owned(),
        view: view.to_owned(),
        objects,
        bytes: objects * 1700,
        subscribers: 2,
        watch,
        reason: reason.map(str::to_owned),
        synced: true,
        relists: 1,
        resource_version: 40_213,
    };
    vec![
        cache("pods", "full", 5210, WatchState::Watching, None),
        cache("deployments.apps", "full", 210, WatchState::Watching, None),
        cache(
            "replicasets.apps",
            "metadata",
            640,
            WatchState::BackOff,
            Some("connection refused"),
        ),
    ]
}

fn leases() -> Vec<LeaseStatus> {
    NAMES[..3]
        .iter()
        .enumerate()
        .map(|(index, name)| LeaseStatus {
            name: format!("windlass-system/{name}"),
            modules: vec![(*name).to_owned()],
            holder: if index == 2 {
                "windlass-1_77aa"
            } else {
                "windlass-0_5e1f"
            }
            .to_owned(),
            held: index != 2,
            renewed: Some(ago(2)),
            duration_seconds: 15,
            transitions: index as u64,
            slow_paths: 0,
        })
        .collect()
}
