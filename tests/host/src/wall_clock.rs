//! A wall clock of its own for one process, which jumps while the process runs: Debian's
//! `faketime`, preloaded. Time since boot and the monotonic clock stay as they are, as on
//! a machine whose clock somebody sets.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// The clock of one process, started again or not. Right until it jumps.
#[derive(Debug)]
pub struct WallClock {
    library: String,
    file: PathBuf,
}

impl WallClock {
    /// A clock that is kept in this file; nothing where `faketime` is not installed.
    ///
    /// # Errors
    /// When `faketime` does not tell its library, or the file cannot be written.
    pub fn new(file: &Path) -> Result<Option<Self>> {
        let Some(library) = library()? else {
            eprintln!("skipped: run `cargo xtask tools faketime` first");
            return Ok(None);
        };
        let clock = Self {
            library,
            file: file.to_owned(),
        };
        clock.jump(0)?;
        Ok(Some(clock))
    }

    /// What the process needs in its environment.
    ///
    /// # Errors
    /// When the file's path is not UTF-8.
    pub fn environment(&self) -> Result<[(&'static str, &str); 5]> {
        let file = self.file.to_str().context("the clock's file is not UTF-8")?;
        Ok([
            ("LD_PRELOAD", &self.library),
            ("FAKETIME_TIMESTAMP_FILE", file),
            // Looks at the file whenever the clock is read.
            ("FAKETIME_NO_CACHE", "1"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            // A clock that is set does not change when files were written.
            ("NO_FAKE_STAT", "1"),
        ])
    }

    /// From now on it is this many hours fast, or slow if negative.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn jump(&self, hours: i64) -> Result<()> {
        let next = self.file.with_extension("next");
        std::fs::write(&next, format!("{hours:+}h\n"))?;
        // In one step: the process may be reading.
        std::fs::rename(&next, &self.file)?;
        Ok(())
    }
}

/// The library as the wrapper of the package preloads it.
fn library() -> Result<Option<String>> {
    let arguments = ["-m", "-f", "+0", "printenv", "LD_PRELOAD"];
    let output = match Command::new("faketime").args(arguments).output() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        output => output.context("cannot run faketime")?,
    };
    let library = String::from_utf8(output.stdout)?.trim().to_owned();
    ensure!(library.contains("faketime"), "faketime preloads {library:?}");
    Ok(Some(library))
}
