//! `xtask packages`: packs each SDK as its registry takes it, to `target/packages/LANGUAGE`,
//! looks at what is inside, and has a project install it and run a sync.
//!
//! Nothing is published. A language whose tools are missing is named and left out. C has no
//! registry: its SDK comes with the binary.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use crate::image::{copy, empty};
use crate::process::{run, stdout};
use crate::tools::is_there;
use crate::venv::Venv;

const PACKERS: Venv = Venv {
    name: "packers",
    packages: &["build==1.6.1", "flit_core==4.2.0", "twine==7.0.0"],
    skipped: "the package of sdk/python is not checked",
};

/// The package of one SDK.
struct Package {
    /// Names the folder under `sdk`, and that of the package.
    language: &'static str,
    /// What packs it.
    program: &'static str,
    /// Files that have to be in it, by their path in `sdk/LANGUAGE`.
    required: &'static [&'static str],
    /// Packs and tries it in a folder that is there; which files it has, if that could be
    /// done.
    pack: fn(&Place) -> Result<Option<Vec<String>>>,
}

/// Where a package is made.
struct Place<'a> {
    root: &'a Path,
    out: &'a Path,
}

const PACKAGES: [Package; 4] = [
    Package {
        language: "go",
        program: "go",
        required: &["LICENSE", "README.md", "go.mod", "doc.go", "plugin/plugin.go"],
        pack: go,
    },
    Package {
        language: "javascript",
        program: "npm",
        required: &[
            "LICENSE",
            "README.md",
            "package.json",
            "src/index.d.ts",
            "src/index.js",
            "src/testing.d.ts",
            "src/testing.js",
        ],
        pack: javascript,
    },
    Package {
        language: "python",
        program: "python3",
        required: &[
            "LICENSE",
            "README.md",
            "pyproject.toml",
            "src/windlass/__init__.py",
            "src/windlass/py.typed",
        ],
        pack: python,
    },
    Package {
        language: "rust",
        program: "cargo",
        required: &[
            "Cargo.toml",
            "LICENSE",
            "README.md",
            "src/lib.rs",
            "wit/host.wit",
            "wit/scheduler/scheduler.wit",
        ],
        pack: rust,
    },
];

/// Folders of an SDK that no user of its package has a use for.
const NOT_PACKED: [&str; 4] = ["node_modules/", "target/", "test/", "tests/"];

/// Packs and tries the SDKs of these languages, or all.
pub(crate) fn check(root: &Path, languages: &[String]) -> Result<()> {
    for name in languages {
        let known = PACKAGES.map(|package| package.language);
        ensure!(
            known.contains(&name.as_str()),
            "there is no package of `{name}`: name any of {}",
            known.join(", ")
        );
    }
    let license = fs::read(root.join("LICENSE")).context("there is no LICENSE")?;
    for package in &PACKAGES {
        let language = package.language;
        if !languages.is_empty() && !languages.iter().any(|name| name == language) {
            continue;
        }
        let own = root.join("sdk").join(language).join("LICENSE");
        ensure!(
            fs::read(&own).is_ok_and(|own| own == license),
            "{} is not the repository's",
            own.display()
        );
        if !is_there(package.program) {
            crate::missing(&format!(
                "{} is not installed: the package of sdk/{language} is not checked",
                package.program
            ))?;
            continue;
        }
        let out = root.join("target/packages").join(language);
        empty(&out)?;
        fs::create_dir_all(&out).with_context(|| format!("making {}", out.display()))?;
        let place = Place { root, out: &out };
        let files = (package.pack)(&place).with_context(|| format!("the package of sdk/{language}"))?;
        if let Some(files) = files {
            package.look_at(&files)?;
            println!("sdk/{language} packs and installs: {} files", files.len());
        }
    }
    Ok(())
}

