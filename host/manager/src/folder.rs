//! A folder of files that may change, read through a capability.
//!
//! Changes are told by the operating system, at once, and looked for every few seconds
//! beside that, because network file systems tell nothing. Watched is the folder as a
//! whole: editors and volumes of ConfigMaps replace files and links rather than write
//! them. What is told is "look again", never what happened.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use cap_std::ambient_authority;
use cap_std::fs::{Dir, MetadataExt};
use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind};
use notify::{RecursiveMode, Watcher};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

/// How long after a sign others are waited for, so that a file and its neighbours that
/// are replaced together are read once.
const SETTLE: Duration = Duration::from_millis(5);
/// How often files are looked at without a sign.
const POLL: Duration = Duration::from_secs(5);
/// Largest file that is read.
const MAX_BYTES: u64 = 256 << 20;

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The folder itself.
    #[error("cannot open the folder {}: {source}", path.display())]
    Open {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file in it.
    #[error("cannot read {file} in {}: {source}; files are read from this folder and below", path.display())]
    Read {
        /// The folder.
        path: PathBuf,
        /// Which.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// It is larger than anything that makes sense.
    #[error("{file} in {} has more than {MAX_BYTES} bytes", path.display())]
    TooLarge {
        /// The folder.
        path: PathBuf,
        /// Which.
        file: String,
    },
}

/// A file's identity at one time, much cheaper than its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    inode: u64,
    length: u64,
    modified: SystemTime,
}

/// An open folder.
pub struct Folder {
    path: PathBuf,
    dir: Dir,
    changed: watch::Sender<u64>,
    /// Since somebody asked for changes.
    watching: OnceLock<Watching>,
}

/// What tells of changes, for as long as it lives.
struct Watching {
    /// Nothing if the operating system makes no reports.
    _reports: Option<notify::RecommendedWatcher>,
    _telling: AbortOnDropHandle<()>,
}

impl Folder {
    /// Opens a folder.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path) -> Result<Self, FolderError> {
        let dir = Dir::open_ambient_dir(path, ambient_authority()).map_err(|source| FolderError::Open {
            path: path.to_owned(),
            source,
        })?;
        let (changed, _) = watch::channel(0);
        Ok(Self {
            path: path.to_owned(),
            dir,
            changed,
            watching: OnceLock::new(),
        })
    }

    /// Reads a file in the folder or below.
    ///
    /// # Errors
    /// When it is not there, not readable, outside, or far too large.
    pub async fn read(&self, file: &str) -> Result<Bytes, FolderError> {
        let (dir, name) = (self.dir.try_clone(), file.to_owned());
        let reading = tokio::task::spawn_blocking(move || read_bounded(&dir?, &name));
        let read = reading.await.unwrap_or_else(|error| Err(io::Error::other(error)));
        let (path, file) = (self.path.clone(), file.to_owned());
        match read {
            Ok(Some(bytes)) => Ok(bytes),
            Ok(None) => Err(FolderError::TooLarge { path, file }),
            Err(source) => Err(FolderError::Read { path, file, source }),
        }
    }

    /// What changes when a file does; nothing while it cannot be looked at.
    #[must_use]
    pub fn stamp(&self, file: &str) -> Option<Stamp> {
        let metadata = self.dir.metadata(file).ok()?;
        Some(Stamp {
            inode: metadata.ino(),
            length: metadata.len(),
            modified: metadata.modified().ok()?.into_std(),
        })
    }

    /// The names of the files in a folder in it or below that end in `extension`, sorted.
    ///
    /// # Errors
    /// When that folder cannot be listed.
    pub async fn list(&self, folder: &str, extension: &'static str) -> Result<Vec<String>, FolderError> {
        let (dir, name) = (self.dir.try_clone(), folder.to_owned());
        let listing = tokio::task::spawn_blocking(move || list(&dir?.open_dir(name)?, extension));
        let listed = listing.await.unwrap_or_else(|error| Err(io::Error::other(error)));
        listed.map_err(|source| FolderError::Read {
            path: self.path.clone(),
            file: folder.to_owned(),
            source,
        })
    }

    /// Ticks when files in it may have changed.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.watching.get_or_init(|| self.watch());
        self.changed.subscribe()
    }

    /// Has the operating system report changes.
    fn watch(&self) -> Watching {
        let (signs, signed) = watch::channel(());
        let reports = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| matters(event.kind)) {
                signs.send_replace(());
            }
        })
        .and_then(|mut watcher| {
            watcher.watch(&self.path, RecursiveMode::Recursive)?;
            Ok(watcher)
        });
        if let Err(error) = &reports {
            tracing::warn!(folder = %self.path.display(), %error, every = ?POLL, "changes of files are not reported, looking for them instead");
        }
        Watching {
            _reports: reports.ok(),
            _telling: AbortOnDropHandle::new(tokio::spawn(tell(signed, self.changed.clone()))),
        }
    }
}

/// Passes signs on once they have settled, and makes one up every [`POLL`].
async fn tell(mut signed: watch::Receiver<()>, changed: watch::Sender<u64>) {
    let mut reported = true;
    loop {
        let sign = async {
            if !reported || signed.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let told = tokio::time::timeout(POLL, sign).await.is_ok();
        reported = signed.has_changed().is_ok();
        if told {
            tokio::time::sleep(SETTLE).await;
            signed.mark_unchanged();
        }
        changed.send_modify(|count| *count += 1);
    }
}

/// Whether a report means that a file may have another content. Writing one does not
/// until it is closed.
fn matters(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) | EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Metadata(_)) => false,
        EventKind::Any
        | EventKind::Create(_)
        | EventKind::Modify(_)
        | EventKind::Remove(_)
        | EventKind::Other => true,
    }
}

fn list(dir: &Dir, extension: &str) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in dir.entries()? {
        let name = entry?.file_name();
        names.extend(
            name.to_str()
                .filter(|name| name.ends_with(extension))
                .map(str::to_owned),
        );
    }
    names.sort();
    Ok(names)
}

/// Nothing when it is too large.
fn read_bounded(dir: &Dir, file: &str) -> io::Result<Option<Bytes>> {
    use std::io::Read;
    let opened = dir.open(file)?;
    let length = opened.metadata()?.len();
    if length > MAX_BYTES {
        return Ok(None);
    }
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    opened.take(MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(Some(bytes.into()))
}
