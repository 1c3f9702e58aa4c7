//! How a project in any language becomes a guest: a component of the contract.
//!
//! - [`project`] says what a folder holds: its language, its name, what it exports;
//! - [`create`] makes a new one, to begin with;
//! - [`sources`] are its files that somebody writes;
//! - [`toolchain`] finds the pieces that a language needs, or installs them, pinned;
//! - [`build`] compiles, encodes and reports.
//!
//! Promises: what is installed goes into a folder of its own and nowhere else; compilers
//! say themselves what is wrong with the author's code, with its position; a component
//! appears whole or not at all. Deliberately not here: running guests, or judging them
//! as a host does.

pub mod contract;
pub mod create;
pub mod error;
pub mod project;
pub mod rust;
pub mod sources;
pub mod toolchain;

mod c;
mod component;
mod embedded;
mod go;
mod javascript;
mod process;
mod python;

use std::path::PathBuf;
use std::time::{Duration, Instant};

pub use component::{Built, encode_file};
pub use error::BuildError;

use project::{Language, Project};
use toolchain::Toolchains;

/// What building needs besides the project.
#[derive(Debug)]
pub struct Options {
    /// The component; unset: `target/windlass/NAME.wasm` in the project.
    pub out: Option<PathBuf>,
    /// Where toolchains are installed.
    pub toolchains: Toolchains,
}

/// What came of it.
#[derive(Debug)]
pub struct Artifact {
    /// The component.
    pub path: PathBuf,
    /// What it is from outside.
    pub built: Built,
    /// How long it took, installing left out.
    pub took: Duration,
}

/// Builds a project.
///
/// # Errors
/// When a piece of the toolchain is missing and cannot be installed, when a compiler finds
/// something wrong (it has said what), or when what it made is no component.
pub fn build(project: &Project, options: &Options) -> Result<Artifact, BuildError> {
    let tools = &options.toolchains;
    let out = options.out.clone().unwrap_or_else(|| project.component());
    component::make_parent(&out)?;
    let began;
    let bytes = match project.language {
        Language::Rust => {
            let target = rust::Target::find(&project.folder)?;
            began = Instant::now();
            rust::build(project, &target)?
        }
        Language::Go => {
            let compiler = tools.go()?;
            began = Instant::now();
            go::build(project, &compiler)?
        }
        Language::Python => {
            let componentize = tools.python()?;
            began = Instant::now();
            python::build(project, &componentize)?
        }
        Language::JavaScript => {
            let componentize = tools.javascript()?;
            began = Instant::now();
            javascript::build(project, &componentize)?
        }
        Language::C => {
            let compiler = tools.c()?;
            began = Instant::now();
            c::build(project, &compiler)?
        }
    };
    let built = component::Built::look_at(&bytes)?;
    component::write(&out, &bytes)?;
    Ok(Artifact {
        path: out,
        built,
        took: began.elapsed(),
    })
}
