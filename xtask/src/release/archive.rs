//! Archives that are the same whoever makes them: sorted names, one time, no owner, and no
//! modes but "may be read" and "may be executed".

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::process::run;

#[derive(Debug)]
pub(super) struct Archiver {
    /// The time of every file, in seconds since 1970.
    pub(super) epoch: u64,
}

impl Archiver {
    /// Packs what is in a folder under this name.
    pub(super) fn plain(&self, folder: &Path, name: &str, archive: &Path) -> Result<()> {
        run(self.tar(folder, archive).arg(name))
    }

    /// The same, compressed, without gzip's own time stamp.
    pub(super) fn compressed(&self, folder: &Path, name: &str, archive: &Path) -> Result<()> {
        let mut tar = self.tar(folder, archive);
        run(tar
            .args(["--use-compress-program", "gzip --no-name --best"])
            .arg(name))
    }

    fn tar(&self, folder: &Path, archive: &Path) -> Command {
        let mut tar = Command::new("tar");
        tar.args([
            "--create",
            "--format",
            "ustar",
            "--sort",
            "name",
            "--numeric-owner",
        ]);
        tar.args(["--owner", "0", "--group", "0", "--mode", "u=rwX,go=rX"]);
        tar.arg("--mtime").arg(format!("@{}", self.epoch));
        tar.arg("--directory").arg(folder).arg("--file").arg(archive);
        tar
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::image::empty;

    /// Writes the same files with this mode, in this order.
    fn packed(folder: &Path, mode: u32, names: [&str; 2]) -> Vec<u8> {
        empty(folder).unwrap();
        fs::create_dir_all(folder.join("a")).unwrap();
        for name in names {
            let file = folder.join("a").join(name);
            fs::write(&file, name).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        }
        let archive = folder.join("a.tar.gz");
        Archiver { epoch: 1_700_000_000 }
            .compressed(folder, "a", &archive)
            .unwrap();
        fs::read(archive).unwrap()
    }

    #[test]
    fn an_archive_depends_on_nothing_but_its_files() {
        let folder = std::env::temp_dir().join(format!("windlass-archive-{}", std::process::id()));
        let first = packed(&folder, 0o600, ["x", "y"]);
        let second = packed(&folder, 0o644, ["y", "x"]);
        let other = packed(&folder, 0o755, ["x", "y"]);
        empty(&folder).unwrap();
        assert_eq!(first, second);
        assert_ne!(first, other, "whether a file may be executed counts");
    }
}
