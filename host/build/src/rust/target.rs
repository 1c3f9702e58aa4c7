//! Finds a way to compile for wasm, whatever the machine offers.
//!
//! In order: the toolchain has the target; rustup can add it; Debian's packages bring a
//! compiler and the standard library's source, so that the library is built along.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::BuildError;
use crate::process;
use crate::project::Language;

/// What guests are compiled for: nothing of an operating system, so nothing to import from one.
pub const TARGET: &str = "wasm32-unknown-unknown";

const DEBIAN_PACKAGES: [&str; 3] = ["rustc-web", "rust-web-src", "rust-web-llvm"];
const DEBIAN_COMPILER: &str = "/usr/bin/rustc";

/// How to compile for wasm here.
#[derive(Debug)]
pub enum Target {
    /// The toolchain has the target's standard library.
    Installed,
    /// Debian's compiler builds the standard library from Debian's source.
    Debian {
        /// The rustup toolchain's linker.
        linker: PathBuf,
    },
}

impl Target {
    /// Looks, and installs what is missing. `workspace` decides which toolchain rustup takes.
    ///
    /// # Errors
    /// When there is no way; the message says what would be one.
    pub fn find(workspace: &Path) -> Result<Self, BuildError> {
        if has_target(workspace)? || (rustup_adds_target(workspace) && has_target(workspace)?) {
            return Ok(Self::Installed);
        }
        if debian_source().is_none() && !apt_installs() {
            return Err(missing(format!(
                "one of these helps:\n  rustup target add {TARGET}\n  sudo apt-get install {}",
                DEBIAN_PACKAGES.join(" ")
            )));
        }
        if debian_source().is_none() {
            let problem = "Debian's rust-web-src brought no standard library for";
            return Err(missing(format!("{problem} {DEBIAN_COMPILER}")));
        }
        let linker = sysroot(workspace)?.join(format!(
            "lib/rustlib/{}-unknown-linux-gnu/bin/rust-lld",
            std::env::consts::ARCH
        ));
        if !linker.exists() {
            return Err(missing(format!(
                "the toolchain has no linker at {}",
                linker.display()
            )));
        }
        Ok(Self::Debian { linker })
    }

    /// `cargo build` for the target, ready for further arguments.
    #[must_use]
    pub fn cargo_build(&self) -> Command {
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
fn has_target(workspace: &Path) -> Result<bool, BuildError> {
    Ok(PathBuf::from(rustc_prints(workspace, &["target-libdir", "--target", TARGET])?).exists())
}

fn sysroot(workspace: &Path) -> Result<PathBuf, BuildError> {
    Ok(rustc_prints(workspace, &["sysroot"])?.into())
}

fn rustc_prints(workspace: &Path, what: &[&str]) -> Result<String, BuildError> {
    let mut rustc = Command::new("rustc");
    rustc.arg("--print").args(what).current_dir(workspace);
    let printed = process::output(&format!("rustc --print {}", what.join(" ")), &mut rustc)?;
    Ok(String::from_utf8_lossy(&printed).trim().to_owned())
}

fn missing(advice: String) -> BuildError {
    BuildError::Missing {
        program: format!("a way to compile for {TARGET}"),
        language: Language::Rust,
        advice,
    }
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
