//! `windlass new` and `windlass sdk`: a project to begin with, and the SDK in it.

use std::process::ExitCode;

use anyhow::Context;
use windlass_build::create;
use windlass_build::project::{Language, Project};

use crate::args::{NewArgs, SdkArgs};
use crate::output::outln;

pub(crate) fn new(args: &NewArgs) -> anyhow::Result<ExitCode> {
    let project = create::create(&args.folder, args.name.as_deref(), args.lang)?;
    outln!(
        "Created {}: a controller in {}.\n\n  \
         cd {}\n  \
         windlass dev     run it on a cluster of its own, built and reloaded on every save\n  \
         {:15}  run its unit tests\n  \
         windlass test    run its end-to-end tests\n",
        project.name,
        project.language,
        args.folder.display(),
        unit_tests(project.language),
    )?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn sdk(args: &SdkArgs) -> anyhow::Result<ExitCode> {
    let project = Project::open(&args.folder)?;
    let folder = create::write_sdk(&project)?;
    let shown = folder
        .strip_prefix(&project.folder)
        .context("an SDK is in its project")?;
    outln!(
        "Wrote {}: the SDK for {} of Windlass {}.",
        shown.display(),
        project.language,
        env!("CARGO_PKG_VERSION")
    )?;
    Ok(ExitCode::SUCCESS)
}

/// How a new project's unit tests are run.
fn unit_tests(language: Language) -> &'static str {
    match language {
        Language::Rust => "cargo test",
        Language::Go => "go test ./...",
        Language::Python => "pytest",
        Language::JavaScript => "npm test",
        Language::C => "make test",
    }
}
