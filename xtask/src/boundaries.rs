//! `xtask boundaries`: the crate map, asserted from the dependency tree, and no source
//! file that no module includes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// A crate, and what it must not reach by any normal dependency.
const FORBIDDEN: [(&str, &[&str]); 10] = [
    (
        "windlass-build",
        &["kube", "wasmtime", "hyper", "windlass-core", "windlass-engine"],
    ),
    (
        "windlass-core",
        &["kube", "wasmtime", "hyper", "windlass-cluster", "windlass-engine"],
    ),
    (
        "windlass-cluster",
        &["wasmtime", "windlass-engine", "windlass-manager"],
    ),
    (
        "windlass-engine",
        &["kube", "hyper", "windlass-cluster", "windlass-manager"],
    ),
    ("windlass-manager", &["windlass-apiserver", "windlass-kubelet"]),
    (
        "windlass-apiserver",
        &[
            "kube",
            "wasmtime",
            "windlass-core",
            "windlass-cluster",
            "windlass-engine",
            "windlass-manager",
        ],
    ),
    (
        "windlass-kubelet",
        &[
            "wasmtime",
            "windlass-apiserver",
            "windlass-engine",
            "windlass-manager",
        ],
    ),
    (
        "windlass-telemetry",
        &[
            "kube",
            "wasmtime",
            "windlass-cluster",
            "windlass-engine",
            "windlass-manager",
        ],
    ),
    (
        "windlass-typegen",
        &[
            "kube",
            "wasmtime",
            "hyper",
            "tokio",
            "windlass-core",
            "windlass-build",
        ],
    ),
    (
        "windlass-registry",
        &[
            "kube",
            "wasmtime",
            "aws-lc-rs",
            "openssl",
            "windlass-core",
            "windlass-cluster",
            "windlass-engine",
            "windlass-manager",
            "windlass-apiserver",
            "windlass-kubelet",
        ],
    ),
];

/// Folders whose crates must include every source file.
const SOURCES: [&str; 5] = ["host", "guests", "sdk/rust", "tests", "xtask"];

/// Runs both checks.
pub(crate) fn run(root: &Path) -> Result<()> {
    let mut problems = Vec::new();
    for (package, forbidden) in FORBIDDEN {
        let reached = dependencies(root, package)?;
        problems.extend(
            forbidden
                .iter()
                .filter(|name| reached.contains(**name))
                .map(|name| format!("{package} must not reach {name}")),
        );
    }
    for folder in SOURCES {
        problems.extend(
            unlinked(&root.join(folder))?
                .into_iter()
                .map(|file| format!("no module includes {}", file.display())),
        );
    }
    if !problems.is_empty() {
        bail!("boundaries are broken:\n  {}", problems.join("\n  "));
    }
    println!(
        "boundaries hold: {} crates, no unlinked source file",
        FORBIDDEN.len()
    );
    Ok(())
}

fn dependencies(root: &Path, package: &str) -> Result<BTreeSet<String>> {
    let arguments = [
        "tree",
        "--package",
        package,
        "--edges",
        "normal",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ];
    let output = Command::new("cargo")
        .args(arguments)
        .current_dir(root)
        .output()
        .context("cargo tree")?;
    if !output.status.success() {
        bail!(
            "cargo tree --package {package} failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text
        .lines()
        .skip(1)
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect())
}

/// Source files that cargo does not take as a root and that no `mod` names.
fn unlinked(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    collect(folder, &mut files)?;
    let mut named = BTreeSet::new();
    for file in &files {
        let text =
            std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        named.extend(text.lines().filter_map(module_name));
    }
    files.retain(|file| {
        !is_root(file)
            && file
                .file_stem()
                .is_none_or(|stem| !named.contains(&*stem.to_string_lossy()))
    });
    Ok(files)
}

/// The name in `mod name;`, with any visibility.
fn module_name(line: &str) -> Option<String> {
    let declaration = line.trim().strip_suffix(';')?;
    let (before, name) = declaration.rsplit_once("mod ")?;
    (before.is_empty() || before.starts_with("pub")).then(|| name.to_owned())
}

fn is_root(file: &Path) -> bool {
    let stem = file
        .file_stem()
        .map(|stem| stem.to_string_lossy().into_owned())
        .unwrap_or_default();
    let parent = file
        .parent()
        .and_then(Path::file_name)
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    matches!(stem.as_str(), "lib" | "main" | "build")
        || matches!(parent.as_str(), "tests" | "examples" | "benches")
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            if path.file_name().is_none_or(|name| name != "target") {
                collect(&path, files)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}
