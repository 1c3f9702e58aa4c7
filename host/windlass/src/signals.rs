//! SIGINT and SIGTERM: the first asks for an orderly stop, the second aborts. SIGHUP: look
//! at the configuration and every source again.

use std::process::ExitCode;

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What shells report for a process that a second SIGINT ended.
const ABORTED: u8 = 130;

/// Both signals.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Starts listening. From here on the signals no longer end the process by themselves.
    pub(crate) fn listen() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    /// Runs an orderly stop to its end, unless another signal comes first.
    pub(crate) async fn stop(&mut self, stopping: impl Future<Output = ()>) -> ExitCode {
        tokio::select! {
            () = stopping => ExitCode::SUCCESS,
            () = self.next() => {
                tracing::warn!("second signal, aborting");
                ExitCode::from(ABORTED)
            }
        }
    }
}

/// SIGHUP.
pub(crate) struct Hangups(Signal);

impl Hangups {
    /// Starts listening. From here on the signal no longer ends the process.
    pub(crate) fn listen() -> anyhow::Result<Self> {
        Ok(Self(
            signal(SignalKind::hangup()).context("cannot listen for signals")?,
        ))
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) {
        if self.0.recv().await.is_none() {
            std::future::pending().await
        }
    }
}
