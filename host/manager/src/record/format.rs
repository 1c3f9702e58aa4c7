//! The file that a recording is kept in.
//!
//! ```text
//! "windlass-recording\n"  version: u16
//! length: u32  checksum: 8 bytes  header: JSON
//! ( packed: u32  unpacked: u32  checksum: 8 bytes  chunk: LZ4 block )*
//! ```
//!
//! Numbers are little-endian, checksums the first bytes of the SHA-256 of what follows
//! them. A chunk holds records: `0`, a length (u32) and a body, which is numbered in order;
//! or `1`, the microseconds since the start and an [`Entry`] in Postcard, whose bodies are
//! those numbers. A chunk is written whenever the guest comes to rest, so a file whose
//! writer was killed lacks little, and everything up to its last whole chunk can be read.

pub(crate) mod writer;

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use windlass_core::CONTRACT_VERSION;
use windlass_core::manifest::{Manifest, View, WatchTarget};
use windlass_core::seams::LogLevel;
use windlass_engine::limits::Limits;

use super::entry::{EndReason, Entry};
use crate::module::Module;

/// The version of the format that is written and read here.
pub const FORMAT_VERSION: u16 = 1;
/// How a recording begins.
const MAGIC: &[u8] = b"windlass-recording\n";
/// More than any chunk holds: one body is bounded by what a guest may pass or a server sends.
const MAX_CHUNK_BYTES: usize = 256 << 20;
const CHECKSUM_BYTES: usize = 8;
const BODY: u8 = 0;
const ENTRY: u8 = 1;

type Checksum = [u8; CHECKSUM_BYTES];

/// What a recording says about itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Header {
    /// The version of Windlass that wrote it.
    pub windlass: String,
    /// The version of the contract.
    pub contract: String,
    /// The module.
    pub module: String,
    /// The guest's name for itself.
    pub guest: String,
    /// The guest's own version.
    pub guest_version: String,
    /// Where the component came from, for people.
    pub origin: String,
    /// SHA-256 of the component.
    pub digest: String,
    /// The module's configuration, JSON.
    pub config: String,
    /// Budgets of the instance.
    pub limits: RecordedLimits,
    /// What the guest watches, by position.
    pub watches: Vec<RecordedWatch>,
    /// When the recording began, in milliseconds since 1970.
    pub started_unix_ms: u64,
    /// The keys whose syncs are in it; empty for all.
    pub keys: Vec<String>,
    /// Whether the content of Secrets was masked.
    pub secrets_masked: bool,
}

/// [`Limits`], as a header has them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names are those of `Limits`")]
pub struct RecordedLimits {
    pub memory_bytes: usize,
    pub cpu_budget: Duration,
    pub result_bytes: usize,
    pub start_timeout: Duration,
    pub log_lines_per_second: u32,
    pub log_level: LogLevel,
}

/// What tells one watch from another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordedWatch {
    /// `group/version/plural`, or what is left out of everything.
    pub target: String,
    /// Label selector.
    pub selector: String,
    /// What the guest sees of each object.
    pub view: String,
}

/// A recording that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// What it says about itself.
    pub header: Header,
    /// Time since the start, and what happened.
    pub entries: Vec<(Duration, Entry)>,
    /// Nothing if its writer was killed.
    pub end: Option<EndReason>,
}

/// Why a file is not a recording.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// It begins with something else.
    #[error("not a recording of Windlass")]
    NotARecording,
    /// Another version.
    #[error(
        "written in version {found} of the format, and this windlass reads version {FORMAT_VERSION}: \
         use the version of windlass that recorded it"
    )]
    Version {
        /// Of the file.
        found: u16,
    },
    /// The end is missing already in the header.
    #[error("cut off within its header: nothing of it can be used")]
    TruncatedHeader,
    /// A checksum is wrong.
    #[error(
        "damaged at byte {offset}, after {entries} readable entries: copy it again from where it was recorded"
    )]
    Corrupted {
        /// Where.
        offset: usize,
        /// What could be read before.
        entries: usize,
    },
}

impl Header {
    pub(crate) fn new(module: &Module, keys: Vec<String>, secrets_masked: bool, started: Duration) -> Self {
        let manifest = &module.guest.manifest;
        Self {
            windlass: env!("CARGO_PKG_VERSION").to_owned(),
            contract: CONTRACT_VERSION.to_owned(),
            module: module.name.to_string(),
            guest: manifest.name.to_string(),
            guest_version: manifest.version.to_string(),
            origin: module.origin.clone(),
            digest: module.guest.digest.clone(),
            config: String::from_utf8_lossy(&module.config).into_owned(),
            limits: RecordedLimits::from(&module.limits),
            watches: watches(manifest),
            started_unix_ms: u64::try_from(started.as_millis()).unwrap_or(u64::MAX),
            keys,
            secrets_masked,
        }
    }
}

impl From<&Limits> for RecordedLimits {
    fn from(limits: &Limits) -> Self {
        Self {
            memory_bytes: limits.memory_bytes,
            cpu_budget: limits.cpu_budget,
            result_bytes: limits.result_bytes,
            start_timeout: limits.start_timeout,
            log_lines_per_second: limits.log_lines_per_second,
            log_level: limits.log_level,
        }
    }
}

impl From<&RecordedLimits> for Limits {
    fn from(limits: &RecordedLimits) -> Self {
        Self {
            memory_bytes: limits.memory_bytes,
            cpu_budget: limits.cpu_budget,
            result_bytes: limits.result_bytes,
            start_timeout: limits.start_timeout,
            log_lines_per_second: limits.log_lines_per_second,
            log_level: limits.log_level,
        }
    }
}

