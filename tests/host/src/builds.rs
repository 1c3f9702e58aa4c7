//! A folder of guests whose files change as a build or a rollout of theirs would change them.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::process;

/// What a guest's file is replaced by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Build {
    /// The one that `make guests` built.
    Original,
    /// One that behaves the same and has another digest; so many of them.
    New(u8),
    /// The first half of one.
    Truncated,
    /// A component that is no controller.
    NoHandler,
}

impl Build {
    /// Good ones and broken ones, as they might follow each other.
    pub const SUCCESSION: [Self; 5] = [
        Self::New(1),
        Self::Truncated,
        Self::New(2),
        Self::Original,
        Self::NoHandler,
    ];

    /// Whether a host can run it.
    #[must_use]
    pub fn is_good(self) -> bool {
        matches!(self, Self::Original | Self::New(_))
    }
}

/// A folder of guests.
#[derive(Debug)]
pub struct Builds {
    folder: TempDir,
    originals: PathBuf,
}

impl Builds {
    /// A folder with the original builds of these guests.
    pub fn of(names: &[&str]) -> Result<Self> {
        let builds = Self {
            folder: tempfile::tempdir()?,
            originals: process::repository().join("target/guests"),
        };
        for name in names {
            builds.replace(name, Build::Original)?;
        }
        Ok(builds)
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Puts a build of a guest in another file, in one step.
    pub fn put(&self, file: &str, name: &str, build: Build) -> Result<()> {
        let path = self.folder.path().join(file);
        let folder = path.parent().context("a file is in a folder")?;
        std::fs::create_dir_all(folder)?;
        let mut new = tempfile::NamedTempFile::new_in(folder)?;
        new.write_all(&self.bytes(name, build)?)?;
        new.persist(path)?;
        Ok(())
    }

    /// Replaces a guest's file in one step, as `cp` and `mv` would.
    pub fn replace(&self, name: &str, build: Build) -> Result<()> {
        self.put(&format!("{name}.wasm"), name, build)
    }

    /// The content of such a file.
    pub fn bytes(&self, name: &str, build: Build) -> Result<Vec<u8>> {
        let name = if build == Build::NoHandler {
            "windlass-fixture-no-handler"
        } else {
            name
        };
        let file = self.originals.join(format!("{name}.wasm"));
        let mut bytes =
            std::fs::read(&file).with_context(|| format!("{}: run `make guests` first", file.display()))?;
        match build {
            Build::Original | Build::NoHandler => {}
            Build::Truncated => bytes.truncate(bytes.len() / 2),
            Build::New(number) => {
                // A custom section, which changes nothing but the digest: id, size, name, content.
                bytes.extend_from_slice(&[0, 7, 5]);
                bytes.extend_from_slice(b"build");
                bytes.push(number);
            }
        }
        Ok(bytes)
    }
}
