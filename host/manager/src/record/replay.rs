//! Runs a guest on a recording, offline.

use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, FuturesUnordered, StreamExt};
use windlass_core::outcome::GuestFailure;
use windlass_engine::limits::Limits;
use windlass_engine::load::LoadedGuest;

use super::entry::{EndReason, Entry};
use super::format::{Recording, watches};
use super::report::{Difference, Findings};
use super::script::{Script, Segment};
use super::turns::Paced;

/// More differences are counted, and not kept.
const MAX_KEPT: usize = 10_000;

/// How a replay went.
#[derive(Debug)]
pub struct Report {
    /// Syncs in which both guests wrote the same and ended alike.
    pub same_syncs: u64,
    /// Syncs in which they did not.
    pub different_syncs: u64,
    /// Writes in the recording.
    pub recorded_writes: u64,
    /// Of them, those that the replayed guest made too, the same to the last byte.
    pub same_writes: u64,
    /// How many differences were found.
    pub total: u64,
    /// The differences, in the order in which they were found.
    pub differences: Vec<Difference>,
    /// What the reader should know when judging them.
    pub notes: Vec<String>,
}

impl Report {
    /// Whether the guest did everything as recorded.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.total == 0
    }
}

/// Runs a guest on a recording. `config` is what `module-config` answers, and what the
/// guest was loaded with.
pub async fn replay(recording: &Recording, guest: &LoadedGuest, config: Bytes) -> Report {
    let findings = Arc::new(Findings::keeping(MAX_KEPT));
    let script = Arc::new(Script::new(
        &recording.header.watches,
        &guest.manifest,
        guest.exports,
        None,
        Arc::clone(&findings),
    ));
    let entries = recording.entries.iter().map(|(_, entry)| entry.clone());
    let mut segments = Segment::cut(entries);
    leave_out_cut_off_maps(&mut segments);
    for segment in segments {
        script.push(segment);
    }
    script.open();
    let limits = Limits::from(&recording.header.limits);
    let failure = play(guest, limits, config, &script, async || None).await;
    script.finish(failure.as_ref());
    Report {
        same_syncs: findings.same_syncs(),
        different_syncs: findings.different_syncs(),
        recorded_writes: findings.recorded_writes(),
        same_writes: findings.same_writes(),
        total: findings.total(),
        differences: findings.latest(),
        notes: notes(recording, guest),
    }
}

/// Runs an instance until it was told everything or has failed. `more` is where the rest
/// of the log comes from.
pub(crate) async fn play(
    guest: &LoadedGuest,
    limits: Limits,
    config: Bytes,
    script: &Arc<Script>,
    more: impl AsyncFnMut() -> Option<Segment>,
) -> Option<GuestFailure> {
    let (instance, driver) = match guest
        .instantiate(script.services(config), limits, Arc::default())
        .await
    {
        Ok(instance) => instance,
        Err(failure) => return Some(failure),
    };
    let mut calls = script.stage(Arc::new(instance));
    let mut driver = Paced::new(driver, script.clone());
    let mut in_flight = FuturesUnordered::new();
    let mut more = pin!(stream::unfold(more, async |mut more| Some((more().await?, more))).fuse());
    let mut complete = false;
    loop {
        tokio::select! {
            biased;
            Some(returned) = in_flight.next() => script.returned(returned),
            Some(call) = calls.recv() => in_flight.push(call),
            failure = &mut driver => return Some(failure),
            segment = more.next(), if !complete => match segment {
                Some(segment) => script.push(segment),
                None => {
                    complete = true;
                    script.complete();
                }
            },
            () = script.over() => return None,
        }
    }
}

/// Nobody waits for the mapper when an instance ends, so its last questions may have ended
/// before it read what it needed, and the log has no answer to that.
fn leave_out_cut_off_maps(segments: &mut Vec<Segment>) {
    let is_cut_off = |segment: &mut Segment| match &segment.told {
        Some(Entry::Map { call, .. }) => {
            let returned = |entry: &Entry| matches!(entry, Entry::Mapped { call: of, .. } if of == call);
            !segment.done.iter().any(returned)
        }
        _ => false,
    };
    while segments.pop_if(is_cut_off).is_some() {}
}

fn notes(recording: &Recording, guest: &LoadedGuest) -> Vec<String> {
    let header = &recording.header;
    let mut notes = Vec::new();
    match recording.end {
        Some(EndReason::Instance) => {}
        Some(EndReason::Window) => notes.push("the recording ends with its time window".to_owned()),
        Some(EndReason::Size) => notes.push("the recording ends at its limit in bytes".to_owned()),
        Some(EndReason::Overrun) => {
            notes.push("the recording ends where the disk did not keep up".to_owned())
        }
        None => notes.push("the recording was cut off: whoever wrote it was killed".to_owned()),
    }
    if header.secrets_masked {
        notes.push("the content of Secrets is masked in it".to_owned());
    }
    if !header.keys.is_empty() {
        notes.push(format!("it holds only the syncs of {}", header.keys.join(", ")));
    }
    if header.watches != watches(&guest.manifest) {
        notes.push("the two guests do not watch the same".to_owned());
    }
    notes
}

#[cfg(test)]
mod tests {
    use windlass_core::seams::DeltaKind;

    use super::*;
    use crate::record::entry::Change;

    #[test]
    fn questions_to_the_mapper_that_the_end_cut_off_are_not_asked_again() {
        let map = |call| Entry::Map {
            call,
            watch: 0,
            change: Change {
                kind: DeltaKind::Updated,
                initial: false,
                body: Bytes::new(),
                old: None,
            },
        };
        let mapped = |call| Entry::Mapped {
            call,
            keys: Vec::new(),
        };
        let mut segments = Segment::cut([map(1), mapped(1), map(2), map(3)]);
        leave_out_cut_off_maps(&mut segments);
        let told: Vec<_> = segments
            .iter()
            .filter_map(|segment| segment.told.clone())
            .collect();
        assert_eq!(told, [map(1)]);
    }
}
