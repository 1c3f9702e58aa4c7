//! `windlass config`: what a configuration may say, and whether a file does.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use windlass_manager::config::{HostConfiguration, ModuleEntry, reference};
use windlass_manager::config_file::ConfigFile;
use windlass_manager::controller_modules::definition;

use crate::args::ConfigCommand;
use crate::output::{out, outln};
use crate::stock;

pub(crate) async fn config(command: ConfigCommand) -> anyhow::Result<ExitCode> {
    match command {
        ConfigCommand::Print { config } => {
            let configuration = read_or_default(config.as_deref()).await?;
            out!("{}", configuration.to_yaml().context("cannot write it as YAML")?)?;
        }
        ConfigCommand::Check { file } => {
            let configuration = ConfigFile::open(&file)?.read().await?;
            let modules = match configuration.modules.len() {
                1 => "1 module".to_owned(),
                count => format!("{count} modules"),
            };
            outln!("{} is valid: {modules}", file.display())?;
        }
        ConfigCommand::Schema => {
            let schema = serde_json::to_string_pretty(&HostConfiguration::schema())?;
            outln!("{schema}")?;
        }
        ConfigCommand::Reference => out!("{}", reference::markdown())?,
        ConfigCommand::Crd => {
            let definition = serde_saphyr::to_string(&definition::definition()?);
            out!("{}", definition.context("cannot write it as YAML")?)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The configuration in a file, or what holds without one: every stock guest.
pub(crate) async fn read_or_default(file: Option<&Path>) -> anyhow::Result<HostConfiguration> {
    match file {
        Some(file) => Ok(ConfigFile::open(file)?.read().await?),
        None => Ok(HostConfiguration {
            modules: stock::names().map(ModuleEntry::stock).collect(),
            ..HostConfiguration::default()
        }
        .with_defaults()),
    }
}
