//! Plugins of the scheduler: components that a guest calls through the host.
//!
//! A plugin is loaded beside its module's guest and belongs to it: each instance of the
//! guest opens instances of its own, and they end with it. A plugin gets the log, metrics,
//! time and chance, and nothing that could wait, so that a call of it is bounded by its CPU
//! budget.

use std::sync::Arc;

use bytes::Bytes;
use smol_str::SmolStr;
use wasmtime::component::{Component, ComponentExportIndex, Instance, InstancePre, TypedFunc};
use wasmtime::{AsContextMut, Store};
use windlass_core::outcome::GuestFailure;

use crate::bindings::scheduling::windlass::scheduler::types::{
    Description, Evaluation, HookError, Hooks, Node, Normalize,
};
use crate::cache::sha256_hex;
use crate::engine::Engine;
use crate::failure::Stage;
use crate::host::{Caller, HostState, new_store};
use crate::inspect::{self, PLUGIN};
use crate::instance::engine_failure;
use crate::limits::Limits;
use crate::load::{self, LoadError};

/// A plugin that was checked, compiled and described. Cheap to clone.
#[derive(Clone)]
pub struct LoadedPlugin {
    /// What the module's configuration calls it.
    pub name: SmolStr,
    /// SHA-256 of the component, in hexadecimal.
    pub digest: String,
    pub(crate) description: Arc<Description>,
    pub(crate) engine: Engine,
    /// The module's name and the plugin's, for the log.
    full_name: SmolStr,
    limits: Limits,
    pre: InstancePre<HostState>,
    indices: Indices,
}

impl std::fmt::Debug for LoadedPlugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoadedPlugin")
            .field("name", &self.name)
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}

/// The plugins of one module.
#[derive(Clone, Debug, Default)]
pub struct Plugins(Arc<[LoadedPlugin]>);

impl FromIterator<LoadedPlugin> for Plugins {
    fn from_iter<I: IntoIterator<Item = LoadedPlugin>>(plugins: I) -> Self {
        Self(plugins.into_iter().collect())
    }
}

impl Plugins {
    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &LoadedPlugin> {
        self.0.iter()
    }

    pub(crate) fn find(&self, name: &str) -> Option<&LoadedPlugin> {
        self.iter().find(|plugin| plugin.name == name)
    }
}

impl Engine {
    /// Checks, compiles and describes a plugin of a module.
    ///
    /// # Errors
    /// When the bytes are no plugin, or it cannot describe itself.
    pub async fn load_plugin(
        &self,
        module: &str,
        name: &str,
        bytes: Bytes,
        limits: &Limits,
    ) -> Result<LoadedPlugin, LoadError> {
        let engine = self.clone();
        let work = tokio::task::spawn_blocking(move || check_and_compile(&engine, &bytes));
        let (pre, indices, digest) = work
            .await
            .unwrap_or_else(|error| Err(LoadError::Malformed(format!("the compiler failed: {error}"))))?;
        let mut plugin = LoadedPlugin {
            name: name.into(),
            digest,
            description: Arc::new(nothing()),
            engine: self.clone(),
            full_name: format!("{module}/{name}").into(),
            limits: limits.clone(),
            pre,
            indices,
        };
        let (_, description) = plugin.boot(None).await?;
        plugin.description = Arc::new(description);
        Ok(plugin)
    }
}

/// What a plugin is said to be before it has said so.
fn nothing() -> Description {
    Description {
        hooks: Hooks::empty(),
        normalize: Normalize::None,
        node_fields: Vec::new(),
        pod_fields: Vec::new(),
    }
}

fn check_and_compile(
    engine: &Engine,
    bytes: &[u8],
) -> Result<(InstancePre<HostState>, Indices, String), LoadError> {
    inspect::check_plugin(&inspect::border(bytes)?)?;
    let digest = sha256_hex(bytes);
    let (component, _) = load::compile(engine, bytes, &digest)?;
    let indices = Indices::find(&component)
        .ok_or_else(|| LoadError::Mismatch("a function of a plugin is missing".to_owned()))?;
    let pre = load::link(engine, &component).map_err(|error| LoadError::Mismatch(format!("{error:#}")))?;
    Ok((pre, indices, digest))
}

