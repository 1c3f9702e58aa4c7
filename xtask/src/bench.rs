//! `xtask bench`: runs every benchmark in release mode and gathers its figures.
//!
//! A benchmark is an example that prints one JSON line per figure on standard output,
//! `{"name": …, "value": …, "unit": …}`; everything else it has to say goes to standard error.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The examples, in the order in which they run.
const EXAMPLES: [&str; 11] = [
    "dispatch",
    "informer",
    "first_pod",
    "modules",
    "reloads",
    "fairness",
    "record",
    "languages",
    "rollout",
    "scheduler",
    "scheduler_plugins",
];

/// Runs them one after the other; `only` narrows to examples of that name.
pub(crate) fn run(root: &Path, only: Option<&str>) -> Result<()> {
    build(root)?;
    let mut lines = String::new();
    for example in EXAMPLES
        .iter()
        .filter(|example| only.is_none_or(|only| only == **example))
    {
        let program = root.join("target/release/examples").join(example);
        let output = Command::new(&program)
            .current_dir(root)
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("cannot run {}", program.display()))?;
        if !output.status.success() {
            bail!("the benchmark {example} failed");
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

/// All of them at once and with the binary, so that cargo builds each dependency with one
/// set of features.
fn build(root: &Path) -> Result<()> {
    let arguments = [
        "build",
        "--quiet",
        "--release",
        "--workspace",
        "--bins",
        "--examples",
    ];
    let status = Command::new("cargo")
        .args(arguments)
        .current_dir(root)
        .status()
        .context("cannot run cargo")?;
    if !status.success() {
        bail!("the benchmarks do not build");
    }
    Ok(())
}
