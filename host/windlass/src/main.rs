//! The `windlass` binary: parses flags, sets up logging, runs one command, and turns an
//! error into one readable message and an exit code.

mod args;
mod commands;
mod configuration;
mod embedded;
mod guests;
mod logging;
mod output;
mod registry;
mod replicas;
mod settings;
mod signals;
mod stock;
mod telemetry;
mod workbench;

use std::process::ExitCode;

use clap::Parser;

use crate::args::Cli;
use crate::logging::Logging;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let logging = Logging::start(&cli.log, cli.command.default_level());
    match logging.and_then(|logging| commands::dispatch(cli.command, &logging)) {
        Ok(code) => code,
        Err(error) => {
            let (red, plain, text) = (logging::ERROR, logging::RESET, output::one_line(&error));
            anstream::eprintln!("{red}error:{plain} {text}");
            ExitCode::FAILURE
        }
    }
}
