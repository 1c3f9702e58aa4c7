//! What Windlass is handed out for, and how its binary becomes static there.
//!
//! With musl: to resolve a name, a static glibc loads the modules that `/etc/nsswitch.conf`
//! names from the machine it runs on, whose glibc is another than its own. mimalloc
//! allocates, so musl's slow allocator does not matter.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::process::{run, stdout};
use crate::{guests, tools};

/// The guests inside the binary.
pub(crate) const STOCK_GUESTS: [&str; 4] = ["deployment", "replicaset", "scheduler", "garbage-collector"];

/// What binaries are built with that are handed out.
const PROFILE: &str = "dist";

/// One kind of machine.
#[derive(Debug)]
pub(crate) struct Platform {
    /// As OCI and Kubernetes call it.
    pub(crate) architecture: &'static str,
    /// As Rust calls it.
    pub(crate) rust: &'static str,
    /// As readelf calls it.
    pub(crate) machine: &'static str,
    /// Compiles what is C, which is mimalloc and ring, and links.
    compiler: &'static str,
    /// The package of Debian that brings it.
    package: &'static str,
}

pub(crate) const PLATFORMS: [Platform; 2] = [
    Platform {
        architecture: "amd64",
        rust: "x86_64",
        machine: "Advanced Micro Devices X86-64",
        compiler: "musl-gcc",
        package: "musl-tools",
    },
    // Debian has no compiler with musl's headers for it; those of glibc agree in what the
    // two libraries use.
    Platform {
        architecture: "arm64",
        rust: "aarch64",
        machine: "AArch64",
        compiler: "aarch64-linux-gnu-gcc",
        package: "crossbuild-essential-arm64",
    },
];

impl Platform {
    /// The one of this name.
    pub(crate) fn named(name: &str) -> Result<&'static Self> {
        let named = PLATFORMS.iter().find(|platform| platform.architecture == name);
        named.with_context(|| format!("there is no recipe for {name}, only for amd64 and arm64"))
    }

    /// The one of this machine.
    pub(crate) fn here() -> Result<&'static Self> {
        let here = std::env::consts::ARCH;
        let same = PLATFORMS.iter().find(|platform| platform.rust == here);
        same.with_context(|| format!("there is no recipe for {here}"))
    }

    pub(crate) fn is_here(&self) -> bool {
        self.rust == std::env::consts::ARCH
    }

    /// Runs a binary for it, by emulation if need be.
    pub(crate) fn emulator(&self, binary: &Path) -> Command {
        if self.is_here() {
            return Command::new(binary);
        }
        let mut command = Command::new(format!("qemu-{}-static", self.rust));
        command.arg(binary);
        command
    }

    /// What to compile for. Where rustup cannot bring musl, the image for this machine can
    /// still be built and checked, with glibc.
    pub(crate) fn target(&self, root: &Path) -> Result<String> {
        let musl = format!("{}-unknown-linux-musl", self.rust);
        if has_target(root, &musl)? || adds_target(root, &musl) {
            return Ok(musl);
        }
        if !self.is_here() {
            bail!(
                "rustup cannot bring {musl}, which the binary for {} needs",
                self.architecture
            );
        }
        println!("rustup cannot bring {musl}: linked with glibc, good for the image alone");
        Ok(format!("{}-unknown-linux-gnu", self.rust))
    }

    /// Builds the binary with the stock guests inside. No path of the machine is in it.
    pub(crate) fn compile(&self, root: &Path, target: &str) -> Result<PathBuf> {
        let with_musl = target.ends_with("musl");
        let compiler = if with_musl { self.compiler } else { "gcc" };
        if with_musl {
            tools::install(&[self.package.to_owned()])?;
        }
        guests::build(&guests::Args::named(&STOCK_GUESTS)?)?;
        let renamed = renamed(root)?;
        let mut flags = vec!["-Ctarget-feature=+crt-static".to_owned()];
        flags.extend(
            renamed
                .iter()
                .map(|renamed| format!("--remap-path-prefix={renamed}")),
        );
        let flags_of_c: Vec<_> = renamed
            .iter()
            .map(|renamed| format!("-ffile-prefix-map={renamed}"))
            .collect();
        let variable = target.replace('-', "_");
        run(Command::new("cargo")
            .args([
                "build",
                "--quiet",
                "--locked",
                "--package",
                "windlass",
                "--bin",
                "windlass",
            ])
            .args(["--profile", PROFILE, "--target", target])
            .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
            .env(format!("CC_{variable}"), compiler)
            .env(format!("CFLAGS_{variable}"), flags_of_c.join(" "))
            .env(
                format!("CARGO_TARGET_{}_LINKER", variable.to_uppercase()),
                self.linker(),
            )
            .current_dir(root))?;
        Ok(root.join("target").join(target).join(PROFILE).join("windlass"))
    }

    /// Rust brings musl's own start files and library; only what puts them together is
    /// another's, and musl-gcc would add its own.
    fn linker(&self) -> &'static str {
        if self.is_here() { "cc" } else { self.compiler }
    }
}

/// Folders and what they are called in what is built, as compilers take it.
pub(crate) fn renamed(root: &Path) -> Result<[String; 2]> {
    let cargo = match std::env::var_os("CARGO_HOME") {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(std::env::var_os("HOME").context("there is no HOME")?).join(".cargo"),
    };
    Ok([
        format!("{}=/windlass", root.display()),
        format!("{}=/cargo", cargo.display()),
    ])
}

/// rustc prints a folder even when it does not exist.
fn has_target(root: &Path, target: &str) -> Result<bool> {
    let libraries = ["--print", "target-libdir", "--target", target];
    let folder = stdout(Command::new("rustc").args(libraries).current_dir(root))?;
    Ok(Path::new(&folder).exists())
}

/// An attempt: what matters is what comes of it.
fn adds_target(root: &Path, target: &str) -> bool {
    let mut rustup = Command::new("rustup");
    rustup.args(["target", "add", target]).current_dir(root);
    let quietly = rustup
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    quietly.status().is_ok_and(|status| status.success())
}
