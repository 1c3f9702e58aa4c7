//! `windlass replay`: a guest on a recording, offline.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use bytes::Bytes;
use jiff::Timestamp;
use windlass_engine::limits::Limits;
use windlass_manager::record::format::{Header, Recording};
use windlass_manager::record::print::Line;
use windlass_manager::record::replay::{self as replaying, Report};

use super::inspect;
use crate::args::ReplayArgs;
use crate::{guests, output};

/// The guest did something otherwise.
const DIFFERS: u8 = 2;

pub(crate) async fn replay(args: ReplayArgs) -> anyhow::Result<ExitCode> {
    let name = args.file.display();
    let file = std::fs::read(&args.file).with_context(|| format!("cannot read {name}"))?;
    let recording = Recording::read(&file).with_context(|| name.to_string())?;
    let mut out = output::stdout();
    head(&mut out, &recording.header)?;
    if args.print {
        for (at, entry) in &recording.entries {
            writeln!(out, "{}", Line(*at, entry))?;
        }
    }
    let Some(module) = &args.module else {
        return Ok(ExitCode::SUCCESS);
    };
    let config = args
        .module_config
        .unwrap_or_else(|| recording.header.config.clone());
    let config: serde_json::Value = serde_json::from_str(&config).context("--module-config is not JSON")?;
    let config = Bytes::from(config.to_string());
    let guest = guests::engine(args.cache_dir.as_deref())?
        .load(
            module,
            inspect::read(module)?,
            config.clone(),
            &Limits::from(&recording.header.limits),
        )
        .await
        .with_context(|| format!("cannot load {module}"))?;
    writeln!(
        out,
        "Replayed:  {} {}, sha256:{}",
        guest.manifest.name, guest.manifest.version, guest.digest
    )?;
    let report = replaying::replay(&recording, &guest, config).await;
    show(&mut out, &report)?;
    Ok(if report.is_same() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(DIFFERS)
    })
}

fn head(out: &mut impl Write, header: &Header) -> std::io::Result<()> {
    let started = i64::try_from(header.started_unix_ms)
        .ok()
        .and_then(|started| Timestamp::from_millisecond(started).ok());
    let started = started.map_or_else(String::new, |started| format!(" at {started}"));
    writeln!(
        out,
        "Recording: module {}{started}, by windlass {}, contract {}",
        header.module, header.windlass, header.contract
    )?;
    writeln!(
        out,
        "Recorded:  {} {}, sha256:{}, {}",
        header.guest, header.guest_version, header.digest, header.origin
    )
}

fn show(out: &mut impl Write, report: &Report) -> std::io::Result<()> {
    for difference in &report.differences {
        writeln!(out, "{difference}")?;
    }
    for note in &report.notes {
        writeln!(out, "Note: {note}.")?;
    }
    writeln!(
        out,
        "{} of {} recorded writes made again, {} of {} syncs the same, {} differences.",
        report.same_writes,
        report.recorded_writes,
        report.same_syncs,
        report.same_syncs + report.different_syncs,
        report.total
    )
}
