use super::*;
use crate::lease::clock::BootInstant;

struct NoClock;

impl Clock for NoClock {
    fn now(&self) -> BootInstant {
        BootInstant::default()
    }
}

fn candidate(identity: &str) -> Election {
    Election::new(identity.into(), ElectionConfig::default(), Arc::new(NoClock), 1)
}

fn at(seconds: u64) -> Moment {
    Moment {
        boot: BootInstant::from_boot(Duration::from_secs(seconds)),
        wall: MicroTime(i64::try_from(seconds).unwrap()),
    }
}

fn stored(version: &str, record: LeaseRecord) -> Answer {
    Answer::Lease(Arc::new(ObservedLease {
        resource_version: version.into(),
        record,
        ..ObservedLease::default()
    }))
}

fn held_by(holder: &str) -> LeaseRecord {
    LeaseRecord {
        holder: holder.into(),
        duration_seconds: 15,
        acquire_time: Some(MicroTime(1)),
        renew_time: Some(MicroTime(2)),
        transitions: 3,
    }
}

/// Lets a candidate read a lease that is there.
fn read(election: &mut Election, now: u64, version: &str, record: LeaseRecord) {
    assert_eq!(election.poll(at(now)), Step::Send(LeaseRequest::Get));
    election.answered(at(now), stored(version, record));
}

fn written(step: Step) -> LeaseRecord {
    match step {
        Step::Send(LeaseRequest::Update { record, .. } | LeaseRequest::Create(record)) => record,
        other => panic!("no write but {other:?}"),
    }
}

/// A candidate that got the lease with a write sent at this time.
fn leader(now: u64) -> Election {
    let mut election = candidate("a");
    read(&mut election, now, "1", LeaseRecord::default());
    let record = written(election.poll(at(now)));
    election.answered(at(now), stored("2", record));
    assert!(election.tenure().is_some());
    election
}

#[test]
fn times_that_do_not_work_together_are_refused_as_client_go_does() {
    let config = |lease, renew, retry| ElectionConfig {
        lease_duration: Duration::from_secs(lease),
        renew_deadline: Duration::from_secs(renew),
        retry_period: Duration::from_secs(retry),
        jitter: 1.2,
    };
    assert_eq!(ElectionConfig::default().validate(), Ok(()));
    assert_eq!(
        config(10, 10, 2).validate().unwrap_err().to_string(),
        "lease duration 10s must be greater than renew deadline 10s"
    );
    assert_eq!(
        config(15, 10, 9).validate().unwrap_err().to_string(),
        "renew deadline 10s must be greater than retry period 9s times the jitter"
    );
    assert_eq!(config(15, 10, 0).validate(), Err(ElectionConfigError::NoPause));
}

#[test]
fn another_holder_is_waited_for_from_when_its_last_change_was_seen() {
    let mut election = candidate("b");
    read(&mut election, 100, "7", held_by("a"));
    assert_eq!(election.poll(at(100)), Step::Wait(at(115).boot));
    let mut renewed = ObservedLease {
        resource_version: "8".into(),
        record: held_by("a"),
        ..ObservedLease::default()
    };
    // The record itself is the same: the holder's clock stands still.
    election.observe(Arc::new(renewed.clone()), at(110).boot, at(111).boot);
    assert_eq!(election.poll(at(115)), Step::Wait(at(126).boot));
    renewed.record.renew_time = Some(MicroTime(9));
    election.observe(Arc::new(renewed), at(120).boot, at(121).boot);
    let record = written(election.poll(at(126)));
    assert_eq!((record.holder.as_str(), record.transitions), ("b", 4));
    assert_eq!(
        (record.acquire_time, record.renew_time),
        (Some(MicroTime(126)), Some(MicroTime(126)))
    );
}

#[test]
fn a_renewal_keeps_when_the_lease_was_acquired_and_counts_from_when_it_was_sent() {
    let mut election = leader(100);
    let tenure = election.tenure().unwrap().clone();
    assert_eq!(tenure.deadline(), at(110).boot);
    let record = written(election.poll(at(102)));
    assert_eq!(
        (record.acquire_time, record.renew_time),
        (Some(MicroTime(100)), Some(MicroTime(102)))
    );
    election.answered(at(104), stored("3", record));
    assert_eq!(tenure.deadline(), at(112).boot);
    assert_eq!(election.tenure(), Some(&tenure));
}

