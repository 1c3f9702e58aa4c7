//! `xtask bench`: runs every benchmark in release mode and gathers its figures.
//!
//! A benchmark is an example that prints one JSON line per figure on standard output,
//! `{"name": …, "value": …, "unit": …}`; everything else it has to say goes to standard error.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Package and example, in the order in which they run.
const BENCHMARKS: [(&str, &str); 5] = [
    ("windlass-engine", "dispatch"),
    ("windlass-cluster", "informer"),
    ("windlass-tests", "first_pod"),
    ("windlass-tests", "rollout"),
    ("windlass-tests", "scheduler"),
];

/// Runs them one after the other; `only` narrows to examples of that name.
pub(crate) fn run(root: &Path, only: Option<&str>) -> Result<()> {
    let mut lines = String::new();
    for (package, example) in BENCHMARKS.iter().filter(|(_, example)| only.is_none_or(|only| only == *example)) {
        let arguments = ["run", "--quiet", "--release", "--package", package, "--example", example];
        let output = Command::new("cargo")
            .args(arguments)
            .current_dir(root)
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("cannot run the benchmark {example}"))?;
        if !output.status.success() {
            bail!("the benchmark {example} of {package} failed");
        }
        let text = String::from_utf8(output.stdout).context("figures are not UTF-8")?;
        print!("{text}");
        lines.push_str(&text);
    }
    if only.is_none() {
        let file = root.join("target/bench.jsonl");
        fs::write(&file, lines).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}
