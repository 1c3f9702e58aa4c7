//! The functions a guest exports, found once per component and bound once per instance.

use bytes::Bytes;
use wasmtime::AsContextMut;
use wasmtime::component::{Component, ComponentExportIndex, ComponentType, Instance, Lower, TypedFunc};
use windlass_core::CONTRACT_VERSION;
use windlass_core::key::{self, Resource};
use windlass_core::manifest::WatchId;
use windlass_core::seams::{self, SyncId};

use crate::bindings::exports::windlass::controller::handler::{Outcome, SyncError};
use crate::bindings::exports::windlass::controller::observer::DeltaKind;
use crate::bindings::windlass::controller::manifest::Manifest;
use crate::bindings::windlass::controller::types::{ApiResource, ObjectKey};
use crate::host::HostState;
use crate::inspect::BLOCKING_HANDLER;

pub(crate) type Describe = TypedFunc<(), (Manifest,)>;
pub(crate) type Start = TypedFunc<(), (Result<(), String>,)>;
pub(crate) type Sync = TypedFunc<(SyncId, ObjectKey), (SyncResult,)>;
pub(crate) type Observe = TypedFunc<(Vec<Batch>,), ()>;
pub(crate) type Map = TypedFunc<MapParams, (Vec<ObjectKey>,)>;

/// What `sync-handler` returns.
pub(crate) type SyncResult = Result<Outcome, SyncError>;
/// Watch, key, body and old body.
pub(crate) type MapParams = (WatchId, ObjectKey, Bytes, Option<Bytes>);

/// One change, as the observer gets it. Bodies are shared with the caches up to the copy
/// into the guest.
#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct Delta {
    kind: DeltaKind,
    key: ObjectKey,
    initial: bool,
    body: Bytes,
    old: Option<Bytes>,
}

/// Consecutive changes of one resource.
#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct Batch {
    watch: WatchId,
    resource: ApiResource,
    kind: String,
    namespaced: bool,
    deltas: Vec<Delta>,
}

impl From<seams::DeltaBatch> for Batch {
    fn from(batch: seams::DeltaBatch) -> Self {
        let old_bodies = batch.old_bodies;
        let source = &batch.source;
        Self {
            watch: batch.watch,
            resource: api_resource(&source.resource),
            kind: source.kind.to_string(),
            namespaced: source.namespaced,
            deltas: batch
                .deltas
                .iter()
                .map(|delta| lower_delta(delta, old_bodies))
                .collect(),
        }
    }
}

fn lower_delta(delta: &seams::Delta, old_bodies: bool) -> Delta {
    let old = delta.old.as_ref().filter(|_| old_bodies);
    Delta {
        kind: match delta.kind {
            seams::DeltaKind::Added => DeltaKind::Added,
            seams::DeltaKind::Updated => DeltaKind::Updated,
            seams::DeltaKind::Deleted => DeltaKind::Deleted,
        },
        key: object_key(delta.object.key()),
        initial: delta.initial,
        body: delta.object.body().clone(),
        old: old.map(|object| object.body().clone()),
    }
}

/// A key as the contract writes it.
pub(crate) fn object_key(key: &key::ObjectKey) -> ObjectKey {
    ObjectKey {
        namespace: key.namespace.to_string(),
        name: key.name.to_string(),
    }
}

/// A key as the host keeps it.
pub(crate) fn core_key(key: &ObjectKey) -> key::ObjectKey {
    key::ObjectKey::new(&key.namespace, &key.name)
}

/// A resource as the contract writes it.
pub(crate) fn api_resource(resource: &Resource) -> ApiResource {
    ApiResource {
        group: resource.group.to_string(),
        version: resource.version.to_string(),
        plural: resource.plural.to_string(),
    }
}

/// Where a component's functions are.
#[derive(Clone)]
pub(crate) struct ExportIndices {
    is_blocking: bool,
    describe: ComponentExportIndex,
    start: ComponentExportIndex,
    sync_handler: ComponentExportIndex,
    observe: Option<ComponentExportIndex>,
    keys_for: Option<ComponentExportIndex>,
}

impl ExportIndices {
    /// Looks them up. `None` when the handler or one of its functions is missing.
    /// `handler` is the interface that has them.
    pub(crate) fn find(component: &Component, handler: &str) -> Option<Self> {
        let find = |interface: &str, function: &str| {
            let interface = format!("windlass:controller/{interface}@{CONTRACT_VERSION}");
            let instance = component.get_export_index(None, interface.as_str())?;
            component.get_export_index(Some(&instance), function)
        };
        Some(Self {
            is_blocking: handler == BLOCKING_HANDLER,
            describe: find(handler, "describe")?,
            start: find(handler, "start")?,
            sync_handler: find(handler, "sync-handler")?,
            observe: find("observer", "observe"),
            keys_for: find("mapper", "keys-for"),
        })
    }

    pub(crate) fn is_blocking(&self) -> bool {
        self.is_blocking
    }

    pub(crate) fn has_observer(&self) -> bool {
        self.observe.is_some()
    }

    pub(crate) fn has_mapper(&self) -> bool {
        self.keys_for.is_some()
    }
}

/// The functions of one instance.
pub(crate) struct Exports {
    pub(crate) describe: Describe,
    pub(crate) start: Start,
    pub(crate) sync_handler: Sync,
    pub(crate) observe: Option<Observe>,
    pub(crate) keys_for: Option<Map>,
}

impl Exports {
    /// Binds them, which checks their types.
    pub(crate) fn bind(
        mut store: impl AsContextMut<Data = HostState>,
        instance: &Instance,
        indices: &ExportIndices,
    ) -> wasmtime::Result<Self> {
        let mut context = store.as_context_mut();
        let observe = indices
            .observe
            .map(|index| instance.get_typed_func(&mut context, index))
            .transpose()?;
        let keys_for = indices
            .keys_for
            .map(|index| instance.get_typed_func(&mut context, index))
            .transpose()?;
        Ok(Self {
            describe: instance.get_typed_func(&mut context, indices.describe)?,
            start: instance.get_typed_func(&mut context, indices.start)?,
            sync_handler: instance.get_typed_func(&mut context, indices.sync_handler)?,
            observe,
            keys_for,
        })
    }
}
