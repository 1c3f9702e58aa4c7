//! Where components come from.
//!
//! A source is fetched, can be looked at without fetching it, and tells when it may have
//! changed. Files are read through a folder's capability, so that neither `..` nor a
//! symbolic link leads out of it; ConfigMaps and pull secrets are read with the host's own
//! identity, and nothing of them but the component reaches a guest or a log line.

mod config_map;
mod credentials;
pub mod directory;
mod oci;
mod policy;

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use bytes::Bytes;
use smol_str::SmolStr;
use tokio::sync::watch;
use tokio::time::Instant;
use windlass_cluster::client::ApiClient;
use windlass_cluster::object_watch::Observed;
use windlass_registry::cache::Cache;
use windlass_registry::digest::Digest;

pub use self::config_map::ConfigMapError;
use self::config_map::{ConfigMaps, Followed};
use self::credentials::Registries;
pub use self::oci::OciError;
pub use self::policy::PolicyError;
use crate::config::host::RegistryEntry;
use crate::config::signature::SignaturesEntry;
use crate::config::{HostConfiguration, ModuleEntry};
use crate::folder::{self, Folder, FolderError};

/// A component as it was fetched.
#[derive(Clone, Debug)]
pub struct Artifact {
    /// The component.
    pub bytes: Bytes,
    /// Where it came from, for people.
    pub origin: String,
    /// What [`Sources::look`] says as long as the source has this component.
    pub stamp: Option<Stamp>,
}

/// A module's component and those of its plugins.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The guest.
    pub guest: Artifact,
    /// The plugins, in the order of the entry.
    pub plugins: Vec<Artifact>,
    /// What [`Sources::look_at_all`] says as long as nothing of it changed.
    pub stamps: Option<Vec<Stamp>>,
}

/// What a source has, without having it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stamp {
    /// A file that was not written since.
    File(folder::Stamp),
    /// Content of this digest.
    Content(Digest),
    /// An artifact, and who must have signed it.
    Manifest {
        /// Its digest.
        digest: Digest,
        /// Stands for the policy and its keys.
        policy: Option<Digest>,
    },
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
    /// A ConfigMap.
    #[error(transparent)]
    ConfigMap(#[from] ConfigMapError),
    /// An artifact in a registry.
    #[error(transparent)]
    Oci(#[from] OciError),
    /// Who must have signed it cannot be said.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// A directory is many components.
    #[error("directory {0:?} is not one component; its modules are called <name>-<file>")]
    Directory(String),
    /// The entry names nothing.
    #[error("needs a source")]
    Nothing,
}

impl SourceError {
    /// Whether trying again may help although nothing here changed.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            // Whatever a registry says now, somebody may push, sign or permit.
            Self::Folder(_) | Self::Oci(_) | Self::Policy(_) => true,
            // Watches tell when it is worthwhile.
            Self::ConfigMap(_)
            | Self::UnknownStock { .. }
            | Self::MissingStock(_)
            | Self::NoFolder { .. }
            | Self::Directory(_)
            | Self::Nothing => false,
        }
    }
}

/// What the configuration says about sources besides those of single modules.
#[derive(Default, PartialEq)]
struct Settings {
    registry: RegistryEntry,
    signatures: SignaturesEntry,
}

