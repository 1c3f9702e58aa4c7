//! `xtask sdks`: runs the tests of the SDKs and their examples with the runners of their
//! languages, on their fakes of the contract.
//!
//! A language whose runner is missing is named and left out. Rust's are among the guests'.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::tools::is_there;

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

/// Runs them all.
pub(crate) fn test(root: &Path) -> Result<()> {
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
