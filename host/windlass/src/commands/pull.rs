//! `windlass pull`: a guest out of a registry, into a file.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use windlass_registry::client::{Origin, PullOptions};
use windlass_registry::digest::Digest;
use windlass_registry::policy::{Identity, Policy, TrustRoots};
use windlass_registry::reference::Reference;

use crate::args::{PullArgs, VerifyArgs};
use crate::guests;
use crate::output::{self, out};
use crate::registry;

pub(crate) async fn pull(args: PullArgs) -> anyhow::Result<ExitCode> {
    let policy = policy(&args.verify)?;
    let file = args.output.unwrap_or_else(|| default_output(&args.reference));
    let cache = guests::registry_cache(None)?;
    let client = registry::client(&args.reference, &args.registry, cache).await?;
    let options = PullOptions {
        policy: policy.as_ref(),
    };
    let busy = format!("Pulling {} …", args.reference);
    let pulled = registry::patiently(&busy, client.pull(&args.reference, options)).await;
    let pulled = pulled.map_err(|error| registry::explain(&error))?;
    let to_stdout = file == Path::new("-");
    if to_stdout {
        output::print_bytes(&pulled.bytes)?;
    } else {
        write(&file, &pulled.bytes)?;
    }
    let mut report = format!("Pulled:     {}\n", args.reference.with_digest(pulled.digest));
    if let Origin::StaleTag { reason } = &pulled.origin {
        report.push_str(&format!(
            "            what the tag pointed to last, because {reason}\n"
        ));
    }
    report.push_str(&format!("Component:  {}\n", Digest::of(&pulled.bytes)));
    match &pulled.verified {
        Some(verified) => report.push_str(&format!("Signed by:  {}\n", verified.signer)),
        None => report.push_str("Signed by:  not checked; name a key with --verify-key\n"),
    }
    if to_stdout {
        anstream::eprint!("{report}");
    } else {
        out!("{report}Written to: {}\n", file.display())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The last part of the repository's path.
fn default_output(reference: &Reference) -> PathBuf {
    let path = reference.repository().path();
    format!("{}.wasm", path.rsplit('/').next().unwrap_or(path)).into()
}

/// Writes a file whole or not at all.
fn write(output: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty());
    let write = || -> std::io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
        file.write_all(bytes)?;
        file.persist(output)?;
        Ok(())
    };
    write().with_context(|| format!("cannot write {}", output.display()))
}

fn policy(args: &VerifyArgs) -> anyhow::Result<Option<Policy>> {
    let read = |file: &Path| {
        std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
    };
    if let Some(file) = &args.verify_key {
        return Ok(Some(Policy::key(&read(file)?)?));
    }
    let identity = match (&args.verify_identity, &args.verify_identity_matches) {
        (Some(identity), _) => Identity::Exact(identity.clone()),
        (None, Some(expression)) => Identity::matching(expression)?,
        (None, None) => return Ok(None),
    };
    let issuer = args
        .verify_issuer
        .as_deref()
        .context("--verify-issuer is missing")?;
    let roots = args
        .trusted_root
        .as_deref()
        .context("--trusted-root is missing")?;
    Ok(Some(Policy::keyless(
        TrustRoots::Json(&read(roots)?),
        identity,
        issuer,
    )?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_named_after_the_repository() {
        let reference: Reference = "ghcr.io/acme/guests/till:1".parse().expect("a reference");
        assert_eq!(default_output(&reference), Path::new("till.wasm"));
    }
}
