//! `xtask languages`: builds the guests in other languages than Rust that tests run, as
//! `windlass build` would, to `target/guests/`.
//!
//! A language whose toolchain is missing, and cannot be installed, is named and left out;
//! its tests then skip themselves.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::thread::ScopedJoinHandle;

use anyhow::{Context as _, Result, bail};
use windlass_build::project::{Language, PROJECT_FILE, Project};
use windlass_build::sources;
use windlass_build::toolchain::Toolchains;
use windlass_build::{BuildError, Options};

/// Folders that have projects in them, directly or as examples of an SDK.
const FOLDERS: [&str; 6] = [
    "sdk/c/examples",
    "sdk/go/examples",
    "sdk/go/internal",
    "sdk/javascript/examples",
    "sdk/python/examples",
    "tests/languages",
];
/// What every guest depends on.
const SHARED: [&str; 2] = ["wit", "host/build/src"];

/// Builds the named guests, or all that have changed.
pub(crate) fn build(root: &Path, names: &[String]) -> Result<()> {
    let projects = discover(root)?;
    if let Some(unknown) = names
        .iter()
        .find(|name| !projects.iter().any(|project| project.name == **name))
    {
        let known: Vec<_> = projects.iter().map(|project| project.name.as_str()).collect();
        bail!("there is no guest `{unknown}`; there are: {}", known.join(", "));
    }
    let toolchains = Toolchains::in_folder(root.join("target/toolchains"));
    let wanted = |project: &&Project| names.is_empty() || names.contains(&project.name);
    let mut by_language: BTreeMap<&str, Vec<&Project>> = BTreeMap::new();
    for project in projects.iter().filter(wanted) {
        by_language
            .entry(project.language.name())
            .or_default()
            .push(project);
    }
    // Side by side, since most compilers keep one core busy; those of a language in turn,
    // because the first installs what the others need.
    let results: Vec<Result<()>> = std::thread::scope(|scope| {
        let build = |projects| scope.spawn(|| build_all(root, projects, &toolchains));
        let threads: Vec<_> = by_language.into_values().map(build).collect();
        let join = |thread: ScopedJoinHandle<_>| thread.join().unwrap_or_else(|_| bail!("a build panicked"));
        threads.into_iter().map(join).collect()
    });
    results.into_iter().collect()
}

/// One after the other; one that fails does not keep the others from being built.
fn build_all(root: &Path, projects: Vec<&Project>, toolchains: &Toolchains) -> Result<()> {
    let mut failed = Vec::new();
    for project in projects {
        match build_one(root, project, toolchains) {
            Ok(()) => {}
            Err(error @ BuildError::Missing { .. }) => {
                crate::missing(&format!(
                    "{} is not built and its tests are skipped: {error}",
                    project.name
                ))?;
            }
            Err(error) => {
                eprintln!("error: guest `{}`: {error}", project.name);
                failed.push(project.name.as_str());
            }
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    bail!("these guests did not build: {}", failed.join(", "))
}

fn discover(root: &Path) -> Result<Vec<Project>> {
    let mut projects = Vec::new();
    for folder in FOLDERS.map(|folder| root.join(folder)) {
        if !folder.is_dir() {
            continue;
        }
        for entry in fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))? {
            let path = entry?.path();
            if path.join(PROJECT_FILE).is_file() {
                projects.push(Project::open(&path)?);
            }
        }
    }
    projects.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(projects)
}

fn build_one(root: &Path, project: &Project, toolchains: &Toolchains) -> Result<(), BuildError> {
    let out = root.join("target/guests").join(format!("{}.wasm", project.name));
    if !is_stale(root, project, &out) {
        return Ok(());
    }
    let options = Options {
        out: Some(out),
        toolchains: toolchains.clone(),
    };
    let artifact = windlass_build::build(project, &options)?;
    println!(
        "{}: {} KiB of {} in {:.1} s",
        project.name,
        artifact.built.size.div_ceil(1024),
        project.language,
        artifact.took.as_secs_f64()
    );
    Ok(())
}

/// Whether something that it is made of is newer.
fn is_stale(root: &Path, project: &Project, out: &Path) -> bool {
    let Ok(built) = fs::metadata(out).and_then(|metadata| metadata.modified()) else {
        return true;
    };
    let sdk = match project.language {
        Language::Rust => "sdk/rust",
        Language::Go => "sdk/go",
        Language::Python => "sdk/python",
        Language::JavaScript => "sdk/javascript",
        Language::C => "sdk/c",
    };
    let shared = SHARED.iter().chain([&sdk]).map(|folder| root.join(folder));
    shared
        .chain([project.folder.clone()])
        .filter_map(|folder| sources::newest(&folder, |_| false))
        .any(|changed| changed > built)
}
