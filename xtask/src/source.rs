//! What is built: the version, the commit and its time, which everything that is handed
//! out carries, so that the same commit gives the same bytes.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::process::stdout;

/// The state of the sources.
#[derive(Debug)]
pub(crate) struct Source {
    /// As in `Cargo.toml`.
    pub(crate) version: String,
    /// The commit; with `-dirty` where files differ from it.
    pub(crate) revision: String,
    /// Seconds since 1970: `SOURCE_DATE_EPOCH`, else the commit's time.
    pub(crate) epoch: u64,
}

impl Source {
    /// Asks git, and cargo.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let git = |arguments: &[&str]| stdout(Command::new("git").args(arguments).current_dir(root));
        let mut revision = git(&["rev-parse", "HEAD"])?;
        if !git(&["status", "--porcelain"])?.is_empty() {
            revision.push_str("-dirty");
        }
        let epoch = match std::env::var("SOURCE_DATE_EPOCH") {
            Ok(epoch) => epoch,
            Err(_) => git(&["log", "-1", "--format=%ct"])?,
        };
        Ok(Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            revision,
            epoch: epoch
                .parse()
                .context("SOURCE_DATE_EPOCH is no number of seconds")?,
        })
    }

    /// The time as the formats of JSON want it.
    pub(crate) fn time(&self) -> Result<String> {
        stdout(
            Command::new("date")
                .args(["--utc", "+%Y-%m-%dT%H:%M:%SZ", "--date"])
                .arg(format!("@{}", self.epoch)),
        )
    }
}