impl Package {
    fn look_at(&self, files: &[String]) -> Result<()> {
        let lacks = |required: &&&str| !files.iter().any(|file| file == **required);
        let lacking: Vec<_> = self.required.iter().filter(lacks).copied().collect();
        ensure!(
            lacking.is_empty(),
            "the package of sdk/{} lacks {}",
            self.language,
            lacking.join(", ")
        );
        let is_surplus = |file: &&String| NOT_PACKED.iter().any(|folder| file.starts_with(folder));
        let surplus: Vec<_> = files.iter().filter(is_surplus).map(String::as_str).collect();
        ensure!(
            surplus.is_empty(),
            "the package of sdk/{} has what nobody needs: {}",
            self.language,
            surplus.join(", ")
        );
        Ok(())
    }
}

/// Cargo itself builds what it packed. With the folder of the guests, which have the same
/// dependencies.
fn rust(place: &Place<'_>) -> Result<Option<Vec<String>>> {
    let cargo = || {
        let mut command = Command::new("cargo");
        command
            .args(["package", "--quiet", "--allow-dirty", "--package", "windlass-sdk"])
            .current_dir(place.root.join("guests"));
        command
    };
    let files = lines(&stdout(cargo().arg("--list"))?);
    let target = place.root.join("guests/target");
    run(cargo().arg("--target-dir").arg(&target))?;
    let packed = fs::read_dir(target.join("package")).context("Cargo packed nothing")?;
    for entry in packed {
        let path = entry?.path();
        if let Some(name) = path
            .file_name()
            .filter(|_| path.extension().is_some_and(|extension| extension == "crate"))
        {
            copy(&path, &place.out.join(name))?;
        }
    }
    Ok(Some(files))
}

/// What `npm pack --json` says of a package.
#[derive(Deserialize)]
struct NpmPackage {
    filename: String,
    files: Vec<NpmFile>,
}

#[derive(Deserialize)]
struct NpmFile {
    path: String,
}

