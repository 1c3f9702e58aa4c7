use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::json;
use windlass_core::outcome::GuestFailure;
use windlass_telemetry::status::ReloadResult;

use super::*;
use crate::config::controller_modules::Refusal;
use crate::supervisor::Reload;

const BEFORE: &str = "2026-01-01T00:00:00Z";

fn object() -> ControllerModule {
    ControllerModule {
        name: "mine".into(),
        uid: "1".into(),
        generation: 3,
        resource_version: 9,
        deleting: false,
        spec: json!({}),
        status: ControllerModuleStatus::default(),
    }
}

fn entry(workers: u32) -> Arc<ModuleEntry> {
    let mut entry = ModuleEntry::stock("deployment");
    entry.workers = Some(workers);
    Arc::new(entry)
}

fn module(state: ModuleState, reload: Option<(&Arc<ModuleEntry>, Option<&str>)>) -> ModuleStatus {
    ModuleStatus {
        state,
        acts: true,
        since: SystemTime::UNIX_EPOCH,
        serving: None,
        reload: reload.map(|(entry, rejected)| Reload {
            result: if rejected.is_some() {
                ReloadResult::Refused
            } else {
                ReloadResult::Swapped
            },
            entry: Arc::clone(entry),
            rejected: rejected.map(str::to_owned),
            digest: None,
            at: SystemTime::UNIX_EPOCH,
        }),
        reloads_applied: 0,
        reloads_rejected: 0,
        reloads_not_started: 0,
        reloads_unchanged: 0,
    }
}

fn reporter() -> Reporter {
    Reporter {
        host: "windlass".into(),
        replica: "a".into(),
    }
}

fn now() -> Timestamp {
    "2026-02-03T04:05:06.789Z".parse().expect("a time")
}

fn refused(last_good: Option<&Arc<ModuleEntry>>) -> Judgement {
    Judgement::Refused {
        refusal: Refusal::Invalid("spec.workers: must be at least 1".to_owned()),
        last_good: last_good.cloned(),
    }
}

/// State, then status, reason and message of both conditions.
#[track_caller]
fn assert_says(
    judgement: &Judgement,
    module: Option<&ModuleStatus>,
    state: &str,
    accepted: [&str; 3],
    ready: [&str; 3],
) {
    let status = status_of(&object(), judgement, module, &reporter(), now());
    assert_eq!(status.state.as_deref(), Some(state));
    for (condition, expected) in status.conditions.iter().zip([accepted, ready]) {
        let value = format!("{:?}", condition.status);
        assert_eq!(
            [value.as_str(), &condition.reason, &condition.message],
            expected,
            "{}",
            condition.kind
        );
    }
}

const LOADING: [&str; 3] = [
    "Unknown",
    "Loading",
    "the component is being fetched, compiled and started",
];
const TAKEN_UP: [&str; 3] = ["True", "Accepted", "the module is as the object says"];

#[test]
fn a_module_on_its_way_is_loading_until_it_serves() {
    let (entry, runs) = (entry(1), Judgement::Runs(entry(1)));
    assert_says(
        &runs,
        None,
        "Starting",
        LOADING,
        ["False", "Starting", "the module is about to start"],
    );
    let starting = module(ModuleState::Starting, None);
    assert_says(
        &runs,
        Some(&starting),
        "Starting",
        LOADING,
        [
            "False",
            "Starting",
            "its component is being loaded, or its caches are filling",
        ],
    );
    let running = module(ModuleState::Running, Some((&entry, None)));
    assert_says(
        &runs,
        Some(&running),
        "Running",
        TAKEN_UP,
        ["True", "Running", "it serves"],
    );
}

#[test]
fn a_rejected_change_is_told_while_the_last_good_version_serves() {
    let last_good = ["True", "Running", "the last good version serves"];
    let (old, new) = (entry(1), entry(2));
    let running = module(ModuleState::Running, Some((&new, Some("no such component"))));
    assert_says(
        &Judgement::Runs(Arc::clone(&new)),
        Some(&running),
        "Running",
        ["False", "Rejected", "no such component"],
        last_good,
    );
    // What was said of an earlier change says nothing of this one.
    assert_says(
        &Judgement::Runs(old),
        Some(&running),
        "Running",
        LOADING,
        last_good,
    );
}

