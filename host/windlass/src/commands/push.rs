//! `windlass push`: a guest into a registry.
//!
//! What is pushed is a controller: a component that does not fit the contract is refused,
//! because no host could run it. One of another version of the contract is only warned
//! about, since a host of that version can.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use bytes::Bytes;
use jiff::Timestamp;
use windlass_engine::limits::Limits;
use windlass_engine::load::LoadError;
use windlass_registry::client::PushOptions;
use windlass_registry::digest::Digest;
use windlass_registry::manifest::Description;
use windlass_registry::signing::SigningKey;

use crate::args::PushArgs;
use crate::guests;
use crate::output::outln;
use crate::registry;

/// Where the version of a guest is looked for by people and tools.
const VERSION_ANNOTATION: &str = "org.opencontainers.image.version";

pub(crate) async fn push(args: PushArgs) -> anyhow::Result<ExitCode> {
    // Everything that can be wrong here first.
    let key = args.sign_key.as_deref().map(read_key).transpose()?;
    let bytes = std::fs::read(&args.file).with_context(|| format!("cannot read {}", args.file.display()))?;
    let bytes = Bytes::from(bytes);
    let mut annotations: BTreeMap<String, String> = args.annotations.into_iter().collect();
    if let Some(version) = guest_version(&args.file, bytes.clone()).await? {
        annotations
            .entry(VERSION_ANNOTATION.to_owned())
            .or_insert(version);
    }
    let title = args
        .file
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    let options = PushOptions {
        description: Description {
            created: Timestamp::now(),
            author: None,
            title,
            annotations,
        },
        key: key.as_ref(),
    };
    let client = registry::client(&args.reference, &args.registry, None).await?;
    let component = Digest::of(&bytes);
    let busy = format!(
        "Pushing {} KiB to {} …",
        bytes.len().div_ceil(1024),
        args.reference
    );
    let pushed = registry::patiently(&busy, client.push(&args.reference, bytes, &options)).await;
    let pushed = pushed.map_err(|error| registry::explain(&error))?;
    outln!("Pushed:     {}", args.reference.with_digest(pushed.digest))?;
    outln!("Component:  {component}")?;
    match pushed.signature {
        Some(signature) => outln!("Signature:  {signature}")?,
        None => outln!("Signature:  none")?,
    }
    Ok(ExitCode::SUCCESS)
}

fn read_key(file: &Path) -> anyhow::Result<SigningKey> {
    let pem = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    SigningKey::from_pem(&pem).with_context(|| format!("cannot sign with {}", file.display()))
}

/// The version that a guest says it has; nothing when another host would have to ask it.
async fn guest_version(file: &Path, bytes: Bytes) -> anyhow::Result<Option<String>> {
    let engine = guests::engine(None)?;
    let name = file.display().to_string();
    let limits = Limits::default();
    let loading = engine.load(&name, bytes, Bytes::from_static(b"{}"), &limits);
    match registry::patiently("Checking the component …", loading).await {
        Ok(guest) => Ok(Some(guest.manifest.version.to_string())),
        Err(error @ LoadError::ContractVersion { .. }) => {
            anstream::eprintln!("warning: {name}: {error}; pushed as it is");
            Ok(None)
        }
        // Some guests need their configuration to say what they watch.
        Err(error @ (LoadError::Describe(_) | LoadError::Manifest(_))) => {
            anstream::eprintln!("warning: {name} without a configuration: {error}; pushed as it is");
            Ok(None)
        }
        Err(error) => bail!("{name} is no guest: {error}"),
    }
}
