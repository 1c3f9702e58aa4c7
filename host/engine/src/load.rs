//! From bytes to a guest that can be instantiated.

use std::sync::Arc;

use bytes::Bytes;
use smol_str::SmolStr;
use wasmtime::Store;
use wasmtime::component::{Component, InstancePre};
use windlass_core::manifest::Manifest;
use windlass_core::outcome::GuestFailure;
use windlass_core::seams::Services;

use crate::bindings::windlass::controller::manifest as wit;
use crate::cache::sha256_hex;
use crate::engine::Engine;
use crate::exports::{ExportIndices, Exports};
use crate::failure::Stage;
use crate::host::{HostState, new_store};
use crate::imports::wasi;
use crate::inspect;
use crate::instance::{Driver, Instance, engine_failure};
use crate::limits::Limits;
use crate::manifest::{ManifestError, from_guest};
use crate::plugin::Plugins;
use crate::usage::Usage;

/// Why some bytes are not a guest of this host.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Nothing there.
    #[error("the file is empty")]
    Empty,
    /// Not WebAssembly.
    #[error("not a WebAssembly component: it starts with \"{start}\"")]
    NotWasm {
        /// Its first bytes, escaped.
        start: String,
    },
    /// A module that was not encoded as a component.
    #[error(
        "a core WebAssembly module, not a component: encode it, for example with `wasm-tools component new`"
    )]
    CoreModule,
    /// The end is missing.
    #[error("the component is cut off after {length} bytes: fetch or build it again")]
    Truncated {
        /// What is there.
        length: usize,
    },
    /// Broken otherwise.
    #[error("not a valid component: {0}")]
    Malformed(String),
    /// Another version of the contract.
    #[error(
        "built for contract {package}@{guest}, but this host serves {package}@{host}: \
         rebuild the guest against it, or use a host that serves its version"
    )]
    ContractVersion {
        /// Which contract.
        package: &'static str,
        /// What the guest speaks.
        guest: String,
        /// What the host speaks.
        host: &'static str,
    },
    /// It wants what no guest gets.
    #[error("imports {name}, which Windlass does not provide")]
    UnknownImport {
        /// The import.
        name: String,
    },
    /// A plugin wants what only guests get.
    #[error("imports {name}, which a plugin of the scheduler does not get")]
    PluginImport {
        /// The import.
        name: String,
    },
    /// It is no plugin.
    #[error("does not export windlass:scheduler/plugin, it exports {exports}")]
    NoPlugin {
        /// What it exports instead.
        exports: String,
    },
    /// It is no controller.
    #[error("exports neither windlass:controller/handler nor blocking-handler, it exports {exports}")]
    NoHandler {
        /// What it exports instead.
        exports: String,
    },
    /// Names fit the contract, types do not.
    #[error("does not fit the contract: {0}")]
    Mismatch(String),
    /// `describe`, or instantiation before it, failed.
    #[error("cannot be described: it {0}")]
    Describe(#[from] GuestFailure),
    /// What `describe` returned makes no sense.
    #[error("its manifest is wrong: {0}")]
    Manifest(#[from] ManifestError),
}

/// Optional interfaces that a guest has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptionalExports {
    /// It takes deltas.
    pub observer: bool,
    /// It turns events into keys.
    pub mapper: bool,
    /// It is called through `blocking-handler`, and so with one key at a time.
    pub blocking: bool,
}

/// A component that was checked, compiled and described. Cheap to clone.
#[derive(Clone)]
pub struct LoadedGuest {
    /// What it declares about itself, validated.
    pub manifest: Arc<Manifest>,
    /// Which optional interfaces it has.
    pub exports: OptionalExports,
    /// Names of what it imports.
    pub imports: Arc<[String]>,
    /// SHA-256 of the component, in hexadecimal.
    pub digest: String,
    /// Size of the component in bytes.
    pub size_bytes: usize,
    /// Whether its compiled code was found in the cache.
    pub compiled_from_cache: bool,
    /// The module that it was loaded for, as the log names it.
    name: SmolStr,
    engine: Engine,
    compiled: Compiled,
    plugins: Plugins,
}

impl std::fmt::Debug for LoadedGuest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoadedGuest")
            .field("name", &self.manifest.name)
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}

/// Code that is ready to be instantiated.
#[derive(Clone)]
struct Compiled {
    pre: InstancePre<HostState>,
    indices: ExportIndices,
}

impl Engine {
    /// Checks, compiles (or finds the compiled code of) and describes a component.
    /// `name` is the module's, for the log; `config` is what `module-config` answers,
    /// because a manifest may depend on it.
    ///
    /// # Errors
    /// When the bytes are not a guest of this host, or the guest cannot describe itself.
    pub async fn load(
        &self,
        name: &str,
        bytes: Bytes,
        config: Bytes,
        limits: &Limits,
    ) -> Result<LoadedGuest, LoadError> {
        self.load_with(name, bytes, config, limits, Plugins::default())
            .await
    }

