//! `xtask fuzz`: the fuzz targets under libFuzzer, one after the other.
//!
//! The counters that guide it are a pass of the stable compiler (`tests/fuzz/fuzzer/rustc`),
//! for the crates of this workspace alone. Inputs that lead somewhere new are kept under
//! `target/fuzz`, from which the next run goes on; those that break a promise in
//! `tests/fuzz/findings`.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

/// One input may take so long; what takes longer hangs.
const INPUT_SECONDS: u32 = 25;
const MEBIBYTES: u32 = 2048;
const MAX_LENGTH: u32 = 16 << 10;

/// Fuzzes each target, or only those named, for so many seconds.
pub(crate) fn run(root: &Path, seconds: &str, only: &[String]) -> Result<()> {
    let _: u32 = seconds
        .parse()
        .context("the time of a target is a number of seconds")?;
    build(root)?;
    let mut failed = Vec::new();
    for target in targets(root)? {
        if !(only.is_empty() || only.contains(&target)) {
            continue;
        }
        println!("fuzzing {target} for {seconds} s");
        if !fuzz(root, &target, seconds)? {
            failed.push(target);
        }
    }
    if !failed.is_empty() {
        bail!(
            "promises were broken in {}: see tests/fuzz/findings",
            failed.join(", ")
        );
    }
    Ok(())
}

fn build(root: &Path) -> Result<()> {
    let status = Command::new("cargo")
        .args(["build", "--quiet", "--release", "--package", "windlass-fuzz"])
        .args(["--features", "libfuzzer"])
        .env("RUSTC_WORKSPACE_WRAPPER", root.join("tests/fuzz/fuzzer/rustc"))
        .current_dir(root)
        .status()
        .context("cannot run cargo")?;
    if !status.success() {
        bail!("the fuzz targets do not build");
    }
    Ok(())
}

/// A target has a folder of seeds.
fn targets(root: &Path) -> Result<Vec<String>> {
    let corpus = root.join("tests/fuzz/corpus");
    let entries = fs::read_dir(&corpus).with_context(|| format!("cannot read {}", corpus.display()))?;
    let mut names: Vec<String> = entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    Ok(names)
}

/// Whether nothing was found.
fn fuzz(root: &Path, target: &str, seconds: &str) -> Result<bool> {
    let sources = root.join("tests/fuzz");
    let kept = root.join("target/fuzz").join(target);
    let findings = sources.join("findings").join(target);
    let regressions = sources.join("regressions").join(target);
    for folder in [&kept, &findings] {
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    let status = Command::new(root.join("target/release/windlass-fuzz"))
        .env("WINDLASS_FUZZ_TARGET", target)
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-timeout={INPUT_SECONDS}"))
        .arg(format!("-rss_limit_mb={MEBIBYTES}"))
        .arg(format!("-max_len={MAX_LENGTH}"))
        .arg(format!(
            "-dict={}",
            sources
                .join("dictionaries")
                .join(format!("{target}.dict"))
                .display()
        ))
        .arg(format!("-artifact_prefix={}/", findings.display()))
        .args(["-print_final_stats=1", "-verbosity=1"])
        .args([&kept, &sources.join("corpus").join(target)])
        .args(regressions.is_dir().then_some(&regressions))
        .current_dir(root)
        .status()
        .context("cannot run the fuzzer")?;
    Ok(status.success())
}
