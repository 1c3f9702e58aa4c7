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
use crate::module::{Module, ModuleError};
use crate::sources::{self, Fetched, SourceError, Sources, Stamp};
use crate::supervisor::{Command, Granted};

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
        let fetched = self.sources.fetch_all(entry).await?;
        Ok(self.build(entry, fetched).await?)
    }

    async fn build(&self, entry: &Arc<ModuleEntry>, fetched: Fetched) -> Result<Module, ModuleError> {
        let _place = self.places.acquire().await;
        Module::load(&self.engine, entry, fetched).await
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
    /// What the sources had, unless they have to be asked again.
    stamps: Option<Vec<Stamp>>,
    /// Of the version that was passed on, unless another was refused since.
    digest: Option<String>,
    /// Why the source could not be fetched last.
    refusal: Option<String>,
}

impl Loaded {
    fn nothing_of(entry: &Arc<ModuleEntry>) -> Self {
        Self {
            entry: Arc::clone(entry),
            stamps: None,
            digest: None,
            refusal: None,
        }
    }
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
                stamps: None,
                digest: Some(module.digest()),
                refusal: None,
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
        let mut changes;
        loop {
            let entry = Arc::clone(&entries.borrow_and_update());
            // From before the fetch, so that no change is missed. The earlier ones are let
            // go only now, so that what both follow stays followed.
            changes = self.workshop.sources.changes_of_all(&entry);
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
                () = sources::next_of(&mut changes) => {}
                () = again => {}
            }
        }
    }

    /// Loads what is not loaded yet. Returns when to try again by itself.
    async fn bring(&mut self, entry: &Arc<ModuleEntry>) -> Option<Duration> {
        if self.loaded.as_ref().is_none_or(|loaded| loaded.entry != *entry) {
            // Nothing is loaded for this entry, nor for the one before if it comes back.
            self.loaded = Some(Loaded::nothing_of(entry));
            self.apply_at_once(entry);
        }
        if !entry.enabled {
            return None;
        }
        let known = self.loaded.as_ref().and_then(|loaded| loaded.stamps.clone());
        if known.is_some() && known == self.workshop.sources.look_at_all(entry).await {
            return None;
        }
        match self.workshop.sources.fetch_all(entry).await {
            Ok(fetched) => {
                self.take(entry, fetched).await;
                None
            }
            Err(error) => self.refuse(entry, &error),
        }
    }

    /// Passes a component on, unless it is the one that was passed on last.
    async fn take(&mut self, entry: &Arc<ModuleEntry>, fetched: Fetched) {
        let stamps = fetched.stamps.clone();
        // Without one, it is fetched to know it, not because it may have changed.
        let knew = self.loaded.as_ref().is_some_and(|loaded| loaded.stamps.is_some());
        let digest = match self.workshop.build(entry, fetched).await {
            Ok(module) => {
                let digest = module.digest();
                if self.digest() != Some(&digest) {
                    tell(&self.commands, Command::Run(Arc::new(module)));
                } else if self.is_refused() {
                    tell(&self.commands, Command::Confirm);
                } else if knew {
                    tell(&self.commands, Command::Unchanged);
                }
                Some(digest)
            }
            Err(error) => {
                let reason = error.to_string();
                self.reject(entry, reason);
                // What serves stays loaded; the broken content is not tried again as it is.
                None
            }
        };
        self.loaded = Some(Loaded {
            entry: Arc::clone(entry),
            stamps,
            digest,
            refusal: None,
        });
    }

    /// Reports, once, why there is no component.
    fn refuse(&mut self, entry: &Arc<ModuleEntry>, error: &SourceError) -> Option<Duration> {
        let reason = error.to_string();
        let before = self.loaded.as_ref().and_then(|loaded| loaded.refusal.as_ref());
        if before == Some(&reason) {
            tracing::debug!(controller = %entry.name, reason, "source still cannot be fetched");
        } else {
            let reason = reason.clone();
            self.reject(entry, reason);
        }
        self.loaded = Some(Loaded {
            entry: Arc::clone(entry),
            stamps: None,
            digest: self.digest().cloned(),
            refusal: Some(reason),
        });
        error
            .is_temporary()
            .then(|| self.backoff.next_delay(Instant::now()))
    }

    /// Whether the source could not be fetched last.
    fn is_refused(&self) -> bool {
        self.loaded
            .as_ref()
            .is_some_and(|loaded| loaded.refusal.is_some())
    }

    fn reject(&self, entry: &Arc<ModuleEntry>, reason: String) {
        let entry = Arc::clone(entry);
        tell(
            &self.commands,
            Command::Reject {
                entry,
                digest: None,
                reason,
            },
        );
    }

    fn digest(&self) -> Option<&String> {
        self.loaded.as_ref()?.digest.as_ref()
    }

    /// What must not wait for a version to load.
    fn apply_at_once(&self, entry: &ModuleEntry) {
        let command = if entry.enabled {
            Command::Restrict(Granted {
                rules: Grants(entry.permissions.clone()),
                declared: entry.grants_declared(),
                ceiling: entry.ceiling.clone(),
            })
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
