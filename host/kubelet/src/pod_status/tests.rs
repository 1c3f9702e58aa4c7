use std::time::Duration;

use super::*;
use crate::pod::{ContainerSpec, RestartPolicy};
use crate::program::Setting;

const EPOCH: Time = Time::EPOCH;

fn setting(restart_policy: RestartPolicy) -> Setting {
    Setting {
        restart_policy,
        runs_to_completion: false,
        run_time: Duration::ZERO,
    }
}

/// A container that has run this command as far as it gets at once.
fn container(name: &str, role: Role, policy: RestartPolicy, command: &str) -> Container {
    let spec = ContainerSpec {
        name: name.into(),
        image: "busybox".into(),
        command: vec!["sh".into(), "-c".into(), command.into()],
        restart_policy: (role == Role::Sidecar).then_some(RestartPolicy::Always),
        ..ContainerSpec::default()
    };
    let mut container = Container::new(&spec, role, setting(policy), Wait::ContainerCreating);
    if !command.is_empty() {
        container.start(EPOCH, &mut Vec::new());
        while container.step(EPOCH, &mut Vec::new()) {}
    }
    container
}

const RUNS: &str = "sleep infinity";
const WAITS: &str = "";

#[test]
fn the_phase_follows_from_the_containers() {
    use Phase::{Failed, Pending, Running, Succeeded};
    use RestartPolicy::{Always, Never, OnFailure};
    type Case = (RestartPolicy, &'static [(Role, &'static str)], Phase);
    let cases: [Case; 13] = [
        (Always, &[(Role::Regular, RUNS)], Running),
        (Always, &[(Role::Regular, WAITS)], Pending),
        (Always, &[(Role::Regular, RUNS), (Role::Regular, WAITS)], Pending),
        (Always, &[(Role::Regular, "exit 1")], Running),
        (Never, &[(Role::Regular, "exit 0")], Succeeded),
        (Never, &[(Role::Regular, "exit 1")], Failed),
        (
            Never,
            &[(Role::Regular, "exit 0"), (Role::Regular, RUNS)],
            Running,
        ),
        (
            Never,
            &[(Role::Regular, "exit 0"), (Role::Regular, "exit 2")],
            Failed,
        ),
        (OnFailure, &[(Role::Regular, "exit 1")], Running),
        (Never, &[(Role::Init, "exit 1"), (Role::Regular, WAITS)], Failed),
        (Always, &[(Role::Init, "exit 1"), (Role::Regular, WAITS)], Pending),
        (Always, &[(Role::Init, "exit 0"), (Role::Regular, RUNS)], Running),
        (
            Never,
            &[(Role::Sidecar, RUNS), (Role::Regular, "exit 0")],
            Succeeded,
        ),
    ];
    for (policy, parts, expected) in cases {
        let containers: Vec<_> = parts
            .iter()
            .map(|(role, command)| container("c", *role, policy, command))
            .collect();
        assert_eq!(phase(&containers, Life::Live), expected, "{policy:?} {parts:?}");
    }
}

#[test]
fn a_pod_that_is_over_has_succeeded_or_failed_whatever_its_restart_policy() {
    let stopped = |code| {
        let mut stopped = container("c", Role::Regular, RestartPolicy::Always, RUNS);
        stopped.stop(code, EPOCH);
        [stopped]
    };
    assert_eq!(phase(&stopped(0), Life::Over), Phase::Succeeded);
    assert_eq!(phase(&stopped(143), Life::Over), Phase::Failed);
    let mut lost = container("c", Role::Regular, RestartPolicy::Always, WAITS);
    lost.give_up(EPOCH);
    assert_eq!(phase(&[lost], Life::Over), Phase::Failed);
}

fn summary(facts: &Facts<'_>) -> Vec<(&'static str, bool, &'static str, String)> {
    let summarise = |c: Condition| (c.kind.as_str(), c.holds, c.reason, c.message.to_string());
    conditions(facts).into_iter().map(summarise).collect()
}

fn facts(containers: &[Container], phase: Phase) -> Facts<'_> {
    Facts {
        containers,
        phase,
        sandbox: true,
        forced_unready: false,
        gates: &[],
    }
}

