//! The event loop of one store.
//!
//! It runs the store's event loop for as long as the instance lives, takes calls from a
//! channel and starts each as a concurrent call in the guest. Promises: calls enter the
//! guest in the order of the channel as far as it matters (nothing is started while an
//! `observe` is under way, so no sync overtakes the deltas sent before it); when the
//! store fails, the reason is published before anybody is told.

use std::convert::Infallible;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;
use wasmtime::component::{Accessor, ComponentNamedList, Lift, Lower, TypedFunc, TypedFuncCallConcurrent};
use windlass_core::key::ObjectKey;
use windlass_core::manifest::WatchId;
use windlass_core::outcome::{GuestFailure, Outcome, SyncError};
use windlass_core::seams::{Delta, DeltaBatch, SyncId};

use crate::bindings::exports::windlass::controller::handler;
use crate::bindings::windlass::controller::types;
use crate::exports::{Batch, Exports, MapParams, SyncResult, core_key, object_key};
use crate::failure::StartExceeded;
use crate::host::HostState;
use crate::redact::Redactor;

/// One call, with the way back. A way back that is dropped means that the instance is gone.
pub(crate) enum Call {
    Start(oneshot::Sender<()>),
    Sync {
        id: SyncId,
        key: ObjectKey,
        reply: oneshot::Sender<Result<Outcome, SyncError>>,
    },
    Observe {
        batches: Vec<DeltaBatch>,
        reply: oneshot::Sender<()>,
    },
    Map {
        watch: WatchId,
        delta: Delta,
        reply: oneshot::Sender<Vec<ObjectKey>>,
    },
}

/// Why the event loop ended.
pub(crate) enum End {
    /// The store failed.
    Engine(wasmtime::Error),
    /// The guest said so, or was asked for what it does not have.
    Guest(GuestFailure),
}

impl From<wasmtime::Error> for End {
    fn from(error: wasmtime::Error) -> Self {
        Self::Engine(error)
    }
}

/// Whether later calls wait for this one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Concurrent,
    Barrier,
}

/// Serves calls until the instance ends.
pub(crate) async fn serve(
    accessor: &Accessor<HostState>,
    exports: &Exports,
    mut calls: UnboundedReceiver<Call>,
) -> End {
    match serve_until_failure(accessor, exports, &mut calls).await {
        Ok(never) => match never {},
        Err(end) => end,
    }
}

async fn serve_until_failure(
    accessor: &Accessor<HostState>,
    exports: &Exports,
    calls: &mut UnboundedReceiver<Call>,
) -> Result<Infallible, End> {
    let mut in_flight = FuturesUnordered::new();
    let mut barrier = false;
    loop {
        tokio::select! {
            biased;
            Some(finished) = in_flight.next(), if !in_flight.is_empty() => {
                if finished? == Order::Barrier {
                    barrier = false;
                }
            }
            call = calls.recv(), if !barrier => {
                let started = start(accessor, exports, call.ok_or(End::Guest(GuestFailure::Stopped))?)?;
                barrier = started.order() == Order::Barrier;
                in_flight.push(finish(accessor, started));
            }
        }
    }
}

/// A call into an export, queued in the store.
struct Queued<P: 'static, R: 'static> {
    function: TypedFunc<P, R>,
    call: TypedFuncCallConcurrent<HostState, P, R>,
}

impl<P, R> Queued<P, R>
where
    P: ComponentNamedList + Lower + Send + Sync + 'static,
    R: ComponentNamedList + Lift + Send + Sync + 'static,
{
    fn start(accessor: &Accessor<HostState>, function: TypedFunc<P, R>, params: P) -> wasmtime::Result<Self> {
        let call = accessor.with(|access| function.start_call_concurrent(access, params))?;
        Ok(Self { function, call })
    }

    async fn finish(self, accessor: &Accessor<HostState>) -> wasmtime::Result<R> {
        let result = self.function.finish_call_concurrent(accessor, self.call).await?;
        accessor.with(|mut access| access.data_mut().meter.progress());
        Ok(result)
    }
}

/// A call that is under way in the guest, with the way back.
enum Started {
    Start(Queued<(), (Result<(), String>,)>, oneshot::Sender<()>),
    Sync(
        Queued<(SyncId, types::ObjectKey), (SyncResult,)>,
        oneshot::Sender<Result<Outcome, SyncError>>,
    ),
    Observe(Queued<(Vec<Batch>,), ()>, oneshot::Sender<()>),
    Map(
        Queued<MapParams, (Vec<types::ObjectKey>,)>,
        oneshot::Sender<Vec<ObjectKey>>,
    ),
}

