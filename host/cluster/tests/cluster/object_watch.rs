//! One object, followed through changes, absence, expiry and trouble.

use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use windlass_cluster::object_watch::{ObjectWatch, Observed};
use windlass_core::key::{ObjectKey, Resource};

use crate::server::{Call, Server, Watch, list, pod, server};

const PATH: &str = "/api/v1/namespaces/ns/pods";

struct Followed {
    observed: watch::Receiver<Observed>,
    task: JoinHandle<()>,
}

fn follow() -> (Followed, Server) {
    let (client, server) = server();
    let pods = Resource::new("", "v1", "pods");
    let watch = ObjectWatch::new(client, &pods, ObjectKey::new("ns", "a")).unwrap();
    let observed = watch.observed();
    let task = tokio::spawn(watch.run());
    (Followed { observed, task }, server)
}

impl Followed {
    /// The next thing that is seen: the version of the object, if there is one.
    async fn next(&mut self) -> Result<Option<u64>, String> {
        self.observed.changed().await.unwrap();
        match &*self.observed.borrow_and_update() {
            Observed::Unknown => panic!("known again as unknown"),
            Observed::Unreachable(problem) => Err(problem.clone()),
            Observed::Absent => Ok(None),
            Observed::Present(object) => {
                let object: serde_json::Value = serde_json::from_slice(object).unwrap();
                assert_eq!(object["metadata"]["name"], "a");
                Ok(Some(
                    object["metadata"]["resourceVersion"]
                        .as_str()
                        .unwrap()
                        .parse()
                        .unwrap(),
                ))
            }
        }
    }

    fn sees_nothing_new(&self) -> bool {
        !self.observed.has_changed().unwrap()
    }
}

async fn expect_list(server: &mut Server) -> Call {
    let call = server.expect_list(PATH).await;
    assert_eq!(call.query["fieldSelector"], "metadata.name%3Da");
    call
}

async fn expect_watch(server: &mut Server, revision: u64) -> Watch {
    server.expect_watch(PATH, revision).await
}

#[tokio::test(start_paused = true)]
async fn each_content_is_seen_from_creation_to_deletion_and_beyond() {
    let (mut followed, mut server) = follow();
    expect_list(&mut server).await.ok(&list(5, &[]));
    assert_eq!(followed.next().await, Ok(None));
    let watch = expect_watch(&mut server, 5).await;
    watch.event("ADDED", &pod("a", 6));
    assert_eq!(followed.next().await, Ok(Some(6)));
    watch.event("MODIFIED", &pod("a", 7));
    assert_eq!(followed.next().await, Ok(Some(7)));
    watch.event("DELETED", &pod("a", 8));
    assert_eq!(followed.next().await, Ok(None));
    watch.bookmark(12);
    watch.close();
    let watch = expect_watch(&mut server, 12).await;
    watch.event("ADDED", &pod("a", 13));
    assert_eq!(followed.next().await, Ok(Some(13)));
    followed.task.abort();
    watch.dropped().await;
}

#[tokio::test(start_paused = true)]
async fn an_expired_watch_and_a_broken_one_lose_nothing() {
    let (mut followed, mut server) = follow();
    expect_list(&mut server).await.ok(&list(5, &[pod("a", 4)]));
    assert_eq!(followed.next().await, Ok(Some(4)));
    expect_watch(&mut server, 5).await.fail();
    let watch = expect_watch(&mut server, 5).await;
    watch.event(
        "ERROR",
        &json!({ "kind": "Status", "code": 410, "reason": "Expired", "message": "too old" }),
    );
    expect_list(&mut server).await.ok(&list(9, &[pod("a", 4)]));
    let watch = expect_watch(&mut server, 9).await;
    assert!(followed.sees_nothing_new(), "the same content is no news");
    watch.raw("nonsense\n");
    expect_watch(&mut server, 9)
        .await
        .event("MODIFIED", &pod("a", 10));
    assert_eq!(followed.next().await, Ok(Some(10)));
}

#[tokio::test(start_paused = true)]
async fn what_was_seen_stays_while_the_server_cannot_be_asked() {
    let (mut followed, mut server) = follow();
    expect_list(&mut server).await.status(403, "Forbidden");
    assert_eq!(followed.next().await, Err("scripted Forbidden".to_owned()));
    expect_list(&mut server).await.ok(&list(5, &[pod("a", 4)]));
    assert_eq!(followed.next().await, Ok(Some(4)));
    expect_watch(&mut server, 5).await.close();
    server.expect(PATH).await.status(403, "Forbidden");
    expect_list(&mut server).await.status(500, "InternalError");
    expect_list(&mut server).await.ok(&list(8, &[]));
    assert_eq!(
        followed.next().await,
        Ok(None),
        "nothing was told of the trouble in between"
    );
}

#[tokio::test]
async fn names_that_leave_the_collection_are_refused() {
    let (client, _server) = server();
    let pods = Resource::new("", "v1", "pods");
    for key in [
        ObjectKey::new("ns", "../secrets/x"),
        ObjectKey::new("ns/x", "a"),
        ObjectKey::new("ns", ""),
    ] {
        assert!(ObjectWatch::new(client.clone(), &pods, key).is_err());
    }
}
