//! The configuration that a host follows: the file, and the modules that it comes to with
//! its directories of guests.
//!
//! Promises: what is wrong is logged once; the last good configuration goes on.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::watch;
use windlass_manager::config::{HostConfiguration, ModuleEntry};
use windlass_manager::config_file::ConfigFile;
use windlass_manager::folder::Folder;
use windlass_manager::sources::directory::{Directories, Expanded};

/// A configuration file and what was made of it last.
pub(crate) struct Followed {
    file: ConfigFile,
    directories: Directories,
    configuration: HostConfiguration,
    /// Why the file was refused that is there now.
    refused: Option<String>,
    expanded: Expanded,
}

impl Followed {
    /// Reads a configuration file, and its directories of guests.
    pub(crate) async fn open(path: &Path) -> anyhow::Result<Self> {
        let mut followed = Self::read(path).await?;
        followed.expand().await;
        Ok(followed)
    }

    /// Reads a configuration file alone; [`Followed::expand`] reads the rest.
    pub(crate) async fn read(path: &Path) -> anyhow::Result<Self> {
        let file = ConfigFile::open(path)?;
        let configuration = file.read().await?;
        Ok(Self {
            directories: Directories::new(file.folder()),
            file,
            configuration,
            refused: None,
            expanded: Expanded::default(),
        })
    }

    /// What the file says.
    pub(crate) fn configuration(&self) -> &HostConfiguration {
        &self.configuration
    }

    /// How many bytes all caches may hold.
    pub(crate) fn cache_limit(&self) -> Option<usize> {
        self.configuration.caches.limit.map(|limit| limit.0)
    }

    /// Its modules, those of directories among them.
    pub(crate) fn modules(&self) -> &[ModuleEntry] {
        &self.expanded.modules
    }

    /// What does not become modules, and why.
    pub(crate) fn problems(&self) -> impl Iterator<Item = String> {
        self.expanded.problems.iter().map(ToString::to_string)
    }

    /// The folder it is in.
    pub(crate) fn folder(&self) -> Arc<Folder> {
        self.file.folder()
    }

    /// Ticks when there may be something else in that folder or below.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.file.changes()
    }

    /// Reads everything again. Returns whether it comes to something else than before.
    pub(crate) async fn look_again(&mut self) -> bool {
        let changed = match self.file.read().await {
            Ok(configuration) => {
                let changed = configuration != self.configuration;
                self.configuration = configuration;
                self.refused = None;
                changed
            }
            Err(error) => {
                let error = error.to_string();
                if self.refused.as_ref() != Some(&error) {
                    tracing::error!(error, "configuration rejected, the last good one goes on");
                }
                self.refused = Some(error);
                false
            }
        };
        self.expand().await || changed
    }

    /// Makes modules of directories. Returns whether they are others than before.
    pub(crate) async fn expand(&mut self) -> bool {
        let expanded = self.directories.expand(&self.configuration.modules).await;
        for problem in &expanded.problems {
            if !self.expanded.problems.contains(problem) {
                tracing::error!(%problem, "no module of that");
            }
        }
        let changed = expanded.modules != self.expanded.modules;
        self.expanded = expanded;
        changed
    }
}