/// What tells the watches of a manifest apart.
pub(crate) fn watches(manifest: &Manifest) -> Vec<RecordedWatch> {
    let watch = |watch: &windlass_core::manifest::WatchSpec| RecordedWatch {
        target: match &watch.target {
            WatchTarget::One(resource) => format!("{}/{}", resource.api_version(), resource.plural),
            WatchTarget::Discovered { except } => format!("everything except [{}]", except.join(", ")),
        },
        selector: watch.label_selector.to_string(),
        view: match &watch.view {
            View::Full => "full".to_owned(),
            View::Metadata => "metadata".to_owned(),
            View::Fields(fields) => fields.join(", "),
        },
    };
    manifest.watches.iter().map(watch).collect()
}

fn checksum(bytes: &[u8]) -> Checksum {
    let digest = Sha256::digest(bytes);
    let mut checksum = [0; CHECKSUM_BYTES];
    for (to, from) in checksum.iter_mut().zip(digest) {
        *to = from;
    }
    checksum
}

impl Recording {
    /// Reads a whole file. One that was cut off is read up to its last whole chunk.
    ///
    /// # Errors
    /// See [`FormatError`].
    pub fn read(file: &[u8]) -> Result<Self, FormatError> {
        let mut input = Input {
            rest: file,
            length: file.len(),
        };
        let header = read_header(&mut input)?;
        let mut content = Content::default();
        loop {
            let offset = input.offset();
            let Some(chunk) = read_chunk(&mut input) else {
                break;
            };
            let read = chunk.and_then(|chunk| content.read_chunk(chunk));
            read.ok_or(FormatError::Corrupted {
                offset,
                entries: content.entries.len(),
            })?;
        }
        let end = match content.entries.last() {
            Some((_, Entry::End(reason))) => Some(*reason),
            _ => None,
        };
        if end.is_some() {
            content.entries.pop();
        }
        Ok(Self {
            header,
            entries: content.entries,
            end,
        })
    }
}

struct Input<'a> {
    rest: &'a [u8],
    length: usize,
}

impl<'a> Input<'a> {
    fn offset(&self) -> usize {
        self.length - self.rest.len()
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn length(&mut self) -> Option<usize> {
        usize::try_from(u32::from_le_bytes(self.array()?)).ok()
    }
}

fn read_header(input: &mut Input<'_>) -> Result<Header, FormatError> {
    if input.take(MAGIC.len()) != Some(MAGIC) {
        return Err(FormatError::NotARecording);
    }
    let version = input.array().map(u16::from_le_bytes);
    match version.ok_or(FormatError::TruncatedHeader)? {
        FORMAT_VERSION => {}
        found => return Err(FormatError::Version { found }),
    }
    let offset = input.offset();
    let length = input.length().ok_or(FormatError::TruncatedHeader)?;
    let expected: Checksum = input.array().ok_or(FormatError::TruncatedHeader)?;
    let header = input.take(length).ok_or(FormatError::TruncatedHeader)?;
    let sound = (checksum(header) == expected)
        .then(|| serde_json::from_slice(header).ok())
        .flatten();
    sound.ok_or(FormatError::Corrupted { offset, entries: 0 })
}

/// The next chunk, unpacked; `None` at the end, or where the file was cut off;
/// `Some(None)` if it is damaged.
fn read_chunk(input: &mut Input<'_>) -> Option<Option<Bytes>> {
    let packed = input.length()?;
    let unpacked = input.length()?;
    let expected: Checksum = input.array()?;
    if packed > MAX_CHUNK_BYTES || unpacked > MAX_CHUNK_BYTES {
        return Some(None);
    }
    let chunk = input.take(packed)?;
    if checksum(chunk) != expected {
        return Some(None);
    }
    Some(lz4_flex::block::decompress(chunk, unpacked).ok().map(Bytes::from))
}

/// What was read so far.
#[derive(Default)]
struct Content {
    bodies: Vec<Bytes>,
    entries: Vec<(Duration, Entry)>,
}

impl Content {
    /// `None` if it makes no sense.
    fn read_chunk(&mut self, chunk: Bytes) -> Option<()> {
        let mut input = Input {
            rest: &chunk,
            length: chunk.len(),
        };
        while !input.rest.is_empty() {
            match input.array()? {
                [BODY] => {
                    let length = input.length()?;
                    let start = input.offset();
                    input.take(length)?;
                    self.bodies.push(chunk.slice(start..start + length));
                }
                [ENTRY] => {
                    let ((micros, entry), rest) =
                        postcard::take_from_bytes::<(u64, Entry<u32>)>(input.rest).ok()?;
                    input.rest = rest;
                    let entry = self.with_bodies(&entry)?;
                    self.entries.push((Duration::from_micros(micros), entry));
                }
                _ => return None,
            }
        }
        Some(())
    }

    fn with_bodies(&self, entry: &Entry<u32>) -> Option<Entry> {
        let mut sound = true;
        let entry = entry.map_bodies(&mut |_, number| {
            let body = usize::try_from(*number)
                .ok()
                .and_then(|number| self.bodies.get(number));
            sound &= body.is_some();
            body.cloned().unwrap_or_default()
        });
        sound.then_some(entry)
    }
}

#[cfg(test)]
mod tests;
