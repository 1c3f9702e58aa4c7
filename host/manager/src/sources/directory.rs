//! Folders of guests: from one entry to a module for each file.
//!
//! Promises: a file that cannot become a module is reported and costs nothing but itself;
//! a folder that cannot be listed at the moment keeps the modules that it had, because it
//! is more likely being replaced than emptied.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use smol_str::{SmolStr, format_smolstr};

use crate::config::{ModuleEntry, SourceEntry};
use crate::folder::{Folder, FolderError};

const EXTENSION: &str = ".wasm";

/// What modules there are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Expanded {
    /// The modules, none of them from a directory any more.
    pub modules: Vec<ModuleEntry>,
    /// What stands in the way of others.
    pub problems: Vec<DirectoryError>,
}

/// Why a directory, or a file in it, does not become modules.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DirectoryError {
    /// It cannot be listed.
    #[error("module {entry}: {problem}")]
    List {
        /// The entry.
        entry: SmolStr,
        /// Why.
        problem: String,
    },
    /// The name of a file does not make a name of a module.
    #[error(
        "module {entry}: {file} would be module {name:?}, which is not a DNS label; rename it to lower-case letters, \
         digits and dashes, at most 63 with the name of the entry"
    )]
    Name {
        /// The entry.
        entry: SmolStr,
        /// The file.
        file: String,
        /// What the module would be called.
        name: SmolStr,
    },
    /// There is a module of that name.
    #[error("module {entry}: {file} would be another module {name:?}; rename one of them")]
    Taken {
        /// The entry.
        entry: SmolStr,
        /// The file.
        file: String,
        /// What the module would be called.
        name: SmolStr,
    },
}

/// Expands directories, and remembers what was in them.
pub struct Directories {
    folder: Arc<Folder>,
    listed: BTreeMap<String, Vec<String>>,
}

impl Directories {
    /// Of a folder, which the directories are in or below.
    #[must_use]
    pub fn new(folder: Arc<Folder>) -> Self {
        Self {
            folder,
            listed: BTreeMap::new(),
        }
    }

    /// Puts a module for each file in the place of each entry with a directory.
    pub async fn expand(&mut self, entries: &[ModuleEntry]) -> Expanded {
        let mut expanded = Expanded::default();
        let is_one = |entry: &&ModuleEntry| entry.source.directory.is_none();
        let mut taken: BTreeSet<SmolStr> = entries
            .iter()
            .filter(is_one)
            .map(|entry| entry.name.clone())
            .collect();
        for entry in entries {
            let Some(directory) = &entry.source.directory else {
                expanded.modules.push(entry.clone());
                continue;
            };
            for file in self.files(entry, directory, &mut expanded.problems).await {
                match module_of(entry, directory, &file, &mut taken) {
                    Ok(module) => expanded.modules.push(module),
                    Err(problem) => expanded.problems.push(problem),
                }
            }
        }
        expanded
    }

    async fn files(
        &mut self,
        entry: &ModuleEntry,
        directory: &str,
        problems: &mut Vec<DirectoryError>,
    ) -> Vec<String> {
        match self.list(directory).await {
            Ok(files) => {
                self.listed.insert(directory.to_owned(), files.clone());
                files
            }
            Err(error) => {
                problems.push(DirectoryError::List {
                    entry: entry.name.clone(),
                    problem: error.to_string(),
                });
                self.listed.get(directory).cloned().unwrap_or_default()
            }
        }
    }

    async fn list(&self, directory: &str) -> Result<Vec<String>, FolderError> {
        let mut files = self.folder.list(directory, EXTENSION).await?;
        // Editors and copying programs keep unfinished files under such names.
        files.retain(|file| !file.starts_with('.'));
        Ok(files)
    }
}

