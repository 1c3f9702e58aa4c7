//! A `HostConfiguration` in a file, and what becomes of its changes.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::watch;

use crate::config::{ConfigError, HostConfiguration};
use crate::folder::{Folder, FolderError};

/// Why a configuration file was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigFileError {
    /// It cannot be read.
    #[error("cannot read the configuration: {0}")]
    Read(#[from] FolderError),
    /// It is not text.
    #[error("configuration {}: not UTF-8", path.display())]
    NotText {
        /// Which.
        path: PathBuf,
    },
    /// It is no path of a file.
    #[error("configuration {}: name a file", path.display())]
    NoFile {
        /// What was given.
        path: PathBuf,
    },
    /// It says something wrong.
    #[error("configuration {}: {problem}", path.display())]
    Config {
        /// Which.
        path: PathBuf,
        /// What. No source of the error, because its text is in the message already.
        problem: ConfigError,
    },
}

/// A configuration file with the folder that it and its guests are read from.
pub struct ConfigFile {
    path: PathBuf,
    name: String,
    folder: Arc<Folder>,
}

impl ConfigFile {
    /// Opens the folder that a configuration file is in.
    ///
    /// # Errors
    /// When the path names no file, or the folder cannot be opened.
    pub fn open(path: &Path) -> Result<Self, ConfigFileError> {
        let no_file = || ConfigFileError::NoFile {
            path: path.to_owned(),
        };
        let name = path.file_name().and_then(OsStr::to_str).ok_or_else(no_file)?;
        let parent = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        Ok(Self {
            path: path.to_owned(),
            name: name.to_owned(),
            folder: Arc::new(Folder::open(parent.unwrap_or(Path::new(".")))?),
        })
    }

    /// The folder it is in.
    #[must_use]
    pub fn folder(&self) -> Arc<Folder> {
        Arc::clone(&self.folder)
    }

    /// Reads it.
    ///
    /// # Errors
    /// See [`ConfigFileError`].
    pub async fn read(&self) -> Result<HostConfiguration, ConfigFileError> {
        let bytes = self.folder.read(&self.name).await?;
        let text = std::str::from_utf8(&bytes).map_err(|_| ConfigFileError::NotText {
            path: self.path.clone(),
        })?;
        HostConfiguration::parse(text).map_err(|problem| ConfigFileError::Config {
            path: self.path.clone(),
            problem,
        })
    }

    /// Ticks when it may have changed.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.folder.changes()
    }
}
