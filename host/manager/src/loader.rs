//! Brings a module from its configuration to its supervisor, each time one of the two
//! ends changes.
//!
//! Fetch, compile, describe, compare with the grants; whatever fails is reported and
//! changes nothing. A configuration that changes meanwhile is taken up at once, a source
//! that changes meanwhile after the load that is under way.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;
use windlass_core::permission::Grants;
use windlass_core::rate_limiter::{Backoff, BackoffConfig};
use windlass_engine::engine::Engine;

use crate::config::ModuleEntry;
use crate::folder::Stamp;
use crate::module::{Module, ModuleError};
use crate::sources::{SourceError, Sources};
use crate::supervisor::Command;

/// Sources that cannot be reached: 1 s to 1 min, doubling.
const FETCH_AGAIN: BackoffConfig = BackoffConfig {
    initial: Duration::from_secs(1),
    factor: 2.0,
    cap: Duration::from_secs(60),
    jitter: 0.1,
    reset_after: Duration::from_secs(120),
};

/// What loading takes.
#[derive(Clone)]
pub struct Workshop {
    /// Compiles.
    pub engine: Engine,
    /// Where components come from.
    pub sources: Arc<Sources>,
    /// How many modules are compiled at once.
    pub places: Arc<Semaphore>,
}

/// Why a module could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum ModuleLoadError {
    /// Its component cannot be had.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// Its component cannot run.
    #[error(transparent)]
    Module(#[from] ModuleError),
}

impl Workshop {
    /// As many places as the machine has processors, less one for those that serve.
    #[must_use]
    pub fn new(engine: Engine, sources: Arc<Sources>) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            engine,
            sources,
            places: Arc::new(Semaphore::new(processors.saturating_sub(1).max(1))),
        }
    }

    /// Loads one module.
    ///
    /// # Errors
    /// See [`ModuleLoadError`].
    pub async fn load(&self, entry: &Arc<ModuleEntry>) -> Result<Module, ModuleLoadError> {
        let artifact = self.sources.fetch(&entry.source).await?;
        let _place = self.places.acquire().await;
        Ok(Module::load(&self.engine, entry, artifact).await?)
    }
}

/// One module's loader.
pub(crate) struct Loader {
    workshop: Workshop,
    commands: mpsc::UnboundedSender<Command>,
    /// What was loaded last, from what.
    loaded: Option<Loaded>,
    backoff: Backoff,
}

struct Loaded {
    entry: Arc<ModuleEntry>,
    stamp: Option<Stamp>,
    digest: Option<String>,
}

impl Loader {
    /// `ready` is a version that was loaded before, from the present configuration.
    pub(crate) fn new(
        workshop: Workshop,
        commands: mpsc::UnboundedSender<Command>,
        ready: Option<Module>,
    ) -> Self {
        let loaded = ready.map(|module| {
            let loaded = Loaded {
                entry: Arc::clone(&module.entry),
                stamp: None,
                digest: Some(module.guest.digest.clone()),
            };
            tell(&commands, Command::Run(Arc::new(module)));
            loaded
        });
        Self {
            workshop,
            commands,
            loaded,
            backoff: Backoff::new(FETCH_AGAIN),
        }
    }

    /// Loads whenever something changed, until `stop` is cancelled.
    pub(crate) async fn run(mut self, entries: watch::Receiver<Arc<ModuleEntry>>, stop: CancellationToken) {
        // Fails only when the host has let the module go, which cancels `stop` too.
        let _ = stop.run_until_cancelled(self.follow(entries)).await;
    }

    async fn follow(
        &mut self,
        mut entries: watch::Receiver<Arc<ModuleEntry>>,
    ) -> Result<(), watch::error::RecvError> {
        loop {
            let entry = Arc::clone(&entries.borrow_and_update());
            // From before the fetch, so that no change is missed.
            let mut changes = self.workshop.sources.changes(&entry.source);
            let again = tokio::select! {
                again = self.bring(&entry) => again,
                changed = entries.changed() => {
                    changed?;
                    continue;
                }
            };
            let again = async {
                match again {
                    Some(delay) => tokio::time::sleep(delay).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = entries.changed() => changed?,
                () = changes.next() => {}
                () = again => {}
            }
        }
    }

    /// Loads what is not loaded yet. Returns when to try again by itself.
    async fn bring(&mut self, entry: &Arc<ModuleEntry>) -> Option<Duration> {
        let same_entry = self.loaded.as_ref().is_some_and(|loaded| loaded.entry == *entry);
        if !same_entry {
            // Nothing is loaded for this entry, nor for the one before if it comes back.
            self.loaded = None;
            self.apply_at_once(entry);
        }
        if !entry.enabled {
            return None;
        }
        let stamp = self.workshop.sources.stamp(&entry.source);
        if same_entry && stamp.is_some() && self.loaded.as_ref().is_some_and(|loaded| loaded.stamp == stamp) {
            return None;
        }
        let loading = self.workshop.load(entry).await;
        let before = self.loaded.as_ref().filter(|_| same_entry);
        let before = before.and_then(|loaded| loaded.digest.clone());
        let (digest, again) = match loading {
            Ok(module) => {
                let digest = module.guest.digest.clone();
                if before.as_ref() != Some(&digest) {
                    tell(&self.commands, Command::Run(Arc::new(module)));
                }
                (Some(digest), None)
            }
            Err(error) => {
                let temporary = matches!(&error, ModuleLoadError::Source(source) if source.is_temporary());
                let reason = error.to_string();
                tell(&self.commands, Command::Reject { digest: None, reason });
                // What serves stays loaded; the broken content is not tried again as it is.
                (None, temporary.then(|| self.backoff.next_delay(Instant::now())))
            }
        };
        self.loaded = Some(Loaded {
            entry: Arc::clone(entry),
            stamp,
            digest,
        });
        again
    }

    /// What must not wait for a version to load.
    fn apply_at_once(&self, entry: &ModuleEntry) {
        let command = if entry.enabled {
            Command::Restrict {
                grants: Grants(entry.permissions.clone()),
                declared: entry.grants_declared(),
            }
        } else {
            Command::Disable
        };
        tell(&self.commands, command);
    }
}

/// A supervisor that is gone has been stopped, and this loader is about to be.
fn tell(commands: &mpsc::UnboundedSender<Command>, command: Command) {
    drop(commands.send(command));
}