fn module_of(
    entry: &ModuleEntry,
    directory: &str,
    file: &str,
    taken: &mut BTreeSet<SmolStr>,
) -> Result<ModuleEntry, DirectoryError> {
    let stem = file.strip_suffix(EXTENSION).unwrap_or(file);
    let name = format_smolstr!("{}-{stem}", entry.name);
    let (entry_name, file) = (entry.name.clone(), file.to_owned());
    if !is_dns_label(&name) {
        return Err(DirectoryError::Name {
            entry: entry_name,
            file,
            name,
        });
    }
    if !taken.insert(name.clone()) {
        return Err(DirectoryError::Taken {
            entry: entry_name,
            file,
            name,
        });
    }
    let mut module = entry.clone();
    module.source = SourceEntry::file(&format!("{}/{file}", directory.trim_end_matches('/')));
    module.name = name;
    Ok(module.with_defaults())
}

fn is_dns_label(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&name.len())
        && name.bytes().all(inner)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_directory(name: &str, directory: &str) -> ModuleEntry {
        let source = SourceEntry {
            directory: Some(directory.to_owned()),
            ..SourceEntry::default()
        };
        ModuleEntry::new(name, source)
    }

    fn names(expanded: &Expanded) -> Vec<&str> {
        expanded
            .modules
            .iter()
            .map(|module| module.name.as_str())
            .collect()
    }

    struct Fixture {
        temporary: tempfile::TempDir,
        directories: Directories,
    }

    impl Fixture {
        fn new(files: &[&str]) -> Self {
            let temporary = tempfile::tempdir().unwrap();
            std::fs::create_dir(temporary.path().join("guests")).unwrap();
            for file in files {
                std::fs::write(temporary.path().join("guests").join(file), "").unwrap();
            }
            let folder = Folder::open(temporary.path()).unwrap();
            Self {
                directories: Directories::new(Arc::new(folder)),
                temporary,
            }
        }
    }

    #[tokio::test]
    async fn each_file_is_a_module_with_the_settings_of_the_entry() {
        let mut fixture = Fixture::new(&["b.wasm", "a.wasm", "notes.txt", ".a.wasm"]);
        let mut entry = of_directory("team", "guests/");
        entry.workers = Some(7);
        let expanded = fixture
            .directories
            .expand(&[ModuleEntry::stock("scheduler"), entry])
            .await;
        assert_eq!(names(&expanded), ["scheduler", "team-a", "team-b"]);
        let module = expanded.modules.last().unwrap();
        assert_eq!(module.source, SourceEntry::file("guests/b.wasm"));
        assert_eq!(
            (module.workers, module.field_manager().as_str()),
            (Some(7), "team-b")
        );
        assert_eq!(expanded.problems, []);
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_a_module_costs_only_itself() {
        let mut fixture = Fixture::new(&["Bad_Name.wasm", "a.wasm", "b.wasm"]);
        let entries = [ModuleEntry::stock("team-b"), of_directory("team", "guests")];
        let expanded = fixture.directories.expand(&entries).await;
        assert_eq!(names(&expanded), ["team-b", "team-a"]);
        let problems: Vec<String> = expanded.problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            problems,
            [
                "module team: Bad_Name.wasm would be module \"team-Bad_Name\", which is not a DNS label; rename it to \
                 lower-case letters, digits and dashes, at most 63 with the name of the entry",
                "module team: b.wasm would be another module \"team-b\"; rename one of them",
            ]
        );
    }

    #[tokio::test]
    async fn a_folder_that_is_gone_keeps_its_modules_and_an_empty_one_does_not() {
        let mut fixture = Fixture::new(&["a.wasm"]);
        let entries = [of_directory("team", "guests")];
        assert_eq!(names(&fixture.directories.expand(&entries).await), ["team-a"]);
        let (here, away) = (
            fixture.temporary.path().join("guests"),
            fixture.temporary.path().join("away"),
        );
        std::fs::rename(&here, &away).unwrap();
        let expanded = fixture.directories.expand(&entries).await;
        assert_eq!((names(&expanded), expanded.problems.len()), (vec!["team-a"], 1));
        std::fs::create_dir(&here).unwrap();
        let expanded = fixture.directories.expand(&entries).await;
        assert_eq!((names(&expanded), expanded.problems.len()), (vec![], 0));
    }
}