    /// The same for a guest that may call plugins.
    ///
    /// # Errors
    /// When the bytes are not a guest of this host, or the guest cannot describe itself.
    pub async fn load_with(
        &self,
        name: &str,
        bytes: Bytes,
        config: Bytes,
        limits: &Limits,
        plugins: Plugins,
    ) -> Result<LoadedGuest, LoadError> {
        let size_bytes = bytes.len();
        let checked = self.check_and_compile(bytes).await?;
        let exports = OptionalExports {
            observer: checked.compiled.indices.has_observer(),
            mapper: checked.compiled.indices.has_mapper(),
            blocking: checked.compiled.indices.is_blocking(),
        };
        let name = SmolStr::new(name);
        let state = HostState::without_services(name.clone(), config, limits.clone(), Arc::default())
            .with_plugins(plugins.clone());
        let described = boot(self, &checked.compiled, state).await?;
        let manifest = from_guest(described.manifest, exports)?;
        Ok(LoadedGuest {
            name,
            manifest: Arc::new(manifest),
            exports,
            imports: checked.imports,
            digest: checked.digest,
            size_bytes,
            compiled_from_cache: checked.from_cache,
            engine: self.clone(),
            compiled: checked.compiled,
            plugins,
        })
    }

    /// Compiling takes from milliseconds to seconds of CPU, so it has a thread of its own.
    async fn check_and_compile(&self, bytes: Bytes) -> Result<Checked, LoadError> {
        let engine = self.clone();
        let work = tokio::task::spawn_blocking(move || Checked::new(&engine, &bytes));
        // It cannot be cancelled; if it panics, the component made the compiler panic.
        work.await
            .unwrap_or_else(|error| Err(LoadError::Malformed(format!("the compiler failed: {error}"))))
    }
}

struct Checked {
    compiled: Compiled,
    imports: Arc<[String]>,
    digest: String,
    from_cache: bool,
}

impl Checked {
    fn new(engine: &Engine, bytes: &[u8]) -> Result<Self, LoadError> {
        let border = inspect::border(bytes)?;
        inspect::check_contract(&border)?;
        let digest = sha256_hex(bytes);
        let (component, from_cache) = compile(engine, bytes, &digest)?;
        let handler = inspect::handler(&border.exports).unwrap_or_default();
        let indices = ExportIndices::find(&component, handler)
            .ok_or_else(|| LoadError::Mismatch("a function of its handler is missing".to_owned()))?;
        let pre = link(engine, &component).map_err(|error| LoadError::Mismatch(format!("{error:#}")))?;
        Ok(Self {
            compiled: Compiled { pre, indices },
            imports: border.imports.into(),
            digest,
            from_cache,
        })
    }
}

pub(crate) fn link(engine: &Engine, component: &Component) -> wasmtime::Result<InstancePre<HostState>> {
    match wasi::extend(engine.linker(), engine.wasm(), component)? {
        Some(linker) => linker.instantiate_pre(component),
        None => engine.linker().instantiate_pre(component),
    }
}

pub(crate) fn compile(engine: &Engine, bytes: &[u8], digest: &str) -> Result<(Component, bool), LoadError> {
    if let Some(component) = engine.cache().and_then(|cache| cache.load(engine.wasm(), digest)) {
        return Ok((component, true));
    }
    let component = Component::from_binary(engine.wasm(), bytes)
        .map_err(|error| LoadError::Malformed(error.root_cause().to_string()))?;
    if let Some(cache) = engine.cache() {
        cache.store(&component, digest);
    }
    Ok((component, false))
}

/// An instance that has described itself and does nothing yet.
struct Booted {
    store: Store<HostState>,
    exports: Exports,
    manifest: wit::Manifest,
}

async fn boot(engine: &Engine, compiled: &Compiled, state: HostState) -> Result<Booted, GuestFailure> {
    let meter = Arc::clone(&state.meter);
    let mut store = new_store(engine.wasm(), state);
    let instantiated = async {
        let instance = compiled.pre.instantiate_async(&mut store).await?;
        Exports::bind(&mut store, &instance, &compiled.indices)
    };
    let exports = match engine.metered(&meter, instantiated).await {
        Ok(exports) => exports,
        Err(error) => return Err(engine_failure(engine, store.data(), Stage::Instantiating, &error)),
    };
    match engine
        .metered(&meter, exports.describe.call_async(&mut store, ()))
        .await
    {
        Ok((manifest,)) => {
            meter.progress();
            Ok(Booted {
                store,
                exports,
                manifest,
            })
        }
        Err(error) => Err(engine_failure(engine, store.data(), Stage::Running, &error)),
    }
}

impl LoadedGuest {
    /// The plugins that it may call.
    #[must_use]
    pub fn plugins(&self) -> &Plugins {
        &self.plugins
    }

    /// Makes a live instance and describes it anew. The guest runs while the driver is
    /// polled; `start` is the caller's to call. What it uses is added to `usage`.
    ///
    /// # Errors
    /// When instantiation or `describe` fails, or the manifest is not the one that was loaded.
    pub async fn instantiate(
        &self,
        services: Services,
        limits: Limits,
        usage: Arc<Usage>,
    ) -> Result<(Instance, Driver), GuestFailure> {
        let state = HostState::new(self.name.clone(), &self.manifest, services, limits, usage)
            .with_plugins(self.plugins.clone());
        let booted = boot(&self.engine, &self.compiled, state).await?;
        let manifest = from_guest(booted.manifest, self.exports);
        if manifest.as_ref().ok() != Some(&*self.manifest) {
            return Err(GuestFailure::Start(
                "`describe` differs from what was admitted".to_owned(),
            ));
        }
        Ok(Instance::new(self.engine.clone(), booted.store, booted.exports))
    }
}