impl Started {
    fn order(&self) -> Order {
        match self {
            Self::Observe(..) => Order::Barrier,
            Self::Start(..) | Self::Sync(..) | Self::Map(..) => Order::Concurrent,
        }
    }
}

/// Queues a call in the store. The guest is entered later, by the event loop.
fn start(accessor: &Accessor<HostState>, exports: &Exports, call: Call) -> Result<Started, End> {
    Ok(match call {
        Call::Start(reply) => {
            let queued = Queued::start(accessor, exports.start, ())?;
            accessor.with(|mut access| access.data_mut().start_begins());
            Started::Start(queued, reply)
        }
        Call::Sync { id, key, reply } => {
            let queued = Queued::start(accessor, exports.sync_handler, (id, object_key(&key)))?;
            let task = queued.call.task();
            accessor.with(|mut access| access.data_mut().syncs.insert(task, key));
            Started::Sync(queued, reply)
        }
        Call::Observe { batches, reply } => {
            let function = exports.observe.ok_or_else(|| missing("observer"))?;
            accessor.with(|mut access| note_batches(access.data_mut(), &batches));
            let batches = batches.into_iter().map(Batch::from).collect();
            Started::Observe(Queued::start(accessor, function, (batches,))?, reply)
        }
        Call::Map { watch, delta, reply } => {
            let function = exports.keys_for.ok_or_else(|| missing("mapper"))?;
            let object = &delta.object;
            accessor.with(|mut access| access.data_mut().note_shown(watch, [object.body()]));
            let old = delta.old.as_ref().map(|old| old.body().clone());
            let params = (watch, object_key(object.key()), object.body().clone(), old);
            Started::Map(Queued::start(accessor, function, params)?, reply)
        }
    })
}

fn missing(interface: &str) -> End {
    End::Guest(GuestFailure::Contract(format!("has no `{interface}` export")))
}

/// Waits for a call and sends its result back. A caller that no longer waits is fine.
async fn finish(accessor: &Accessor<HostState>, started: Started) -> Result<Order, End> {
    let order = started.order();
    match started {
        Started::Start(queued, reply) => {
            let limit = accessor.with(|mut access| access.data_mut().limits.start_timeout);
            let started = finish_start(queued.finish(accessor), limit).await?;
            accessor.with(|mut access| access.data_mut().start_deadline = None);
            if let Err(message) = started {
                let message = accessor.with(|mut access| access.data_mut().redactor.redact(message));
                return Err(End::Guest(GuestFailure::Start(message)));
            }
            let _ = reply.send(());
        }
        Started::Sync(queued, reply) => {
            let task = queued.call.task();
            let (result,) = queued.finish(accessor).await?;
            let result = accessor.with(|mut access| {
                let state = access.data_mut();
                state.syncs.remove(&task);
                sync_result(result, &mut state.redactor)
            });
            let _ = reply.send(result);
        }
        Started::Observe(queued, reply) => {
            queued.finish(accessor).await?;
            let _ = reply.send(());
        }
        Started::Map(queued, reply) => {
            let (keys,) = queued.finish(accessor).await?;
            let _ = reply.send(keys.iter().map(core_key).collect());
        }
    }
    Ok(order)
}

async fn finish_start(
    call: impl Future<Output = wasmtime::Result<(Result<(), String>,)>>,
    limit: Duration,
) -> Result<Result<(), String>, End> {
    let (result,) = tokio::time::timeout(limit, call)
        .await
        .map_err(|_elapsed| End::Engine(StartExceeded(limit).into()))??;
    Ok(result)
}

fn note_batches(state: &mut HostState, batches: &[DeltaBatch]) {
    for batch in batches {
        let bodies = batch.deltas.iter().map(|delta| delta.object.body());
        state.note_shown(batch.watch, bodies);
    }
}

fn sync_result(result: SyncResult, redactor: &mut Redactor) -> Result<Outcome, SyncError> {
    match result {
        Ok(handler::Outcome::Done) => Ok(Outcome::Done),
        Ok(handler::Outcome::RequeueAfter(milliseconds)) => {
            Ok(Outcome::RequeueAfter(Duration::from_millis(milliseconds)))
        }
        Err(handler::SyncError::Retry(message)) => Err(SyncError::Retry(redactor.redact(message))),
        Err(handler::SyncError::Terminal(message)) => Err(SyncError::Terminal(redactor.redact(message))),
    }
}
