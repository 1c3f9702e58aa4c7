use std::collections::HashSet;

use proptest::prelude::*;
use windlass_core::api_error::{ApiError, ApiErrorKind};
use windlass_core::key::{ObjectKey, Resource, ResourceInfo};
use windlass_core::outcome::{Outcome, SyncError};
use windlass_core::seams::{DeltaKind, PatchType};

use super::writer::{Encoder, Selection, encode_header, pack};
use super::*;
use crate::record::entry::{Batch, Change, Question, Request, Verb};

fn header() -> Header {
    Header {
        windlass: "0.1.0".to_owned(),
        contract: "0.1.0".to_owned(),
        module: "m".to_owned(),
        guest: "g".to_owned(),
        guest_version: "1".to_owned(),
        origin: "file m.wasm".to_owned(),
        digest: "00".to_owned(),
        config: "{}".to_owned(),
        limits: RecordedLimits::from(&Limits::default()),
        watches: Vec::new(),
        started_unix_ms: 0,
        keys: Vec::new(),
        secrets_masked: true,
    }
}

fn everything() -> Selection {
    Selection {
        keys: HashSet::new(),
        until: None,
        masks: None,
    }
}

/// A file with these entries, cut into chunks of this many.
fn file(entries: &[Entry], per_chunk: usize, selection: Selection) -> Vec<u8> {
    let mut bytes = encode_header(&header());
    let mut encoder = Encoder::new(selection);
    for entries in entries.chunks(per_chunk) {
        entries.iter().for_each(|entry| encoder.append(entry));
        bytes.extend(pack(&encoder.take_chunk()));
    }
    bytes
}

fn entries(recording: Recording) -> Vec<Entry> {
    recording.entries.into_iter().map(|(_, entry)| entry).collect()
}

fn body() -> impl Strategy<Value = Bytes> {
    // Few, so that some repeat.
    prop_oneof![
        Just(Bytes::new()),
        Just(Bytes::from_static(b"{}")),
        proptest::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from)
    ]
}

fn key() -> impl Strategy<Value = ObjectKey> {
    ("[a-c]{0,2}", "[a-c]{1,2}").prop_map(|(namespace, name)| ObjectKey::new(&namespace, &name))
}

fn request() -> impl Strategy<Value = Request> {
    let verb = prop_oneof![
        Just(Verb::Get),
        body().prop_map(Verb::Create),
        body().prop_map(|body| Verb::Patch(PatchType::StrategicMerge, body)),
        Just(Verb::Delete(Default::default()))
    ];
    (key(), verb, "(status)?").prop_map(|(key, verb, subresource)| Request {
        resource: Resource::new("apps", "v1", "deployments"),
        key,
        subresource,
        verb,
    })
}

fn change() -> impl Strategy<Value = Change> {
    (body(), proptest::option::of(body()), any::<bool>()).prop_map(|(body, old, initial)| Change {
        kind: DeltaKind::Updated,
        initial,
        body,
        old,
    })
}

fn error() -> ApiError {
    ApiError::local(ApiErrorKind::Conflict, "conflict")
}

