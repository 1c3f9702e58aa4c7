//! What all guests of a host share: the compiler and its settings, the linked imports,
//! the epoch thread and the cache of compiled code.

use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use cap_std::fs::Dir;
use wasmtime::component::Linker;
use wasmtime::{Config, WasmBacktraceDetails};

use crate::cache::CompiledCache;
use crate::host::HostState;
use crate::imports;
use crate::meter::CpuMeter;
use crate::slow_lane::SlowLane;
use crate::ticker::Ticker;

/// Room on a guest's stack for the host functions that it calls.
const HOST_STACK_BYTES: usize = 512 * 1024;

/// Settings of the whole engine.
#[derive(Debug)]
pub struct EngineConfig {
    /// Where compiled code is kept between runs. Only this host may write there, because
    /// what is found there runs as native code.
    pub cache_dir: Option<Dir>,
    /// Stack of a guest.
    pub stack_bytes: usize,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            cache_dir: None,
            stack_bytes: 512 * 1024,
        }
    }
}

/// The engine could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// wasmtime refuses its settings, most likely for want of support by the machine.
    #[error("cannot set up the WebAssembly engine: {0:#}")]
    Setup(wasmtime::Error),
    /// No thread for the epochs, or for guests that compute for long.
    #[error("cannot start the engine's threads: {0}")]
    Thread(#[from] std::io::Error),
}

/// Loads and runs guests. Cheap to clone; the epoch thread ends with the last clone.
#[derive(Clone)]
pub struct Engine(Arc<Shared>);

struct Shared {
    wasm: wasmtime::Engine,
    linker: Linker<HostState>,
    cache: Option<CompiledCache>,
    ticker: Ticker,
    slow_lane: SlowLane,
    stack_bytes: usize,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("stack_bytes", &self.0.stack_bytes)
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// Sets up an engine and starts its epoch thread.
    ///
    /// # Errors
    /// When the machine lacks what wasmtime needs, or has no thread left.
    pub fn new(config: EngineConfig) -> Result<Self, EngineError> {
        let wasm = wasmtime::Engine::new(&wasmtime_config(config.stack_bytes)).map_err(EngineError::Setup)?;
        let linker = imports::linker(&wasm).map_err(EngineError::Setup)?;
        let ticker = Ticker::spawn({
            let wasm = wasm.clone();
            move || wasm.increment_epoch()
        })?;
        let cache = config.cache_dir.map(|dir| CompiledCache::new(dir, &wasm));
        Ok(Self(Arc::new(Shared {
            wasm,
            linker,
            cache,
            ticker,
            slow_lane: SlowLane::spawn()?,
            stack_bytes: config.stack_bytes,
        })))
    }

    pub(crate) fn wasm(&self) -> &wasmtime::Engine {
        &self.0.wasm
    }

    pub(crate) fn linker(&self) -> &Linker<HostState> {
        &self.0.linker
    }

    pub(crate) fn cache(&self) -> Option<&CompiledCache> {
        self.0.cache.as_ref()
    }

    pub(crate) fn slow_lane(&self) -> &SlowLane {
        &self.0.slow_lane
    }

    pub(crate) fn stack_bytes(&self) -> usize {
        self.0.stack_bytes
    }

    /// Runs a future that enters a guest: keeps the epoch advancing and the meter on the
    /// right thread. Everything that enters a guest must go through here, or no limit on
    /// its time holds.
    pub(crate) async fn metered<T>(&self, meter: &CpuMeter, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        std::future::poll_fn(|context| -> Poll<T> {
            let _running = self.0.ticker.enter();
            let resumed = meter.resume();
            let poll = future.as_mut().poll(context);
            meter.pause(resumed);
            poll
        })
        .await
    }
}

fn wasmtime_config(stack_bytes: usize) -> Config {
    let mut config = Config::new();
    config.epoch_interruption(true);
    config.wasm_component_model_async(true);
    config.max_wasm_stack(stack_bytes);
    config.async_stack_size(stack_bytes + HOST_STACK_BYTES);
    // The default would ask the environment.
    config.wasm_backtrace_details(WasmBacktraceDetails::Enable);
    config
}
