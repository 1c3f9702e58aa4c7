//! `windlass build`: from a project to a guest.

use std::process::ExitCode;

use anyhow::Context;
use bytes::Bytes;
use windlass_engine::limits::Limits;

use super::inspect;
use crate::args::BuildArgs;
use crate::output::{out, outln};
use crate::workbench::Workbench;

pub(crate) async fn build(args: BuildArgs) -> anyhow::Result<ExitCode> {
    let workbench = Workbench::open(&args.folder, args.out, args.toolchains)?;
    let artifact = workbench.build().await?;
    out!("{}", workbench.summary(&artifact)?)?;
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
