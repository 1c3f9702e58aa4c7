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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use super::*;

    fn meter() -> Arc<CpuMeter> {
        Arc::new(CpuMeter::new(Duration::MAX, Arc::default()))
    }

    fn thread_name() -> String {
        std::thread::current().name().unwrap_or_default().to_owned()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_guest_is_polled_here_until_it_waits() {
        let (lane, meter) = (SlowLane::spawn().unwrap(), meter());
        let threads: Arc<Mutex<Vec<String>>> = Arc::default();
        let running = {
            let (meter, threads) = (Arc::clone(&meter), Arc::clone(&threads));
            async move {
                for _ in 0..3 {
                    threads.lock().push(thread_name());
                    let yielding = meter.yielding();
                    tokio::task::yield_now().await;
                    drop(yielding);
                }
                std::future::pending().await
            }
        };
        let mut away = lane.take_in(running.boxed(), &meter).ok().unwrap();
        let back = poll_fn(|context| away.poll_back(context)).await;
        assert!(matches!(back, Back::Running(_)));
        assert_eq!(*threads.lock(), ["windlass-slow"; 3]);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_guest_that_ends_here_says_why() {
        let lane = SlowLane::spawn().unwrap();
        let running = std::future::ready(GuestFailure::Trap("oh".to_owned()));
        let mut away = lane.take_in(running.boxed(), &meter()).ok().unwrap();
        let back = poll_fn(|context| away.poll_back(context)).await;
        assert!(matches!(back, Back::Ended(GuestFailure::Trap(_))));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn what_guests_start_runs_where_they_came_from() {
        let (lane, home) = (SlowLane::spawn().unwrap(), Handle::current().id());
        let (tell, told) = oneshot::channel();
        let running = async move {
            let elsewhere = tokio::spawn(async { Handle::current().id() });
            let _ = tell.send(elsewhere);
            std::future::pending().await
        };
        let _away = lane.take_in(running.boxed(), &meter()).ok().unwrap();
        assert_eq!(told.await.unwrap().await.unwrap(), home);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_dropped_guest_has_stopped_when_the_drop_returns() {
        struct Stopped(Arc<AtomicBool>);
        impl Drop for Stopped {
            fn drop(&mut self) {
                self.0.store(true, Ordering::SeqCst);
            }
        }
        let (lane, meter) = (SlowLane::spawn().unwrap(), meter());
        let stopped: Arc<AtomicBool> = Arc::default();
        let running = {
            let (meter, stopped) = (Arc::clone(&meter), Stopped(Arc::clone(&stopped)));
            async move {
                let _stopped = stopped;
                let _yielding = meter.yielding();
                loop {
                    tokio::task::yield_now().await;
                }
            }
        };
        let away = lane.take_in(running.boxed(), &meter).ok().unwrap();
        drop(away);
        assert!(stopped.load(Ordering::SeqCst));
    }

    #[tokio::test]
    async fn a_guest_of_a_single_thread_stays() {
        let lane = SlowLane::spawn().unwrap();
        assert!(lane.take_in(std::future::pending().boxed(), &meter()).is_err());
    }
}
