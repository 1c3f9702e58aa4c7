//! `windlass build`: from a project to a guest.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use bytes::Bytes;
use windlass_build::project::Project;
use windlass_build::toolchain::Toolchains;
use windlass_build::{Artifact, Options};
use windlass_engine::limits::Limits;

use super::inspect;
use crate::args::BuildArgs;
use crate::guests;
use crate::output::{out, outln};

const OWN_INTERFACES: &str = "windlass:controller/";

pub(crate) async fn build(args: BuildArgs) -> anyhow::Result<ExitCode> {
    let project = Project::open(&args.folder)?;
    let options = Options {
        out: args.out.clone(),
        toolchains: Toolchains::in_folder(toolchains(args.toolchains)?),
    };
    let language = project.language;
    let building = tokio::task::spawn_blocking(move || windlass_build::build(&project, &options));
    let artifact = building.await.context("the build was aborted")??;
    out!("{}", summary(&artifact, &language.to_string())?)?;
    if args.check {
        let bytes = std::fs::read(&artifact.path).context("cannot read what was built")?;
        let name = artifact.path.display().to_string();
        let guest = inspect::load(&name, Bytes::from(bytes), &args.module_config, &Limits::default()).await?;
        let manifest = &guest.manifest;
        outln!(
            "Checked:  a host loads it as {} {}",
            manifest.name,
            manifest.version
        )?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn toolchains(folder: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    let default = || guests::cache_folder(None).map(|cache| cache.join("toolchains"));
    folder
        .or_else(default)
        .context("there is no home folder to install toolchains in; name one with --toolchains")
}

pub(super) fn summary(artifact: &Artifact, language: &str) -> Result<String, std::fmt::Error> {
    let Artifact { path, built, took } = artifact;
    let (own, foreign): (Vec<&String>, Vec<&String>) = built
        .imports
        .iter()
        .partition(|name| name.starts_with(OWN_INTERFACES));
    let mut out = String::new();
    writeln!(
        out,
        "Built:    {} from {language} in {:.1} s",
        path.display(),
        took.as_secs_f64()
    )?;
    writeln!(out, "Size:     {} KiB", built.size.div_ceil(1024))?;
    writeln!(out, "Imports:  {}", interfaces(&own))?;
    if !foreign.is_empty() {
        writeln!(
            out,
            "          {} of WASI, all of them without anything behind",
            foreign.len()
        )?;
    }
    let exports: Vec<&String> = built
        .exports
        .iter()
        .filter(|name| name.starts_with(OWN_INTERFACES))
        .collect();
    writeln!(out, "Exports:  {}", interfaces(&exports))?;
    Ok(out)
}

/// Names of interfaces without package and version.
fn interfaces(names: &[&String]) -> String {
    let short = |name: &&String| {
        let name = name.strip_prefix(OWN_INTERFACES).unwrap_or(name);
        name.split('@').next().unwrap_or(name).to_owned()
    };
    names.iter().map(short).collect::<Vec<_>>().join(", ")
}
