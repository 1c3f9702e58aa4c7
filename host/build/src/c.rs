//! C: bindings that are generated for the guest's world, the SDK, which is a part of this
//! program, and zig's clang, which brings a libc for wasm along.
//!
//! The SDK is compiled with every guest. What one over the bare bindings does not use, the
//! linker leaves out.

use std::path::{Path, PathBuf};
use std::process::Command;

use wasi_preview1_component_adapter_provider::WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER;
use wit_bindgen_core::{AsyncFilterSet, Files};

use crate::component;
use crate::embedded;
use crate::error::BuildError;
use crate::process;
use crate::project::{Language, Project};
use crate::toolchain::Zig;

/// Names of the generated files and of what is not part of an interface: `windlass.h`,
/// `windlass_string_t`.
const BINDINGS: &str = "windlass";

const FLAGS: [&str; 10] = [
    "-target",
    "wasm32-wasi",
    "-mexec-model=reactor",
    "-std=gnu17",
    "-O2",
    "-Wall",
    "-Wextra",
    "-g0",
    "-s",
    "-Wl,-z,stack-size=262144",
];

/// The part of it that is no guest's.
const SDK_TESTING: &str = "src/testing/";

pub(crate) fn build(project: &Project, zig: &Zig) -> Result<Vec<u8>, BuildError> {
    let target = project.target();
    let bindings = bindings(project)?;
    let sdk = target.join("sdk");
    embedded::write_sdk(&sdk, Language::C)?;
    let include = project.folder.join("include");
    let module = target.join("module.wasm");
    process::run(
        "the C compiler",
        Command::new(&zig.python)
            .args(["-m", "ziglang", "cc"])
            .args(FLAGS)
            .arg("-isystem")
            .arg(&bindings)
            .arg(format!("-I{}", sdk.join("include").display()))
            .args(project.world.observer.then_some("-DWINDLASS_OBSERVER"))
            .args(project.world.mapper.then_some("-DWINDLASS_MAPPER"))
            .args(include.is_dir().then(|| format!("-I{}", include.display())))
            .args(sources(&project.folder)?)
            .args(sdk_sources(&sdk))
            .args(c_files(&bindings)?)
            .arg(bindings.join(format!("{BINDINGS}_component_type.o")))
            .arg("-o")
            .arg(&module)
            .current_dir(&project.folder),
    )?;
    let bytes = std::fs::read(&module).map_err(BuildError::file(&module))?;
    component::encode_with_adapter(&bytes, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER)
}

/// The C files of a project, relative to it: those in `src`, otherwise those beside it.
pub(crate) fn sources(folder: &Path) -> Result<Vec<PathBuf>, BuildError> {
    let nested = folder.join("src");
    let found = c_files(if nested.is_dir() { &nested } else { folder })?;
    Ok(found
        .into_iter()
        .map(|path| path.strip_prefix(folder).map(Path::to_owned).unwrap_or(path))
        .collect())
}

fn c_files(folder: &Path) -> Result<Vec<PathBuf>, BuildError> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(BuildError::file(folder))? {
        let path = entry.map_err(BuildError::file(folder))?.path();
        if path.extension().is_some_and(|extension| extension == "c") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn sdk_sources(sdk: &Path) -> impl Iterator<Item = PathBuf> {
    let sources = embedded::sdk(Language::C)
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| name.ends_with(".c") && !name.starts_with(SDK_TESTING));
    sources.map(|name| sdk.join(name))
}

fn bindings(project: &Project) -> Result<PathBuf, BuildError> {
    let folder = project.target().join("bindings");
    std::fs::create_dir_all(&folder).map_err(BuildError::file(&folder))?;
    let (mut resolve, world) = project.world.resolve();
    let options = wit_bindgen_c::Opts {
        rename_world: Some(BINDINGS.to_owned()),
        async_: AsyncFilterSet::all(false),
        ..wit_bindgen_c::Opts::default()
    };
    let mut files = Files::default();
    options
        .build()
        .generate(&mut resolve, world, &mut files)
        .map_err(|error| BuildError::NoComponent {
            what: "the generator of bindings".to_owned(),
            problem: format!("{error:#}"),
        })?;
    for (name, content) in files.iter() {
        let path = folder.join(name);
        std::fs::write(&path, content).map_err(BuildError::file(&path))?;
    }
    Ok(folder)
}
