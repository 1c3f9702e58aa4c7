//! A live guest: the handle to the task that owns its store.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use smol_str::SmolStr;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use wasmtime::Store;
use windlass_core::key::ObjectKey;
use windlass_core::manifest::WatchId;
use windlass_core::outcome::{GuestFailure, Outcome, SyncError};
use windlass_core::seams::{Delta, DeltaBatch, Guest, SyncId};

use crate::actor::{self, Call, End};
use crate::engine::Engine;
use crate::exports::Exports;
use crate::failure::{Circumstances, Stage, backtrace, classify};
use crate::host::HostState;

/// A live instance of a guest. Dropping it ends the instance; calls in flight then fail
/// with [`GuestFailure::Stopped`].
#[derive(Debug)]
pub struct Instance {
    // Unbounded, because a call must be in order before its future is polled. Its real
    // bound is the caller's: at most `workers` syncs and one batch per watch are awaited.
    calls: mpsc::UnboundedSender<Call>,
    closed: watch::Receiver<Option<GuestFailure>>,
    task: JoinHandle<()>,
}

impl Instance {
    /// Hands a store, in which the guest was instantiated and described, to a task.
    pub(crate) fn spawn(engine: Engine, store: Store<HostState>, exports: Exports) -> Self {
        let (calls, receiver) = mpsc::unbounded_channel();
        let (close, closed) = watch::channel(None);
        let task = tokio::spawn(async move {
            let failure = run(&engine, store, &exports, receiver).await;
            close.send_replace(Some(failure));
        });
        Self { calls, closed, task }
    }

    fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(oneshot::Sender<T>) -> Call,
    ) -> BoxFuture<'static, Result<T, GuestFailure>> {
        let (reply, answer) = oneshot::channel();
        // If the task is gone the call is dropped, and the way back with it.
        drop(self.calls.send(call(reply)));
        let closed = self.closed.clone();
        async move {
            match answer.await {
                Ok(answer) => Ok(answer),
                Err(_) => Err(reason(closed).await),
            }
        }
        .boxed()
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Guest for Instance {
    fn start(&self) -> BoxFuture<'static, Result<(), GuestFailure>> {
        self.call(Call::Start)
    }

    fn sync(
        &self,
        id: SyncId,
        key: ObjectKey,
    ) -> BoxFuture<'static, Result<Result<Outcome, SyncError>, GuestFailure>> {
        self.call(|reply| Call::Sync { id, key, reply })
    }

    fn observe(&self, batches: Vec<DeltaBatch>) -> BoxFuture<'static, Result<(), GuestFailure>> {
        self.call(|reply| Call::Observe { batches, reply })
    }

    fn map(&self, watch: WatchId, delta: Delta) -> BoxFuture<'static, Result<Vec<ObjectKey>, GuestFailure>> {
        self.call(|reply| Call::Map { watch, delta, reply })
    }

    fn closed(&self) -> BoxFuture<'static, GuestFailure> {
        reason(self.closed.clone()).boxed()
    }
}

async fn reason(mut closed: watch::Receiver<Option<GuestFailure>>) -> GuestFailure {
    // The task may have been aborted before it could say why.
    let reason = closed
        .wait_for(Option::is_some)
        .await
        .map_or(None, |reason| reason.clone());
    reason.unwrap_or(GuestFailure::Stopped)
}

async fn run(
    engine: &Engine,
    mut store: Store<HostState>,
    exports: &Exports,
    calls: mpsc::UnboundedReceiver<Call>,
) -> GuestFailure {
    let meter = Arc::clone(&store.data().meter);
    let event_loop = store.run_concurrent(async |accessor| actor::serve(accessor, exports, calls).await);
    let end = engine
        .metered(&meter, event_loop)
        .await
        .unwrap_or_else(End::Engine);
    match end {
        End::Guest(failure) => {
            log_failure(&store.data().controller, &failure, "");
            failure
        }
        End::Engine(error) => engine_failure(engine, store.data(), Stage::Running, &error),
    }
}

/// Classifies an error of the engine and logs it, with the guest's backtrace.
pub(crate) fn engine_failure(
    engine: &Engine,
    state: &HostState,
    stage: Stage,
    error: &wasmtime::Error,
) -> GuestFailure {
    let circumstances = Circumstances {
        stage,
        limits: &state.limits,
        stack_bytes: engine.stack_bytes(),
        panic: state.panic.as_deref(),
    };
    let failure = classify(error, circumstances);
    log_failure(&state.controller, &failure, &backtrace(error));
    failure
}

fn log_failure(controller: &SmolStr, failure: &GuestFailure, backtrace: &str) {
    if *failure == GuestFailure::Stopped {
        return;
    }
    let label = failure.label();
    tracing::error!(%controller, failure = label, error = %failure, backtrace, "guest instance failed");
}
