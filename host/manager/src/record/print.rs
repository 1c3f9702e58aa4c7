//! Shows a recording to people, one line an entry.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use super::entry::{Batch, Change, Entry, Request};
use super::report::write_line;

/// Longer texts are cut.
const MAX_TEXT: usize = 120;

/// An entry and when it happened.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a>(pub Duration, pub &'a Entry);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>12.6}  ", self.0.as_secs_f64())?;
        let (side, text) = described(self.1);
        write!(f, "{side:<8} {text}")
    }
}

/// Who acts, and how.
fn described(entry: &Entry) -> (&'static str, String) {
    match entry {
        Entry::Start => ("told", "start".to_owned()),
        Entry::Sync { sync, key } => ("told", format!("sync {sync} of {key}")),
        Entry::Observe(batches) => ("told", observed(batches)),
        Entry::Map { call, watch, change } => {
            ("told", format!("map {call}, watch {watch}: {}", changed(change)))
        }
        Entry::Answer { call, answer } => (
            "told",
            match answer {
                Ok(body) => format!("answer to call {call}: {}", text(body)),
                Err(error) => format!("answer to call {call}: {} {error}", error.code),
            },
        ),
        Entry::Request { call, sync, request } => ("asked", requested(*call, *sync, request)),
        Entry::Read { question, answer } => (
            "read",
            match answer {
                Ok(bodies) if bodies.len() == 1 => {
                    format!("{question:?}: {}", bodies.first().map_or(String::new(), text))
                }
                Ok(bodies) => format!("{question:?}: {} objects", bodies.len()),
                Err(error) => format!("{question:?}: {error}"),
            },
        ),
        Entry::Resolve {
            group,
            version,
            kind,
            answer,
        } => {
            let answer = answer
                .as_ref()
                .map_or("nothing".to_owned(), |info| info.resource.to_string());
            ("read", format!("discovery of {group}/{version} {kind}: {answer}"))
        }
        Entry::Now(time) => ("read", format!("clock: {:.9} s since 1970", time.as_secs_f64())),
        Entry::Monotonic(nanos) => ("read", format!("monotonic clock: {nanos} ns")),
        Entry::Random(number) => ("read", format!("random number: {number}")),
        Entry::Logs(level, answer) => ("read", format!("whether the log keeps {level:?}: {answer}")),
        Entry::Event(event) => (
            "did",
            format!(
                "event {} about {}/{}: {}",
                event.reason,
                event.regarding.namespace,
                event.regarding.name,
                cut(&event.message)
            ),
        ),
        Entry::Queue(items) => (
            "did",
            format!(
                "queued {}",
                joined(
                    items
                        .iter()
                        .map(|item| format!("{} after {:?}", item.key, item.after))
                )
            ),
        ),
        Entry::Started => ("returned", "from start".to_owned()),
        Entry::Synced { sync, result } => ("returned", format!("from sync {sync}: {result:?}")),
        Entry::Mapped { call, keys } => (
            "returned",
            format!(
                "from map {call}: {}",
                joined(keys.iter().map(ToString::to_string))
            ),
        ),
        Entry::Failed { message, .. } => ("failed", message.clone()),
        Entry::End(reason) => ("end", format!("{reason:?}")),
    }
}

fn requested(call: u64, sync: u64, request: &Request) -> String {
    let body = request
        .verb
        .body()
        .map_or(String::new(), |body| format!(": {}", text(body)));
    format!("call {call} of sync {sync}: {}{body}", write_line(request))
}

fn observed(batches: &[Batch]) -> String {
    let batch = |batch: &Batch| {
        let changes = joined(batch.changes.iter().map(changed));
        format!("watch {} ({}): {changes}", batch.watch, batch.source.resource)
    };
    format!("observe {}", joined(batches.iter().map(batch)))
}

fn changed(change: &Change) -> String {
    let initial = if change.initial { " (initial)" } else { "" };
    format!("{:?}{initial} {}", change.kind, text(&change.body))
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    cut(&parts.collect::<Vec<_>>().join(", "))
}

fn text(body: &Bytes) -> String {
    cut(&String::from_utf8_lossy(body))
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_TEXT) {
        Some((end, _)) => format!("{}… ({} bytes)", text.get(..end).unwrap_or(text), text.len()),
        None => text.to_owned(),
    }
}
