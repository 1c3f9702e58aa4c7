//! Looks at a component without running or compiling it: is it one, which contract does
//! it speak, what does it import. Pure functions over bytes.

use wasmparser::{Encoding, Parser, Payload};
use windlass_core::{CONTRACT_VERSION, SCHEDULER_VERSION};

use crate::imports::wasi;
use crate::load::LoadError;

const PACKAGE: &str = "windlass:controller/";
/// The package of what a scheduler and its plugins say to each other.
const SCHEDULER_PACKAGE: &str = "windlass:scheduler/";
/// What a plugin exports.
pub(crate) const PLUGIN: &str = "windlass:scheduler/plugin@0.1.0";
/// Packages that have versions, and the one that this host serves.
const PACKAGES: [(&str, &str); 2] = [
    ("windlass:controller", CONTRACT_VERSION),
    ("windlass:scheduler", SCHEDULER_VERSION),
];
const WASM_MAGIC: &[u8] = b"\0asm";

/// Interfaces of the contract that a guest may import. The last two only hold types.
const PROVIDED: [&str; 13] = [
    "lister",
    "clientset",
    "blocking-clientset",
    "discovery",
    "workqueue",
    "recorder",
    "logging",
    "metrics",
    "clock",
    "random",
    "module-config",
    "types",
    "manifest",
];

/// Interfaces of the contract that a plugin may import.
const PROVIDED_TO_PLUGINS: [&str; 5] = ["logging", "metrics", "clock", "random", "types"];
/// What of the scheduler's package a guest may import.
const PROVIDED_TO_SCHEDULERS: [&str; 2] = ["plugins", "types"];

/// What a guest exports to be called; the first that is there counts.
const HANDLERS: [&str; 2] = ["handler", BLOCKING_HANDLER];
/// The one for languages without asynchronous functions.
pub(crate) const BLOCKING_HANDLER: &str = "blocking-handler";

/// Names at the border of a component.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Border {
    pub(crate) imports: Vec<String>,
    pub(crate) exports: Vec<String>,
}

