//! What was pulled, on disk: content by digest, what tags pointed to last, and the
//! signatures that were found.
//!
//! Promises: content is hashed again whenever it is read, and damaged content is removed
//! and not returned; files appear whole or not at all; the files together stay within a
//! bound, the ones unused for longest going first. A cache that cannot be read or written
//! costs a download and never fails a pull. Several processes may share a folder.
//!
//! The folder: `blobs/sha256/<hex>`, `tags/<hex>` and `signatures/<hex>` (named by the
//! hash of the reference and by the digest of the manifest), and `new/` for files being
//! written.

use std::io::{self, Read as _, Write as _};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use cap_std::fs::{Dir, OpenOptions};
use parking_lot::Mutex;

use crate::digest::Digest;
use crate::reference::Repository;

const BLOBS: &str = "blobs/sha256";
const TAGS: &str = "tags";
const SIGNATURES: &str = "signatures";
const NEW: &str = "new";

/// A cache in a folder.
#[derive(Clone)]
pub struct Cache {
    shared: Arc<Shared>,
}

struct Shared {
    folder: Dir,
    limit: u64,
    /// One eviction at a time.
    evicting: Mutex<()>,
}

/// A file that eviction may remove.
struct Entry {
    path: String,
    size: u64,
    used: SystemTime,
}

impl Cache {
    /// Opens the cache in a folder that holds nothing else. Its files will take up to
    /// `limit` bytes.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub fn open(folder: Dir, limit: u64) -> io::Result<Self> {
        for name in [BLOBS, TAGS, SIGNATURES, NEW] {
            folder.create_dir_all(name)?;
        }
        Ok(Self {
            shared: Arc::new(Shared {
                folder,
                limit,
                evicting: Mutex::new(()),
            }),
        })
    }

    /// Content, if it is there and undamaged.
    pub(crate) async fn blob(&self, digest: Digest) -> Option<Bytes> {
        self.run(move |shared| {
            let path = format!("{BLOBS}/{}", digest.hex());
            let content = shared.read(&path)?;
            if Digest::of(&content) == digest {
                return Some(content.into());
            }
            tracing::warn!(%digest, "damaged file in the artifact cache is removed");
            let _ = shared.folder.remove_file(&path);
            None
        })
        .await
    }

    /// Keeps content.
    pub(crate) async fn keep_blob(&self, digest: Digest, content: Bytes) {
        self.keep(format!("{BLOBS}/{}", digest.hex()), content).await;
    }

    /// What a tag pointed to when it was last resolved.
    pub(crate) async fn tag(&self, repository: &Repository, tag: &str) -> Option<Digest> {
        let path = tag_path(repository, tag);
        let content = self.run(move |shared| shared.read(&path)).await?;
        std::str::from_utf8(&content).ok()?.parse().ok()
    }

    /// Remembers what a tag points to.
    pub(crate) async fn keep_tag(&self, repository: &Repository, tag: &str, digest: Digest) {
        self.keep(tag_path(repository, tag), digest.to_string().into())
            .await;
    }

    /// The signatures that were found for a manifest. They prove themselves, so they are
    /// not hashed.
    pub(crate) async fn signatures(&self, manifest: Digest) -> Option<Bytes> {
        let path = format!("{SIGNATURES}/{}", manifest.hex());
        self.run(move |shared| shared.read(&path).map(Bytes::from)).await
    }

    /// Remembers the signatures of a manifest.
    pub(crate) async fn keep_signatures(&self, manifest: Digest, content: Bytes) {
        self.keep(format!("{SIGNATURES}/{}", manifest.hex()), content)
            .await;
    }

    async fn keep(&self, path: String, content: Bytes) {
        self.run(move |shared| {
            let is_kept = || shared.read(&path).is_some_and(|kept| kept == content);
            if content.len() as u64 > shared.limit || is_kept() {
                return;
            }
            let kept = shared.write(&path, &content).and_then(|()| shared.evict(&path));
            if let Err(error) = kept {
                tracing::warn!(%error, "the artifact cache cannot be written");
            }
        })
        .await;
    }

    /// Runs file operations where they may block.
    async fn run<T: Default + Send + 'static>(&self, work: impl FnOnce(&Shared) -> T + Send + 'static) -> T {
        let shared = Arc::clone(&self.shared);
        let done = tokio::task::spawn_blocking(move || work(&shared)).await;
        // The task fails only if the runtime is shutting down.
        done.unwrap_or_default()
    }
}

impl Shared {
    /// Reads a file and marks it as used.
    fn read(&self, path: &str) -> Option<Vec<u8>> {
        let mut file = self.folder.open(path).ok()?.into_std();
        let mut content = Vec::new();
        file.read_to_end(&mut content).ok()?;
        // Without the mark it is only evicted earlier.
        let _ = file.set_modified(SystemTime::now());
        Some(content)
    }