#[test]
fn a_renewal_that_is_answered_too_late_begins_another_tenure() {
    let mut election = leader(100);
    let first = election.tenure().unwrap().clone();
    let record = written(election.poll(at(109)));
    election.answered(at(111), stored("3", record));
    assert_eq!(first.deadline(), at(110).boot);
    assert_ne!(election.tenure(), Some(&first));
    assert_eq!(election.tenure().unwrap().deadline(), at(119).boot);
}

#[test]
fn failures_end_the_tenure_at_the_renew_deadline_and_not_before() {
    let mut election = leader(100);
    for second in [102, 104, 106, 108] {
        assert!(matches!(election.poll(at(second)), Step::Send(_)), "{second}");
        election.answered(at(second), Answer::Failed);
    }
    assert!(election.tenure().is_some());
    election.poll(at(110));
    assert_eq!(election.tenure(), None);
}

#[test]
fn a_conflict_is_followed_by_a_read_at_once_and_a_second_one_by_a_pause() {
    let mut election = leader(100);
    written(election.poll(at(102)));
    election.answered(at(102), Answer::Conflict);
    read(&mut election, 102, "5", held_by("a"));
    written(election.poll(at(102)));
    election.answered(at(102), Answer::Conflict);
    assert_eq!(election.poll(at(102)), Step::Wait(at(104).boot));
    assert_eq!(election.slow_paths(), 2);
}

#[test]
fn a_lease_that_vanishes_is_not_free_before_its_holder_would_have_expired() {
    let mut election = candidate("b");
    read(&mut election, 100, "7", held_by("a"));
    election.miss(at(101).boot);
    assert_eq!(election.poll(at(101)), Step::Send(LeaseRequest::Get));
    election.answered(at(101), Answer::NotFound);
    assert_eq!(election.poll(at(101)), Step::Wait(at(115).boot));
    assert_eq!(written(election.poll(at(115))).transitions, 0);
}

#[test]
fn a_leader_whose_lease_vanishes_puts_it_back() {
    let mut election = leader(100);
    let tenure = election.tenure().unwrap().clone();
    written(election.poll(at(102)));
    election.answered(at(102), Answer::NotFound);
    let step = election.poll(at(102));
    assert!(matches!(step, Step::Send(LeaseRequest::Create(_))), "{step:?}");
    election.answered(at(102), stored("9", written(step)));
    assert_eq!(election.tenure(), Some(&tenure));
}

#[test]
fn a_lease_that_somebody_else_holds_ends_the_tenure_at_once() {
    let mut election = leader(100);
    let tenure = election.tenure().unwrap().clone();
    let taken = ObservedLease {
        resource_version: "9".into(),
        record: held_by("b"),
        ..ObservedLease::default()
    };
    election.observe(Arc::new(taken.clone()), at(99).boot, at(101).boot);
    assert!(
        election.tenure().is_some(),
        "that read was sent before the last answer came"
    );
    election.observe(Arc::new(taken), at(101).boot, at(101).boot);
    assert_eq!(
        (election.tenure(), tenure.deadline()),
        (None, BootInstant::default())
    );
}

#[test]
fn leaving_ends_the_tenure_first_and_writes_what_client_go_writes() {
    let mut election = leader(100);
    let tenure = election.tenure().unwrap().clone();
    election.leave();
    assert_eq!(tenure.deadline(), BootInstant::default());
    let record = written(election.poll(at(101)));
    let expected = LeaseRecord {
        holder: "".into(),
        duration_seconds: 1,
        acquire_time: Some(MicroTime(101)),
        renew_time: Some(MicroTime(101)),
        transitions: 1,
    };
    assert_eq!(record, expected);
    election.answered(at(101), stored("3", record));
    assert_eq!(election.poll(at(101)), Step::Finished);
}

#[test]
fn one_that_others_should_precede_waits_after_the_lease_is_free() {
    let mut election = candidate("b");
    election.set_delay(Duration::from_secs(4));
    read(&mut election, 100, "7", held_by(""));
    assert_eq!(election.poll(at(100)), Step::Wait(at(104).boot));
}
