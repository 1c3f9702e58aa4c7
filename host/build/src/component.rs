//! From a core module to a component, and what a component is from outside.

use std::io;
use std::path::Path;

use wasmparser::{Encoding, Parser, Payload};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};

use crate::contract::{self, PLUGIN, World};
use crate::error::BuildError;

/// What a host calls a component through.
const CALLED: [&str; 3] = [
    "windlass:controller/handler@",
    "windlass:controller/blocking-handler@",
    PLUGIN,
];

/// What a component imports and exports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Built {
    /// In bytes.
    pub size: usize,
    /// By name.
    pub imports: Vec<String>,
    /// By name.
    pub exports: Vec<String>,
}

impl Built {
    /// Reads the names at a component's border.
    ///
    /// # Errors
    /// When it is no component, or one that no host can call.
    pub fn look_at(bytes: &[u8]) -> Result<Self, BuildError> {
        let mut built = Self {
            size: bytes.len(),
            ..Self::default()
        };
        let broken = |problem: String| BuildError::NoComponent {
            what: "the build".to_owned(),
            problem,
        };
        let mut depth = 0_usize;
        for payload in Parser::new(0).parse_all(bytes) {
            match payload.map_err(|error| broken(error.to_string()))? {
                Payload::Version {
                    encoding: Encoding::Module,
                    ..
                } if depth == 0 => return Err(broken("it is a core module".to_owned())),
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ComponentImportSection(section) if depth == 0 => {
                    for import in section {
                        let import = import.map_err(|error| broken(error.to_string()))?;
                        built.imports.push(import.name.name.to_owned());
                    }
                }
                Payload::ComponentExportSection(section) if depth == 0 => {
                    for export in section {
                        let export = export.map_err(|error| broken(error.to_string()))?;
                        built.exports.push(export.name.name.to_owned());
                    }
                }
                _ => {}
            }
        }
        let is_called = |export: &String| CALLED.iter().any(|called| export.starts_with(called));
        if !built.exports.iter().any(is_called) {
            return Err(no_handler());
        }
        Ok(built)
    }
}

fn no_handler() -> BuildError {
    BuildError::NoHandler {
        advice: "register a controller as the SDK of your language says".to_owned(),
    }
}

/// Encodes a core module that says itself, in custom sections, what it imports and exports.
pub(crate) fn encode(module: &[u8]) -> Result<Vec<u8>, BuildError> {
    ComponentEncoder::default()
        .validate(true)
        .module(module)
        .and_then(ComponentEncoder::encode)
        .map_err(|error| no_component("the compiler", &error))
}

/// The same for one that imports what WASI's first preview has.
pub(crate) fn encode_with_adapter(module: &[u8], adapter: &[u8]) -> Result<Vec<u8>, BuildError> {
    let mut encoder = ComponentEncoder::default();
    encoder
        .validate(true)
        .module(module)
        .and_then(|encoder| encoder.adapter("wasi_snapshot_preview1", adapter))
        .and_then(ComponentEncoder::encode)
        .map_err(|error| no_component("the compiler", &error))
}

/// Encodes a core module that says nothing, by the names of its exports.
pub(crate) fn encode_by_exports(mut module: Vec<u8>, adapter: &[u8]) -> Result<Vec<u8>, BuildError> {
    let names = export_names(&module)?;
    let (resolve, world) = if names.iter().any(|name| name.starts_with(PLUGIN)) {
        contract::plugin()
    } else {
        let world = World::of_exports(names.iter().map(String::as_str));
        world.ok_or_else(no_handler)?.resolve()
    };
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)
        .map_err(|error| no_component("the compiler", &error))?;
    encode_with_adapter(&module, adapter)
}

fn no_component(what: &str, error: &impl std::fmt::Display) -> BuildError {
    BuildError::NoComponent {
        what: what.to_owned(),
        problem: format!("{error:#}"),
    }
}

fn export_names(module: &[u8]) -> Result<Vec<String>, BuildError> {
    let mut names = Vec::new();
    for payload in Parser::new(0).parse_all(module) {
        if let Payload::ExportSection(section) =
            payload.map_err(|error| no_component("the compiler", &error))?
        {
            for export in section {
                let export = export.map_err(|error| no_component("the compiler", &error))?;
                names.push(export.name.to_owned());
            }
        }
    }
    Ok(names)
}

/// Encodes the core module in one file as a component in another.
///
/// # Errors
/// When it says nothing of the contract, or a file cannot be read or written.
pub fn encode_file(module: &Path, component: &Path) -> Result<(), BuildError> {
    let bytes = std::fs::read(module).map_err(BuildError::file(module))?;
    write(component, &encode(&bytes)?)
}

/// Whoever loads guests from the folder meanwhile sees the old file or the new one.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), BuildError> {
    let unfinished = path.with_extension("wasm.new");
    std::fs::write(&unfinished, bytes).map_err(BuildError::file(&unfinished))?;
    std::fs::rename(&unfinished, path).map_err(BuildError::file(path))
}

pub(crate) fn make_parent(path: &Path) -> Result<(), BuildError> {
    let parent = path
        .parent()
        .ok_or_else(|| io::Error::other("it has no folder"))
        .map_err(BuildError::file(path))?;
    std::fs::create_dir_all(parent).map_err(BuildError::file(parent))
}
