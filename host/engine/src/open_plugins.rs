//! The plugins that one instance of a scheduler has opened.
//!
//! Promises: whatever a plugin does ends in an answer to the scheduler and costs at most
//! the plugin's own instance. The next instance is made when it is called again and its
//! back-off is over; until then calls fail at once, for the reason that the last one ended.

use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmtime::component::{ComponentNamedList, Lift, Lower, TypedFunc};
use windlass_core::rate_limiter::{Backoff, BackoffConfig};

use crate::failure::Stage;
use crate::host::Caller;
use crate::plugin::{Exports, Live, LoadedPlugin, Plugins};

/// Plugins that keep failing. Pods wait for them, so not for long.
const AGAIN: BackoffConfig = BackoffConfig {
    initial: Duration::from_millis(100),
    factor: 2.0,
    cap: Duration::from_secs(10),
    jitter: 0.1,
    reset_after: Duration::from_secs(60),
};

/// The plugins that there are, and those that are open.
#[derive(Default)]
pub(crate) struct OpenPlugins {
    available: Plugins,
    open: Vec<OpenPlugin>,
}

impl OpenPlugins {
    /// None open yet.
    pub(crate) fn of(available: Plugins) -> Self {
        Self {
            available,
            open: Vec::new(),
        }
    }

    /// All that may be opened.
    pub(crate) fn available(&self) -> &Plugins {
        &self.available
    }

    /// Makes an instance and starts it.
    ///
    /// # Errors
    /// When there is no such plugin, or it does not start.
    pub(crate) async fn open(&mut self, caller: &Caller, name: &str, args: Vec<u8>) -> Result<u32, String> {
        let plugin = self.available.find(name).cloned();
        let plugin = plugin.ok_or_else(|| format!("this module has no plugin {name:?}"))?;
        let mut open = OpenPlugin {
            plugin,
            args,
            state: State::New,
            backoff: Backoff::new(AGAIN),
        };
        open.ready(caller).await?;
        self.open.push(open);
        u32::try_from(self.open.len() - 1).map_err(|_| "too many open plugins".to_owned())
    }

    /// An open plugin; nothing for a number that was never given out.
    pub(crate) fn get(&mut self, number: u32) -> Option<&mut OpenPlugin> {
        self.open.get_mut(usize::try_from(number).ok()?)
    }
}

/// A plugin with the arguments of one profile.
pub(crate) struct OpenPlugin {
    plugin: LoadedPlugin,
    args: Vec<u8>,
    state: State,
    backoff: Backoff,
}

enum State {
    New,
    Live(Box<Live>),
    Ended { reason: String, until: Instant },
}

impl OpenPlugin {
    /// Calls one of its functions.
    ///
    /// # Errors
    /// When the instance is gone, with the reason.
    pub(crate) async fn call<P, R>(
        &mut self,
        caller: &Caller,
        function: fn(&Exports) -> &TypedFunc<P, R>,
        params: P,
    ) -> Result<R, String>
    where
        P: ComponentNamedList + Lower + Send + Sync + 'static,
        R: ComponentNamedList + Lift + Send + Sync + 'static,
    {
        self.ready(caller).await?;
        let State::Live(live) = &mut self.state else {
            return Err("the plugin is not there".to_owned());
        };
        let function = *function(&live.exports);
        let meter = Arc::clone(&live.store.data().meter);
        let elsewhere = caller.meter.elsewhere();
        let called = function.call_async(&mut live.store, params);
        let result = self.plugin.engine.metered(&meter, called).await;
        meter.progress();
        drop(elsewhere);
        match result {
            Ok(result) => Ok(result),
            Err(error) => {
                let failure = self.plugin.failure(&live.store, Stage::Running, &error);
                Err(self.end(failure.to_string()))
            }
        }
    }

    /// Sees to it that there is an instance.
    async fn ready(&mut self, caller: &Caller) -> Result<(), String> {
        match &self.state {
            State::Live(_) => return Ok(()),
            State::Ended { reason, until } if Instant::now() < *until => {
                return Err(format!("{reason}; it is to be started again"));
            }
            State::New | State::Ended { .. } => {}
        }
        let elsewhere = caller.meter.elsewhere();
        let started = self.start(caller).await;
        drop(elsewhere);
        match started {
            Ok(live) => {
                self.state = State::Live(Box::new(live));
                Ok(())
            }
            Err(reason) => Err(self.end(reason)),
        }
    }

    async fn start(&self, caller: &Caller) -> Result<Live, String> {
        let booted = self.plugin.boot(Some(caller)).await;
        let (mut live, description) = booted.map_err(|failure| failure.to_string())?;
        if description != *self.plugin.description {
            return Err("`describe` differs from what was admitted".to_owned());
        }
        let meter = Arc::clone(&live.store.data().meter);
        let params = (self.args.clone(),);
        let start = live.exports.start.call_async(&mut live.store, params);
        let result = self.plugin.engine.metered(&meter, start).await;
        meter.progress();
        match result {
            Ok((Ok(()),)) => Ok(live),
            Ok((Err(reason),)) => Err(format!("start failed: {reason}")),
            Err(error) => Err(self
                .plugin
                .failure(&live.store, Stage::Running, &error)
                .to_string()),
        }
    }

    fn end(&mut self, reason: String) -> String {
        let now = Instant::now();
        let until = now + self.backoff.next_delay(now);
        self.state = State::Ended {
            reason: reason.clone(),
            until,
        };
        reason
    }
}
