//! JavaScript and TypeScript: esbuild makes one module of the project, componentize-qjs a
//! component of that and QuickJS.

use std::path::PathBuf;
use std::process::Command;

use serde::Deserialize;

use crate::contract;
use crate::error::BuildError;
use crate::process;
use crate::project::Project;
use crate::toolchain::ComponentizeJs;

/// Where the module is looked for when neither the project file nor package.json names it.
const ENTRIES: [&str; 6] = [
    "src/main.ts",
    "src/main.js",
    "src/index.ts",
    "src/index.js",
    "index.ts",
    "index.js",
];

/// What a build needs of `package.json`.
#[derive(Debug, Default, Deserialize)]
struct Metadata {
    main: Option<PathBuf>,
    #[serde(default)]
    dependencies: serde_json::Map<String, serde_json::Value>,
}

pub(crate) fn build(project: &Project, tools: &ComponentizeJs) -> Result<Vec<u8>, BuildError> {
    let target = project.target();
    let wit = contract::write(&target.join("wit"))?;
    let metadata = metadata(project)?;
    install(project, &metadata)?;
    let bundle = target.join("bundle.js");
    process::run(
        "esbuild",
        Command::new(tools.bin.join("esbuild"))
            .arg(entry(project, metadata)?)
            .args([
                "--bundle",
                "--format=esm",
                "--platform=neutral",
                "--target=es2023",
                "--main-fields=module,main",
                "--external:windlass:*",
                "--log-level=warning",
                "--tree-shaking=true",
            ])
            .arg(format!("--outfile={}", bundle.display()))
            .current_dir(&project.folder),
    )?;
    let out = target.join("componentized.wasm");
    process::output(
        "componentize-qjs",
        Command::new(tools.bin.join("componentize-qjs"))
            .arg("--wit")
            .arg(wit)
            .args(["--world", &project.world.name(), "--sync", "--js"])
            .arg(&bundle)
            .arg("--output")
            .arg(&out)
            .current_dir(&target),
    )?;
    std::fs::read(&out).map_err(BuildError::file(&out))
}

fn metadata(project: &Project) -> Result<Metadata, BuildError> {
    let path = project.folder.join("package.json");
    if !path.is_file() {
        return Ok(Metadata::default());
    }
    let text = std::fs::read(&path).map_err(BuildError::file(&path))?;
    serde_json::from_slice(&text).map_err(|error| BuildError::ProjectFile {
        path,
        problem: error.to_string(),
    })
}

/// Dependencies that nobody has installed yet. Whoever has any decides himself when to
/// renew them.
fn install(project: &Project, metadata: &Metadata) -> Result<(), BuildError> {
    if metadata.dependencies.is_empty() || project.folder.join("node_modules").is_dir() {
        return Ok(());
    }
    process::output(
        "installing the project's dependencies with npm",
        Command::new("npm")
            .args(["install", "--no-audit", "--no-fund", "--silent"])
            .current_dir(&project.folder),
    )
    .map(drop)
}

fn entry(project: &Project, metadata: Metadata) -> Result<PathBuf, BuildError> {
    let found = || {
        let candidates = ENTRIES.iter().map(PathBuf::from);
        candidates
            .into_iter()
            .find(|entry| project.folder.join(entry).is_file())
    };
    let entry = project.entry.clone().or(metadata.main).or_else(found);
    entry.ok_or_else(|| BuildError::ProjectFile {
        path: project.folder.clone(),
        problem: format!(
            "there is none of {}: name the module as `main` in package.json or as `entry:` in a windlass.yaml",
            ENTRIES.join(", ")
        ),
    })
}
