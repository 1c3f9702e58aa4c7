//! `xtask sdks`: runs the tests of the SDKs and their examples with the runners of their
//! languages, on their fakes of the contract.
//!
//! A language whose runner is missing is named and left out. Rust's are among the guests'.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::tools::is_there;
use crate::venv::Venv;

/// The tests of one language.
struct Suite {
    /// Names the folder under `sdk`.
    language: &'static str,
    /// What runs them.
    program: &'static str,
    /// Folders below that one, and what to run there.
    steps: &'static [(&'static str, &'static [&'static str])],
}

const DISCOVER: &[&str] = &["-m", "unittest", "discover", "--quiet", "tests"];

const SUITES: [Suite; 4] = [
    Suite {
        language: "go",
        program: "go",
        steps: &[
            ("", &["vet", "-unsafeptr=false", "./..."]),
            ("", &["test", "./..."]),
        ],
    },
    Suite {
        language: "python",
        program: "python3",
        steps: &[
            ("", DISCOVER),
            ("examples/label-propagation", DISCOVER),
            ("examples/ttl", DISCOVER),
            ("examples/webapp", DISCOVER),
        ],
    },
    Suite {
        language: "c",
        program: "make",
        steps: &[("", &["--silent", "test"])],
    },
    Suite {
        language: "javascript",
        program: "npm",
        steps: &[
            ("", &["install", "--silent", "--no-audit", "--no-fund"]),
            ("", &["run", "--silent", "check"]),
            ("", &["test", "--silent"]),
        ],
    },
];

const MYPY: Venv = Venv {
    name: "mypy",
    packages: &["mypy==2.4.1"],
    skipped: "the types of sdk/python are not checked",
};
/// Folders below `sdk/python`, and what is checked there; nothing is what the settings say.
const TYPED: [(&str, &[&str]); 4] = [
    ("", &[]),
    ("examples/label-propagation", &["src", "tests"]),
    ("examples/ttl", &["src", "tests"]),
    ("examples/webapp", &["src", "tests"]),
];

/// Runs them all.
pub(crate) fn test(root: &Path) -> Result<()> {
    check_types(root)?;
    for suite in &SUITES {
        let Suite {
            language, program, ..
        } = suite;
        if !is_there(program) {
            crate::missing(&format!(
                "{program} is not installed: the tests of sdk/{language} are skipped"
            ))?;
            continue;
        }
        let sdk = root.join("sdk").join(language);
        for (folder, arguments) in suite.steps {
            let folder = sdk.join(folder);
            let status = Command::new(program)
                .args(*arguments)
                // Counts for Python alone: the package, and an example's own sources.
                .env("PYTHONPATH", format!("{}:src", sdk.join("src").display()))
                .current_dir(&folder)
                .status()
                .with_context(|| format!("cannot run {program}"))?;
            ensure!(
                status.success(),
                "{program} {} failed in {}",
                arguments.join(" "),
                folder.display()
            );
        }
    }
    Ok(())
}

/// Python's other checks are its tests; those of the other languages include their types.
fn check_types(root: &Path) -> Result<()> {
    let Some(programs) = MYPY.programs(root)? else {
        return Ok(());
    };
    let sdk = root.join("sdk/python");
    for (folder, files) in TYPED {
        let status = Command::new(programs.join("mypy"))
            .arg("--config-file")
            .arg(sdk.join("pyproject.toml"))
            .arg("--cache-dir")
            .arg(root.join("target/mypy"))
            .args(files)
            .current_dir(sdk.join(folder))
            .status()
            .context("cannot run mypy")?;
        ensure!(status.success(), "mypy failed in sdk/python/{folder}");
    }
    Ok(())
}
