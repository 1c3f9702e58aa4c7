//! `xtask image`: the container image, built without a daemon or root, and looked at.
//!
//! The same commit, toolchain, certificates and path of the checkout give the same digest:
//! time stamps are the commit's, and no other path of the machine is in the binary.

mod check;
mod layout;
mod sandbox;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

pub(crate) use check::assert_static;

use crate::platform::Platform;
use crate::process::stdout;
use crate::source::Source;
use crate::{sbom, tools};

/// Where the OCI layout goes.
const LAYOUT: &str = "target/image";
const DESCRIPTION: &str = "A Kubernetes controller manager whose controllers are WebAssembly components";
const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// A binary to put into an image.
#[derive(Debug)]
pub(crate) struct Binary {
    pub(crate) platform: &'static Platform,
    pub(crate) path: PathBuf,
}

/// Builds and checks the image for these architectures, or for this machine's, with its SBOM.
pub(crate) fn run(root: &Path, architectures: &[String]) -> Result<()> {
    tools::install(&["buildah".to_owned()])?;
    ensure!(
        tools::is_there("buildah"),
        "an image is built by buildah, which is not installed"
    );
    let source = Source::read(root)?;
    let platforms = match architectures {
        [] => vec![Platform::here()?],
        names => names
            .iter()
            .map(|name| Platform::named(name))
            .collect::<Result<_>>()?,
    };
    let mut binaries = Vec::new();
    for platform in platforms {
        let target = platform.target(root)?;
        let path = platform.compile(root, &target)?;
        let bill = root.join(format!("target/windlass-{}.cdx.json", platform.architecture));
        sbom::write(root, &source, &target, &bill)?;
        sbom::validate(root, &bill)?;
        binaries.push(Binary { platform, path });
    }
    let layout = root.join(LAYOUT);
    let digest = build_and_check(root, &source, &binaries, &layout)?;
    println!(
        "{LAYOUT} holds windlass {} as {digest}; to push it:",
        source.version
    );
    println!(
        "  skopeo copy --all oci:{LAYOUT}:{} docker://registry/windlass:{}",
        source.version, source.version
    );
    Ok(())
}

/// Writes an OCI layout, in place of what is there, and returns the digest of its image.
pub(crate) fn build_and_check(
    root: &Path,
    source: &Source,
    binaries: &[Binary],
    layout: &Path,
) -> Result<String> {
    build(root, source, binaries, layout)?;
    check::check(source, binaries, layout, &root.join("target/image-root"))
}

fn build(root: &Path, source: &Source, binaries: &[Binary], layout: &Path) -> Result<()> {
    let work = root.join("target/image-build");
    empty(&work)?;
    empty(layout)?;
    let context = work.join("context");
    fs::create_dir_all(&context)?;
    let certificates = std::env::var("CERTIFICATES").unwrap_or_else(|_| CERTIFICATES.to_owned());
    copy(Path::new(&certificates), &context.join("ca-certificates.crt"))?;
    let image = format!("windlass:{}", source.version);
    stdout(buildah(&work).args(["manifest", "create", &image]))?;
    for Binary { platform, path } in binaries {
        let folder = context.join(platform.architecture);
        fs::create_dir_all(&folder)?;
        copy(path, &folder.join("windlass"))?;
        let mut command = buildah(&work);
        command
            .args(["build", "--quiet", "--format", "oci", "--isolation", "chroot"])
            .args(["--identity-label=false", "--timestamp", &source.epoch.to_string()])
            .args(["--manifest", &image, "--platform"])
            .arg(format!("linux/{}", platform.architecture));
        for (key, value) in labels(source) {
            command.arg("--label").arg(format!("{key}={value}"));
        }
        command.arg("--file").arg(root.join("deploy/image/Containerfile"));
        stdout(command.arg(&context))?;
    }
    let to = format!("oci:{}:{}", layout.display(), source.version);
    stdout(buildah(&work).args(["manifest", "push", "--all", "--quiet", &image, &to]))?;
    empty(&work)
}

/// What the image says of itself, by the keys of OCI.
fn labels(source: &Source) -> [(&'static str, String); 6] {
    [
        ("org.opencontainers.image.title", "Windlass".to_owned()),
        ("org.opencontainers.image.description", DESCRIPTION.to_owned()),
        (
            "org.opencontainers.image.source",
            env!("CARGO_PKG_REPOSITORY").to_owned(),
        ),
        (
            "org.opencontainers.image.licenses",
            env!("CARGO_PKG_LICENSE").to_owned(),
        ),
        ("org.opencontainers.image.version", source.version.clone()),
        ("org.opencontainers.image.revision", source.revision.clone()),
    ]
}

/// With a store of its own, which needs no kernel module and leaves nothing behind.
fn buildah(work: &Path) -> Command {
    let mut command = Command::new("buildah");
    command
        .args(["--storage-driver", "vfs", "--root"])
        .arg(work.join("store"));
    command.arg("--runroot").arg(work.join("run"));
    command
}

pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).with_context(|| format!("copying {}", from.display()))?;
    Ok(())
}

/// Removes a folder, if it is there.
pub(crate) fn empty(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("removing {}", folder.display()))?;
    }
    Ok(())
}
