//! How `windlass new` and `windlass test` end when something is wrong; what a new project is
//! like when all is well is for the tutorials of the book. Skipped where Go is missing.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Result, ensure};
use tempfile::TempDir;
use windlass_tests::process::{binary, repository};

/// A project that `windlass new` made outside of this repository.
struct Project {
    _folder: TempDir,
    path: PathBuf,
}

impl Project {
    fn new(language: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("hello");
        let created = windlass(&["new", &path.to_string_lossy(), "--lang", language])?;
        ensure!(created.status.success(), "{}", shown(&created));
        Ok(Self {
            _folder: folder,
            path,
        })
    }

    /// `windlass test` with more arguments.
    fn test(&self, arguments: &[&str]) -> Result<Output> {
        let toolchains = repository().join("target/toolchains");
        let toolchains = toolchains.to_string_lossy();
        let folder = self.path.to_string_lossy();
        windlass(&[&["test", &*folder, "--toolchains", &*toolchains], arguments].concat())
    }

    /// Replaces the project's tests by one with these files.
    fn write_case(&self, name: &str, files: &[(&str, &str)]) -> Result<()> {
        let cases = self.path.join("tests/e2e");
        let case = cases.join(name);
        std::fs::remove_dir_all(&cases)?;
        std::fs::create_dir_all(&case)?;
        for (file, text) in files {
            std::fs::write(case.join(file), text)?;
        }
        Ok(())
    }
}

fn windlass(arguments: &[&str]) -> Result<Output> {
    Ok(Command::new(binary()).args(arguments).output()?)
}

/// What a command said, both ways.
fn shown(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

/// Whether the guest in this language could be built, and so can another.
fn is_ready(language: &str) -> bool {
    let guest = format!("target/guests/ttl-{language}.wasm");
    let ready = repository().join(&guest).exists();
    if !ready {
        println!("skipped: there is no {guest}; run `cargo xtask languages`");
    }
    ready
}

const GREETING: &str =
    "apiVersion: example.com/v1\nkind: Greeting\nmetadata: {name: hi}\nspec: {name: you}\n";
const GREETED: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: hi}\ndata: {message: 'Hello, you!'}\n";

/// Every way in which end-to-end tests end, on one project.
#[test]
fn end_to_end_tests_end_as_they_say() -> Result<()> {
    if !is_ready("go") {
        return Ok(());
    }
    let project = Project::new("go")?;

    let others = "apiVersion: example.com/v1\nkind: Greeting\nmetadata: {name: hi}\nspec: {name: all}\n";
    let delete = "apiVersion: kuttl.dev/v1beta1\nkind: TestStep\n\
                  delete: [{apiVersion: example.com/v1, kind: Greeting, name: hi}]\n";
    let steps = [
        ("00-greeting.yaml", GREETING),
        ("00-assert.yaml", GREETED),
        ("01-greeting.yaml", others),
        ("01-errors.yaml", GREETED),
        ("02-delete.yaml", delete),
        (
            "02-errors.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: hi}\n",
        ),
    ];
    project.write_case("whole-life", &steps)?;
    let passed = project.test(&[])?;
    ensure!(passed.status.success(), "{}", shown(&passed));
    // Without a name, any object of the kind will do.
    let anyone = "apiVersion: v1\nkind: ConfigMap\ndata: {message: 'Hello, you!'}\n";
    project.write_case("anyone", &[("00-a.yaml", GREETING), ("00-assert.yaml", anyone)])?;
    ensure!(project.test(&[])?.status.success());

    // What does not come about is told with its place, and what was waited for.
    let wrong = GREETED.replace("you", "nobody");
    project.write_case("wrong", &[("00-a.yaml", GREETING), ("00-assert.yaml", &wrong)])?;
    let failed = project.test(&["--timeout", "300ms"])?;
    let said = shown(&failed);
    ensure!(failed.status.code() == Some(1), "{said}");
    ensure!(
        said.contains("test wrong ... FAILED")
            && said.contains(
                "not within 300ms: tests/e2e/wrong/00-assert.yaml: ConfigMap hi: .data.message: \
                 expected \"Hello, nobody!\", found \"Hello, you!\""
            )
            && said.contains("test result: FAILED. 0 passed; 1 failed"),
        "{said}"
    );
    let short = "apiVersion: kuttl.dev/v1beta1\nkind: TestAssert\ntimeout: 1\n---\n".to_owned() + &wrong;
    project.write_case("short", &[("00-a.yaml", GREETING), ("00-assert.yaml", &short)])?;
    ensure!(shown(&project.test(&[])?).contains("not within 1s"));
    let there = [
        ("00-a.yaml", GREETING),
        ("00-assert.yaml", GREETED),
        ("01-errors.yaml", GREETED),
    ];
    project.write_case("there", &there)?;
    let said = shown(&project.test(&["--timeout", "1s"])?);
    ensure!(
        said.contains("tests/e2e/there/01-errors.yaml: ConfigMap hi is there"),
        "{said}"
    );

    // Another's runner decides by its exit code, and finds the cluster.
    let found = "test -s \"$KUBECONFIG\" && exit 7";
    let ran = project.test(&["--", "sh", "-c", found])?;
    ensure!(ran.status.code() == Some(7), "{}", shown(&ran));
    let said = shown(&project.test(&["--", "/no/such/program"])?);
    ensure!(said.contains("error: cannot run /no/such/program"), "{said}");
    Ok(())
}

