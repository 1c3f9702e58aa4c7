//! Finds a way to compile for wasm, whatever the machine offers.
//!
//! In order: the toolchain has the target; rustup can add it; Debian's packages bring a
//! compiler and the standard library's source, so that the library is built along.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

/// What guests are compiled for: nothing of an operating system, so nothing to import from one.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

const DEBIAN_PACKAGES: [&str; 3] = ["rustc-web", "rust-web-src", "rust-web-llvm"];
const DEBIAN_COMPILER: &str = "/usr/bin/rustc";

/// How to compile for wasm here.
#[derive(Debug)]
pub(crate) enum Toolchain {
    /// The toolchain has the target's standard library.
    Installed,
    /// Debian's compiler builds the standard library from Debian's source.
    Debian {
        /// The rustup toolchain's linker.
        linker: PathBuf,
    },
}

impl Toolchain {
    /// Looks, and installs what is missing. `workspace` decides which toolchain rustup takes.
    pub(crate) fn detect(workspace: &Path) -> Result<Self> {
        if has_target(workspace)? || (rustup_adds_target(workspace) && has_target(workspace)?) {
            return Ok(Self::Installed);
        }
        if debian_source().is_none() && !apt_installs() {
            bail!(
                "there is no way to compile for {TARGET} here. One of these helps:\n  \
                 rustup target add {TARGET}\n  \
                 sudo apt-get install {}",
                DEBIAN_PACKAGES.join(" ")
            );
        }
        ensure!(
            debian_source().is_some(),
            "Debian's rust-web-src brought no standard library for {DEBIAN_COMPILER}"
        );
        let linker = sysroot(workspace)?.join(format!(
            "lib/rustlib/{}-unknown-linux-gnu/bin/rust-lld",
            std::env::consts::ARCH
        ));
        ensure!(
            linker.exists(),
            "the toolchain has no linker at {}",
            linker.display()
        );
        Ok(Self::Debian { linker })
    }

    /// `cargo build` for the target, ready for further arguments.
    pub(crate) fn cargo_build(&self) -> Command {
        let mut command = Command::new("cargo");
        command.args(["build", "--target", TARGET]);
        if let Self::Debian { linker } = self {
            command
                .arg("-Zbuild-std=std,panic_abort")
                .env("RUSTC", DEBIAN_COMPILER)
                .env("RUSTC_BOOTSTRAP", "1")
                .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
        }
        command
    }
}

/// rustc prints a folder even when it does not exist.
fn has_target(workspace: &Path) -> Result<bool> {
    Ok(PathBuf::from(rustc_prints(workspace, &["target-libdir", "--target", TARGET])?).exists())
}

fn sysroot(workspace: &Path) -> Result<PathBuf> {
    Ok(rustc_prints(workspace, &["sysroot"])?.into())
}

fn rustc_prints(workspace: &Path, what: &[&str]) -> Result<String> {
    let output = Command::new("rustc")
        .arg("--print")
        .args(what)
        .current_dir(workspace)
        .output()
        .context("running rustc")?;
    ensure!(
        output.status.success(),
        "rustc --print {}:\n{}",
        what.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn rustup_adds_target(workspace: &Path) -> bool {
    succeeds(
        Command::new("rustup")
            .args(["target", "add", TARGET])
            .current_dir(workspace),
    )
}

fn debian_source() -> Option<PathBuf> {
    let output = Command::new(DEBIAN_COMPILER)
        .args(["--print", "sysroot"])
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let sysroot = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    let source = sysroot.join("lib/rustlib/src/rust/library/std/Cargo.toml");
    source.exists().then_some(source)
}

/// As root, or where sudo asks for no password.
fn apt_installs() -> bool {
    let install = ["apt-get", "install", "--yes", "--no-install-recommends"];
    let as_root = |command: &mut Command| {
        succeeds(
            command
                .args(DEBIAN_PACKAGES)
                .env("DEBIAN_FRONTEND", "noninteractive"),
        )
    };
    as_root(Command::new("apt-get").args(&install[1..]))
        || as_root(Command::new("sudo").arg("-n").args(install))
}

/// Runs quietly: these are attempts, and what matters is what comes of them.
fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
