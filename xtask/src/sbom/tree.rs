//! What a program is made of, as cargo resolves it for one target: its crates, what they
//! depend on, and what their manifests and the lock file say of them.
//!
//! Only what is linked in: neither crates of build scripts and tests, nor macros.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use crate::process::stdout;

/// Name and version.
type Id = (String, String);

#[derive(Debug)]
pub(super) struct Crate {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) license: Option<String>,
    pub(super) repository: Option<String>,
    /// SHA-256 of the package; nothing for what is not of a registry.
    pub(super) checksum: Option<String>,
}

#[derive(Debug)]
pub(super) struct Tree {
    program: Id,
    crates: BTreeMap<Id, Crate>,
    edges: BTreeMap<Id, BTreeSet<Id>>,
}

impl Tree {
    /// The tree of a package of the workspace in this folder.
    pub(super) fn read(workspace: &Path, package: &str, target: &str) -> Result<Self> {
        let mut tree = Command::new("cargo");
        tree.args(["tree", "--locked", "--package", package, "--target", target]);
        tree.args([
            "--edges",
            "normal,no-proc-macro",
            "--prefix",
            "depth",
            "--format",
            " {p}",
        ]);
        let (program, edges) = edges(&stdout(tree.current_dir(workspace))?)?;
        let lock = fs::read_to_string(workspace.join("Cargo.lock")).context("there is no Cargo.lock")?;
        let checksums = checksums(&lock);
        let mut packages = packages(workspace)?;
        let mut crates = BTreeMap::new();
        for id in edges.keys() {
            let package = packages
                .remove(id)
                .with_context(|| format!("no manifest of {} {}", id.0, id.1))?;
            let found = Crate {
                name: package.name,
                version: package.version,
                license: package.license,
                repository: package.repository,
                checksum: checksums.get(id).cloned(),
            };
            crates.insert(id.clone(), found);
        }
        Ok(Self {
            program,
            crates,
            edges,
        })
    }

    pub(super) fn program(&self) -> &Crate {
        &self.crates[&self.program]
    }

    pub(super) fn crates(&self) -> impl Iterator<Item = &Crate> {
        self.crates.values()
    }

    /// Each crate and what it depends on.
    pub(super) fn edges(&self) -> impl Iterator<Item = (&Crate, impl Iterator<Item = &Crate>)> {
        let dependencies = |to: &BTreeSet<Id>| to.iter().map(|id| &self.crates[id]).collect::<Vec<_>>();
        self.edges
            .iter()
            .map(move |(from, to)| (&self.crates[from], dependencies(to).into_iter()))
    }
}

/// Reads what `cargo tree` prints: lines of depth, name and version. A crate that came
/// before is marked, and its dependencies are not repeated.
fn edges(text: &str) -> Result<(Id, BTreeMap<Id, BTreeSet<Id>>)> {
    let mut edges: BTreeMap<Id, BTreeSet<Id>> = BTreeMap::new();
    let mut above: Vec<Id> = Vec::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let mut word = || words.next().with_context(|| format!("cargo tree says: {line}"));
        let depth: usize = word()?
            .parse()
            .with_context(|| format!("cargo tree says: {line}"))?;
        let name = word()?.to_owned();
        let version = word()?.trim_start_matches('v').to_owned();
        ensure!(depth <= above.len(), "cargo tree skips a level: {line}");
        above.truncate(depth);
        let id = (name, version);
        if let Some(parent) = above.last() {
            edges.entry(parent.clone()).or_default().insert(id.clone());
        }
        edges.entry(id.clone()).or_default();
        above.push(id);
    }
    let program = above.into_iter().next().context("cargo tree says nothing")?;
    Ok((program, edges))
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    repository: Option<String>,
}

fn packages(workspace: &Path) -> Result<BTreeMap<Id, Package>> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Package>,
    }
    let mut command = Command::new("cargo");
    command
        .args(["metadata", "--locked", "--format-version", "1"])
        .current_dir(workspace);
    let metadata: Metadata =
        serde_json::from_str(&stdout(&mut command)?).context("reading cargo metadata")?;
    let packages = metadata.packages.into_iter();
    Ok(packages
        .map(|package| ((package.name.clone(), package.version.clone()), package))
        .collect())
}

/// The checksums of a lock file, which cargo writes one key a line.
fn checksums(lock: &str) -> BTreeMap<Id, String> {
    let value = |block: &str, key: &str| {
        let mut lines = block.lines();
        let quoted = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "))?;
        Some(quoted.trim_matches('"').to_owned())
    };
    let of = |block: &str| {
        Some((
            (value(block, "name")?, value(block, "version")?),
            value(block, "checksum")?,
        ))
    };
    lock.split("[[package]]").filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> Id {
        (name.to_owned(), "1.0.0".to_owned())
    }

    #[test]
    fn a_tree_is_read_with_its_repetitions() {
        let text = "0 a v1.0.0 (/a)\n1 b v1.0.0\n2 c v1.0.0\n1 d v1.0.0\n2 b v1.0.0 (*)\n";
        let (program, edges) = edges(text).unwrap();
        assert_eq!(program, id("a"));
        let of = |name| {
            edges[&id(name)]
                .iter()
                .map(|(name, _)| name.as_str())
                .collect::<Vec<_>>()
        };
        assert_eq!(of("a"), ["b", "d"]);
        assert_eq!(of("b"), ["c"]);
        assert_eq!(of("c"), [""; 0]);
        assert_eq!(of("d"), ["b"]);
        assert!(super::edges("0 a v1.0.0\n2 b v1.0.0").is_err());
    }

    #[test]
    fn only_packages_of_a_registry_have_a_checksum() {
        let lock = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nchecksum = \"12\"\n\n\
                    [[package]]\nname = \"b\"\nversion = \"1.0.0\"\n";
        assert_eq!(checksums(lock), BTreeMap::from([(id("a"), "12".to_owned())]));
    }
}
