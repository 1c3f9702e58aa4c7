//! The generator that makes the site: installed once, pinned, with pip.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::venv::Venv;

/// Why this one: decision 0022.
const GENERATOR: Venv = Venv {
    name: "zensical",
    packages: &["zensical==0.0.73"],
    skipped: "the book is not built",
};

/// Makes the site that these settings describe; what is wrong with a page or a link is an
/// error. Whether there is a generator to do so.
pub(crate) fn run(root: &Path, settings: &Path) -> Result<bool> {
    let Some(programs) = GENERATOR.programs(root)? else {
        return Ok(false);
    };
    let output = Command::new(programs.join("zensical"))
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
