//! Whether somebody saved something that a build reads.

use std::path::{Path, PathBuf};

use windlass_build::sources::{Source, files};

/// Ends of files that this command writes, or whoever redirects what it prints.
const OUTPUTS: [&str; 2] = [".kubeconfig", ".log"];
/// Folders of the project that are applied, not compiled.
const MANIFESTS: [&str; 3] = ["crds", "examples", "tests/e2e"];

/// The files of a project that a build reads.
pub(super) struct Sources {
    folder: PathBuf,
    seen: Vec<Source>,
}

impl Sources {
    pub(super) fn of(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            seen: look(folder),
        }
    }

    /// Whether anything is different since the last look.
    pub(super) fn have_changed(&mut self) -> bool {
        let now = look(&self.folder);
        let changed = now != self.seen;
        self.seen = now;
        changed
    }
}

fn look(folder: &Path) -> Vec<Source> {
    files(folder, |path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_output = OUTPUTS.iter().any(|end| name.ends_with(end));
        is_output || MANIFESTS.iter().any(|manifests| path == folder.join(manifests))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_seen_once_and_what_is_not_compiled_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "text").unwrap();
        };
        write("src/lib.rs");
        let mut sources = Sources::of(folder.path());
        assert!(!sources.have_changed());
        for other in [
            "target/windlass/a.wasm",
            "windlass.kubeconfig",
            "dev.log",
            "crds/a.yaml",
            "examples/a.yaml",
        ] {
            write(other);
        }
        assert!(!sources.have_changed());
        write("src/examples/a.rs");
        assert!(sources.have_changed());
        assert!(!sources.have_changed());
        std::fs::remove_file(folder.path().join("src/lib.rs")).unwrap();
        assert!(sources.have_changed());
    }
}
