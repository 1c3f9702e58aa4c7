//! The contract as this build knows it: its text, and the world that a guest targets.

use std::path::{Path, PathBuf};

use wit_parser::{PackageId, Resolve, SourceMap, WorldId};

use crate::error::BuildError;

const FILES: [(&str, &str); 4] = [
    ("controller.wit", include_str!("../../../wit/controller.wit")),
    ("host.wit", include_str!("../../../wit/host.wit")),
    ("manifest.wit", include_str!("../../../wit/manifest.wit")),
    ("types.wit", include_str!("../../../wit/types.wit")),
];

/// The contract between the scheduler and its plugins, by its place below the other's.
pub(crate) const SCHEDULER_FILE: (&str, &str) = (
    "scheduler/scheduler.wit",
    include_str!("../../../wit/scheduler/scheduler.wit"),
);

const PACKAGE: &str = "windlass:controller/";
/// What a plugin of the scheduler exports.
pub(crate) const PLUGIN: &str = "windlass:scheduler/plugin@";

/// Writes the contract's files into a folder.
///
/// # Errors
/// When that cannot be written.
pub fn write(folder: &Path) -> Result<PathBuf, BuildError> {
    std::fs::create_dir_all(folder).map_err(BuildError::file(folder))?;
    for (name, text) in FILES {
        let path = folder.join(name);
        if std::fs::read(&path).is_ok_and(|present| present == text.as_bytes()) {
            continue;
        }
        std::fs::write(&path, text).map_err(BuildError::file(&path))?;
    }
    Ok(folder.to_owned())
}

/// Whether a guest's language has asynchronous functions that its tools know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Calls {
    /// `handler`, lifted with or without `async`.
    Async,
    /// `blocking-handler`.
    Blocking,
}

/// What a guest exports, and so which world of the contract it targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct World {
    /// Which handler.
    pub calls: Calls,
    /// It takes deltas.
    pub observer: bool,
    /// It turns events into keys.
    pub mapper: bool,
}

impl World {
    /// Its name in the contract.
    #[must_use]
    pub fn name(self) -> String {
        let blocking = if self.calls == Calls::Blocking {
            "blocking-"
        } else {
            ""
        };
        let observing = if self.observer { "observing-" } else { "" };
        let mapping = if self.mapper { "mapping-" } else { "" };
        format!("{blocking}{observing}{mapping}controller")
    }

    /// The world that fits the names of a core module's exports; `None` without a handler.
    #[must_use]
    pub fn of_exports<'a>(exports: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut found = (None, false, false);
        for export in exports {
            // Functions that are lifted with `async` have this in front.
            let export = export.strip_prefix("[async-lift]").unwrap_or(export);
            let interface = export
                .strip_prefix(PACKAGE)
                .and_then(|rest| rest.split('@').next());
            match interface {
                Some("handler") => found.0 = Some(Calls::Async),
                Some("blocking-handler") => found.0 = found.0.or(Some(Calls::Blocking)),
                Some("observer") => found.1 = true,
                Some("mapper") => found.2 = true,
                _ => {}
            }
        }
        let (calls, observer, mapper) = found;
        calls.map(|calls| Self {
            calls,
            observer,
            mapper,
        })
    }

    /// The contract with this world picked out of it.
    pub(crate) fn resolve(self) -> (Resolve, WorldId) {
        let (resolve, package) = resolve();
        let world = resolve
            .select_world(&[package], Some(&self.name()))
            .expect("the contract has a world for each combination");
        (resolve, world)
    }
}

/// The contract's version.
#[must_use]
pub fn version() -> String {
    let (resolve, package) = resolve();
    let version = resolve
        .packages
        .get(package)
        .and_then(|package| package.name.version.clone());
    version.map(|version| version.to_string()).unwrap_or_default()
}

/// The contract, parsed.
#[must_use]
pub fn resolve() -> (Resolve, PackageId) {
    let mut sources = SourceMap::default();
    for (name, text) in FILES {
        sources.push_str(name, text);
    }
    let mut resolve = Resolve::default();
    let group = sources
        .parse()
        .expect("the contract that this was built with is well-formed");
    let package = resolve.push_group(group);
    let package = package.expect("the contract that this was built with is complete");
    (resolve, package)
}

/// The contract between the scheduler and its plugins, parsed, with the one that it
/// borrows from.
#[must_use]
pub fn resolve_scheduler() -> (Resolve, PackageId) {
    let (mut resolve, _) = resolve();
    let (name, text) = SCHEDULER_FILE;
    let package = resolve
        .push_source(name, text)
        .expect("the contract that this was built with is well-formed");
    (resolve, package)
}

/// The world of a plugin of the scheduler.
pub(crate) fn plugin() -> (Resolve, WorldId) {
    let (resolve, package) = resolve_scheduler();
    let world = resolve
        .select_world(&[package], Some("scheduler-plugin"))
        .expect("the contract has this world");
    (resolve, world)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Calls; 2] = [Calls::Async, Calls::Blocking];

    #[test]
    fn the_contract_has_a_world_for_each_combination() {
        for calls in ALL {
            for bits in 0..4 {
                let world = World {
                    calls,
                    observer: bits & 1 == 1,
                    mapper: bits & 2 == 2,
                };
                let (resolve, id) = world.resolve();
                assert_eq!(resolve.worlds[id].name, world.name());
            }
        }
    }

    #[test]
    fn the_contract_has_a_world_for_plugins() {
        let (resolve, world) = plugin();
        assert_eq!(resolve.worlds[world].exports.len(), 1);
    }

    #[test]
    fn a_module_tells_its_world_by_what_it_exports() {
        let exports = [
            "memory",
            "windlass:controller/handler@0.1.0#describe",
            "[async-lift]windlass:controller/handler@0.1.0#start",
            "cabi_post_windlass:controller/mapper@0.1.0#keys-for",
            "windlass:controller/observer@0.1.0#observe",
        ];
        let world = World::of_exports(exports).unwrap();
        assert_eq!(world.name(), "observing-controller");
        let world = World::of_exports(["windlass:controller/blocking-handler@0.1.0#start"]).unwrap();
        assert_eq!(world.name(), "blocking-controller");
        assert_eq!(World::of_exports(["memory", "run"]), None);
    }
}