fn javascript(place: &Place<'_>) -> Result<Option<Vec<String>>> {
    let mut pack = Command::new("npm");
    pack.args(["pack", "--json", "--pack-destination"])
        .arg(place.out)
        .current_dir(place.root.join("sdk/javascript"));
    let mut packed: Vec<NpmPackage> =
        serde_json::from_str(&stdout(&mut pack)?).context("reading what npm says")?;
    let packed = packed.pop().context("npm packed nothing")?;
    let project = place.out.join("project");
    fs::create_dir_all(&project)?;
    fs::write(project.join("package.json"), r#"{"private": true}"#)?;
    copy(
        &place.root.join("xtask/packages/javascript/smoke.mjs"),
        &project.join("smoke.mjs"),
    )?;
    let mut install = Command::new("npm");
    install
        .args(["install", "--silent", "--no-audit", "--no-fund", "--offline"])
        .arg(place.out.join(&packed.filename));
    stdout(install.current_dir(&project))?;
    stdout(Command::new("node").arg("smoke.mjs").current_dir(&project))?;
    Ok(Some(packed.files.into_iter().map(|file| file.path).collect()))
}

/// Builds the wheel from the source distribution, whose files it returns.
fn python(place: &Place<'_>) -> Result<Option<Vec<String>>> {
    let Some(programs) = PACKERS.programs(place.root)? else {
        return Ok(None);
    };
    let python = programs.join("python");
    let mut build = Command::new(&python);
    build
        .args(["-m", "build", "--no-isolation", "--outdir"])
        .arg(place.out)
        .arg(place.root.join("sdk/python"));
    stdout(&mut build)?;
    let (mut source, mut wheel) = (None, None);
    for entry in fs::read_dir(place.out)? {
        let path = entry?.path();
        match path.extension() {
            Some(extension) if extension == "whl" => wheel = Some(path),
            _ => source = Some(path),
        }
    }
    let source = source.context("there is no source distribution")?;
    let wheel = wheel.context("there is no wheel")?;
    let mut twine = Command::new(&python);
    twine
        .args(["-m", "twine", "check", "--strict"])
        .args([&source, &wheel]);
    stdout(&mut twine)?;
    let project = place.out.join("project");
    stdout(
        Command::new(&python)
            .args(["-m", "venv", "--without-pip"])
            .arg(&project),
    )?;
    let fresh = project.join("bin/python");
    let mut install = Command::new(&python);
    install.args(["-m", "pip", "--quiet", "--disable-pip-version-check", "--python"]);
    install.arg(&fresh).args(["install", "--no-index"]).arg(&wheel);
    stdout(&mut install)?;
    let smoke = place.root.join("xtask/packages/python/smoke.py");
    stdout(Command::new(&fresh).arg(smoke).env_remove("PYTHONPATH"))?;
    let listed = stdout(
        Command::new("tar")
            .arg("--list")
            .arg("--gzip")
            .arg("--file")
            .arg(source),
    )?;
    Ok(Some(without_first_folder(&listed)))
}

/// Serves the module to a project from a folder, as a proxy would. Only components have what
/// is compiled for `wasip1`.
fn go(place: &Place<'_>) -> Result<Option<Vec<String>>> {
    let sdk = place.root.join("sdk/go");
    let known = ["ls-files", "--cached", "--others", "--exclude-standard"];
    let files = lines(&stdout(Command::new("git").args(known).current_dir(&sdk))?);
    let module = place.out.join("module");
    for file in &files {
        let to = module.join(file);
        fs::create_dir_all(to.parent().context("a file lies in a folder")?)?;
        copy(&sdk.join(file), &to)?;
    }
    let proxy = place.out.join("proxy");
    let mut pack = Command::new("go");
    pack.args(["run", "."]).arg(&module).arg("v0.1.0").arg(&proxy);
    stdout(pack.current_dir(place.root.join("xtask/packages/go")))?;
    let project = place.out.join("project");
    fs::create_dir_all(&project)?;
    for name in ["go.mod", "main.go", "main_test.go"] {
        let from = place.root.join("xtask/packages/go/smoke").join(name);
        copy(&from, &project.join(name))?;
    }
    let go = |arguments: &[&str]| {
        let mut command = Command::new("go");
        command
            .args(arguments)
            .current_dir(&project)
            // A cache of its own, which can be removed: the version stays while its content
            // changes.
            .env("GOMODCACHE", place.out.join("cache"))
            .env("GOFLAGS", "-mod=mod -modcacherw")
            .env("GOPROXY", format!("file://{}", proxy.display()))
            .env("GONOSUMDB", "*")
            .env("GOWORK", "off");
        command
    };
    stdout(&mut go(&["test", "./..."]))?;
    stdout(
        go(&["build", "-o", "smoke.wasm"])
            .env("GOOS", "wasip1")
            .env("GOARCH", "wasm"),
    )?;
    Ok(Some(files))
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

/// Archives of sources have a folder around all.
fn without_first_folder(listed: &str) -> Vec<String> {
    let below = |line: &str| line.split_once('/').map(|(_, path)| path.to_owned());
    listed.lines().filter_map(below).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_without_its_license_or_with_tests_is_refused() {
        let look_at = |files: &[&str]| {
            let files: Vec<_> = files.iter().map(|file| (*file).to_owned()).collect();
            let package = Package {
                language: "some",
                program: "some",
                required: &["LICENSE", "src/main"],
                pack: |_| Ok(None),
            };
            package.look_at(&files).map_err(|error| error.to_string())
        };
        assert_eq!(look_at(&["LICENSE", "src/main", "src/tests/fake"]), Ok(()));
        assert_eq!(
            look_at(&["src/main"]).unwrap_err(),
            "the package of sdk/some lacks LICENSE"
        );
        assert_eq!(
            look_at(&["LICENSE", "src/main", "tests/a", "target/b"]).unwrap_err(),
            "the package of sdk/some has what nobody needs: tests/a, target/b"
        );
    }

    #[test]
    fn files_of_an_archive_are_named_without_the_folder_around_them() {
        assert_eq!(
            without_first_folder("some-0.1.0/LICENSE\nsome-0.1.0/src/main\n"),
            ["LICENSE", "src/main"]
        );
    }

    #[test]
    fn an_unknown_language_is_refused() {
        let error = check(Path::new("/none"), &["cobol".to_owned()]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is no package of `cobol`: name any of go, javascript, python, rust"
        );
    }
}
