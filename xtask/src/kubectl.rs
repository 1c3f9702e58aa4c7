//! `xtask kubectl`: builds the kubectl that the tests drive, from `tests/kubectl`.
//!
//! Only when it is missing or older than its source: linking it takes a minute. Without
//! Go it says so and succeeds, because the tests that need kubectl then skip themselves.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::SystemTime;

use anyhow::{Context as _, Result, ensure};

/// What the tests' kubectl is made of.
const SOURCES: [&str; 3] = ["go.mod", "go.sum", "main.go"];

/// The version that it reports. kubectl compares it with the server's.
const LINKER_FLAGS: &str = "-s -w -X k8s.io/component-base/version.gitVersion=v1.36.2 \
                            -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=36";

/// Builds `target/kubectl`, if need be and if Go is installed.
pub(crate) fn build(root: &Path) -> Result<()> {
    let folder = root.join("tests/kubectl");
    let binary = root.join("target/kubectl");
    if !is_stale(&folder, &binary)? {
        return Ok(());
    }
    if !has_go() {
        return crate::missing(
            "Go is not installed: kubectl is not built, and the tests that need it are skipped",
        );
    }
    let status = Command::new("go")
        .args(["build", "-trimpath", "-ldflags", LINKER_FLAGS, "-o"])
        .args([&binary, Path::new(".")])
        .current_dir(&folder)
        .status()
        .context("cannot run go")?;
    ensure!(
        status.success(),
        "kubectl does not build from {}",
        folder.display()
    );
    Ok(())
}

/// Whether the binary is missing, or older than any of its sources.
fn is_stale(folder: &Path, binary: &Path) -> Result<bool> {
    if !binary.exists() {
        return Ok(true);
    }
    let built = modified(binary)?;
    for source in SOURCES {
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
