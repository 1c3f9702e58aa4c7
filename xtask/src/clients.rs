//! `xtask kubectl` and `xtask helm`: builds the clients that the tests drive, from
//! `tests/kubectl` and `tests/helm`.
//!
//! Only when one is missing or older than its source: linking takes a minute. Without Go
//! it says so; the tests that need the client then skip themselves.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::SystemTime;

use anyhow::{Context as _, Result, ensure};

/// A client that is a Go program.
pub(crate) struct Client {
    /// Names its folder under `tests`, and its binary under `target`.
    name: &'static str,
    /// The files of the folder that say what it is made of.
    sources: &'static [&'static str],
    package: &'static str,
    linker_flags: &'static str,
}

/// The current kubectl. It compares the version that it reports with the server's.
pub(crate) const KUBECTL: Client = Client {
    name: "kubectl",
    sources: &["go.mod", "go.sum", "main.go"],
    package: ".",
    linker_flags: "-s -w -X k8s.io/component-base/version.gitVersion=v1.36.2 \
                   -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=36",
};

/// The current Helm, whose module holds the program itself.
pub(crate) const HELM: Client = Client {
    name: "helm",
    sources: &["go.mod", "go.sum"],
    package: "helm.sh/helm/v4/cmd/helm",
    linker_flags: "-s -w",
};

/// Builds a client to `target`, if need be and if Go is installed.
pub(crate) fn build(root: &Path, client: &Client) -> Result<()> {
    let Client { name, package, .. } = client;
    let folder = root.join("tests").join(name);
    let binary = root.join("target").join(name);
    if !is_stale(&folder, client.sources, &binary)? {
        return Ok(());
    }
    if !has_go() {
        return crate::missing(&format!(
            "Go is not installed: {name} is not built, and the tests that need it are skipped"
        ));
    }
    let status = Command::new("go")
        .args(["build", "-trimpath", "-ldflags", client.linker_flags, "-o"])
        .arg(&binary)
        .arg(package)
        .current_dir(&folder)
        .status()
        .context("cannot run go")?;
    ensure!(
        status.success(),
        "{name} does not build from {}",
        folder.display()
    );
    Ok(())
}

/// Whether the binary is missing, or older than any of its sources.
fn is_stale(folder: &Path, sources: &[&str], binary: &Path) -> Result<bool> {
    if !binary.exists() {
        return Ok(true);
    }
    let built = modified(binary)?;
    for source in sources {
        if modified(&folder.join(source))? > built {
            return Ok(true);
        }
    }
    Ok(false)
}

fn modified(file: &Path) -> Result<SystemTime> {
    fs::metadata(file)
        .and_then(|metadata| metadata.modified())
        .with_context(|| format!("cannot look at {}", file.display()))
}

fn has_go() -> bool {
    let mut command = Command::new("go");
    command
        .arg("version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
