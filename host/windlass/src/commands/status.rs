//! `windlass status` and `windlass top`: how a running host fares, in a terminal.

use std::io::IsTerminal;
use std::process::ExitCode;

use windlass_telemetry::client::fetch_status;
use windlass_telemetry::terminal::{Output, SortKey, render, run_top};

use crate::args::{StatusArgs, StatusOutput, TopArgs};
use crate::output::out;

pub(crate) async fn status(args: StatusArgs) -> anyhow::Result<ExitCode> {
    let status = fetch_status(&args.address).await?;
    let output = match args.output {
        StatusOutput::Table => Output::Human,
        StatusOutput::Wide => Output::Wide,
        StatusOutput::Json => Output::Json,
        StatusOutput::Yaml => Output::Yaml,
    };
    let terminal = std::io::stdout().is_terminal();
    let columns = std::env::var("COLUMNS")
        .ok()
        .and_then(|columns| columns.parse().ok());
    // Colours that the terminal does not want are stripped on the way.
    out!(
        "{}",
        render(&status, output, columns.filter(|_| terminal), terminal)?
    )?;
    Ok(if status.is_ready() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

pub(crate) async fn top(args: TopArgs) -> anyhow::Result<ExitCode> {
    run_top(&args.address, args.interval, SortKey::default()).await?;
    Ok(ExitCode::SUCCESS)
}
