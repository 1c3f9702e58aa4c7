//! The thread that advances the engine's epoch while guests run.
//!
//! Promises: at most one tick per [`TICK`]; no wake-ups while no guest runs; the thread
//! ends when its owner is dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;

/// Distance of two epochs: how long a computing guest holds its thread before it yields.
pub(crate) const TICK: Duration = Duration::from_millis(1);

/// Ticks without a running guest after which the thread goes to sleep. Waking it costs a
/// system call in the path of a sync, so a busy host should not do it often.
const IDLE_TICKS: u32 = 200;

#[derive(Debug, Default)]
struct Shared {
    /// Guests being polled at this moment.
    running: AtomicUsize,
    /// Whether one was polled since the last tick.
    active: AtomicBool,
    asleep: AtomicBool,
    stopped: AtomicBool,
}

/// Owns the thread.
#[derive(Debug)]
pub(crate) struct Ticker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// Keeps the epoch advancing while a guest is polled.
#[derive(Debug)]
pub(crate) struct RunningGuard<'a>(&'a Shared);

impl Ticker {
    /// Starts the thread; `advance` is called at each tick.
    pub(crate) fn spawn(advance: impl Fn() + Send + 'static) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let thread = thread::Builder::new().name("windlass-epoch".to_owned()).spawn({
            let shared = Arc::clone(&shared);
            move || run(&shared, advance)
        })?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// A guest is about to be polled.
    pub(crate) fn enter(&self) -> RunningGuard<'_> {
        let shared = &*self.shared;
        // Sequentially consistent, as in `sleep`: one of the two sides must see the other.
        shared.running.fetch_add(1, Ordering::SeqCst);
        shared.active.store(true, Ordering::Relaxed);
        if shared.asleep.load(Ordering::SeqCst) {
            shared.asleep.store(false, Ordering::SeqCst);
            self.thread().unpark();
        }
        RunningGuard(shared)
    }

    fn thread(&self) -> &Thread {
        self.thread
            .as_ref()
            .expect("the thread is taken only on drop")
            .thread()
    }
}

impl Drop for RunningGuard<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It cannot panic: it only counts.
            drop(thread.join());
        }
    }
}

fn run(shared: &Shared, advance: impl Fn()) {
    let mut idle_ticks = 0;
    while !shared.stopped.load(Ordering::SeqCst) {
        thread::park_timeout(TICK);
        advance();
        let active =
            shared.active.swap(false, Ordering::Relaxed) || shared.running.load(Ordering::SeqCst) > 0;
        idle_ticks = if active { 0 } else { idle_ticks + 1 };
        if idle_ticks >= IDLE_TICKS {
            sleep(shared);
            idle_ticks = 0;
        }
    }
}

fn sleep(shared: &Shared) {
    shared.asleep.store(true, Ordering::SeqCst);
    if shared.running.load(Ordering::SeqCst) > 0 {
        shared.asleep.store(false, Ordering::SeqCst);
    }
    while shared.asleep.load(Ordering::SeqCst) && !shared.stopped.load(Ordering::SeqCst) {
        thread::park();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn it_sleeps_without_guests_and_wakes_for_one() {
        let (tick, ticks) = mpsc::channel();
        let ticker = Ticker::spawn(move || {
            let _ = tick.send(());
        })
        .unwrap();
        while !ticker.shared.asleep.load(Ordering::SeqCst) {
            thread::yield_now();
        }
        while ticks.try_recv().is_ok() {}
        let running = ticker.enter();
        ticks.recv().unwrap();
        ticks.recv().unwrap();
        drop(running);
        drop(ticker);
        // The sender went with the thread.
        while ticks.recv().is_ok() {}
    }
}
