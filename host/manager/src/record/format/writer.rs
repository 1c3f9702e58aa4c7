//! Writes a recording while its guest runs.
//!
//! The guest's task only encodes; a thread of its own packs and writes, so that a slow
//! disk slows no guest. The file has the suffix `.partial` until it is complete.

use std::collections::{HashMap, HashSet};
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use cap_std::fs::{Dir, File, OpenOptions, OpenOptionsExt};
use sha2::{Digest, Sha256};
use windlass_core::key::{ObjectKey, Resource};
use windlass_core::seams::SyncId;

use super::{BODY, ENTRY, FORMAT_VERSION, Header, MAGIC, checksum};
use crate::record::entry::{CallId, EndReason, Entry, Origin};
use crate::record::log::Sink;
use crate::record::mask;

/// A chunk is handed to the thread at this size, or when the guest comes to rest.
const CHUNK_BYTES: usize = 256 << 10;
/// Chunks that may wait for the disk.
const MAX_WAITING: usize = 128;
/// Recordings are for their owner alone.
const OWNER_ONLY: u32 = 0o600;

/// What becomes part of a recording.
pub(crate) struct Selection {
    /// The keys whose syncs do; empty for all.
    pub(crate) keys: HashSet<ObjectKey>,
    /// When it is over.
    pub(crate) until: Option<Instant>,
    /// Resources of the watches whose bodies are masked, by position; empty to mask nothing.
    pub(crate) masks: Option<Vec<Option<Resource>>>,
}

/// Turns entries into chunks.
pub(crate) struct Encoder {
    started: Instant,
    selection: Selection,
    /// Bodies that have a number, by digest.
    bodies: HashMap<[u8; 16], u32>,
    secret_calls: HashSet<CallId>,
    /// Syncs, and calls, that are left out.
    unselected_syncs: HashSet<SyncId>,
    unselected_calls: HashSet<CallId>,
    /// Whether what the guest does now is a part.
    selected: bool,
    chunk: Vec<u8>,
}

impl Encoder {
    pub(crate) fn new(selection: Selection) -> Self {
        Self {
            started: Instant::now(),
            selection,
            bodies: HashMap::new(),
            secret_calls: HashSet::new(),
            unselected_syncs: HashSet::new(),
            unselected_calls: HashSet::new(),
            selected: true,
            chunk: Vec::new(),
        }
    }

    pub(crate) fn append(&mut self, entry: &Entry) {
        if self.selects(entry) {
            let at = self.started.elapsed();
            self.encode(at, entry);
        }
    }

    /// What was appended since the last call.
    pub(crate) fn take_chunk(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.chunk)
    }

    /// Whether an entry is part of the recording. What a guest does belongs to the sync
    /// that the latest thing it was told belongs to.
    fn selects(&mut self, entry: &Entry) -> bool {
        if self.selection.keys.is_empty() {
            return true;
        }
        match entry {
            Entry::Sync { sync, key } => {
                self.selected = self.selection.keys.contains(key);
                if !self.selected {
                    self.unselected_syncs.insert(*sync);
                }
            }
            Entry::Answer { call, .. } => self.selected = !self.unselected_calls.remove(call),
            Entry::Request { call, sync, .. } => {
                let selected = !self.unselected_syncs.contains(sync);
                if !selected {
                    self.unselected_calls.insert(*call);
                }
                return selected;
            }
            Entry::Synced { sync, .. } => return !self.unselected_syncs.remove(sync),
            Entry::Started | Entry::Mapped { .. } | Entry::Failed { .. } | Entry::End(_) => return true,
            told if told.is_told() => self.selected = true,
            _ => {}
        }
        self.selected
    }

    fn encode(&mut self, at: Duration, entry: &Entry) {
        let Self {
            selection,
            bodies,
            secret_calls,
            chunk,
            ..
        } = self;
        let masks = selection.masks.as_ref();
        if let Entry::Request { call, request, .. } = entry {
            if masks.is_some() && mask::is_secret(&request.resource) {
                secret_calls.insert(*call);
            }
        }
        let entry = entry.map_bodies(&mut |origin, body| {
            let secret = masks.is_some_and(|watches| match origin {
                Origin::Watch(watch) => watches
                    .get(watch as usize)
                    .and_then(Option::as_ref)
                    .is_some_and(mask::is_secret),
                Origin::Resource(resource) => mask::is_secret(resource),
                Origin::Call(call) => secret_calls.remove(&call),
            });
            let masked: Bytes;
            let body: &[u8] = if secret {
                masked = mask::mask(body);
                &masked
            } else {
                body
            };
            number(bodies, chunk, body)
        });
        chunk.push(ENTRY);
        let micros = u64::try_from(at.as_micros()).unwrap_or(u64::MAX);
        let encoded = postcard::to_extend(&(micros, entry), std::mem::take(chunk));
        // Writing to memory cannot fail, and no type within refuses to be serialised.
        *chunk = encoded.expect("entries can be serialised");
    }
}

/// The number of a body, which is written first if it is new.
fn number(bodies: &mut HashMap<[u8; 16], u32>, chunk: &mut Vec<u8>, body: &[u8]) -> u32 {
    let next = u32::try_from(bodies.len()).expect("fewer bodies than a file has bytes");
    let mut digest = [0; 16];
    for (to, from) in digest.iter_mut().zip(Sha256::digest(body)) {
        *to = from;
    }
    *bodies.entry(digest).or_insert_with(|| {
        chunk.push(BODY);
        let length = u32::try_from(body.len()).expect("a body fits a guest's memory");
        chunk.extend_from_slice(&length.to_le_bytes());
        chunk.extend_from_slice(body);
        next
    })
}

