//! The generator that makes the site: installed once, pinned, with pip.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

/// Why this one: decision 0022.
const PACKAGE: &str = "zensical";
const VERSION: &str = "0.0.73";

/// Makes the site that these settings describe; what is wrong with a page or a link is an
/// error. Whether there is a generator to do so.
pub(crate) fn run(root: &Path, settings: &Path) -> Result<bool> {
    let Some(program) = installed(root)? else {
        return Ok(false);
    };
    let output = Command::new(program)
        .args(["build", "--strict", "--clean", "--config-file"])
        .arg(settings)
        .stdin(Stdio::null())
        .output()
        .context("cannot run the book's generator")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "the book does not build:\n{}",
        complaints(&said)
    );
    Ok(true)
}

fn installed(root: &Path) -> Result<Option<PathBuf>> {
    let folder = root.join(format!("target/toolchains/{PACKAGE}-{VERSION}"));
    let (program, complete) = (folder.join("bin").join(PACKAGE), folder.join(".complete"));
    if complete.exists() {
        return Ok(Some(program));
    }
    let environment = Command::new("python3")
        .args(["-m", "venv", "--clear"])
        .arg(&folder)
        .output();
    if !environment.is_ok_and(|output| output.status.success()) {
        crate::missing(
            "Python with venv is not installed, so the book is not built; on Debian and Ubuntu: sudo apt-get install python3-venv",
        )?;
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

/// What is wrong and where, without colours, pictures and the stack that it ends with.
fn complaints(said: &str) -> String {
    let mut complaints = String::new();
    for line in said.split("Traceback").next().unwrap_or_default().lines() {
        let line = uncoloured(line);
        if let Some((_, place)) = line.split_once("─[ ") {
            complaints.push_str(&format!("  {}\n", place.trim_end_matches([' ', ']'])));
        } else if line.starts_with("Warning: ") || line.starts_with("Error: ") {
            complaints.push_str(&format!("{line}\n"));
        }
    }
    complaints
}

fn uncoloured(line: &str) -> String {
    let mut pieces = line.split('\u{1b}');
    let mut plain = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        plain.push_str(piece.split_once('m').map_or("", |(_, text)| text));
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_says_what_is_wrong_and_where() {
        let said = "\u{1b}[33mWarning:\u{1b}[0m page does not exist\n   \u{1b}[38;5;246m╭─[\u{1b}[0m index.md:3:8 \u{1b}[38;5;246m]\u{1b}[0m\n\
            3 │ [dead](nowhere.md)\nTraceback (most recent call last):\nError: no\n";
        assert_eq!(complaints(said), "Warning: page does not exist\n  index.md:3:8\n");
    }
}
