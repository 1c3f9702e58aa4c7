//! Python: componentize-py, which brings CPython and its standard library along.
//!
//! What a project depends on is installed with pip. A dependency that `tool.uv.sources` of
//! its `pyproject.toml` gives a `path` comes from that folder, and again when it changes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::UNIX_EPOCH;

use serde::Deserialize;

use crate::contract;
use crate::error::BuildError;
use crate::process;
use crate::project::{PROJECT_FILE, Project};
use crate::sources;
use crate::toolchain::ComponentizePy;

/// Where the module is looked for when no project file names it.
const ENTRIES: [&str; 4] = ["src/app.py", "app.py", "src/main.py", "main.py"];
const READ_PYPROJECT: &str = "import json, sys, tomllib; \
     project = tomllib.load(open(sys.argv[1], 'rb')); \
     print(json.dumps({'dependencies': project.get('project', {}).get('dependencies', []), \
     'sources': project.get('tool', {}).get('uv', {}).get('sources', {})}))";
/// Folders below a local dependency that are made of it.
const NOT_SOURCES: [&str; 2] = ["build", "dist"];

/// What a build needs of `pyproject.toml`.
#[derive(Debug, Deserialize)]
struct Metadata {
    dependencies: Vec<String>,
    sources: BTreeMap<String, serde_json::Value>,
}

impl Metadata {
    /// The folder that a dependency comes from, if it is not an index.
    fn folder(&self, dependency: &str) -> Option<&str> {
        let ends_name = |character: char| !character.is_ascii_alphanumeric() && !"._-".contains(character);
        let end = dependency.find(ends_name).unwrap_or(dependency.len());
        self.sources.get(&dependency[..end])?.get("path")?.as_str()
    }
}

pub(crate) fn build(project: &Project, tools: &ComponentizePy) -> Result<Vec<u8>, BuildError> {
    let target = project.target();
    let wit = contract::write(&target.join("wit"))?;
    let (folder, module) = entry(project)?;
    let packages = dependencies(project, tools)?;
    let out = target.join("componentized.wasm");
    process::output(
        "componentize-py",
        Command::new(&tools.program)
            .arg("--wit-path")
            .arg(wit)
            .args([
                "--world",
                &project.world.name(),
                "componentize",
                &module,
                "--python-path",
            ])
            .arg(&folder)
            .args(
                packages
                    .iter()
                    .flat_map(|packages| ["--python-path".into(), packages.clone()]),
            )
            .arg("--output")
            .arg(&out)
            // Its own stack says nothing about the author's code.
            .env("RUST_BACKTRACE", "0")
            .current_dir(&project.folder),
    )
    .map_err(|error| with_own_paths(error, &folder))?;
    std::fs::read(&out).map_err(BuildError::file(&out))
}

/// It sees the folder of sources as `/0`.
fn with_own_paths(error: BuildError, folder: &Path) -> BuildError {
    match error {
        BuildError::Failed { what, output } => BuildError::Failed {
            what,
            output: output.replace("\"/0/", &format!("\"{}/", folder.display())),
        },
        error => error,
    }
}

/// The folder that modules are imported from, and the module to begin with.
fn entry(project: &Project) -> Result<(PathBuf, String), BuildError> {
    let entry = match &project.entry {
        Some(entry) => entry.clone(),
        None => ENTRIES
            .iter()
            .map(PathBuf::from)
            .find(|entry| project.folder.join(entry).is_file())
            .ok_or_else(|| BuildError::ProjectFile {
                path: project.folder.clone(),
                problem: format!(
                    "there is none of {}: name the module's file as `entry:` in a windlass.yaml",
                    ENTRIES.join(", ")
                ),
            })?,
    };
    let module = entry.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let folder = project.folder.join(entry.parent().unwrap_or(Path::new("")));
    Ok((folder, module.unwrap_or_default()))
}

/// A folder with what the project depends on, installed again when that changes.
fn dependencies(project: &Project, tools: &ComponentizePy) -> Result<Option<PathBuf>, BuildError> {
    let pyproject = project.folder.join("pyproject.toml");
    if !pyproject.is_file() {
        return Ok(None);
    }
    let mut read = Command::new(&tools.python);
    let read = read.args(["-c", READ_PYPROJECT]).arg(&pyproject);
    let text = process::output("reading pyproject.toml", read)?;
    let metadata: Metadata = serde_json::from_slice(&text).map_err(|error| BuildError::ProjectFile {
        path: pyproject,
        problem: error.to_string(),
    })?;
    if metadata.dependencies.is_empty() {
        return Ok(None);
    }
    let (mut requirements, mut wanted) = (Vec::new(), Vec::new());
    for dependency in &metadata.dependencies {
        let Some(path) = metadata.folder(dependency) else {
            requirements.push(dependency.clone());
            continue;
        };
        let folder = project.folder.join(path);
        let changed =
            sources::newest(&folder, is_no_source).and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        wanted.push(format!("{path} of {:?}", changed.unwrap_or_default()));
        requirements.push(folder.display().to_string());
    }
    wanted.extend_from_slice(&requirements);
    let wanted = wanted.join("\n");
    let folder = project.target().join("python");
    let installed = folder.join(".installed");
    if std::fs::read_to_string(&installed).is_ok_and(|present| present == wanted) {
        return Ok(Some(folder));
    }
    if folder.exists() {
        std::fs::remove_dir_all(&folder).map_err(BuildError::file(&folder))?;
    }
    process::output(
        "installing the project's dependencies with pip",
        Command::new(&tools.python)
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--target",
            ])
            .arg(&folder)
            .args(&requirements)
            .current_dir(&project.folder),
    )?;
    std::fs::write(&installed, wanted).map_err(BuildError::file(&installed))?;
    Ok(Some(folder))
}

/// What is made of a dependency, and projects in its folder, which stand for themselves.
fn is_no_source(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let is_made = NOT_SOURCES.contains(&name.as_ref()) || name.ends_with(".egg-info");
    is_made || path.join(PROJECT_FILE).is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata() -> Metadata {
        let sources = serde_json::json!({"sdk": {"path": "../sdk"}, "other": {"git": "https://example.org"}});
        serde_json::from_value(serde_json::json!({"dependencies": [], "sources": sources})).unwrap()
    }

    #[test]
    fn a_dependency_with_a_path_comes_from_there_whatever_version_is_wanted() {
        let metadata = metadata();
        assert_eq!(metadata.folder("sdk"), Some("../sdk"));
        assert_eq!(metadata.folder("sdk>=1,<2"), Some("../sdk"));
        assert_eq!(
            metadata.folder("sdk [extra] ; python_version > '3'"),
            Some("../sdk")
        );
        assert_eq!(metadata.folder("sdk-tools"), None);
        assert_eq!(metadata.folder("other"), None);
    }

    #[test]
    fn what_is_made_of_sources_and_what_is_a_project_of_its_own_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, seconds: u64| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, "").unwrap();
            let time = UNIX_EPOCH + std::time::Duration::from_secs(seconds);
            std::fs::File::options()
                .write(true)
                .open(&path)
                .unwrap()
                .set_modified(time)
                .unwrap();
            time
        };
        let source = write("src/package/code.py", 20);
        write("pyproject.toml", 10);
        write("src/package/__pycache__/code.pyc", 30);
        write("src/package.egg-info/PKG-INFO", 30);
        write(".git/index", 30);
        write("examples/one/windlass.yaml", 30);
        assert_eq!(sources::newest(folder.path(), is_no_source), Some(source));
        assert_eq!(sources::newest(&folder.path().join("none"), is_no_source), None);
    }
}