/// Everything before the first chunk.
pub(crate) fn encode_header(header: &Header) -> Vec<u8> {
    let header = serde_json::to_vec(header).expect("a header can be serialised");
    let length = u32::try_from(header.len()).expect("a header is small");
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&checksum(&header));
    bytes.extend_from_slice(&header);
    bytes
}

/// A chunk as it is in the file.
pub(crate) fn pack(chunk: &[u8]) -> Vec<u8> {
    let packed = lz4_flex::block::compress(chunk);
    let length = |bytes: &[u8]| {
        u32::try_from(bytes.len())
            .expect("a chunk is small")
            .to_le_bytes()
    };
    let mut bytes = length(&packed).to_vec();
    bytes.extend_from_slice(&length(chunk));
    bytes.extend_from_slice(&checksum(&packed));
    bytes.extend_from_slice(&packed);
    bytes
}

/// A file that is being written.
pub(crate) struct FileSink {
    encoder: Encoder,
    /// `None` once the recording is over.
    chunks: Option<SyncSender<Vec<u8>>>,
    overrun: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    name: String,
}

impl FileSink {
    /// Begins a file. `budget` is how many bytes may still be written, by all recordings
    /// together.
    pub(crate) fn create(
        dir: &Dir,
        name: &str,
        header: &Header,
        selection: Selection,
        budget: Arc<AtomicU64>,
    ) -> io::Result<Self> {
        let dir = dir.try_clone()?;
        let partial = format!("{name}.partial");
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(OWNER_ONLY);
        let mut file = dir.open_with(&partial, &options)?;
        file.write_all(&encode_header(header))?;
        let (chunks, received) = sync_channel(MAX_WAITING);
        let overrun = Arc::new(AtomicBool::new(false));
        let (finished, overran) = (name.to_owned(), Arc::clone(&overrun));
        let thread = std::thread::Builder::new()
            .name("windlass-record".to_owned())
            .spawn(move || {
                let written = write(&mut file, &received, &budget)
                    .and_then(|()| match overran.load(Ordering::Acquire) {
                        true => file.write_all(&last_word(EndReason::Overrun)),
                        false => Ok(()),
                    })
                    .and_then(|()| file.sync_all())
                    .and_then(|()| dir.rename(&partial, &dir, &finished));
                match written {
                    Ok(()) => tracing::info!(file = finished, "recording complete"),
                    Err(error) => tracing::error!(file = partial, %error, "recording failed"),
                }
            })?;
        Ok(Self {
            encoder: Encoder::new(selection),
            chunks: Some(chunks),
            thread: Some(thread),
            overrun,
            name: name.to_owned(),
        })
    }

    fn send(&mut self) {
        let chunk = self.encoder.take_chunk();
        let Some(chunks) = self.chunks.as_ref().filter(|_| !chunk.is_empty()) else {
            return;
        };
        match chunks.try_send(chunk) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                tracing::error!(file = self.name, "the disk does not keep up, recording ends");
                self.overrun.store(true, Ordering::Release);
                self.chunks = None;
            }
            // The thread has said why.
            Err(TrySendError::Disconnected(_)) => self.chunks = None,
        }
    }

    fn end(&mut self, reason: EndReason) {
        if self.chunks.is_some() {
            self.encoder.append(&Entry::End(reason));
            self.send();
            self.chunks = None;
        }
    }
}

impl Sink for FileSink {
    fn append(&mut self, entry: &Entry) {
        if self.chunks.is_none() {
            return;
        }
        if self
            .encoder
            .selection
            .until
            .is_some_and(|until| Instant::now() >= until)
        {
            return self.end(EndReason::Window);
        }
        self.encoder.append(entry);
        if self.encoder.chunk.len() >= CHUNK_BYTES {
            self.send();
        }
    }

    fn at_rest(&mut self) {
        if self.chunks.is_some() {
            self.send();
        }
    }
}

impl Drop for FileSink {
    /// Waits for what is left to be written, which is little.
    fn drop(&mut self) {
        self.end(EndReason::Instance);
        if let Some(thread) = self.thread.take() {
            // A panic of it has been printed.
            let _ = thread.join();
        }
    }
}

/// The end of a recording that was given no time to end itself.
fn last_word(reason: EndReason) -> Vec<u8> {
    let mut encoder = Encoder::new(Selection {
        keys: HashSet::new(),
        until: None,
        masks: None,
    });
    encoder.append(&Entry::End(reason));
    pack(&encoder.take_chunk())
}

/// Writes chunks until there are no more, or no more room.
fn write(file: &mut File, chunks: &Receiver<Vec<u8>>, budget: &AtomicU64) -> io::Result<()> {
    let mut received = 0;
    while let Ok(chunk) = chunks.recv() {
        received += 1;
        let packed = pack(&chunk);
        let length = u64::try_from(packed.len()).unwrap_or(u64::MAX);
        let left = budget.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            left.checked_sub(length)
        });
        if left.is_err() {
            tracing::warn!("the limit on recordings is reached, recording ends");
            budget.store(0, Ordering::Relaxed);
            return file.write_all(&last_word(EndReason::Size));
        }
        file.write_all(&packed)?;
    }
    tracing::debug!(chunks = received, "recording written");
    Ok(())
}
