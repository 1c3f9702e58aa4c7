//! The commands, one module each.

mod build;
mod config;
mod demo;
mod dev;
mod dry_run;
mod generate;
mod inspect;
mod new;
mod pull;
mod push;
mod rbac;
mod record;
mod replay;
mod run;
mod status;
mod test;
mod up;

use std::process::ExitCode;

use anyhow::Context;
use clap::CommandFactory;

use crate::args::{Cli, Command};
use crate::logging::Logging;
use crate::output;

impl Command {
    /// What is logged when neither `--log` nor a configuration says it: servers tell what they do,
    /// tools only what is wrong.
    pub(crate) fn default_level(&self) -> &'static str {
        match self {
            Self::Up(_) | Self::Dev(_) | Self::Run(_) | Self::Record(_) => "info",
            Self::Demo(_) => "error",
            Self::Status(_)
            | Self::Top(_)
            | Self::New(_)
            | Self::Sdk(_)
            | Self::Test(_)
            | Self::Build(_)
            | Self::Generate(_)
            | Self::Inspect(_)
            | Self::Replay(_)
            | Self::Config(_)
            | Self::Rbac(_)
            | Self::Push(_)
            | Self::Pull(_)
            | Self::Completions(_) => "warn",
        }
    }
}

/// Runs one command to its end.
pub(crate) fn dispatch(command: Command, logging: &Logging) -> anyhow::Result<ExitCode> {
    match command {
        Command::Up(args) => runtime()?.block_on(up::up(args, logging)),
        Command::New(args) => new::new(&args),
        Command::Sdk(args) => new::sdk(&args),
        Command::Test(args) => runtime()?.block_on(test::test(args, logging)),
        Command::Dev(args) => runtime()?.block_on(dev::dev(args, logging)),
        Command::Run(args) => runtime()?.block_on(run::run(args, logging)),
        Command::Record(args) => runtime()?.block_on(record::record(args, logging)),
        Command::Replay(args) => runtime()?.block_on(replay::replay(args)),
        Command::Demo(args) => runtime()?.block_on(demo::demo(args, logging)),
        Command::Status(args) => runtime()?.block_on(status::status(args)),
        Command::Top(args) => runtime()?.block_on(status::top(args)),
        Command::Build(args) => runtime()?.block_on(build::build(args)),
        Command::Generate(command) => generate::generate(command),
        Command::Inspect(args) => runtime()?.block_on(inspect::inspect(args)),
        Command::Config(command) => runtime()?.block_on(config::config(command)),
        Command::Rbac(args) => runtime()?.block_on(rbac::rbac(args)),
        Command::Push(args) => runtime()?.block_on(push::push(args)),
        Command::Pull(args) => runtime()?.block_on(pull::pull(args)),
        Command::Completions(args) => {
            let mut script = Vec::new();
            clap_complete::generate(args.shell, &mut Cli::command(), "windlass", &mut script);
            output::print_bytes(&script)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the thread pool")
}
