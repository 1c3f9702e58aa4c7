//! `xtask bindings`: what is generated from the contract and kept in the sources of an
//! SDK, so that its users need no generator.
//!
//! Only Go: bindings of Rust, Python and C are generated where a guest is built, and
//! JavaScript has none. The exports are three packages, so that a guest has those that
//! it imports, and `windlass build` sees by them which world it is of.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use windlass_build::contract;
use wit_bindgen_core::wit_parser::{PackageId, Resolve};
use wit_bindgen_core::{AsyncFilterSet, Files};

const GO_MODULE: &str = "github.com/windlass-dev/windlass/sdk/go";
const GO_FOLDER: &str = "sdk/go/internal/bindings";
/// Only a component has the functions that bindings import.
const GO_CONSTRAINT: &str = "//go:build wasip1\n\n";
/// The module of the generator's authors that generated code expects; the SDK has its own.
const GENERATORS_MODULE: &str = "go.bytecodealliance.org/pkg/wit";

/// Worlds that are no one's but the SDK's: each optional export alone.
const OPTIONAL_EXPORTS: [&str; 2] = ["observer", "mapper"];

/// Generated files by their path from the root.
type Generated = BTreeMap<PathBuf, Vec<u8>>;

/// Writes the bindings, or with `--check` says which of them are out of date.
pub(crate) fn run(root: &Path, flags: &[String]) -> Result<()> {
    let generated = go()?;
    match flags {
        [] => write(root, &generated),
        [flag] if flag == "--check" => check(root, &generated),
        _ => bail!("`xtask bindings` knows no flag but `--check`"),
    }
}

fn go() -> Result<Generated> {
    let mut generated = go_world("handler", "controller", None)?;
    for interface in OPTIONAL_EXPORTS {
        let text = format!(
            "package windlass:bindings;\nworld {interface} {{ export windlass:controller/{interface}@{}; }}\n",
            contract::version()
        );
        generated.extend(go_world(interface, interface, Some(&text))?);
    }
    let (resolve, package) = contract::resolve_scheduler();
    generated.extend(go_package("plugin", "scheduler-plugin", resolve, package)?);
    Ok(generated)
}

/// One package of exports with what it needs.
fn go_world(name: &str, world: &str, defined_in: Option<&str>) -> Result<Generated> {
    let (mut resolve, mut package) = contract::resolve();
    if let Some(text) = defined_in {
        package = resolve.push_source("bindings.wit", text)?;
    }
    go_package(name, world, resolve, package)
}

fn go_package(name: &str, world: &str, mut resolve: Resolve, package: PackageId) -> Result<Generated> {
    let world = resolve.select_world(&[package], Some(world))?;
    let options = wit_bindgen_go::Opts {
        async_: AsyncFilterSet::all(false),
        pkg_name: Some(format!("{GO_MODULE}/internal/bindings/{name}")),
        ..wit_bindgen_go::Opts::default()
    };
    let mut files = Files::default();
    options.build().generate(&mut resolve, world, &mut files)?;
    files
        .iter()
        .map(|(file, content)| {
            let text = std::str::from_utf8(content).with_context(|| format!("{file} is not text"))?;
            let mut text = text.replace(GENERATORS_MODULE, &format!("{GO_MODULE}/internal/wit"));
            if file.ends_with(".go") {
                text.insert_str(0, GO_CONSTRAINT);
            }
            Ok((Path::new(GO_FOLDER).join(name).join(file), text.into_bytes()))
        })
        .collect()
}

fn write(root: &Path, generated: &Generated) -> Result<()> {
    for name in ["handler", "plugin"].iter().chain(&OPTIONAL_EXPORTS) {
        remove_generated(&root.join(GO_FOLDER).join(name))?;
    }
    for (path, content) in generated {
        let path = root.join(path);
        let parent = path.parent().context("a file lies in a folder")?;
        fs::create_dir_all(parent).with_context(|| format!("making {}", parent.display()))?;
        fs::write(&path, content).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

/// All but the packages that implement exports, which people write.
fn remove_generated(folder: &Path) -> Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().starts_with("export_") {
            let path = entry.path();
            fs::remove_dir_all(&path).with_context(|| format!("removing {}", path.display()))?;
        }
    }
    Ok(())
}

fn check(root: &Path, generated: &Generated) -> Result<()> {
    let differs = |(path, content): &(&PathBuf, &Vec<u8>)| {
        fs::read(root.join(path)).map_or(true, |present| present != **content)
    };
    let stale: Vec<String> = generated
        .iter()
        .filter(differs)
        .map(|(path, _)| path.display().to_string())
        .collect();
    if stale.is_empty() {
        return Ok(());
    }
    bail!(
        "out of date, run `cargo xtask bindings`:\n  {}",
        stale.join("\n  ")
    )
}
