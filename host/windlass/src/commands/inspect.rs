//! `windlass inspect`: what a guest is and needs.

use std::fmt::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use bytes::Bytes;
use windlass_core::CONTRACT_VERSION;
use windlass_core::manifest::{EnqueueRule, OrphanRule, View, WatchSpec, WatchTarget};
use windlass_engine::limits::Limits;
use windlass_engine::load::LoadedGuest;
use windlass_manager::{permissions, rbac};

use crate::args::InspectArgs;
use crate::output::out;
use crate::{guests, stock};

pub(crate) async fn inspect(args: InspectArgs) -> anyhow::Result<ExitCode> {
    let limits = Limits::default();
    let guest = load(&args.guest, read(&args.guest)?, &args.module_config, &limits).await?;
    let text = if args.rbac {
        super::rbac::yaml(&[rbac::cluster_role(
            &format!("windlass-{}", guest.manifest.name),
            &permissions::required(&guest.manifest),
        )])?
    } else {
        describe(&guest, &limits)?
    };
    out!("{text}")?;
    Ok(ExitCode::SUCCESS)
}

/// Loads a guest as a host would, to look at it.
pub(crate) async fn load(
    name: &str,
    bytes: Bytes,
    config: &str,
    limits: &Limits,
) -> anyhow::Result<LoadedGuest> {
    let config: serde_json::Value = serde_json::from_str(config).context("--module-config is not JSON")?;
    let loading = guests::engine(None)?;
    loading
        .load(name, bytes, Bytes::from(config.to_string()), limits)
        .await
        .with_context(|| format!("cannot load {name}"))
}

/// A stock guest by name, otherwise a file.
pub(crate) fn read(guest: &str) -> anyhow::Result<Bytes> {
    if Path::new(guest).exists() {
        return Ok(Bytes::from(
            std::fs::read(guest).with_context(|| format!("cannot read {guest}"))?,
        ));
    }
    match stock::find(guest) {
        Some(bytes) => Ok(Bytes::from_static(bytes?)),
        None => {
            let known = stock::names().collect::<Vec<_>>().join(", ");
            bail!("{guest:?} is neither a file nor a stock guest; the stock guests are {known}")
        }
    }
}

fn describe(guest: &LoadedGuest, limits: &Limits) -> Result<String, std::fmt::Error> {
    let manifest = &guest.manifest;
    let mut out = String::new();
    let handler = if guest.exports.blocking {
        "blocking-handler"
    } else {
        "handler"
    };
    let mut exports = vec![handler];
    exports.extend(guest.exports.observer.then_some("observer"));
    exports.extend(guest.exports.mapper.then_some("mapper"));
    writeln!(out, "Name:         {}", manifest.name)?;
    writeln!(out, "Version:      {}", manifest.version)?;
    writeln!(out, "Contract:     windlass:controller@{CONTRACT_VERSION}")?;
    writeln!(out, "Digest:       sha256:{}", guest.digest)?;
    writeln!(out, "Size:         {} bytes", guest.size_bytes)?;
    writeln!(out, "Exports:      {}", exports.join(", "))?;
    writeln!(out, "Imports:      {}", guest.imports.join("\n              "))?;
    writeln!(out, "Workers:      {}", manifest.workers)?;
    let rate = if manifest.api_qps == 0 {
        "not limited by the guest".to_owned()
    } else {
        format!("{}/s, burst {}", manifest.api_qps, manifest.api_burst)
    };
    writeln!(out, "API calls:    {rate}")?;
    writeln!(out, "Default limits:")?;
    writeln!(out, "  memory      {} MiB", limits.memory_bytes >> 20)?;
    writeln!(out, "  CPU         {:?} without waiting", limits.cpu_budget)?;
    writeln!(out, "  result      {} MiB", limits.result_bytes >> 20)?;
    writeln!(out, "  start       {:?}", limits.start_timeout)?;
    writeln!(out, "Watches:")?;
    for (position, watch) in manifest.watches.iter().enumerate() {
        writeln!(out, "  {position}  {}", watch_line(watch))?;
    }
    writeln!(out, "Permissions:")?;
    for rule in permissions::required(manifest) {
        writeln!(out, "  {}", rule)?;
    }
    Ok(out)
}

fn watch_line(watch: &WatchSpec) -> String {
    let target = match &watch.target {
        WatchTarget::One(resource) => resource.to_string(),
        WatchTarget::Discovered { except } if except.is_empty() => "every deletable resource".to_owned(),
        WatchTarget::Discovered { except } => {
            format!("every deletable resource except {}", except.join(", "))
        }
    };
    let view = match &watch.view {
        View::Full => "whole objects".to_owned(),
        View::Metadata => "metadata".to_owned(),
        View::Fields(fields) => format!("metadata and {} fields", fields.len()),
    };
    let keys = match &watch.enqueue {
        EnqueueRule::None => "no keys".to_owned(),
        EnqueueRule::SelfKey => "enqueues itself".to_owned(),
        EnqueueRule::Owner {
            kind,
            orphans: OrphanRule::Ignore,
            ..
        } => format!("enqueues its {kind}"),
        EnqueueRule::Owner { kind, .. } => format!("enqueues its {kind}, orphans whatever selects them"),
        EnqueueRule::Mapper => "asks the mapper for keys".to_owned(),
    };
    let observed = if watch.observe { ", observed" } else { "" };
    format!("{target} ({view}; {keys}{observed})")
}