#[test]
fn conditions_name_the_containers_that_hold_the_pod_up() {
    let containers = [
        container("init", Role::Init, RestartPolicy::Always, RUNS),
        container("a", Role::Regular, RestartPolicy::Always, WAITS),
        container("b", Role::Regular, RestartPolicy::Always, WAITS),
    ];
    let unready = "containers with unready status: [a b]".to_owned();
    assert_eq!(
        summary(&facts(&containers, Phase::Pending)),
        [
            ("PodReadyToStartContainers", true, "", String::new()),
            (
                "Initialized",
                false,
                "ContainersNotInitialized",
                "containers with incomplete status: [init]".to_owned()
            ),
            ("Ready", false, "ContainersNotReady", unready.clone()),
            ("ContainersReady", false, "ContainersNotReady", unready),
            ("PodScheduled", true, "", String::new()),
        ]
    );
}

#[test]
fn a_pod_that_ended_is_not_ready_and_says_how_it_ended() {
    let containers = [container("a", Role::Regular, RestartPolicy::Never, "exit 0")];
    let succeeded = summary(&facts(&containers, Phase::Succeeded));
    assert_eq!(succeeded[1], ("Initialized", true, "PodCompleted", String::new()));
    assert_eq!(succeeded[2], ("Ready", false, "PodCompleted", String::new()));
    let failed = summary(&facts(&containers, Phase::Failed));
    assert_eq!(failed[2], ("Ready", false, "PodFailed", String::new()));
}

#[test]
fn readiness_waits_for_gates_but_the_containers_readiness_does_not() {
    let containers = [container("a", Role::Regular, RestartPolicy::Always, RUNS)];
    let gates = [
        ("x/missing".into(), None),
        ("x/false".into(), Some("False".into())),
        ("x/ok".into(), Some("True".into())),
    ];
    let all = summary(&Facts {
        gates: &gates,
        ..facts(&containers, Phase::Running)
    });
    let message = "corresponding condition of pod readiness gate \"x/missing\" does not exist., \
                   the status of pod readiness gate \"x/false\" is not \"True\", but False";
    assert_eq!(
        all[2],
        ("Ready", false, "ReadinessGatesNotReady", message.to_owned())
    );
    assert!(all[3].1);
}

#[test]
fn probes_told_to_fail_make_a_running_pod_unready() {
    let containers = [container("a", Role::Regular, RestartPolicy::Always, RUNS)];
    let all = summary(&Facts {
        forced_unready: true,
        ..facts(&containers, Phase::Running)
    });
    assert_eq!(
        all[3],
        (
            "ContainersReady",
            false,
            "ContainersNotReady",
            "containers with unready status: [a]".to_owned()
        )
    );
}

#[test]
fn transition_times_change_only_with_the_status() {
    let at = |seconds| EPOCH.plus(Duration::from_secs(seconds));
    let found = [pod::Condition {
        kind: "PodScheduled".into(),
        status: "True".into(),
        last_transition_time: Some(at(3)),
        ..pod::Condition::default()
    }];
    let mut history = History::Found(found.to_vec());
    let waiting = [container("a", Role::Regular, RestartPolicy::Always, WAITS)];
    let running = [container("a", Role::Regular, RestartPolicy::Always, RUNS)];
    let times = |reported: &[Reported]| reported.iter().map(|r| r.since).collect::<Vec<_>>();
    let first = times(history.report(conditions(&facts(&waiting, Phase::Pending)), at(10)));
    assert_eq!(first, [at(10), at(10), at(10), at(10), at(3)]);
    let second = history.report(conditions(&facts(&running, Phase::Running)), at(20));
    assert_eq!(times(second), [at(10), at(10), at(20), at(20), at(3)]);
    assert!(
        second[2].had_reason,
        "the reason for not being ready must be taken back"
    );
    assert!(history.ready());
}

#[test]
fn durations_are_worded_as_go_does() {
    assert_eq!(
        [10, 60, 80, 300].map(go_duration),
        ["10s", "1m0s", "1m20s", "5m0s"]
    );
}
