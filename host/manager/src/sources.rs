//! Where components come from.
//!
//! A source is fetched, and may tell that it changed. Files are read through a folder's
//! capability, so that neither `..` nor a symbolic link leads out of it.

use std::sync::Arc;

use bytes::Bytes;
use smol_str::SmolStr;
use tokio::sync::watch;

use crate::config::SourceEntry;
use crate::folder::{Folder, FolderError, Stamp};

/// A component as it was fetched.
#[derive(Clone, Debug)]
pub struct Artifact {
    /// The component.
    pub bytes: Bytes,
    /// Where it came from, for people.
    pub origin: String,
}

/// Looks a stock guest up by name; nothing when there is none of that name, an error text
/// when this binary was built without it.
pub type StockGuests = fn(&str) -> Option<Result<&'static [u8], String>>;

/// Why a source could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// There is no such guest.
    #[error("there is no stock guest {name:?}; the stock guests are {known}")]
    UnknownStock {
        /// What was asked for.
        name: SmolStr,
        /// What there is.
        known: String,
    },
    /// The binary lacks it.
    #[error("{0}")]
    MissingStock(String),
    /// A file.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A file source in a configuration that does not come from a folder.
    #[error("file {file:?}: there is no folder to read it from")]
    NoFolder {
        /// What was asked for.
        file: String,
    },
    /// The entry names nothing.
    #[error("needs a source")]
    Nothing,
}

impl SourceError {
    /// Whether trying again may help although nothing here changed.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Folder(_) => true,
            Self::UnknownStock { .. } | Self::MissingStock(_) | Self::NoFolder { .. } | Self::Nothing => {
                false
            }
        }
    }
}

/// Everything that components can be fetched from.
pub struct Sources {
    stock: StockGuests,
    stock_names: Vec<&'static str>,
    folder: Option<Arc<Folder>>,
    refreshed: watch::Sender<u64>,
}

impl Sources {
    /// `folder` is where file sources are read: the configuration file's own.
    #[must_use]
    pub fn new(stock: StockGuests, stock_names: Vec<&'static str>, folder: Option<Arc<Folder>>) -> Self {
        let (refreshed, _) = watch::channel(0);
        Self {
            stock,
            stock_names,
            folder,
            refreshed,
        }
    }

    /// Has every source looked at again.
    pub fn refresh(&self) {
        self.refreshed.send_modify(|count| *count += 1);
    }

    /// Fetches a component.
    ///
    /// # Errors
    /// See [`SourceError`].
    pub async fn fetch(&self, source: &SourceEntry) -> Result<Artifact, SourceError> {
        match (&source.stock, &source.file) {
            (Some(name), _) => self.stock(name),
            (None, Some(file)) => {
                let folder = self
                    .folder
                    .as_ref()
                    .ok_or_else(|| SourceError::NoFolder { file: file.clone() })?;
                Ok(Artifact {
                    bytes: folder.read(file).await?,
                    origin: format!("file {file}"),
                })
            }
            (None, None) => Err(SourceError::Nothing),
        }
    }

    fn stock(&self, name: &SmolStr) -> Result<Artifact, SourceError> {
        let found = (self.stock)(name).ok_or_else(|| SourceError::UnknownStock {
            name: name.clone(),
            known: self.stock_names.join(", "),
        })?;
        Ok(Artifact {
            bytes: Bytes::from_static(found.map_err(SourceError::MissingStock)?),
            origin: format!("stock guest {name}"),
        })
    }

    /// What changes when a source does, as far as that can be told without fetching it.
    #[must_use]
    pub fn stamp(&self, source: &SourceEntry) -> Option<Stamp> {
        let file = source.file.as_ref()?;
        self.folder.as_ref()?.stamp(file)
    }

    /// From now on, when a source may have changed. To be taken before it is fetched.
    #[must_use]
    pub fn changes(&self, source: &SourceEntry) -> Changes {
        let folder = source.file.as_ref().and(self.folder.as_ref());
        let mut changes = Changes {
            refreshed: self.refreshed.subscribe(),
            source: folder.map(|folder| folder.changes()),
        };
        changes.refreshed.mark_unchanged();
        if let Some(source) = &mut changes.source {
            source.mark_unchanged();
        }
        changes
    }
}

/// Tells when a source may have changed.
pub struct Changes {
    refreshed: watch::Receiver<u64>,
    source: Option<watch::Receiver<u64>>,
}

impl Changes {
    /// Waits for the next sign. Cancelling loses nothing.
    pub async fn next(&mut self) {
        let source = async {
            let told = match &mut self.source {
                Some(source) => source.changed().await.is_ok(),
                None => false,
            };
            if !told {
                // Nobody is left to tell anything.
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            Ok(()) = self.refreshed.changed() => {}
            () = source => {}
        }
    }
}
