//! Rust: cargo for a target without an operating system, so that nothing of WASI is left.

mod target;

use std::path::PathBuf;

use serde::Deserialize;

pub use target::{TARGET, Target};

use crate::component;
use crate::error::BuildError;
use crate::process;
use crate::project::Project;

/// A message of cargo's about something that it made.
#[derive(Debug, Deserialize)]
struct Message {
    #[serde(default)]
    target: MessageTarget,
    #[serde(default)]
    filenames: Vec<PathBuf>,
    #[serde(default)]
    manifest_path: PathBuf,
}

#[derive(Debug, Default, Deserialize)]
struct MessageTarget {
    #[serde(default)]
    crate_types: Vec<String>,
}

pub(crate) fn build(project: &Project, target: &Target) -> Result<Vec<u8>, BuildError> {
    let mut command = target.cargo_build();
    command
        .args(["--release", "--quiet", "--message-format=json-render-diagnostics"])
        .stderr(std::process::Stdio::inherit())
        .current_dir(&project.folder);
    let messages = process::stdout("cargo build", &mut command)?;
    let manifest = project.folder.join("Cargo.toml");
    let module = String::from_utf8_lossy(&messages)
        .lines()
        .filter_map(|line| serde_json::from_str::<Message>(line).ok())
        .filter(|message| message.manifest_path == manifest)
        .filter(|message| message.target.crate_types.iter().any(|kind| kind == "cdylib"))
        .flat_map(|message| message.filenames)
        .find(|file| file.extension().is_some_and(|extension| extension == "wasm"));
    let module = module.ok_or_else(|| BuildError::ProjectFile {
        path: manifest,
        problem: "it makes no module: put `crate-type = [\"cdylib\"]` under `[lib]`".to_owned(),
    })?;
    let bytes = std::fs::read(&module).map_err(BuildError::file(&module))?;
    component::encode(&bytes)
}
