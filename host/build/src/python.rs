//! Python: componentize-py, which brings CPython and its standard library along.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use crate::contract;
use crate::error::BuildError;
use crate::process;
use crate::project::Project;
use crate::toolchain::ComponentizePy;

/// Where the module is looked for when no project file names it.
const ENTRIES: [&str; 4] = ["src/app.py", "app.py", "src/main.py", "main.py"];
const READ_PYPROJECT: &str = "import json, sys, tomllib; \
     print(json.dumps(tomllib.load(open(sys.argv[1], 'rb')).get('project', {}), default=str))";

/// What a build needs of `pyproject.toml`.
#[derive(Debug, Default, Deserialize)]
struct Metadata {
    #[serde(default)]
    dependencies: Vec<String>,
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
    let wanted = metadata.dependencies.join("\n");
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
            .args(&metadata.dependencies)
            .current_dir(&project.folder),
    )?;
    std::fs::write(&installed, wanted).map_err(BuildError::file(&installed))?;
    Ok(Some(folder))
}
