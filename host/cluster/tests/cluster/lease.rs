//! Leadership, membership and shares over an API server.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use windlass_cluster::lease::{LeaseElector, LeaseElectorConfig, LeaseSight, ShareContest};
use windlass_core::key::ObjectKey;
use windlass_core::lease::clock::{BootInstant, Clock};
use windlass_core::lease::group::Leadership;
use windlass_core::shard::Share;

use crate::lease_server::{LeaseServer, Link};

/// Time since boot as the paused clock has it.
struct PausedClock(Instant);

impl Clock for PausedClock {
    fn now(&self) -> BootInstant {
        BootInstant::from_boot(Duration::from_secs(1000) + self.0.elapsed())
    }
}

struct Replica {
    elector: LeaseElector,
    link: Link,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

fn replica(server: &LeaseServer, identity: &str) -> Replica {
    let (client, link) = server.connect();
    let mut config = LeaseElectorConfig::new("hosts", "blue", identity);
    config.clock = Arc::new(PausedClock(Instant::now()));
    let (elector, task) = LeaseElector::new(client, config).unwrap();
    let stop = CancellationToken::new();
    let task = tokio::spawn(task.run(stop.clone()));
    Replica {
        elector,
        link,
        stop,
        task,
    }
}

impl Replica {
    async fn shut_down(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

async fn seconds(count: u64) {
    tokio::time::sleep(Duration::from_secs(count)).await;
}

async fn leads(leadership: &mut watch::Receiver<Leadership>) {
    leadership.wait_for(Leadership::is_valid_now).await.unwrap();
}

fn keys() -> impl Iterator<Item = ObjectKey> {
    (0..1000).map(|name| ObjectKey::new("default", &format!("web-{name}")))
}

/// A controller that has nothing to drain.
fn drain_at_once(contest: ShareContest) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut share = contest.share();
        while share.changed().await.is_ok() {
            let share = share.borrow_and_update().clone();
            contest.drained(&share);
        }
    })
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_created_renewed_and_given_up_as_client_go_does() {
    let server = LeaseServer::default();
    let host = replica(&server, "Host_1");
    let contest = host.elector.lead("shop");
    leads(&mut contest.leadership()).await;
    let created = server.lease("shop");
    assert_eq!(created["apiVersion"], "coordination.k8s.io/v1");
    assert_eq!(
        created["metadata"]["labels"],
        json!({ "windlass.dev/group": "blue", "windlass.dev/lease": "module" })
    );
    let spec = &created["spec"];
    assert_eq!(
        (
            &spec["holderIdentity"],
            &spec["leaseDurationSeconds"],
            &spec["leaseTransitions"]
        ),
        (&json!("Host_1"), &json!(15), &json!(0))
    );
    assert_eq!(spec["acquireTime"], spec["renewTime"]);
    assert_eq!(
        spec["renewTime"].as_str().unwrap().len(),
        "2026-01-02T03:04:05.678901Z".len()
    );
    let member = server.lease("windlass-blue-host-1");
    assert_eq!(
        member["metadata"]["annotations"]["windlass.dev/identity"],
        "Host_1"
    );
    assert_eq!(member["metadata"]["annotations"]["windlass.dev/contends"], "shop");
    server.take_requests();
    seconds(20).await;
    let renewals = server.take_requests();
    assert_eq!(
        renewals.iter().filter(|request| *request == "PUT shop").count(),
        10
    );
    assert!(
        renewals.iter().all(|request| !request.starts_with("GET ")),
        "{renewals:?}"
    );
    let tenure = contest.leadership().borrow().tenure().unwrap().clone();
    host.shut_down().await;
    assert!(!tenure.is_valid_now());
    for lease in ["shop", "windlass-blue-host-1"] {
        let spec = server.lease(lease)["spec"].clone();
        assert_eq!(
            (&spec["holderIdentity"], &spec["leaseDurationSeconds"]),
            (&json!(""), &json!(1)),
            "{lease}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn another_takes_over_within_seconds_of_a_good_exit() {
    let server = LeaseServer::default();
    let (first, second) = (replica(&server, "a"), replica(&server, "b"));
    let contest = first.elector.lead("shop");
    leads(&mut contest.leadership()).await;
    let successor = second.elector.lead("shop");
    let mut leadership = successor.leadership();
    leadership
        .wait_for(|now| matches!(now, Leadership::Follower { holder: Some(holder) } if holder == "a"))
        .await
        .unwrap();
    let start = Instant::now();
    first.shut_down().await;
    leads(&mut leadership).await;
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert_eq!(server.lease("shop")["spec"]["leaseTransitions"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_cut_off_stops_before_another_begins() {
    let server = LeaseServer::default();
    let (first, second) = (replica(&server, "a"), replica(&server, "b"));
    let contest = first.elector.lead("shop");
    let mut old = contest.leadership();
    leads(&mut old).await;
    let successor = second.elector.lead("shop");
    let new = successor.leadership();
    seconds(10).await;
    first.link.cut();
    let tenure = old.borrow().tenure().unwrap().clone();
    let start = Instant::now();
    let mut ended = None;
    while !new.borrow().is_valid_now() {
        if !tenure.is_valid_now() {
            ended.get_or_insert(start.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(ended.unwrap() <= Duration::from_secs(10), "{ended:?}");
    let taken = start.elapsed();
    assert!(
        taken >= Duration::from_secs(13) && taken < Duration::from_secs(22),
        "{taken:?}"
    );
    assert_eq!(
        *old.borrow(),
        Leadership::Follower {
            holder: Some("a".into())
        }
    );
    first.link.mend();
    old.wait_for(|now| matches!(now, Leadership::Follower { holder: Some(holder) } if holder == "b"))
        .await
        .unwrap();
    assert!(new.borrow().is_valid_now());
}

#[tokio::test(start_paused = true)]
async fn a_write_that_meets_another_version_reads_again_and_keeps_what_others_wrote() {
    let server = LeaseServer::default();
    let host = replica(&server, "a");
    let contest = host.elector.lead("shop");
    leads(&mut contest.leadership()).await;
    // Between a list and a renewal, so that the renewal does not know.
    seconds(3).await;
    let tenure = contest.leadership().borrow().tenure().unwrap().clone();
    while contest.sight().borrow().slow_paths == 0 {
        server.edit("shop", |lease| {
            lease["metadata"]["annotations"]["team"] = "red".into();
        });
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    seconds(20).await;
    assert!(tenure.is_valid_now());
    assert_eq!(server.lease("shop")["metadata"]["annotations"]["team"], "red");
}

#[tokio::test(start_paused = true)]
async fn a_missing_namespace_is_named() {
    let server = LeaseServer::without_namespace();
    let host = replica(&server, "a");
    let mut problem = host.elector.problem();
    let error = problem.wait_for(Option::is_some).await.unwrap().clone();
    assert_eq!(
        error.unwrap().to_string(),
        "cannot create lease windlass-blue-a: namespace hosts does not exist; create it or name another"
    );
    host.shut_down().await;
}

#[tokio::test(start_paused = true)]
async fn an_exit_does_not_wait_for_a_server_that_does_not_answer() {
    let server = LeaseServer::default();
    let host = replica(&server, "a");
    let contest = host.elector.lead("shop");
    leads(&mut contest.leadership()).await;
    host.link.cut();
    let start = Instant::now();
    host.shut_down().await;
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_joins_is_handed_its_part_after_a_minute() {
    let server = LeaseServer::default();
    let (first, second) = (replica(&server, "a"), replica(&server, "b"));
    let names = ["deployment", "replicaset"];
    let held = names.map(|name| first.elector.lead(name));
    for contest in &held {
        leads(&mut contest.leadership()).await;
    }
    let start = Instant::now();
    let wanted = names.map(|name| second.elector.lead(name));
    let asked = held.iter().map(|contest| {
        let mut leadership = contest.leadership();
        Box::pin(async move {
            leadership
                .wait_for(|now| matches!(now, Leadership::HandingOver { to, .. } if to == "b"))
                .await
                .unwrap();
            contest
        })
    });
    let (contest, ..) = futures::future::select_all(asked).await;
    assert!(
        start.elapsed() >= Duration::from_secs(58),
        "{:?}",
        start.elapsed()
    );
    contest.step_down();
    assert!(
        contest.leadership().borrow().is_valid_now(),
        "the task has yet to run"
    );
    seconds(10).await;
    let led = |contests: &[windlass_cluster::lease::LeaderContest]| {
        contests
            .iter()
            .filter(|contest| contest.leadership().borrow().is_valid_now())
            .count()
    };
    assert_eq!((led(&held), led(&wanted)), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn replicas_share_the_keys_of_a_module_and_take_over_from_each_other() {
    let server = LeaseServer::default();
    let (first, second) = (replica(&server, "a"), replica(&server, "b"));
    let contests = [&first, &second].map(|replica| replica.elector.share("shop"));
    let shares = [contests[0].share(), contests[1].share()];
    let [one, two] = contests.map(drain_at_once);
    let mut share = shares[0].clone();
    share.wait_for(|share| share.slots().len() == 128).await.unwrap();
    let mut share = shares[1].clone();
    share.wait_for(|share| share.slots().len() == 128).await.unwrap();
    let owners = |key: &ObjectKey| shares.iter().filter(|share| share.borrow().owns(key)).count();
    assert!(keys().all(|key| owners(&key) == 1));
    let members = first.elector.members().borrow().identities.clone();
    assert_eq!(members, ["a", "b"]);
    one.abort();
    first.shut_down().await;
    share.wait_for(|share| share.slots().len() == 256).await.unwrap();
    assert!(keys().all(|key| share.borrow().owns(&key)));
    two.abort();
}

#[tokio::test(start_paused = true)]
async fn keys_are_not_given_away_before_they_are_drained() {
    let server = LeaseServer::default();
    let (first, second) = (replica(&server, "a"), replica(&server, "b"));
    let slow = first.elector.share("shop");
    let mut share = slow.share();
    share.wait_for(|share| share.slots().len() == 256).await.unwrap();
    let eager = second.elector.share("shop");
    let gained = eager.share();
    let left = share
        .wait_for(|share| share.slots().len() == 128)
        .await
        .unwrap()
        .clone();
    seconds(120).await;
    assert!(gained.borrow().slots().is_empty());
    slow.drained(&left);
    let start = Instant::now();
    let mut gained = gained;
    gained.wait_for(|share| share.slots().len() == 128).await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    assert!(Share::is_valid_now(&share.borrow()));
}

#[tokio::test(start_paused = true)]
async fn three_hundred_leases_cost_one_list_and_less_than_sixty_writes_a_second() {
    let server = LeaseServer::default();
    let host = replica(&server, "a");
    let contests: Vec<_> = (0..300)
        .map(|module| host.elector.lead(&format!("module-{module}")))
        .collect();
    for contest in &contests {
        leads(&mut contest.leadership()).await;
    }
    seconds(30).await;
    server.take_requests();
    seconds(60).await;
    let requests = server.take_requests();
    let lists = requests.iter().filter(|request| *request == "GET").count();
    let writes = requests
        .iter()
        .filter(|request| request.starts_with("PUT"))
        .count();
    assert!((29..=31).contains(&lists), "{lists}");
    assert!(writes <= 61 * 61, "{writes}");
    assert_eq!(requests.len(), lists + writes);
    assert!(
        contests
            .iter()
            .all(|contest| contest.leadership().borrow().is_valid_now())
    );
}

/// Name, holder, whether it is held here, and how often it changed hands.
fn look(sight: &watch::Receiver<LeaseSight>) -> (String, String, bool, i32) {
    let sight = sight.borrow();
    let record = sight.lease.as_ref().map(|lease| lease.record.clone());
    let record = record.unwrap_or_default();
    (
        sight.name.to_string(),
        record.holder.to_string(),
        sight.is_held(),
        record.transitions,
    )
}

#[tokio::test(start_paused = true)]
async fn every_replica_sees_who_holds_a_lease_and_whether_that_is_itself() {
    let server = LeaseServer::default();
    let (first, second) = (replica(&server, "a"), replica(&server, "b"));
    let contest = first.elector.lead("shop");
    leads(&mut contest.leadership()).await;
    let successor = second.elector.share("shop");
    seconds(3).await;
    let (one, other) = (contest.sight(), successor.sight());
    let seen =
        |holder: &str, held, transitions| ("hosts/shop".to_owned(), holder.to_owned(), held, transitions);
    assert_eq!(look(&one), seen("a", true, 0));
    assert_eq!(look(&other), seen("a", false, 0));
    let renewed = |sight: &watch::Receiver<LeaseSight>| {
        let sight = sight.borrow();
        sight.lease.as_ref().and_then(|lease| lease.record.renew_time)
    };
    assert!(renewed(&one).is_some() && renewed(&other).is_some());

    // It says so before anybody tells it.
    first.link.cut();
    seconds(12).await;
    assert_eq!(look(&one), seen("a", false, 0));
    seconds(15).await;
    assert_eq!(look(&other), seen("b", true, 1));
    first.link.mend();
    seconds(10).await;
    assert_eq!(look(&one), seen("b", false, 1));
    assert_eq!(look(&other), seen("b", true, 1));
}
