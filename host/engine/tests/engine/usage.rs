//! What is counted of the instances of a module.

use std::sync::Arc;
use std::time::Duration;

use windlass_core::outcome::Outcome;
use windlass_core::seams::Guest;
use windlass_engine::limits::Limits;
use windlass_engine::usage::{Import, Usage};

use crate::support::{FakeCluster, engine, key, load};

fn calls(usage: &Usage, import: Import) -> u64 {
    usage.calls().find(|(counted, _)| *counted == import).unwrap().1
}

#[tokio::test]
async fn memory_and_time_and_calls_are_counted_while_an_instance_lives() {
    let usage = Arc::<Usage>::default();
    let guest = load(&engine(), "counter").await;
    let cluster = Arc::<FakeCluster>::default();
    let (instance, mut driver) = guest
        .instantiate(cluster.services(""), Limits::default(), Arc::clone(&usage))
        .await
        .unwrap();
    assert_eq!(usage.instances(), 1);
    assert!(usage.memory_bytes() >= 65_536, "{}", usage.memory_bytes());
    let before = usage.cpu_time();
    let outcome = tokio::select! {
        outcome = instance.sync(1, key("log")) => outcome,
        failure = &mut driver => panic!("{failure}"),
    };
    assert_eq!(outcome, Ok(Ok(Outcome::Done)));
    assert!(usage.cpu_time() > before);
    assert_eq!(calls(&usage, Import::LoggingLog), 1);
    assert_eq!(calls(&usage, Import::ClientsetGet), 0);
    drop(driver);
    assert_eq!((usage.instances(), usage.memory_bytes()), (0, 0));
    assert!(usage.cpu_time() > Duration::ZERO, "what was used stays counted");
}
