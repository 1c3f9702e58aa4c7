//! `xtask references`: the reference of each SDK in another language than Rust, as static
//! pages in `target/references/LANGUAGE`. rustdoc makes Rust's.
//!
//! What has no documentation, and what links to nothing, is an error. The tools are pinned
//! in `xtask/references`, but for Doxygen, which Debian packages; a language whose tool is
//! missing is named and left out.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::image::{copy, empty};
use crate::process::stdout;
use crate::tools::{self, is_there};
use crate::venv::Venv;

const PDOC: Venv = Venv {
    name: "pdoc",
    packages: &["pdoc==16.0.0"],
    skipped: "the reference of sdk/python is not made",
};

/// The reference of one SDK.
struct Reference {
    /// Names the folder under `sdk`, and that of its pages.
    language: &'static str,
    /// Makes the pages in a folder that is there, below the root; whether it could.
    make: fn(&Path, &Path) -> Result<bool>,
}

const REFERENCES: [Reference; 4] = [
    Reference {
        language: "c",
        make: c,
    },
    Reference {
        language: "go",
        make: go,
    },
    Reference {
        language: "javascript",
        make: javascript,
    },
    Reference {
        language: "python",
        make: python,
    },
];

/// Makes the references of these languages, or all.
pub(crate) fn make(root: &Path, languages: &[String]) -> Result<()> {
    for reference in chosen(languages)? {
        let language = reference.language;
        let pages = root.join("target/references").join(language);
        empty(&pages)?;
        fs::create_dir_all(&pages).with_context(|| format!("making {}", pages.display()))?;
        let made =
            (reference.make)(root, &pages).with_context(|| format!("the reference of sdk/{language}"))?;
        if made {
            println!(
                "the reference of sdk/{language}: {}",
                pages.join("index.html").display()
            );
        }
    }
    Ok(())
}

fn chosen(languages: &[String]) -> Result<Vec<&'static Reference>> {
    let find = |name: &String| {
        let found = REFERENCES.iter().find(|reference| reference.language == *name);
        let known = REFERENCES.map(|reference| reference.language).join(", ");
        found.with_context(|| format!("there is no reference of `{name}`: name any of {known}"))
    };
    if languages.is_empty() {
        return Ok(REFERENCES.iter().collect());
    }
    languages.iter().map(find).collect()
}

/// Doxygen's settings name the folder, from the root.
fn c(root: &Path, _: &Path) -> Result<bool> {
    tools::install(&["doxygen".to_owned()])?;
    if !is_there("doxygen") {
        return Ok(false);
    }
    let settings = "xtask/references/c/Doxyfile";
    stdout(Command::new("doxygen").arg(settings).current_dir(root))?;
    Ok(true)
}

fn go(root: &Path, pages: &Path) -> Result<bool> {
    if lacks("go", "go")? {
        return Ok(false);
    }
    let mut command = Command::new("go");
    command.args(["run", "."]).arg(root.join("sdk/go")).arg(pages);
    stdout(command.current_dir(root.join("xtask/references/go")))?;
    Ok(true)
}

fn javascript(root: &Path, pages: &Path) -> Result<bool> {
    if lacks("npm", "javascript")? {
        return Ok(false);
    }
    let settings = root.join("xtask/references/javascript");
    let folder = root.join("target/toolchains/typedoc");
    install_locked(&settings, &folder)?;
    let mut typedoc = Command::new(folder.join("node_modules/.bin/typedoc"));
    typedoc
        .arg("--options")
        .arg(&settings)
        .arg("--out")
        .arg(pages)
        .env("NO_COLOR", "1");
    stdout(&mut typedoc)?;
    Ok(true)
}

fn python(root: &Path, pages: &Path) -> Result<bool> {
    let Some(programs) = PDOC.programs(root)? else {
        return Ok(false);
    };
    let mut command = Command::new(programs.join("python"));
    command
        // No `__pycache__` in the sources.
        .arg("-B")
        .arg(root.join("xtask/references/python/reference.py"))
        .arg(root.join("sdk/python/src"))
        .arg(pages);
    stdout(&mut command)?;
    Ok(true)
}

/// Names a program that is missing.
fn lacks(program: &str, language: &str) -> Result<bool> {
    if is_there(program) {
        return Ok(false);
    }
    crate::missing(&format!(
        "{program} is not installed: the reference of sdk/{language} is not made"
    ))?;
    Ok(true)
}

/// Installs what a lock file of npm names, unless that is there.
fn install_locked(settings: &Path, folder: &Path) -> Result<()> {
    const LOCK: &str = "package-lock.json";
    let complete = folder.join(".complete");
    let lock = fs::read(settings.join(LOCK)).context("there is no lock file")?;
    if fs::read(&complete).is_ok_and(|present| present == lock) {
        return Ok(());
    }
    empty(folder)?;
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    for name in ["package.json", LOCK] {
        copy(&settings.join(name), &folder.join(name))?;
    }
    println!("Installing TypeDoc; this happens once …");
    let mut npm = Command::new("npm");
    npm.args(["ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"]);
    if let Err(error) = stdout(npm.current_dir(folder)) {
        bail!("TypeDoc cannot be installed: {error:#}");
    }
    fs::write(&complete, lock).with_context(|| format!("writing {}", complete.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_languages_are_chosen_unless_some_are_named() {
        let languages = |names: &[&str]| {
            let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
            chosen(&names).map(|found| {
                found
                    .iter()
                    .map(|reference| reference.language)
                    .collect::<Vec<_>>()
            })
        };
        assert_eq!(languages(&[]).unwrap(), ["c", "go", "javascript", "python"]);
        assert_eq!(languages(&["python", "c"]).unwrap(), ["python", "c"]);
        assert_eq!(
            languages(&["rust"]).unwrap_err().to_string(),
            "there is no reference of `rust`: name any of c, go, javascript, python"
        );
    }
}
