//! A live guest: the handle that calls are made on, and the driver that owns its store.
//!
//! The two are apart so that the caller decides which task polls the guest. Polled from
//! the task that makes the calls, a call costs no switch between threads.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures::FutureExt;
use futures::future::BoxFuture;
use smol_str::SmolStr;
use tokio::sync::{mpsc, oneshot, watch};
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
use crate::meter::CpuMeter;
use crate::slow_lane::{Away, Back, Running};

/// A live instance of a guest. Dropping it ends the instance once nothing is in flight.
#[derive(Debug)]
pub struct Instance {
    // Unbounded, because a call must be in order before its future is polled. Its real
    // bound is the caller's: at most `workers` syncs and one batch per watch are awaited.
    calls: mpsc::UnboundedSender<Call>,
    closed: watch::Receiver<Option<GuestFailure>>,
}

/// Runs a guest for as long as it is polled, and resolves with the reason when the
/// instance is gone. Nothing happens in the guest unless somebody polls this. Dropping it
/// ends the instance at once; calls in flight then fail with [`GuestFailure::Stopped`].
#[must_use = "a guest runs only while its driver is polled"]
pub struct Driver {
    place: Place,
    meter: Arc<CpuMeter>,
    engine: Engine,
}

/// Where the guest is polled.
enum Place {
    Here(Running),
    Away(Away),
}

impl Driver {
    /// Whether the guest was interrupted in the middle of a computation. While it was not,
    /// a driver that is pending and did not wake itself means that the guest waits.
    #[must_use]
    pub fn is_computing(&self) -> bool {
        matches!(self.place, Place::Away(_)) || self.meter.is_yielding()
    }

    /// The guest computes for long: it should do that elsewhere. False if it stays.
    fn send_away(&mut self) -> bool {
        let Place::Here(running) = &mut self.place else {
            return false;
        };
        let running = std::mem::replace(running, std::future::pending().boxed());
        let (place, leaves) = match self.engine.slow_lane().take_in(running, &self.meter) {
            Ok(away) => (Place::Away(away), true),
            Err(running) => (Place::Here(running), false),
        };
        self.place = place;
        leaves
    }
}

impl Future for Driver {
    type Output = GuestFailure;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<GuestFailure> {
        loop {
            match &mut self.place {
                Place::Here(running) => {
                    if let Poll::Ready(failure) = running.as_mut().poll(context) {
                        return Poll::Ready(failure);
                    }
                    if !self.meter.is_yielding() || !self.send_away() {
                        return Poll::Pending;
                    }
                }
                Place::Away(away) => match ready!(away.poll_back(context)) {
                    Back::Running(running) => self.place = Place::Here(running),
                    Back::Ended(failure) => return Poll::Ready(failure),
                },
            }
        }
    }
}

impl Instance {
    /// Takes a store in which the guest was instantiated and described.
    pub(crate) fn new(engine: Engine, store: Store<HostState>, exports: Exports) -> (Self, Driver) {
        let (calls, receiver) = mpsc::unbounded_channel();
        let (close, closed) = watch::channel(None);
        let meter = Arc::clone(&store.data().meter);
        let driven_by = engine.clone();
        let running = async move {
            let failure = run(&engine, store, &exports, receiver).await;
            close.send_replace(Some(failure.clone()));
            failure
        };
        let driver = Driver {
            place: Place::Here(running.boxed()),
            meter,
            engine: driven_by,
        };
        (Self { calls, closed }, driver)
    }

    fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(oneshot::Sender<T>) -> Call,
    ) -> BoxFuture<'static, Result<T, GuestFailure>> {
        let (reply, answer) = oneshot::channel();
        // If the driver is gone the call is dropped, and the way back with it.
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
    // The driver may have been dropped before it could say why.
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
        panic: state.panic.as_deref().or(state.streams.last_words()),
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
