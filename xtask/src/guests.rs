//! Builds the guests' workspace for wasm and encodes each guest as a component.
//!
//! Guests are built one by one, so that a guest's bytes depend neither on which others
//! were asked for (cargo unifies features over a build) nor on whether they compile.
//! Cargo decides what is stale, the contract's files included; a component is encoded
//! again when its module is newer.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;
use windlass_build::rust::{TARGET, Target as Toolchain};

use crate::{platform, root};

/// What to build, and where to put it.
#[derive(Debug)]
pub(crate) struct Args {
    names: Vec<String>,
    out: PathBuf,
}

impl Args {
    /// These, to the folder where the binary looks for them.
    pub(crate) fn named(names: &[&str]) -> Result<Self> {
        Ok(Self {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            out: root()?.join("target/guests"),
        })
    }

    pub(crate) fn parse(arguments: &[String]) -> Result<Self> {
        let mut args = Self {
            names: Vec::new(),
            out: root()?.join("target/guests"),
        };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--out" => args.out = arguments.next().context("--out needs a folder")?.into(),
                flag if flag.starts_with('-') => bail!("there is no flag `{flag}`"),
                name => args.names.push(name.to_owned()),
            }
        }
        Ok(args)
    }
}

pub(crate) fn build(args: &Args) -> Result<()> {
    let workspace = root()?.join("guests");
    let guests = select(discover(&workspace)?, &args.names)?;
    let toolchain = Toolchain::find(&workspace)?;
    fs::create_dir_all(&args.out).with_context(|| format!("making {}", args.out.display()))?;
    let failed: Vec<&str> = guests
        .iter()
        .filter(|guest| !try_build(guest, &workspace, &toolchain, &args.out))
        .map(|guest| guest.name.as_str())
        .collect();
    ensure!(
        failed.is_empty(),
        "these guests did not build: {}",
        failed.join(", ")
    );
    Ok(())
}

/// A package of the guests' workspace.
#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    targets: Vec<Target>,
}

#[derive(Debug, Deserialize)]
struct Target {
    name: String,
    crate_types: Vec<String>,
}

impl Package {
    /// The file that cargo makes of it, if it is a guest.
    fn module(&self) -> Option<String> {
        let library = self
            .targets
            .iter()
            .find(|target| target.crate_types.iter().any(|kind| kind == "cdylib"))?;
        Some(format!("{}.wasm", library.name.replace('-', "_")))
    }
}

fn discover(workspace: &Path) -> Result<Vec<Package>> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Package>,
    }
    let output = Command::new("cargo")
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .current_dir(workspace)
        .output()
        .context("running cargo metadata")?;
    ensure!(
        output.status.success(),
        "cargo metadata in {}:\n{}",
        workspace.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Metadata = serde_json::from_slice(&output.stdout).context("reading cargo metadata")?;
    Ok(metadata
        .packages
        .into_iter()
        .filter(|package| package.module().is_some())
        .collect())
}

fn select(guests: Vec<Package>, names: &[String]) -> Result<Vec<Package>> {
    let known = |name: &String| guests.iter().any(|guest| guest.name == *name);
    if let Some(unknown) = names.iter().find(|name| !known(name)) {
        let all: Vec<&str> = guests.iter().map(|guest| guest.name.as_str()).collect();
        bail!("there is no guest `{unknown}`; there are: {}", all.join(", "));
    }
    Ok(guests
        .into_iter()
        .filter(|guest| names.is_empty() || names.contains(&guest.name))
        .collect())
}

/// One guest's failure is reported at once and does not keep the others from being built.
fn try_build(guest: &Package, workspace: &Path, toolchain: &Toolchain, out: &Path) -> bool {
    match build_one(guest, workspace, toolchain, out) {
        Ok(()) => true,
        Err(error) => {
            eprintln!("error: guest `{}`: {error:#}", guest.name);
            false
        }
    }
}

/// Messages name no folder of the machine. Symbols still depend on where the checkout lies,
/// because cargo tells the SDK, which is outside of the workspace's folder, by its path.
fn build_one(guest: &Package, workspace: &Path, toolchain: &Toolchain, out: &Path) -> Result<()> {
    let renamed = platform::renamed(&root()?)?;
    let flags = renamed.map(|renamed| format!("--remap-path-prefix={renamed}"));
    let status = toolchain
        .cargo_build()
        .args(["--quiet", "--release", "--package", &guest.name])
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
        .current_dir(workspace)
        .status()
        .context("running cargo build")?;
    ensure!(status.success(), "cargo build failed");
    let module = guest.module().context("a guest has a module")?;
    let module = workspace.join("target").join(TARGET).join("release").join(module);
    let component = out.join(format!("{}.wasm", guest.name));
    if is_newer(&module, &component)? {
        Ok(windlass_build::encode_file(&module, &component)?)
    } else {
        Ok(())
    }
}

fn is_newer(module: &Path, component: &Path) -> Result<bool> {
    let built = fs::metadata(module).and_then(|metadata| metadata.modified());
    let built = built.with_context(|| format!("looking for {}", module.display()))?;
    match fs::metadata(component).and_then(|metadata| metadata.modified()) {
        Ok(encoded) => Ok(built > encoded),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error).with_context(|| format!("looking at {}", component.display())),
    }
}
