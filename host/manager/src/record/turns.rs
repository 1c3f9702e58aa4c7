//! One thing at a time: tells a guest the next thing only when it waits.
//!
//! A guest is one thread of computation, so what it does between two things that it is
//! told depends on those things and on its state alone. If it is told the next one only
//! once it has come to rest, the order in which it was told them says everything about
//! how its syncs ran through each other. That order is what a recording keeps and what a
//! replay repeats. API calls still overlap at the server; only their answers queue up.

use std::collections::VecDeque;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures::task::AtomicWaker;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use windlass_core::outcome::GuestFailure;
use windlass_engine::instance::Driver;

/// How often a guest that keeps waking itself is polled before it is told the next thing
/// all the same: it may be spinning until it hears of it.
const PATIENCE: u32 = 1000;

/// Knows what a guest is to be told next.
pub(crate) trait Conductor: Send + Sync {
    /// The guest waits. Tells it one thing; false if there is nothing to tell.
    fn tell_next(&self) -> bool;
    /// Wakes this when there may be something to tell.
    fn wake_when_there_is(&self, waker: &Waker);
    /// The instance is gone; whoever waits for a turn gets none.
    fn close(&self);
}

/// A driver that asks a conductor whenever its guest waits.
pub(crate) struct Paced {
    driver: Driver,
    conductor: Arc<dyn Conductor>,
    signal: Arc<Signal>,
    waker: Waker,
    impatience: u32,
}

/// Notes that the driver asked to be polled again.
#[derive(Default)]
struct Signal {
    woken: AtomicBool,
    outer: AtomicWaker,
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.outer.wake();
    }
}

impl Paced {
    pub(crate) fn new(driver: Driver, conductor: Arc<dyn Conductor>) -> Self {
        let signal = Arc::new(Signal::default());
        Self {
            driver,
            conductor,
            waker: Waker::from(Arc::clone(&signal)),
            signal,
            impatience: 0,
        }
    }

    fn is_busy(&mut self) -> bool {
        if self.driver.is_computing() {
            return true;
        }
        let woken = self.signal.woken.load(Ordering::Acquire);
        self.impatience = if woken { self.impatience + 1 } else { 0 };
        woken && self.impatience < PATIENCE
    }
}

impl Future for Paced {
    type Output = GuestFailure;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<GuestFailure> {
        let this = &mut *self;
        this.signal.outer.register(context.waker());
        this.conductor.wake_when_there_is(context.waker());
        let waker = this.waker.clone();
        loop {
            this.signal.woken.store(false, Ordering::Release);
            // A task's budget that runs out must not look like a guest that waits.
            let driver = pin!(tokio::task::unconstrained(&mut this.driver));
            if let Poll::Ready(failure) = driver.poll(&mut Context::from_waker(&waker)) {
                return Poll::Ready(failure);
            }
            if this.is_busy() || !this.conductor.tell_next() {
                return Poll::Pending;
            }
            this.impatience = 0;
        }
    }
}

impl Drop for Paced {
    fn drop(&mut self) {
        self.conductor.close();
    }
}

/// Tells a guest something; false if nobody waits for it any more.
pub(crate) type Turn = Box<dyn FnOnce() -> bool + Send>;

/// A conductor of whoever comes first.
pub(crate) struct Turns {
    /// `None` once closed.
    queue: Mutex<Option<VecDeque<Turn>>>,
    waker: AtomicWaker,
    /// Called when the guest waits and there is nothing to tell it.
    at_rest: Box<dyn Fn() + Send + Sync>,
}

impl Turns {
    pub(crate) fn new(at_rest: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            queue: Mutex::new(Some(VecDeque::new())),
            waker: AtomicWaker::new(),
            at_rest: Box::new(at_rest),
        }
    }

    /// Queues a turn; drops it if the instance is gone.
    pub(crate) fn queue(&self, turn: Turn) {
        if let Some(queue) = &mut *self.queue.lock() {
            queue.push_back(turn);
        }
        self.waker.wake();
    }

    /// Waits for a turn.
    pub(crate) async fn wait(&self) {
        let (go, gone) = oneshot::channel();
        self.queue(Box::new(move || go.send(()).is_ok()));
        // An error means that the instance is gone, and nobody will hear anything.
        let _ = gone.await;
    }

    fn next(&self) -> Option<Turn> {
        self.queue.lock().as_mut()?.pop_front()
    }
}

impl Conductor for Turns {
    fn tell_next(&self) -> bool {
        while let Some(turn) = self.next() {
            if turn() {
                return true;
            }
        }
        (self.at_rest)();
        false
    }

    fn wake_when_there_is(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    fn close(&self) {
        self.queue.lock().take();
    }
}
