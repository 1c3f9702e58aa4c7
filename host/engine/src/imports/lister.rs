//! `lister`: reads from the shared caches.
//!
//! Bound by hand, so that a body goes from the cache into the guest's memory in one copy.

use std::sync::Arc;

use bytes::Bytes;
use wasmtime::StoreContextMut;
use wasmtime::component::Linker;
use windlass_core::CONTRACT_VERSION;
use windlass_core::manifest::WatchId;
use windlass_core::object::Object;
use windlass_core::seams::{ObjectReader, ReadError};

use crate::bindings::windlass::controller::types::ObjectKey;
use crate::exports::core_key;
use crate::failure::ContractBreach;
use crate::host::HostState;
use crate::usage::Import;

type Context<'a> = StoreContextMut<'a, HostState>;
type Objects = Result<Vec<Arc<Object>>, ReadError>;
/// What a call returns to the guest: bodies, or an error that is the guest's to handle.
type Listed = (Result<Vec<Bytes>, String>,);

pub(crate) fn add_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    let mut lister = linker.instance(&format!("windlass:controller/lister@{CONTRACT_VERSION}"))?;
    lister.func_wrap("get", get)?;
    lister.func_wrap("list", list)?;
    lister.func_wrap("by-index", by_index)?;
    lister.func_wrap("by-owner", by_owner)?;
    lister.func_wrap("orphans", orphans)
}

fn reader<'a>(context: &'a Context<'_>, import: Import) -> wasmtime::Result<&'a dyn ObjectReader> {
    context.data().called(import);
    Ok(&*context.data().services()?.reader)
}

fn get(mut context: Context<'_>, (watch, key): (WatchId, ObjectKey)) -> wasmtime::Result<(Option<Bytes>,)> {
    let object = reader(&context, Import::ListerGet)?
        .get(watch, &core_key(&key))
        .map_err(|error| breach(&error))?;
    let body = object.map(|object| object.body().clone());
    context.data_mut().note_shown(watch, &body);
    Ok((body,))
}

fn list(
    context: Context<'_>,
    (watch, namespace, label_selector): (WatchId, Option<String>, String),
) -> wasmtime::Result<Listed> {
    let objects = reader(&context, Import::ListerList)?.list(watch, namespace.as_deref(), &label_selector);
    listed(context, watch, objects)
}

fn by_index(
    context: Context<'_>,
    (watch, index, value): (WatchId, String, String),
) -> wasmtime::Result<Listed> {
    let objects = reader(&context, Import::ListerByIndex)?.by_index(watch, &index, &value);
    listed(context, watch, objects)
}

fn by_owner(context: Context<'_>, (watch, uid): (WatchId, String)) -> wasmtime::Result<(Vec<Bytes>,)> {
    let objects = reader(&context, Import::ListerByOwner)?.by_owner(watch, &uid);
    all(context, watch, objects)
}

fn orphans(context: Context<'_>, (watch, namespace): (WatchId, String)) -> wasmtime::Result<(Vec<Bytes>,)> {
    let objects = reader(&context, Import::ListerOrphans)?.orphans(watch, &namespace);
    all(context, watch, objects)
}

fn listed(context: Context<'_>, watch: WatchId, objects: Objects) -> wasmtime::Result<Listed> {
    match objects {
        Ok(objects) => Ok((Ok(bodies(context, watch, &objects)),)),
        Err(ReadError::Invalid(problem)) => Ok((Err(problem),)),
        Err(error @ ReadError::UnknownWatch(_)) => Err(breach(&error)),
    }
}

fn all(context: Context<'_>, watch: WatchId, objects: Objects) -> wasmtime::Result<(Vec<Bytes>,)> {
    objects
        .map(|objects| (bodies(context, watch, &objects),))
        .map_err(|error| breach(&error))
}

fn bodies(mut context: Context<'_>, watch: WatchId, objects: &[Arc<Object>]) -> Vec<Bytes> {
    let bodies: Vec<Bytes> = objects.iter().map(|object| object.body().clone()).collect();
    context.data_mut().note_shown(watch, &bodies);
    bodies
}

fn breach(error: &ReadError) -> wasmtime::Error {
    ContractBreach(error.to_string()).into()
}
