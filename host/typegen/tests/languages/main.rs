//! What is generated goes through the compiler of its language, and objects through what is
//! generated: they come out as they went in.
//!
//! A language whose tools are missing is named and left out; with `WINDLASS_STRICT` set that
//! is an error.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;
use windlass_typegen::{Language, Options, generate};

const GADGETS: &str = include_str!("gadgets.yaml");
const KUBERNETES: &str = include_str!("openapi.json");
const FULL: &str = include_str!("full.json");
const LEAST: &str = include_str!("least.json");
const DEPLOYMENT: &str = include_str!("deployment.json");

/// A folder with generated types, and the program that uses them.
struct Project {
    folder: TempDir,
}

impl Project {
    fn new(language: Language, input: &str, kinds: &[&str]) -> Self {
        let kinds: Vec<String> = kinds.iter().map(|kind| (*kind).to_owned()).collect();
        let options = Options {
            language,
            file: "the input",
            version: None,
            kinds: &kinds,
            package: "main",
        };
        let types = generate(input, &options).unwrap();
        assert_eq!(
            types,
            generate(input, &options).unwrap(),
            "it is the same each time"
        );
        let project = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        project.write(&format!("resources.{}", language.extension()), &types);
        project
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.path(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Runs a program in the folder, which has to succeed.
    fn run(&self, program: &mut Command, input: &str) -> String {
        let mut child = program
            .current_dir(self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let (out, err) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert!(output.status.success(), "{program:?} failed:\n{out}{err}");
        out.into_owned()
    }
}

fn sdk(language: &str) -> PathBuf {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    repository.join("sdk").join(language).canonicalize().unwrap()
}

/// Whether a program is there; with `WINDLASS_STRICT` it has to be.
fn has(program: &str, argument: &str) -> bool {
    let output = Command::new(program).arg(argument).output();
    let is_there = output.is_ok_and(|output| output.status.success());
    if !is_there {
        assert!(
            std::env::var_os("WINDLASS_STRICT").is_none(),
            "{program} is missing"
        );
        println!("skipped: {program} is missing");
    }
    is_there
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The least gadget as a type reads it that has the schema's defaults.
fn least_with_defaults() -> Value {
    let mut least = parsed(LEAST);
    let defaults = json!({
        "count": 0, "default": "say \"hi\"\n", "field": 7, "pace": "Slow", "paused": false, "share": 0.5,
    });
    for (name, value) in defaults.as_object().unwrap() {
        least["spec"][name] = value.clone();
    }
    least["status"] = json!({});
    least
}

/// The full gadget without what Go's types do not hold and leave to a patch.
fn full_in_go() -> Value {
    let mut full = parsed(FULL);
    full["spec"].as_object_mut().unwrap().remove("a\"b");
    full["spec"]["open"].as_object_mut().unwrap().remove("unknown");
    full
}

#[test]
fn python_reads_and_writes_every_field() {
    if !has("python3", "--version") {
        return;
    }
    let run = |project: &Project, input: &str| {
        let mut python = Command::new("python3");
        python
            .arg("check.py")
            .env("PYTHONPATH", sdk("python").join("src"));
        parsed(&project.run(&mut python, input))
    };
    let project = Project::new(Language::Python, GADGETS, &[]);
    project.write("check.py", include_str!("examples/check.py"));
    assert_eq!(run(&project, FULL), parsed(FULL));
    assert_eq!(run(&project, LEAST), least_with_defaults());
    check_types_of_python(&project);

    let project = Project::new(Language::Python, KUBERNETES, &["Deployment", "JSONSchemaProps"]);
    project.write(
        "check.py",
        &include_str!("examples/check.py").replace("Gadget", "Deployment"),
    );
    assert_eq!(run(&project, DEPLOYMENT), parsed(DEPLOYMENT));
    check_types_of_python(&project);
}

/// With mypy, which few have.
fn check_types_of_python(project: &Project) {
    let version = Command::new("python3").args(["-m", "mypy", "--version"]).output();
    if version.is_ok_and(|output| output.status.success()) {
        let mut mypy = Command::new("python3");
        mypy.args([
            "-m",
            "mypy",
            "--strict",
            "--follow-imports=silent",
            "resources.py",
        ]);
        project.run(mypy.env("MYPYPATH", sdk("python").join("src")), "");
    }
}

#[test]
fn go_reads_and_writes_every_field() {
    if !has("go", "version") {
        return;
    }
    let check = include_str!("examples/check.go");
    let module = "github.com/windlass-dev/windlass/sdk/go";
    let go_mod = format!(
        "module example.org/types\n\ngo 1.24\n\nrequire {module} v0.0.0\n\nreplace {module} => {}\n",
        sdk("go").display()
    );
    let build = |project: &Project, check: &str| {
        project.write("main.go", check);
        project.write("go.mod", &go_mod);
        let unformatted = project.run(Command::new("gofmt").args(["-d", "resources.go"]), "");
        assert_eq!(unformatted, "");
        project.run(Command::new("go").args(["vet", "."]), "");
        project.run(Command::new("go").args(["build", "-o", "check", "."]), "");
    };
    let run = |project: &Project, input: &str| {
        parsed(&project.run(&mut Command::new(project.path("check")), input))
    };
    let project = Project::new(Language::Go, GADGETS, &[]);
    build(&project, check);
    assert_eq!(run(&project, FULL), full_in_go());
    assert_eq!(run(&project, LEAST), parsed(LEAST));

    let project = Project::new(Language::Go, KUBERNETES, &["Deployment", "JSONSchemaProps"]);
    build(&project, &check.replace("Gadget", "Deployment"));
    assert_eq!(run(&project, DEPLOYMENT), parsed(DEPLOYMENT));
}

#[test]
fn rust_reads_and_writes_every_field() {
    let cargo_toml = format!(
        "[package]\nname = \"generated-types\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[workspace]\n\n\
         [dependencies]\nserde = {{ version = \"1.0\", features = [\"derive\"] }}\nserde_json = \"1.0\"\n\
         windlass-sdk = {{ path = {:?} }}\n",
        sdk("rust")
    );
    let check = include_str!("examples/check.rs");
    // Built where it stays built: the SDK takes a while.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("generated-types");
    let build = |project: &Project, check: &str| {
        project.write("src/main.rs", check);
        project.write("Cargo.toml", &cargo_toml);
        std::fs::copy(project.path("resources.rs"), project.path("src/resources.rs")).unwrap();
        std::fs::copy(
            sdk("rust").join("../../guests/Cargo.lock"),
            project.path("Cargo.lock"),
        )
        .unwrap();
        let mut rustfmt = Command::new("rustfmt");
        project.run(rustfmt.args(["--edition", "2024", "--check", "resources.rs"]), "");
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet"]).env("CARGO_TARGET_DIR", &target);
        project.run(&mut cargo, "");
    };
    let run = |project: &Project, input: &str| {
        let program = target.join("debug/generated-types");
        parsed(&project.run(&mut Command::new(program), input))
    };
    let project = Project::new(Language::Rust, GADGETS, &[]);
    build(&project, check);
    assert_eq!(run(&project, FULL), parsed(FULL));
    assert_eq!(run(&project, LEAST), least_with_defaults());

    let project = Project::new(
        Language::Rust,
        KUBERNETES,
        &["Deployment", "DeploymentList", "JSONSchemaProps"],
    );
    build(&project, &check.replace("Gadget", "Deployment"));
    assert_eq!(run(&project, DEPLOYMENT), parsed(DEPLOYMENT));
}

#[test]
fn c_reads_and_sets_members() {
    if !has("cc", "--version") {
        return;
    }
    let build = |project: &Project, check: &str| {
        project.write("check.c", check);
        let (sdk, mut cc) = (sdk("c"), Command::new("cc"));
        let strict = [
            "-std=c11",
            "-D_POSIX_C_SOURCE=200809L",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-pedantic",
        ];
        cc.args(strict)
            .arg("check.c")
            .arg("-I.")
            .arg("-I")
            .arg(sdk.join("include"));
        for folder in [sdk.join("src"), sdk.join("src/testing")] {
            let files = std::fs::read_dir(folder)
                .unwrap()
                .map(|entry| entry.unwrap().path());
            cc.args(files.filter(|file| file.extension().is_some_and(|extension| extension == "c")));
        }
        project.run(cc.args(["-lm", "-o", "check"]), "");
    };
    let project = Project::new(Language::C, GADGETS, &[]);
    build(&project, include_str!("examples/check.c"));
    for sample in [FULL, LEAST] {
        let written = project.run(&mut Command::new(project.path("check")), sample);
        assert_eq!(parsed(&written), parsed(sample));
    }

    let project = Project::new(Language::C, KUBERNETES, &["Deployment", "JSONSchemaProps"]);
    build(
        &project,
        "#include \"resources.h\"\nint main(void) { return deployments.plural[0] != 'd'; }\n",
    );
    project.run(&mut Command::new(project.path("check")), "");
}

#[test]
fn typescript_takes_samples_and_refuses_what_the_schema_forbids() {
    let sdk = sdk("javascript");
    let tsc = sdk.join("node_modules/.bin/tsc");
    if !has(&tsc.to_string_lossy(), "--version") {
        println!("`cargo xtask sdks` installs it");
        return;
    }
    let check = |project: &Project, check: &str, samples: &[(&str, &str, &str)]| {
        project.write("package.json", "{\"type\": \"module\"}");
        project.write("check.ts", check);
        let samples = samples.iter().map(|(name, kind, sample)| {
            format!("import {{ type {kind} as {kind}Of{name} }} from \"./resources.ts\";\nexport const {name}: {kind}Of{name} = {sample};\n")
        });
        project.write("samples.ts", &samples.collect::<String>());
        let modules = project.path("node_modules/@windlass-dev");
        std::fs::create_dir_all(&modules).unwrap();
        std::os::unix::fs::symlink(&sdk, modules.join("sdk")).unwrap();
        let mut tsc = Command::new(&tsc);
        tsc.args([
            "--noEmit", "--strict", "--target", "es2023", "--module", "nodenext",
        ]);
        project.run(
            tsc.args(["--allowImportingTsExtensions", "check.ts", "samples.ts"]),
            "",
        );
    };
    let project = Project::new(Language::TypeScript, GADGETS, &[]);
    let samples = [("full", "Gadget", FULL), ("least", "Gadget", LEAST)];
    check(&project, include_str!("examples/check.ts"), &samples);

    let project = Project::new(
        Language::TypeScript,
        KUBERNETES,
        &["Deployment", "JSONSchemaProps"],
    );
    let uses = "import { DEPLOYMENTS } from \"./resources.ts\";\nexport const plural: string = DEPLOYMENTS.plural;\n";
    check(&project, uses, &[("web", "Deployment", DEPLOYMENT)]);
}
