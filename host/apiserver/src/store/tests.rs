use std::task::{Context, Poll, Waker};

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::object::Head;
use crate::types::selectors::Fields;

fn draft(text: &str) -> Draft {
    Draft::encode(
        &Head::new("v1", "ConfigMap"),
        &json!({"metadata": {}, "data": text}),
        Fields::new(),
    )
}

fn query(at: Option<Revision>, after: Option<&Key>, limit: usize) -> PageQuery<'_> {
    PageQuery {
        namespace: None,
        after,
        limit,
        at,
        filter: &|_| true,
    }
}

/// What a step of the model does.
#[derive(Clone, Debug)]
enum Step {
    Put(u8),
    Remove(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![(0..12u8).prop_map(Step::Put), (0..12u8).prop_map(Step::Remove)];
    proptest::collection::vec(step, 1..80)
}

fn apply(collection: &Collection, step: &Step, text: &str) {
    match step {
        Step::Put(name) => {
            let key = Key::new("n", &name.to_string());
            match collection.get(&key) {
                Some(stored) => drop(collection.replace(&key, stored.revision(), &draft(text)).unwrap()),
                None => drop(collection.insert(key, &draft(text)).unwrap()),
            }
        }
        Step::Remove(name) => {
            let key = Key::new("n", &name.to_string());
            if let Some(stored) = collection.get(&key) {
                collection.remove(&key, stored.revision()).unwrap();
            }
        }
    }
}

type Snapshot = BTreeMap<Key, Revision>;

fn snapshot(items: &[Arc<Stored>]) -> Snapshot {
    items
        .iter()
        .map(|item| (item.key().clone(), item.revision()))
        .collect()
}

proptest! {
    /// Any past revision can be read in pages of any size, and replaying the events from
    /// it leads to the present.
    #[test]
    fn the_past_can_be_read_and_replayed(steps in steps(), limit in 1..5usize) {
        let store = Store::default();
        let collection = store.collection(None);
        let mut past: Vec<(Revision, Snapshot)> = vec![(0, Snapshot::new())];
        for (index, step) in steps.iter().enumerate() {
            apply(&collection, step, &index.to_string());
            past.push((store.revision(), snapshot(&collection.list(None, &|_| true).0)));
        }
        let present = snapshot(&collection.list(None, &|_| true).0);
        for (revision, expected) in past {
            prop_assert_eq!(&read_in_pages(&collection, revision, limit), &expected);
            prop_assert_eq!(&replay(&collection, revision, expected), &present);
        }
    }
}

fn read_in_pages(collection: &Collection, revision: Revision, limit: usize) -> Snapshot {
    let mut all = Snapshot::new();
    let mut after: Option<Key> = None;
    loop {
        let page = collection
            .page(query(Some(revision), after.as_ref(), limit))
            .unwrap();
        assert_eq!(page.revision, revision);
        all.extend(snapshot(&page.items));
        if !page.more {
            return all;
        }
        after = page.items.last().map(|item| item.key().clone());
    }
}

fn replay(collection: &Arc<Collection>, from: Revision, mut state: Snapshot) -> Snapshot {
    let subscription = collection.watch_from(Interest::All, from).unwrap();
    let Some(Ok(events)) = futures::FutureExt::now_or_never(subscription.next()) else {
        return state;
    };
    let mut last = from;
    for event in events {
        assert!(event.revision() > last, "events come in order and none twice");
        last = event.revision();
        let key = event.object.key().clone();
        match event.change {
            Change::Deleted => drop(state.remove(&key)),
            Change::Added => assert!(state.insert(key, last).is_none()),
            Change::Modified => assert!(state.insert(key, last).is_some()),
        }
    }
    state
}

#[test]
fn a_write_that_lost_the_race_changes_nothing() {
    let store = Store::default();
    let collection = store.collection(None);
    let key = Key::new("n", "a");
    let first = collection.insert(key.clone(), &draft("1")).unwrap();
    assert_eq!(collection.insert(key.clone(), &draft("2")).unwrap_err(), Occupied);
    let second = collection.replace(&key, first.revision(), &draft("2")).unwrap();
    assert_eq!(
        collection
            .replace(&key, first.revision(), &draft("3"))
            .unwrap_err(),
        Raced
    );
    assert_eq!(collection.remove(&key, first.revision()).unwrap_err(), Raced);
    assert_eq!(collection.get(&key).unwrap().revision(), second.revision());
    assert_eq!(
        store.revision(),
        second.revision(),
        "a lost race takes no revision"
    );
}

#[tokio::test(start_paused = true)]
async fn ages_are_told_from_checkpoints() {
    let store = Store::default();
    let collection = store.collection(None);
    let keep = Duration::from_secs(300);
    store.checkpoint(keep);
    for minute in 0..10 {
        collection
            .insert(Key::new("n", &minute.to_string()), &draft("x"))
            .unwrap();
        tokio::time::advance(Duration::from_secs(60)).await;
        store.checkpoint(keep);
    }
    assert_eq!(store.revision_before(Duration::ZERO), 10);
    assert_eq!(store.revision_before(Duration::from_secs(300)), 5);
    assert_eq!(store.revision_before(Duration::from_secs(3600)), 0);
}

#[test]
fn watchers_are_woken_only_for_what_they_want() {
    let store = Store::default();
    let collection = store.collection(None);
    let mine = collection.watch_now(Interest::Namespace("mine".into()));
    let named = collection.watch_now(Interest::Name("b".into()));
    collection.insert(Key::new("mine", "a"), &draft("1")).unwrap();
    collection.insert(Key::new("other", "b"), &draft("1")).unwrap();
    let names = |subscription: &Subscription| {
        let events = futures::FutureExt::now_or_never(subscription.next())
            .unwrap()
            .unwrap();
        events
            .iter()
            .map(|event| event.object.key().to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&mine), ["mine/a"]);
    assert_eq!(names(&named), ["other/b"]);
    assert_eq!(mine.caught_up_at(), Some(2));
}

#[test]
fn a_watcher_that_falls_behind_is_cut_off() {
    let store = Store::default();
    let collection = store.collection(None);
    let slow = collection.watch_now(Interest::All);
    for number in 0..=16 * 1024 {
        collection
            .insert(Key::new("n", &number.to_string()), &draft("1"))
            .unwrap();
    }
    assert!(futures::FutureExt::now_or_never(slow.next()).unwrap().is_err());
}

#[test]
fn a_watch_resumes_from_events_that_were_packed() {
    let store = Store::default();
    let collection = store.collection(None);
    for index in 0..3000_u32 {
        let step = Step::Put(u8::try_from(index % 7).unwrap());
        apply(&collection, &step, &index.to_string().repeat(100));
    }
    collection.pack();
    for after in [0, 1, 777, 2999] {
        let subscription = collection
            .watch_from(Interest::All, after)
            .expect("nothing was dropped");
        assert_eq!(subscription.caught_up_at(), None, "something is waiting");
        let mut seen = Vec::new();
        let mut cx = Context::from_waker(Waker::noop());
        while let Poll::Ready(events) = subscription.poll_next(&mut cx, usize::MAX) {
            seen.extend(events.unwrap().iter().map(|event| event.revision()));
        }
        assert_eq!(seen, (after + 1..=3000).collect::<Vec<_>>());
        assert_eq!(subscription.caught_up_at(), Some(3000));
    }
}
