//! Where log lines go: standard error, as text or JSON, coloured only on a terminal.
//!
//! Flags come before the configuration. What is logged follows the configuration while the
//! process runs; the form of a line is settled once, before the first module starts,
//! because whoever reads the lines expects one form.

use std::io::IsTerminal;

use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt};
use windlass_manager::config::host::{LogEntry, LogFormat};

use crate::args::LogArgs;

/// Style of the word `error`.
pub(crate) const ERROR: anstyle::Style = anstyle::AnsiColor::Red
    .on_default()
    .effects(anstyle::Effects::BOLD);
/// End of any style.
pub(crate) const RESET: anstyle::Reset = anstyle::Reset;

type Lines = Box<dyn Layer<Registry> + Send + Sync>;

/// The log of this process. Cheap to clone; clones are the same.
#[derive(Clone)]
pub(crate) struct Logging {
    flags: LogArgs,
    lines: reload::Handle<Lines, Registry>,
}

impl Logging {
    /// Installs the subscriber. `default_level` holds where no flag says otherwise, until
    /// there is a configuration.
    pub(crate) fn start(flags: &LogArgs, default_level: &str) -> anyhow::Result<Self> {
        let entry = LogEntry {
            level: default_level.to_owned(),
            ..LogEntry::default()
        };
        let (layer, lines) = reload::Layer::new(lines(&effective(flags, &entry))?);
        tracing_subscriber::registry().with(layer).init();
        Ok(Self {
            flags: flags.clone(),
            lines,
        })
    }

    /// Follows a configuration, form and all. For before anything runs.
    pub(crate) fn adopt(&self, entry: &LogEntry) -> anyhow::Result<()> {
        self.set(&effective(&self.flags, entry))
    }

    /// Follows a configuration as far as that is possible while modules run: the form stays
    /// as it is in `started`.
    pub(crate) fn follow(&self, started: &LogEntry, entry: &LogEntry) -> anyhow::Result<()> {
        self.set(&LogEntry {
            format: effective(&self.flags, started).format,
            ..effective(&self.flags, entry)
        })
    }

    /// Whether the configuration says which form lines have.
    pub(crate) fn is_format_configured(&self) -> bool {
        self.flags.log_format.is_none()
    }

    fn set(&self, entry: &LogEntry) -> anyhow::Result<()> {
        Ok(self.lines.reload(lines(entry)?)?)
    }
}

/// What a configuration comes to with the flags before it.
fn effective(flags: &LogArgs, entry: &LogEntry) -> LogEntry {
    LogEntry {
        level: flags.log.clone().unwrap_or_else(|| entry.level.clone()),
        format: flags.log_format.map_or(entry.format, LogFormat::from),
    }
}

fn lines(entry: &LogEntry) -> anyhow::Result<Lines> {
    let filter: Targets = entry.level.parse()?;
    let lines = fmt::layer().with_writer(std::io::stderr);
    Ok(match entry.format {
        LogFormat::Text => filter
            .and_then(
                lines
                    .with_ansi(std::io::stderr().is_terminal())
                    .with_target(false),
            )
            .boxed(),
        LogFormat::Json => filter.and_then(lines.json().flatten_event(true)).boxed(),
    })
}
