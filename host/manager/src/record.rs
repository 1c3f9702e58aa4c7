//! Record, replay and shadow: everything a guest was told and answered, kept, told again,
//! or told to another version at the same time.
//!
//! A guest meets the host at two seams only,
//! [`Services`](windlass_core::seams::Services) that it calls and [`Guest`] by which it is
//! called. A recorded instance has a wrapper around each that appends to a
//! log, and is told one thing at a time (`turns`), so that the order of the log is all
//! there is to know about how its syncs ran through each other.
//!
//! - [`entry`] is what a log consists of, [`mod@format`] the file it is kept in;
//! - `recorder` makes the log, `mask` keeps the content of Secrets out of files;
//! - `script` answers a guest from a log, [`replay`] runs a guest on one;
//! - [`report`] says what differed, [`print`](mod@print) shows a recording to people;
//! - [`shadow`] replays the log of a serving guest while it is made.
//!
//! Promises: the same component on the same recording makes the same writes, byte for byte
//! and in the same order; a module that nobody records pays nothing. Not recorded is what
//! no guest can see: how long anything took, and what others wrote without its knowledge.

pub mod entry;
pub mod format;
pub(crate) mod log;
pub(crate) mod mask;
pub mod print;
pub(crate) mod recorder;
pub mod replay;
pub mod report;
pub(crate) mod script;
pub mod shadow;
pub(crate) mod turns;

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cap_std::fs::Dir;
use futures::FutureExt;
use futures::future::BoxFuture;
use smol_str::SmolStr;
use windlass_core::key::ObjectKey;
use windlass_core::manifest::WatchTarget;
use windlass_core::outcome::GuestFailure;
use windlass_core::seams::Guest;
use windlass_engine::instance::{Driver, Instance};

use self::format::Header;
use self::format::writer::{FileSink, Selection};
use self::recorder::Session;
use crate::module::Module;

/// An instance as its run calls and drives it: as it is, or recorded.
pub(crate) fn attach(
    session: Option<Session>,
    instance: Instance,
    driver: Driver,
) -> (Box<dyn Guest>, BoxFuture<'static, GuestFailure>) {
    match session {
        Some(session) => session.attach(instance, driver),
        None => (Box::new(instance), driver.boxed()),
    }
}

/// The suffix of recordings.
pub const SUFFIX: &str = "windlass-recording";

/// What is recorded, and where to.
pub struct RecordingOptions {
    /// The folder that files go to.
    pub dir: Dir,
    /// Modules; empty for all.
    pub modules: Vec<SmolStr>,
    /// Keys whose syncs are recorded; empty for all. What the guest is told besides syncs
    /// is always a part. A guest that remembers something from one key to another may act
    /// otherwise in a replay of some of its keys.
    pub keys: Vec<ObjectKey>,
    /// For how long; nothing is until the end.
    pub window: Option<Duration>,
    /// Keep the content of Secrets.
    pub include_secrets: bool,
    /// Most bytes of all files together.
    pub max_bytes: u64,
}

/// Records the instances of modules, each into a file of its own.
pub struct Recorder {
    options: RecordingOptions,
    keys: HashSet<ObjectKey>,
    until: Option<Instant>,
    budget: Arc<AtomicU64>,
    files: AtomicU64,
}

impl Recorder {
    /// A recorder whose window begins now.
    #[must_use]
    pub fn new(options: RecordingOptions) -> Self {
        Self {
            keys: options.keys.iter().cloned().collect(),
            until: options.window.map(|window| Instant::now() + window),
            budget: Arc::new(AtomicU64::new(options.max_bytes)),
            files: AtomicU64::new(0),
            options,
        }
    }

    /// A file for an instance that is about to begin; nothing if it is not to be recorded.
    pub(crate) fn begin(&self, module: &Module) -> Option<FileSink> {
        let chosen = self.options.modules.is_empty() || self.options.modules.contains(&module.name);
        let over = self.until.is_some_and(|until| Instant::now() >= until);
        if !chosen || over || self.budget.load(Ordering::Relaxed) == 0 {
            return None;
        }
        self.create(module)
            .inspect_err(|error| tracing::error!(controller = %module.name, %error, "cannot record"))
            .ok()
    }

    fn create(&self, module: &Module) -> io::Result<FileSink> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let file = self.files.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{}-{file}.{SUFFIX}", module.name, now.as_secs());
        let keys = self.options.keys.iter().map(ToString::to_string).collect();
        let header = Header::new(module, keys, !self.options.include_secrets, now);
        let target = |watch: &windlass_core::manifest::WatchSpec| match &watch.target {
            WatchTarget::One(resource) => Some(resource.clone()),
            // Metadata only.
            WatchTarget::Discovered { .. } => None,
        };
        let watches = || module.guest.manifest.watches.iter().map(target).collect();
        let selection = Selection {
            keys: self.keys.clone(),
            until: self.until,
            masks: (!self.options.include_secrets).then(watches),
        };
        let budget = Arc::clone(&self.budget);
        let file = FileSink::create(&self.options.dir, &name, &header, selection, budget)?;
        tracing::info!(controller = %module.name, file = name, "recording");
        Ok(file)
    }
}
