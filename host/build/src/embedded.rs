//! What this program brings along: the SDK of each language, and a template of a project.

use std::path::{Path, PathBuf};

use crate::contract;
use crate::error::BuildError;
use crate::project::Language;

/// A file by its path below a folder, and its content.
pub(crate) type File = (&'static str, &'static [u8]);

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// Where the contract lies in Rust's SDK, whose macros read it.
const CONTRACT: &str = "wit";
/// What is taken off names of files that would mean something to tools where they are kept.
const TEMPLATE_SUFFIX: &str = ".template";

pub(crate) fn template(language: Language) -> &'static [File] {
    match language {
        Language::Rust => RUST_TEMPLATE,
        Language::Go => GO_TEMPLATE,
        Language::Python => PYTHON_TEMPLATE,
        Language::JavaScript => JAVASCRIPT_TEMPLATE,
        Language::C => C_TEMPLATE,
    }
}

pub(crate) fn sdk(language: Language) -> &'static [File] {
    match language {
        Language::Rust => RUST_SDK,
        Language::Go => GO_SDK,
        Language::Python => PYTHON_SDK,
        Language::JavaScript => JAVASCRIPT_SDK,
        Language::C => C_SDK,
    }
}

/// Writes an SDK into a folder, over what is there.
pub(crate) fn write_sdk(folder: &Path, language: Language) -> Result<(), BuildError> {
    if language == Language::Rust {
        write(folder, RUST_SDK_MANIFEST)?;
        let contract = contract::write(&folder.join(CONTRACT))?;
        let (path, text) = contract::SCHEDULER_FILE;
        write_file(&contract.join(path), text.as_bytes())?;
    }
    write(folder, sdk(language))
}

/// Writes those files that are not there yet as they should be, so that builds which look at
/// times see no change.
pub(crate) fn write(folder: &Path, files: &[File]) -> Result<(), BuildError> {
    files
        .iter()
        .try_for_each(|(path, content)| write_file(&real_path(folder, path), content))
}

/// Where a file of a template goes.
pub(crate) fn real_path(folder: &Path, path: &str) -> PathBuf {
    folder.join(path.strip_suffix(TEMPLATE_SUFFIX).unwrap_or(path))
}

pub(crate) fn write_file(path: &Path, content: &[u8]) -> Result<(), BuildError> {
    if std::fs::read(path).is_ok_and(|present| present == content) {
        return Ok(());
    }
    let parent = path.parent().unwrap_or(Path::new(""));
    std::fs::create_dir_all(parent).map_err(BuildError::file(parent))?;
    std::fs::write(path, content).map_err(BuildError::file(path))
}
