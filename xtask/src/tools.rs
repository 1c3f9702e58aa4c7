//! `xtask tools`: programs that tests and recipes drive and that a distribution packages.
//!
//! Installs what is missing where that is possible without asking: on Debian and its
//! kin, as root. Elsewhere it says what to install and succeeds, because the tests that
//! need a program then skip themselves.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

/// A program that tests drive, or a recipe.
struct Tool {
    /// As it is called here, and the package of Debian that holds it.
    name: &'static str,
    /// The file that shows whether it is there.
    program: &'static str,
    /// What is skipped without it.
    tests: &'static str,
}

const TOOLS: [Tool; 7] = [
    Tool {
        name: "docker-registry",
        program: "docker-registry",
        tests: "the tests of OCI registries",
    },
    Tool {
        name: "prometheus",
        program: "promtool",
        tests: "the tests of metrics and alerts",
    },
    Tool {
        name: "chromium",
        program: "chromium",
        tests: "the tests of the status page",
    },
    Tool {
        name: "golang",
        program: "go",
        tests: "the tests of guests in Go",
    },
    Tool {
        name: "npm",
        program: "npm",
        tests: "the tests of guests in JavaScript",
    },
    Tool {
        name: "python3-venv",
        program: "python3",
        tests: "the tests of guests in Python and C",
    },
    Tool {
        name: "faketime",
        program: "faketime",
        tests: "the tests of clocks that jump",
    },
];

/// What other recipes call; only installed by name.
const OF_RECIPES: [Tool; 5] = [
    Tool {
        name: "doxygen",
        program: "doxygen",
        tests: "pages of the reference of sdk/c",
    },
    Tool {
        name: "buildah",
        program: "buildah",
        tests: "images",
    },
    Tool {
        name: "musl-tools",
        program: "musl-gcc",
        tests: "static binaries",
    },
    Tool {
        name: "crossbuild-essential-arm64",
        program: "aarch64-linux-gnu-gcc",
        tests: "binaries for arm64",
    },
    Tool {
        name: "qemu-user-static",
        program: "qemu-aarch64-static",
        tests: "runs of the binary for arm64",
    },
];

/// Installs the named tools, or all that tests drive.
pub(crate) fn install(names: &[String]) -> Result<()> {
    let known = || TOOLS.iter().chain(&OF_RECIPES);
    if let Some(unknown) = names.iter().find(|name| !known().any(|tool| tool.name == **name)) {
        let known: Vec<_> = known().map(|tool| tool.name).collect();
        bail!("there is no tool `{unknown}`: name any of {}", known.join(", "));
    }
    let named = |tool: &&Tool| names.iter().any(|name| name == tool.name);
    let wanted: Vec<_> = if names.is_empty() {
        TOOLS.iter().collect()
    } else {
        known().filter(named).collect()
    };
    let missing: Vec<_> = wanted
        .into_iter()
        .filter(|tool| !is_there(tool.program))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    if is_there("apt-get") && is_root()? {
        return apt_get(&missing);
    }
    for tool in missing {
        crate::missing(&format!(
            "{} is not installed, so {} are skipped; on Debian and Ubuntu: sudo apt-get install {}",
            tool.program, tool.tests, tool.name
        ))?;
    }
    Ok(())
}

fn apt_get(tools: &[&Tool]) -> Result<()> {
    run(&["update", "--quiet"])?;
    let packages: Vec<_> = tools.iter().map(|tool| tool.name).collect();
    let install = ["install", "--quiet", "--yes", "--no-install-recommends"];
    run(&[install.as_slice(), &packages].concat())
}

fn run(arguments: &[&str]) -> Result<()> {
    let status = Command::new("apt-get")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .status()
        .context("cannot run apt-get")?;
    ensure!(status.success(), "apt-get {} failed", arguments.join(" "));
    Ok(())
}

/// Whether a program is in the search path.
pub(crate) fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn is_root() -> Result<bool> {
    let output = Command::new("id").arg("-u").output().context("cannot run id")?;
    Ok(output.stdout.trim_ascii() == b"0")
}