/// Reads the names of a component's imports and exports.
///
/// # Errors
/// When the bytes are not a complete component.
pub(crate) fn border(bytes: &[u8]) -> Result<Border, LoadError> {
    if bytes.is_empty() {
        return Err(LoadError::Empty);
    }
    if !bytes.starts_with(bytes_of_magic(bytes)) {
        return Err(LoadError::NotWasm {
            start: first_characters(bytes),
        });
    }
    let mut border = Border::default();
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(|error| parse_error(&error, bytes.len()))? {
            Payload::Version {
                encoding: Encoding::Module,
                ..
            } if depth == 0 => return Err(LoadError::CoreModule),
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    let import = import.map_err(|error| parse_error(&error, bytes.len()))?;
                    border.imports.push(import.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    let export = export.map_err(|error| parse_error(&error, bytes.len()))?;
                    border.exports.push(export.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok(border)
}

/// The part of the magic number that a file of this length can have.
fn bytes_of_magic(bytes: &[u8]) -> &'static [u8] {
    WASM_MAGIC.get(..bytes.len()).unwrap_or(WASM_MAGIC)
}

fn parse_error(error: &wasmparser::BinaryReaderError, length: usize) -> LoadError {
    // The reader runs past the end only when the file is cut off.
    if error.message().starts_with("unexpected end") {
        return LoadError::Truncated { length };
    }
    LoadError::Malformed(error.to_string())
}

fn first_characters(bytes: &[u8]) -> String {
    let start = bytes.get(..24).unwrap_or(bytes);
    start.escape_ascii().to_string()
}

/// Checks that a component is a guest of this host.
///
/// # Errors
/// The first reason why it is not.
pub(crate) fn check_contract(border: &Border) -> Result<(), LoadError> {
    for name in border.imports.iter().chain(&border.exports) {
        check_version(name)?;
    }
    for name in &border.imports {
        check_import(name)?;
    }
    if handler(&border.exports).is_none() {
        return Err(LoadError::NoHandler {
            exports: listed(&border.exports),
        });
    }
    Ok(())
}

/// Checks that a component is a plugin of the scheduler.
///
/// # Errors
/// The first reason why it is not.
pub(crate) fn check_plugin(border: &Border) -> Result<(), LoadError> {
    for name in border.imports.iter().chain(&border.exports) {
        check_version(name)?;
    }
    let is_provided = |name: &str| {
        let interface = |package: &str| name.strip_prefix(package)?.split('@').next();
        interface(PACKAGE).is_some_and(|interface| PROVIDED_TO_PLUGINS.contains(&interface))
            || interface(SCHEDULER_PACKAGE) == Some("types")
            || wasi::interface(name).is_some()
    };
    if let Some(name) = border.imports.iter().find(|name| !is_provided(name)) {
        return Err(LoadError::PluginImport { name: name.clone() });
    }
    if border.exports.iter().any(|export| export == PLUGIN) {
        return Ok(());
    }
    Err(LoadError::NoPlugin {
        exports: listed(&border.exports),
    })
}

fn listed(exports: &[String]) -> String {
    if exports.is_empty() {
        "nothing".to_owned()
    } else {
        exports.join(", ")
    }
}

/// The interface through which a component is called, without package and version.
pub(crate) fn handler(exports: &[String]) -> Option<&'static str> {
    let exported = |interface: &&str| {
        let name = format!("{PACKAGE}{interface}@{CONTRACT_VERSION}");
        exports.contains(&name)
    };
    HANDLERS.into_iter().find(exported)
}

fn check_version(name: &str) -> Result<(), LoadError> {
    let served = PACKAGES.into_iter().find_map(|(package, served)| {
        let rest = name.strip_prefix(package)?.strip_prefix('/')?;
        Some((package, served, rest))
    });
    let Some((package, served, rest)) = served else {
        return Ok(());
    };
    let version = rest.split_once('@').map_or("(none)", |(_, version)| version);
    if version == served {
        return Ok(());
    }
    Err(LoadError::ContractVersion {
        package,
        guest: version.to_owned(),
        host: served,
    })
}

fn check_import(name: &str) -> Result<(), LoadError> {
    let interface = |package: &str| name.strip_prefix(package).and_then(|rest| rest.split('@').next());
    if interface(SCHEDULER_PACKAGE).is_some_and(|interface| PROVIDED_TO_SCHEDULERS.contains(&interface)) {
        return Ok(());
    }
    match interface(PACKAGE) {
        Some(interface) if PROVIDED.contains(&interface) => Ok(()),
        None if wasi::interface(name).is_some() => Ok(()),
        _ => Err(LoadError::UnknownImport {
            name: name.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(imports: &[&str], exports: &[&str]) -> Border {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Border {
            imports: owned(imports),
            exports: owned(exports),
        }
    }

    #[track_caller]
    fn refused(result: Result<impl std::fmt::Debug, LoadError>, message: &str) {
        assert_eq!(result.unwrap_err().to_string(), message);
    }

    #[test]
    fn a_file_that_is_no_component_is_named_for_what_it_is() {
        refused(border(b""), "the file is empty");
        refused(
            border(b"apiVersion: v1\nkind: ConfigMap\n"),
            "not a WebAssembly component: it starts with \"apiVersion: v1\\nkind: Con\"",
        );
        refused(
            border(b"\0asm\x01\0\0\0"),
            "a core WebAssembly module, not a component: encode it, for example with `wasm-tools component new`",
        );
        refused(
            border(b"\0as"),
            "the component is cut off after 3 bytes: fetch or build it again",
        );
        refused(
            border(b"\0asm\x0d\0\x01\0\x01\x7f"),
            "the component is cut off after 10 bytes: fetch or build it again",
        );
    }

    #[test]
    fn a_component_of_another_contract_is_refused_with_both_versions() {
        let border = names(&[], &["windlass:controller/handler@0.2.0"]);
        refused(
            check_contract(&border),
            "built for contract windlass:controller@0.2.0, but this host serves windlass:controller@0.1.0: \
             rebuild the guest against it, or use a host that serves its version",
        );
    }

    #[test]
    fn imports_that_windlass_does_not_provide_are_named() {
        let handler = "windlass:controller/handler@0.1.0";
        refused(
            check_contract(&names(
                &["wasi:cli/environment@0.2.3", "wasi:http/outgoing-handler@0.2.3"],
                &[handler],
            )),
            "imports wasi:http/outgoing-handler@0.2.3, which Windlass does not provide",
        );
        refused(
            check_contract(&names(&["wasi:cli/environment@0.3.0"], &[handler])),
            "imports wasi:cli/environment@0.3.0, which Windlass does not provide",
        );
        refused(
            check_contract(&names(&["windlass:controller/secrets@0.1.0"], &[handler])),
            "imports windlass:controller/secrets@0.1.0, which Windlass does not provide",
        );
    }

    #[test]
    fn a_plugin_exports_one_interface_and_imports_little() {
        let plugin = "windlass:scheduler/plugin@0.1.0";
        let logging = "windlass:controller/logging@0.1.0";
        check_plugin(&names(
            &[
                logging,
                "windlass:scheduler/types@0.1.0",
                "wasi:cli/environment@0.2.3",
            ],
            &[plugin],
        ))
        .unwrap();
        refused(
            check_plugin(&names(&["windlass:controller/clientset@0.1.0"], &[plugin])),
            "imports windlass:controller/clientset@0.1.0, which a plugin of the scheduler does not get",
        );
        refused(
            check_plugin(&names(&[], &["windlass:controller/handler@0.1.0"])),
            "does not export windlass:scheduler/plugin, it exports windlass:controller/handler@0.1.0",
        );
        refused(
            check_plugin(&names(&[], &["windlass:scheduler/plugin@0.2.0"])),
            "built for contract windlass:scheduler@0.2.0, but this host serves windlass:scheduler@0.1.0: \
             rebuild the guest against it, or use a host that serves its version",
        );
    }

    #[test]
    fn either_handler_will_do() {
        for handler in ["handler", "blocking-handler"] {
            let handler = format!("windlass:controller/{handler}@0.1.0");
            check_contract(&names(&[], &[&handler])).unwrap();
        }
    }

    #[test]
    fn a_component_without_a_handler_is_refused_with_what_it_exports() {
        refused(
            check_contract(&names(&[], &[])),
            "exports neither windlass:controller/handler nor blocking-handler, it exports nothing",
        );
        refused(
            check_contract(&names(&[], &["wasi:http/incoming-handler@0.2.0", "run"])),
            "exports neither windlass:controller/handler nor blocking-handler, it exports wasi:http/incoming-handler@0.2.0, run",
        );
    }
}
