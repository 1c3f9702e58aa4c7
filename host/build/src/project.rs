//! What a folder holds: the language, name and entry of a guest, told by the files that
//! its language has anyway and, where they do not say enough, by a `windlass.yaml`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Deserialize;

use crate::contract::{Calls, World};
use crate::error::BuildError;

/// The project file.
pub const PROJECT_FILE: &str = "windlass.yaml";
const API_VERSION: &str = "windlass.dev/v1alpha1";
const KIND: &str = "Project";
/// Where a build puts things, below the project.
const TARGET: &str = "target/windlass";

/// A language that guests are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "each is named after what it is")]
pub enum Language {
    Rust,
    Go,
    Python,
    /// TypeScript included.
    JavaScript,
    C,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Rust, Self::Go, Self::Python, Self::JavaScript, Self::C];

    /// As it is written in a project file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Go => "go",
            Self::Python => "python",
            Self::JavaScript => "javascript",
            Self::C => "c",
        }
    }

    /// The file that shows it; C has none.
    fn marker(self) -> Option<&'static str> {
        match self {
            Self::Rust => Some("Cargo.toml"),
            Self::Go => Some("go.mod"),
            Self::Python => Some("pyproject.toml"),
            Self::JavaScript => Some("package.json"),
            Self::C => None,
        }
    }

    fn calls(self) -> Calls {
        match self {
            Self::JavaScript => Calls::Blocking,
            Self::Rust | Self::Go | Self::Python | Self::C => Calls::Async,
        }
    }
}

impl FromStr for Language {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let name = match name {
            "typescript" => "javascript",
            name => name,
        };
        let mut all = Self::ALL.into_iter();
        all.find(|language| language.name() == name).ok_or_else(|| {
            format!(
                "no language of guests: there are {}",
                Self::ALL.map(Self::name).join(", ")
            )
        })
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rust => "Rust",
            Self::Go => "Go",
            Self::Python => "Python",
            Self::JavaScript => "JavaScript",
            Self::C => "C",
        })
    }
}

/// An interface that a guest may export besides its handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum OptionalExport {
    Observer,
    Mapper,
}

/// `windlass.yaml`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ProjectFile {
    api_version: String,
    kind: String,
    name: Option<String>,
    language: Option<Language>,
    entry: Option<PathBuf>,
    #[serde(default)]
    exports: Vec<OptionalExport>,
}

/// A folder with a guest in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// The folder.
    pub folder: PathBuf,
    /// Of the component's file.
    pub name: String,
    /// What it is written in.
    pub language: Language,
    /// The source file or package to begin with, if the language's own files do not say.
    pub entry: Option<PathBuf>,
    /// Whether it has an observer and a mapper. Counts for languages whose compiler has to
    /// be told: Python, JavaScript and C.
    pub world: World,
}

impl Project {
    /// Looks at a folder.
    ///
    /// # Errors
    /// When it is no project, or one in two languages, or its project file is wrong.
    pub fn open(folder: &Path) -> Result<Self, BuildError> {
        let folder = folder.canonicalize().map_err(BuildError::file(folder))?;
        let file = read_project_file(&folder)?;
        let said = file.as_ref().and_then(|file| file.language);
        let language = match said {
            Some(language) => language,
            None => detect(&folder)?,
        };
        let exports = file.as_ref().map(|file| file.exports.clone()).unwrap_or_default();
        let folder_name = folder.file_name().map(|name| name.to_string_lossy().into_owned());
        let name = file.as_ref().and_then(|file| file.name.clone()).or(folder_name);
        Ok(Self {
            name: name.unwrap_or_else(|| "guest".to_owned()),
            language,
            entry: file.and_then(|file| file.entry),
            world: World {
                calls: language.calls(),
                observer: exports.contains(&OptionalExport::Observer),
                mapper: exports.contains(&OptionalExport::Mapper),
            },
            folder,
        })
    }

    /// Where builds put what they need on the way.
    #[must_use]
    pub fn target(&self) -> PathBuf {
        self.folder.join(TARGET)
    }

