//! Everything that can go wrong between a folder and a component.

use std::path::PathBuf;

use crate::project::Language;

/// Why there is no component.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum BuildError {
    #[error("{}: {cause}", path.display())]
    File { path: PathBuf, cause: std::io::Error },
    #[error(
        "{} is no project that can be built: there is no Cargo.toml, go.mod, pyproject.toml, package.json or C \
         source in it; a windlass.yaml can name its language", .0.display()
    )]
    NoProject(PathBuf),
    #[error(
        "{} could be a project in {first} or in {second}: say `language:` in a windlass.yaml", folder.display()
    )]
    Ambiguous {
        folder: PathBuf,
        first: Language,
        second: Language,
    },
    #[error("{} is not empty: name a folder that is new", .0.display())]
    Occupied(PathBuf),
    #[error(
        "{0:?} cannot be a project's name: use lower-case letters, digits and dashes, at most 63, a letter first and \
         no dash last; --name gives one that is not the folder's"
    )]
    Name(String),
    #[error("{}: {problem}", path.display())]
    ProjectFile { path: PathBuf, problem: String },
    #[error("{program} is needed for {language} and not there: {advice}")]
    Missing {
        program: String,
        language: Language,
        advice: String,
    },
    #[error("cannot run {program}: {cause}")]
    Start { program: String, cause: std::io::Error },
    /// It has said why.
    #[error("{what} failed{output}")]
    Failed { what: String, output: String },
    #[error("what {what} made is no component: {problem}")]
    NoComponent { what: String, problem: String },
    #[error("it exports no handler, so no host can call it: {advice}")]
    NoHandler { advice: String },
}

impl BuildError {
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |cause| Self::File { path, cause }
    }
}