/// Everything that components can be fetched from.
pub struct Sources {
    stock: StockGuests,
    stock_names: Vec<&'static str>,
    folder: Option<Arc<Folder>>,
    settings: ArcSwap<Settings>,
    cluster: ArcSwapOption<ApiClient>,
    config_maps: ConfigMaps,
    registries: Registries,
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
            settings: ArcSwap::default(),
            cluster: ArcSwapOption::empty(),
            config_maps: ConfigMaps::default(),
            registries: Registries::default(),
            refreshed,
        }
    }

    /// Keeps what is pulled, so that registries can be out of reach.
    #[must_use]
    pub fn with_registry_cache(mut self, cache: Cache) -> Self {
        self.registries.cache = Some(cache);
        self
    }

    /// Where Docker's `config.json` is when the configuration names none; need not exist.
    #[must_use]
    pub fn with_docker_folder(mut self, folder: Option<PathBuf>) -> Self {
        self.registries.docker_folder = folder;
        self
    }

    /// Reads ConfigMaps and pull secrets from this cluster from now on.
    pub fn attach(&self, client: ApiClient) {
        self.cluster.store(Some(Arc::new(client)));
        self.refresh();
    }

    /// Follows what a configuration says about registries and signatures.
    pub fn configure(&self, configuration: &HostConfiguration) {
        let settings = Settings {
            registry: configuration.registry.clone(),
            signatures: configuration.signatures.clone(),
        };
        if **self.settings.load() != settings {
            self.settings.store(Arc::new(settings));
            self.refresh();
        }
    }

    /// Has every source looked at again.
    pub fn refresh(&self) {
        self.refreshed.send_modify(|count| *count += 1);
    }

    /// Fetches a module's component and those of its plugins.
    ///
    /// # Errors
    /// See [`SourceError`].
    pub async fn fetch_all(&self, entry: &ModuleEntry) -> Result<Fetched, SourceError> {
        let guest = self.fetch(entry).await?;
        let mut stamps = Stamps::of(entry, guest.stamp);
        let mut plugins = Vec::with_capacity(entry.plugins.len());
        for plugin in &entry.plugins {
            let artifact = self.fetch(&plugin.to_fetch(&entry.name)).await?;
            stamps.add(artifact.stamp);
            plugins.push(artifact);
        }
        Ok(Fetched {
            guest,
            plugins,
            stamps: stamps.0,
        })
    }

    /// What the sources of a module and its plugins have now, as far as that can be told
    /// without fetching.
    pub async fn look_at_all(&self, entry: &ModuleEntry) -> Option<Vec<Stamp>> {
        let mut stamps = Stamps::of(entry, self.look(entry).await);
        for plugin in &entry.plugins {
            stamps.add(self.look(&plugin.to_fetch(&entry.name)).await);
        }
        stamps.0
    }

    /// [`Self::changes`] of a module and its plugins.
    #[must_use]
    pub fn changes_of_all(&self, entry: &ModuleEntry) -> Vec<Changes> {
        let plugins = entry.plugins.iter();
        let plugins = plugins.map(|plugin| self.changes(&plugin.to_fetch(&entry.name)));
        std::iter::once(self.changes(entry)).chain(plugins).collect()
    }

    /// Fetches a component. One from a registry satisfies the signature policy.
    ///
    /// # Errors
    /// See [`SourceError`].
    pub async fn fetch(&self, entry: &ModuleEntry) -> Result<Artifact, SourceError> {
        let source = &entry.source;
        if let Some(name) = &source.stock {
            self.stock(name)
        } else if let Some(file) = &source.file {
            self.file(file).await
        } else if let Some(source) = &source.config_map {
            Ok(self.config_maps.fetch(self.client(), source).await?)
        } else if let Some(source) = &source.oci {
            self.pull(entry, source).await
        } else if let Some(directory) = &source.directory {
            Err(SourceError::Directory(directory.clone()))
        } else {
            Err(SourceError::Nothing)
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
            stamp: None,
        })
    }

    async fn file(&self, file: &str) -> Result<Artifact, SourceError> {
        let no_folder = || SourceError::NoFolder {
            file: file.to_owned(),
        };
        let folder = self.folder.as_ref().ok_or_else(no_folder)?;
        // From before it is read, so that no change is missed.
        let stamp = folder.stamp(file).map(Stamp::File);
        Ok(Artifact {
            bytes: folder.read(file).await?,
            origin: format!("file {file}"),
            stamp,
        })
    }

    /// What a source has now, as far as that can be told without fetching it.
    pub async fn look(&self, entry: &ModuleEntry) -> Option<Stamp> {
        let source = &entry.source;
        if let Some(file) = &source.file {
            self.folder.as_ref()?.stamp(file).map(Stamp::File)
        } else if let Some(source) = &source.config_map {
            self.config_maps.fetch(self.client(), source).await.ok()?.stamp
        } else if let Some(source) = &source.oci {
            self.resolve(entry, source).await
        } else {
            None
        }
    }

    /// From now on, when a source may have changed. To be taken before it is fetched, and
    /// to be kept until the next are taken, so that what is followed stays followed.
    #[must_use]
    pub fn changes(&self, entry: &ModuleEntry) -> Changes {
        let mut refreshed = self.refreshed.subscribe();
        refreshed.mark_unchanged();
        Changes {
            refreshed,
            signs: self.signs(entry),
        }
    }

    fn signs(&self, entry: &ModuleEntry) -> Signs {
        let source = &entry.source;
        if source.file.is_some() {
            return self.folder.as_ref().map_or(Signs::None, |folder| {
                let mut changes = folder.changes();
                changes.mark_unchanged();
                Signs::Folder(changes)
            });
        }
        if let Some(source) = &source.config_map {
            return match self.config_maps.follow(self.client(), source) {
                Ok(followed) => {
                    let mut observed = followed.observed();
                    observed.mark_unchanged();
                    Signs::ConfigMap(observed, followed)
                }
                // Fetching it says what is wrong.
                Err(_) => Signs::None,
            };
        }
        match &source.oci {
            Some(source) => Signs::Poll(Instant::now() + source.pull_interval.0),
            None => Signs::None,
        }
    }

    fn client(&self) -> Option<ApiClient> {
        self.cluster.load().as_deref().cloned()
    }
}