    /// Where the component goes unless somebody says otherwise.
    #[must_use]
    pub fn component(&self) -> PathBuf {
        self.target().join(format!("{}.wasm", self.name))
    }
}

fn read_project_file(folder: &Path) -> Result<Option<ProjectFile>, BuildError> {
    let path = folder.join(PROJECT_FILE);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(BuildError::file(path)(error)),
    };
    let wrong = |problem: String| BuildError::ProjectFile {
        path: path.clone(),
        problem,
    };
    let file: ProjectFile = serde_saphyr::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    if file.api_version != API_VERSION || file.kind != KIND {
        let found = format!("{} {}", file.api_version, file.kind);
        return Err(wrong(format!("it is a {found}, not a {API_VERSION} {KIND}")));
    }
    if let Some(name) = file.name.as_deref().filter(|name| !is_name(name)) {
        return Err(wrong(format!(
            "name {name:?}: use lower-case letters, digits and dashes, at most 63"
        )));
    }
    Ok(Some(file))
}

/// Whether a module can be called so.
pub(crate) fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&name.len()) && name.bytes().all(fits)
}

/// The one language whose file is there. A folder may hold C beside another's files.
fn detect(folder: &Path) -> Result<Language, BuildError> {
    let is_there = |language: &Language| {
        language
            .marker()
            .is_some_and(|marker| folder.join(marker).is_file())
    };
    let mut found = Language::ALL.into_iter().filter(is_there);
    match (found.next(), found.next()) {
        (Some(language), None) => Ok(language),
        (Some(first), Some(second)) => Err(BuildError::Ambiguous {
            folder: folder.to_owned(),
            first,
            second,
        }),
        (None, _) if crate::c::sources(folder)?.is_empty() => Err(BuildError::NoProject(folder.to_owned())),
        (None, _) => Ok(Language::C),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        folder
    }

    fn language(files: &[(&str, &str)]) -> Language {
        Project::open(folder(files).path()).unwrap().language
    }

    #[track_caller]
    fn refused(files: &[(&str, &str)], with: &str) {
        let error = Project::open(folder(files).path()).unwrap_err().to_string();
        assert!(error.contains(with), "{error}");
    }

    #[test]
    fn each_language_is_known_by_its_own_files() {
        assert_eq!(language(&[("Cargo.toml", "")]), Language::Rust);
        assert_eq!(language(&[("go.mod", "")]), Language::Go);
        assert_eq!(language(&[("pyproject.toml", "")]), Language::Python);
        assert_eq!(language(&[("package.json", "")]), Language::JavaScript);
        assert_eq!(language(&[("src/main.c", "")]), Language::C);
        assert_eq!(language(&[("Makefile", ""), ("main.c", "")]), Language::C);
    }

    #[test]
    fn a_project_file_decides_what_files_leave_open() {
        let files = [("go.mod", ""), ("package.json", "")];
        refused(&files, "could be a project in Go or in JavaScript");
        let text =
            "apiVersion: windlass.dev/v1alpha1\nkind: Project\nname: ttl\nlanguage: go\nexports: [mapper]\n";
        let project = folder(&[("go.mod", ""), ("package.json", ""), (PROJECT_FILE, text)]);
        let project = Project::open(project.path()).unwrap();
        assert_eq!(project.language, Language::Go);
        assert!(project.component().ends_with("target/windlass/ttl.wasm"));
        assert_eq!(project.world.name(), "mapping-controller");
    }

    #[test]
    fn what_is_no_project_is_refused_with_what_would_be_one() {
        refused(
            &[("notes.txt", "")],
            "there is no Cargo.toml, go.mod, pyproject.toml",
        );
        refused(
            &[(PROJECT_FILE, "apiVersion: v1\nkind: Pod\n")],
            "it is a v1 Pod, not a",
        );
        let header = "apiVersion: windlass.dev/v1alpha1\nkind: Project\n";
        refused(&[(PROJECT_FILE, &format!("{header}colour: red\n"))], "colour");
        refused(&[(PROJECT_FILE, &format!("{header}name: A B\n"))], "name \"A B\"");
        refused(&[(PROJECT_FILE, &format!("{header}language: cobol\n"))], "cobol");
    }
}
