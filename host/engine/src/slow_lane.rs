//! Threads of low priority for guests that compute for long.
//!
//! A guest runs on the thread of the task that calls it, which is what makes a call
//! cheap. One that computes past a tick would hold that thread, with all tasks that wait
//! for it, and a core that other modules could use. So it is taken off: until it waits or
//! ends it is polled here, on threads that the kernel lets run only when nobody else
//! wants to, then it goes back.
//!
//! Promises: at most one thread less than the machine has cores computes for such guests,
//! turn by turn; what they start, they start on the runtime that they came from; a guest
//! that is dropped while it is away has stopped when the drop returns.
//!
//! Only guests of a multi-threaded runtime take the detour. On one thread, as in tests
//! with a paused clock, everything stays in one order.

use std::future::poll_fn;
use std::num::NonZero;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use tokio::runtime::{self, Handle, Runtime, RuntimeFlavor};
use tokio::sync::oneshot;
use windlass_core::outcome::GuestFailure;

use crate::meter::CpuMeter;

/// A tenth of the weight of an ordinary thread, so that a guest still gets on where the
/// machine is short of CPU for long.
const NICENESS: i32 = 10;

/// A live instance, running.
pub(crate) type Running = BoxFuture<'static, GuestFailure>;

/// Owns the threads.
#[derive(Debug)]
pub(crate) struct SlowLane {
    /// Gone only while it is dropped.
    runtime: Option<Runtime>,
}

impl SlowLane {
    /// Starts the threads.
    pub(crate) fn spawn() -> std::io::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(cores.saturating_sub(1).max(1))
            .thread_name("windlass-slow")
            .on_thread_start(lower_priority)
            .build()?;
        Ok(Self {
            runtime: Some(runtime),
        })
    }

    /// Takes a guest in until it waits. Gives it back if it must stay where it is.
    pub(crate) fn take_in(&self, running: Running, meter: &Arc<CpuMeter>) -> Result<Away, Running> {
        let Some((lane, home)) = self.runtime.as_ref().zip(home()) else {
            return Err(running);
        };
        let running = Arc::new(Mutex::new(Some(running)));
        let (tell, told) = oneshot::channel();
        let visit = visit(Arc::clone(&running), Arc::clone(meter), home);
        lane.spawn(async move {
            // Nobody listens once the guest has been dropped.
            let _ = tell.send(visit.await);
        });
        Ok(Away { running, told })
    }
}

impl Drop for SlowLane {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // The last engine may be dropped in a task, which must not wait. Whatever still
            // runs belongs to instances that went before.
            runtime.shutdown_background();
        }
    }
}

/// Where the guest came from, if it may leave.
fn home() -> Option<Handle> {
    let home = Handle::try_current().ok()?;
    (home.runtime_flavor() == RuntimeFlavor::MultiThread).then_some(home)
}

/// A thread that cannot be lowered is a thread like any other.
fn lower_priority() {
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::warn!(%error, "the threads for guests that compute for long have an ordinary priority");
    }
}

/// Polls the guest until it waits, and returns its end if that came first.
async fn visit(
    slot: Arc<Mutex<Option<Running>>>,
    meter: Arc<CpuMeter>,
    home: Handle,
) -> Option<GuestFailure> {
    poll_fn(|context| {
        let _home = home.enter();
        let mut slot = slot.lock();
        let Some(running) = slot.as_mut() else {
            return Poll::Ready(None);
        };
        match running.as_mut().poll(context) {
            Poll::Ready(failure) => {
                *slot = None;
                Poll::Ready(Some(failure))
            }
            Poll::Pending if meter.is_yielding() => Poll::Pending,
            Poll::Pending => Poll::Ready(None),
        }
    })
    .await
}

/// A guest that has been taken in.
pub(crate) struct Away {
    running: Arc<Mutex<Option<Running>>>,
    told: oneshot::Receiver<Option<GuestFailure>>,
}

/// How a guest comes back.
pub(crate) enum Back {
    Running(Running),
    Ended(GuestFailure),
}

impl Away {
    /// Waits for it.
    pub(crate) fn poll_back(&mut self, context: &mut Context<'_>) -> Poll<Back> {
        let told = ready!(self.told.poll_unpin(context));
        let ended = told.ok().flatten();
        let running = self.running.lock().take();
        Poll::Ready(match (ended, running) {
            (Some(failure), _) => Back::Ended(failure),
            (None, Some(running)) => Back::Running(running),
            // It was lost to a panic, or to the end of the threads.
            (None, None) => Back::Ended(GuestFailure::Stopped),
        })
    }
}

impl Drop for Away {
    fn drop(&mut self) {
        // Waits for the guest's next tick if it computes at this moment: after the drop it
        // must not send one more write.
        drop(self.running.lock().take());
    }
}