#[test]
fn a_refused_object_says_why_and_what_goes_on() {
    let why = ["False", "Invalid", "spec.workers: must be at least 1"];
    assert_says(
        &refused(None),
        None,
        "Rejected",
        why,
        [
            "False",
            "Rejected",
            "there is no module, because the object was refused",
        ],
    );
    let entry = entry(1);
    let running = module(ModuleState::Running, Some((&entry, None)));
    assert_says(
        &refused(Some(&entry)),
        Some(&running),
        "Running",
        why,
        ["True", "Running", "it serves"],
    );
}

#[test]
fn a_module_that_does_not_serve_says_why() {
    let entry = entry(1);
    let runs = Judgement::Runs(Arc::clone(&entry));
    let failure = GuestFailure::Instantiation("no memory".to_owned());
    for (state, label, message) in [
        (
            ModuleState::BackOff {
                failure: failure.clone(),
                delay: Duration::from_millis(123),
            },
            "BackOff",
            format!("{failure}; it starts again after a while"),
        ),
        (
            ModuleState::Failed {
                reason: "not granted".to_owned(),
            },
            "Failed",
            "not granted".to_owned(),
        ),
        (
            ModuleState::Standby {
                holder: Some("b".into()),
            },
            "Standby",
            "b leads".to_owned(),
        ),
        (ModuleState::Stopped, "Stopped", "it has stopped".to_owned()),
    ] {
        let module = module(state, Some((&entry, None)));
        assert_says(&runs, Some(&module), label, TAKEN_UP, ["False", label, &message]);
    }
}

#[test]
fn a_disabled_module_is_as_its_object_says() {
    let mut off = ModuleEntry::clone(&entry(1));
    off.enabled = false;
    let disabled = module(ModuleState::Disabled, None);
    assert_says(
        &Judgement::Runs(Arc::new(off)),
        Some(&disabled),
        "Disabled",
        ["True", "Accepted", "as the object says, it does not run"],
        ["False", "Disabled", "the object says `enabled: false`"],
    );
}

#[test]
fn a_condition_keeps_its_time_until_its_status_changes_and_nothing_else_differs() {
    let mut object = object();
    let entry = entry(1);
    let runs = Judgement::Runs(Arc::clone(&entry));
    let running = module(ModuleState::Running, Some((&entry, None)));
    let first = status_of(&object, &runs, Some(&running), &reporter(), now());
    assert_eq!(first.conditions[0].last_transition_time, "2026-02-03T04:05:06Z");
    object.status = first.clone();
    let later = now() + jiff::SignedDuration::from_secs(60);
    assert_eq!(
        status_of(&object, &runs, Some(&running), &reporter(), later),
        first
    );

    object.status.conditions[1].status = ConditionStatus::False;
    object.status.conditions[0].last_transition_time = BEFORE.to_owned();
    let status = status_of(&object, &runs, Some(&running), &reporter(), later);
    let times: Vec<&str> = status
        .conditions
        .iter()
        .map(|condition| condition.last_transition_time.as_str())
        .collect();
    assert_eq!(times, [BEFORE, "2026-02-03T04:06:06Z"]);
}

#[test]
fn an_object_that_nobody_follows_any_more_says_so_and_nothing_of_what_ran() {
    let status = released(&object(), &reporter(), now());
    assert_eq!((status.state, status.host, status.digest), (None, None, None));
    let said: Vec<_> = status
        .conditions
        .iter()
        .map(|condition| (condition.status, condition.reason.as_str()))
        .collect();
    assert_eq!(
        said,
        [
            (ConditionStatus::Unknown, "NotFollowed"),
            (ConditionStatus::False, "NotFollowed")
        ]
    );
}

#[test]
fn a_status_is_written_so_that_what_no_longer_holds_goes() {
    let value = serde_json::to_value(released(&object(), &reporter(), now())).expect("JSON");
    assert_eq!(
        (value.get("state"), value.get("digest")),
        (Some(&json!(null)), Some(&json!(null)))
    );
    assert_eq!(value["observedGeneration"], 3);
}

#[test]
fn a_long_reason_is_cut_to_what_an_object_can_hold() {
    let entry = entry(1);
    let failed = module(
        ModuleState::Failed {
            reason: "x".repeat(100_000),
        },
        None,
    );
    let status = status_of(
        &object(),
        &Judgement::Runs(entry),
        Some(&failed),
        &reporter(),
        now(),
    );
    assert_eq!(status.conditions[1].message.len(), MAX_MESSAGE);
}
