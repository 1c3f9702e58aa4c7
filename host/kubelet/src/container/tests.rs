use super::*;

fn at(seconds: u64) -> Time {
    Time::from_millis(0).plus(Duration::from_secs(seconds))
}

fn container(image: &str, command: &[&str], restart_policy: RestartPolicy) -> Container {
    let spec = ContainerSpec {
        name: "c".into(),
        image: image.into(),
        command: command.iter().map(ToString::to_string).collect(),
        ..ContainerSpec::default()
    };
    let setting = Setting {
        restart_policy,
        runs_to_completion: false,
        run_time: Duration::ZERO,
    };
    Container::new(&spec, Role::Regular, setting, Wait::ContainerCreating)
}

/// Steps the container through time and notes each state it settles in, with the second.
fn timeline(container: &mut Container, until: u64) -> Vec<(u64, &'static str)> {
    let mut happenings = Vec::new();
    let mut line = Vec::new();
    for second in 0..=until {
        let mut changed = false;
        while container.step(at(second), &mut happenings) {
            changed = true;
        }
        if changed {
            line.push((second, describe(container)));
        }
    }
    line
}

fn describe(container: &Container) -> &'static str {
    match container.state {
        State::Waiting(wait) => wait.reason(),
        State::Running(_) => "Running",
        State::Terminated(exit) => exit.reason(),
    }
}

#[test]
fn a_crashing_program_is_restarted_at_once_and_then_with_growing_delays() {
    let mut crashing = container("busybox", &["sh", "-c", "exit 3"], RestartPolicy::Always);
    crashing.start(at(0), &mut Vec::new());
    let line = timeline(&mut crashing, 75);
    assert_eq!(
        line,
        [
            (0, "CrashLoopBackOff"),
            (10, "CrashLoopBackOff"),
            (30, "CrashLoopBackOff"),
            (70, "CrashLoopBackOff")
        ]
    );
    assert_eq!(crashing.restarts, 4);
    assert_eq!(crashing.back_off_delay(), Duration::from_secs(80));
    assert_eq!(crashing.last.map(|exit| exit.code), Some(3));
}

#[test]
fn back_off_grows_to_five_minutes_and_starts_anew_after_ten_quiet_ones() {
    let mut back_off = BackOff::default();
    let mut time = at(0);
    let delays: Vec<u64> = (0..8)
        .map(|_| {
            time = back_off.next_start(time);
            back_off.waited.as_secs()
        })
        .collect();
    assert_eq!(delays, [0, 10, 20, 40, 80, 160, 300, 300]);
    back_off.next_start(time.plus(Duration::from_secs(601)));
    assert_eq!(back_off.waited, Duration::ZERO);
}

#[test]
fn restart_policies_decide_what_becomes_of_an_ended_program() {
    for (policy, command, ends_as) in [
        (RestartPolicy::Never, "exit 0", "Completed"),
        (RestartPolicy::Never, "exit 1", "Error"),
        (RestartPolicy::OnFailure, "exit 0", "Completed"),
        (RestartPolicy::OnFailure, "exit 1", "CrashLoopBackOff"),
        (RestartPolicy::Always, "exit 0", "CrashLoopBackOff"),
    ] {
        let mut ending = container("busybox", &["sh", "-c", command], policy);
        ending.start(at(0), &mut Vec::new());
        timeline(&mut ending, 1);
        assert_eq!(describe(&ending), ends_as, "{policy:?} {command}");
    }
}

#[test]
fn a_missing_image_alternates_between_failing_and_backing_off() {
    let mut missing = container("redis:nonexistent", &[], RestartPolicy::Always);
    let mut happenings = Vec::new();
    missing.start(at(0), &mut happenings);
    assert_eq!(
        (describe(&missing), happenings.as_slice()),
        ("ErrImagePull", [Happening::PullFailed].as_slice())
    );
    assert_eq!(
        timeline(&mut missing, 32),
        [
            (1, "ImagePullBackOff"),
            (10, "ErrImagePull"),
            (11, "ImagePullBackOff"),
            (30, "ErrImagePull"),
            (31, "ImagePullBackOff"),
        ]
    );
    assert_eq!(missing.restarts, 0);
}

#[test]
fn a_malformed_image_is_never_tried_again_but_a_corrected_one_is() {
    let mut malformed = container("Not An Image", &[], RestartPolicy::Always);
    malformed.start(at(0), &mut Vec::new());
    assert_eq!(
        (describe(&malformed), malformed.due()),
        ("InvalidImageName", None)
    );
    let corrected = ContainerSpec {
        image: "nginx".into(),
        ..ContainerSpec::default()
    };
    malformed.change_image(&corrected, at(5), &mut Vec::new());
    assert_eq!((describe(&malformed), malformed.restarts), ("Running", 0));
}

#[test]
fn a_new_image_restarts_a_running_container() {
    let mut running = container("nginx:1", &[], RestartPolicy::Never);
    running.start(at(0), &mut Vec::new());
    let mut happenings = Vec::new();
    let spec = ContainerSpec {
        image: "nginx:2".into(),
        ..ContainerSpec::default()
    };
    running.change_image(&spec, at(5), &mut happenings);
    assert_eq!((describe(&running), running.restarts), ("Running", 1));
    assert_eq!(
        happenings,
        [
            Happening::Killing,
            Happening::Pulled,
            Happening::Created,
            Happening::Started
        ]
    );
}

#[test]
fn an_adopted_container_ends_when_it_would_have() {
    let mut sleeping = container("busybox", &["sleep", "30"], RestartPolicy::Never);
    let status: pod::ContainerStatus = serde_json::from_str(
        r#"{"name":"c","restartCount":2,"state":{"running":{"startedAt":"1970-01-01T00:00:05Z"}}}"#,
    )
    .unwrap();
    sleeping.adopt(&status, at(20));
    assert_eq!((sleeping.due(), sleeping.restarts), (Some(at(35)), 2));
    assert_eq!(timeline(&mut sleeping, 40), [(35, "Completed")]);
}
