//! Where log lines go: standard error, as text or JSON, coloured only on a terminal.

use std::io::IsTerminal;

use anyhow::Context;
use tracing_subscriber::EnvFilter;

use crate::args::{LogArgs, LogFormat};

/// Style of the word `error`.
pub(crate) const ERROR: anstyle::Style = anstyle::AnsiColor::Red
    .on_default()
    .effects(anstyle::Effects::BOLD);
/// End of any style.
pub(crate) const RESET: anstyle::Reset = anstyle::Reset;

/// Installs the subscriber. `default_level` holds when no `--log` was given.
pub(crate) fn init(args: &LogArgs, default_level: &str) -> anyhow::Result<()> {
    let filter = args.log.as_deref().unwrap_or(default_level);
    let filter = EnvFilter::try_new(filter).with_context(|| {
        format!("--log {filter:?} is not a log filter; write a level such as info, or target=level pairs")
    })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match args.log_format {
        LogFormat::Text => builder
            .with_ansi(std::io::stderr().is_terminal())
            .with_target(false)
            .init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
    Ok(())
}
