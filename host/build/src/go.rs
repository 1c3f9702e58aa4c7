//! Go: the ordinary compiler, for WASI's first preview as a library, and the adapter that
//! makes a component of that.

use std::process::Command;

use wasi_preview1_component_adapter_provider::WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER;

use crate::component;
use crate::error::BuildError;
use crate::process;
use crate::project::Project;
use crate::toolchain::Go;

/// No symbol table and no DWARF: Go keeps what its panics print elsewhere.
const LINKER_FLAGS: &str = "-ldflags=-s -w";

pub(crate) fn build(project: &Project, go: &Go) -> Result<Vec<u8>, BuildError> {
    let target = project.target();
    std::fs::create_dir_all(&target).map_err(BuildError::file(&target))?;
    let module = target.join("module.wasm");
    let package = match &project.entry {
        Some(entry) => format!("./{}", entry.display()),
        None => ".".to_owned(),
    };
    process::run(
        "go build",
        Command::new(&go.program)
            .args(["build", "-buildmode=c-shared", "-trimpath", LINKER_FLAGS, "-o"])
            .arg(&module)
            .arg(package)
            .env("GOOS", "wasip1")
            .env("GOARCH", "wasm")
            .current_dir(&project.folder),
    )?;
    let bytes = std::fs::read(&module).map_err(BuildError::file(&module))?;
    component::encode_by_exports(bytes, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER)
}
