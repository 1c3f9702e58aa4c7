//! The bill of materials of a binary, as CycloneDX: every crate that is linked in for its
//! target with the features it has there, and those of the guests inside.
//!
//! By our own hand, because no tool sees what the guests, which are other programs of
//! another workspace, bring into the binary. That it is valid is for `validate`, which
//! asks the format's own library.

mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::platform::STOCK_GUESTS;
use crate::process::stdout;
use crate::source::Source;
use crate::venv::Venv;
use tree::{Crate, Tree};

/// Has the schemas of the format, and checks documents against them.
const VALIDATOR: Venv = Venv {
    name: "cyclonedx",
    packages: &["cyclonedx-python-lib[json-validation]==11.12.0"],
    skipped: "the bill of materials is not checked",
};
const VALIDATE: &str = "
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
with open(sys.argv[1]) as file:
    sys.exit(JsonStrictValidator(SchemaVersion.V1_6).validate_str(file.read()))
";

/// A document in the making.
#[derive(Debug, Default)]
struct Bill {
    components: BTreeMap<String, Value>,
    dependencies: BTreeMap<String, BTreeSet<String>>,
}

/// Writes the bill of the binary for this target.
pub(crate) fn write(root: &Path, source: &Source, target: &str, file: &Path) -> Result<()> {
    let mut bill = Bill::default();
    let host = Tree::read(root, "windlass", target)?;
    let binary = bill.add(&host, &Value::Null)?;
    let mut inside = BTreeSet::new();
    for guest in STOCK_GUESTS {
        let wasm = root.join("target/guests").join(format!("{guest}.wasm"));
        let digest = stdout(Command::new("sha256sum").arg("--binary").arg(&wasm))?;
        let digest = digest
            .split_whitespace()
            .next()
            .context("sha256sum says nothing")?;
        let tree = Tree::read(&root.join("guests"), guest, windlass_build::rust::TARGET)?;
        inside.insert(bill.add(&tree, &json!([{"alg": "SHA-256", "content": digest}]))?);
    }
    let compiler = stdout(Command::new("rustc").arg("--version").current_dir(root))?;
    let compiler = compiler
        .split_whitespace()
        .nth(1)
        .context("rustc has no version")?;
    inside.insert(bill.add_standard_library(compiler));
    bill.dependencies
        .entry(binary.clone())
        .or_default()
        .extend(inside);
    let main = bill
        .components
        .remove(&binary)
        .context("the binary is a component")?;
    let mut document = json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"timestamp": source.time()?, "component": main},
    });
    document["metadata"]["component"]["properties"] = json!([
        {"name": "windlass:target", "value": target},
        {"name": "windlass:revision", "value": source.revision},
    ]);
    document["components"] = bill.components.into_values().collect();
    let dependencies = bill.dependencies.iter();
    let dependency = |(from, to): (_, &BTreeSet<String>)| json!({"ref": from, "dependsOn": to});
    document["dependencies"] = dependencies.map(dependency).collect();
    fs::write(file, serde_json::to_string_pretty(&document)? + "\n")
        .with_context(|| format!("writing {}", file.display()))
}

impl Bill {
    /// Adds a program with all that it is made of, and returns what it is referred to by.
    fn add(&mut self, tree: &Tree, hashes: &Value) -> Result<String> {
        for node in tree.crates() {
            self.components
                .entry(reference(node))
                .or_insert_with(|| library(node));
        }
        let program = tree.program();
        let mut component = library(program);
        component["type"] = "application".into();
        if !hashes.is_null() {
            component["hashes"] = hashes.clone();
        }
        self.components.insert(reference(program), component);
        for (from, to) in tree.edges() {
            let known = self.dependencies.entry(reference(from)).or_default();
            known.extend(to.map(reference));
        }
        Ok(reference(program))
    }

    /// What no manifest names: the standard library, with the parts of libc inside.
    fn add_standard_library(&mut self, version: &str) -> String {
        let reference = format!("rust-std@{version}");
        let component = json!({
            "type": "library", "bom-ref": reference, "name": "rust-std", "version": version,
            "licenses": [{"expression": "MIT OR Apache-2.0"}],
            "externalReferences": [{"type": "vcs", "url": "https://github.com/rust-lang/rust"}],
        });
        self.components.insert(reference.clone(), component);
        self.dependencies.entry(reference.clone()).or_default();
        reference
    }
}

/// Crates of a registry have a package URL; those of this repository are not published.
fn reference(node: &Crate) -> String {
    let Crate { name, version, .. } = node;
    match node.checksum {
        Some(_) => format!("pkg:cargo/{name}@{}", version.replace('+', "%2B")),
        None => format!("{name}@{version}"),
    }
}

fn library(node: &Crate) -> Value {
    let reference = reference(node);
    let mut component = json!({
        "type": "library", "bom-ref": reference, "name": node.name, "version": node.version,
    });
    if let Some(checksum) = &node.checksum {
        component["purl"] = reference.into();
        component["hashes"] = json!([{"alg": "SHA-256", "content": checksum}]);
    }
    if let Some(license) = &node.license {
        // Old manifests separate alternatives by a slash.
        component["licenses"] = json!([{"expression": license.replace('/', " OR ")}]);
    }
    if let Some(repository) = &node.repository {
        component["externalReferences"] = json!([{"type": "vcs", "url": repository}]);
    }
    component
}

/// Holds a bill against the schema of the format, with its own library.
pub(crate) fn validate(root: &Path, file: &Path) -> Result<()> {
    let programs = VALIDATOR
        .programs(root)?
        .context("the bill wants to be checked")?;
    stdout(
        Command::new(programs.join("python"))
            .args(["-c", VALIDATE])
            .arg(file),
    )
    .with_context(|| format!("{} is no CycloneDX", file.display()))?;
    Ok(())
}
