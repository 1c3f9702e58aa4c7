//! What benchmarks print, and what a process has used.

use std::time::Duration;

use anyhow::{Context, Result};

/// Clock ticks a second in `/proc/<pid>/stat`, fixed in the kernel's interface to programs.
const TICKS_PER_SECOND: u64 = 100;

/// Prints one figure as a JSON line.
pub fn print(name: &str, value: f64, unit: &str) {
    println!(
        "{}",
        serde_json::json!({"name": name, "value": (value * 1000.0).round() / 1000.0, "unit": unit})
    );
}

/// CPU time that a process has used so far, all threads, user and system.
///
/// # Errors
/// When the process is gone.
pub fn cpu_time(process: u32) -> Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name before it may hold anything, but no parenthesis closes after it.
    let fields: Vec<&str> = stat
        .rsplit_once(')')
        .context("no name in stat")?
        .1
        .split_whitespace()
        .collect();
    let ticks =
        |position: usize| -> Result<u64> { Ok(fields.get(position).context("stat is short")?.parse()?) };
    Ok(Duration::from_millis(
        (ticks(11)? + ticks(12)?) * 1000 / TICKS_PER_SECOND,
    ))
}

/// The most memory that a process has had resident, in MB.
///
/// # Errors
/// When the process is gone.
pub fn peak_rss_mb(process: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .context("no VmHWM")?;
    let kilobytes: f64 = line
        .split_whitespace()
        .nth(1)
        .context("VmHWM has no value")?
        .parse()?;
    Ok(kilobytes * 1024.0 / 1e6)
}
