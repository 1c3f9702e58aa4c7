//! The host's own settings while it runs: what the configuration says besides its modules,
//! with the flags before it.
//!
//! Promises: a change takes effect at once where it can; one that cannot is told once, by
//! its key.

use std::time::Duration;

use windlass_cluster::call_budget::CallBudget;
use windlass_manager::config::HostConfiguration;
use windlass_manager::config::host::ApiServerEntry;
use windlass_manager::host::Host;

use crate::args::HostArgs;
use crate::logging::Logging;
use crate::output::one_line;

/// Settings and where they came from.
pub(crate) struct Settings {
    flags: HostArgs,
    logging: Logging,
    /// What the process was started with.
    started: HostConfiguration,
    /// What bounds the calls of all modules at this moment.
    api_server: ApiServerEntry,
    /// Keys of which was told that they wait for a restart.
    waiting: Vec<&'static str>,
}

impl Settings {
    /// Takes up everything that a configuration says, before any module runs.
    pub(crate) fn adopt(
        flags: &HostArgs,
        logging: &Logging,
        configuration: &HostConfiguration,
    ) -> anyhow::Result<Self> {
        logging.adopt(&configuration.log)?;
        Ok(Self::of(flags, logging, configuration))
    }

    /// Those without a configuration file.
    pub(crate) fn defaults(flags: &HostArgs, logging: &Logging) -> Self {
        Self::of(flags, logging, &HostConfiguration::default())
    }

    fn of(flags: &HostArgs, logging: &Logging, configuration: &HostConfiguration) -> Self {
        Self {
            flags: flags.clone(),
            logging: logging.clone(),
            started: HostConfiguration {
                modules: Vec::new(),
                ..configuration.clone()
            },
            api_server: configuration.api_server.clone(),
            waiting: Vec::new(),
        }
    }

    /// How long running syncs get under a configuration.
    pub(crate) fn shutdown_grace(&self, configuration: Option<&HostConfiguration>) -> Duration {
        self.flags.shutdown_grace(configuration.unwrap_or(&self.started))
    }

    /// Bounds the calls of all modules together.
    pub(crate) fn limit(&self, budget: &CallBudget) {
        budget.set(self.api_server.qps, self.api_server.burst);
    }

    /// Takes up a configuration that has changed, as far as that is possible now.
    pub(crate) fn follow(&mut self, configuration: &HostConfiguration, host: &Host, budget: &CallBudget) {
        if let Err(error) = self.logging.follow(&self.started.log, &configuration.log) {
            tracing::error!(error = one_line(&error), "the log stays as it is");
        }
        host.set_grace(self.shutdown_grace(Some(configuration)));
        if configuration.api_server != self.api_server {
            self.api_server = configuration.api_server.clone();
            self.limit(budget);
        }
        let waiting = self.waiting_for_restart(configuration);
        if waiting != self.waiting {
            match waiting.as_slice() {
                [] => tracing::info!("no change waits for a restart any more"),
                keys => tracing::warn!(
                    keys = keys.join(", "),
                    "these keys have changed and count only after a restart of the host"
                ),
            }
        }
        self.waiting = waiting;
    }

    /// The keys that have another value than at the start and cannot follow. One that a
    /// flag comes before does not count either way.
    fn waiting_for_restart(&self, now: &HostConfiguration) -> Vec<&'static str> {
        let (started, flags) = (&self.started, &self.flags);
        let keys = [
            (
                "statusAddress",
                flags.status_address.is_none() && started.status_address != now.status_address,
            ),
            ("otlp", started.otlp != now.otlp),
            (
                "log.format",
                self.logging.is_format_configured() && started.log.format != now.log.format,
            ),
            ("leaderElection", started.leader_election != now.leader_election),
            (
                "cacheDir",
                flags.cache_dir.is_none() && started.cache_dir != now.cache_dir,
            ),
        ];
        keys.into_iter()
            .filter_map(|(key, waits)| waits.then_some(key))
            .collect()
    }
}
