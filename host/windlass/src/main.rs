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
mod signals;
mod stock;

use std::process::ExitCode;

use clap::Parser;

use crate::args::Cli;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match logging::init(&cli.log, cli.command.default_level()).and_then(|()| commands::dispatch(cli.command))
    {
        Ok(code) => code,
        Err(error) => {
            let (red, plain, text) = (logging::ERROR, logging::RESET, output::one_line(&error));
            anstream::eprintln!("{red}error:{plain} {text}");
            ExitCode::FAILURE
        }
    }
}
