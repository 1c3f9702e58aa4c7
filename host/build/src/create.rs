//! New projects: a controller that builds and passes its tests at once, to be changed into
//! what its author wants.
//!
//! The SDK comes along as a copy in the project, of the version that this program knows, so
//! that guest and host fit and nothing has to be fetched for it.

use std::path::{Path, PathBuf};

use crate::embedded;
use crate::error::BuildError;
use crate::project::{Language, Project, is_name};

/// Where the SDK lies in a project. In `vendor` Go would look for other things.
const SDK: &str = "third_party/windlass-sdk";
/// What templates have in place of the project's name, and of the same as an identifier.
const NAME: &str = "__NAME__";
const IDENTIFIER: &str = "__IDENT__";

/// Creates a project in a folder of its own, named after it unless a name is given.
///
/// # Errors
/// When there is something in the folder already, when the name cannot be that of a module,
/// or when the files cannot be written.
pub fn create(folder: &Path, name: Option<&str>, language: Language) -> Result<Project, BuildError> {
    let name = match name {
        Some(name) => name.to_owned(),
        None => folder_name(folder)?,
    };
    if !is_name(&name) || !name.starts_with(|first: char| first.is_ascii_lowercase()) || name.ends_with('-') {
        return Err(BuildError::Name(name));
    }
    let occupied = std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
    if occupied {
        return Err(BuildError::Occupied(folder.to_owned()));
    }
    let identifier = name.replace('-', "_");
    let fill = |text: &str| text.replace(NAME, &name).replace(IDENTIFIER, &identifier);
    for (path, content) in embedded::template(language) {
        let path = embedded::real_path(folder, &fill(path));
        match std::str::from_utf8(content) {
            Ok(text) => embedded::write_file(&path, fill(text).as_bytes())?,
            Err(_) => embedded::write_file(&path, content)?,
        }
    }
    let project = Project::open(folder)?;
    write_sdk(&project)?;
    Ok(project)
}

/// Writes the SDK of this program's version into a project, and gives where. What an earlier
/// version wrote is replaced.
///
/// # Errors
/// When the files cannot be written.
pub fn write_sdk(project: &Project) -> Result<PathBuf, BuildError> {
    let folder = project.folder.join(SDK);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).map_err(BuildError::file(&folder))?;
    }
    embedded::write_sdk(&folder, project.language)?;
    Ok(folder)
}

/// The last part of the path, of `.` and its like too.
fn folder_name(folder: &Path) -> Result<String, BuildError> {
    let absolute = std::path::absolute(folder).map_err(BuildError::file(folder))?;
    let name = absolute
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    name.ok_or_else(|| BuildError::Name(folder.display().to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::PROJECT_FILE;

    #[test]
    fn a_project_of_every_language_is_one_that_can_be_built() {
        let folder = tempfile::tempdir().unwrap();
        for language in Language::ALL {
            let path = folder.path().join(format!("my-{}", language.name()));
            let project = create(&path, None, language).unwrap();
            assert_eq!(
                (project.language, &*project.name),
                (language, &*format!("my-{}", language.name()))
            );
            assert!(
                path.join(PROJECT_FILE).is_file() && path.join(SDK).is_dir(),
                "{language}"
            );
            for source in crate::sources::files(&path, |path| path.ends_with("third_party")) {
                let text = std::fs::read_to_string(&source.path).unwrap();
                assert!(
                    !text.contains("__NAME__") && !text.contains("__IDENT__"),
                    "{:?}",
                    source.path
                );
            }
        }
    }

    #[test]
    fn what_is_there_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine");
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("notes"), "precious").unwrap();
        let error = create(&path, None, Language::Go).unwrap_err();
        assert!(matches!(error, BuildError::Occupied(_)), "{error}");
        assert_eq!(std::fs::read_dir(&path).unwrap().count(), 1);
        // An empty folder is as good as none.
        std::fs::remove_file(path.join("notes")).unwrap();
        create(&path, None, Language::Go).unwrap();
    }

    #[test]
    fn a_name_is_that_of_a_module_and_may_differ_from_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["Upper", "under_score", "1st", "dash-", "", "a.b"] {
            let error = create(&folder.path().join("any"), Some(name), Language::C).unwrap_err();
            assert!(matches!(error, BuildError::Name(_)), "{name}: {error}");
        }
        let project = create(&folder.path().join("Any Folder"), Some("fine-2"), Language::C).unwrap();
        assert_eq!(project.name, "fine-2");
    }

    #[test]
    fn an_sdk_of_another_version_is_replaced_whole() {
        let folder = tempfile::tempdir().unwrap();
        let project = create(&folder.path().join("mine"), None, Language::Go).unwrap();
        let sdk = project.folder.join(SDK);
        std::fs::write(sdk.join("gone.go"), "package gone").unwrap();
        std::fs::write(sdk.join("log.go"), "old").unwrap();
        assert_eq!(write_sdk(&project).unwrap(), sdk);
        assert!(!sdk.join("gone.go").exists());
        assert_ne!(std::fs::read_to_string(sdk.join("log.go")).unwrap(), "old");
    }
}