/// Where a component's functions are.
#[derive(Clone, Copy)]
struct Indices {
    describe: ComponentExportIndex,
    start: ComponentExportIndex,
    update_nodes: ComponentExportIndex,
    evaluate: ComponentExportIndex,
    reserve: ComponentExportIndex,
    unreserve: ComponentExportIndex,
    end_cycle: ComponentExportIndex,
}

impl Indices {
    fn find(component: &Component) -> Option<Self> {
        let plugin = component.get_export_index(None, PLUGIN)?;
        let find = |function: &str| component.get_export_index(Some(&plugin), function);
        Some(Self {
            describe: find("describe")?,
            start: find("start")?,
            update_nodes: find("update-nodes")?,
            evaluate: find("evaluate")?,
            reserve: find("reserve")?,
            unreserve: find("unreserve")?,
            end_cycle: find("end-cycle")?,
        })
    }
}

/// Cycle, pod, nodes and hooks.
pub(crate) type EvaluateParams = (u64, Option<Vec<u8>>, Vec<u32>, Hooks);

/// The functions of one instance.
pub(crate) struct Exports {
    describe: TypedFunc<(), (Description,)>,
    pub(crate) start: TypedFunc<(Vec<u8>,), (Result<(), String>,)>,
    pub(crate) update_nodes: TypedFunc<(Vec<Node>,), ()>,
    pub(crate) evaluate: TypedFunc<EvaluateParams, (Result<Evaluation, HookError>,)>,
    pub(crate) reserve: TypedFunc<(u64, u32), (Result<(), String>,)>,
    pub(crate) unreserve: TypedFunc<(u64, u32), ()>,
    pub(crate) end_cycle: TypedFunc<(u64,), ()>,
}

impl Exports {
    /// Binds them, which checks their types.
    fn bind(
        mut store: impl AsContextMut<Data = HostState>,
        instance: &Instance,
        indices: &Indices,
    ) -> wasmtime::Result<Self> {
        let mut context = store.as_context_mut();
        Ok(Self {
            describe: instance.get_typed_func(&mut context, indices.describe)?,
            start: instance.get_typed_func(&mut context, indices.start)?,
            update_nodes: instance.get_typed_func(&mut context, indices.update_nodes)?,
            evaluate: instance.get_typed_func(&mut context, indices.evaluate)?,
            reserve: instance.get_typed_func(&mut context, indices.reserve)?,
            unreserve: instance.get_typed_func(&mut context, indices.unreserve)?,
            end_cycle: instance.get_typed_func(&mut context, indices.end_cycle)?,
        })
    }
}

/// An instance and its functions.
pub(crate) struct Live {
    pub(crate) store: Store<HostState>,
    pub(crate) exports: Exports,
}

impl LoadedPlugin {
    /// Makes an instance, for somebody or only to have it described.
    pub(crate) async fn boot(&self, caller: Option<&Caller>) -> Result<(Live, Description), GuestFailure> {
        let state = HostState::of_plugin(self.full_name.clone(), self.limits.clone(), caller);
        let meter = Arc::clone(&state.meter);
        let mut store = new_store(self.engine.wasm(), state);
        let instantiated = async {
            let instance = self.pre.instantiate_async(&mut store).await?;
            Exports::bind(&mut store, &instance, &self.indices)
        };
        let exports = match self.engine.metered(&meter, instantiated).await {
            Ok(exports) => exports,
            Err(error) => return Err(self.failure(&store, Stage::Instantiating, &error)),
        };
        meter.progress();
        match self
            .engine
            .metered(&meter, exports.describe.call_async(&mut store, ()))
            .await
        {
            Ok((description,)) => {
                meter.progress();
                Ok((Live { store, exports }, description))
            }
            Err(error) => Err(self.failure(&store, Stage::Running, &error)),
        }
    }

    /// Classifies and logs an error.
    pub(crate) fn failure(
        &self,
        store: &Store<HostState>,
        stage: Stage,
        error: &wasmtime::Error,
    ) -> GuestFailure {
        engine_failure(&self.engine, store.data(), stage, error)
    }
}