/// What is wrong with tests is told before anything is built.
#[test]
fn tests_that_make_no_sense_are_refused_with_their_place() -> Result<()> {
    let project = Project::new("c")?;
    let refused = |arguments: &[&str], what: &str| -> Result<()> {
        let output = project.test(arguments)?;
        let said = shown(&output);
        ensure!(output.status.code() == Some(1) && said.contains(what), "{said}");
        ensure!(!said.contains("Built:"), "{said}");
        Ok(())
    };
    for (file, text, what) in [
        (
            "apply.yaml",
            GREETING,
            "tests/e2e/bad/apply.yaml: a step's file is called NN-NAME.yaml",
        ),
        (
            "00-apply.yaml",
            "a: [",
            "tests/e2e/bad/00-apply.yaml: not YAML documents",
        ),
        (
            "00-step.yaml",
            "apiVersion: kuttl.dev/v1beta1\nkind: TestStep\ncommands: [{script: 'true'}]\n",
            "tests/e2e/bad/00-step.yaml: TestStep: unknown field `commands`",
        ),
        (
            "00-suite.yaml",
            "apiVersion: kuttl.dev/v1beta1\nkind: TestSuite\n",
            "a TestSuite is not known here",
        ),
    ] {
        project.write_case("bad", &[(file, text)])?;
        refused(&[], what)?;
    }
    project.write_case("empty", &[])?;
    refused(&[], "there are no steps in")?;
    std::fs::remove_dir_all(project.path.join("tests/e2e"))?;
    refused(&[], "name a command after --")?;
    Ok(())
}

#[test]
fn a_folder_with_something_in_it_is_left_alone() -> Result<()> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("mine"), "precious")?;
    let output = windlass(&[
        "new",
        &folder.path().to_string_lossy(),
        "--lang",
        "go",
        "--name",
        "mine",
    ])?;
    let said = shown(&output);
    ensure!(
        output.status.code() == Some(1) && said.contains("is not empty"),
        "{said}"
    );
    ensure!(names(folder.path())? == ["mine"]);
    let output = windlass(&["new", "/tmp/any", "--lang", "cobol"])?;
    let said = shown(&output);
    ensure!(
        said.contains("there are rust, go, python, javascript, c"),
        "{said}"
    );
    Ok(())
}

fn names(folder: &Path) -> Result<Vec<String>> {
    let entries = std::fs::read_dir(folder)?;
    entries
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect()
}
