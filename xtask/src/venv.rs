//! Python's programs: pinned, each in a virtual environment of its own, made once.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

/// A virtual environment, with its packages.
pub(crate) struct Venv {
    /// Names its folder.
    pub name: &'static str,
    /// As pip takes them, with their versions.
    pub packages: &'static [&'static str],
    /// What is skipped without Python, as in "so `skipped`".
    pub skipped: &'static str,
}

impl Venv {
    /// The folder of its programs; made if it is not there as it should be. Nothing where
    /// Python is missing.
    pub(crate) fn programs(&self, root: &Path) -> Result<Option<PathBuf>> {
        let folder = root.join("target/toolchains").join(self.name);
        let (programs, complete) = (folder.join("bin"), folder.join(".complete"));
        let packages = self.packages.join("\n");
        if fs::read_to_string(&complete).is_ok_and(|present| present == packages) {
            return Ok(Some(programs));
        }
        let environment = Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(&folder)
            .output();
        if !environment.is_ok_and(|output| output.status.success()) {
            crate::missing(&format!(
                "Python with venv is not installed, so {}; on Debian and Ubuntu: sudo apt-get install python3-venv",
                self.skipped
            ))?;
            return Ok(None);
        }
        println!("Installing {}; this happens once …", self.packages.join(", "));
        let pip = Command::new(programs.join("python"))
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
            .args(self.packages)
            .status()
            .context("cannot run pip")?;
        ensure!(pip.success(), "pip cannot install {}", self.packages.join(", "));
        fs::write(&complete, packages).with_context(|| format!("writing {}", complete.display()))?;
        Ok(Some(programs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_complete_is_made_once_and_anew_for_other_packages() {
        let root = std::env::temp_dir().join(format!("windlass-venv-{}", std::process::id()));
        let folder = root.join("target/toolchains/some");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(".complete"), "one==1").unwrap();
        let venv = |packages| Venv {
            name: "some",
            packages,
            skipped: "nothing is skipped",
        };
        let programs = venv(&["one==1"]).programs(&root).unwrap();
        assert_eq!(programs, Some(folder.join("bin")));
        assert!(!folder.join("bin").exists());
        fs::remove_dir_all(&root).unwrap();
    }
}