/// The stamps of several sources, or nothing if one of them has none.
struct Stamps(Option<Vec<Stamp>>);

impl Stamps {
    /// Of a module's guest. A stock guest never changes, so it needs none beside plugins.
    fn of(entry: &ModuleEntry, guest: Option<Stamp>) -> Self {
        let changes = entry.source.stock.is_none() || entry.plugins.is_empty();
        match guest {
            Some(stamp) => Self(Some(vec![stamp])),
            None => Self((!changes).then(Vec::new)),
        }
    }

    fn add(&mut self, stamp: Option<Stamp>) {
        self.0 = self.0.take().zip(stamp).map(|(mut stamps, stamp)| {
            stamps.push(stamp);
            stamps
        });
    }
}

/// Waits for the next sign of any. Cancelling loses nothing.
pub async fn next_of(changes: &mut [Changes]) {
    let signs = changes.iter_mut().map(|changes| Box::pin(changes.next()));
    // There is always the guest's own.
    futures::future::select_all(signs).await;
}

/// Tells when a source may have changed.
pub struct Changes {
    refreshed: watch::Receiver<u64>,
    signs: Signs,
}

enum Signs {
    None,
    Folder(watch::Receiver<u64>),
    /// With what keeps the watch going.
    ConfigMap(
        watch::Receiver<Observed>,
        #[expect(dead_code, reason = "held for its drop")] Arc<Followed>,
    ),
    Poll(Instant),
}

impl Changes {
    /// Waits for the next sign. Cancelling loses nothing.
    pub async fn next(&mut self) {
        let signs = async {
            let told = match &mut self.signs {
                Signs::None => false,
                Signs::Folder(changes) => changes.changed().await.is_ok(),
                Signs::ConfigMap(observed, _) => observed.changed().await.is_ok(),
                Signs::Poll(at) => {
                    tokio::time::sleep_until(*at).await;
                    true
                }
            };
            if !told {
                // Nobody is left to tell anything.
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            Ok(()) = self.refreshed.changed() => {}
            () = signs => {}
        }
    }
}
