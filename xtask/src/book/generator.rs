//! The generator that makes the site: installed once, pinned, with pip.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

/// Why this one: decision 0022.
const PACKAGE: &str = "zensical";
const VERSION: &str = "0.0.73";

/// Makes the site that these settings describe; what is wrong with a page or a link is an
/// error.
pub(crate) fn run(root: &Path, settings: &Path) -> Result<()> {
    let Some(program) = installed(root)? else {
        return Ok(());
    };
    let output = Command::new(program)
        .args(["build", "--strict", "--clean", "--config-file"])
        .arg(settings)
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .output()
        .context("cannot run the book's generator")?;
    // It ends a refusal with its own stack, which nobody needs.
    let said = String::from_utf8_lossy(&output.stderr);
    let complaint = said.split("Traceback").next().unwrap_or_default();
    ensure!(
        output.status.success(),
        "the book does not build:\n{complaint}{}",
        String::from_utf8_lossy(&output.stdout)
    );
    Ok(())
}

fn installed(root: &Path) -> Result<Option<PathBuf>> {
    let folder = root.join(format!("target/toolchains/{PACKAGE}-{VERSION}"));
    let (program, complete) = (folder.join("bin").join(PACKAGE), folder.join(".complete"));
    if complete.exists() {
        return Ok(Some(program));
    }
    let environment = Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder).output();
    if !environment.is_ok_and(|output| output.status.success()) {
        crate::missing("Python with venv is not installed, so the book is not built; on Debian and Ubuntu: sudo apt-get install python3-venv")?;
        return Ok(None);
    }
    println!("Installing {PACKAGE} {VERSION}; this happens once …");
    let pip = Command::new(folder.join("bin/python"))
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
        .arg(format!("{PACKAGE}=={VERSION}"))
        .status()
        .context("cannot run pip")?;
    ensure!(pip.success(), "pip cannot install {PACKAGE} {VERSION}");
    fs::write(&complete, "").with_context(|| format!("writing {}", complete.display()))?;
    Ok(Some(program))
}