    fn write(&self, path: &str, content: &[u8]) -> io::Result<()> {
        let new = format!("{NEW}/{:032x}", rand::random::<u128>());
        let mut file = self
            .folder
            .open_with(&new, OpenOptions::new().write(true).create_new(true))?;
        let written = file
            .write_all(content)
            .and_then(|()| file.sync_all())
            .and_then(|()| self.folder.rename(&new, &self.folder, path));
        if written.is_err() {
            let _ = self.folder.remove_file(&new);
        }
        written
    }

    /// Removes what was not used for longest until the rest is within the limit. The file
    /// just written stays.
    fn evict(&self, keep: &str) -> io::Result<()> {
        let _guard = self.evicting.lock();
        let mut entries = Vec::new();
        for folder in [BLOBS, TAGS, SIGNATURES, NEW] {
            self.collect(folder, &mut entries)?;
        }
        let mut total: u64 = entries.iter().map(|entry| entry.size).sum();
        entries.sort_by_key(|entry| entry.used);
        for entry in entries.iter().filter(|entry| entry.path != keep) {
            if total <= self.limit {
                break;
            }
            // Another process may have been first.
            let _ = self.folder.remove_file(&entry.path);
            total = total.saturating_sub(entry.size);
        }
        Ok(())
    }

    fn collect(&self, folder: &str, entries: &mut Vec<Entry>) -> io::Result<()> {
        for entry in self.folder.read_dir(folder)? {
            let entry = entry?;
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            entries.push(Entry {
                path: format!("{folder}/{name}"),
                size: metadata.len(),
                used: metadata
                    .modified()
                    .map_or(SystemTime::UNIX_EPOCH, |time| time.into_std()),
            });
        }
        Ok(())
    }
}

fn tag_path(repository: &Repository, tag: &str) -> String {
    format!(
        "{TAGS}/{}",
        Digest::of(format!("{repository}:{tag}").as_bytes()).hex()
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use cap_std::ambient_authority;

    use super::*;

    fn cache(folder: &tempfile::TempDir, limit: u64) -> Cache {
        Cache::open(
            Dir::open_ambient_dir(folder.path(), ambient_authority()).unwrap(),
            limit,
        )
        .unwrap()
    }

    async fn keep(cache: &Cache, content: &'static [u8]) -> Digest {
        let digest = Digest::of(content);
        cache.keep_blob(digest, Bytes::from_static(content)).await;
        digest
    }

    fn set_used(folder: &tempfile::TempDir, digest: Digest, seconds: u64) {
        let file = std::fs::File::options()
            .write(true)
            .open(folder.path().join(BLOBS).join(digest.hex()))
            .unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
            .unwrap();
    }

    #[tokio::test]
    async fn content_outlives_the_process() {
        let folder = tempfile::tempdir().unwrap();
        let digest = keep(&cache(&folder, 100), b"guest").await;
        assert_eq!(cache(&folder, 100).blob(digest).await.unwrap(), "guest");
        assert_eq!(std::fs::read_dir(folder.path().join(NEW)).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn damaged_content_is_removed_and_not_returned() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(&folder, 100);
        let digest = keep(&cache, b"guest").await;
        let file = folder.path().join(BLOBS).join(digest.hex());
        std::fs::write(&file, b"gue").unwrap();
        assert_eq!(cache.blob(digest).await, None);
        assert!(!file.exists());
    }

    #[tokio::test]
    async fn what_was_unused_for_longest_goes_first() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(&folder, 10);
        let (old, older) = (keep(&cache, b"aaaa").await, keep(&cache, b"bbbb").await);
        set_used(&folder, old, 2);
        set_used(&folder, older, 1);
        let new = keep(&cache, b"cccc").await;
        assert!(cache.blob(older).await.is_none());
        assert!(cache.blob(old).await.is_some() && cache.blob(new).await.is_some());
    }

    #[tokio::test]
    async fn reading_is_using() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(&folder, 10);
        let (read, unread) = (keep(&cache, b"aaaa").await, keep(&cache, b"bbbb").await);
        set_used(&folder, read, 1);
        set_used(&folder, unread, 2);
        cache.blob(read).await.unwrap();
        keep(&cache, b"cccc").await;
        assert!(cache.blob(read).await.is_some() && cache.blob(unread).await.is_none());
    }

    #[tokio::test]
    async fn content_beyond_the_limit_is_not_kept_and_removes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(&folder, 10);
        let kept = keep(&cache, b"aaaa").await;
        let large = keep(&cache, b"larger than the cache").await;
        assert!(cache.blob(large).await.is_none() && cache.blob(kept).await.is_some());
    }

    #[tokio::test]
    async fn a_tag_is_remembered_for_its_repository_alone() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(&folder, 1000);
        let repository = |text: &str| {
            text.parse::<crate::reference::Reference>()
                .unwrap()
                .repository()
                .clone()
        };
        let digest = Digest::of(b"x");
        cache.keep_tag(&repository("a.io/x"), "v1", digest).await;
        assert_eq!(cache.tag(&repository("a.io/x"), "v1").await, Some(digest));
        assert_eq!(cache.tag(&repository("a.io/x"), "v2").await, None);
        assert_eq!(cache.tag(&repository("b.io/x"), "v1").await, None);
    }
}