fn entry() -> impl Strategy<Value = Entry> {
    let source = ResourceInfo {
        resource: Resource::new("", "v1", "pods"),
        kind: "Pod".into(),
        namespaced: true,
    };
    let batch = proptest::collection::vec(change(), 0..3).prop_map(move |changes| Batch {
        watch: 1,
        source: source.clone(),
        old_bodies: true,
        changes,
    });
    let result = prop_oneof![
        Just(Ok(Outcome::Done)),
        any::<u32>().prop_map(|millis| Ok(Outcome::RequeueAfter(Duration::from_millis(millis.into())))),
        ".{0,9}".prop_map(|message| Err(SyncError::Retry(message)))
    ];
    prop_oneof![
        Just(Entry::Start),
        (any::<u64>(), key()).prop_map(|(sync, key)| Entry::Sync { sync, key }),
        proptest::collection::vec(batch, 0..3).prop_map(Entry::Observe),
        (any::<u64>(), proptest::result::maybe_ok(body(), Just(error())))
            .prop_map(|(call, answer)| Entry::Answer { call, answer }),
        (any::<u64>(), any::<u64>(), request()).prop_map(|(call, sync, request)| Entry::Request {
            call,
            sync,
            request
        }),
        (key(), proptest::collection::vec(body(), 0..3)).prop_map(|(key, bodies)| Entry::Read {
            question: Question::Get(0, key),
            answer: Ok(bodies)
        }),
        any::<u64>().prop_map(Entry::Random),
        (any::<u64>(), result).prop_map(|(sync, result)| Entry::Synced { sync, result }),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read(all in proptest::collection::vec(entry(), 0..30), per_chunk in 1..10usize) {
        let recording = Recording::read(&file(&all, per_chunk, everything())).unwrap();
        prop_assert_eq!(&recording.header, &header());
        prop_assert_eq!(recording.end, None);
        prop_assert_eq!(entries(recording), all);
    }

    /// As after SIGKILL.
    #[test]
    fn a_file_that_was_cut_off_gives_its_whole_chunks(
        all in proptest::collection::vec(entry(), 0..20),
        cut in any::<proptest::sample::Index>(),
    ) {
        let mut encoder = Encoder::new(everything());
        let mut whole = encode_header(&header());
        let mut ends = vec![whole.len()];
        for entry in &all {
            encoder.append(entry);
            whole.extend(pack(&encoder.take_chunk()));
            ends.push(whole.len());
        }
        let start = ends[0];
        let cut = start + cut.index(whole.len() - start + 1);
        let read = entries(Recording::read(&whole[..cut]).unwrap());
        let readable = ends.iter().filter(|end| **end <= cut).count() - 1;
        prop_assert_eq!(&read, &all[..readable]);
    }

    #[test]
    fn damage_is_noticed_or_harmless(
        all in proptest::collection::vec(entry(), 1..10),
        at in any::<proptest::sample::Index>(),
        bit in 0..8u8,
    ) {
        let mut bytes = file(&all, 3, everything());
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        // A damaged length may look like a file that was cut off; nothing is ever made up.
        if let Ok(recording) = Recording::read(&bytes) {
            prop_assert!(all.starts_with(&entries(recording)));
        }
    }
}

#[test]
fn errors_say_what_is_wrong() {
    let sound = file(&[Entry::Start, Entry::Started], 1, everything());
    let refusal = |bytes: &[u8]| Recording::read(bytes).unwrap_err().to_string();
    assert_eq!(refusal(b"apiVersion: v1"), "not a recording of Windlass");
    let mut newer = sound.clone();
    newer[MAGIC.len()] = 2;
    assert_eq!(
        refusal(&newer),
        "written in version 2 of the format, and this windlass reads version 1: use the version of windlass that \
         recorded it"
    );
    assert_eq!(
        refusal(&sound[..MAGIC.len() + 5]),
        "cut off within its header: nothing of it can be used"
    );
    let mut damaged = sound.clone();
    *damaged.last_mut().unwrap() ^= 1;
    let message = refusal(&damaged);
    assert!(
        message.ends_with("after 1 readable entries: copy it again from where it was recorded"),
        "{message}"
    );
}

/// Fails when a type in the format changes without a new [`FORMAT_VERSION`].
#[test]
fn the_encoding_of_version_1_stays_as_it_is() {
    let entry = Entry::Request {
        call: 1,
        sync: 2,
        request: Request {
            resource: Resource::new("apps", "v1", "deployments"),
            key: ObjectKey::new("default", "web"),
            subresource: "status".to_owned(),
            verb: Verb::Patch(PatchType::Merge, 7_u32),
        },
    };
    let request = postcard::to_allocvec(&entry).unwrap();
    assert_eq!(
        request,
        b"\x05\x01\x02\x04apps\x02v1\x0bdeployments\x07default\x03web\x06status\x04\x01\x07"
    );
    let error: Entry<u32> = Entry::Answer {
        call: 3,
        answer: Err(error()),
    };
    assert_eq!(
        postcard::to_allocvec(&error).unwrap(),
        b"\x04\x03\x01\x02\x00\x00\x08conflict\x00\x00"
    );
    let end: Entry<u32> = Entry::End(EndReason::Overrun);
    assert_eq!(postcard::to_allocvec(&end).unwrap(), [18, 3]);
}

fn secret(call: u64) -> [Entry; 2] {
    let secrets = Resource::new("", "v1", "secrets");
    let body = Bytes::from_static(br#"{"data":{"password":"c2VjcmV0"}}"#);
    [
        Entry::Request {
            call,
            sync: 1,
            request: Request {
                resource: secrets,
                key: ObjectKey::new("default", "s"),
                subresource: String::new(),
                verb: Verb::Update(body.clone()),
            },
        },
        Entry::Answer {
            call,
            answer: Ok(body),
        },
    ]
}

#[test]
fn the_content_of_secrets_is_masked_wherever_it_occurs() {
    let watches = vec![Some(Resource::new("", "v1", "secrets")), None];
    let read = Entry::Read {
        question: Question::Orphans(0, "default".to_owned()),
        answer: Ok(vec![Bytes::from_static(br#"{"stringData":{"a":"secret"}}"#)]),
    };
    let other = Entry::Read {
        question: Question::Orphans(1, "default".to_owned()),
        answer: Ok(vec![Bytes::from_static(br#"{"data":{"a":"plain"}}"#)]),
    };
    let all: Vec<Entry> = secret(1).into_iter().chain([read, other.clone()]).collect();
    let masked = Selection {
        masks: Some(watches),
        ..everything()
    };
    let recording = Recording::read(&file(&all, 9, masked)).unwrap();
    let text = format!("{recording:?}");
    assert!(
        !text.contains("c2VjcmV0") && !text.contains("\"secret\""),
        "{text}"
    );
    assert_eq!(
        entries(recording).last(),
        Some(&other),
        "other resources keep their data"
    );
    let kept = Recording::read(&file(&all, 9, everything())).unwrap();
    assert_eq!(entries(kept), all);
}

#[test]
fn only_the_syncs_of_chosen_keys_are_kept() {
    let sync = |sync, name| Entry::Sync {
        sync,
        key: ObjectKey::new("default", name),
    };
    let ask = |call, sync| Entry::Request {
        call,
        sync,
        request: Request {
            resource: Resource::new("", "v1", "pods"),
            key: ObjectKey::new("default", "p"),
            subresource: String::new(),
            verb: Verb::Get,
        },
    };
    let answer = |call| Entry::Answer {
        call,
        answer: Ok(Bytes::new()),
    };
    let synced = |sync| Entry::Synced {
        sync,
        result: Ok(Outcome::Done),
    };
    let all = [
        Entry::Start,
        Entry::Random(0),
        sync(1, "a"),
        ask(1, 1),
        sync(2, "b"),
        Entry::Random(2),
        ask(2, 2),
        answer(1),
        Entry::Random(1),
        answer(2),
        Entry::Random(3),
        synced(2),
        synced(1),
    ];
    let chosen = Selection {
        keys: HashSet::from([ObjectKey::new("default", "a")]),
        ..everything()
    };
    let kept = entries(Recording::read(&file(&all, 9, chosen)).unwrap());
    let expected = [
        Entry::Start,
        Entry::Random(0),
        sync(1, "a"),
        ask(1, 1),
        answer(1),
        Entry::Random(1),
        synced(1),
    ];
    assert_eq!(kept, expected);
}
